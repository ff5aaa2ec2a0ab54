/**
 * The journal of a new file system: inode 8, its blocks, its superblock.
 *
 * The blocks are as contiguous as the groups allow, from the middle of the file system on, where the ways are shortest on
 * average (mke2fs does so, too). Files of ext4 map them by extents, files of ext2 by blocks: that is ext3. The journal is made
 * clean and with the features that a mount would set: revoke blocks, and checksums of version 3 and 64-bit numbers where the
 * file system has them. The rest of its blocks is not written: the device reads as zeros there, or `zeros` says that it
 * does not.
 *
 * Source: ext2fs_add_journal_inode3, ext2fs_create_journal_superblock2, ext2fs_default_journal_size (e2fsprogs
 * lib/ext2fs/mkjournal.c); set_journal_csum_feature_set (fs/ext4/super.c).
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { Bio, submitAndWait } from '../../block/bio.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { PageVec, type Segment } from '../../kernel/page-vec.ts'
import { MAPPED } from '../extent-map.ts'
import { Inode, S_IFREG } from '../inode.ts'
import { encodeBackup, JOURNAL_INO } from '../journal/journal-area.ts'
import {
  encodeJournalSuper, J_64BIT, J_CSUM_V3, J_REVOKE, MIN_JOURNAL_BLOCKS, newJournalSuper,
} from '../journal/super.ts'
import type { ExtFormat } from './ext-format.ts'
import { blankInode, decodeInode, ExtInode } from './inode-table.ts'
import {
  type Geometry, groupStart, INCOMPAT_64BIT, overhead, RO_METADATA_CSUM, SB,
} from './superblock.ts'

/** Blocks from which a larger journal is the default, and the journal below them. */
const DEFAULTS: readonly (readonly [below: number, blocks: number])[] = [
  [32768, 1024], [262144, 4096], [524288, 8192], [4194304, 16384], [8388608, 32768], [16777216, 65536], [33554432, 131072],
]

/** Blocks of the journal that is asked for; 0 is none. A line if it cannot be: too small, or more than half of the space. */
export const journalBlocksOf = (geo: Geometry, asked: number | 'auto'): Either<string, number> => {
  const blocks = asked === 'auto' ? (DEFAULTS.find(([below]) => geo.totalBlocks < below)?.[1] ?? 262144) : asked
  if (blocks === 0) return right(0)
  const most = Math.floor((geo.totalBlocks - overhead(geo)) / 2)
  if (!Number.isInteger(blocks) || blocks < MIN_JOURNAL_BLOCKS) {
    return left(`mkfs: a journal of ${blocks} blocks: at least ${MIN_JOURNAL_BLOCKS} are needed`)
  }
  return blocks <= most ? right(blocks) : left(`mkfs: a journal of ${blocks} blocks: at most ${most} in ${geo.totalBlocks} blocks`)
}

/** Features of the journal of such a file system. */
export const journalFeatures = ({ incompat, roCompat }: Geometry): number =>
  J_REVOKE | ((incompat & INCOMPAT_64BIT) !== 0 ? J_64BIT : 0) | ((roCompat & RO_METADATA_CSUM) !== 0 ? J_CSUM_V3 : 0)

/**
 * Make a journal of `length` blocks in a new file system, and say so in its superblock.
 * @param zeros write zeros over its blocks
 */
export function* makeJournal(format: ExtFormat, length: number, zeros: boolean): Kernel<void, 'EIO' | 'ENOSPC'> {
  const { volume } = format
  const { geo, sb } = volume
  const inode = new Inode(JOURNAL_INO, S_IFREG | 0o600)
  decodeInode(volume, inode, new ExtInode(blankInode(volume, inode.mode, 0)))
  Object.assign(inode, { nlink: 1, mapLoaded: true, atime: volume.now(), ctime: volume.now(), mtime: volume.now() })
  yield* placeAll(format, inode, length)
  inode.size = inode.diskSize = length * geo.blockSize
  yield* format.writeInode(inode)
  if (zeros) yield* zeroAll(format, inode)
  const uuid = Buffer.from(sb.subarray(SB.uuid, SB.uuid + 16))
  const first = volume.cache.fresh(inode.map.extents[0]!.pblk)
  encodeJournalSuper(newJournalSuper(geo.blockSize, length, uuid, journalFeatures(geo))).copy(first.data)
  encodeBackup(sb, inode)
  volume.touch()
}

/** Place all blocks, each run behind the one before; the first in the middle. Blocks of the map stand before it. */
function* placeAll(format: ExtFormat, inode: Inode, length: number): Kernel<void, 'EIO' | 'ENOSPC'> {
  const { geo } = format.volume
  let goal = groupStart(geo, Math.floor(geo.groupCount / 2))
  for (let at = 0; at < length; ) {
    yield* format.growMap(inode, at, length - at)
    const run = yield* format.allocate(goal, length - at)
    inode.map.set(at, run.n, MAPPED, run.start)
    at += run.n
    goal = run.start + run.n
  }
}

function* zeroAll({ volume: { cache } }: ExtFormat, inode: Inode): Kernel<void, 'EIO'> {
  const { blockSize } = cache
  const bytes = Buffer.alloc(blockSize)
  const segment: Segment = { bytes, start: 0, len: blockSize, provenance: 'anonymous' }
  const most = (1 << 20) / blockSize
  for (const { pblk, n } of inode.map.extents) {
    for (let i = 0; i < n; i += most) {
      const vec = Array.from({ length: Math.min(most, n - i) }, () => segment)
      yield* submitAndWait(cache.device, new Bio('write', (pblk + i) * blockSize, new PageVec(vec)))
    }
  }
}
