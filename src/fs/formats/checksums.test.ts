/** Checksums where they are read: a wrong one is said, in whatever structure it is; and what shares blocks or hashes names. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MemoryDevice } from '../../block/memory-device.ts'
import { run } from '../../kernel/kernel.ts'
import { S_IFDIR, S_IFREG } from '../inode.ts'
import { crc16 } from './crc16.ts'
import { hasDirTail } from './checksums.ts'
import type { ExtFormat } from './ext-format.ts'
import { extOf, FL_INDEX, INODE, placeOf } from './inode-table.ts'
import {
  create, debugfs, finish, foreign, fsck, judge, leftOf, made, MIB, mounted, ok, place, punch, save, scratch, tool,
} from './judges.test-util.ts'
import { mountFormat } from './mount.ts'
import { SB } from './superblock.ts'

/** An image with checksums: a fragmented file, and a directory. */
const prepared = (bits64 = false): { device: MemoryDevice, ino: number, at: Record<string, number> } => {
  const device = made(8 * MIB, { format: 'ext4', blockSize: 1024, metadataCsum: true, bits64 })
  const f = mounted(device)
  const file = create(f, 'file')
  for (let i = 0; i < 40; i++) place(f, file, i * 2, 1)
  finish(f, file, 80 * 1024)
  const root = ok(f.readInode(2))
  ok(f.loadMap(root))
  const { nr, at } = placeOf(f.volume, file.ino)
  const byte = (block: number): number => block * 1024
  const where = {
    superblock: 1024 + SB.label, descriptor: 2048 + 14, 'block bitmap': byte(f.volume.blockBitmap(0)) + 900,
    'inode bitmap': byte(f.volume.inodeBitmap(0)) + 20, inode: byte(nr) + at + INODE.mtime,
    'extent block': byte(extOf(file).disk!.blocks()[0]!) + 800, directory: byte(root.map.extents[0]!.pblk) + 500,
  }
  ok(f.unmount())
  return { device, ino: file.ino, at: where }
}

describe.each([false, true])('one bit, 64bit %s', (bits64) => {
  const flipped = (what: string): { bytes: MemoryDevice, ino: number } => {
    const { device, ino, at } = prepared(bits64)
    const bytes = device.image()
    bytes[at[what]!]! ^= 4
    return { bytes: MemoryDevice.of(bytes), ino }
  }

  test.each([
    ['superblock', /superblock is damaged: checksum 0x[0-9a-f]+, not 0x[0-9a-f]+; run e2fsck/],
    ['descriptor', /group 0: its descriptor has checksum 0x[0-9a-f]+, not 0x[0-9a-f]+; run e2fsck/],
  ])('in the %s: the mount is refused', (what, message) => {
    const refused = leftOf(ok(mountFormat(flipped(what).bytes)))
    expect(refused).toMatchObject({ errno: 'EUCLEAN', message: expect.stringMatching(message) })
  })

  test.each<[string, (f: ExtFormat, ino: number) => unknown]>([
    ['block bitmap', (f) => run(f.allocate(0, 1))],
    ['inode bitmap', (f) => run(f.allocateInode(null, S_IFREG))],
    ['inode', (f, ino) => run(f.readInode(ino))],
    ['extent block', (f, ino) => run(f.loadMap(ok(f.readInode(ino))))],
    ['directory', (f) => run(f.lookupName(ok(f.readInode(2)), 'file'))],
  ])('in the %s: EIO', (what, use) => {
    const { bytes, ino } = flipped(what)
    const f = mounted(bytes, { readOnly: true })
    expect(use(f, ino)).toEqual({ _tag: 'Left', left: 'EIO' })
  })
})

test('nothing flipped, everything is read', () => {
  const { device, ino } = prepared()
  const f = mounted(device)
  const file = ok(f.readInode(ino))
  ok(f.loadMap(file))
  expect(ok(f.lookupName(ok(f.readInode(2)), 'file'))).toBe(ino)
  judge(device, f, file)
})

/** `many` holds so many long names that e2fsck makes a hash tree of it, two levels deep if there are enough. */
const hashed = (names: number, ...args: string[]): MemoryDevice => {
  const dir = scratch()
  mkdirSync(join(dir, 'many'))
  for (let i = 0; i < names; i++) writeFileSync(join(dir, 'many', `a name that is rather long, number ${i} ${'x'.repeat(150)}`), '')
  const path = save(foreign(60 * MIB, '-t', 'ext4', '-N', `${names + 500}`, ...args, '-d', dir))
  tool('e2fsck', '-fyD', path)
  return MemoryDevice.of(readFileSync(path))
}

