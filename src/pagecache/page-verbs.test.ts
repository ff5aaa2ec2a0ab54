import { isLeft } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { straight } from '../kernel/choices.ts'
import { run } from '../kernel/kernel.ts'
import { Ledger } from '../kernel/ledger.ts'
import { UPTODATE } from './folio.ts'
import { PageCache } from './page-cache.ts'
import { PageVerbs } from './page-verbs.ts'

const setUp = (limitPages = 64, maxFolioOrder = 9) => {
  const ledger = new Ledger()
  const cache = new PageCache({ blockSize: 4096, limitPages, maxFolioOrder }, ledger)
  const k = new PageVerbs(cache, ledger, straight, () => 0)
  return { ledger, cache, k, space: cache.addressSpace(12) }
}

const grab = (s: ReturnType<typeof setUp>, index: number, bytes = 4096) => {
  const f = run(s.k.grabFolio(s.space, index, bytes, false))
  if (isLeft(f)) throw new Error(f.left)
  return f.right
}

describe('folios', () => {
  test('are as large as the write, its alignment and the knob allow', () => {
    const s = setUp(2048)
    expect(grab(s, 0, 1 << 20).order).toBe(8)
    expect(grab(s, 260, 1 << 16).order).toBe(2)
    expect(grab(s, 512, 5000).order).toBe(0)
    expect(grab(setUp(64, 2), 0, 1 << 16).order).toBe(2)
  })

  test('shrink where a neighbour is in the way', () => {
    const s = setUp()
    grab(s, 2)
    expect(grab(s, 0, 1 << 16).order).toBe(1)
  })

  test('obey the limit: clean ones are reclaimed, oldest first, and dirty or pinned ones stay', () => {
    const s = setUp(4)
    const folios = [0, 1, 2, 3].map((i) => grab(s, i))
    for (const f of folios) f.referenced = false
    s.k.dirtyBlocks(folios[0]!, 0, 4096)
    s.k.pin(folios[1]!)
    for (const f of folios) s.k.unlockFolio(f)
    const fifth = grab(s, 9)
    expect(s.cache.usedPages).toBe(4)
    expect([0, 1, 2, 3, 9].map((i) => s.space.find(i) !== null)).toEqual([true, true, false, true, true])
    s.k.unlockFolio(fifth)
  })

  test('ENOMEM when nothing can be reclaimed', () => {
    const s = setUp(1)
    grab(s, 0)
    expect(run(s.k.grabFolio(s.space, 5, 4096, false))).toMatchObject({ left: 'ENOMEM' })
  })
})

describe('the lock of a folio', () => {
  test('who waits for it keeps the memory from being given out, and who waits last frees it', () => {
    const s = setUp(1)
    const f = grab(s, 0)
    const waiters = [s.k.lockFolio(f), s.k.lockFolio(f)]
    for (const w of waiters) expect(w.next()).toMatchObject({ done: false, value: f.lockOp })
    expect(s.k.invalidateFolio(f)).toBe(true)
    expect(s.k.privateFolio(7, 0)).toBeNull()
    for (const w of waiters) {
      expect([s.cache.usedPages, w.next().done]).toEqual([1, true])
      s.k.unlockFolio(f)
    }
    expect(s.cache.usedPages).toBe(0)
    expect(s.k.privateFolio(7, 0)).toBe(f)
  })

  test('who gives up waiting lets go of the memory as well', () => {
    const s = setUp(1)
    const f = grab(s, 0)
    const waiter = s.k.lockFolio(f)
    waiter.next()
    s.k.removeFolio(f)
    expect(() => waiter.throw(new Error('not now'))).toThrow('not now')
    expect(s.cache.usedPages).toBe(0)
  })
})

describe('invalidation', () => {
  test('refuses dirty, pinned and written-back folios, and drops others', () => {
    const s = setUp()
    const f = grab(s, 0)
    s.k.pin(f)
    expect(s.k.invalidateFolio(f)).toBe(false)
    s.k.unpin(f)
    s.k.dirtyBlocks(f, 0, 4096)
    expect(s.k.invalidateFolio(f)).toBe(false)
    s.k.cleanBlocks(f, 0, 4096)
    f.writeback = true
    expect(s.k.invalidateFolio(f)).toBe(false)
    f.writeback = false
    expect(s.k.invalidateFolio(f)).toBe(true)
    expect([s.space.find(0), s.ledger.invalidateRefused, s.cache.usedPages]).toEqual([null, 3, 0])
  })

  test('a replaced folio that is pinned lives until its last unpin', () => {
    const s = setUp()
    const old = grab(s, 3)
    s.k.pin(old)
    const fresh = s.k.privateFolio(3, 0)!
    s.k.replaceFolio(s.space, old, fresh)
    expect([s.space.find(3), s.cache.usedPages]).toEqual([fresh, 2])
    s.k.unpin(old)
    expect(s.cache.usedPages).toBe(1)
  })

  test('a private folio inherits what it does not cover: bytes, dirt and what lies below', () => {
    const s = setUp()
    const old = grab(s, 0, 8192)
    old.slab.bytes.fill(7, old.base, old.base + old.size)
    s.k.dirtyBlocks(old, 4096, 4096)
    const fresh = s.k.privateFolio(0, old.order)!
    s.k.inherit(fresh, old, 100, 200)
    const at = (i: number): number => fresh.slab.bytes[fresh.base + i]!
    expect([at(0), at(99), at(300), at(8191)]).toEqual([7, 7, 7, 7])
    expect([fresh.dirtyBlocks, fresh.all(4096, 1, UPTODATE)]).toEqual([1, true])
  })
})

describe('page tables', () => {
  test('write-protection takes the right to store, unmapping all', () => {
    const s = setUp()
    const f = grab(s, 0)
    s.k.mapPage(f, 0, true)
    expect(s.space.writablePtes).toBe(1)
    s.k.writeProtect(f)
    expect([s.space.writablePtes, f.slab.pte[f.page]]).toEqual([0, 1])
    s.k.unmap(f)
    expect(f.slab.pte[f.page]).toBe(0)
  })
})
