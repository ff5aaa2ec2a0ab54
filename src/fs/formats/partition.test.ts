/** The partition of an extent tree is kept: what changes in the middle of a file is written, and not what lies behind it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DELALLOC, type Extent, HOLE, MAPPED, UNWRITTEN } from '../extent-map.ts'
import type { Inode } from '../inode.ts'
import { accountBlocks } from './accounting.ts'
import type { ExtFormat } from './ext-format.ts'
import type { ExtentTree } from './ext4-map.ts'
import { extOf } from './inode-table.ts'
import {
  create, dump, extentsOf, fill, filled, finish, fsck, judge, made, MIB, mounted, ok, punch,
} from './judges.test-util.ts'

const treeOf = (inode: Inode): ExtentTree => extOf(inode).disk as ExtentTree

/** One block at `lblk`, next to no other one on the device. */
const put = (f: ExtFormat, inode: Inode, lblk: number, state: typeof MAPPED | typeof UNWRITTEN = MAPPED): number => {
  const placed = ok(f.growMap(inode, lblk, 1))
  const run = ok(f.allocate(f.goalFor(inode), 1))
  inode.map.set(lblk, 1, state, run.start)
  return placed
}

/** A file of `n` extents of one block, a hole behind each, written to the disk. */
const holey = (f: ExtFormat, n: number): Inode => {
  const inode = create(f, 'file')
  for (let i = 0; i < n; i++) put(f, inode, i * 4)
  finish(f, inode, n * 4 * f.blockSize)
  ok(f.sync())
  return inode
}

/** Blocks of the metadata cache that are dirty once `act` is in it. */
const dirtied = (f: ExtFormat, inode: Inode, act: () => void): number => {
  ok(f.sync())
  act()
  ok(f.writeInode(inode))
  return f.volume.cache.dirtyBlocks
}

describe.each([1024, 4096])('10,000 extents in blocks of %i bytes', (blockSize) => {
  const device = made(64 * MIB, { format: 'ext4', blockSize })
  // What the file appended filled to the end is split in the middle: a leaf, and with small blocks the index block above it.
  const more = blockSize === 1024 ? 2 : 1
  holey(mounted(device), 10_000)
  const opened = (): { readonly f: ExtFormat; readonly inode: Inode; readonly device: typeof device } => {
    const fork = device.fork()
    const f = mounted(fork)
    const inode = ok(f.readInode(ok(f.lookupName(ok(f.readInode(2)), 'file'))))
    ok(f.loadMap(inode))
    return { f, inode, device: fork }
  }

  test('one more in the middle writes its leaf, a new one and the path above', () => {
    const { f, inode, device: written } = opened()
    const { depth, owned } = treeOf(inode)
    // The inode, a bitmap, and both halves of what is split on each level.
    expect(dirtied(f, inode, () => put(f, inode, 20_002))).toBeLessThanOrEqual(2 + 2 * depth)
    const split = treeOf(inode).owned
    expect(split - owned).toBe(more)
    expect(dirtied(f, inode, () => put(f, inode, 20_006))).toBeLessThanOrEqual(2 + depth)
    expect(treeOf(inode).owned).toBe(split)
    judge(written, f, inode)
  })

  test('one that goes and comes again leaves all blocks as they were', () => {
    const { f, inode, device: written } = opened()
    const [free, owned] = [f.freeBlocks, treeOf(inode).owned]
    put(f, inode, 20_002)
    expect(f.mapBlocks(inode)).toBe(owned + more)
    punch(f, inode, 20_002, 1)
    expect(f.mapBlocks(inode)).toBe(owned)
    expect(f.freeBlocks).toBe(free)
    ok(f.writeInode(inode))
    judge(written, f, inode)
  })

  test('a place that is not used after all is given back', () => {
    const { f, inode } = opened()
    const free = f.freeBlocks
    expect(ok(f.growMap(inode, 20_002, 1))).toBe(more)
    expect(ok(f.shrinkMap(inode))).toBe(more)
    expect(f.freeBlocks).toBe(free)
  })

  test('one less writes its leaf, and a leaf that is empty goes', () => {
    const { f, inode, device: written } = opened()
    const { depth, owned } = treeOf(inode)
    expect(dirtied(f, inode, () => punch(f, inode, 20_000, 1))).toBeLessThanOrEqual(2 + depth)
    expect(dirtied(f, inode, () => punch(f, inode, 20_000, 4000))).toBeLessThanOrEqual(5 + 3 * depth)
    expect(treeOf(inode).owned).toBeLessThan(owned)
    judge(written, f, inode)
  })

  test('the partition is that of the disk after a mount', () => {
    const { f, inode, device: written } = opened()
    for (let i = 0; i < 40; i++) put(f, inode, ((i * 7919) % 10_000) * 4 + 2)
    ok(f.writeInode(inode))
    ok(f.sync())
    const again = mounted(written)
    const read = ok(again.readInode(inode.ino))
    ok(again.loadMap(read))
    expect(treeOf(read).blocks()).toEqual(treeOf(inode).blocks())
    expect(dirtied(again, read, () => { read.dirty = true })).toBeLessThanOrEqual(1)
  })
})

