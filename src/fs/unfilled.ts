/**
 * Unfilled blocks: this write placed them, and a short copy left them without data. Whatever the disk holds there must not be
 * read. Ways out, for blocks that the map calls written:
 *   reserveForPunch  before the copy: room for what punchUnfilled may need           ENOSPC, EDQUOT
 *   punchUnfilled    free them: a hole again                                         cannot fail
 *   zeroUnfilled     write zeros to the disk from the zero page, past the cache      false: the caller zeroes in the cache
 *
 * Rules: the caller holds the locks of the folios over the blocks, so that nobody fills a folio from them meanwhile; that is
 * why the invalidate lock is not needed, as it is in settle. No block is dirty. A punch may split an extent: the caller holds
 * room for the map block of that since before the copy (reserveForPunch).
 * Source: Piggin, May 2010: a DEALLOCATE operation, or "zero out the allocated but not initialized blocks ... direct IO from
 * the zero page".
 */
import { Bio, submitAndWait } from '../block/bio.ts'
import { protect } from '../block/t10.ts'
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import { PageVec, type Segment } from '../kernel/page-vec.ts'
import { PAGE } from '../kernel/units.ts'
import { type Extent, HOLE } from './extent-map.ts'
import type { Mapping } from './mapping.ts'
import type { SpaceError } from './space.ts'
import type { Verbs } from './verbs.ts'
import type { Write } from './write.ts'

/** The zero page. Nobody writes to it. */
const ZERO_PAGE = Buffer.alloc(PAGE)

/**
 * Reserve, for this mapping, the map blocks that are needed if `holes` holes are filled and parts of them punched again. Under
 * the map lock. Raises ENOSPC or EDQUOT with nothing counted.
 */
export function* reserveForPunch(k: Verbs, w: Write, m: Mapping, holes: number): Kernel<void, SpaceError> {
  const { fs, inode } = w
  // A hole that is filled and opened again leaves two extents more than there were.
  const room = Math.max(0, fs.format.owedAfter(inode, 2 * holes, 0) - inode.owed - m.reservedMap)
  if (room === 0) return
  if (k.fault('ENOSPC.punch') || fs.space.available < room) return yield* raise('ENOSPC', 'ENOSPC.punch')
  if (fs.quota !== null && fs.quota.room(inode.uid) < room) return yield* raise('EDQUOT', 'EDQUOT.punch')
  m.inode = inode
  m.reservedMap += room
  fs.hold(inode, room)
}

/** Free the unfilled blocks [lblk, lblk + n). Cannot fail; a bitmap that cannot be read loses them (`lostBlocks`). */
export function* punchUnfilled(k: Verbs, w: Write, lblk: number, n: number): Kernel<void> {
  yield* k.acquire(w.inode.mapLock)
  try {
    k.ledger.locksUndone++
    k.ledger.blocksPunched += n
    yield* w.fs.punch(k, w.inode, lblk, n)
  } finally {
    k.release(w.inode.mapLock)
  }
}

/**
 * Write zeros to the unfilled blocks [lblk, lblk + n), one bio an extent, and wait. The cache is not touched.
 * @returns false if a bio failed: the disk may still hold what it held
 */
export function* zeroUnfilled(k: Verbs, w: Write, lblk: number, n: number): Kernel<boolean> {
  const { fs, inode } = w
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  for (let b = lblk; b < lblk + n; b += e.n) {
    yield* k.acquire(inode.mapLock)
    fs.lookupInto(k, inode, b, lblk + n - b, e)
    k.release(inode.mapLock)
    const block: Segment = { bytes: ZERO_PAGE, start: 0, len: fs.blockSize, provenance: 'anonymous' }
    const bio = new Bio('write', e.pblk * fs.blockSize, new PageVec(new Array<Segment>(e.n).fill(block)))
    if (fs.protection) protect(bio)
    k.ledger.dataBios++
    k.ledger.dataBytes += bio.data.length
    if (k.fault('EIO.zero') || (yield* attempt(() => submitAndWait(fs.device, bio)))._tag === 'Left') return false
    k.ledger.blocksZeroedUndone += e.n
  }
  return true
}
