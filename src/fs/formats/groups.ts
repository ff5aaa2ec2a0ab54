/**
 * Volume: superblock, group descriptors and bitmaps in core; which blocks and inodes are free.
 *
 * Allocation of blocks, in this order: (1) the run at the goal, if the goal is free; (2) the first run that is long
 * enough, forward in the goal's group, then in the next groups around, at last in the goal's group from its start; (3)
 * the longest run of the first group that has any. Groups that are known to have no such run are not searched. Inodes:
 * a directory goes to the group with the most free blocks among those with at least an average share of free inodes
 * (find_group_dir of fs/ext2/ialloc.c); a file to its parent's group, else to the next that has an inode and a block.
 *
 * Under a journal a freed block is free in the bitmap at once, and gets no new owner before the freeing is durable: until then
 * it is among the *freed* ones (`takeFreed`, `release`; ext4_free_data in fs/ext4/mballoc.h).
 *
 * Bitmaps are read when first needed. Counters in the descriptors are the truth; the superblock's are their sums.
 * No step between a look at a bitmap and its change waits.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import { attempt, type Kernel, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import type { Buf, BufferCache } from '../buffer-cache.ts'
import type { Run } from '../format.ts'
import { countClear, fillBits, findRun, isSet, nextClear, nextSet } from './bitmap.ts'
import { type Bitmap, BLOCK_UNINIT, Descriptors, type GroupCount, INODE_UNINIT, TABLE_ZEROED } from './descriptors.ts'
import { Freed } from './freed.ts'
import { groupForDirectory, groupForFile } from './placement.ts'
import { poison } from './poison.ts'
import { SystemZone } from './system-zone.ts'
import { emptyBlockBitmap, emptyInodeBitmap } from './uninit.ts'
import { type Geometry, groupBlocks, groupStart, overhead, SB, SB_POS, superblockSum } from './superblock.ts'

/** What a Volume may be told. */
export interface VolumeOptions {
  /** The clock, in microseconds since the epoch. */
  readonly now: () => number
  /** Blocks that are freed are overwritten on the device. */
  readonly poison?: boolean | undefined
  /** What a contradiction is: a bug of ours, which throws (panic, the default), or EIO: for an image that nobody trusts. */
  readonly errors?: 'panic' | 'raise' | undefined
}

/** One mounted set of block groups. */
export class Volume {
  readonly cache: BufferCache
  readonly geo: Geometry
  /** The superblock as it will be written, 1024 bytes. */
  readonly sb: Buffer
  /** All group descriptors as they will be written. */
  readonly descs: Descriptors
  /** Blocks that are freed are overwritten on the device. */
  readonly poison: boolean
  /** The clock, in microseconds since the epoch. */
  readonly now: () => number
  /** Which blocks are superblocks, descriptors, bitmaps and tables. */
  readonly zone: SystemZone
  /** How many they are. */
  readonly metadataBlocks: number
  freeBlocks = 0
  freeInodes = 0
  /** Upper bound of the longest free run of each group, in blocks. */
  readonly #longest: Int32Array
  readonly #panics: boolean
  #dirty = false
  /** Does a freed block wait for a commit? */
  deferFrees = false
  readonly #freed = new Freed()

  constructor(cache: BufferCache, geo: Geometry, sb: Buffer, descs: Descriptors, options: VolumeOptions) {
    this.cache = cache
    this.geo = geo
    this.sb = sb
    this.descs = descs
    this.now = options.now
    this.poison = options.poison ?? false
    this.zone = new SystemZone(geo, descs)
    this.#panics = options.errors !== 'raise'
    this.metadataBlocks = overhead(geo)
    this.#longest = new Int32Array(geo.groupCount).fill(geo.blocksPerGroup)
    for (let g = 0; g < geo.groupCount; g++) {
      this.freeBlocks += this.descs.count(g, 'freeBlocks')
      this.freeInodes += this.descs.count(g, 'freeInodes')
    }
  }

