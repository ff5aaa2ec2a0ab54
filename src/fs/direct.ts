/**
 * Direct I/O (O_DIRECT): past the cache, block by block, with the cache made to agree.
 *
 * A write, under the inode lock: write back and drop what is cached there -> place unwritten blocks under holes -> bios from user
 * memory -> convert, i_size -> drop again what readers brought back meanwhile (Z51). A folio that cannot be dropped because
 * it is pinned keeps its bytes; the write succeeds and the error is recorded, as dio_warn_stale_pagecache does. A format
 * without unwritten extents does not fill holes this way: the caller writes through the cache and syncs (fs/ext2 does).
 * Source: __iomap_dio_rw (fs/iomap/direct-io.c), fs/ext4/file.c.
 */
import { submitAndWait, Bio } from '../block/bio.ts'
import type { Errno } from '../kernel/errno.ts'
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import { PageVec } from '../kernel/page-vec.ts'
import { PAGE, roundUp } from '../kernel/units.ts'
import { readData } from './data-io.ts'
import { type Extent, HOLE, DELALLOC, MAPPED, UNWRITTEN } from './extent-map.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { transact, transactReserved } from './journal/handle.ts'
import { Mapping } from './mapping.ts'
import type { SpaceError } from './space.ts'
import { holdSplits, releaseSplits } from './splits.ts'
import type { Verbs } from './verbs.ts'
import { waitForWriteback } from './writeback.ts'

/** Can [pos, pos + len) be written past the cache? If not, the caller writes through it. */
export const canWriteDirect = (k: Verbs, fs: FileSystem, inode: Inode, pos: number, len: number): boolean => {
  // Where data is logged, all of it goes through the log (ext4_should_use_dio).
  if (fs.journal?.mode === 'journal') return false
  if (fs.format.hasUnwritten) return true
  const block = fs.blockSize
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  for (let b = pos / block; b < (pos + len) / block; b += e.n) {
    if (fs.lookupInto(k, inode, b, (pos + len) / block - b, e).state === HOLE) return false
  }
  return true
}

/**
 * Make the cache agree before [pos, pos + len) is written past it: what is dirty is on the disk, and nothing is cached. The
 * caller holds the inode lock.
 * @returns false if a folio must stay (it is pinned, or was dirtied again): the caller writes through the cache
 * (kiocb_invalidate_pages, ENOTBLK). Raises what writeback failed with, and then nothing was dropped
 */
export function* makeWay(
  k: Verbs, fs: FileSystem, inode: Inode, pos: number, len: number,
): Kernel<boolean, SpaceError | 'EIO'> {
  const errno = yield* fs.writeBack(k, inode, pos, pos + len)
  if (errno !== null) return yield* raise(errno as 'EIO', `${errno}.before-direct` as 'EIO.before-direct')
  return yield* invalidateRange(k, inode, pos, pos + len)
}

/**
 * Write `bytes` at `pos`, both multiples of the block size, after `makeWay`. The caller holds the inode lock. Blocks that it
 * placed past i_size and did not fill are gone when it returns (ext4_truncate_failed_write).
 * @returns bytes written; short only after progress
 */
export function* writeDirect(
  k: Verbs, fs: FileSystem, inode: Inode, pos: number, bytes: Buffer,
): Kernel<number, SpaceError | 'EIO'> {
  const block = fs.blockSize
  const m = new Mapping()
  m.reset(pos, bytes.length, k.cookie(inode))
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  let done = 0
  while (done < bytes.length) {
    const step = yield* attempt(() => writeExtent(k, fs, inode, m, pos + done, bytes, done, e))
    if (step._tag === 'Left') {
      yield* punchPastEnd(k, fs, inode, m, Math.max(k.size(inode), pos + done))
      if (done === 0) return yield* raise(step.left)
      break
    }
    done += step.right
  }
  if (pos + done > k.size(inode)) k.setSize(inode, pos + done, pos)
  inode.diskSize = Math.max(inode.diskSize, Math.min(pos + Math.floor(done / block) * block, k.size(inode)))
  if (!(yield* invalidateRange(k, inode, pos, pos + done))) inode.pages!.errors.set('EIO')
  return done
}

/** Free the blocks of `m` that lie past byte `end`: nobody will fill them. */
function* punchPastEnd(k: Verbs, fs: FileSystem, inode: Inode, m: Mapping, end: number): Kernel<void> {
  const first = Math.ceil(end / fs.blockSize)
  yield* transactReserved(fs, function* () {
    yield* k.acquire(inode.mapLock)
    for (let i = 0; i < m.madeCount; i++) {
      const { lblk, n } = m.made(i)
      const from = Math.max(lblk, first)
      if (from < lblk + n) yield* fs.punch(k, inode, from, lblk + n - from)
    }
    k.release(inode.mapLock)
  })
}

