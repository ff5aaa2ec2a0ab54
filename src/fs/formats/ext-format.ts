/**
 * ExtFormat: ext2 and ext4 behind the format port (../format.ts).
 *
 * The two differ in one thing, the map (DiskMap); everything else is shared. What the port leaves open:
 * - Maps are changed under the inode's map lock, directories under their rwsem. `writeInode` waits first, until all
 *   that it writes is in core, and then writes without a wait: what lands in the cache is one state of the inode.
 * - After `shrinkMap` the bound `owed` may have grown by what was freed, at most.
 * - `owed` bounds the rest of the placing in any order. When a delayed extent is split, the bound of a block map is
 *   computed anew and may come out larger; what was reserved before, less what was placed, remains enough.
 * - A block map cannot say *unwritten*. The first `growMap` of a block-mapped file of ext4 therefore makes an extent
 *   tree of it.
 * - Orphans form a chain on disk (s_last_orphan, then i_dtime of each) under a journal only: `prepareCommit` writes it.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import { type Kernel, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { type Extent, HOLE, isReal, MAPPED } from '../extent-map.ts'
import type { Dirent, Format, Run } from '../format.ts'
import { Inode, S_IFDIR, S_IFMT } from '../inode.ts'
import type { JournalArea } from '../journal/journal-area.ts'
import { freeAttributes } from './attributes.ts'
import { inodeIsGood, inodeSeed, sealInode } from './checksums.ts'
import { addName, initDirectory, listNames, lookupName, removeName, setName } from './directory.ts'
import { ExtentTree } from './ext4-map.ts'
import { maxFileBytes, needLargeFile } from './file-size.ts'
import type { Volume } from './groups.ts'
import {
  blankInode, decodeInode, diskMapFor, encodeFreed, encodeInode, ExtInode, extOf, FL_EXTENTS, INODE, MAP_BYTES, placeOf,
} from './inode-table.ts'
import { groupStart, INCOMPAT_EXTENTS, INCOMPAT_RECOVER, ROOT_INO, SB, STATE_VALID } from './superblock.ts'

/** A mounted ext2 or ext4. Made by `mountFormat`. */
export class ExtFormat implements Format {
  readonly name: 'ext2' | 'ext4'
  readonly blockSize: number
  readonly totalBlocks: number
  readonly totalInodes: number
  readonly maxBytes: number
  readonly hasUnwritten: boolean
  readonly rootIno = ROOT_INO
  /** Space, counters and the metadata cache. */
  readonly volume: Volume
  /** Was it unmounted cleanly before this mount? If not, the judges may have something to say. */
  readonly wasClean: boolean
  /** The journal inside, empty now; null if there is none. Set by the mount, once. */
  journalArea: JournalArea | null = null
  /** Inodes in the order in which they became orphans; the chain on disk begins with the last. */
  readonly #orphans = new Map<number, Inode>()

  constructor(volume: Volume, wasClean: boolean) {
    const { geo } = volume
    this.volume = volume
    this.wasClean = wasClean
    this.hasUnwritten = (geo.incompat & INCOMPAT_EXTENTS) !== 0
    this.name = this.hasUnwritten ? 'ext4' : 'ext2'
    this.blockSize = geo.blockSize
    this.totalBlocks = geo.totalBlocks
    this.totalInodes = geo.totalInodes
    this.maxBytes = maxFileBytes(volume, this.hasUnwritten)
  }

