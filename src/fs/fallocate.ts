/**
 * fallocate(2): allocate, punch and zero ranges; and SEEK_HOLE, SEEK_DATA.
 *
 * Needs unwritten extents, but for punch: a format without them (ext2) gives EOPNOTSUPP, as the kernel does for
 * block-mapped files. Under the inode lock; the range is written back first, so that only real extents are changed.
 * Sources: fs/ext4/extents.c (ext4_fallocate, ext4_zero_range), fs/ext4/inode.c (ext4_punch_hole), man fallocate(2).
 */
import { type Kernel, raise } from '../kernel/kernel.ts'
import { PAGE, roundDown, roundUp } from '../kernel/units.ts'
import { UPTODATE } from '../pagecache/folio.ts'
import { DELALLOC, type Extent, HOLE, MAPPED, UNWRITTEN } from './extent-map.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { transact } from './journal/handle.ts'
import type { SpaceError } from './space.ts'
import { releaseSplits, splitsRoom } from './splits.ts'
import { dropPages, punchBlocks, writeOrderedFirst, zeroPartial } from './truncate.ts'
import type { Verbs } from './verbs.ts'

/** What fallocate is to do. `punch` keeps the size always. */
export type FallocateMode = 'allocate' | 'keep-size' | 'punch' | 'zero' | 'zero-keep-size'

type FallocateError = SpaceError | 'EIO' | 'ENOMEM' | 'EOPNOTSUPP' | 'EFBIG'

/** Change [pos, pos + len) bytes of a file. The caller holds the inode lock and checked that pos >= 0, len > 0. */
export function* fallocate(
  k: Verbs, fs: FileSystem, inode: Inode, mode: FallocateMode, pos: number, len: number,
): Kernel<void, FallocateError> {
  if (mode !== 'punch' && !fs.format.hasUnwritten) return yield* raise('EOPNOTSUPP', 'EOPNOTSUPP.fallocate')
  if (pos + len > fs.format.maxBytes) return yield* raise('EFBIG', 'EFBIG.fallocate')
  // A hole that reaches over the end takes the last page whole (ext4_punch_hole).
  const size = k.size(inode)
  const bytes = mode === 'punch' && pos + len > size ? Math.max(0, roundUp(size, PAGE) - pos) : len
  if (bytes === 0) return
  yield* fs.writeBack(k, inode, pos, pos + bytes)
  yield* transact(fs, () => change(k, fs, inode, mode, pos, len, bytes))
}

/** The part of it that changes metadata; `bytes` are zeroed. */
function* change(
  k: Verbs, fs: FileSystem, inode: Inode, mode: FallocateMode, pos: number, len: number, bytes: number,
): Kernel<void, FallocateError> {
  const size = k.size(inode)
  yield* k.acquire(inode.invalidateLock)
  try {
    if (mode !== 'allocate' && mode !== 'keep-size') {
      yield* zeroRange(k, fs, inode, mode === 'punch', pos, bytes)
      // What writeback could not place is gone; it will not move the size on disk (ext4_update_disksize_before_punch).
      if (pos <= size && pos + bytes >= size) inode.diskSize = Math.max(inode.diskSize, size)
    }
    if (mode !== 'punch') yield* allocateRange(k, fs, inode, pos, len)
    yield* fs.trimMap(k, inode)
    if ((mode === 'allocate' || mode === 'zero') && pos + len > k.size(inode)) {
      k.extended(inode, k.size(inode), pos + len)
      inode.size = pos + len
      inode.diskSize = pos + len
    }
    inode.dirty = true
  } finally {
    k.release(inode.invalidateLock)
  }
}

