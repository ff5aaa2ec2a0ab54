/**
 * Inode: one file in core.
 *
 * Two sizes: `size` (i_size) is what stat and readers see; `diskSize` (ext4 i_disksize) is what may be written to disk,
 * and moves only when data below it is safe to be found there. Times are microseconds since the epoch, as integers.
 *
 * Lock order, outer to inner: `rwsem` (write, truncate) > `invalidateLock` (exclusive: truncate, punch; shared: fault,
 * readahead) > folio lock, ascending index > `mapLock` (extent map; XFS ILOCK, ext4 i_data_sem).
 */
import { type Checkpointable, type Restore, restoreAll } from '../kernel/checkpoint.ts'
import { Lock, RwLock } from '../kernel/lock.ts'
import type { AddressSpace } from '../pagecache/address-space.ts'
import { ExtentMap } from './extent-map.ts'

/** File type bits of `mode` (stat(2)). */
export const S_IFMT = 0o170000
export const S_IFREG = 0o100000
export const S_IFDIR = 0o040000
export const S_IFLNK = 0o120000

/** One inode in core. Formats fill it in `readInode` and `allocateInode`; the fields below `format's own` are theirs. */
export class Inode {
  readonly ino: number
  mode: number
  uid = 0
  gid = 0
  nlink = 0
  /** Microseconds since the epoch. */
  atime = 0
  mtime = 0
  ctime = 0
  /** Bytes, as stat shows it. */
  size = 0
  /** Bytes, as the next inode write records it. */
  diskSize = 0
  /** Has something changed that writeInode would write? */
  dirty = false
  /** The transaction in which it was last written; see `Journal`. */
  tid = 0
  /** Open files and other holders; an inode without names and holders is freed. */
  holders = 0
  /** Target of a symlink, null if this is none. */
  symlink: string | null = null
  readonly map = new ExtentMap()
  /** Map blocks reserved until all delayed extents are real. */
  owed = 0
  mapLoaded = false

  readonly rwsem: RwLock
  readonly invalidateLock: RwLock
  readonly mapLock: Lock
  /** The page cache of this file; made when it is first opened. */
  pages: AddressSpace | null = null

  /** Format's own: what it needs to write this inode back (flags, generation, map blocks, directory index). */
  format: Checkpointable | null = null

  constructor(ino: number, mode: number) {
    this.ino = ino
    this.mode = mode
    this.rwsem = new RwLock(`inode ${ino} rwsem`)
    this.invalidateLock = new RwLock(`inode ${ino} invalidate lock`)
    this.mapLock = new Lock(`inode ${ino} map lock`)
  }

  checkpoint(): Restore {
    const { mode, uid, gid, nlink, atime, mtime, ctime, size, diskSize, dirty, tid, holders, symlink, owed } = this
    const { mapLoaded, pages, format } = this
    const parts = [this.map, this.rwsem, this.invalidateLock, this.mapLock, pages, format]
    const restore = restoreAll(parts.flatMap((part) => (part === null ? [] : [part.checkpoint()])))
    return () => {
      this.mode = mode
      this.uid = uid
      this.gid = gid
      this.nlink = nlink
      this.atime = atime
      this.mtime = mtime
      this.ctime = ctime
      this.size = size
      this.diskSize = diskSize
      this.dirty = dirty
      this.tid = tid
      this.holders = holders
      this.symlink = symlink
      this.owed = owed
      this.mapLoaded = mapLoaded
      this.pages = pages
      this.format = format
      restore()
    }
  }

  get isFile(): boolean {
    return (this.mode & S_IFMT) === S_IFREG
  }
  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR
  }
  get isSymlink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK
  }
}
