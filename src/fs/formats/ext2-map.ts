/**
 * BlockMap: 12 direct pointers, then one indirect, one double and one triple indirect tree (ext2; files of ext4 without
 * EXTENTS_FL).
 *
 * With p pointers in a block, a tree of level L that begins at file block `first` covers p^L blocks. Which indirect
 * blocks a file needs is a function of its extents, so an indirect block is known by (level, first); the map in core
 * holds the rest. An indirect block without pointers is legal, so blocks placed ahead of an extent may be stored at any
 * time.
 *
 * Source: fs/ext2/inode.c (ext2_block_to_path), fs/ext4/indirect.c.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import { type Kernel, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { type Extent, type ExtentMap, HOLE, isReal, MAPPED, UNWRITTEN } from '../extent-map.ts'
import type { DiskMap } from './disk-map.ts'
import type { Volume } from './groups.ts'

/** Direct pointers in an inode. */
export const DIRECT = 12
const LEVELS = 3

/** Blocks of the largest block-mapped file; `p` pointers in a block. */
export const maxBlocks = (p: number): number => DIRECT + p + p ** 2 + p ** 3

/** First file block below the root pointer of the tree of `level`. */
const rootFirst = (p: number, level: number): number =>
  level === 1 ? DIRECT : level === 2 ? DIRECT + p : DIRECT + p + p * p

/** How many indirect blocks of each level a file without holes up to block `end` has, summed. */
export const denseIndirect = (p: number, end: number): number => {
  let sum = 0
  for (let root = 1; root <= LEVELS; root++) {
    const inside = Math.min(end - rootFirst(p, root), p ** root)
    for (let level = 1; level <= root && inside > 0; level++) sum += Math.ceil(inside / p ** level)
  }
  return sum
}

/** The indirect blocks of one inode. */
export class BlockMap implements DiskMap {
  readonly kind = 'blocks'
  readonly #p: number
  /** By key: first file block * 4 + level. */
  readonly #blocks = new Map<number, BlockNr>()
  /** Pointers read by `load`. */
  #pointersRead = 0
  /** First file block behind all that the blocks owned cover, or at least that was grown for. */
  #grownTo = 0

  /** @param blockSize bytes */
  constructor(blockSize: number) {
    this.#p = blockSize / 4
  }

