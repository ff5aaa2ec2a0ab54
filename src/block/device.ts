/**
 * The device port: what a block device promises to the layers above.
 *
 * Interface:
 * - `submit(bio)` takes the bio and returns at once; it never throws and never waits.
 * - The device completes each bio exactly once, by `bio.complete({bytes, errno})`: at once, or later.
 * - A write that completed is durable after a later flush completed, or at its own completion if it has FUA.
 * - Positions and lengths are bytes on the device, multiples of SECTOR.
 */
import { SECTOR } from '../kernel/units.ts'
import type { Bio } from './bio.ts'

/** A block device of `size` bytes. */
export interface BlockDevice {
  /** As it appears in messages: `memory`, or the path of an image. */
  readonly name: string
  /** Bytes; a multiple of SECTOR. */
  readonly size: number
  /** Take `bio`; it is completed at once or later, once. A bio outside the device completes with EIO and 0 bytes. */
  submit(bio: Bio): void
}

/** True if `bio` lies on whole sectors inside `device`; any other gets EIO (bio_check_eod, block/blk-core.c). */
export const inside = (device: BlockDevice, bio: Bio): boolean =>
  bio.pos >= 0 && bio.pos % SECTOR === 0 && bio.data.length % SECTOR === 0 && bio.pos + bio.data.length <= device.size
