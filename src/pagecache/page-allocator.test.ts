import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Folio } from './folio.ts'
import { PageAllocator } from './page-allocator.ts'

describe('PageAllocator', () => {
  test('folios in use never overlap, are aligned, and count against the limit', () => {
    const step = fc.oneof(
      fc.record({ take: fc.integer({ min: 0, max: 9 }) }),
      fc.record({ free: fc.nat(1000) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const limit = 1024
        const pages = new PageAllocator(limit, 12, false)
        const used: Folio[] = []
        for (const s of steps) {
          if ('take' in s) {
            const f = pages.allocate(s.take)
            if (f === null) expect(pages.used + (1 << s.take)).toBeGreaterThan(limit)
            else {
              expect(f.page % f.pages).toBe(0)
              for (const g of used) {
                expect(g.slab !== f.slab || g.page + g.pages <= f.page || f.page + f.pages <= g.page).toBe(true)
              }
              used.push(f)
            }
          } else if (used.length > 0) pages.release(used.splice(s.free % used.length, 1)[0]!)
          expect(pages.used).toBe(used.reduce((sum, f) => sum + f.pages, 0))
        }
        for (const f of used) pages.release(f)
        expect(pages.used).toBe(0)
      }),
    )
  })

  test('what was freed in pieces is whole again', () => {
    const pages = new PageAllocator(512, 12, false)
    const small = Array.from({ length: 512 }, () => pages.allocate(0)!)
    expect(pages.allocate(0)).toBeNull()
    for (const f of small.reverse()) pages.release(f)
    expect(pages.allocate(9)!.slab).toBe(small[0]!.slab)
  })

  test('a freed folio forgets its bits', () => {
    const pages = new PageAllocator(16, 10, false)
    const f = pages.allocate(2)!
    f.change(0, f.size, 3, 0)
    expect(f.dirtyBlocks).toBe(16)
    pages.release(f)
    const again = pages.allocate(2)!
    expect(again).toBe(f)
    expect([again.dirtyBlocks, again.uptodateBlocks, again.any(0, again.size, 255)]).toEqual([0, 0, false])
  })
})
