/**
 * The inode table: one inode as 128 or more bytes on disk.
 *
 * `ExtInode` is what hangs at `inode.format`: the bytes last read or written (fields that we do not know survive), the
 * map's blocks and the directory's index. Times are integer microseconds in core; 128-byte inodes keep whole seconds,
 * larger ones nanoseconds and years until 2446. i_blocks counts 512-byte units, blocks of the map and of extended
 * attributes included.
 *
 * Source: struct ext4_inode in fs/ext4/ext4.h; Documentation/filesystems/ext4/inodes.rst.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import { type Inode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../inode.ts'
import type { DirIndex } from './dirents.ts'
import type { DiskMap } from './disk-map.ts'
import { BlockMap } from './ext2-map.ts'
import { ExtentTree } from './ext4-map.ts'
import type { Volume } from './groups.ts'
import { GOOD_OLD_INODE_SIZE, INCOMPAT_EXTENTS, RO_DIR_NLINK, RO_EXTRA_ISIZE, RO_HUGE_FILE } from './superblock.ts'

/** Byte offsets of the fields of an inode. */
export const INODE = {
  mode: 0, uid: 2, size: 4, atime: 8, ctime: 12, mtime: 16, dtime: 20, gid: 24, links: 26, blocks: 28, flags: 32,
  map: 40, generation: 100, acl: 104, sizeHigh: 108, blocksHigh: 116, uidHigh: 120, gidHigh: 122, extraSize: 128,
  ctimeExtra: 132, mtimeExtra: 136, atimeExtra: 140, birthTime: 144, birthTimeExtra: 148,
} as const

/** Bytes of i_block: 15 pointers, or the root of an extent tree, or a short symlink. */
export const MAP_BYTES = 60
/** i_flags: hashed directory. */
export const FL_INDEX = 0x1000
/** i_flags: i_blocks counts blocks. */
export const FL_HUGE_FILE = 0x40000
/** i_flags: i_block is an extent tree. */
export const FL_EXTENTS = 0x80000
/** Bytes of an inode behind the first 128 that we make use of. */
const EXTRA_SIZE = 32

/** The format's own part of an inode in core. */
export class ExtInode {
  /** The inode as last read or written. */
  readonly raw: Buffer
  /** How the map lies on disk; null for inodes without one (short symlinks, devices, pipes). */
  disk: DiskMap | null = null
  /** `seq` of the map that the disk says; -1 when it must be stored. */
  storedSeq = -1
  /** A directory that was read with 1 link: more than can be counted, and so it stays until it is removed (dir_nlink). */
  uncounted = false
  /** Names of a directory, once it was used. */
  index: DirIndex | null = null

  constructor(raw: Buffer) {
    this.raw = raw
  }

  checkpoint(): Restore {
    const { disk, storedSeq } = this
    const raw = Buffer.from(this.raw)
    const restoreDisk = disk?.checkpoint()
    return () => {
      raw.copy(this.raw)
      this.disk = disk
      this.storedSeq = storedSeq
      // Read again at the next use.
      this.index = null
      restoreDisk?.()
    }
  }

  get flags(): number {
    return this.raw.readUInt32LE(INODE.flags)
  }
  set flags(flags: number) {
    this.raw.writeUInt32LE(flags >>> 0, INODE.flags)
  }
}

/** The format's own part of `inode`. @throws Error if it is of another file system */
export const extOf = (inode: Inode): ExtInode => {
  if (inode.format instanceof ExtInode) return inode.format
  throw new Error(`inode ${inode.ino} is not of this file system`)
}

/** Where inode `ino` lies: block of the table and byte in it. */
export const placeOf = (v: Volume, ino: number): { nr: number; at: number } => {
  const { inodesPerGroup, inodeSize, blockSize } = v.geo
  const pos = ((ino - 1) % inodesPerGroup) * inodeSize
  return { nr: v.tableStart(Math.floor((ino - 1) / inodesPerGroup)) + Math.floor(pos / blockSize), at: pos % blockSize }
}

/** The kind of map that the flags ask for. */
export const diskMapFor = (v: Volume, flags: number): DiskMap =>
  (flags & FL_EXTENTS) !== 0 ? new ExtentTree(v.geo.blockSize) : new BlockMap(v.geo.blockSize)

/** Bytes of an inode that never was, with the map of a new file. */
export const blankInode = (v: Volume, mode: number, generation: number): Buffer => {
  const raw = Buffer.alloc(v.geo.inodeSize)
  raw.writeUInt16LE(mode, INODE.mode)
  raw.writeUInt32LE(generation, INODE.generation)
  if (raw.length > GOOD_OLD_INODE_SIZE) raw.writeUInt16LE(EXTRA_SIZE, INODE.extraSize)
  const type = mode & S_IFMT
  const long = type === S_IFREG || type === S_IFDIR || type === S_IFLNK
  if (long && (v.geo.incompat & INCOMPAT_EXTENTS) !== 0) raw.writeUInt32LE(FL_EXTENTS, INODE.flags)
  writeTime(raw, INODE.birthTime, INODE.birthTimeExtra, v.now())
  return raw
}

/** Does the inode hold its symlink in i_block? Then it has no blocks but those of its attributes. */
const isShortSymlink = (v: Volume, raw: Buffer): boolean =>
  (raw.readUInt16LE(INODE.mode) & S_IFMT) === S_IFLNK && raw.readUInt32LE(INODE.blocks) === aclSectors(v, raw)

const aclSectors = (v: Volume, raw: Buffer): number => (raw.readUInt32LE(INODE.acl) === 0 ? 0 : v.geo.blockSize / 512)

