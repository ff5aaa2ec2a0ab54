/**
 * Bitmaps that were never written (BLOCK_UNINIT, INODE_UNINIT of a group): what they would say.
 *
 * Source: ext4_init_block_bitmap of fs/ext4/balloc.c; ext4_mark_bitmap_end of fs/ext4/ialloc.c.
 */
import type { BlockNr } from '../../kernel/units.ts'
import { fillBits } from './bitmap.ts'
import type { Descriptors } from './descriptors.ts'
import { type Geometry, groupBlocks, groupStart, hasSuper } from './superblock.ts'

/** Into zeros: the bits behind the last inode of a group. */
export const emptyInodeBitmap = (geo: Geometry) => (data: Buffer): void =>
  fillBits(data, geo.inodesPerGroup, 8 * geo.blockSize - geo.inodesPerGroup, 1)

/** Into zeros: the metadata of group `g` itself, as far as it lies there, and the bits behind its end. */
export const emptyBlockBitmap = (geo: Geometry, descs: Descriptors, g: number) => (data: Buffer): void => {
  const end = groupBlocks(geo, g)
  fillBits(data, end, 8 * geo.blockSize - end, 1)
  const mark = (start: BlockNr, n: number): void => {
    const bit = start - groupStart(geo, g)
    if (bit >= 0 && bit < end) fillBits(data, bit, Math.min(n, end - bit), 1)
  }
  if (hasSuper(geo, g)) mark(groupStart(geo, g), 1 + geo.descBlocks + geo.reservedDescBlocks)
  mark(descs.blockBitmap(g), 1)
  mark(descs.inodeBitmap(g), 1)
  mark(descs.table(g), geo.tableBlocks)
}
