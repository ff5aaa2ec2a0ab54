/**
 * ExtentTree: the extents of an ext4 inode on disk.
 *
 * 4 entries in the inode, then leaves of (block size - 12) / 12 entries, then index levels until 4 entries are enough.
 * The tree owns its blocks level by level; `store` packs the extents in core into the leaves from left to right, such
 * that every block owned has at least one entry. The shape is *packed* when each index level is as small as the level
 * below allows. A tree that another system wrote may be shaped otherwise: it is read as it is, kept while the map does
 * not change, and brought into a packed shape, out of its own blocks first, by the next `grow`, `shrink` or `fit`.
 *
 * An extent on disk has at most 32768 blocks, an unwritten one 32767; longer ones are cut. Delayed extents are never
 * written.
 *
 * Source: fs/ext4/ext4_extents.h, fs/ext4/extents.c; Documentation/filesystems/ext4/ifork.rst.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import { attempt, type Kernel, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { type Extent, type ExtentMap, isReal, MAPPED, UNWRITTEN } from '../extent-map.ts'
import { extentsAreGood, extentSealer } from './checksums.ts'
import type { DiskMap } from './disk-map.ts'
import type { Volume } from './groups.ts'

const TREE_MAGIC = 0xf30a
/** Bytes of a node's header, and of each entry. */
const ENTRY = 12
const ROOT_ENTRIES = 4
const MAX_DEPTH = 5
/** Most blocks of one extent on disk. */
const WRITTEN_MAX = 32768
const UNWRITTEN_MAX = 32767

/** Entries in a tree block of `blockSize` bytes. */
export const entriesPerBlock = (blockSize: number): number => Math.floor((blockSize - ENTRY) / ENTRY)

/** Blocks on each level, leaves first, of the packed tree with so many leaves. */
export const packedShape = (leaves: number, capacity: number): number[] => {
  const shape: number[] = []
  for (let n = leaves; n > 0; n = n > ROOT_ENTRIES ? Math.ceil(n / capacity) : 0) shape.push(n)
  return shape
}

/** Leaves for `n` extents. */
export const leavesFor = (n: number, capacity: number): number => (n <= ROOT_ENTRIES ? 0 : Math.ceil(n / capacity))

const sum = (shape: readonly number[]): number => shape.reduce((a, b) => a + b, 0)

/** Entries on disk of one extent in core. */
const pieces = (e: Readonly<Extent>): number =>
  e.state === MAPPED ? Math.ceil(e.n / WRITTEN_MAX) : e.state === UNWRITTEN ? Math.ceil(e.n / UNWRITTEN_MAX) : 0

/** Entries on disk of the whole map, counted. */
const entriesOf = (map: ExtentMap): number => {
  let n = 0
  for (const e of map.extents) n += pieces(e)
  return n
}

/** The same as a bound in O(1), with `blocks` more real blocks in `extents` more extents. */
const entriesBound = (map: ExtentMap, extents: number, blocks: number): number =>
  map.extents.length - map.delayedExtents + extents + Math.floor((map.realBlocks + blocks) / UNWRITTEN_MAX)

/** What reading a tree takes along. */
interface Reading {
  readonly v: Volume
  readonly seed: number
  readonly out: Extent[]
  /** Blocks of the tree: none may come twice. */
  readonly seen: Set<BlockNr>
}

/** A copy of tree block `nr`. Raises EIO if its checksum is wrong. */
function* nodeAt({ v, seed }: Reading, nr: BlockNr): Kernel<Buffer, 'EIO'> {
  const buf = yield* v.cache.get(nr)
  if (v.geo.checksums && !buf.verified && !extentsAreGood(seed, buf.data)) return yield* raise('EIO', 'EIO.extent-checksum')
  buf.verified = true
  return Buffer.from(buf.data)
}

/** The tree blocks of one inode. */
export class ExtentTree implements DiskMap {
  readonly kind = 'extents'
  readonly #capacity: number
  /** Blocks of each level, leaves first. */
  #levels: BlockNr[][] = []

  /** @param blockSize bytes */
  constructor(blockSize: number) {
    this.#capacity = entriesPerBlock(blockSize)
  }

