import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MemoryDevice } from '../../block/memory-device.ts'
import { run } from '../../kernel/kernel.ts'
import { type Inode, S_IFDIR, S_IFLNK, S_IFREG } from '../inode.ts'
import { insertRecord, putRecord, recordSize, removeRecord, slots } from './dirents.ts'
import type { ExtFormat } from './ext-format.ts'
import { create, debugfs, judge, leftOf, made, MIB, mounted, ok, place, punch } from './judges.test-util.ts'

/** A directory under `parent`. */
const mkdir = (f: ExtFormat, parent: Inode, name: string): Inode => {
  const dir = ok(f.allocateInode(parent, S_IFDIR | 0o755))
  ok(f.initDirectory(dir, parent.ino))
  ok(f.addName(parent, name, dir.ino, dir.mode))
  dir.nlink = 2
  parent.nlink++
  for (const inode of [dir, parent]) ok(f.writeInode(inode))
  return dir
}

const inRoot = (f: ExtFormat): Inode => ok(f.readInode(f.rootIno))

/** Hard links to one file: names without inodes of their own. */
const link = (f: ExtFormat, dir: Inode, target: Inode, name: string): void => {
  ok(f.addName(dir, name, target.ino, target.mode))
  target.nlink++
}

describe.each([
  ['ext2', 1024],
  ['ext2', 4096],
  ['ext4', 1024],
  ['ext4', 4096],
] as const)('%s, blocks of %i bytes', (format, blockSize) => {
  const fresh = (): { device: MemoryDevice; f: ExtFormat } => {
    const device = made(16 * MIB, { format, blockSize })
    return { device, f: mounted(device) }
  }

  test('10,000 names go in, are found, listed in order, and half of them go out', () => {
    const { device, f } = fresh()
    const file = create(f, 'file')
    const dir = mkdir(f, inRoot(f), 'dir')
    const names = Array.from({ length: 10_000 }, (_, i) => `name ${i} ${'ä'.repeat(i % 100)}`)
    for (const name of names) link(f, dir, file, name)
    for (const name of [names[0]!, names[9999]!]) expect(ok(f.lookupName(dir, name))).toBe(file.ino)
    expect(ok(f.lookupName(dir, 'none'))).toBe(0)
    expect(ok(f.listNames(dir)).map((d) => d.name).sort()).toEqual(['.', '..', ...names].sort())
    for (const [i, name] of names.entries()) {
      if (i % 2 === 1) continue
      ok(f.removeName(dir, name))
      file.nlink--
    }
    const blocks = dir.size
    for (let i = 0; i < 1000; i++) link(f, dir, file, `new ${i}`)
    expect(dir.size).toBe(blocks)
    for (const inode of [dir, file]) ok(f.writeInode(inode))
    const image = judge(device, f, dir, file)
    expect(debugfs(image, 'ls -p /dir').split('\n').filter((l) => l.includes('/new '))).toHaveLength(1000)
  })

  test('names of 255 bytes, directories in directories, renaming over', () => {
    const { device, f } = fresh()
    const root = inRoot(f)
    const a = mkdir(f, root, 'a'.repeat(255))
    const b = mkdir(f, a, 'é'.repeat(127))
    const file = create(f, 'file')
    expect(() => ok(f.addName(b, 'x'.repeat(256), file.ino, file.mode))).toThrow(RangeError)
    expect(() => ok(f.addName(b, 'é'.repeat(128), file.ino, file.mode))).toThrow(RangeError)
    link(f, b, file, 'one')
    const other = create(f, 'other')
    ok(f.setName(b, 'one', other.ino, other.mode))
    file.nlink--
    other.nlink++
    for (const inode of [file, other]) ok(f.writeInode(inode))
    expect(ok(f.listNames(b))).toEqual([
      { name: '.', ino: b.ino, type: 2 },
      { name: '..', ino: a.ino, type: 2 },
      { name: 'one', ino: other.ino, type: 1 },
    ])
    judge(device, f, a, b, file, other)
  })

  test('symlinks: 59 bytes in the inode, 60 in a block', () => {
    const { device, f } = fresh()
    for (const n of [1, 59, 60, 1000]) {
      const inode = create(f, `to ${n}`, S_IFLNK | 0o777)
      ok(f.initSymlink(inode, 'x'.repeat(n)))
      ok(f.writeInode(inode))
      expect(inode.map.realBlocks).toBe(n < 60 ? 0 : 1)
    }
    const image = judge(device, f)
    for (const n of [1, 59]) expect(debugfs(image, `stat "/to ${n}"`)).toContain(`"${'x'.repeat(n)}"`)
    const again = mounted(device)
    for (const n of [1, 59, 60, 1000]) {
      expect(ok(again.readInode(ok(again.lookupName(inRoot(again), `to ${n}`)))).symlink).toBe('x'.repeat(n))
    }
  })

  test('inodes come and go: generation, dtime, and the counters', () => {
    const { device, f } = fresh()
    const [inodes, blocks] = [f.freeInodes, f.freeBlocks]
    const file = create(f, 'gone')
    place(f, file, 0, 100)
    ok(f.addOrphan(file))
    expect(f.orphans).toEqual([file.ino])
    punch(f, file, 0, 100)
    const root = inRoot(f)
    ok(f.removeName(root, 'gone'))
    ok(f.freeInode(file))
    expect(f.orphans).toEqual([])
    expect([f.freeInodes, f.freeBlocks]).toEqual([inodes, blocks])
    expect(leftOf(run(f.readInode(file.ino)))).toBe('EUCLEAN')
    expect(leftOf(run(f.readInode(0)))).toBe('EUCLEAN')
    const next = create(f, 'next')
    expect(next.ino).toBe(file.ino)
    expect(debugfs(judge(device, f, next), 'stat /next')).toMatch(/Generation: 2 /)
  })

  test('a full disk refuses a new directory block and gives back what it took', () => {
    const { device, f } = fresh()
    const file = create(f, 'file')
    const dir = mkdir(f, inRoot(f), 'dir')
    const hog = create(f, 'hog')
    while (f.freeBlocks > 0) {
      const n = Math.min(f.freeBlocks, hog.map.end < 12 ? 1 : f.freeBlocks > 100 ? 64 : 1)
      if (run(f.growMap(hog, hog.map.end, n))._tag === 'Left') break
      if (f.freeBlocks === 0) break
      const got = ok(f.allocate(f.goalFor(hog), n))
      hog.map.set(hog.map.end, got.n, 3, got.start)
    }
    ok(f.shrinkMap(hog))
    while (f.freeBlocks > 0) ok(f.allocate(0, 1))
    const free = f.freeBlocks
    let i = 0
    while (i < 1000 && run(f.addName(dir, `${'x'.repeat(210)} ${i}`, file.ino, file.mode))._tag === 'Right') i++
    expect(i).toBeGreaterThan(1)
    expect(i).toBeLessThan(30)
    expect(f.freeBlocks).toBe(free)
    expect(ok(f.listNames(dir))).toHaveLength(i + 2)
    expect(device.size).toBe(16 * MIB)
  })
})

