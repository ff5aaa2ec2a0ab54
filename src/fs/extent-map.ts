/**
 * ExtentMap: the map of one inode in core, complete once loaded.
 *
 * As XFS, the whole map is read at its first use (fs/xfs/libxfs/xfs_bmap.c, xfs_iread_extents); from then on a look-up is
 * plain. The map on disk is written from it by the format. Delayed extents live only here.
 *
 * Invariants: (1) extents are sorted by lblk and disjoint; (2) no extent is empty; (3) two neighbours that could be one
 * are one; (4) `seq` grows at every change, so a mapping that was answered before is known to be stale (the validity
 * cookie of commit 304a68b9c63b); (5) a hole is the absence of an extent.
 */
import type { Restore } from '../kernel/checkpoint.ts'
import type { BlockNr } from '../kernel/units.ts'

/** State of the blocks of an extent. HOLE is an answer, never a member of the map. */
export const HOLE = 0
/** Space reserved and recorded, no blocks yet. */
export const DELALLOC = 1
/** Blocks allocated that read as zeros until converted. */
export const UNWRITTEN = 2
/** Blocks allocated and written. */
export const MAPPED = 3
/** One of HOLE, DELALLOC, UNWRITTEN, MAPPED. */
export type ExtentState = typeof HOLE | typeof DELALLOC | typeof UNWRITTEN | typeof MAPPED

/** `n` blocks of a file from `lblk`. `pblk` is the first block on the device; 0 for a hole and for delalloc. */
export interface Extent {
  lblk: number
  n: number
  state: ExtentState
  pblk: BlockNr
}

/** True for states that own blocks on the device. */
export const isReal = (state: ExtentState): boolean => state === UNWRITTEN || state === MAPPED

const INFINITY_BLOCKS = 2 ** 32

/** The extents of one inode. All positions in blocks. */
export class ExtentMap {
  /** Grows at every change. */
  seq = 0
  /** Sum of the blocks of delayed extents. */
  delayedBlocks = 0
  /** Number of delayed extents. */
  delayedExtents = 0
  /** Sum of the blocks of real extents. */
  realBlocks = 0
  #list: Extent[] = []
  #hint = 0

  /** The extents, sorted. Do not change them. */
  get extents(): readonly Readonly<Extent>[] {
    return this.#list
  }

  /** First block after the last extent; 0 if there is none. */
  get end(): number {
    const last = this.#list.at(-1)
    return last === undefined ? 0 : last.lblk + last.n
  }

  checkpoint(): Restore {
    const { seq, delayedBlocks, delayedExtents, realBlocks } = this
    const list = this.#list.map((e) => ({ ...e }))
    return () => {
      this.seq = seq
      this.delayedBlocks = delayedBlocks
      this.delayedExtents = delayedExtents
      this.realBlocks = realBlocks
      this.#list = list.map((e) => ({ ...e }))
      this.#hint = 0
    }
  }

  /** Index of the first extent that ends after `lblk`. */
  #find(lblk: number): number {
    const list = this.#list
    const h = this.#hint
    if (h < list.length) {
      const e = list[h]!
      if (lblk < e.lblk + e.n && (h === 0 || lblk >= list[h - 1]!.lblk + list[h - 1]!.n)) return h
    }
    let lo = 0
    let hi = list.length
    while (lo < hi) {
      const mid = (lo + hi) >>> 1
      const e = list[mid]!
      if (e.lblk + e.n <= lblk) lo = mid + 1
      else hi = mid
    }
    this.#hint = lo
    return lo
  }

  /** Fill `out` with the run of equal state that starts at `lblk`, at most `n` blocks. Plain, allocates nothing. */
  lookup(lblk: number, n: number, out: Extent): Extent {
    const e = this.#list[this.#find(lblk)]
    out.lblk = lblk
    if (e === undefined || lblk < e.lblk) {
      out.n = Math.min(n, (e?.lblk ?? INFINITY_BLOCKS) - lblk)
      out.state = HOLE
      out.pblk = 0
    } else {
      out.n = Math.min(n, e.lblk + e.n - lblk)
      out.state = e.state
      out.pblk = isReal(e.state) ? e.pblk + (lblk - e.lblk) : 0
    }
    return out
  }

  /** Set the state of [lblk, lblk + n), whatever was there; neighbours are merged. HOLE removes. */
  set(lblk: number, n: number, state: ExtentState, pblk: BlockNr = 0): void {
    if (n <= 0) throw new RangeError(`extent of ${n} blocks`)
    this.seq++
    const list = this.#list
    const last = list.at(-1)
    if (state !== HOLE && (last === undefined || lblk >= last.lblk + last.n)) return this.#append(last, lblk, n, state, pblk)
    const first = this.#find(lblk)
    const fresh: Extent[] = []
    let after = first
    for (; after < list.length && list[after]!.lblk < lblk + n; after++) {
      const e = list[after]!
      this.#count(e, -1)
      if (e.lblk < lblk) fresh.push(part(e, e.lblk, lblk - e.lblk))
      if (e.lblk + e.n > lblk + n) fresh.push(part(e, lblk + n, e.lblk + e.n - lblk - n))
    }
    if (state !== HOLE) fresh.push({ lblk, n, state, pblk: isReal(state) ? pblk : 0 })
    fresh.sort((a, b) => a.lblk - b.lblk)
    this.#splice(first, after, fresh)
  }

  #append(last: Extent | undefined, lblk: number, n: number, state: ExtentState, pblk: BlockNr): void {
    const e = { lblk, n, state, pblk: isReal(state) ? pblk : 0 }
    if (last !== undefined && joins(last, e)) {
      last.n += n
      if (state === DELALLOC) this.delayedBlocks += n
      else this.realBlocks += n
    } else {
      this.#list.push(e)
      this.#count(e, 1)
    }
  }

  /** Replace [first, after) by `fresh`, merging within and with both neighbours. */
  #splice(first: number, after: number, fresh: Extent[]): void {
    const list = this.#list
    const from = first > 0 ? first - 1 : first
    const to = after < list.length ? after + 1 : after
    for (const e of [list[first - 1], list[after]]) if (e !== undefined) this.#count(e, -1)
    const merged: Extent[] = []
    for (const e of [...list.slice(from, first), ...fresh, ...list.slice(after, to)]) {
      const prev = merged.at(-1)
      if (prev !== undefined && joins(prev, e)) prev.n += e.n
      else merged.push(e)
    }
    for (const e of merged) this.#count(e, 1)
    list.splice(from, to - from, ...merged)
    this.#hint = from
  }

  #count(e: Extent, sign: 1 | -1): void {
    if (e.state === DELALLOC) {
      this.delayedBlocks += sign * e.n
      this.delayedExtents += sign
    } else this.realBlocks += sign * e.n
  }
}

const part = (e: Extent, lblk: number, n: number): Extent => ({
  lblk,
  n,
  state: e.state,
  pblk: isReal(e.state) ? e.pblk + (lblk - e.lblk) : 0,
})

const joins = (a: Extent, b: Extent): boolean =>
  a.lblk + a.n === b.lblk && a.state === b.state && (!isReal(a.state) || a.pblk + a.n === b.pblk)