test.each([false, true])('splits here and there, metadata_csum %s: e2fsck and debugfs read what is there', (metadataCsum) => {
  const device = made(32 * MIB, { format: 'ext4', blockSize: 1024, metadataCsum })
  const f = mounted(device)
  const inode = holey(f, 2000)
  for (let i = 0; i < 1500; i++) {
    put(f, inode, ((i * 7919) % 2000) * 4 + 2)
    if (i % 100 === 0) ok(f.writeInode(inode))
  }
  finish(f, inode, 8000 * 1024)
  fill(device, f, inode)
  expect(dump(judge(device, f, inode), '/file').equals(filled(f, inode))).toBe(true)
})

test('a restored place has the partition that it had', () => {
  const f = mounted(made(16 * MIB, { format: 'ext4', blockSize: 1024 }))
  const inode = holey(f, 500)
  const restores = [f.checkpoint(), inode.map.checkpoint(), extOf(inode).checkpoint()]
  const blocks = treeOf(inode).blocks()
  const once = (): readonly unknown[] => {
    for (let i = 0; i < 9; i++) inode.map.set(1002 + 4 * i, 1, DELALLOC)
    const owed = f.owed(inode)
    const placed = Array.from({ length: 9 }, (_, i) => put(f, inode, 1002 + 4 * i))
    const dirty = dirtied(f, inode, () => punch(f, inode, 300, 700))
    return [owed, placed, dirty, treeOf(inode).blocks()]
  }
  const first = once()
  for (const restore of restores) restore()
  expect(treeOf(inode).blocks()).toEqual(blocks)
  expect(once()).toEqual(first)
})

test('a file that only grows fills its leaves to the end', () => {
  const f = mounted(made(16 * MIB, { format: 'ext4', blockSize: 1024 }))
  const inode = holey(f, 840)
  // 10 leaves of 84 entries, and one index block.
  expect(treeOf(inode).owned).toBe(11)
})

test('one that grows from behind a far tail fills them nearly so', () => {
  const f = mounted(made(16 * MIB, { format: 'ext4', blockSize: 1024 }))
  const inode = create(f, 'file')
  for (let i = 0; i < 4; i++) put(f, inode, 1_000_000 + i * 4)
  for (let i = 0; i < 840; i++) put(f, inode, i * 4)
  expect(treeOf(inode).owned).toBeLessThanOrEqual(13)
})

