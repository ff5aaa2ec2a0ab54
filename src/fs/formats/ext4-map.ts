/**
 * ExtentTree: the extents of an ext4 inode on disk.
 *
 * 4 entries in the inode, then leaves of (block size - 12) / 12 entries, then index levels until 4 entries are enough. Which
 * entries lie in which leaf (the partition, TreeNodes) is kept: it is read from the disk as it stands, and a change of the map
 * changes the leaf below it. Life of a leaf:
 *   new        at the right edge, when the last one is full: a file that only grows fills its leaves to the end;
 *   split      when an entry more does not fit: in halves, or, where entries come in rising order, before the new one;
 *   overfull   in core only: a conversion or a punch made entries that nobody announced; `fit` splits it;
 *   merged     with a neighbour, by `shrink`: it lost entries and both are no more than one full leaf, so that the undo of what
 *              split it is exact (ext4 leaves such leaves alone);
 *   freed      when it is empty.
 *
 * Blocks: `grow` of a delayed extent and `fit` place no more than `owed` becomes less by (ext4-grant.ts). Where a split would, all
 * entries are spread evenly over the leaves instead.
 *
 * Source: fs/ext4/ext4_extents.h, fs/ext4/extents.c (ext4_ext_insert_extent, ext4_ext_split, ext4_ext_rm_leaf);
 * Documentation/filesystems/ext4/ifork.rst.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import { attempt, type Kernel, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { DELALLOC, type Extent, type ExtentMap, HOLE } from '../extent-map.ts'
import { extentSealer } from './checksums.ts'
import type { DiskMap } from './disk-map.ts'
import {
  encode, entriesBound, entriesBoundOf, entriesByLeaf, entriesOf, entriesWithin, ENTRY, entryAt, evenKeys, fewerWithin, UNWRITTEN_MAX,
} from './ext4-entries.ts'
import { leavesFor, SplitGrant, sum } from './ext4-grant.ts'
import { ROOT_ENTRIES, TreeNodes } from './ext4-nodes.ts'
import { readTree, TREE_MAGIC } from './ext4-read.ts'
import type { Volume } from './groups.ts'

/** Entries in a tree block of `blockSize` bytes. */
export const entriesPerBlock = (blockSize: number): number => Math.floor((blockSize - ENTRY) / ENTRY)

/** Nodes to be added: by level in `cost`. A leaf behind another one, and what both have then; or all leaves anew. */
type Change =
  | {
      readonly kind: 'leaf'
      readonly leaf: number
      readonly key: number
      readonly have: readonly [number, number]
      readonly cost: readonly number[]
    }
  | { readonly kind: 'level'; readonly keys: number[]; readonly cost: readonly number[] }

/** The tree blocks of one inode. */
export class ExtentTree implements DiskMap {
  readonly kind = 'extents'
  readonly #capacity: number
  readonly #nodes: TreeNodes
  readonly #grant: SplitGrant
  /** `seq` of the map when each leaf was counted; -1: not since it was made or read. */
  #counted: number[] = []
  /** Where `grow` was last called for. */
  #last = -1

  /** @param blockSize bytes */
  constructor(blockSize: number) {
    this.#capacity = entriesPerBlock(blockSize)
    this.#nodes = new TreeNodes(this.#capacity)
    this.#grant = new SplitGrant(this.#nodes)
  }

  get owned(): number {
    return this.#nodes.count
  }
  /** Levels below the root: 0 when all extents lie in the inode. */
  get depth(): number {
    return this.#nodes.levels.length
  }
  blocks(): BlockNr[] {
    return this.#nodes.levels.flatMap((level) => level.nrs)
  }