  checkpoint(): Restore {
    const orphans = [...this.#orphans]
    const volume = this.volume.checkpoint()
    return () => {
      volume()
      this.#orphans.clear()
      for (const [ino, inode] of orphans) this.#orphans.set(ino, inode)
    }
  }

  /** The journal is metadata, too. */
  get metadataBlocks(): number {
    return this.volume.metadataBlocks + (this.journalArea?.usedBlocks ?? 0)
  }
  /** As the kernel counts it: without the blocks of the journal's map (ext4_calculate_overhead). */
  get overheadBlocks(): number {
    return this.volume.metadataBlocks + (this.journalArea?.blocks.length ?? 0)
  }

  // --- space -------------------------------------------------------------------------------------------------------

  get freeBlocks(): number {
    return this.volume.freeBlocks
  }
  get freeInodes(): number {
    return this.volume.freeInodes
  }
  countFreeBlocks(): Kernel<number, 'EIO'> {
    return this.volume.countFreeBlocks()
  }
  allocate(goal: BlockNr, want: number): Kernel<Run, 'ENOSPC' | 'EIO'> {
    return this.volume.allocate(goal, want)
  }
  free(run: Run): Kernel<void, 'EIO'> {
    return this.volume.free(run)
  }
  get freedBlocks(): number {
    return this.volume.freedBlocks
  }
  takeFreed(): readonly Run[] {
    return this.volume.takeFreed()
  }
  release(runs: readonly Run[]): Kernel<void> {
    return this.volume.release(runs)
  }
  /** The start of the inode's group. */
  goalFor(inode: Inode): BlockNr {
    return groupStart(this.volume.geo, Math.floor((inode.ino - 1) / this.volume.geo.inodesPerGroup))
  }

  // --- map ---------------------------------------------------------------------------------------------------------

  *loadMap(inode: Inode): Kernel<void, 'EIO'> {
    if (inode.mapLoaded) return
    const ext = extOf(inode)
    if (ext.disk !== null) {
      const disk = diskMapFor(this.volume, ext.flags)
      const extents = yield* disk.load(this.volume, this.#root(ext), this.#seed(inode, ext))
      if (inode.mapLoaded) return
      for (const e of extents) inode.map.set(e.lblk, e.n, e.state, e.pblk)
      ext.disk = disk
      ext.storedSeq = inode.map.seq
    }
    inode.mapLoaded = true
  }

  /** What the checksums of the inode's blocks begin with; 0 where there are none. */
  #seed(inode: Inode, ext: ExtInode): number {
    const { geo } = this.volume
    return geo.checksums ? inodeSeed(geo, inode.ino, ext.raw) : 0
  }

  /** The bytes of i_block. */
  #root(ext: ExtInode): Buffer {
    return ext.raw.subarray(INODE.map, INODE.map + MAP_BYTES)
  }

