/** The law of `owed`: what growMap places until all delayed extents are real is never more than was owed. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DELALLOC, type Extent, HOLE, MAPPED } from '../extent-map.ts'
import { accountBlocks } from './accounting.ts'
import { BlockMap, denseIndirect, DIRECT } from './ext2-map.ts'
import { leavesFor } from './ext4-grant.ts'
import { TreeNodes } from './ext4-nodes.ts'
import { create, made, MIB, mounted, ok } from './judges.test-util.ts'

/** Extents near and far: what lies close together, what needs the double and the triple tree. */
const extent = fc.record({
  lblk: fc.oneof(fc.nat(40), fc.nat(2000), fc.nat(70_000), fc.nat(10_000_000)),
  n: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 600 })),
})
const pattern = fc.record({
  first: fc.array(extent, { maxLength: 4 }),
  delayed: fc.array(extent, { minLength: 1, maxLength: 12 }),
  picks: fc.infiniteStream(fc.nat(2 ** 30)),
  most: fc.constantFrom(1, 3, 1000),
})

describe.each(['ext2', 'ext4'] as const)('%s', (format) => {
  const base = made(64 * MIB, { format, blockSize: 1024 })

  test('random patterns turned real piece by piece never need more than owed', () => {
    fc.assert(
      fc.property(pattern, ({ first, delayed, picks, most }) => {
        const f = mounted(base.fork())
        const inode = create(f, 'file')
        const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
        let placed = 0
        const realise = (lblk: number, n: number): number => {
          placed += ok(f.growMap(inode, lblk, n))
          const run = ok(f.allocate(f.goalFor(inode), n))
          inode.map.set(lblk, run.n, MAPPED, run.start)
          return run.n
        }
        for (const { lblk, n } of first) if (inode.map.lookup(lblk, n, e).state === HOLE) realise(lblk, e.n)
        for (const { lblk, n } of delayed) {
          for (let at = lblk; at < lblk + n; at += e.n) {
            if (inode.map.lookup(at, lblk + n - at, e).state !== HOLE) continue
            const promised = f.owedAfter(inode, e.n, at + e.n)
            inode.map.set(at, e.n, DELALLOC)
            expect(f.owed(inode)).toBeLessThanOrEqual(promised)
          }
        }
        placed = 0
        const bounds: { placed: number; owed: number }[] = []
        while (inode.map.delayedBlocks > 0) {
          bounds.push({ placed, owed: f.owed(inode) })
          const waiting = inode.map.extents.filter((x) => x.state === DELALLOC)
          const pick = waiting[picks.next().value % waiting.length]!
          const skip = picks.next().value % pick.n
          realise(pick.lblk + skip, Math.min(most, pick.n - skip))
        }
        for (const b of bounds) expect(placed - b.placed).toBeLessThanOrEqual(b.owed)
        ok(f.writeInode(inode))
        expect(f.owed(inode)).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  test('what is owed for a file in the direct blocks is nothing', () => {
    const f = mounted(base.fork())
    const inode = create(f, 'file')
    inode.map.set(0, format === 'ext2' ? DIRECT : 1, DELALLOC)
    expect(f.owed(inode)).toBe(0)
  })

  test('random changes leave books that add up', () => {
    const step = fc.record({ lblk: fc.nat(400), n: fc.integer({ min: 1, max: 30 }), punch: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const f = mounted(base.fork())
        const inode = create(f, 'file')
        const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
        for (const { lblk, n, punch } of steps) {
          for (let at = lblk; at < lblk + n; ) {
            inode.map.lookup(at, lblk + n - at, e)
            at += e.n
            if (punch && e.state === MAPPED) {
              ok(f.free({ start: e.pblk, n: e.n }))
              inode.map.set(e.lblk, e.n, HOLE)
            } else if (!punch && e.state === HOLE) {
              ok(f.growMap(inode, e.lblk, e.n))
              const run = ok(f.allocate(f.goalFor(inode), e.n))
              inode.map.set(e.lblk, run.n, MAPPED, run.start)
            }
          }
          if (punch) ok(f.shrinkMap(inode))
        }
        ok(f.writeInode(inode))
        const sums = ok(accountBlocks(f))
        expect(sums.problems).toEqual([])
        expect(sums.used + sums.free).toBe(sums.total)
      }),
      { numRuns: 25 },
    )
  })
})

test('denseIndirect counts the tree of a file without holes', () => {
  expect(denseIndirect(256, 12)).toBe(0)
  expect(denseIndirect(256, 13)).toBe(1)
  expect(denseIndirect(256, 12 + 256)).toBe(1)
  expect(denseIndirect(256, 12 + 256 + 1)).toBe(3)
  expect(denseIndirect(256, 12 + 256 + 256 * 256)).toBe(1 + 1 + 256)
  expect(denseIndirect(256, 12 + 256 + 256 * 256 + 1)).toBe(1 + 1 + 256 + 3)
  expect(new BlockMap(1024).owned).toBe(0)
})

test('a packed tree grows by whole levels', () => {
  expect(leavesFor(4, 84)).toBe(0)
  expect(leavesFor(5, 84)).toBe(1)
  const none = new TreeNodes(84)
  expect(none.costOfShape(4)).toEqual([4])
  expect(none.costOfShape(5)).toEqual([5, 1])
  expect(none.costOfShape(337)).toEqual([337, 5, 1])
})