  checkpoint(): Restore {
    const nodes = this.#nodes.checkpoint()
    const grant = this.#grant.checkpoint()
    const [counted, last] = [this.#counted.slice(), this.#last]
    return () => {
      nodes()
      grant()
      this.#counted = counted.slice()
      this.#last = last
    }
  }

  *load(v: Volume, root: Buffer, seed: number): Kernel<Extent[], 'EIO'> {
    const out = yield* readTree(v, root, seed, this.#nodes)
    this.#counted = this.#nodes.keys.map(() => -1)
    this.#grant.placed = entriesBoundOf(out)
    this.#grant.renew()
    return out
  }

  // --- space -------------------------------------------------------------------------------------------------------

  owed(map: ExtentMap, delayed: number): number {
    return this.#grant.owed(map, delayed)
  }

  /**
   * Room for an extent, and for one entry more where it is not the last: the conversion of a part, which nobody announces, adds up
   * to two. Of a long extent, as much as one run of blocks may have.
   */
  *grow(v: Volume, map: ExtentMap, lblk: number, n: number, goal: BlockNr): Kernel<number, 'ENOSPC' | 'EIO'> {
    if (this.depth === 0 && leavesFor(entriesBound(map, 2, n), this.#capacity) === 0) return 0
    if (this.depth === 0) this.#grant.placed = entriesBound(map, 0, 0)
    const want = Math.ceil(Math.min(n, v.geo.blocksPerGroup) / UNWRITTEN_MAX)
    const isRoom = this.#growth(map, lblk, want) === null
    const placed = isRoom ? 0 : yield* this.#place(v, goal, () => this.#growth(map, lblk, want))
    this.#grant.placed += want
    this.#last = lblk
    return placed
  }

  /** What must change so that `want` entries fit at `lblk`; null: nothing. */
  #growth(map: ExtentMap, lblk: number, want: number): Change | null {
    const nodes = this.#nodes
    if (this.depth === 0) return this.#levelled(map, lblk, want)
    const leaf = nodes.leafOf(lblk)
    if (this.#hasRoom(map, leaf, want + 1)) return null
    const from = nodes.from(leaf)
    const all = entriesWithin(map, from, nodes.to(leaf))
    const before = entriesWithin(map, from, lblk)
    const isLast = before === all
    if (all + want + (isLast ? 0 : 1) <= this.#capacity) {
      this.#count(leaf, all, map.seq)
      return null
    }
    if (isLast && this.#moveRight(map, leaf + 1, lblk, want)) return null
    const isRising = this.#last >= from && this.#last < lblk
    const stay = isLast ? all : isRising ? Math.max(before, all >>> 1) : Math.ceil(all / 2)
    const key = stay === before ? lblk : entryAt(map, from, stay)
    const have = [stay + (lblk < key ? want : 0), all - stay + (lblk < key ? 0 : want)] as const
    const change: Change = { kind: 'leaf', leaf, key, have, cost: nodes.costOfLeaf(leaf) }
    const isPromised = map.lookup(lblk, 1, { lblk: 0, n: 0, state: HOLE, pblk: 0 }).state === DELALLOC
    return !isPromised || this.#grant.mayTake(map, change.cost) ? change : this.#levelled(map, lblk, want)
  }

  /** Is there room by what was counted, with at most two entries more for each change of the map since then? Plain and quick. */
  #hasRoom(map: ExtentMap, leaf: number, want: number): boolean {
    const counted = this.#counted[leaf]!
    if (counted < 0 || map.realBlocks >= UNWRITTEN_MAX) return false
    return this.#nodes.levels[0]!.kids[leaf]! + 2 * (map.seq - counted) + want <= this.#capacity
  }

  #count(leaf: number, entries: number, seq: number): void {
    this.#nodes.levels[0]!.kids[leaf] = entries
    this.#counted[leaf] = seq
  }

  /** Behind the last entry of a full leaf: let the next one begin there, if it has room (ext4_ext_next_leaf_block). */
  #moveRight(map: ExtentMap, next: number, lblk: number, want: number): boolean {
    const nodes = this.#nodes
    if (next >= nodes.leaves || entriesWithin(map, nodes.from(next), nodes.to(next)) + want + 1 > this.#capacity) return false
    nodes.keys[next] = lblk
    return true
  }

  /** All entries spread evenly, with `want` more at `lblk`. */
  #levelled(map: ExtentMap, lblk: number, want: number): Change {
    const leaves = Math.max(this.#nodes.leaves, Math.ceil((entriesOf(map) + want) / this.#capacity))
    return { kind: 'level', keys: evenKeys(map, leaves, lblk, want), cost: this.#nodes.costOfShape(leaves) }
  }

  /** Make the change that `plan` asks for; it is asked again after every wait. @returns how many blocks were placed */
  *#place(v: Volume, goal: BlockNr, plan: () => Change | null): Kernel<number, 'ENOSPC' | 'EIO'> {
    const spare: BlockNr[] = []
    for (;;) {
      const change = plan()
      const short = sum(change?.cost ?? []) - spare.length
      if (short <= 0) {
        const before = spare.length
        if (change !== null) this.#make(change, spare)
        const placed = before - spare.length
        yield* v.freeAll(spare)
        return placed
      }
      const got = yield* attempt(() => v.placeFresh(goal, short))
      if (got._tag === 'Left') {
        yield* v.freeAll(spare)
        return yield* raise(got.left)
      }
      spare.push(...got.right.reverse())
    }
  }

  #make(change: Change, spare: BlockNr[]): void {
    this.#grant.restructure(() => {
      if (change.kind === 'level') {
        this.#nodes.spread(change.cost, change.keys, spare)
        this.#counted = change.keys.map(() => -1)
      } else {
        const { leaf, key, have } = change
        this.#nodes.addLeaf(leaf, key, spare)
        this.#counted.splice(leaf + 1, 0, -1)
        this.#count(leaf, have[0], -1)
        this.#count(leaf + 1, have[1], -1)
      }
    })
  }