  checkpoint(): Restore {
    const { freeBlocks, freeInodes } = this
    const [sb, descs, longest, dirty] = [Buffer.from(this.sb), this.descs.checkpoint(), this.#longest.slice(), this.#dirty]
    const cache = this.cache.checkpoint()
    const freed = this.#freed.checkpoint()
    return () => {
      freed()
      sb.copy(this.sb)
      descs()
      this.#longest.set(longest)
      this.#dirty = dirty
      this.freeBlocks = freeBlocks
      this.freeInodes = freeInodes
      cache()
    }
  }

  /** Seconds since the epoch, as the superblock and 128-byte inodes keep it. */
  get seconds(): number {
    return Math.floor(this.now() / 1e6)
  }
  /** First block of the inode table of group `g`. */
  tableStart(g: number): BlockNr {
    return this.descs.table(g)
  }
  /** The block that holds the block bitmap of group `g`. */
  blockBitmap(g: number): BlockNr {
    return this.descs.blockBitmap(g)
  }
  /** The block that holds the inode bitmap of group `g`. */
  inodeBitmap(g: number): BlockNr {
    return this.descs.inodeBitmap(g)
  }
  /** Could `nr` be a block of a file: inside the file system and behind the boot block? */
  isData(nr: BlockNr): boolean {
    return nr > this.geo.firstDataBlock && nr < this.geo.totalBlocks
  }
  /** Could all of these be blocks of a file: inside the file system, and none of the metadata that mkfs placed? */
  areData(start: BlockNr, n: number): boolean {
    return this.isData(start) && this.isData(start + n - 1) && !this.zone.touches(start, n)
  }
  /** The group that block `nr` lies in. */
  groupOf(nr: BlockNr): number {
    return Math.floor((nr - this.geo.firstDataBlock) / this.geo.blocksPerGroup)
  }

  #add(g: number, field: GroupCount, n: number): void {
    this.descs.add(g, field, n)
    if (field === 'freeBlocks') this.freeBlocks += n
    if (field === 'freeInodes') this.freeInodes += n
    this.#dirty = true
  }

  /** What is on the disk does not fit together. @throws Error under `errors: 'panic'` */
  *contradiction(what: string): Kernel<never, 'EIO'> {
    if (this.#panics) throw new Error(what)
    return yield* raise('EIO', 'EIO.contradiction')
  }

  // --- bitmaps -----------------------------------------------------------------------------------------------------

  /** The block bitmap of group `g`: read, or computed if it was never written. Raises EIO, also for a wrong checksum. */
  blockBits(g: number): Kernel<Buf, 'EIO'> {
    return this.#bits(g, 'blocks', this.blockBitmap(g), BLOCK_UNINIT)
  }
  /** The same of the inode bitmap. */
  inodeBits(g: number): Kernel<Buf, 'EIO'> {
    return this.#bits(g, 'inodes', this.inodeBitmap(g), INODE_UNINIT)
  }

  *#bits(g: number, which: Bitmap, nr: BlockNr, neverWritten: number): Kernel<Buf, 'EIO'> {
    const known = this.cache.peek(nr)
    if (known?.verified === true) return known
    if (this.descs.has(g, neverWritten)) {
      return this.cache.supply(nr, which === 'blocks' ? emptyBlockBitmap(this.geo, this.descs, g) : emptyInodeBitmap(this.geo))
    }
    const buf = yield* this.cache.get(nr)
    if (!buf.verified && !this.descs.bitmapIsGood(g, which, buf.data)) return yield* raise('EIO', 'EIO.bitmap-checksum')
    buf.verified = true
    return buf
  }

