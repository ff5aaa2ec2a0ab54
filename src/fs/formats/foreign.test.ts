/** Images that mke2fs made: mounted, changed, and still in order. */
import {
  closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync, writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MemoryDevice } from '../../block/memory-device.ts'
import { MAPPED } from '../extent-map.ts'
import { accountBlocks } from './accounting.ts'
import { ExtentTree } from './ext4-map.ts'
import { extOf, FL_EXTENTS, FL_INDEX } from './inode-table.ts'
import {
  create, debugfs, dump, extentsOf, fill, filled, finish, foreign, judge, made, MIB, mounted, ok, place, punch, save,
  scratch, tool,
} from './judges.test-util.ts'

const ext4 = ['-t', 'ext4', '-O', '^has_journal,^metadata_csum,^64bit']
const kinds: [string, number, string[]][] = [
  ['ext2', 40, ['-t', 'ext2']],
  ['ext2, 4 KiB', 40, ['-t', 'ext2', '-b', '4096', '-I', '128']],
  ['ext2 without resize_inode', 40, ['-t', 'ext2', '-O', '^resize_inode']],
  ['ext2 with no features', 20, ['-t', 'ext2', '-O', 'none']],
  ['ext2, revision 0', 20, ['-t', 'ext2', '-r', '0']],
  ['ext4', 40, ext4],
  ['ext4, 4 KiB, two groups', 136, [...ext4, '-b', '4096']],
  ['ext4 without flex_bg', 40, [...ext4.slice(0, 3), `${ext4[3]},^flex_bg`]],
]

describe.each(kinds)('%s', (_name, size, args) => {
  test('mounts, adds up, takes files and directories, and is clean again', () => {
    const device = foreign(size * MIB, ...args)
    const f = mounted(device)
    expect(f.wasClean).toBe(true)
    const sums = ok(accountBlocks(f))
    expect(sums.problems).toEqual([])
    expect(sums.used + sums.free).toBe(sums.total)
    const file = create(f, 'file')
    place(f, file, 0, 900)
    place(f, file, 1000, 1)
    finish(f, file, 1001 * f.blockSize)
    fill(device, f, file)
    const image = judge(device, f, file)
    expect(dump(image, '/file')).toEqual(filled(f, file))
  })
})

/** A directory of the host with what the tests look for. */
const tree = (): string => {
  const dir = scratch()
  writeFileSync(join(dir, 'plain'), Buffer.alloc(300_000, 'plain '))
  symlinkSync('plain', join(dir, 'short'))
  symlinkSync('x'.repeat(200), join(dir, 'long'))
  mkdirSync(join(dir, 'many'))
  for (let i = 0; i < 600; i++) writeFileSync(join(dir, 'many', `a name that is rather long, number ${i}`), '')
  const fd = openSync(join(dir, 'holes'), 'w')
  for (let i = 0; i < 400; i++) writeSync(fd, `hole ${i}`, i * 8192)
  ftruncateSync(fd, 400 * 8192)
  closeSync(fd)
  return dir
}

/** Run e2fsck -fyD over the image: it hashes large directories. */
const hashed = (device: MemoryDevice): MemoryDevice => {
  const path = save(device)
  tool('e2fsck', '-fyD', path)
  return MemoryDevice.of(readFileSync(path))
}

