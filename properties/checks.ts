/**
 * Checks between two calls: what must hold of locks, cache and space whenever nobody is inside the file system.
 *
 * - `checkBalance` (I17): no lock held, no folio locked, under writeback or pinned; the pages in use are those of the
 *   address spaces; dirty counts and lists agree.
 * - `checkCache` (I8, I9): an uptodate block inside i_size holds the file's bytes; a clean one is also what the disk
 *   says.
 * - `checkSpace` (I1, I2, I4, I5): each block of the device has one owner or is free; what is reserved is what is
 *   delayed and owed; what is delayed is under dirty data, and dirty data has something below it.
 * Source: reference claims I1 to I9 and I17. Each returns null, or one line that begins with the claim.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { MemoryDevice } from '../src/block/memory-device.ts'
import { Bio, submitAndWait } from '../src/block/bio.ts'
import { DELALLOC, type Extent, HOLE, MAPPED } from '../src/fs/extent-map.ts'
import type { ExtFormat } from '../src/fs/formats/ext-format.ts'
import { accountBlocks } from '../src/fs/formats/accounting.ts'
import type { Inode } from '../src/fs/inode.ts'
import { type Kernel, run } from '../src/kernel/kernel.ts'
import type { Errno } from '../src/kernel/errno.ts'
import { PageVec } from '../src/kernel/page-vec.ts'
import { PAGE } from '../src/kernel/units.ts'
import type { Session } from '../src/lab/session.ts'
import { DIRTY, type Folio, UPTODATE } from '../src/pagecache/folio.ts'
import type { SparseBytes } from './models/sparse-bytes.ts'

const LAST = Number.MAX_SAFE_INTEGER

/** Run what must not fail. */
const sure = <A>(kernel: Kernel<A, Errno>): A => {
  const done = run(kernel)
  if (isLeft(done)) throw new Error(`a check failed with ${done.left}`)
  return done.right
}

/** The folios of a file, in order. */
const foliosOf = (inode: Inode): Folio[] => inode.pages?.inRange(0, LAST) ?? []

/** I17: everything taken was given back. */
export const checkBalance = ({ fs, cache }: Session): string | null => {
  let pages = 0
  let dirty = 0
  for (const inode of fs.cachedInodes()) {
    for (const lock of [inode.rwsem, inode.invalidateLock]) {
      if (lock.exclusive || lock.shared > 0) return `I17: ${lock.free.label} is held`
    }
    if (inode.mapLock.held) return `I17: ${inode.mapLock.free.label} is held`
    for (const f of foliosOf(inode)) {
      const where = `I17: inode ${inode.ino}, folio at page ${f.index}`
      if (f.locked) return `${where} is locked`
      if (f.writeback) return `${where} is under writeback`
      if (f.pins !== 0) return `${where} has ${f.pins} pins`
      if (f.dirty !== f.dirtySlot >= 0) return `${where}: ${f.dirtyBlocks} dirty blocks, dirty slot ${f.dirtySlot}`
      pages += f.pages
      if (f.dirty) dirty += f.pages
    }
  }
  if (pages !== cache.usedPages) return `I17: ${cache.usedPages} pages in use, ${pages} in address spaces`
  if (dirty !== cache.dirtyPages) return `I17: ${cache.dirtyPages} pages counted as dirty, ${dirty} are`
  return null
}