const trees = [['1 KiB', 3000, ['-b', '1024']], ['4 KiB', 900, ['-b', '4096']]] as const

describe.each(trees)('a hashed directory, %s', (_size, names, args) => {
  test('is read with its checksums, and gets tails when it is changed', () => {
    const device = hashed(names, ...args)
    const f = mounted(device)
    const many = ok(f.readInode(ok(f.lookupName(ok(f.readInode(2)), 'many'))))
    expect(extOf(many).flags & FL_INDEX).toBe(FL_INDEX)
    expect(ok(f.listNames(many))).toHaveLength(names + 2)
    expect(hasDirTail(ok(f.volume.cache.get(many.map.extents[0]!.pblk)).data)).toBe(false)
    const name = `a name that is rather long, number 17 ${'x'.repeat(150)}`
    const ino = ok(f.lookupName(many, name))
    ok(f.removeName(many, name))
    for (let i = 0; i < 300; i++) ok(f.addName(many, `again ${i}`, ino, 0o100644))
    for (let i = 1; i < 300; i++) ok(f.removeName(many, `again ${i}`))
    ok(f.writeInode(many))
    expect(extOf(many).flags & FL_INDEX).toBe(0)
    expect(hasDirTail(ok(f.volume.cache.get(many.map.extents[0]!.pblk)).data)).toBe(true)
    judge(device, f)
    expect(ok(mounted(device).listNames(many))).toHaveLength(names + 2)
  })
})

test('a block of the hash tree with a wrong bit is EIO', () => {
  const device = hashed(900, '-b', '4096')
  const f = mounted(device, { readOnly: true })
  const many = ok(f.readInode(ok(f.lookupName(ok(f.readInode(2)), 'many'))))
  ok(f.loadMap(many))
  const bytes = device.image()
  bytes[many.map.extents[0]!.pblk * 4096 + 40]! ^= 1
  const again = mounted(MemoryDevice.of(bytes), { readOnly: true })
  expect(run(again.listNames(ok(again.readInode(many.ino))))).toEqual({ _tag: 'Left', left: 'EIO' })
})

describe.each([[['-O', '^has_journal']], [['-O', '^has_journal,^metadata_csum']]])('extended attributes, %j', (args) => {
  test('go with the last inode that has them', () => {
    const path = save(foreign(8 * MIB, '-t', 'ext4', '-I', '128', ...args))
    for (const name of ['a', 'b']) {
      debugfs(path, '') // e2fsprogs shares no blocks of attributes: each file gets its own.
      const value = join(scratch(), 'value')
      writeFileSync(value, 'v'.repeat(200))
      tool('debugfs', '-w', '-R', `write ${value} ${name}`, path)
      tool('debugfs', '-w', '-R', `ea_set -f ${value} ${name} user.large`, path)
    }
    expect(fsck(path)).toBe('')
    const device = MemoryDevice.of(readFileSync(path))
    const f = mounted(device)
    const root = ok(f.readInode(2))
    const a = ok(f.readInode(ok(f.lookupName(root, 'a'))))
    expect(extOf(a).raw.readUInt32LE(INODE.acl)).toBeGreaterThan(0)
    const before = f.freeBlocks
    ok(f.loadMap(a))
    const blocks = a.map.realBlocks
    punch(f, a, 0, a.map.end)
    ok(f.removeName(root, 'a'))
    a.nlink = 0
    ok(f.freeInode(a))
    expect(f.freeBlocks).toBe(before + blocks + 1)
    judge(device, f)
  })
})

test('a directory that has more subdirectories than can be counted keeps its 1', () => {
  const path = save(foreign(8 * MIB, '-t', 'ext4', '-O', '^has_journal'))
  tool('debugfs', '-w', '-R', 'mkdir dir', path)
  tool('debugfs', '-w', '-R', 'set_inode_field dir links_count 1', path)
  const device = MemoryDevice.of(readFileSync(path))
  const f = mounted(device)
  const dir = ok(f.readInode(ok(f.lookupName(ok(f.readInode(2)), 'dir'))))
  const sub = ok(f.allocateInode(dir, S_IFDIR | 0o755))
  ok(f.initDirectory(sub, dir.ino))
  ok(f.addName(dir, 'sub', sub.ino, sub.mode))
  sub.nlink = 2
  dir.nlink++
  for (const inode of [sub, dir]) ok(f.writeInode(inode))
  expect(ok(f.readInode(dir.ino)).nlink).toBe(1)
})

test('crc16: the vector of the catalogues', () => {
  expect(crc16(0, Buffer.from('123456789'))).toBe(0xbb3d)
})