  get owned(): number {
    return sum(this.#levels.map((l) => l.length))
  }
  /** Levels below the root: 0 when all extents lie in the inode. */
  get depth(): number {
    return this.#levels.length
  }
  blocks(): BlockNr[] {
    return this.#levels.flat()
  }

  checkpoint(): Restore {
    const levels = this.#levels.map((level) => level.slice())
    return () => {
      this.#levels = levels.map((level) => level.slice())
    }
  }

  get #leaves(): number {
    return this.#levels[0]?.length ?? 0
  }
  get #packed(): boolean {
    const shape = packedShape(this.#leaves, this.#capacity)
    return shape.length === this.#levels.length && shape.every((n, i) => this.#levels[i]!.length === n)
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  *load(v: Volume, root: Buffer, seed: number): Kernel<Extent[], 'EIO'> {
    const out: Extent[] = []
    const depth = root.readUInt16LE(6)
    if (depth > MAX_DEPTH) return yield* raise('EIO', 'EIO.extent-depth')
    this.#levels = Array.from({ length: depth }, () => [])
    yield* this.#node({ v, seed, out, seen: new Set() }, root, depth, ROOT_ENTRIES, 0)
    if (out.reduce((blocks, e) => blocks + e.n, 0) > v.geo.totalBlocks) return yield* raise('EIO', 'EIO.extents-larger-than-device')
    return out
  }

  *#node(reading: Reading, node: Buffer, depth: number, capacity: number, from: number): Kernel<void, 'EIO'> {
    const { v, out, seen } = reading
    const entries = node.readUInt16LE(2)
    const sane = node.readUInt16LE(0) === TREE_MAGIC && node.readUInt16LE(6) === depth &&
      entries <= node.readUInt16LE(4) && node.readUInt16LE(4) <= capacity
    if (!sane) return yield* raise('EIO', 'EIO.extent-header')
    let least = from
    for (let i = 0; i < entries; i++) {
      const at = ENTRY * (i + 1)
      const lblk = node.readUInt32LE(at)
      if (lblk < least) return yield* raise('EIO', 'EIO.extent-order')
      if (depth === 0) least = yield* readEntry(v, out, node, at)
      else {
        const nr = node.readUInt32LE(at + 4)
        if (!v.areData(nr, 1) || node.readUInt16LE(at + 8) !== 0) return yield* raise('EIO', 'EIO.extent-index-outside')
        if (seen.has(nr)) return yield* raise('EIO', 'EIO.extent-block-twice')
        seen.add(nr)
        this.#levels[depth - 1]!.push(nr)
        yield* this.#node(reading, yield* nodeAt(reading, nr), depth - 1, this.#capacity, lblk)
        const last = out.at(-1)
        least = last === undefined ? lblk : last.lblk + last.n
      }
    }
  }

  // --- space -------------------------------------------------------------------------------------------------------