  get owned(): number {
    return this.#blocks.size
  }
  blocks(): BlockNr[] {
    return [...this.#blocks.values()]
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  checkpoint(): Restore {
    const [blocks, grownTo] = [[...this.#blocks], this.#grownTo]
    return () => {
      this.#blocks.clear()
      for (const [key, nr] of blocks) this.#blocks.set(key, nr)
      this.#grownTo = grownTo
    }
  }

  *load(v: Volume, root: Buffer): Kernel<Extent[], 'EIO'> {
    const out: Extent[] = []
    const seen = new Set<BlockNr>()
    this.#blocks.clear()
    this.#pointersRead = 0
    for (let i = 0; i < DIRECT; i++) yield* this.#leaf(v, out, i, root.readUInt32LE(i * 4))
    for (let level = 1; level <= LEVELS; level++) {
      yield* this.#descend(v, out, seen, level, rootFirst(this.#p, level), root.readUInt32LE((DIRECT + level - 1) * 4))
    }
    if (out.some((e) => !v.areData(e.pblk, e.n))) return yield* raise('EIO', 'EIO.map-over-metadata')
    const last = out.at(-1)
    this.#grownTo = last === undefined ? 0 : last.lblk + last.n
    return out
  }

  *#leaf(v: Volume, out: Extent[], lblk: number, pblk: BlockNr): Kernel<void, 'EIO'> {
    if (pblk === 0) return
    if (!v.isData(pblk)) return yield* raise('EIO', 'EIO.map-pointer-outside')
    if (++this.#pointersRead > v.geo.totalBlocks) return yield* raise('EIO', 'EIO.map-larger-than-device')
    const last = out.at(-1)
    if (last !== undefined && last.lblk + last.n === lblk && last.pblk + last.n === pblk) last.n++
    else out.push({ lblk, n: 1, state: MAPPED, pblk })
  }

  *#descend(
    v: Volume, out: Extent[], seen: Set<BlockNr>, level: number, first: number, nr: BlockNr,
  ): Kernel<void, 'EIO'> {
    if (nr === 0) return
    if (!v.areData(nr, 1)) return yield* raise('EIO', 'EIO.indirect-outside')
    if (seen.has(nr)) return yield* raise('EIO', 'EIO.indirect-twice')
    seen.add(nr)
    this.#blocks.set(first * 4 + level, nr)
    const { data } = yield* v.cache.get(nr)
    const step = this.#p ** (level - 1)
    for (let i = 0; i < this.#p; i++) {
      const pblk = data.readUInt32LE(i * 4)
      if (pblk === 0) continue
      if (level === 1) yield* this.#leaf(v, out, first + i, pblk)
      else yield* this.#descend(v, out, seen, level - 1, first + i * step, pblk)
    }
  }

  // --- space -------------------------------------------------------------------------------------------------------

  /**
   * Extents of n blocks touch at most 1 + (n + s - 2) / s trees of s blocks each, and never more than n; a whole dense
   * file up to the end is a bound, too. Blocks owned are part of the dense tree up to `#grownTo`.
   */
  owed(map: ExtentMap, delayed: number, extents: number, end: number): number {
    if (delayed === 0 || end <= DIRECT) return 0
    const p = this.#p
    const dense = denseIndirect(p, Math.max(end, this.#grownTo, map.end)) - this.owned
    let sum = 0
    let below = delayed
    for (let level = 1; level <= LEVELS && end > rootFirst(p, level); level++) {
      const s = p ** level
      below = Math.min(below, extents + Math.floor((delayed + extents * (s - 2)) / s), level === LEVELS ? 1 : Infinity)
      sum += below
    }
    return Math.min(sum, dense)
  }

  /** Keys of the indirect blocks above [lblk, lblk + n). */
  #keysAbove(lblk: number, n: number): number[] {
    const p = this.#p
    const keys: number[] = []
    const end = lblk + n
    for (let root = 1; root <= LEVELS; root++) {
      const base = rootFirst(p, root)
      const from = Math.max(lblk, base)
      const to = Math.min(end, base + p ** root)
      for (let level = root; level >= 1 && from < to; level--) {
        const s = p ** level
        for (let i = Math.floor((from - base) / s); i * s + base < to; i++) keys.push((i * s + base) * 4 + level)
      }
    }
    return keys
  }

  *grow(v: Volume, _map: ExtentMap, lblk: number, n: number, goal: BlockNr): Kernel<number, 'ENOSPC' | 'EIO'> {
    const missing = this.#keysAbove(lblk, n).filter((key) => !this.#blocks.has(key))
    if (missing.length > 0) {
      const placed = yield* v.placeFresh(goal, missing.length)
      missing.forEach((key, i) => this.#blocks.set(key, placed[i]!))
    }
    this.#grownTo = Math.max(this.#grownTo, lblk + n)
    return missing.length
  }

  *shrink(v: Volume, map: ExtentMap): Kernel<number, 'EIO'> {
    const surplus = [...this.#blocks].filter(([key]) => !hasReal(map, Math.floor(key / 4), this.#p ** (key % 4)))
    for (const [key] of surplus) this.#blocks.delete(key)
    this.#grownTo = map.end
    yield* v.freeAll(surplus.map(([, nr]) => nr))
    return surplus.length
  }

  fits(): boolean {
    return true
  }
  *fit(): Kernel<void, 'EIO'> {}

  // --- writing -----------------------------------------------------------------------------------------------------

  store(v: Volume, map: ExtentMap, root: Buffer): void {
    let stored = this.#pointers(map, 0, DIRECT, root)
    for (let level = 1; level <= LEVELS; level++) {
      root.writeUInt32LE(this.#blocks.get(rootFirst(this.#p, level) * 4 + level) ?? 0, (DIRECT + level - 1) * 4)
    }
    const block = Buffer.alloc(v.geo.blockSize)
    for (const [key, nr] of this.#blocks) {
      const level = key % 4
      const first = Math.floor(key / 4)
      const step = this.#p ** (level - 1)
      if (level === 1) stored += this.#pointers(map, first, this.#p, block)
      for (let i = 0; i < this.#p && level > 1; i++) {
        block.writeUInt32LE(this.#blocks.get((first + i * step) * 4 + level - 1) ?? 0, i * 4)
      }
      v.cache.store(nr, block)
    }
    if (stored !== map.realBlocks) throw new Error(`block map holds ${stored} of ${map.realBlocks} blocks: no growMap`)
  }

  /** Write the pointers of [first, first + n) into `out`. @returns how many are not zero */
  #pointers(map: ExtentMap, first: number, n: number, out: Buffer): number {
    const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
    let set = 0
    for (let i = 0; i < n; i += e.n) {
      map.lookup(first + i, n - i, e)
      if (e.state === UNWRITTEN) throw new Error(`unwritten extent at block ${e.lblk} of a block map`)
      const pblk = isReal(e.state) ? e.pblk : 0
      for (let j = 0; j < e.n; j++) out.writeUInt32LE(pblk === 0 ? 0 : pblk + j, (i + j) * 4)
      if (pblk !== 0) set += e.n
    }
    return set
  }
}

/** Is any of [lblk, lblk + n) on the device? */
const hasReal = (map: ExtentMap, lblk: number, n: number): boolean => {
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  for (let i = lblk; i < lblk + n; i += e.n) if (isReal(map.lookup(i, lblk + n - i, e).state)) return true
  return false
}
