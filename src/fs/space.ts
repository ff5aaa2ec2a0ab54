/**
 * Space: what may still be promised. free (by the format's counters) - reserved = available, never negative.
 *
 * `reserved` is the sum of three things that invariant I2 counts again from their owners: delayed blocks of all inodes, map
 * blocks owed for them, and what operations in flight hold in their mappings.
 */
import type { Format } from './format.ts'

/** The counters of one mount, in blocks. */
export class Space {
  reserved = 0
  readonly #format: Format

  constructor(format: Format) {
    this.#format = format
  }

  get free(): number {
    return this.#format.freeBlocks
  }
  /** Blocks that nobody has and nobody was promised. */
  get available(): number {
    return this.#format.freeBlocks - this.reserved
  }
}