  /** Every delayed block may become an extent of its own; one more, for `grow` asks for two when one is added. */
  owed(map: ExtentMap, delayed: number): number {
    const now = leavesFor(entriesBound(map, 0, 0), this.#capacity)
    const last = delayed === 0 ? now : leavesFor(entriesBound(map, delayed + 1, delayed), this.#capacity)
    const usable = this.#packed ? this.owned : Math.min(this.owned, sum(packedShape(now, this.#capacity)))
    return Math.max(0, sum(packedShape(last, this.#capacity)) - usable)
  }

  /**
   * Room for two entries more: a new extent adds one, and the conversion of a part of an extent, which nobody announces, up
   * to two. So what is placed unwritten here can become written in parts without a further block.
   */
  *grow(v: Volume, map: ExtentMap, _lblk: number, n: number, goal: BlockNr): Kernel<number, 'ENOSPC' | 'EIO'> {
    const leaves = leavesFor(entriesBound(map, 2, n), this.#capacity)
    if (this.#packed && leaves <= this.#leaves) return 0
    return Math.max(0, yield* this.#resize(v, leaves, goal))
  }

  *shrink(v: Volume, map: ExtentMap): Kernel<number, 'EIO'> {
    const leaves = leavesFor(entriesBound(map, 0, 0), this.#capacity)
    if (this.#packed && leaves >= this.#leaves) return 0
    return Math.max(0, -(yield* this.#resizeOrEio(v, leaves)))
  }

  fits(map: ExtentMap): boolean {
    const n = entriesOf(map)
    const leaves = this.#leaves
    return this.#packed && (leaves === 0 ? n <= ROOT_ENTRIES : leaves <= n && n <= leaves * this.#capacity)
  }

  *fit(v: Volume, map: ExtentMap): Kernel<void, 'EIO'> {
    if (!this.fits(map)) yield* this.#resizeOrEio(v, leavesFor(entriesOf(map), this.#capacity))
  }

  /** `resize` where the blocks are counted as owed already: that none is free is an I/O error of the inode write. */
  *#resizeOrEio(v: Volume, leaves: number): Kernel<number, 'EIO'> {
    const done = yield* attempt(() => this.#resize(v, leaves, this.blocks().at(-1) ?? 0))
    return done._tag === 'Right' ? done.right : yield* raise('EIO', 'EIO.extent-split')
  }

  /** Bring the tree into the packed shape with so many leaves. @returns blocks placed, less blocks freed */
  *#resize(v: Volume, leaves: number, goal: BlockNr): Kernel<number, 'ENOSPC' | 'EIO'> {
    const shape = packedShape(leaves, this.#capacity)
    const spare: BlockNr[] = []
    const before = this.owned
    for (;;) {
      const short = sum(shape) - this.owned - spare.length
      if (short <= 0) break
      const placed = yield* attempt(() => v.placeFresh(goal, short))
      if (placed._tag === 'Left') {
        yield* v.freeAll(spare)
        return yield* raise(placed.left)
      }
      spare.push(...placed.right)
    }
    const kept = shape.map((n, i) => (this.#levels[i] ?? []).slice(0, n))
    for (const [i, level] of this.#levels.entries()) spare.push(...level.slice(shape[i] ?? 0))
    for (const [i, level] of kept.entries()) level.push(...spare.splice(0, shape[i]! - level.length))
    this.#levels = kept
    yield* v.freeAll(spare)
    return this.owned - before
  }

  // --- writing -----------------------------------------------------------------------------------------------------

  store(v: Volume, map: ExtentMap, root: Buffer, seed: number): void {
    const entries = encode(map)
    let level = { keys: entries, count: entries.length / ENTRY }
    // Behind the last entry is the place of the checksum, which is written when the block leaves core.
    const block = Buffer.alloc(v.geo.checksums ? ENTRY * (1 + this.#capacity) : v.geo.blockSize)
    const seal = v.geo.checksums ? extentSealer(seed) : null
    for (const [depth, nrs] of this.#levels.entries()) {
      const above = Buffer.alloc(nrs.length * ENTRY)
      let at = 0
      for (const [i, nr] of nrs.entries()) {
        const n = Math.min(this.#capacity, level.count - at - (nrs.length - i - 1))
        block.fill(0)
        writeHeader(block, n, this.#capacity, depth)
        level.keys.copy(block, ENTRY, at * ENTRY, (at + n) * ENTRY)
        v.cache.store(nr, block, 0, seal)
        above.writeUInt32LE(level.keys.readUInt32LE(at * ENTRY), i * ENTRY)
        above.writeUInt32LE(nr, i * ENTRY + 4)
        at += n
      }
      if (at !== level.count) throw new Error(`extent tree: ${level.count} entries in ${nrs.length} blocks`)
      level = { keys: above, count: nrs.length }
    }
    if (level.count > ROOT_ENTRIES) throw new Error(`extent tree: ${level.count} entries in the inode`)
    root.fill(0)
    writeHeader(root, level.count, ROOT_ENTRIES, this.#levels.length)
    level.keys.copy(root, ENTRY)
  }
}

const writeHeader = (node: Buffer, entries: number, max: number, depth: number): void => {
  node.writeUInt16LE(TREE_MAGIC, 0)
  node.writeUInt16LE(entries, 2)
  node.writeUInt16LE(max, 4)
  node.writeUInt16LE(depth, 6)
  node.writeUInt32LE(0, 8)
}

/** Read the extent at byte `at` of a leaf. @returns the first file block behind it */
function* readEntry(v: Volume, out: Extent[], node: Buffer, at: number): Kernel<number, 'EIO'> {
  const lblk = node.readUInt32LE(at)
  const len = node.readUInt16LE(at + 4)
  const pblk = node.readUInt32LE(at + 8)
  const unwritten = len > WRITTEN_MAX
  const n = unwritten ? len - WRITTEN_MAX : len
  if (n === 0) return yield* raise('EIO', 'EIO.extent-empty')
  if (node.readUInt16LE(at + 6) !== 0 || !v.areData(pblk, n)) return yield* raise('EIO', 'EIO.extent-outside')
  out.push({ lblk, n, state: unwritten ? UNWRITTEN : MAPPED, pblk })
  return lblk + n
}

/** All real extents as entries on disk. */
const encode = (map: ExtentMap): Buffer => {
  const out = Buffer.alloc(entriesOf(map) * ENTRY)
  let at = 0
  for (const e of map.extents) {
    if (!isReal(e.state)) continue
    const most = e.state === MAPPED ? WRITTEN_MAX : UNWRITTEN_MAX
    for (let done = 0; done < e.n; done += most) {
      const n = Math.min(most, e.n - done)
      out.writeUInt32LE(e.lblk + done, at)
      out.writeUInt16LE(e.state === MAPPED ? n : n + WRITTEN_MAX, at + 4)
      out.writeUInt32LE(e.pblk + done, at + 8)
      at += ENTRY
    }
  }
  return out
}
