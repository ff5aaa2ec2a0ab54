/**
 * Judges for the tests of the formats: e2fsck, debugfs and mke2fs of e2fsprogs on an image in a temporary directory.
 * Only tests import this file, so it may start processes.
 */
import { spawnSync } from 'node:child_process'
import {
  closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Either } from 'fp-ts/lib/Either.js'
import { expect, onTestFinished } from 'vitest'
import { Bio, submitAndWait } from '../../block/bio.ts'
import { MemoryDevice } from '../../block/memory-device.ts'
import type { Errno } from '../../kernel/errno.ts'
import { type Kernel, run } from '../../kernel/kernel.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { type Extent, HOLE, isReal, MAPPED, type UNWRITTEN } from '../extent-map.ts'
import { type Inode, S_IFREG } from '../inode.ts'
import { accountBlocks } from './accounting.ts'
import type { ExtFormat } from './ext-format.ts'
import { mkfs, type MkfsOptions } from './mkfs.ts'
import { type MountOptions, mountFormat } from './mount.ts'

export const MIB = 2 ** 20
/** 2024-05-06 07:08:09.123456, in microseconds. */
export const NOW = 1714979289123456

/** The value of a kernel that must not fail. */
export const ok = <A, E extends Errno>(kernel: Kernel<A, E>): A => right(run(kernel))

/** The right side, or an error that shows the left. */
export const right = <A, E>(e: Either<E, A>): A => {
  if (e._tag === 'Right') return e.right
  throw new Error(`failed with ${JSON.stringify(e.left)}`)
}

/** The left side, or an error. */
export const leftOf = <A, E>(e: Either<E, A>): E => {
  if (e._tag === 'Left') return e.left
  throw new Error('did not fail')
}

