/** What is refused, and with which words; what a mount and an unmount write. */
import { describe, expect, test } from 'vitest'
import type { Bio } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import { MemoryDevice } from '../../block/memory-device.ts'
import { run } from '../../kernel/kernel.ts'
import { Ledger } from '../../kernel/ledger.ts'
import { HOLE } from '../extent-map.ts'
import { accountBlocks } from './accounting.ts'
import { extOf, INODE } from './inode-table.ts'
import {
  create, finish, fsck, judge, leftOf, made, MIB, mounted, NOW, ok, place, punch,
} from './judges.test-util.ts'
import { POISON_TAG } from './poison.ts'
import { mountFormat } from './mount.ts'
import { RO_ORPHAN_PRESENT, SB } from './superblock.ts'

const image = (): Buffer => made(4 * MIB, { format: 'ext2', blockSize: 1024 }).image()
const refusal = (bytes: Buffer) => leftOf(ok(mountFormat(MemoryDevice.of(bytes))))

/** An image whose superblock was changed. */
const damaged = (change: (sb: Buffer) => void): Buffer => {
  const bytes = image()
  change(bytes.subarray(1024, 2048))
  return bytes
}

describe('refused, with a reason', () => {
  test('no magic', () => {
    expect(refusal(damaged((sb) => sb.fill(0, SB.magic, SB.magic + 2)))).toEqual({
      errno: 'EINVAL',
      message: 'memory: no ext2 or ext4 here (magic 0x0 at byte 1080, not 0xef53); make one with mkfs',
    })
  })
  test('too short for a superblock, and shorter than the superblock says', () => {
    expect(refusal(Buffer.alloc(1024)).message).toMatch(/1024 bytes are too few/)
    const short = image().subarray(0, 3 * MIB)
    expect(refusal(short).message).toMatch(/cut off: the superblock says 4194304 bytes, the device has 3145728/)
  })
  test.each([
    [SB.revision, 2, /revision 2 is unknown/],
    [SB.logBlockSize, 6, /blocks of 2\^16 bytes/],
    [SB.inodeSize, 100, /damaged: inodes of/],
    [SB.blocksPerGroup, 0, /damaged: 0 blocks per group/],
    [SB.blocksPerGroup, 8193, /damaged: 8193 blocks per group/],
    [SB.inodesPerGroup, 8, /damaged: \d+ inodes in 1 groups of 8/],
    [SB.firstDataBlock, 5, /damaged: first data block 5/],
    [SB.blocks, 0, /damaged: 0 blocks/],
    [SB.firstIno, 3, /damaged: first inode 3/],
  ])('superblock field at byte %i set to %i', (at, value, words) => {
    expect(refusal(damaged((sb) => sb.writeUInt32LE(value, at))).message).toMatch(words)
  })
  test.each([
    [SB.compat, 0x200, 'sparse_super2'],
    [SB.incompat, 0x10, 'meta_bg'],
    [SB.incompat, 0x8000, 'inline_data'],
    [SB.roCompat, 0x1000, 'read-only'],
    [SB.roCompat, 0x200, 'bigalloc'],
    [SB.incompat, 0x80000000, 'incompat bit 0x80000000'],
  ])('feature word at byte %i, bit %i: %s', (at, bit, name) => {
    const { errno, message } = refusal(damaged((sb) => sb.writeUInt32LE((sb.readUInt32LE(at) | bit) >>> 0, at)))
    expect(errno).toBe('EINVAL')
    expect(message).toContain(`feature ${name} is not supported; use \`mke2fs -O ^${name}\``)
  })
  test('an orphan file with entries', () => {
    const { message } = refusal(damaged((sb) => sb.writeUInt32LE(RO_ORPHAN_PRESENT, SB.roCompat)))
    expect(message).toMatch(/its orphan file is not empty \(orphan_present\): run e2fsck/)
  })
  test('descriptors that point outside or count too much', () => {
    for (const [at, value] of [[0, 0], [4, 1e6], [8, 4095], [12, 0xffff]] as const) {
      const bytes = image()
      bytes.writeUInt16LE(value & 0xffff, 2048 + at)
      if (at < 12) bytes.writeUInt32LE(value, 2048 + at)
      const message = expect.stringMatching(/group 0: its descriptor .*; run e2fsck/)
      expect(refusal(bytes)).toMatchObject({ errno: 'EUCLEAN', message })
    }
  })
  test('descriptors that share a block, and files that have one of theirs', () => {
    const bytes = image()
    const [bitmap, table] = [bytes.readUInt32LE(2048), bytes.readUInt32LE(2048 + 8)]
    bytes.writeUInt32LE(bitmap, 2048 + 4)
    expect(refusal(bytes)).toEqual({
      errno: 'EUCLEAN', message: 'memory: two groups say that the same block is theirs; run e2fsck',
    })
    for (const format of ['ext2', 'ext4'] as const) {
      const f = mounted(made(4 * MIB, { format, blockSize: 1024 }))
      const file = create(f, 'file')
      file.map.set(0, 1, 3, table)
      finish(f, file, 1024)
      ok(f.sync())
      expect(leftOf(run(f.loadMap(ok(f.decode(file.ino)))))).toBe('EIO')
    }
  })
  test('a device that cannot be read', () => {
    const broken: BlockDevice = { name: 'broken', size: MIB, submit: (bio) => bio.complete({ bytes: 0, errno: 'EIO' }) }
    expect(leftOf(ok(mountFormat(broken)))).toEqual({
      errno: 'EIO', message: 'broken: reading the superblock or the group descriptors failed',
    })
  })
})

