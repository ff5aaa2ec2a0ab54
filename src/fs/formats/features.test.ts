/** Checksums, 64-byte descriptors, groups that were never written: what today's mkfs.ext4 makes, and what ours makes of it. */
import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { MemoryDevice } from '../../block/memory-device.ts'
import { kernelJudge } from '../../oracle/kernel-judge.ts'
import { Random } from '../../lab/workload/random.ts'
import { type Inode, S_IFDIR, S_IFREG } from '../inode.ts'
import { accountBlocks } from './accounting.ts'
import type { ExtFormat } from './ext-format.ts'
import {
  create, dump, fill, filled, finish, foreign, fsck, judge, made, MIB, mounted, ok, place, punch, save,
} from './judges.test-util.ts'
import type { MkfsOptions } from './mkfs.ts'

const kernel = await kernelJudge.available()

/** Files that come, grow, shrink and go, directories with many names. @returns the inodes that are left */
const live = (f: ExtFormat, seed: number, steps: number): Inode[] => {
  const random = new Random(seed)
  const root = ok(f.readInode(f.rootIno))
  const inodes = new Map<string, Inode>()
  const dir = ok(f.allocateInode(root, S_IFDIR | 0o755))
  ok(f.initDirectory(dir, root.ino))
  ok(f.addName(root, 'dir', dir.ino, dir.mode))
  dir.nlink = 2
  root.nlink++
  for (let i = 0; i < steps; i++) {
    const name = `name ${random.below(40)} ${'x'.repeat(random.below(3) * 60)}`
    const there = inodes.get(name)
    if (there === undefined) {
      const inode = ok(f.allocateInode(dir, S_IFREG | 0o644))
      inode.nlink = 1
      ok(f.addName(dir, name, inode.ino, inode.mode))
      ok(f.writeInode(inode))
      inodes.set(name, inode)
    } else if (random.below(4) === 0) {
      punch(f, there, 0, there.map.end)
      ok(f.removeName(dir, name))
      there.nlink = 0
      ok(f.freeInode(there))
      inodes.delete(name)
    } else {
      const at = random.below(300)
      punch(f, there, at, 10)
      if (f.freeBlocks > 100) place(f, there, at + random.below(5), 1 + random.below(4))
      finish(f, there, (there.map.end + 1) * f.blockSize)
    }
    if (random.below(50) === 0) ok(f.sync())
  }
  for (const inode of [dir, root]) ok(f.writeInode(inode))
  return [...inodes.values()]
}

/** e2fsck, the books, and the kernel where there is one. */
const accepted = async (device: MemoryDevice, f: ExtFormat, inodes: Inode[]): Promise<string> => {
  const path = judge(device, f, ...inodes)
  if (kernel.ok) {
    const after = save(device)
    const mountedAt = await kernelMount(after)
    expect(mountedAt).toBe('')
    expect(fsck(after)).toBe('')
  }
  return path
}

/** Mount with Linux, write a little, unmount. @returns '' or why not */
const kernelMount = async (path: string): Promise<string> => {
  const { mountImage } = await import('../../host/loop-mount.ts')
  const { Scratch } = await import('../../host/scratch.ts')
  using scratch = new Scratch('perform-write-features')
  const there = await mountImage(scratch, path, 'ext4')
  if ('refused' in there) return there.refused
  for (let i = 0; i < 30; i++) writeFileSync(`${there.directory}/by the kernel ${i}`, Buffer.alloc(20_000, i))
  there.unmount()
  return ''
}

const ours: MkfsOptions[] = [1024, 4096].flatMap((blockSize) =>
  [true, false].flatMap((metadataCsum) => [true, false].map((bits64) => ({ format: 'ext4' as const, blockSize, metadataCsum, bits64 }))))

describe.each(ours)('mkfs with $blockSize, checksums $metadataCsum, 64bit $bits64', (options) => {
  test.each([3 * MIB, 60 * MIB])('a device of %i bytes is accepted, fresh and after changes', async (size) => {
    const device = made(size, { ...options, inodes: 300 })
    expect(fsck(device)).toBe('')
    const sums = ok(accountBlocks(mounted(device.fork())))
    expect(sums.problems).toEqual([])
    const f = mounted(device)
    await accepted(device, f, live(f, size, 300))
  })
})

test.skipIf(!kernel.ok)('the kernel is asked', () => expect(kernel.ok).toBe(true))

const theirs: [string, number, string[]][] = [
  ['plain, 4 KiB', 64, ['-b', '4096']],
  ['plain, 1 KiB', 64, ['-b', '1024']],
  ['plain, without a journal', 300, ['-b', '4096', '-O', '^has_journal']],
  ['1 KiB, without a journal', 64, ['-b', '1024', '-O', '^has_journal']],
  ['128-byte inodes', 64, ['-O', '^has_journal', '-I', '128']],
  ['a seed of its own', 64, ['-O', '^has_journal,metadata_csum_seed']],
  ['an orphan file', 64, ['-O', 'orphan_file']],
  ['uninit_bg', 64, ['-b', '1024', '-O', '^has_journal,^metadata_csum,uninit_bg']],
  ['uninit_bg with 32-byte descriptors', 64, ['-b', '1024', '-O', '^has_journal,^metadata_csum,^64bit,uninit_bg']],
  ['no flex groups', 64, ['-b', '1024', '-O', '^has_journal,^flex_bg']],
]

describe.each(theirs)('mkfs.ext4: %s', (_name, size, args) => {
  test('is mounted, written, accepted', async () => {
    const device = foreign(size * MIB, '-t', 'ext4', ...args)
    const f = mounted(device)
    const sums = ok(accountBlocks(f))
    expect(sums.problems).toEqual([])
    expect(sums.used + sums.free).toBe(sums.total)
    const file = create(f, 'file')
    place(f, file, 0, 900)
    place(f, file, 1000, 1)
    finish(f, file, 1001 * f.blockSize)
    fill(device, f, file)
    const image = await accepted(device, f, [file, ...live(f, size, 400)])
    expect(dump(image, '/file')).toEqual(filled(f, file))
  })

  test('every block and inode can be used, in groups that were never written too', async () => {
    const device = foreign(size * MIB, '-t', 'ext4', ...args, '-N', '2000')
    const f = mounted(device)
    const file = create(f, 'file')
    while (f.freeBlocks > 300) place(f, file, file.map.end, Math.min(5000, f.freeBlocks - 250))
    finish(f, file, file.map.end * f.blockSize)
    let i = 0
    while (f.freeInodes > 0) create(f, `file ${i++}`)
    judge(device, f, file)
    const again = mounted(device)
    const back = ok(again.readInode(file.ino))
    ok(again.loadMap(back))
    punch(again, back, 0, back.map.end)
    finish(again, back, 0)
    const root = ok(again.readInode(again.rootIno))
    for (let j = 0; j < 50; j++) {
      const gone = ok(again.readInode(ok(again.lookupName(root, `file ${j}`))))
      ok(again.removeName(root, `file ${j}`))
      gone.nlink = 0
      ok(again.freeInode(gone))
    }
    await accepted(device, again, [back])
  })
})