/** A directory that goes away with the test. */
export const scratch = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'formats-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Run a tool of e2fsprogs. @returns its exit code and what it said */
export const tool = (name: string, ...args: string[]): { code: number | null; out: string; err: string } => {
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` }
  const done = spawnSync(name, args, { encoding: 'utf8', maxBuffer: 64 * MIB, env })
  return { code: done.status, out: done.stdout, err: done.stderr }
}

const zeros = Buffer.alloc(65536)

/** Write the device to a file; what is zero becomes a hole. */
export const save = (device: MemoryDevice): string => {
  const path = join(scratch(), 'image')
  const bytes = device.image()
  const fd = openSync(path, 'w')
  ftruncateSync(fd, bytes.length)
  for (let pos = 0; pos < bytes.length; pos += zeros.length) {
    const chunk = bytes.subarray(pos, pos + zeros.length)
    if (chunk.compare(zeros, 0, chunk.length) !== 0) writeSync(fd, chunk, 0, chunk.length, pos)
  }
  closeSync(fd)
  return path
}

/** What e2fsck -fn has to say; '' if it is content. */
export const fsck = (image: MemoryDevice | string): string => {
  const { code, out, err } = tool('e2fsck', '-fn', typeof image === 'string' ? image : save(image))
  return code === 0 ? '' : out + err
}

/** One debugfs command. */
export const debugfs = (image: string, command: string): string => tool('debugfs', '-R', command, image).out

/** What debugfs finds in a file. */
export const dump = (image: string, path: string): Buffer => {
  const target = join(scratch(), 'dump')
  debugfs(image, `dump ${path} ${target}`)
  return readFileSync(target)
}

/** A device of `size` bytes that mke2fs made. */
export const foreign = (size: number, ...args: string[]): MemoryDevice => {
  const path = join(scratch(), 'foreign')
  writeFileSync(path, '')
  truncateSync(path, size)
  const { code, err } = tool('mke2fs', '-q', '-F', ...args, path)
  if (code !== 0) throw new Error(err)
  return MemoryDevice.of(readFileSync(path))
}

/** A new file system in memory. */
export const made = (size: number, options: MkfsOptions): MemoryDevice => {
  const device = new MemoryDevice(size)
  ok(mkfs(device, { now: NOW, ...options }))
  return device
}

/** Mount what must be mountable. */
export const mounted = (device: MemoryDevice, options: MountOptions = {}): ExtFormat =>
  right(ok(mountFormat(device, { now: () => NOW, ...options })))

/** A new file under the root. */
export const create = (f: ExtFormat, name: string, mode = S_IFREG | 0o644): Inode => {
  const root = ok(f.readInode(f.rootIno))
  const inode = ok(f.allocateInode(root, mode))
  inode.nlink = 1
  ok(f.addName(root, name, inode.ino, mode))
  ok(f.writeInode(inode))
  ok(f.writeInode(root))
  return inode
}

/** Place blocks under [lblk, lblk + n), as few extents as the allocator gives, each behind the one before it. */
export const place = (
  f: ExtFormat, inode: Inode, lblk: number, n: number, state: typeof MAPPED | typeof UNWRITTEN = MAPPED,
): void => {
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  for (let at = lblk; at < lblk + n; ) {
    ok(f.growMap(inode, at, lblk + n - at))
    const goal = at > 0 && inode.map.lookup(at - 1, 1, e).pblk > 0 ? e.pblk + 1 : f.goalFor(inode)
    const got = ok(f.allocate(goal, lblk + n - at))
    inode.map.set(at, got.n, state, got.start)
    at += got.n
  }
}

/** Set the size and write the inode. */
export const finish = (f: ExtFormat, inode: Inode, size: number): void => {
  inode.size = inode.diskSize = size
  ok(f.writeInode(inode))
}

/** Punch [lblk, lblk + n). */
export const punch = (f: ExtFormat, inode: Inode, lblk: number, n: number): void => {
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  for (let at = lblk; at < lblk + n; at += e.n) {
    inode.map.lookup(at, lblk + n - at, e)
    if (isReal(e.state)) ok(f.free({ start: e.pblk, n: e.n }))
    if (e.state !== HOLE) inode.map.set(at, e.n, HOLE)
  }
  ok(f.shrinkMap(inode))
}

/** The real extents, to compare. */
export const extentsOf = (inode: Inode): Extent[] =>
  inode.map.extents.filter((e) => isReal(e.state)).map((e) => ({ ...e }))

/** Write a tag into each real, written block of the file: 'ino:lblk'. */
export const fill = (device: MemoryDevice, f: ExtFormat, inode: Inode): void => {
  for (const e of inode.map.extents) {
    for (let i = 0; i < e.n && e.state === MAPPED; i++) {
      const bytes = Buffer.alloc(f.blockSize)
      bytes.write(`${inode.ino}:${e.lblk + i}`)
      ok(submitAndWait(device, new Bio('write', (e.pblk + i) * f.blockSize, PageVec.of(bytes))))
    }
  }
}

/** What a file that `fill` wrote must read as. */
export const filled = (f: ExtFormat, inode: Inode): Buffer => {
  const bytes = Buffer.alloc(inode.size)
  for (const e of inode.map.extents) {
    for (let i = 0; i < e.n && e.state === MAPPED; i++) {
      bytes.write(`${inode.ino}:${e.lblk + i}`, (e.lblk + i) * f.blockSize)
    }
  }
  return bytes
}

/**
 * Unmount; e2fsck is content, the books add up, and a second mount reads the same map.
 * @returns the path of the image
 */
export const judge = (device: MemoryDevice, f: ExtFormat, ...inodes: Inode[]): string => {
  ok(f.unmount())
  const image = save(device)
  expect(fsck(image)).toBe('')
  const again = mounted(device, { readOnly: true })
  for (const inode of inodes) {
    const read = ok(again.readInode(inode.ino))
    ok(again.loadMap(read))
    expect(extentsOf(read)).toEqual(extentsOf(inode))
    expect(again.mapBlocks(read)).toBe(f.mapBlocks(inode))
    expect(read.size).toBe(inode.size)
  }
  const sums = ok(accountBlocks(again))
  expect(sums.problems).toEqual([])
  expect(sums.used + sums.free).toBe(sums.total)
  expect(again.freeBlocks).toBe(sums.free)
  return image
}
