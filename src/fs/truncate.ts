/**
 * Truncate, punch and their common part: taking bytes out of a file, from the cache first and then from the map.
 *
 * Order, under the inode lock and the invalidate lock (exclusive): i_size -> zero the partly covered blocks in the cache ->
 * drop folios and bits -> free blocks. The invalidate lock keeps faults and readahead from filling a folio again between
 * dropping it and freeing its blocks (Z38); writeback under way is waited for before a folio is dropped (Z24, I24).
 * Under a journal a file of few extents is cut in one transaction. One of many is put among the orphans first, and its blocks
 * are freed piece by piece from the end: a crash in between leaves it to recovery (ext4_truncate, ext4_orphan_add).
 * Sources: truncate_pagecache, truncate_inode_pages_range (mm/truncate.c), ext4_punch_hole (fs/ext4/inode.c).
 */
import type { Kernel } from '../kernel/kernel.ts'
import { PAGE, roundDown, roundUp } from '../kernel/units.ts'
import { BLOCK_PLACE, DIRTY, type Folio, UPTODATE } from '../pagecache/folio.ts'
import { type Extent, HOLE, MAPPED, UNWRITTEN } from './extent-map.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { transact } from './journal/handle.ts'
import { fillFolio } from './read.ts'
import type { Verbs } from './verbs.ts'
import { writeWrittenBack } from './writeback.ts'

/** Change i_size to `size`, both ways. The caller holds the inode lock. Raises EIO or ENOMEM with the size unchanged. */
export function* truncate(k: Verbs, fs: FileSystem, inode: Inode, size: number): Kernel<void, 'EIO' | 'ENOMEM'> {
  yield* transact(fs, () => cut(k, fs, inode, size))
  yield* freeTail(k, fs, inode)
}

function* cut(k: Verbs, fs: FileSystem, inode: Inode, size: number): Kernel<void, 'EIO' | 'ENOMEM'> {
  const old = k.size(inode)
  yield* k.acquire(inode.invalidateLock)
  try {
    // An equal size gives back what was preallocated past the end (ext4_setattr).
    if (size <= old) {
      yield* writeOrderedFirst(k, fs, inode)
      yield* zeroPartial(k, fs, inode, size, Math.min(old, roundUp(size, fs.blockSize)))
      inode.size = size
      inode.diskSize = size
      // At once: a sync that meets it from here on has something to write.
      inode.dirty = true
      yield* dropPages(k, inode, size, Infinity)
      const first = Math.ceil(size / fs.blockSize)
      if (fs.journal === null || extentsFrom(inode, first) <= EXTENTS_AT_ONCE) yield* punchBlocks(k, fs, inode, first, 2 ** 32)
      else {
        yield* fs.format.addOrphan(inode)
        // The last page may still be faulted in: nothing may be left below it.
        yield* punchBlocks(k, fs, inode, first, Math.ceil(roundUp(size, PAGE) / fs.blockSize))
      }
    } else {
      k.extended(inode, old, size)
      inode.size = size
      // Data between the old size on disk and the end of the delayed data is still to come; until then zeros are true.
      inode.diskSize = size
    }
    inode.dirty = true
  } finally {
    k.release(inode.invalidateLock)
  }
}

/** Most extents that one transaction frees. */
const EXTENTS_AT_ONCE = 256

/** Extents that reach past block `from`. */
const extentsFrom = (inode: Inode, from: number): number => {
  const { extents } = inode.map
  let n = 0
  for (let i = extents.length - 1; i >= 0 && n <= EXTENTS_AT_ONCE && extents[i]!.lblk + extents[i]!.n > from; i--) n++
  return n
}

/** Under a journal: free what an orphan has past its size, some extents a transaction, and let it off the list. */
export function* freeTail(k: Verbs, fs: FileSystem, inode: Inode): Kernel<void, 'EIO'> {
  if (fs.journal === null || !fs.format.isOrphan(inode)) return
  const first = Math.ceil(inode.size / fs.blockSize)
  for (let last = false; !last; ) {
    yield* transact(fs, function* () {
      last = extentsFrom(inode, first) <= EXTENTS_AT_ONCE
      yield* punchBlocks(k, fs, inode, last ? first : inode.map.extents.at(-EXTENTS_AT_ONCE)!.lblk, 2 ** 32)
      if (last && inode.nlink > 0) yield* fs.format.removeOrphan(inode)
    })
  }
}