describe.each([
  ['ext2', ['-t', 'ext2']],
  ['ext4', ext4],
])('%s with files', (_name, args) => {
  test('what is there is found: sizes, symlinks, maps', () => {
    const device = foreign(60 * MIB, ...args, '-d', tree())
    const f = mounted(device)
    const root = ok(f.readInode(2))
    const open = (name: string) => ok(f.readInode(ok(f.lookupName(root, name))))
    expect(open('plain').size).toBe(300_000)
    expect(open('short').symlink).toBe('plain')
    expect(open('long').symlink).toBe('x'.repeat(200))
    expect(ok(f.listNames(open('many')))).toHaveLength(602)
    const holes = open('holes')
    ok(f.loadMap(holes))
    expect(holes.map.extents.length).toBe(400)
    judge(device, f, holes)
  })

  test('a map that another system wrote can be changed at both ends and in the middle', () => {
    const device = foreign(60 * MIB, ...args, '-d', tree())
    const f = mounted(device)
    const holes = ok(f.readInode(ok(f.lookupName(ok(f.readInode(2)), 'holes'))))
    ok(f.loadMap(holes))
    punch(f, holes, 16, 8)
    place(f, holes, 4, 4)
    place(f, holes, 5000, 3)
    finish(f, holes, 5003 * f.blockSize)
    judge(device, f, holes)
  })

  test('an empty map gives all its blocks back', () => {
    const device = foreign(60 * MIB, ...args, '-d', tree())
    const f = mounted(device)
    const holes = ok(f.readInode(ok(f.lookupName(ok(f.readInode(2)), 'holes'))))
    ok(f.loadMap(holes))
    punch(f, holes, 0, holes.map.end)
    finish(f, holes, 0)
    expect(f.mapBlocks(holes)).toBe(0)
    judge(device, f, holes)
  })

  test('a hashed directory becomes a linear one when it is changed', () => {
    const device = hashed(foreign(60 * MIB, ...args, '-d', tree()))
    const f = mounted(device)
    const many = ok(f.readInode(ok(f.lookupName(ok(f.readInode(2)), 'many'))))
    expect(extOf(many).flags & FL_INDEX).toBe(FL_INDEX)
    const name = 'a name that is rather long, number 17'
    const ino = ok(f.lookupName(many, name))
    ok(f.removeName(many, name))
    for (let i = 0; i < 50; i++) ok(f.addName(many, `again ${i}`, ino, 0o100644))
    for (let i = 1; i < 50; i++) ok(f.removeName(many, `again ${i}`))
    ok(f.writeInode(many))
    expect(extOf(many).flags & FL_INDEX).toBe(0)
    judge(device, f)
  })
})

test('a block-mapped file of ext4 is read as it is and becomes an extent tree when it grows', () => {
  const made = save(foreign(60 * MIB, '-t', 'ext2', '-d', tree()))
  expect(tool('tune2fs', '-O', 'extents', made).code).toBe(0)
  const device = MemoryDevice.of(readFileSync(made))
  const f = mounted(device)
  expect(f.name).toBe('ext4')
  const root = ok(f.readInode(2))
  const plain = ok(f.readInode(ok(f.lookupName(root, 'plain'))))
  const holes = ok(f.readInode(ok(f.lookupName(root, 'holes'))))
  for (const inode of [plain, holes]) ok(f.loadMap(inode))
  punch(f, plain, 200, 20)
  ok(f.writeInode(plain))
  expect(extOf(plain).flags & FL_EXTENTS).toBe(0)
  place(f, holes, 5000, 3)
  finish(f, holes, 5003 * f.blockSize)
  expect(extOf(holes).flags & FL_EXTENTS).toBe(FL_EXTENTS)
  expect(extOf(holes).disk).toBeInstanceOf(ExtentTree)
  judge(device, f, plain, holes)
})

test('what debugfs calls the file is what was written', () => {
  const device = made(8 * MIB, { format: 'ext4' })
  const f = mounted(device)
  const file = create(f, 'file')
  file.uid = 70_000
  file.gid = 100_001
  file.mtime = 1714979289123456
  place(f, file, 0, 3)
  file.map.set(8, 1, MAPPED, extentsOf(file)[0]!.pblk + 2)
  file.map.set(2, 1, 0)
  finish(f, file, 9 * 4096)
  const shown = debugfs(judge(device, f, file), 'stat /file')
  expect(shown).toMatch(/User: 70000\s+Group: 100001\s+/)
  expect(shown).toMatch(/Blockcount: 24\n/)
  expect(shown).toMatch(/mtime: 0x663881d9:1d6f2800 /)
})
