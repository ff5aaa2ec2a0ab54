/**
 * Directories: linear blocks of dirents, with an index in core that is built when a directory is first used.
 *
 * Interface: the functions behind the directory part of the port (format.ts). The caller holds the directory's rwsem,
 * sees to times and link counts, and checked that a name is new. A hashed directory (dir_index) is changed as a linear
 * one, which every block of it also is, and loses INDEX_FL, as the ext2 driver does.
 *
 * Source: fs/ext2/dir.c.
 */
import { attempt, type Kernel, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { type Extent, HOLE, isReal, MAPPED } from '../extent-map.ts'
import type { Dirent } from '../format.ts'
import { type Inode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../inode.ts'
import {
  DirIndex, insertRecord, largestGap, NAME_MAX, nameOf, putRecord, recordSize, removeRecord, type Slot, slots,
} from './dirents.ts'
import type { ExtFormat } from './ext-format.ts'
import { extOf, FL_INDEX } from './inode-table.ts'
import { INCOMPAT_FILETYPE } from './superblock.ts'

/**
 * File type byte of a dirent by mode (fs_ftype_to_dtype): 1 file, 2 directory, 3 char, 4 block, 5 fifo, 6 socket, 7
 * symlink.
 */
const typeOf = (mode: number): number => {
  switch (mode & S_IFMT) {
    case S_IFREG: return 1
    case S_IFDIR: return 2
    case 0o020000: return 3
    case 0o060000: return 4
    case 0o010000: return 5
    case 0o140000: return 6
    case S_IFLNK: return 7
    default: return 0
  }
}

const recordType = (f: ExtFormat, mode: number): number =>
  (f.volume.geo.incompat & INCOMPAT_FILETYPE) === 0 ? 0 : typeOf(mode)

const blocksIn = (f: ExtFormat, dir: Inode): number => Math.ceil(dir.size / f.blockSize)

/** Device block of block `i` of the directory; 0 for a hole. */
const placeOfBlock = (dir: Inode, i: number): BlockNr => {
  const e: Extent = dir.map.lookup(i, 1, { lblk: 0, n: 0, state: HOLE, pblk: 0 })
  return isReal(e.state) ? e.pblk : 0
}

/** Call `each` for every block with its records. */
function* walk(
  f: ExtFormat, dir: Inode, each: (i: number, data: Buffer, records: Slot[]) => void,
): Kernel<void, 'EIO'> {
  yield* f.loadMap(dir)
  for (let i = 0; i < blocksIn(f, dir); i++) {
    const nr = placeOfBlock(dir, i)
    if (nr === 0) continue
    const { data } = yield* f.volume.cache.get(nr)
    const records = slots(data)
    if (records === null) return yield* raise('EIO', 'EIO.dirent')
    each(i, data, records)
  }
}

function* indexOf(f: ExtFormat, dir: Inode): Kernel<DirIndex, 'EIO'> {
  const ext = extOf(dir)
  if (ext.index !== null) return ext.index
  const index = new DirIndex()
  yield* walk(f, dir, (i, data, records) => {
    for (const r of records) if (r.ino !== 0) index.put(nameOf(data, r), i * f.blockSize + r.at)
    index.setGap(i, largestGap(data))
  })
  return (ext.index ??= index)
}

/** All entries, in the order of the blocks. */
export function* listNames(f: ExtFormat, dir: Inode): Kernel<readonly Dirent[], 'EIO'> {
  const out: Dirent[] = []
  const typed = (f.volume.geo.incompat & INCOMPAT_FILETYPE) !== 0
  yield* walk(f, dir, (_i, data, records) => {
    for (const r of records) if (r.ino !== 0) out.push({ name: nameOf(data, r), ino: r.ino, type: typed ? r.type : 0 })
  })
  return out
}

/** The inode number under `name`, or 0. */
export function* lookupName(f: ExtFormat, dir: Inode, name: string): Kernel<number, 'EIO'> {
  const pos = (yield* indexOf(f, dir)).find(name)
  if (pos === undefined) return 0
  const { data } = yield* f.volume.cache.get(placeOfBlock(dir, Math.floor(pos / f.blockSize)))
  return data.readUInt32LE(pos % f.blockSize)
}

/** Add an entry, in the first block with room; a further block is placed if there is none. */
export function* addName(
  f: ExtFormat, dir: Inode, name: string, ino: number, mode: number,
): Kernel<void, 'ENOSPC' | 'EIO'> {
  const bytes = Buffer.from(name)
  if (bytes.length === 0 || bytes.length > NAME_MAX) throw new RangeError(`name of ${bytes.length} bytes`)
  const index = yield* indexOf(f, dir)
  if (index.find(name) !== undefined) throw new Error(`inode ${dir.ino} has an entry '${name}' already`)
  let i = index.blockFor(recordSize(bytes.length))
  if (i < 0) {
    i = yield* addBlock(f, dir)
    index.setGap(i, f.blockSize)
  }
  yield* unhash(f, dir)
  const buf = yield* f.volume.cache.get(placeOfBlock(dir, i))
  const at = insertRecord(buf.data, ino, bytes, recordType(f, mode))
  if (at < 0) throw new Error(`directory ${dir.ino}: block ${i} has no room for ${bytes.length} bytes`)
  f.volume.cache.markDirty(buf)
  index.put(name, i * f.blockSize + at)
  index.setGap(i, largestGap(buf.data))
}

/** Point an existing entry at another inode. */
export function* setName(f: ExtFormat, dir: Inode, name: string, ino: number, mode: number): Kernel<void, 'EIO'> {
  const pos = yield* positionOf(f, dir, name)
  const buf = yield* f.volume.cache.get(placeOfBlock(dir, Math.floor(pos / f.blockSize)))
  buf.data.writeUInt32LE(ino, pos % f.blockSize)
  buf.data[(pos % f.blockSize) + 7] = recordType(f, mode)
  f.volume.cache.markDirty(buf)
}

/** Remove an entry. */
export function* removeName(f: ExtFormat, dir: Inode, name: string): Kernel<void, 'EIO'> {
  const pos = yield* positionOf(f, dir, name)
  const i = Math.floor(pos / f.blockSize)
  const buf = yield* f.volume.cache.get(placeOfBlock(dir, i))
  removeRecord(buf.data, pos % f.blockSize)
  f.volume.cache.markDirty(buf)
  const index = extOf(dir).index!
  index.delete(name)
  index.setGap(i, largestGap(buf.data))
}

/** Position of an entry that exists, in a directory that is linear from now on. */
function* positionOf(f: ExtFormat, dir: Inode, name: string): Kernel<number, 'EIO'> {
  const pos = (yield* indexOf(f, dir)).find(name)
  if (pos === undefined) throw new Error(`inode ${dir.ino} has no entry '${name}'`)
  yield* unhash(f, dir)
  return pos
}

/** Write `.` and `..` into the first block of a new directory. */
export function* initDirectory(f: ExtFormat, dir: Inode, parentIno: number): Kernel<void, 'ENOSPC' | 'EIO'> {
  dir.mapLoaded = true
  const nr = placeOfBlock(dir, yield* addBlock(f, dir))
  const buf = yield* f.volume.cache.get(nr)
  const type = recordType(f, S_IFDIR)
  putRecord(buf.data, 0, recordSize(1), dir.ino, Buffer.from('.'), type)
  putRecord(buf.data, recordSize(1), f.blockSize - recordSize(1), parentIno, Buffer.from('..'), type)
  f.volume.cache.markDirty(buf)
  extOf(dir).index = null
}

/** Append a block with one free record. @returns its number in the directory. Raises ENOSPC with nothing placed */
function* addBlock(f: ExtFormat, dir: Inode): Kernel<number, 'ENOSPC' | 'EIO'> {
  const i = blocksIn(f, dir)
  const { cache } = f.volume
  yield* f.growMap(dir, i, 1)
  const before = i > 0 ? placeOfBlock(dir, i - 1) : 0
  const run = yield* attempt(() => f.allocate(before > 0 ? before + 1 : f.goalFor(dir), 1))
  if (run._tag === 'Left') {
    yield* f.shrinkMap(dir)
    return yield* raise(run.left)
  }
  const buf = cache.fresh(run.right.start)
  buf.data.writeUInt16LE(f.blockSize, 4)
  dir.map.set(i, 1, MAPPED, run.right.start)
  dir.size = (i + 1) * f.blockSize
  dir.diskSize = dir.size
  yield* f.writeInode(dir)
  return i
}

/** A hashed directory that is changed is a linear one from now on. */
function* unhash(f: ExtFormat, dir: Inode): Kernel<void, 'EIO'> {
  const ext = extOf(dir)
  if ((ext.flags & FL_INDEX) === 0) return
  ext.flags &= ~FL_INDEX
  yield* f.writeInode(dir)
}
