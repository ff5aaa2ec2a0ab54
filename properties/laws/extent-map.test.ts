/** ExtentMap against a naive model: one cell a block. Invariants (1) to (5) of its contract are checked by number. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  DELALLOC, type Extent, ExtentMap, type ExtentState, HOLE, isReal, MAPPED, UNWRITTEN,
} from '../../src/fs/extent-map.ts'

const BLOCKS = 40
const state = fc.constantFrom<ExtentState>(HOLE, DELALLOC, UNWRITTEN, MAPPED)

/** A change; `pblk` is often `lblk + 100`, so that neighbours on the device meet. */
const change = fc
  .tuple(
    fc.nat(BLOCKS - 1),
    fc.integer({ min: 1, max: 12 }),
    state,
    fc.oneof(fc.constant(100), fc.integer({ min: 1, max: 300 })),
  )
  .map(([lblk, n, s, base]) => ({ lblk, n: Math.min(n, BLOCKS - lblk), state: s, pblk: base + lblk }))
type Change = { readonly lblk: number; readonly n: number; readonly state: ExtentState; readonly pblk: number }

/** What one block of the model holds. */
interface Cell {
  readonly state: ExtentState
  readonly pblk: number
}

const changes = (maxLength: number): fc.Arbitrary<readonly Change[]> => fc.array(change, { maxLength })

/** The model's `set`. */
const paint = (cells: Cell[], c: Change): void => {
  for (let i = 0; i < c.n; i++) cells[c.lblk + i] = { state: c.state, pblk: isReal(c.state) ? c.pblk + i : 0 }
}

const build = (list: readonly Change[]): { readonly map: ExtentMap; readonly cells: Cell[] } => {
  const map = new ExtentMap()
  const cells: Cell[] = Array.from({ length: BLOCKS }, () => ({ state: HOLE, pblk: 0 }))
  for (const c of list) {
    map.set(c.lblk, c.n, c.state, c.pblk)
    paint(cells, c)
  }
  return { map, cells }
}

/** May cell `b` follow cell `a` in one extent? */
const follows = (a: Cell, b: Cell): boolean => a.state === b.state && (!isReal(a.state) || a.pblk + 1 === b.pblk)

const answer = (): Extent => ({ lblk: 0, n: 0, state: HOLE, pblk: 0 })

describe('ExtentMap', () => {
  test('a look-up answers the longest run of equal state', () => {
    fc.assert(
      fc.property(changes(25), fc.nat(BLOCKS - 1), fc.integer({ min: 1, max: 50 }), (list, at, n) => {
        const { map, cells } = build(list)
        let run = 1
        while (run < n && at + run < BLOCKS && follows(cells[at + run - 1]!, cells[at + run]!)) run++
        if (cells[at]!.state === HOLE && at + run === BLOCKS) run = n
        expect(map.lookup(at, n, answer())).toEqual({ lblk: at, n: run, ...cells[at]! })
      }),
      { numRuns: 1000 },
    )
  })

  test('look-ups in any order give the same answers: the hint is only a hint', () => {
    fc.assert(
      fc.property(changes(15), fc.array(fc.oneof(fc.nat(BLOCKS - 1), change), { maxLength: 30 }), (first, steps) => {
        const { map, cells } = build(first)
        for (const s of steps) {
          if (typeof s === 'number') {
            const { state: is, pblk } = map.lookup(s, 1, answer())
            expect({ state: is, pblk }).toEqual(cells[s])
          } else {
            map.set(s.lblk, s.n, s.state, s.pblk)
            paint(cells, s)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  test('(1) sorted and disjoint, (2) not empty, (3) merged, (5) a hole is absent', () => {
    fc.assert(
      fc.property(changes(25), (list) => {
        const { extents } = build(list).map
        for (const [i, e] of extents.entries()) {
          expect(e.n).toBeGreaterThan(0)
          expect(e.state).not.toBe(HOLE)
          const prev = extents[i - 1]
          if (prev === undefined) continue
          expect(prev.lblk + prev.n).toBeLessThanOrEqual(e.lblk)
          const touch = prev.lblk + prev.n === e.lblk && prev.state === e.state
          const oneOnDisk = !isReal(e.state) || prev.pblk + prev.n === e.pblk
          expect(touch && oneOnDisk, 'two neighbours that are one').toBe(false)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('(4) the sequence grows at every change', () => {
    fc.assert(
      fc.property(changes(10), change, (list, c) => {
        const { map } = build(list)
        const before = map.seq
        map.lookup(c.lblk, c.n, answer())
        expect(map.seq).toBe(before)
        map.set(c.lblk, c.n, c.state, c.pblk)
        expect(map.seq).toBeGreaterThan(before)
      }),
    )
  })

  test('the sums are those of the extents, and end is the end', () => {
    fc.assert(
      fc.property(changes(25), (list) => {
        const { map, cells } = build(list)
        expect(map.delayedBlocks).toBe(cells.filter((c) => c.state === DELALLOC).length)
        expect(map.realBlocks).toBe(cells.filter((c) => isReal(c.state)).length)
        expect(map.delayedExtents).toBe(map.extents.filter((e) => e.state === DELALLOC).length)
        expect(map.end).toBe(cells.findLastIndex((c) => c.state !== HOLE) + 1)
      }),
      { numRuns: 1000 },
    )
  })

  test('an extent without blocks is a bug of the caller', () => {
    expect(() => new ExtentMap().set(3, 0, MAPPED, 7)).toThrow(RangeError)
  })
})
