import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AddressSpace, ErrorSequence } from './address-space.ts'
import type { Folio } from './folio.ts'
import { PageAllocator } from './page-allocator.ts'

const space = (): AddressSpace => new AddressSpace(12, { dirtyPages: 0 })

describe('AddressSpace', () => {
  test('finds what a plain map finds, at any distance', () => {
    const index = fc.oneof(fc.nat(2000), fc.integer({ min: 0, max: 2 ** 40 }), fc.constantFrom(0, 511, 512, 512 ** 2, 512 ** 3))
    const step = fc.record({ index, order: fc.nat(3), remove: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const pages = new PageAllocator(4096, 12, false)
        const s = space()
        const model = new Map<number, Folio>()
        for (const { index: raw, order, remove } of steps) {
          const at = raw - (raw % (1 << order))
          const known = s.find(at)
          expect(known).toBe(model.get(at) ?? null)
          if (remove && known !== null) {
            for (let i = known.index; i < known.index + known.pages; i++) model.delete(i)
            s.remove(known)
          } else if (s.isFree(at, 1 << order)) {
            const f = pages.allocate(order)!
            f.index = at
            s.insert(f)
            for (let i = at; i < at + f.pages; i++) model.set(i, f)
          }
        }
        const sorted = [...new Set([...model.entries()].sort((a, b) => a[0] - b[0]).map(([, f]) => f))]
        expect(s.inRange(0, 2 ** 41)).toEqual(sorted)
        expect(s.pages).toBe(model.size)
      }),
      { numRuns: 200 },
    )
  })

  test('replace leaves no gap and takes the old folio off the dirty list', () => {
    const pages = new PageAllocator(16, 12, false)
    const s = space()
    const [old, fresh] = [pages.allocate(1)!, pages.allocate(1)!]
    old.index = fresh.index = 6
    s.insert(old)
    old.change(0, 4096, 2, 0)
    s.markDirty(old)
    s.replace(old, fresh)
    expect([s.find(6), s.find(7), old.home, s.dirty.length]).toEqual([fresh, fresh, null, 0])
  })

  test('inserting over a cached page is a bug', () => {
    const pages = new PageAllocator(16, 12, false)
    const s = space()
    const f = pages.allocate(0)!
    s.insert(f)
    const g = pages.allocate(0)!
    expect(() => s.insert(g)).toThrow('cached already')
  })
})

describe('ErrorSequence (lib/errseq.c)', () => {
  test('each file that was open gets the error once', () => {
    const e = new ErrorSequence()
    const [a, b] = [e.sample(), e.sample()]
    e.set('EIO')
    const first = e.check(a)
    expect(first.errno).toBe('EIO')
    expect(e.check(first.sample).errno).toBeNull()
    expect(e.check(b).errno).toBe('EIO')
  })

  test('a file opened before anybody saw the error gets it; one opened after does not', () => {
    const e = new ErrorSequence()
    const early = e.sample()
    e.set('EIO')
    const unseen = e.sample()
    expect(e.check(unseen).errno).toBe('EIO')
    expect(e.check(e.sample()).errno).toBeNull()
    expect(e.check(early).errno).toBe('EIO')
  })

  test('a second error after the first was seen is reported again', () => {
    const e = new ErrorSequence()
    const s = e.sample()
    e.set('EIO')
    const seen = e.check(s)
    e.set('ENOSPC')
    expect(e.check(seen.sample).errno).toBe('ENOSPC')
  })
})