  owed(inode: Inode): number {
    const { map } = inode
    return this.#owed(inode, map.delayedBlocks, map.delayedExtents, map.end)
  }
  owedAfter(inode: Inode, moreBlocks: number, end: number): number {
    const { map } = inode
    if (moreBlocks <= 0) return this.owed(inode)
    return this.#owed(inode, map.delayedBlocks + moreBlocks, map.delayedExtents + 1, Math.max(map.end, end))
  }
  #owed(inode: Inode, delayed: number, extents: number, end: number): number {
    const { disk } = extOf(inode)
    if (disk === null) return 0
    if (disk.kind === 'extents' || !this.hasUnwritten) return disk.owed(inode.map, delayed, extents, end)
    return delayed === 0 ? 0 : new ExtentTree(this.blockSize).owed(inode.map, delayed)
  }

  *growMap(inode: Inode, lblk: number, n: number): Kernel<number, 'ENOSPC' | 'EIO'> {
    const ext = extOf(inode)
    const { disk } = ext
    if (disk === null) throw new Error(`inode ${inode.ino} has no map to grow`)
    const goal = this.#goalBefore(inode, lblk)
    if (disk.kind === 'extents' || !this.hasUnwritten) {
      const placed = yield* disk.grow(this.volume, inode.map, lblk, n, goal)
      if (placed > 0) mustStore(inode, ext)
      return placed
    }
    const tree = new ExtentTree(this.blockSize)
    const placed = yield* tree.grow(this.volume, inode.map, lblk, n, goal)
    ext.disk = tree
    ext.flags |= FL_EXTENTS
    mustStore(inode, ext)
    yield* this.volume.freeAll(disk.blocks())
    return placed
  }

  /** Behind the block that lies before `lblk`, if there is one: map blocks stand next to what they map. */
  #goalBefore(inode: Inode, lblk: number): BlockNr {
    const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
    if (lblk > 0 && isReal(inode.map.lookup(lblk - 1, 1, e).state)) return e.pblk + 1
    return this.goalFor(inode)
  }

  *shrinkMap(inode: Inode): Kernel<number, 'EIO'> {
    const ext = extOf(inode)
    if (ext.disk === null) return 0
    const before = ext.disk.owned
    const freed = yield* ext.disk.shrink(this.volume, inode.map)
    if (ext.disk.owned !== before) mustStore(inode, ext)
    return freed
  }
  mapBlocks(inode: Inode): number {
    return extOf(inode).disk?.owned ?? 0
  }

  // --- inode -------------------------------------------------------------------------------------------------------

  *readInode(ino: number): Kernel<Inode, 'EIO' | 'EUCLEAN'> {
    const { totalInodes } = this.volume.geo
    if (!Number.isInteger(ino) || ino < 1 || ino > totalInodes) return yield* raise('EUCLEAN', 'EUCLEAN.inode-number')
    if (!(yield* this.volume.inoInUse(ino))) return yield* raise('EUCLEAN', 'EUCLEAN.inode-free')
    const inode = yield* this.decode(ino)
    if (inode.mode === 0 || inode.nlink === 0) return yield* raise('EUCLEAN', 'EUCLEAN.inode-unused')
    if (inode.size > this.maxBytes) return yield* raise('EUCLEAN', 'EUCLEAN.inode-size')
    if (inode.isSymlink && inode.symlink === null) yield* this.#readSymlink(inode)
    return inode
  }

  /** What the table says of inode `ino`, in use or not. */
  *decode(ino: number): Kernel<Inode, 'EIO'> {
    const { nr, at } = placeOf(this.volume, ino)
    const { data } = yield* this.volume.cache.get(nr)
    const inode = new Inode(ino, 0)
    const { geo } = this.volume
    const raw = Buffer.from(data.subarray(at, at + geo.inodeSize))
    if (geo.checksums && !inodeIsGood(geo, ino, raw) && !isBlank(raw)) return yield* raise('EIO', 'EIO.inode-checksum')
    decodeInode(this.volume, inode, new ExtInode(raw))
    return inode
  }

  *#readSymlink(inode: Inode): Kernel<void, 'EIO'> {
    yield* this.loadMap(inode)
    const first = inode.map.extents[0]
    if (first?.lblk !== 0 || inode.size > this.blockSize) return yield* raise('EIO', 'EIO.symlink')
    inode.symlink = (yield* this.volume.cache.get(first.pblk)).data.toString('utf8', 0, inode.size)
  }

  /**
   * Give a new symlink its target: in the inode if it has less than 60 bytes, else in a block. The caller checked the
   * length.
   */
  *initSymlink(inode: Inode, target: string): Kernel<void, 'ENOSPC' | 'EIO'> {
    const bytes = Buffer.from(target)
    if (bytes.length === 0 || bytes.length >= this.blockSize) throw new RangeError(`symlink of ${bytes.length} bytes`)
    if (bytes.length >= MAP_BYTES) {
      const run = yield* this.allocate(this.goalFor(inode), 1)
      bytes.copy(this.volume.cache.fresh(run.start).data)
      inode.map.set(0, 1, MAPPED, run.start)
    }
    extOf(inode).storedSeq = -1
    inode.symlink = target
    inode.size = bytes.length
    inode.diskSize = bytes.length
    inode.dirty = true
  }

  *writeInode(inode: Inode): Kernel<void, 'EIO'> {
    const ext = extOf(inode)
    const { map } = inode
    const { nr, at } = placeOf(this.volume, inode.ino)
    const stale = (): boolean => ext.disk !== null && inode.mapLoaded && ext.storedSeq !== map.seq
    for (;;) {
      if (stale()) yield* ext.disk!.fit(this.volume, map)
      yield* this.volume.cache.ensure(() => (stale() ? [nr, ...ext.disk!.blocks()] : [nr]))
      if (!stale() || ext.disk!.fits(map)) break
    }
    if (stale()) this.#storeMap(inode, ext)
    if (!this.#orphans.has(inode.ino)) ext.raw.writeUInt32LE(0, INODE.dtime)
    encodeInode(this.volume, inode, ext, inode.mapLoaded)
    if (inode.isFile && inode.diskSize >= 2 ** 31) needLargeFile(this.volume)
    this.#storeRaw(inode.ino, ext.raw, nr, at)
    inode.dirty = false
  }

  #storeRaw(ino: number, raw: Buffer, nr: BlockNr, at: number): void {
    if (this.volume.geo.checksums) sealInode(this.volume.geo, ino, raw)
    this.volume.cache.store(nr, raw, at)
  }

  #storeMap(inode: Inode, ext: ExtInode): void {
    if (inode.symlink !== null && inode.map.realBlocks === 0) {
      if (Buffer.byteLength(inode.symlink) >= MAP_BYTES) throw new Error(`symlink ${inode.ino}: without initSymlink`)
      ext.disk = null
      ext.flags &= ~FL_EXTENTS
      this.#root(ext).fill(0).write(inode.symlink)
      return
    }
    ext.disk!.store(this.volume, inode.map, this.#root(ext), this.#seed(inode, ext))
    ext.storedSeq = inode.map.seq
  }

  *allocateInode(parent: Inode | null, mode: number): Kernel<Inode, 'ENOSPC' | 'EIO'> {
    const ino = yield* this.volume.allocateIno(parent?.ino ?? 0, (mode & S_IFMT) === S_IFDIR)
    const { nr, at } = placeOf(this.volume, ino)
    const { data } = yield* this.volume.cache.get(nr)
    return this.#blank(ino, mode, (data.readUInt32LE(at + INODE.generation) + 1) >>> 0)
  }

  /** The root of a file system that is being made: inode 2, whose bit is set already. Only mkfs calls this. */
  rootInode(mode: number): Inode {
    this.volume.countDirectory(ROOT_INO)
    return this.#blank(ROOT_INO, mode, 0)
  }

  #blank(ino: number, mode: number, generation: number): Inode {
    const inode = new Inode(ino, mode)
    const ext = new ExtInode(blankInode(this.volume, mode, generation))
    decodeInode(this.volume, inode, ext)
    inode.symlink = null
    if (inode.isSymlink) ext.disk = diskMapFor(this.volume, ext.flags)
    inode.atime = inode.ctime = inode.mtime = this.volume.now()
    inode.mapLoaded = true
    inode.dirty = true
    return inode
  }

  *freeInode(inode: Inode): Kernel<void, 'EIO'> {
    const { nr, at } = placeOf(this.volume, inode.ino)
    const { raw } = extOf(inode)
    yield* freeAttributes(this.volume, raw)
    yield* this.volume.freeIno(inode.ino, inode.isDirectory)
    yield* this.volume.cache.ensure(() => [nr])
    encodeFreed(raw, this.volume.seconds)
    this.#storeRaw(inode.ino, raw, nr, at)
    inode.dirty = false
    this.#orphans.delete(inode.ino)
  }

  // --- directories -------------------------------------------------------------------------------------------------

  lookupName(dir: Inode, name: string): Kernel<number, 'EIO'> {
    return lookupName(this, dir, name)
  }
  addName(dir: Inode, name: string, ino: number, mode: number): Kernel<void, 'ENOSPC' | 'EIO'> {
    return addName(this, dir, name, ino, mode)
  }
  setName(dir: Inode, name: string, ino: number, mode: number): Kernel<void, 'EIO'> {
    return setName(this, dir, name, ino, mode)
  }
  removeName(dir: Inode, name: string): Kernel<void, 'EIO'> {
    return removeName(this, dir, name)
  }
  listNames(dir: Inode): Kernel<readonly Dirent[], 'EIO'> {
    return listNames(this, dir)
  }
  initDirectory(dir: Inode, parentIno: number): Kernel<void, 'ENOSPC' | 'EIO'> {
    return initDirectory(this, dir, parentIno)
  }

  // --- orphans and durability --------------------------------------------------------------------------------------

  *addOrphan(inode: Inode): Kernel<void, 'EIO'> {
    this.#orphans.set(inode.ino, inode)
  }
  *removeOrphan(inode: Inode): Kernel<void, 'EIO'> {
    if (this.#orphans.delete(inode.ino)) inode.dirty = true
  }
  isOrphan(inode: Inode): boolean {
    return this.#orphans.has(inode.ino)
  }
  /** Inodes without a name that are still held; lost space if the machine stops now. */
  get orphans(): readonly number[] {
    return [...this.#orphans.keys()].sort((a, b) => a - b)
  }

  /** Bring the chain of orphans, descriptors and superblock into the metadata cache: all that a commit must find there. */
  *prepareCommit(): Kernel<void, 'EIO'> {
    let next = 0
    for (const inode of this.#orphans.values()) {
      const { raw } = extOf(inode)
      if (raw.readUInt32LE(INODE.dtime) !== next) {
        raw.writeUInt32LE(next, INODE.dtime)
        yield* this.writeInode(inode)
      }
      next = inode.ino
    }
    const { sb } = this.volume
    if (sb.readUInt32LE(SB.lastOrphan) !== next) {
      sb.writeUInt32LE(next, SB.lastOrphan)
      this.volume.touch()
    }
    yield* this.volume.store()
  }

  *syncInode(inode: Inode): Kernel<void, 'EIO'> {
    yield* this.writeInode(inode)
    const nrs = [placeOf(this.volume, inode.ino).nr, ...(extOf(inode).disk?.blocks() ?? [])]
    if (!inode.isFile) for (const e of inode.map.extents) for (let i = 0; i < e.n; i++) nrs.push(e.pblk + i)
    yield* this.volume.cache.writeBlocks(nrs)
  }
  sync(): Kernel<void, 'EIO'> {
    return this.volume.sync()
  }
  *unmount(): Kernel<void, 'EIO'> {
    const { volume } = this
    if (volume.cache.readOnly) return
    if (this.wasClean) volume.sb.writeUInt16LE(volume.sb.readUInt16LE(SB.state) | STATE_VALID, SB.state)
    // The journal is empty: there is nothing to replay any more.
    volume.sb.writeUInt32LE((volume.sb.readUInt32LE(SB.incompat) & ~INCOMPAT_RECOVER) >>> 0, SB.incompat)
    volume.touch()
    yield* volume.sync()
  }
}

/** The blocks of the map changed, whether what it says did or not: the inode must be written. */
const mustStore = (inode: Inode, ext: ExtInode): void => {
  ext.storedSeq = -1
  inode.dirty = true
}

/** Zeros: an inode that was never written has no checksum, and needs none. */
const isBlank = (raw: Buffer): boolean => raw.every((byte) => byte === 0)
