/**
 * TreeNodes: the blocks of an extent tree, which of them lies below which, and where each leaf begins.
 *
 * Levels are kept leaves first, each from left to right. A node of an index level has so many *kids* of the level below; a leaf
 * has `kids` entries as they were counted last. The root is no node: it has the nodes of the last level below it, 4 at most.
 *
 * Invariants: (1) the kids of an index level sum up to the nodes below it; (2) a node has between 1 and `capacity` kids (a leaf:
 * when it is stored); (3) the last level has at most 4 nodes; (4) `keys` rises. A block for a new node is taken from the end of a
 * list that the caller placed.
 *
 * Source: ext4_ext_split, ext4_ext_grow_indepth, ext4_ext_rm_idx (fs/ext4/extents.c).
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import type { BlockNr } from '../../kernel/units.ts'

/** Entries of the root, in the inode. */
export const ROOT_ENTRIES = 4

/** The nodes of one distance from the leaves. */
export interface Level {
  /** Their blocks. */
  nrs: BlockNr[]
  /** How many entries each has. */
  kids: number[]
}

/** The nodes of one extent tree. */
export class TreeNodes {
  /** Entries of a node. */
  readonly capacity: number
  levels: Level[] = []
  /** First file block of each leaf; what lies before the first one's is in the first one, too. */
  keys: number[] = []

  constructor(capacity: number) {
    this.capacity = capacity
  }

  checkpoint(): Restore {
    const levels = this.levels.map(({ nrs, kids }) => ({ nrs: nrs.slice(), kids: kids.slice() }))
    const keys = this.keys.slice()
    return () => {
      this.levels = levels.map(({ nrs, kids }) => ({ nrs: nrs.slice(), kids: kids.slice() }))
      this.keys = keys.slice()
    }
  }

  get leaves(): number {
    return this.keys.length
  }
  /** All nodes. */
  get count(): number {
    let n = 0
    for (const level of this.levels) n += level.nrs.length
    return n
  }
  /** Nodes of level `i`, leaves 0; 0 above the last. */
  at(i: number): number {
    return this.levels[i]?.nrs.length ?? 0
  }

  /** The leaf that an entry at block `lblk` belongs to. */
  leafOf(lblk: number): number {
    let lo = 0
    let hi = this.keys.length - 1
    while (lo < hi) {
      const mid = (lo + hi + 1) >>> 1
      if (this.keys[mid]! <= lblk) lo = mid
      else hi = mid - 1
    }
    return lo
  }
  /** The first block of leaf `i`. */
  from(i: number): number {
    return i === 0 ? 0 : this.keys[i]!
  }
  /** The first block behind leaf `i`. */
  to(i: number): number {
    return this.keys[i + 1] ?? Infinity
  }

  /** The node of index level `level` above node `child` of the level below, and the first child of it. */
  #above(level: number, child: number): { node: number; first: number } {
    const { kids } = this.levels[level]!
    let node = 0
    let first = 0
    while (first + kids[node]! <= child) first += kids[node++]!
    return { node, first }
  }

  /** How many nodes each level gets more by a leaf behind leaf `leaf`. */
  costOfLeaf(leaf: number): number[] {
    const cost = [1]
    let child = leaf
    for (let level = 1; level < this.levels.length; level++) {
      const { node } = this.#above(level, child)
      if (this.levels[level]!.kids[node]! < this.capacity) return cost
      cost.push(1)
      child = node
    }
    if (this.at(this.levels.length - 1) >= ROOT_ENTRIES) cost.push(1)
    return cost
  }

  /** A new leaf behind leaf `leaf`, beginning at block `key`. An index node that overflows is split, at the right edge after all. */
  addLeaf(leaf: number, key: number, spare: BlockNr[]): void {
    const leaves = this.levels[0]!
    leaves.nrs.splice(leaf + 1, 0, spare.pop()!)
    leaves.kids.splice(leaf + 1, 0, 0)
    this.keys.splice(leaf + 1, 0, key)
    let child = leaf
    for (let level = 1; level < this.levels.length; level++) {
      const { nrs, kids } = this.levels[level]!
      const { node, first } = this.#above(level, child)
      const all = ++kids[node]!
      if (all <= this.capacity) return
      const isEdge = node === kids.length - 1 && child + 2 === first + all
      const stay = isEdge ? all - 1 : Math.ceil(all / 2)
      nrs.splice(node + 1, 0, spare.pop()!)
      kids.splice(node, 1, stay, all - stay)
      child = node
    }
    const top = this.levels.at(-1)!.nrs.length
    if (top > ROOT_ENTRIES) this.levels.push({ nrs: [spare.pop()!], kids: [top] })
  }

  /** Take leaf `leaf` out; what it covered is its left neighbour's, or else its right one's. @returns the blocks that became free */
  removeLeaf(leaf: number): BlockNr[] {
    const freed: BlockNr[] = []
    this.keys.splice(leaf, 1)
    this.#remove(0, leaf, freed)
    if (this.keys.length === 0) this.levels = []
    else this.#lower(freed)
    return freed
  }

  /** All nodes go. */
  clear(): void {
    this.levels = []
    this.keys = []
  }

  #remove(level: number, node: number, freed: BlockNr[]): void {
    const above = level + 1 < this.levels.length ? this.#above(level + 1, node).node : -1
    const { nrs, kids } = this.levels[level]!
    freed.push(nrs[node]!)
    nrs.splice(node, 1)
    kids.splice(node, 1)
    if (above < 0) return
    const up = this.levels[level + 1]!.kids
    if (--up[above]! === 0) return this.#remove(level + 1, above, freed)
    for (const left of [above, above - 1]) {
      if (left < 0 || left + 1 >= up.length || up[left]! + up[left + 1]! > this.capacity) continue
      up[left]! += up[left + 1]!
      return this.#remove(level + 1, left + 1, freed)
    }
  }

  /** A last level that the root does not need goes. */
  #lower(freed: BlockNr[]): void {
    while (this.levels.length > 1 && this.at(this.levels.length - 2) <= ROOT_ENTRIES) freed.push(...this.levels.pop()!.nrs)
  }

  /** How many nodes each level must get more, so that there can be `leaves` leaves wherever they are. */
  costOfShape(leaves: number): number[] {
    const cost: number[] = []
    for (let level = 0, need = leaves; ; level++) {
      const n = Math.max(need, this.at(level))
      cost.push(n - this.at(level))
      if (level + 1 >= this.levels.length && n <= ROOT_ENTRIES) return cost
      need = Math.ceil(n / this.capacity)
    }
  }

  /** So many nodes more, and everything spread evenly over them. */
  spread(cost: readonly number[], keys: number[], spare: BlockNr[]): void {
    let below = keys.length
    for (const [i, more] of cost.entries()) {
      const level = (this.levels[i] ??= { nrs: [], kids: [] })
      for (let j = 0; j < more; j++) level.nrs.push(spare.pop()!)
      const n = level.nrs.length
      const all = below
      level.kids = level.nrs.map((_, j) => (i === 0 ? 0 : Math.floor(((j + 1) * all) / n) - Math.floor((j * all) / n)))
      below = n
    }
    this.keys = keys
  }
}