/** Zero the partial blocks at both ends; drop the whole ones from the cache, and free them or make them unwritten. */
function* zeroRange(
  k: Verbs, fs: FileSystem, inode: Inode, punch: boolean, pos: number, len: number,
): Kernel<void, 'EIO' | 'ENOMEM' | 'ENOSPC'> {
  const block = fs.blockSize
  const to = pos + len
  const first = roundUp(pos, block)
  const last = roundDown(to, block)
  yield* writeOrderedFirst(k, fs, inode)
  if (first > last) return yield* zeroPartial(k, fs, inode, pos, to)
  yield* zeroPartial(k, fs, inode, pos, first)
  yield* zeroPartial(k, fs, inode, last, to)
  if (first === last) return
  if (punch) {
    yield* dropPages(k, inode, first, last)
    return yield* punchBlocks(k, fs, inode, first / block, last / block)
  }
  // A written extent may fall into three.
  const held = splitsRoom(fs, inode, 1)
  if (held === null) return yield* raise('ENOSPC', 'ENOSPC.zero-range')
  yield* dropPages(k, inode, first, last)
  yield* k.acquire(inode.mapLock)
  yield* punchDelayed(k, fs, inode, first / block, last / block)
  fs.unconvert(inode, first / block, (last - first) / block, held)
  k.release(inode.mapLock)
  releaseSplits(fs, inode, held)
}

/** What writeback could not place has lost its data now: its space is given back. Under the map lock. */
function* punchDelayed(k: Verbs, fs: FileSystem, inode: Inode, from: number, to: number): Kernel<void> {
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  for (let b = from; b < to; b += e.n) {
    fs.lookupInto(k, inode, b, to - b, e)
    if (e.state === DELALLOC) yield* fs.punch(k, inode, b, e.n)
  }
}

/** Place unwritten blocks under every hole. What was placed before an ENOSPC stays, as in the kernel. */
function* allocateRange(
  k: Verbs, fs: FileSystem, inode: Inode, pos: number, len: number,
): Kernel<void, SpaceError | 'EIO'> {
  const block = fs.blockSize
  const to = Math.ceil((pos + len) / block)
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  yield* k.acquire(inode.mapLock)
  try {
    for (let b = Math.floor(pos / block); b < to; ) {
      fs.lookupInto(k, inode, b, to - b, e)
      if (e.state === HOLE) b += yield* fs.allocate(k, inode, null, b, e.n, UNWRITTEN)
      else if (e.state === DELALLOC) b += yield* fs.realise(k, inode, b, e.n)
      else b += e.n
    }
  } finally {
    k.release(inode.mapLock)
  }
}

/**
 * The next data or hole at or after `pos`, in bytes; the end of the file is a hole. Raises ENXIO past the end, or for data
 * where none is left. An unwritten block is data where the cache holds it uptodate, even if it was only read (mapping_seek_hole_data).
 */
export function* seekHoleData(
  k: Verbs, fs: FileSystem, inode: Inode, pos: number, want: 'hole' | 'data',
): Kernel<number, 'ENXIO'> {
  const block = fs.blockSize
  const size = k.size(inode)
  if (pos >= size) return yield* raise('ENXIO', 'ENXIO.seek')
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  const end = Math.ceil(size / block)
  for (let b = Math.floor(pos / block); b < end; b += e.n) {
    fs.lookupInto(k, inode, b, end - b, e)
    if (e.state === UNWRITTEN) e.n = sameInCache(k, inode, b, e.n, block)
    const data = e.state === MAPPED || e.state === DELALLOC || (e.state === UNWRITTEN && isCached(k, inode, b * block))
    if (data === (want === 'data')) return Math.max(pos, b * block)
  }
  return want === 'hole' ? size : yield* raise('ENXIO', 'ENXIO.data')
}

/** How many blocks from `b` on are like the first: uptodate in the cache, or not. */
const sameInCache = (k: Verbs, inode: Inode, b: number, n: number, block: number): number => {
  const cached = isCached(k, inode, b * block)
  let i = 1
  while (i < n && isCached(k, inode, (b + i) * block) === cached) i++
  return i
}

const isCached = (k: Verbs, inode: Inode, pos: number): boolean => {
  const f = k.peekFolio(inode.pages!, Math.floor(pos / PAGE))
  return f !== null && (f.bits(pos - f.pos) & UPTODATE) !== 0
}
