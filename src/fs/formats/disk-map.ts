/**
 * DiskMap: the blocks that the map of one inode occupies, and how the map is read from and stored into them.
 *
 * Two kinds, chosen by EXTENTS_FL of the inode: BlockMap (ext2-map.ts) and ExtentTree (ext4-map.ts). The extents in
 * core are the truth; a DiskMap only owns blocks and serialises. Life of a change: `grow` (may fail) -> the map in core
 * changes -> `fit` (corrects the number of blocks) -> all blocks resident -> `store` (plain).
 *
 * Blocks owned always suffice for the map in core, with one exception: splitting an extent without `grow` (a punch, a
 * partial conversion) may split a node of an ExtentTree. `owed` counts it, and `fit` places it.
 */
import type { Checkpointable } from '../../kernel/checkpoint.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import type { Extent, ExtentMap } from '../extent-map.ts'
import type { Volume } from './groups.ts'

/** The on-disk side of one inode's map. */
export interface DiskMap extends Checkpointable {
  readonly kind: 'blocks' | 'extents'
  /** Blocks that the map occupies. */
  readonly owned: number
  /** Their numbers. */
  blocks(): BlockNr[]
  /**
   * Read all extents, starting from the 60 bytes of i_block. Raises EIO if what is read is no map, or has more blocks than
   * the device.
   * @param seed of the checksums of the map's blocks, where there are any (inodeSeed)
   */
  load(v: Volume, root: Buffer, seed: number): Kernel<Extent[], 'EIO'>
  /**
   * Bound of the blocks to place until `delayed` blocks in `extents` delayed extents, all below block `end`, are real.
   * O(1).
   */
  owed(map: ExtentMap, delayed: number, extents: number, end: number): number
  /** Place the blocks for a further extent [lblk, lblk + n), as much of it as one run may have; all or none. @returns how many */
  grow(v: Volume, map: ExtentMap, lblk: number, n: number, goal: BlockNr): Kernel<number, 'ENOSPC' | 'EIO'>
  /** Free the blocks that the map does not need. @returns how many */
  shrink(v: Volume, map: ExtentMap): Kernel<number, 'EIO'>
  /** Can `store` say this map with exactly the blocks owned? */
  fits(map: ExtentMap): boolean
  /** Make it so. Raises EIO if a block is needed and none is free. */
  fit(v: Volume, map: ExtentMap): Kernel<void, 'EIO'>
  /** Write the map into its blocks, all resident, and into the 60 bytes of i_block. */
  store(v: Volume, map: ExtentMap, root: Buffer, seed: number): void
}