describe('damaged maps are EIO, never a crash', () => {
  const broken = (format: 'ext2' | 'ext4', change: (device: MemoryDevice, root: Buffer, leaf: Buffer) => void) => {
    const device = made(8 * MIB, { format, blockSize: 1024 })
    const f = mounted(device)
    const file = create(f, 'file')
    for (let i = 0; i < 40; i++) place(f, file, i * 2, 1)
    finish(f, file, 80 * 1024)
    const nr = extOf(file).disk!.blocks()[0]!
    const raw = extOf(file).raw
    const leaf = Buffer.from(ok(f.volume.cache.get(nr)).data)
    change(device, raw.subarray(INODE.map, INODE.map + 60), leaf)
    f.volume.cache.store(nr, leaf)
    file.dirty = true
    ok(f.writeInode(file))
    ok(f.unmount())
    const again = mounted(device)
    return run(again.loadMap(ok(again.readInode(file.ino))))
  }
  const EIO = { _tag: 'Left', left: 'EIO' }

  test('ext2: pointers outside, an indirect block twice', () => {
    expect(broken('ext2', () => undefined)).toMatchObject({ _tag: 'Right' })
    expect(broken('ext2', (_d, root) => root.writeUInt32LE(1e9, 0))).toEqual(EIO)
    expect(broken('ext2', (_d, root) => root.writeUInt32LE(1e9, 48))).toEqual(EIO)
    expect(broken('ext2', (_d, root) => root.writeUInt32LE(root.readUInt32LE(48), 52))).toEqual(EIO)
    expect(broken('ext2', (_d, _root, leaf) => leaf.writeUInt32LE(1, 4))).toEqual(EIO)
  })
  test('ext4: header, depth, order, lengths, places', () => {
    expect(broken('ext4', () => undefined)).toMatchObject({ _tag: 'Right' })
    expect(broken('ext4', (_d, root) => root.writeUInt16LE(0, 0))).toEqual(EIO)
    expect(broken('ext4', (_d, root) => root.writeUInt16LE(5, 2))).toEqual(EIO)
    expect(broken('ext4', (_d, root) => root.writeUInt16LE(9, 6))).toEqual(EIO)
    expect(broken('ext4', (_d, root) => root.writeUInt16LE(2, 6))).toEqual(EIO)
    expect(broken('ext4', (_d, root) => root.writeUInt32LE(1e9, 16))).toEqual(EIO)
    // An index without entries, which the kernel refuses, too.
    expect(broken('ext4', (_d, root) => root.writeUInt16LE(0, 2))).toEqual(EIO)
    expect(broken('ext4', (_d, _root, leaf) => leaf.writeUInt32LE(0, 24))).toEqual(EIO)
    expect(broken('ext4', (_d, _root, leaf) => leaf.writeUInt16LE(0, 16))).toEqual(EIO)
    expect(broken('ext4', (_d, _root, leaf) => leaf.writeUInt32LE(1e9, 20))).toEqual(EIO)
  })
})

