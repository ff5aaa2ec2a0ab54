/** How large a file may become, and the feature that large ones need. */
import { maxBlocks } from './ext2-map.ts'
import type { Volume } from './groups.ts'
import { RO_HUGE_FILE, RO_LARGE_FILE, SB } from './superblock.ts'

/**
 * Bytes of the largest file: what the map reaches, cut to what i_blocks can count without huge_file (ext4_max_size), and
 * to 2 GiB in revision 0.
 */
export const maxFileBytes = (volume: Volume, extents: boolean): number => {
  const { blockSize, roCompat } = volume.geo
  if (volume.sb.readUInt32LE(SB.revision) === 0) return 2 ** 31 - 1
  const reach = extents ? 2 ** 32 - 1 : maxBlocks(blockSize / 4)
  const counted = (roCompat & RO_HUGE_FILE) !== 0 && extents ? Infinity : Math.floor((2 ** 32 - 1) / (blockSize / 512))
  return Math.min(reach, counted) * blockSize
}

/** The first file of 2 GiB: the feature says that sizes have 64 bits (ext2_update_inode). */
export const needLargeFile = (volume: Volume): void => {
  const { sb } = volume
  if ((sb.readUInt32LE(SB.roCompat) & RO_LARGE_FILE) !== 0) return
  sb.writeUInt32LE(sb.readUInt32LE(SB.roCompat) | RO_LARGE_FILE, SB.roCompat)
  volume.touch()
}