/** Fill `inode` from the bytes of `ext`. */
export const decodeInode = (v: Volume, inode: Inode, ext: ExtInode): void => {
  const { raw } = ext
  inode.format = ext
  inode.mode = raw.readUInt16LE(INODE.mode)
  inode.uid = raw.readUInt16LE(INODE.uid) + raw.readUInt16LE(INODE.uidHigh) * 65536
  inode.gid = raw.readUInt16LE(INODE.gid) + raw.readUInt16LE(INODE.gidHigh) * 65536
  inode.nlink = raw.readUInt16LE(INODE.links)
  ext.uncounted = inode.nlink === 1 && inode.isDirectory && (v.geo.roCompat & RO_DIR_NLINK) !== 0
  inode.atime = readTime(raw, INODE.atime, INODE.atimeExtra)
  inode.ctime = readTime(raw, INODE.ctime, INODE.ctimeExtra)
  inode.mtime = readTime(raw, INODE.mtime, INODE.mtimeExtra)
  inode.size = raw.readUInt32LE(INODE.size) + (inode.isFile ? raw.readUInt32LE(INODE.sizeHigh) * 2 ** 32 : 0)
  inode.diskSize = inode.size
  if (isShortSymlink(v, raw)) {
    inode.symlink = raw.toString('utf8', INODE.map, INODE.map + Math.min(inode.size, MAP_BYTES))
  } else if (inode.isFile || inode.isDirectory || inode.isSymlink) ext.disk = diskMapFor(v, ext.flags)
}

/**
 * Write what `inode` says into its bytes; i_block is the map's own business. i_blocks is kept unless the map is in
 * core.
 */
export const encodeInode = (v: Volume, inode: Inode, ext: ExtInode, counted: boolean): void => {
  const { raw } = ext
  raw.writeUInt16LE(inode.mode, INODE.mode)
  raw.writeUInt16LE(inode.uid & 0xffff, INODE.uid)
  raw.writeUInt16LE(inode.uid >>> 16, INODE.uidHigh)
  raw.writeUInt16LE(inode.gid & 0xffff, INODE.gid)
  raw.writeUInt16LE(inode.gid >>> 16, INODE.gidHigh)
  raw.writeUInt16LE(ext.uncounted && inode.nlink > 0 ? 1 : inode.nlink, INODE.links)
  writeTime(raw, INODE.atime, INODE.atimeExtra, inode.atime)
  writeTime(raw, INODE.ctime, INODE.ctimeExtra, inode.ctime)
  writeTime(raw, INODE.mtime, INODE.mtimeExtra, inode.mtime)
  raw.writeUInt32LE(inode.diskSize % 2 ** 32, INODE.size)
  if (inode.isFile) raw.writeUInt32LE(Math.floor(inode.diskSize / 2 ** 32), INODE.sizeHigh)
  if (!counted) return
  const blocks = ext.disk === null ? 0 : inode.map.realBlocks + ext.disk.owned
  writeSectors(v, ext, (blocks * v.geo.blockSize) / 512 + aclSectors(v, raw))
}

const writeSectors = (v: Volume, ext: ExtInode, sectors: number): void => {
  ext.raw.writeUInt32LE(sectors % 2 ** 32, INODE.blocks)
  if ((v.geo.roCompat & RO_HUGE_FILE) === 0) return
  ext.raw.writeUInt16LE(Math.floor(sectors / 2 ** 32), INODE.blocksHigh)
  ext.flags &= ~FL_HUGE_FILE
}

/** Mark the bytes as those of a freed inode. */
export const encodeFreed = (raw: Buffer, seconds: number): void => {
  raw.writeUInt16LE(0, INODE.links)
  raw.writeUInt32LE(seconds, INODE.dtime)
  raw.writeUInt32LE(0, INODE.size)
  raw.writeUInt32LE(0, INODE.sizeHigh)
  raw.writeUInt32LE(0, INODE.blocks)
  raw.fill(0, INODE.map, INODE.map + MAP_BYTES)
  // Zeros are no extent tree: with the flag left on, e2fsck takes the inode for garbage.
  raw.writeUInt32LE((raw.readUInt32LE(INODE.flags) & ~(FL_INDEX | FL_EXTENTS)) >>> 0, INODE.flags)
}

/** Does this inode have room for the field at byte `at`? */
const hasField = (raw: Buffer, at: number): boolean =>
  raw.length > GOOD_OLD_INODE_SIZE && GOOD_OLD_INODE_SIZE + raw.readUInt16LE(INODE.extraSize) >= at + 4

const readTime = (raw: Buffer, at: number, extraAt: number): number => {
  const seconds = raw.readInt32LE(at)
  if (!hasField(raw, extraAt)) return seconds * 1e6
  const extra = raw.readUInt32LE(extraAt)
  return (seconds + (extra & 3) * 2 ** 32) * 1e6 + Math.floor((extra >>> 2) / 1000)
}

const writeTime = (raw: Buffer, at: number, extraAt: number, us: number): void => {
  const seconds = Math.floor(us / 1e6)
  if (at < GOOD_OLD_INODE_SIZE || hasField(raw, at)) raw.writeInt32LE(seconds | 0, at)
  if (!hasField(raw, extraAt)) return
  const epoch = Math.floor((seconds - (seconds | 0)) / 2 ** 32) & 3
  raw.writeUInt32LE((((us - seconds * 1e6) * 1000) * 4 + epoch) >>> 0, extraAt)
}

/** Features that inodes of this size bring with them. */
export const inodeFeatures = (inodeSize: number): number => (inodeSize > GOOD_OLD_INODE_SIZE ? RO_EXTRA_ISIZE : 0)