describe('mount and unmount', () => {
  const superblock = (device: MemoryDevice): Buffer => device.image().subarray(1024, 2048)

  test('a mount that may write is seen until it ends', () => {
    const device = made(4 * MIB, { format: 'ext4' })
    const f = mounted(device)
    expect(superblock(device).readUInt16LE(SB.state) & 1).toBe(0)
    expect(superblock(device).readUInt16LE(SB.mountCount)).toBe(1)
    expect(superblock(device).readUInt32LE(SB.mtime)).toBe(Math.floor(NOW / 1e6))
    const crashed = mounted(device.fork())
    expect(crashed.wasClean).toBe(false)
    ok(f.unmount())
    expect(superblock(device).readUInt16LE(SB.state)).toBe(1)
    expect(mounted(device).wasClean).toBe(true)
  })

  test('a read-only mount writes nothing, and a change throws', () => {
    const device = made(4 * MIB, { format: 'ext2' })
    const before = device.image()
    const f = mounted(device, { readOnly: true })
    ok(f.listNames(ok(f.readInode(2))))
    expect(() => ok(f.allocate(0, 1))).toThrow(/read-only/)
    ok(f.unmount())
    expect(device.image().equals(before)).toBe(true)
  })

  test('the same calls give the same image', () => {
    const once = (): Buffer => {
      const device = made(8 * MIB, { format: 'ext4', blockSize: 1024 })
      const f = mounted(device, { poison: true })
      for (let i = 0; i < 20; i++) {
        const file = create(f, `file ${i}`)
        for (let j = 0; j < 30; j++) place(f, file, j * 3, 1 + (j % 3))
        punch(f, file, 6, 20)
        finish(f, file, 90 * 1024)
      }
      judge(device, f)
      return device.image()
    }
    expect(once().equals(once())).toBe(true)
  })

  test('metadata bios are counted, and adjacent blocks go together', () => {
    const ledger = new Ledger()
    const f = mounted(made(8 * MIB, { format: 'ext4' }), { ledger })
    const before = ledger.metaBios
    create(f, 'file')
    const read = ledger.metaBios - before
    ok(f.sync())
    // Superblock, descriptors, and both bitmaps and the inode table are adjacent; the root directory is not.
    expect(ledger.metaBios - before - read).toBeLessThanOrEqual(3)
    const quiet = ledger.metaBios
    ok(f.sync())
    expect(ledger.metaBios).toBe(quiet)
  })

  test('freed blocks are poisoned on the device when that is asked for', () => {
    const device = made(4 * MIB, { format: 'ext2' })
    const f = mounted(device, { poison: true })
    const run = ok(f.allocate(0, 3))
    ok(f.free(run))
    const block = device.image().subarray((run.start + 1) * 4096, (run.start + 2) * 4096)
    expect(block.toString('latin1', 0, 20)).toContain(`${POISON_TAG}${run.start + 1}\n`)
    expect(block[4095]).toBe(0xaa)
  })
})