  #fill(g: number, buf: Buf, which: Bitmap, start: number, n: number, value: 0 | 1): void {
    fillBits(buf.data, start, n, value)
    this.cache.markDirty(buf)
    this.descs.bitmapChanged(g, which)
  }

  /**
   * Inode `bit` of group `g` is about to be used: the group's bitmaps are written from now on, and so is the table up to
   * that inode, with zeros if nobody did that yet (__ext4_new_inode).
   */
  #firstUse(g: number, bit: number): void {
    const { geo, descs } = this
    if (geo.groupSum === 'none') return
    if (descs.has(g, BLOCK_UNINIT)) {
      this.cache.markDirty(this.cache.supply(this.blockBitmap(g), emptyBlockBitmap(geo, descs, g)))
      descs.bitmapChanged(g, 'blocks')
    }
    const used = descs.has(g, INODE_UNINIT) ? 0 : geo.inodesPerGroup - descs.unusedInodes(g)
    if (bit >= used) {
      const perBlock = geo.blockSize / geo.inodeSize
      const zeroed = descs.has(g, TABLE_ZEROED)
      for (let i = Math.ceil(used / perBlock); i * perBlock <= bit && !zeroed; i++) this.cache.fresh(this.tableStart(g) + i)
      descs.setUnusedInodes(g, geo.inodesPerGroup - bit - 1)
    }
    descs.clear(g, BLOCK_UNINIT | INODE_UNINIT)
  }

  // --- blocks ------------------------------------------------------------------------------------------------------

  /** Place 1 to `want` contiguous blocks, near `goal`. Raises ENOSPC if no block is free. */
  *allocate(goal: BlockNr, want: number): Kernel<Run, 'ENOSPC' | 'EIO'> {
    if (want < 1) throw new RangeError(`allocation of ${want} blocks`)
    const { groupCount } = this.geo
    const near = this.isData(goal) ? goal : groupStart(this.geo, 0)
    const first = this.groupOf(near)
    const from = near - groupStart(this.geo, first)
    for (let i = 0; i <= groupCount && this.freeBlocks > 0; i++) {
      const g = (first + i) % groupCount
      if (this.descs.count(g, 'freeBlocks') === 0 || (this.#longest[g]! < want && i > 0)) continue
      const run = i === 0 ? yield* this.#takeAtGoal(g, from, want) : yield* this.#take(g, 0, want, want)
      if (run !== null) return run
    }
    for (let i = 0; i < groupCount; i++) {
      const g = (first + i) % groupCount
      if (this.descs.count(g, 'freeBlocks') === 0) continue
      const run = yield* this.#take(g, 0, want, 1)
      if (run !== null) return run
    }
    return yield* raise('ENOSPC', 'ENOSPC.bitmap')
  }

  /** The run at bit `from` of group `g` if that bit is clear, however short; else a run of `want` behind it. */
  *#takeAtGoal(g: number, from: number, want: number): Kernel<Run | null, 'EIO'> {
    const buf = yield* this.blockBits(g)
    const n = nextSet(this.#freed.with(g, buf.data), from, Math.min(groupBlocks(this.geo, g), from + want)) - from
    return yield* this.#take(g, from, n > 0 ? n : want, n > 0 ? n : want)
  }

  /**
   * Take the first run of `want` clear bits of group `g` from bit `from` on, or the longest if that is at least
   * `least`.
   */
  *#take(g: number, from: number, want: number, least: number): Kernel<Run | null, 'EIO'> {
    const buf = yield* this.blockBits(g)
    const run = findRun(this.#freed.with(g, buf.data), from, groupBlocks(this.geo, g), want)
    if (from === 0 && (run === null || run.n < want)) this.#longest[g] = run?.n ?? 0
    if (run === null || run.n < least) return null
    if (run.n > this.descs.count(g, 'freeBlocks')) yield* this.contradiction(`group ${g}: more blocks are free than it counts`)
    this.#fill(g, buf, 'blocks', run.start, run.n, 1)
    this.descs.clear(g, BLOCK_UNINIT)
    this.#add(g, 'freeBlocks', -run.n)
    return { start: groupStart(this.geo, g) + run.start, n: run.n }
  }

  /** Give blocks back. @throws Error if one is free already: invariant I5 was broken */
  *free({ start, n }: Run): Kernel<void, 'EIO'> {
    if (this.poison && !this.deferFrees) yield* poison(this.cache, start, n)
    for (let nr = start; nr < start + n; ) {
      const g = this.groupOf(nr)
      const count = Math.min(start + n, groupStart(this.geo, g) + groupBlocks(this.geo, g)) - nr
      if (!this.isData(nr) || count <= 0) yield* this.contradiction(`free of block ${nr}, which lies outside the file system`)
      const buf = yield* this.blockBits(g)
      const bit = nr - groupStart(this.geo, g)
      const clear = nextClear(buf.data, bit, bit + count)
      if (clear < bit + count) yield* this.contradiction(`free of block ${nr + clear - bit}, which is free (I5)`)
      const room = groupBlocks(this.geo, g) - this.descs.count(g, 'freeBlocks')
      if (count > room) yield* this.contradiction(`group ${g}: fewer blocks are in use than it counts`)
      this.#fill(g, buf, 'blocks', bit, count, 0)
      this.#add(g, 'freeBlocks', count)
      this.#longest[g] = this.geo.blocksPerGroup
      if (this.deferFrees) this.#freed.add(g, bit, { start: nr, n: count }, this.geo.blockSize)
      for (let i = 0; i < count; i++) this.cache.forget(nr + i)
      nr += count
    }
  }

  /** Blocks free in the bitmap whose freeing is not durable. */
  get freedBlocks(): number {
    return this.#freed.blocks
  }
  /** What was freed since the last call. Plain. */
  takeFreed(): readonly Run[] {
    return this.#freed.take()
  }
  /** The freeing of these is durable: they may have new owners. */
  *release(runs: readonly Run[]): Kernel<void> {
    for (const { start, n } of runs) {
      if (this.poison) yield* poison(this.cache, start, n)
      const g = this.groupOf(start)
      this.#freed.release(g, start - groupStart(this.geo, g), n)
      this.#longest[g] = this.geo.blocksPerGroup
    }
  }

  /** Is block `nr` free by the bitmap? */
  *isFree(nr: BlockNr): Kernel<boolean, 'EIO'> {
    const g = this.groupOf(nr)
    const buf = yield* this.blockBits(g)
    return !isSet(buf.data, nr - groupStart(this.geo, g))
  }

  /** Free blocks counted bit by bit. */
  *countFreeBlocks(): Kernel<number, 'EIO'> {
    let n = 0
    for (let g = 0; g < this.geo.groupCount; g++) {
      const buf = yield* this.blockBits(g)
      n += countClear(buf.data, groupBlocks(this.geo, g))
    }
    return n
  }

  /** Place `n` blocks for metadata, as zeros in core, all or none. */
  *placeFresh(goal: BlockNr, n: number): Kernel<BlockNr[], 'ENOSPC' | 'EIO'> {
    const placed: BlockNr[] = []
    if (n > this.freeBlocks) return yield* raise('ENOSPC', 'ENOSPC.map-blocks')
    while (placed.length < n) {
      const run = yield* attempt(() => this.allocate((placed.at(-1) ?? goal - 1) + 1, n - placed.length))
      if (run._tag === 'Left') {
        yield* this.freeAll(placed)
        return yield* raise(run.left, run.left === 'ENOSPC' ? 'ENOSPC.map-race' : 'EIO.map-blocks')
      }
      for (let i = 0; i < run.right.n; i++) placed.push(run.right.start + i)
    }
    for (const nr of placed) this.cache.fresh(nr)
    return placed
  }

  /** Free single blocks. */
  *freeAll(nrs: readonly BlockNr[]): Kernel<void, 'EIO'> {
    for (const nr of nrs) yield* this.free({ start: nr, n: 1 })
  }

  // --- inodes ------------------------------------------------------------------------------------------------------

  /** Take a free inode near inode `parent` (0: none). Raises ENOSPC. */
  *allocateIno(parent: number, isDirectory: boolean): Kernel<number, 'ENOSPC' | 'EIO'> {
    const { groupCount, inodesPerGroup } = this.geo
    const near = parent === 0 ? 0 : Math.floor((parent - 1) / inodesPerGroup)
    const first = isDirectory ? groupForDirectory(this.geo, this.descs, this.freeInodes) : groupForFile(this.geo, this.descs, near)
    for (let i = 0; i < groupCount; i++) {
      const g = (first + i) % groupCount
      if (this.descs.count(g, 'freeInodes') === 0) continue
      const buf = yield* this.inodeBits(g)
      const bit = nextClear(buf.data, g === 0 ? this.geo.firstIno - 1 : 0, inodesPerGroup)
      if (bit >= inodesPerGroup) continue
      this.#firstUse(g, bit)
      this.#fill(g, buf, 'inodes', bit, 1, 1)
      this.#add(g, 'freeInodes', -1)
      if (isDirectory) this.#add(g, 'usedDirs', 1)
      return g * inodesPerGroup + bit + 1
    }
    return yield* raise('ENOSPC', 'ENOSPC.inodes')
  }

  /** Give inode `ino` back. @throws Error if it is free already */
  *freeIno(ino: number, isDirectory: boolean): Kernel<void, 'EIO'> {
    const g = Math.floor((ino - 1) / this.geo.inodesPerGroup)
    const bit = (ino - 1) % this.geo.inodesPerGroup
    const buf = yield* this.inodeBits(g)
    if (!isSet(buf.data, bit)) yield* this.contradiction(`free of inode ${ino}, which is free`)
    if (this.descs.count(g, 'freeInodes') === this.geo.inodesPerGroup) {
      yield* this.contradiction(`group ${g}: fewer inodes are in use than it counts`)
    }
    if (isDirectory && this.descs.count(g, 'usedDirs') === 0) yield* this.contradiction(`group ${g}: has no directory to free`)
    this.#fill(g, buf, 'inodes', bit, 1, 0)
    this.#add(g, 'freeInodes', 1)
    if (isDirectory) this.#add(g, 'usedDirs', -1)
  }

  /** Inode `ino`, in use already, is a directory. */
  countDirectory(ino: number): void {
    this.#add(Math.floor((ino - 1) / this.geo.inodesPerGroup), 'usedDirs', 1)
  }

  /** Is inode `ino` in use by the bitmap? */
  *inoInUse(ino: number): Kernel<boolean, 'EIO'> {
    const buf = yield* this.inodeBits(Math.floor((ino - 1) / this.geo.inodesPerGroup))
    return isSet(buf.data, (ino - 1) % this.geo.inodesPerGroup)
  }

  // --- writing ----------------------------------------------------------------------------------------------------

  /** The superblock was changed by hand. */
  touch(): void {
    this.#dirty = true
  }

  /** Write superblock and descriptors, and then all that is dirty. Nothing is written if nothing changed. */
  *sync(): Kernel<void, 'EIO'> {
    yield* this.store()
    yield* this.cache.flush()
  }

  /** Put superblock and descriptors, with their checksums, into the metadata cache, if anything changed. */
  *store(): Kernel<void, 'EIO'> {
    if (this.#dirty || this.cache.dirtyBlocks > 0) {
      const nrs = this.#ownBlocks()
      yield* this.cache.ensure(() => nrs)
      this.#dirty = false
      this.sb.writeUInt32LE(this.freeBlocks, SB.freeBlocks)
      this.sb.writeUInt32LE(this.freeInodes, SB.freeInodes)
      this.sb.writeUInt32LE(this.seconds, SB.wtime)
      if (this.geo.checksums) this.sb.writeUInt32LE(superblockSum(this.sb), SB.checksum)
      this.descs.seal((nr) => this.cache.peek(nr)!.data)
      this.cache.store(nrs[0]!, this.sb, SB_POS % this.geo.blockSize)
      for (let i = 1; i < nrs.length; i++) this.cache.store(nrs[i]!, this.descs.block(i - 1))
    }
  }

  #ownBlocks(): BlockNr[] {
    return Array.from({ length: 1 + this.geo.descBlocks }, (_, i) => this.geo.firstDataBlock + i)
  }
}