test('conversions that nobody announced split the leaf they are in, out of what is owed', () => {
  const device = made(16 * MIB, { format: 'ext4', blockSize: 1024 })
  const f = mounted(device)
  const inode = create(f, 'file')
  for (let i = 0; i < 400; i++) {
    ok(f.growMap(inode, i * 4, 3))
    inode.map.set(i * 4, 3, UNWRITTEN, ok(f.allocate(f.goalFor(inode), 3)).start)
  }
  finish(f, inode, 1600 * 1024)
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  const dirty = dirtied(f, inode, () => {
    inode.map.set(401, 1, MAPPED, inode.map.lookup(401, 1, e).pblk)
    expect(f.owed(inode)).toBe(2)
  })
  expect(dirty).toBeLessThanOrEqual(6)
  expect(f.owed(inode)).toBe(0)
  judge(device, f, inode)
})

/** Changes of a map of some hundred extents: a block placed or delayed, a delayed one made real, a hole, a conversion, a write. */
const step = fc.record({
  what: fc.constantFrom('put', 'delay', 'delay', 'realise', 'realise', 'punch', 'convert', 'write'),
  lblk: fc.oneof(fc.nat(1400), fc.integer({ min: 600, max: 700 })),
  n: fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 1, max: 40 }) }, { weight: 1, arbitrary: fc.constant(1500) }),
})

test('any changes: no more is placed than was owed, and e2fsck agrees', () => {
  const base = made(16 * MIB, { format: 'ext4', blockSize: 1024 })
  holey(mounted(base), 350)
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
      const device = base.fork()
      const f = mounted(device)
      const inode = ok(f.readInode(ok(f.lookupName(ok(f.readInode(2)), 'file'))))
      ok(f.loadMap(inode))
      const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
      for (const { what, lblk, n } of steps) {
        const [owed, owned] = [f.owed(inode), f.mapBlocks(inode)]
        inode.map.lookup(lblk, 1, e)
        const promised = f.owedAfter(inode, n, lblk + n)
        if (what === 'put' && e.state === HOLE) put(f, inode, lblk)
        if (what === 'delay') {
          for (let at = lblk; at < lblk + n; at += 2) {
            if (inode.map.lookup(at, 1, e).state === HOLE) inode.map.set(at, 1, DELALLOC)
          }
          expect(f.owed(inode)).toBeLessThanOrEqual(promised)
        }
        if (what === 'realise' && inode.map.delayedBlocks > 0) {
          const waiting = inode.map.extents.filter((x) => x.state === DELALLOC)
          for (const w of waiting.slice(lblk % waiting.length, (lblk % waiting.length) + n)) {
            const [before, placed] = [f.owed(inode), put(f, inode, w.lblk, UNWRITTEN)]
            expect(placed + f.owed(inode)).toBeLessThanOrEqual(before)
          }
        }
        if (what === 'punch') {
          punch(f, inode, lblk, n)
          expect(f.owed(inode)).toBeLessThanOrEqual(owed + Math.max(0, owned - f.mapBlocks(inode)))
        }
        if (what === 'convert') {
          const more = f.owedAfter(inode, 2, 0)
          if (e.state === UNWRITTEN) inode.map.set(lblk, 1, MAPPED, e.pblk)
          expect(f.owed(inode)).toBeLessThanOrEqual(Math.max(owed, more))
        }
        if (what === 'write') {
          ok(f.writeInode(inode))
          expect(f.mapBlocks(inode) - owned).toBeLessThanOrEqual(owed - f.owed(inode))
        }
      }
      for (const x of inode.map.extents.filter(({ state }) => state === DELALLOC)) put(f, inode, x.lblk)
      finish(f, inode, Math.max(1500, inode.map.end) * 1024)
      const sums = ok(accountBlocks(f))
      expect(sums.problems).toEqual([])
      const again = mounted(device)
      ok(f.sync())
      const read = ok(again.readInode(inode.ino))
      ok(again.loadMap(read))
      expect(extentsOf(read).length).toBe(extentsOf(inode).length)
      if (steps.length % 8 === 0) expect(fsck(device)).toBe('')
    }),
    { numRuns: 60 },
  )
})