describe('space', () => {
  test('the goal first, then forward, then a run that is long enough', () => {
    const f = mounted(made(16 * MIB, { format: 'ext2', blockSize: 1024 }))
    const goal = 3000
    expect(ok(f.allocate(goal, 10))).toEqual({ start: 3000, n: 10 })
    expect(ok(f.allocate(goal, 10))).toEqual({ start: 3010, n: 10 })
    ok(f.free({ start: 3004, n: 3 }))
    expect(ok(f.allocate(3000, 4))).toEqual({ start: 3020, n: 4 })
    expect(ok(f.allocate(3000, 2))).toEqual({ start: 3004, n: 2 })
    expect(ok(f.allocate(3006, 9))).toEqual({ start: 3006, n: 1 })
    expect(ok(f.allocate(8000, 400))).toEqual({ start: 8000, n: 193 })
    expect(ok(f.allocate(8000, 400)).start).toBeGreaterThan(8192)
  })

  test('all blocks can be had, exactly once, and given back', () => {
    const f = mounted(made(10 * MIB, { format: 'ext4', blockSize: 1024 }))
    const free = f.freeBlocks
    const runs = []
    while (f.freeBlocks > 0) runs.push(ok(f.allocate(5000, 1 + (runs.length % 97))))
    expect(leftOf(run(f.allocate(0, 1)))).toBe('ENOSPC')
    expect(new Set(runs.flatMap((r) => Array.from({ length: r.n }, (_, i) => r.start + i))).size).toBe(free)
    for (const r of runs) ok(f.free(r))
    expect(f.freeBlocks).toBe(free)
    expect(ok(f.countFreeBlocks())).toBe(free)
  })

  test('freeing what is free is a bug (I5)', () => {
    const f = mounted(made(4 * MIB, { format: 'ext2' }))
    const got = ok(f.allocate(0, 4))
    ok(f.free({ start: got.start + 1, n: 1 }))
    expect(() => ok(f.free(got))).toThrow(/I5/)
    expect(() => ok(f.free({ start: 1e7, n: 1 }))).toThrow(/outside/)
  })

  test('files stay in the group of their directory, directories spread', () => {
    const f = mounted(made(64 * MIB, { format: 'ext2', blockSize: 1024 }))
    const root = ok(f.readInode(2))
    const groupOf = (ino: number) => Math.floor((ino - 1) / f.volume.geo.inodesPerGroup)
    const dirs = Array.from({ length: 3 }, () => {
      const dir = ok(f.allocateInode(root, 0o040755))
      ok(f.initDirectory(dir, 2))
      return dir
    })
    expect(new Set(dirs.map((d) => groupOf(d.ino))).size).toBe(3)
    for (const dir of dirs) expect(groupOf(ok(f.allocateInode(dir, 0o100644)).ino)).toBe(groupOf(dir.ino))
  })

  test('the accounting sees a leak, a double owner and a mapped free block', () => {
    const f = mounted(made(4 * MIB, { format: 'ext2' }))
    const [a, b] = [create(f, 'a'), create(f, 'b')]
    place(f, a, 0, 1)
    place(f, b, 0, 2)
    const stolen = a.map.lookup(0, 1, { lblk: 0, n: 0, state: HOLE, pblk: 0 }).pblk
    b.map.set(0, 1, 3, stolen)
    ok(f.free({ start: stolen, n: 1 }))
    for (const inode of [a, b]) finish(f, inode, 8192)
    const { problems } = ok(accountBlocks(f))
    expect(problems.join('\n')).toMatch(new RegExp(`block ${stolen}: of inode ${b.ino} and of inode ${a.ino}`))
    expect(problems.join('\n')).toMatch(new RegExp(`block ${stolen}: of inode ${b.ino} and free in the bitmap`))
    expect(problems.join('\n')).toMatch(/in use in the bitmap and nobody's/)
  })
})

test('times, sizes and owners come back', () => {
  const device = made(8 * MIB, { format: 'ext4', blockSize: 1024 })
  const f = mounted(device)
  const file = create(f, 'file')
  Object.assign(file, { uid: 2 ** 31, gid: 65_537, atime: -1_500_000, mtime: NOW + 1, ctime: 2 ** 33 * 1e6 + 7 })
  finish(f, file, 5 * 2 ** 30)
  ok(f.unmount())
  expect(fsck(device)).toBe('')
  expect(ok(mounted(device).readInode(file.ino))).toMatchObject({
    uid: 2 ** 31, gid: 65_537, atime: -1_500_000, mtime: NOW + 1, ctime: 2 ** 33 * 1e6 + 7, size: 5 * 2 ** 30, nlink: 1,
  })
})

test('a device that fails while metadata is written: EIO, and the next sync writes it', () => {
  const device = made(8 * MIB, { format: 'ext4' })
  let broken = false
  const flaky: BlockDevice = {
    name: 'flaky',
    size: device.size,
    submit: (bio: Bio) => {
      if (broken && bio.op === 'write') bio.complete({ bytes: 0, errno: 'EIO' })
      else device.submit(bio)
    },
  }
  const f = mounted(flaky as MemoryDevice)
  const file = create(f, 'file')
  broken = true
  expect(leftOf(run(f.sync()))).toBe('EIO')
  expect(leftOf(run(f.syncInode(file)))).toBe('EIO')
  broken = false
  judge(device, f, file)
})

test('syncInode writes the inode and its map, and nothing else', () => {
  const device = made(8 * MIB, { format: 'ext4', blockSize: 1024 })
  const f = mounted(device)
  const file = create(f, 'file')
  ok(f.sync())
  for (let i = 0; i < 20; i++) place(f, file, i * 2, 1)
  file.size = file.diskSize = 40 * 1024
  ok(f.syncInode(file))
  const after = mounted(device.fork(), { readOnly: true })
  const read = ok(after.readInode(file.ino))
  ok(after.loadMap(read))
  expect(read.map.extents).toEqual(file.map.extents)
  expect(ok(accountBlocks(after)).problems[0]).toMatch(/free in the bitmap/)
})
