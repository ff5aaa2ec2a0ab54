/**
 * Space: what may still be promised. free (by the format's counters) - reserved = available, never negative.
 *
 * `reserved` is the sum of four things that invariant I2 counts again from their owners: delayed blocks of all inodes, map
 * blocks owed for them, what operations in flight hold in their mappings, and `splits`.
 */
import type { Restore } from '../kernel/checkpoint.ts'
import type { Format } from './format.ts'

/** What a service that takes space may raise: the disk has no room, or the owner of the file may have no more of it. */
export type SpaceError = 'ENOSPC' | 'EDQUOT'

/** The counters of one mount, in blocks. */
export class Space {
  reserved = 0
  /** Part of `reserved`: map blocks held for extents that writeback, direct I/O or a zero range is about to split. */
  splits = 0
  readonly #format: Format

  constructor(format: Format) {
    this.#format = format
  }

  checkpoint(): Restore {
    const { reserved, splits } = this
    return () => {
      this.reserved = reserved
      this.splits = splits
    }
  }

  get free(): number {
    return this.#format.freeBlocks
  }
  /** Blocks that nobody has and nobody was promised. */
  get available(): number {
    return this.#format.freeBlocks - this.reserved
  }
}
