/**
 * Mapping: the answer of `begin` for a range of one write, and what this write made and holds for it.
 *
 * "New" belongs to the write, not to the folio: `made` lists the extents that this write added to the map, `reserved` the
 * space that it holds, so that rollback touches nothing else (claims I3, I14; bugs Z22, Z23). Made once a file and used
 * again; no allocation a write.
 */
import { type Extent, HOLE } from './extent-map.ts'
import type { Inode } from './inode.ts'

/** Blocks that a write added to the extent map. */
export interface Made {
  lblk: number
  n: number
  /** It was recorded as delayed; else blocks were placed at once. */
  delayed: boolean
}

/** A range of one write, its extents, and what the write owes or is owed. */
export class Mapping {
  /** First byte. */
  pos = 0
  /** Bytes; `begin` and `getFolio` may shorten it. */
  len = 0
  /** Bytes accepted so far. */
  written = 0
  /** `ExtentMap.seq` when the extents were looked up. */
  cookie = 0
  /** Data blocks reserved and not recorded yet. */
  reserved = 0
  /** Map blocks reserved. */
  reservedMap = 0
  /** Whose range it is; null until it is first used. */
  inode: Inode | null = null
  /** It belongs to a write that must not wait. */
  nowait = false
  /** It was made shorter after `begin`: more may be made than `len` says. */
  cut = false
  /** `commit` wrote the data to disk itself: do not dirty. */
  durable = false
  /** `begin` took the invalidate lock, shared; `end` gives it back. */
  shares = false
  readonly #extents: Extent[] = []
  #extentCount = 0
  readonly #made: Made[] = []
  #madeCount = 0

  /** Start a new range. @throws Error if the last one still holds space: an `end` that leaks */
  reset(pos: number, len: number, cookie: number): void {
    if (this.reserved !== 0 || this.reservedMap !== 0) {
      throw new Error(`the last mapping still holds ${this.reserved} + ${this.reservedMap} blocks: end() leaks`)
    }
    this.pos = pos
    this.len = len
    this.written = 0
    this.cookie = cookie
    this.durable = false
    this.cut = false
    this.#extentCount = 0
    this.#madeCount = 0
  }

  /** An extent to be filled by a look-up; it counts as answered. */
  nextExtent(): Extent {
    return (this.#extents[this.#extentCount++] ??= { lblk: 0, n: 0, state: HOLE, pblk: 0 })
  }

  /** Forget the extents; what was made stays. */
  clearExtents(): void {
    this.#extentCount = 0
  }

  /** No look-up has answered for any block. */
  get isEmpty(): boolean {
    return this.#extentCount === 0
  }

  /** The extent that answers for a block, or null: the mapping does not reach there. */
  at(lblk: number): Readonly<Extent> | null {
    for (let i = this.#extentCount - 1; i >= 0; i--) {
      const e = this.#extents[i]!
      if (lblk >= e.lblk && lblk < e.lblk + e.n) return e
    }
    return null
  }

  /** Note that this write added [lblk, lblk + n) to the map. */
  addMade(lblk: number, n: number, delayed: boolean): void {
    const last = this.#madeCount > 0 ? this.#made[this.#madeCount - 1]! : null
    if (last !== null && last.lblk + last.n === lblk && last.delayed === delayed) {
      last.n += n
      return
    }
    const e = (this.#made[this.#madeCount++] ??= { lblk: 0, n: 0, delayed })
    e.lblk = lblk
    e.n = n
    e.delayed = delayed
  }

  /** Nothing is held, and all that was made was filled: there is nothing to settle. */
  get settled(): boolean {
    return this.reserved === 0 && this.reservedMap === 0 && (this.#madeCount === 0 || this.filled)
  }

  /** All that `begin` answered for was written. */
  get filled(): boolean {
    return this.written === this.len && !this.cut
  }

  get madeCount(): number {
    return this.#madeCount
  }

  /** The i-th extent that this write made. */
  made(i: number): Readonly<Made> {
    return this.#made[i]!
  }

  /** Did this write make this block? */
  isMade(lblk: number): boolean {
    for (let i = 0; i < this.#madeCount; i++) {
      const e = this.#made[i]!
      if (lblk >= e.lblk && lblk < e.lblk + e.n) return true
    }
    return false
  }
}