  /** Free the leaves that are empty, and merge those that lost entries. O(1) where entries only came. */
  *shrink(v: Volume, map: ExtentMap): Kernel<number, 'EIO'> {
    if (this.depth === 0) return 0
    let freed: BlockNr[] = []
    if (leavesFor(entriesBound(map, 0, 0), this.#capacity) === 0) {
      freed = this.blocks()
      this.#counted = []
      this.#grant.restructure(() => this.#nodes.clear())
    } else if (this.#nodes.leaves > 1 && this.#grant.isAhead(map)) {
      this.#grant.restructure(() => {
        for (let leaf = this.#nodes.leaves - 1; leaf >= 0; leaf--) freed.push(...this.#shrinkLeaf(map, leaf))
      })
      this.#grant.placed = entriesBound(map, 0, 0)
    }
    yield* v.freeAll(freed)
    return freed.length
  }

  #shrinkLeaf(map: ExtentMap, leaf: number): BlockNr[] {
    const nodes = this.#nodes
    const { kids } = nodes.levels[0]!
    const entries = (i: number): number => entriesWithin(map, nodes.from(i), nodes.to(i))
    if (!fewerWithin(map, nodes.from(leaf), nodes.to(leaf), Math.max(1, kids[leaf]!))) return []
    const own = entries(leaf)
    for (const left of own === 0 ? [leaf - 1, leaf] : [leaf, leaf - 1]) {
      if (left < 0 || left + 1 >= nodes.leaves) continue
      const both = own + entries(left === leaf ? leaf + 1 : left)
      if (own > 0 && both > this.#capacity) continue
      const freed = this.#remove(own === 0 ? leaf : left + 1)
      if (own > 0) this.#count(left, both, map.seq)
      return freed
    }
    return []
  }