/** One extent: place, write, convert. @returns bytes */
function* writeExtent(
  k: Verbs, fs: FileSystem, inode: Inode, m: Mapping, pos: number, bytes: Buffer, from: number, e: Extent,
): Kernel<number, SpaceError | 'EIO'> {
  const block = fs.blockSize
  const lblk = pos / block
  yield* transact(fs, () => placeExtent(k, fs, inode, m, lblk, (bytes.length - from) / block, e))
  const len = e.n * block
  k.ledger.dataBios++
  k.ledger.dataBytes += len
  const data = new PageVec([{ bytes, start: from, len, provenance: 'anonymous' }])
  if (k.fault('EIO.direct')) return yield* raise('EIO', 'EIO.direct')
  const held = yield* holdSplits(k, fs, inode, [lblk], (b) => underWriteback(k, inode, b * block))
  try {
    yield* submitAndWait(fs.device, new Bio('write', e.pblk * block, data))
    yield* transactReserved(fs, function* () {
      yield* k.acquire(inode.mapLock)
      fs.convert(k, inode, lblk, e.n, held)
      k.release(inode.mapLock)
    })
  } finally {
    releaseSplits(fs, inode, held)
  }
  return len
}

/** Real blocks below the run at `lblk`, into `e`. */
function* placeExtent(
  k: Verbs, fs: FileSystem, inode: Inode, m: Mapping, lblk: number, n: number, e: Extent,
): Kernel<void, SpaceError | 'EIO'> {
  yield* k.acquire(inode.mapLock)
  try {
    fs.lookupInto(k, inode, lblk, n, e)
    if (e.state === HOLE) yield* fs.allocate(k, inode, m, lblk, e.n, UNWRITTEN)
    if (e.state === DELALLOC) yield* fs.realise(k, inode, lblk, e.n)
    if (e.state === HOLE || e.state === DELALLOC) fs.lookupInto(k, inode, lblk, e.n, e)
  } finally {
    k.release(inode.mapLock)
  }
}

const underWriteback = (k: Verbs, inode: Inode, pos: number): boolean =>
  k.peekFolio(inode.pages!, Math.floor(pos / PAGE))?.writeback === true

/** Drop clean folios of [from, to). @returns false if one must stay */
function* invalidateRange(k: Verbs, inode: Inode, from: number, to: number): Kernel<boolean> {
  const pages = inode.pages!
  let all = true
  if (to <= from) return all
  const found = pages.inRange(Math.floor(from / PAGE), Math.ceil(to / PAGE) - 1)
  k.referAll(found)
  for (const f of found) {
    const { generation } = f
    yield* k.lockFolio(f)
    k.unreferLocked(f)
    if (f.home !== pages || f.generation !== generation) {
      k.unlockFolio(f)
      continue
    }
    while (f.writeback) yield f.writebackOp
    k.unmap(f)
    if (!k.invalidateFolio(f)) {
      all = false
      k.unlockFolio(f)
    }
  }
  return all
}

/**
 * Read bytes of a file past the cache (O_DIRECT): whole blocks, holes as zeros; what is dirty there is written back first, and
 * what is on its way is waited for (kiocb_write_and_wait). The inode lock is held shared, so that no write is seen half done
 * (ext4_dio_read_iter, xfs_file_dio_read). Raises EIO, and what that writeback failed with.
 */
export function* readDirect(
  k: Verbs, fs: FileSystem, inode: Inode, pos: number, into: Buffer,
): Kernel<number, Errno> {
  const block = fs.blockSize
  yield* k.acquireShared(inode.rwsem)
  try {
    const errno = yield* fs.writeBack(k, inode, pos, pos + into.length)
    if (errno !== null) return yield* raise(errno, `${errno}.before-direct`)
    yield* waitForWriteback(k, inode, pos, pos + into.length)
    const end = Math.min(pos + into.length, roundUp(k.size(inode), block))
    const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
    for (let at = pos; at < end; ) {
      fs.lookupInto(k, inode, at / block, Math.ceil((end - at) / block), e)
      const n = Math.min(e.n * block, end - at)
      if (e.state === MAPPED) {
        yield* readData(k, fs, { bytes: into, start: at - pos, len: n, provenance: 'anonymous' }, e.pblk)
      } else into.fill(0, at - pos, at - pos + n)
      at += n
    }
    return Math.max(0, Math.min(end, k.size(inode)) - pos)
  } finally {
    k.releaseShared(inode.rwsem)
  }
}
