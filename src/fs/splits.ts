/**
 * Splits: an unwritten extent of which a part is written becomes up to three, and three may need a map block that one
 * did not.
 *
 * Nobody reserved that block when the data was accepted (it is no new space), and a full disk has none. So room is
 * held before the I/O, where the extent is still whole; if there is none, the rest of the extent is written with
 * zeros and becomes written with the part: no extent more, no block more (claim I26). Zeros are on the disk before
 * the map says written.
 *
 * Rules: hold before the first bio of a pass is submitted, release after the last conversion. What a conversion comes to owe is
 * taken out of what is held for it in the same step, so that no block counts twice. Blocks past i_size stay
 * as they are, and so do blocks under somebody else's I/O. Source: ext4_split_extent_at with EXT4_EXT_MAY_ZEROOUT,
 * ext4_ext_zeroout (fs/ext4/extents.c).
 */
import { Bio, submitAndWait } from '../block/bio.ts'
import { attempt, type Kernel } from '../kernel/kernel.ts'
import { PageVec } from '../kernel/page-vec.ts'
import { type Extent, HOLE, UNWRITTEN } from './extent-map.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { transactReserved } from './journal/handle.ts'
import type { Verbs } from './verbs.ts'

/** Most bytes of zeros in a bio. */
const BIO_BYTES = 1 << 20

/** Map blocks that an operation holds for extents it is about to split; what came to be owed for one is not in it any more. */
export interface SplitRoom {
  blocks: number
}

/**
 * Hold room to convert each block range that begins at one of `lblks`, or make sure that none is needed.
 * @param busy is this block under I/O that the caller did not start?
 * @returns what is held, for `convert` and `releaseSplits`; null: nothing is
 */
export function* holdSplits(
  k: Verbs, fs: FileSystem, inode: Inode, lblks: readonly number[], busy: (lblk: number) => boolean,
): Kernel<SplitRoom | null> {
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  const unwritten = lblks.filter((lblk) => inode.map.lookup(lblk, 1, e).state === UNWRITTEN)
  if (unwritten.length === 0) return null
  const room = splitsRoom(fs, inode, unwritten.length)
  if (room !== null) return room
  yield* transactReserved(fs, () => zeroAll(k, fs, inode, unwritten, busy))
  return null
}

function* zeroAll(
  k: Verbs, fs: FileSystem, inode: Inode, lblks: readonly number[], busy: (lblk: number) => boolean,
): Kernel<void> {
  yield* k.acquire(inode.mapLock)
  try {
    for (const lblk of lblks) yield* zeroOut(k, fs, inode, lblk, busy)
    yield* fs.trimMap(k, inode)
  } finally {
    k.release(inode.mapLock)
  }
}

/** Hold room for `count` extents that are split. Plain. @returns what is held; null if there is no room */
export const splitsRoom = (fs: FileSystem, inode: Inode, count: number): SplitRoom | null => {
  const blocks = Math.max(0, fs.format.owedAfter(inode, 2 * count, 0) - inode.owed)
  if (blocks > fs.space.available) return null
  fs.hold(inode, blocks)
  fs.space.splits += blocks
  return { blocks }
}

/** Let go of `n` of the blocks that are still held; all of them unless told otherwise. */
export const releaseSplits = (fs: FileSystem, inode: Inode, room: SplitRoom | null, n = room?.blocks ?? 0): void => {
  if (room === null) return
  room.blocks -= n
  fs.hold(inode, -n)
  fs.space.splits -= n
}

/** An extent was split: map blocks that will be owed for that, when `owed` is brought up to date next, are held here no more. */
export const oweSplit = (fs: FileSystem, inode: Inode, room: SplitRoom | null): void => {
  if (room === null || room.blocks === 0) return
  const grown = fs.format.owed(inode) - inode.owed
  if (grown > 0) releaseSplits(fs, inode, room, Math.min(grown, room.blocks))
}

/** Make all of the unwritten extent at `lblk` written, as zeros. What fails to be written stays unwritten. */
function* zeroOut(
  k: Verbs, fs: FileSystem, inode: Inode, lblk: number, busy: (lblk: number) => boolean,
): Kernel<void> {
  const extent = inode.map.extents.find((x) => x.lblk <= lblk && lblk < x.lblk + x.n)
  if (extent?.state !== UNWRITTEN) return
  const { lblk: start, pblk } = extent
  const end = Math.min(start + extent.n, Math.ceil(k.size(inode) / fs.blockSize))
  const most = BIO_BYTES / fs.blockSize
  for (let b = start; b < end; ) {
    let n = 0
    while (n < most && b + n < end && !busy(b + n)) n++
    if (n === 0) {
      b++
      continue
    }
    const zeros = PageVec.of(Buffer.alloc(n * fs.blockSize))
    k.ledger.dataBios++
    k.ledger.dataBytes += n * fs.blockSize
    const bio = new Bio('write', (pblk + b - start) * fs.blockSize, zeros)
    const written = k.fault('EIO.zeroout') ? null : yield* attempt(() => submitAndWait(fs.device, bio))
    if (written?._tag === 'Right') fs.convert(k, inode, b, n)
    b += n
  }
}