/** I8 and I9: uptodate blocks hold the file's bytes, and clean ones those of the disk. */
export const checkCache = (
  { fs }: Session, bytesOf: (ino: number) => SparseBytes | undefined,
): string | null => {
  const block = fs.blockSize
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  const disk = Buffer.alloc(block)
  for (const inode of fs.cachedInodes()) {
    const want = inode.isFile ? bytesOf(inode.ino) : undefined
    if (want === undefined) continue
    if (inode.size !== want.size) return `I18: inode ${inode.ino} has ${inode.size} bytes, expected ${want.size}`
    for (const f of foliosOf(inode)) {
      for (let off = 0; off < f.size && f.pos + off < inode.size; off += block) {
        const bits = f.bits(off)
        if ((bits & UPTODATE) === 0) continue
        const pos = f.pos + off
        const n = Math.min(block, inode.size - pos)
        const cached = f.slab.bytes.subarray(f.base + off, f.base + off + n)
        const where = `inode ${inode.ino}, block ${pos / block}`
        if (!want.read(pos, n).equals(cached)) return `I8: ${where} is uptodate and does not hold the file's bytes`
        if ((bits & DIRTY) !== 0) continue
        inode.map.lookup(pos / block, 1, e)
        if (e.state === DELALLOC) return `I9: ${where} is clean and still delayed`
        if (e.state === MAPPED) sure(submitAndWait(fs.device, new Bio('read', e.pblk * block, PageVec.of(disk))))
        else disk.fill(0)
        if (!cached.equals(disk.subarray(0, n))) return `I9: ${where} is clean and uptodate, unlike the disk`
      }
    }
  }
  return null
}

/** I1, I2, I4, I5 by a walk over every inode and every bit. */
export const checkSpace = (session: Session): string | null => {
  const { fs } = session
  const format = fs.format as ExtFormat
  let delayed = 0
  let owed = 0
  for (const inode of fs.cachedInodes()) {
    if (inode.isFile) {
      const wrong = checkDelayed(session, inode)
      if (wrong !== null) return wrong
    }
    // The walk reads the inode tables: tell them what is so, without changing what fsync has to do.
    const { dirty } = inode
    if (dirty) sure(fs.writeInode(inode))
    inode.dirty = dirty
    delayed += inode.map.delayedBlocks
    owed += inode.owed
  }
  const { reserved, available } = fs.space
  if (reserved !== delayed + owed) return `I2: ${reserved} blocks reserved; ${delayed} are delayed and ${owed} owed`
  if (available < 0) return `I1: ${available} blocks available`
  const sums = sure(accountBlocks(format))
  if (sums.problems.length > 0) return `I5: ${sums.problems[0]}`
  if (sums.used + sums.free !== sums.total) return `I1: ${sums.used} used + ${sums.free} free of ${sums.total} blocks`
  if (sums.free !== format.freeBlocks) return `I1: ${format.freeBlocks} free by the counter, ${sums.free} by the bitmaps`
  return fs.lostBlocks > 0 ? `I3: ${fs.lostBlocks} blocks could not be given back` : null
}

/** I4: delayed blocks lie under dirty data, dirty data lies over something. */
const checkDelayed = ({ fs }: Session, inode: Inode): string | null => {
  const block = fs.blockSize
  for (const { lblk, n, state } of inode.map.extents) {
    for (let b = lblk; state === DELALLOC && b < lblk + n; b++) {
      const f = inode.pages?.find(Math.floor((b * block) / PAGE)) ?? null
      const where = `I4: inode ${inode.ino}, block ${b} is delayed`
      if (f === null || (f.bits(b * block - f.pos) & DIRTY) === 0) return `${where} and not dirty`
      if (b * block >= inode.size) return `${where} past the end (${inode.size})`
    }
  }
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  const late = fs.strategy.claims.mmapHole === 'late'
  for (const f of foliosOf(inode)) {
    for (let off = 0; off < f.size && !late; off += block) {
      if ((f.bits(off) & DIRTY) === 0) continue
      const lblk = (f.pos + off) / block
      const where = `I4: inode ${inode.ino}, block ${lblk} is dirty`
      if (f.pos + off >= inode.size) return `${where} past the end (${inode.size})`
      inode.map.lookup(lblk, 1, e)
      if (e.state === HOLE) return `${where} over a hole`
    }
  }
  return null
}

/** The image of a memory device. */
export const imageOf = (session: Session): Buffer => (session.device as MemoryDevice).image()