/** Free [from, to) blocks under the map lock. */
export function* punchBlocks(k: Verbs, fs: FileSystem, inode: Inode, from: number, to: number): Kernel<void> {
  if (inode.map.end <= from) return
  yield* k.acquire(inode.mapLock)
  yield* fs.punch(k, inode, from, Math.min(to, inode.map.end) - from)
  k.release(inode.mapLock)
}

/**
 * Make [from, to) read as zeros, where both lie in one block: through the cache, and only if a written or dirty block is
 * there to be zeroed (block_truncate_page, ext4_block_zero_page_range). Raises EIO if the block cannot be read.
 */
export function* zeroPartial(
  k: Verbs, fs: FileSystem, inode: Inode, from: number, to: number,
): Kernel<void, 'EIO' | 'ENOMEM'> {
  if (from >= to) return
  const block = fs.blockSize
  const cached = k.peekFolio(inode.pages!, Math.floor(from / PAGE))
  const dirty = cached !== null && (cached.bits(from - cached.pos) & DIRTY) !== 0
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  fs.lookupInto(k, inode, Math.floor(from / block), 1, e)
  // Under writeback it is about to be written there: zeros in the cache alone would not last.
  const underway = cached?.writeback === true && e.state === UNWRITTEN
  if (e.state !== MAPPED && !dirty && !underway) {
    if (cached !== null && (cached.bits(from - cached.pos) & UPTODATE) !== 0) cached.zero(from - cached.pos, to - from)
    return
  }
  const f = yield* k.grabFolio(inode.pages!, Math.floor(from / PAGE), 1, fs.strategy.claims.stablePages)
  try {
    const off = from - f.pos
    yield* fillFolio(k, fs, inode, f, roundDown(off, block), block)
    f.zero(off, to - from)
    k.dirtyBlocks(f, off, to - from)
    fs.journal?.order(inode)
  } finally {
    k.unlockFolio(f)
  }
}

/**
 * Before bytes are taken out of a file whose blocks a commit under way shows: their data goes to the disk, since the commit would not
 * find it any more, and the blocks are the file's until a later one (jbd2_journal_begin_ordered_truncate).
 */
export function* writeOrderedFirst(k: Verbs, fs: FileSystem, inode: Inode): Kernel<void> {
  const { journal } = fs
  if (journal?.mode === 'ordered' && journal.committing?.ordered.has(inode) === true) yield* writeWrittenBack(k, fs, inode)
}

/**
 * Take the whole blocks of [from, to) bytes out of the cache: folios that lie inside leave it; one that reaches over an end
 * forgets its blocks there. Dirty data is dropped; the caller means it.
 */
export function* dropPages(k: Verbs, inode: Inode, from: number, to: number): Kernel<void> {
  const pages = inode.pages!
  const last = to === Infinity ? Number.MAX_SAFE_INTEGER : Math.ceil(to / PAGE) - 1
  const found = pages.inRange(Math.floor(from / PAGE), last)
  k.referAll(found)
  for (const f of found) {
    const { generation } = f
    yield* k.lockFolio(f)
    k.unreferLocked(f)
    while (f.writeback) yield f.writebackOp
    if (f.home !== pages || f.generation !== generation) {
      k.unlockFolio(f)
      continue
    }
    if (f.pos >= from && f.pos + f.size <= to) k.removeFolio(f)
    else {
      forgetBlocks(k, f, Math.max(0, from - f.pos), Math.min(f.size, to - f.pos))
      k.unlockFolio(f)
    }
  }
}

/** Whole blocks inside [off, to) of a locked folio: zeros if somebody maps them, and nothing known below. */
const forgetBlocks = (k: Verbs, f: Folio, off: number, to: number): void => {
  const block = 1 << f.blockShift
  const first = roundUp(off, block)
  const end = roundDown(to, block)
  if (first >= end) return
  k.unmap(f)
  k.cutStream(f, first, end)
  f.zero(first, end - first)
  k.cleanBlocks(f, first, end - first)
  f.change(first, end - first, 0, BLOCK_PLACE | UPTODATE)
}
