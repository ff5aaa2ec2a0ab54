import { describe, expect, test } from 'vitest'
import { attempt } from '../../kernel/kernel.ts'
import { HOLE, MAPPED, UNWRITTEN } from '../extent-map.ts'
import { DIRECT } from './ext2-map.ts'
import {
  create, debugfs, dump, extentsOf, fill, filled, finish, fsck, judge, made, MIB, mounted, ok, place, punch,
} from './judges.test-util.ts'

describe.each([1024, 2048, 4096])('ext2, blocks of %i bytes', (blockSize) => {
  const p = blockSize / 4

  test('holes, and one block below each kind of pointer', () => {
    const device = made(8 * MIB, { format: 'ext2', blockSize })
    const f = mounted(device)
    const inode = create(f, 'file')
    const [double, triple] = [DIRECT + p, DIRECT + p + p * p]
    const places = [0, 3, DIRECT, double - 1, double, triple - 1, triple, triple + p * p + 5]
    for (const lblk of places) place(f, inode, lblk, 1)
    finish(f, inode, (places.at(-1)! + 1) * blockSize)
    expect(f.mapBlocks(inode)).toBe(1 + 3 + 5)
    const image = judge(device, f, inode)
    const where = (lblk: number): number => Number(debugfs(image, `bmap /file ${lblk}`))
    for (const e of extentsOf(inode)) expect(where(e.lblk)).toBe(e.pblk)
    expect(where(DIRECT + 1)).toBe(0)
  })

  test('punching gives every indirect block back', () => {
    const device = made(8 * MIB, { format: 'ext2', blockSize })
    const f = mounted(device, { poison: true })
    const inode = create(f, 'file')
    const before = f.freeBlocks
    place(f, inode, 0, 700)
    expect(f.mapBlocks(inode)).toBeGreaterThan(0)
    punch(f, inode, 0, 700)
    expect(f.mapBlocks(inode)).toBe(0)
    expect(f.freeBlocks).toBe(before)
    finish(f, inode, 0)
    judge(device, f, inode)
  })
})

describe.each([1024, 4096])('ext4, blocks of %i bytes', (blockSize) => {
  test.each([1, 4, 5, 400])('%i extents with holes between', (count) => {
    const device = made(16 * MIB, { format: 'ext4', blockSize })
    const f = mounted(device)
    const inode = create(f, 'file')
    for (let i = 0; i < count; i++) place(f, inode, i * 2, 1)
    finish(f, inode, count * 2 * blockSize)
    fill(device, f, inode)
    const image = judge(device, f, inode)
    expect(dump(image, '/file')).toEqual(filled(f, inode))
  })

  test('unwritten extents read as zeros and stay so', () => {
    const device = made(16 * MIB, { format: 'ext4', blockSize })
    const f = mounted(device)
    const inode = create(f, 'file')
    place(f, inode, 0, 4)
    place(f, inode, 4, 20, UNWRITTEN)
    place(f, inode, 30, 2)
    finish(f, inode, 32 * blockSize)
    fill(device, f, inode)
    const image = judge(device, f, inode)
    expect(dump(image, '/file')).toEqual(filled(f, inode))
    expect(debugfs(image, 'stat /file')).toMatch(/4-23\[u\]|\(4-23\)\[u\]|\(4\[u\]-23\[u\]\)|4-23\)\[/)
  })
})

test('an ext4 tree of 100,000 extents in blocks of 1 KiB has depth 2 or more, and shrinks to nothing', () => {
  const device = made(128 * MIB, { format: 'ext4', blockSize: 1024 })
  const f = mounted(device)
  const inode = create(f, 'file')
  const before = f.freeBlocks
  const n = 100_000
  let goal = f.goalFor(inode)
  for (let i = 0; i < n; i++) {
    ok(f.growMap(inode, i * 2, 1))
    const run = ok(f.allocate(goal, 1))
    inode.map.set(i * 2, 1, MAPPED, run.start)
    goal = run.start + 1
  }
  finish(f, inode, n * 2 * 1024)
  expect(f.mapBlocks(inode)).toBeGreaterThanOrEqual(Math.ceil(n / 84) + 15)
  const image = judge(device, f, inode)
  expect(debugfs(image, 'ex /file').includes(' 3/ 3 ')).toBe(true)
  const again = mounted(device)
  const file = ok(again.readInode(inode.ino))
  ok(again.loadMap(file))
  for (const e of extentsOf(file)) ok(again.free({ start: e.pblk, n: e.n }))
  file.map.set(0, n * 2, HOLE)
  ok(again.shrinkMap(file))
  finish(again, file, 0)
  expect(again.freeBlocks).toBe(before)
  judge(device, again, file)
})

test('real extents longer than an extent on disk are cut', () => {
  const device = made(200 * MIB, { format: 'ext4', blockSize: 1024 })
  const f = mounted(device)
  const inode = create(f, 'file')
  place(f, inode, 0, 70_000)
  place(f, inode, 80_000, 70_000, UNWRITTEN)
  finish(f, inode, 150_000 * 1024)
  judge(device, f, inode)
})

test('a split without growMap is put right by the inode write', () => {
  const device = made(16 * MIB, { format: 'ext4', blockSize: 1024 })
  const f = mounted(device)
  const inode = create(f, 'file')
  place(f, inode, 0, 9)
  expect(f.mapBlocks(inode)).toBe(0)
  for (const lblk of [1, 3, 5, 7]) {
    const e = inode.map.lookup(lblk, 1, { lblk: 0, n: 0, state: HOLE, pblk: 0 })
    ok(f.free({ start: e.pblk, n: 1 }))
    inode.map.set(lblk, 1, HOLE)
  }
  expect(f.owed(inode)).toBe(1)
  finish(f, inode, 9 * 1024)
  expect(f.owed(inode)).toBe(0)
  expect(f.mapBlocks(inode)).toBe(1)
  judge(device, f, inode)
})

test('growMap places all or nothing when the disk is full', () => {
  const device = made(2 * MIB, { format: 'ext2', blockSize: 1024 })
  const f = mounted(device)
  const inode = create(f, 'file')
  const hog = create(f, 'hog')
  place(f, hog, 0, 12)
  while (f.freeBlocks > 2) inode.map.end < 12 ? place(f, inode, inode.map.end, 1) : place(f, hog, hog.map.end, 1)
  const free = f.freeBlocks
  const before = f.mapBlocks(inode)
  const grown = ok(attempt(() => f.growMap(inode, DIRECT + 256 + 65536, 1)))
  expect(grown).toEqual({ _tag: 'Left', left: 'ENOSPC' })
  expect(f.freeBlocks).toBe(free)
  expect(f.mapBlocks(inode)).toBe(before)
  finish(f, hog, hog.map.end * 1024)
  finish(f, inode, inode.map.end * 1024)
  judge(device, f, inode)
})

test.each(['ext2', 'ext4'] as const)('%s: blocks grown ahead of an extent are in order on disk, and given back', (format) => {
  const device = made(16 * MIB, { format, blockSize: 1024 })
  const f = mounted(device)
  const inode = create(f, 'file')
  for (let i = 0; i < 3; i++) place(f, inode, i * 2, 1)
  finish(f, inode, 6 * 1024)
  const before = f.freeBlocks
  expect(ok(f.growMap(inode, 5000, 1))).toBe(format === 'ext2' ? 2 : 1)
  ok(f.writeInode(inode))
  ok(f.sync())
  expect(fsck(device)).toBe('')
  ok(f.shrinkMap(inode))
  expect(f.freeBlocks).toBe(before)
  ok(f.writeInode(inode))
  judge(device, f, inode)
})
