/**
 * The system zone: blocks that mkfs placed. No file may have one, and no two structures may share one.
 *
 * Copies of superblock and descriptors, bitmaps, inode tables. Blocks that are kept for more descriptors belong to the resize
 * inode, so they are not here.
 *
 * Source: fs/ext4/block_validity.c.
 */
import type { BlockNr } from '../../kernel/units.ts'
import type { Descriptors } from './descriptors.ts'
import { type Geometry, groupStart, hasSuper } from './superblock.ts'

/** Runs of blocks in order, none touching the next. */
export class SystemZone {
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  /** Is some block in the zone twice? */
  readonly overlapping: boolean

  constructor(geo: Geometry, descs: Descriptors) {
    const runs: [BlockNr, number][] = []
    for (let g = 0; g < geo.groupCount; g++) {
      if (hasSuper(geo, g)) runs.push([groupStart(geo, g), 1 + geo.descBlocks])
      runs.push([descs.blockBitmap(g), 1], [descs.inodeBitmap(g), 1], [descs.table(g), geo.tableBlocks])
    }
    let overlapping = false
    for (const [start, n] of runs.sort(([a], [b]) => a - b)) {
      const end = this.#ends.at(-1) ?? -1
      if (start < end) overlapping = true
      if (start > end) {
        this.#starts.push(start)
        this.#ends.push(start + n)
      } else this.#ends[this.#ends.length - 1] = Math.max(end, start + n)
    }
    this.overlapping = overlapping
  }

  /** Has [start, start + n) a block of the zone? */
  touches(start: BlockNr, n: number): boolean {
    let [low, high] = [0, this.#starts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ends[middle]! > start) high = middle
      else low = middle + 1
    }
    return low < this.#starts.length && this.#starts[low]! < start + n
  }
}
