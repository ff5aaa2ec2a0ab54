/**
 * Directories: linear blocks of dirents, with an index in core that is built when a directory is first used.
 *
 * Interface: the functions behind the directory part of the port (format.ts). The caller holds the directory's rwsem,
 * sees to times and link counts, and checked that a name is new. A hashed directory (dir_index) is changed as a linear
 * one, which every block of it also is, and loses INDEX_FL, as the ext2 driver does.
 *
 * With checksums each block ends in a tail that looks like a free record, and blocks of the hash tree carry theirs
 * elsewhere; when a hashed directory becomes linear, those get a tail too. A block is looked at when it is read.
 *
 * Source: fs/ext2/dir.c; fs/ext4/namei.c for the tails.
 */
import { attempt, type Kernel, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import type { Buf } from '../buffer-cache.ts'
import { type Extent, HOLE, isReal, MAPPED } from '../extent-map.ts'
import type { Dirent } from '../format.ts'
import { type Inode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../inode.ts'
import { DIR_TAIL, dirIsGood, dirSealer, hasDirTail, hashNodeIsGood, inodeSeed, putDirTail } from './checksums.ts'
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

/** Block `i` of the directory, or null for a hole. Raises EIO, also for a wrong checksum. */
function* blockAt(f: ExtFormat, dir: Inode, i: number): Kernel<Buf | null, 'EIO'> {
  const nr = placeOfBlock(dir, i)
  if (nr === 0) return null
  const buf = yield* f.volume.cache.get(nr)
  if (!buf.verified && f.volume.geo.checksums && !isGood(f, dir, buf.data)) return yield* raise('EIO', 'EIO.directory-checksum')
  buf.verified = true
  return buf
}

/** Block `i`, which has been there before. */
function* blockThere(f: ExtFormat, dir: Inode, i: number): Kernel<Buf, 'EIO'> {
  return (yield* blockAt(f, dir, i)) ?? (yield* raise('EIO', 'EIO.directory-hole'))
}

const isGood = (f: ExtFormat, dir: Inode, data: Buffer): boolean => {
  const seed = inodeSeed(f.volume.geo, dir.ino, extOf(dir).raw)
  if (hasDirTail(data)) return dirIsGood(seed, data)
  return (extOf(dir).flags & FL_INDEX) !== 0 && hashNodeIsGood(seed, data)
}

/** The part of a block that holds records. */
const recordsIn = (f: ExtFormat, data: Buffer): Buffer =>
  f.volume.geo.checksums && hasDirTail(data) ? data.subarray(0, data.length - DIR_TAIL) : data

/** Bytes of records in a new block. */
const roomIn = (f: ExtFormat): number => f.blockSize - (f.volume.geo.checksums ? DIR_TAIL : 0)

/** A block was changed. */
const changed = (f: ExtFormat, dir: Inode, buf: Buf): void => {
  const { geo, cache } = f.volume
  cache.markDirty(buf, geo.checksums ? dirSealer(inodeSeed(geo, dir.ino, extOf(dir).raw)) : null)
}

/** Call `each` for every block, the part with its records, and these. Holes are passed over as a whole. */
function* walk(
  f: ExtFormat, dir: Inode, each: (i: number, data: Buffer, records: Slot[]) => void,
): Kernel<void, 'EIO'> {
  yield* f.loadMap(dir)
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  for (let i = 0, n = blocksIn(f, dir); i < n; i++) {
    if (!isReal(dir.map.lookup(i, n - i, e).state)) {
      i += e.n - 1
      continue
    }
    const data = recordsIn(f, (yield* blockThere(f, dir, i)).data)
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
  const { data } = yield* blockThere(f, dir, Math.floor(pos / f.blockSize))
  return data.readUInt32LE(pos % f.blockSize)
}

/** Add an entry, in the first block with room; a further block is placed if there is none. */
export function* addName(
  f: ExtFormat, dir: Inode, name: string, ino: number, mode: number,
): Kernel<void, 'ENOSPC' | 'EIO'> {
  const bytes = Buffer.from(name)
  if (bytes.length === 0 || bytes.length > NAME_MAX) throw new RangeError(`name of ${bytes.length} bytes`)
  const index = yield* indexOf(f, dir)
  if (index.find(name) !== undefined) yield* f.volume.contradiction(`inode ${dir.ino} has an entry '${name}' already`)
  yield* unhash(f, dir)
  let i = index.blockFor(recordSize(bytes.length))
  if (i < 0) {
    i = yield* addBlock(f, dir)
    index.setGap(i, roomIn(f))
  }
  const buf = yield* blockThere(f, dir, i)
  const records = recordsIn(f, buf.data)
  const at = insertRecord(records, ino, bytes, recordType(f, mode))
  if (at < 0) return yield* f.volume.contradiction(`directory ${dir.ino}: block ${i} has no room for ${bytes.length} bytes`)
  changed(f, dir, buf)
  index.put(name, i * f.blockSize + at)
  index.setGap(i, largestGap(records))
}

/** Point an existing entry at another inode. */
export function* setName(f: ExtFormat, dir: Inode, name: string, ino: number, mode: number): Kernel<void, 'EIO'> {
  const pos = yield* positionOf(f, dir, name)
  const buf = yield* blockThere(f, dir, Math.floor(pos / f.blockSize))
  buf.data.writeUInt32LE(ino, pos % f.blockSize)
  buf.data[(pos % f.blockSize) + 7] = recordType(f, mode)
  changed(f, dir, buf)
}

/** Remove an entry. */
export function* removeName(f: ExtFormat, dir: Inode, name: string): Kernel<void, 'EIO'> {
  const pos = yield* positionOf(f, dir, name)
  const i = Math.floor(pos / f.blockSize)
  const buf = yield* blockThere(f, dir, i)
  const records = recordsIn(f, buf.data)
  if (!removeRecord(records, pos % f.blockSize)) yield* f.volume.contradiction(`directory ${dir.ino}: no record at ${pos}`)
  changed(f, dir, buf)
  const index = extOf(dir).index!
  index.delete(name)
  index.setGap(i, largestGap(records))
}

/** Position of an entry that exists, in a directory that is linear from now on. */
function* positionOf(f: ExtFormat, dir: Inode, name: string): Kernel<number, 'EIO'> {
  const pos = (yield* indexOf(f, dir)).find(name)
  if (pos === undefined) return yield* f.volume.contradiction(`inode ${dir.ino} has no entry '${name}'`)
  yield* unhash(f, dir)
  return pos
}

/** Write `.` and `..` into the first block of a new directory. */
export function* initDirectory(f: ExtFormat, dir: Inode, parentIno: number): Kernel<void, 'ENOSPC' | 'EIO'> {
  dir.mapLoaded = true
  const buf = yield* blockThere(f, dir, yield* addBlock(f, dir))
  const type = recordType(f, S_IFDIR)
  putRecord(buf.data, 0, recordSize(1), dir.ino, Buffer.from('.'), type)
  putRecord(buf.data, recordSize(1), roomIn(f) - recordSize(1), parentIno, Buffer.from('..'), type)
  changed(f, dir, buf)
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
  buf.data.writeUInt16LE(roomIn(f), 4)
  if (f.volume.geo.checksums) putDirTail(buf.data)
  changed(f, dir, buf)
  dir.map.set(i, 1, MAPPED, run.right.start)
  dir.size = (i + 1) * f.blockSize
  dir.diskSize = dir.size
  yield* f.writeInode(dir)
  return i
}

/** A hashed directory that is changed is a linear one from now on. Its index in core exists. */
function* unhash(f: ExtFormat, dir: Inode): Kernel<void, 'EIO'> {
  const ext = extOf(dir)
  if ((ext.flags & FL_INDEX) === 0) return
  for (let i = 0, n = blocksIn(f, dir); i < n && f.volume.geo.checksums; i++) yield* unhashBlock(f, dir, i)
  ext.flags &= ~FL_INDEX
  yield* f.writeInode(dir)
}

/** A block of the hash tree gets a tail: its last record, which held the tree, becomes so much shorter. */
function* unhashBlock(f: ExtFormat, dir: Inode, i: number): Kernel<void, 'EIO'> {
  const buf = yield* blockAt(f, dir, i)
  if (buf === null || hasDirTail(buf.data)) return
  const { data } = buf
  const last = slots(data)?.at(-1)
  if (last === undefined || last.recLen < recordSize(last.nameLen) + DIR_TAIL) return yield* raise('EIO', 'EIO.hash-node')
  data.writeUInt16LE(last.recLen - DIR_TAIL, last.at + 4)
  putDirTail(data)
  changed(f, dir, buf)
  extOf(dir).index?.setGap(i, largestGap(recordsIn(f, data)))
}