  #remove(leaf: number): BlockNr[] {
    this.#counted.splice(leaf, 1)
    return this.#nodes.removeLeaf(leaf)
  }

  fits(map: ExtentMap): boolean {
    if (this.depth === 0) return entriesOf(map) <= ROOT_ENTRIES
    return entriesByLeaf(map, this.#nodes.keys).every((n) => n > 0 && n <= this.#capacity)
  }

  *fit(v: Volume, map: ExtentMap): Kernel<void, 'EIO'> {
    while (!this.fits(map)) {
      if (yield* this.#dropEmpty(v, map)) continue
      const done = yield* attempt(() => this.#place(v, this.blocks().at(-1) ?? 0, () => this.#mending(map)))
      // The blocks were owed: that none is free is an I/O error of the inode write.
      if (done._tag === 'Left') return yield* raise('EIO', 'EIO.extent-split')
      this.#grant.placed++
    }
  }

  /** A leaf without entries goes; one at the right edge was grown ahead, and gets the last entry. @returns false if there is none */
  *#dropEmpty(v: Volume, map: ExtentMap): Kernel<boolean, 'EIO'> {
    const nodes = this.#nodes
    const counts = entriesByLeaf(map, nodes.keys)
    const leaf = counts.lastIndexOf(0)
    if (leaf < 0) return false
    const left = counts[leaf - 1] ?? 0
    if (leaf === nodes.leaves - 1 && left > 1) nodes.keys[leaf] = entryAt(map, nodes.from(leaf - 1), left - 1)
    else {
      let freed: BlockNr[] = []
      this.#grant.restructure(() => {
        freed = this.#remove(leaf)
      })
      yield* v.freeAll(freed)
    }
    return true
  }

  /** What must change so that the map fits; null: nothing. */
  #mending(map: ExtentMap): Change | null {
    if (this.fits(map)) return null
    if (this.depth === 0) return this.#levelled(map, 0, 0)
    const counts = entriesByLeaf(map, this.#nodes.keys)
    const leaf = counts.findIndex((n) => n > this.#capacity)
    if (leaf < 0) return null
    const stay = Math.ceil(counts[leaf]! / 2)
    const key = entryAt(map, this.#nodes.from(leaf), stay)
    const cost = this.#nodes.costOfLeaf(leaf)
    const isPaid = this.#grant.isBehind(map) && this.#grant.mayTake(map, cost)
    return isPaid ? { kind: 'leaf', leaf, key, have: [stay, counts[leaf]! - stay], cost } : this.#levelled(map, 0, 0)
  }

  // --- writing -----------------------------------------------------------------------------------------------------

  store(v: Volume, map: ExtentMap, root: Buffer, seed: number): void {
    const { levels } = this.#nodes
    const entries = encode(map)
    let below = { entries, count: entries.length / ENTRY }
    if (levels.length > 0) levels[0]!.kids = entriesByLeaf(map, this.#nodes.keys)
    // Behind the last entry is the place of the checksum, which is written when the block leaves core.
    const block = Buffer.alloc(v.geo.checksums ? ENTRY * (1 + this.#capacity) : v.geo.blockSize)
    const seal = v.geo.checksums ? extentSealer(seed) : null
    for (const [depth, { nrs, kids }] of levels.entries()) {
      const above = Buffer.alloc(nrs.length * ENTRY)
      let at = 0
      for (const [i, nr] of nrs.entries()) {
        const n = kids[i]!
        if (n < 1 || n > this.#capacity) throw new Error(`extent tree: ${n} entries in a block`)
        block.fill(0)
        writeHeader(block, n, this.#capacity, depth)
        below.entries.copy(block, ENTRY, at * ENTRY, (at + n) * ENTRY)
        v.cache.store(nr, block, 0, seal)
        above.writeUInt32LE(below.entries.readUInt32LE(at * ENTRY), i * ENTRY)
        above.writeUInt32LE(nr, i * ENTRY + 4)
        at += n
      }
      if (at !== below.count) throw new Error(`extent tree: ${below.count} entries, ${at} of them in blocks`)
      if (depth === 0) this.#nodes.keys = nrs.map((_, i) => above.readUInt32LE(i * ENTRY))
      below = { entries: above, count: nrs.length }
    }
    if (below.count > ROOT_ENTRIES) throw new Error(`extent tree: ${below.count} entries in the inode`)
    root.fill(0)
    writeHeader(root, below.count, ROOT_ENTRIES, levels.length)
    below.entries.copy(root, ENTRY)
    this.#stored(map)
  }

  /** The partition is as the disk has it. */
  #stored(map: ExtentMap): void {
    this.#counted = this.#nodes.keys.map(() => map.seq)
    this.#grant.placed = entriesBound(map, 0, 0)
    if (map.delayedBlocks === 0) this.#grant.renew()
  }
}

const writeHeader = (node: Buffer, entries: number, max: number, depth: number): void => {
  node.writeUInt16LE(TREE_MAGIC, 0)
  node.writeUInt16LE(entries, 2)
  node.writeUInt16LE(max, 4)
  node.writeUInt16LE(depth, 6)
  node.writeUInt32LE(0, 8)
}