test('records of a block: whatever goes in and out, the block stays full and sane', () => {
  const op = fc.record({ name: fc.string({ minLength: 1, maxLength: 60 }), out: fc.nat(1000), remove: fc.boolean() })
  fc.assert(
    fc.property(fc.array(op, { maxLength: 80 }), (ops) => {
      const data = Buffer.alloc(1024)
      data.writeUInt16LE(1024, 4)
      const inside: number[] = []
      for (const { name, out, remove } of ops) {
        if (remove && inside.length > 0) removeRecord(data, inside.splice(out % inside.length, 1)[0]!)
        else {
          const at = insertRecord(data, 7, Buffer.from(name).subarray(0, 255), 1)
          if (at >= 0) inside.push(at)
        }
        const used = slots(data)!.filter((s) => s.ino !== 0).map((s) => s.at)
        expect(used).toEqual([...inside].sort((a, b) => a - b))
      }
    }),
    { numRuns: 100 },
  )
})

test('a damaged block is seen', () => {
  const data = Buffer.alloc(1024)
  putRecord(data, 0, 1024, 5, Buffer.from('x'), 1)
  expect(slots(data)).toHaveLength(1)
  for (const recLen of [0, 8, 1023, 2048]) {
    data.writeUInt16LE(recLen, 4)
    expect(slots(data)).toBeNull()
  }
  expect(recordSize(1)).toBe(12)
})

test('the type of a name follows the mode', () => {
  const f = mounted(made(MIB, { format: 'ext2' }))
  const file = create(f, 'file', S_IFREG | 0o600)
  const pipe = create(f, 'pipe', 0o010600)
  expect(ok(f.listNames(inRoot(f))).slice(-2).map((d) => d.type)).toEqual([1, 5])
  expect(ok(f.readInode(pipe.ino)).mode).toBe(0o010600)
  expect(ok(f.readInode(file.ino)).isFile).toBe(true)
})
