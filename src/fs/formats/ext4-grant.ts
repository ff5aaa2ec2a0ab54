/**
 * SplitGrant: how many blocks an extent tree may still ask for, and which splits it may therefore make.
 *
 * What is always possible is to *level out*: to spread all entries evenly over the leaves, which takes no more nodes than a packed
 * tree of so many entries. A split may need a node although other leaves have room, and pays for it out of a grant: `owed` is the
 * larger of the two. Each node more than half full may be split once, then there is a split for each half node of entries. The
 * grant is renewed when the tree is stored with nothing delayed; a single leaf that is half empty needs none.
 *
 * Law: who makes a change only if `mayTake` says so, and else levels out, places no more than `owed` becomes less by.
 * ext4 reserves one path for each delayed block that does not continue the one before (ext4_ext_calc_metadata_amount, up to 3.x).
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import type { ExtentMap } from '../extent-map.ts'
import { entriesBound } from './ext4-entries.ts'
import { ROOT_ENTRIES, type TreeNodes } from './ext4-nodes.ts'

const NOTHING: readonly number[] = []

/** Leaves for `n` entries, packed. */
export const leavesFor = (n: number, capacity: number): number => (n <= ROOT_ENTRIES ? 0 : Math.ceil(n / capacity))

/** The sum of some numbers. */
export const sum = (ns: readonly number[]): number => ns.reduce((a, b) => a + b, 0)

/** What one tree may take. */
export class SplitGrant {
  /** Entries that have their place in the tree, as `entriesBound` counts them. */
  placed = 0
  readonly #nodes: TreeNodes
  /** Splits that are granted, by level; null: none at all. */
  #left: number[] | null = null

  constructor(nodes: TreeNodes) {
    this.#nodes = nodes
  }

  checkpoint(): Restore {
    const { placed } = this
    const left = this.#left?.slice() ?? null
    return () => {
      this.placed = placed
      this.#left = left?.slice() ?? null
    }
  }

  /** Every delayed block may become an extent of its own; one more, for `grow` asks for two when one is added. */
  owed(map: ExtentMap, delayed: number): number {
    return this.#owed(map, delayed, this.#unplaced(map) + delayed, NOTHING)
  }

  /** Entries of the map that nobody announced: of conversions and punches. */
  #unplaced(map: ExtentMap): number {
    return Math.max(0, entriesBound(map, 0, 0) - this.placed)
  }

  /** Are there entries that nobody announced? */
  isBehind(map: ExtentMap): boolean {
    return this.#unplaced(map) > 0
  }

  /** Are there fewer entries than were announced? */
  isAhead(map: ExtentMap): boolean {
    return entriesBound(map, 0, 0) < this.placed
  }

  /** The bound with `more` entries to come, those of `delayed` blocks among them, and `added` nodes more on each level. */
  #owed(map: ExtentMap, delayed: number, more: number, added: readonly number[]): number {
    const last = delayed === 0 ? entriesBound(map, 0, 0) : entriesBound(map, delayed + 1, delayed)
    return Math.max(this.#short(last, added), this.#splits(more, added))
  }

  /** Nodes that are missing to level out a tree of `entries`. */
  #short(entries: number, added: readonly number[]): number {
    let short = 0
    let level = 0
    for (let n = leavesFor(entries, this.#nodes.capacity); n > 0; n = n > ROOT_ENTRIES ? Math.ceil(n / this.#nodes.capacity) : 0) {
      short += Math.max(0, n - this.#nodes.at(level) - (added[level] ?? 0))
      level++
    }
    return short
  }

  /** Nodes that splits for `more` entries may take out of the grant. */
  #splits(more: number, added: readonly number[]): number {
    if (this.#left === null) return 0
    const half = this.#nodes.capacity / 2
    const depth = Math.max(this.#nodes.levels.length, added.length)
    let splits = more
    let all = 0
    for (let i = 0; i < depth; i++) {
      const granted = i < this.#nodes.levels.length ? this.#left[i]! - (added[i] ?? 0) : 0
      splits = Math.max(0, Math.min(splits, granted + Math.floor(splits / half)))
      all += splits
    }
    for (let top = this.#nodes.at(depth - 1) + (added[depth - 1] ?? 0) + splits; top > ROOT_ENTRIES; all += top) {
      splits = Math.floor(splits / half)
      top = 1 + splits
    }
    return all
  }

  /** May one of the entries that `owed` counts on take so many nodes? */
  mayTake(map: ExtentMap, cost: readonly number[]): boolean {
    const delayed = map.delayedBlocks
    const more = this.#unplaced(map) + delayed
    return more > 0 && sum(cost) <= this.#owed(map, delayed, more, NOTHING) - this.#owed(map, delayed, more - 1, cost)
  }

  /** Grant a split for each node that is more than half full. */
  renew(): void {
    const full = this.#nodes.levels.map(({ kids }) => kids.filter((n) => n > this.#nodes.capacity / 2).length)
    this.#left = this.#nodes.leaves > 1 || (full[0] ?? 0) > 0 ? full : null
  }

  /** Change the nodes: each one more is taken from the grant of its level, each one less goes back to it. */
  restructure(act: () => void): void {
    const before = this.#nodes.levels.map(({ nrs }) => nrs.length)
    act()
    const grant = this.#left
    if (grant === null) return
    // Without nodes there is nothing to split; nor is there anything to grant before the next time that the tree is stored.
    this.#left = this.#nodes.levels.length === 0
      ? null
      : this.#nodes.levels.map(({ nrs }, i) => (i < before.length ? grant[i]! + before[i]! - nrs.length : 0))
  }
}
