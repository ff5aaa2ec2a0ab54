/**
 * FileSystem: one mount, and the services that strategies and system calls are built from.
 *
 * Services over the extent map and space, each under the caller's map lock:
 *   lookup             what lies below a range                                        plain
 *   reserve/unreserve  count space for a mapping, and give it back                    ENOSPC, EDQUOT / plain
 *   record             turn reserved space into a delayed extent                      ENOMEM
 *   allocate           place blocks under a hole now (get_block)                      ENOSPC, EDQUOT, EIO
 *   realise            place blocks under a delayed extent (writeback)                ENOSPC, EIO
 *   convert            unwritten -> written, after the I/O                            plain
 *   punch              remove blocks or delayed space, give all of it back            cannot fail
 * What a service adds for a write it notes in the write's mapping (`made`, `reserved`). A service that changes the map moves
 * the cookie of the mapping along only if the mapping was not stale already. What a service takes or gives back is charged to
 * the owner of the inode in the same step, where there is a quota.
 */
import { type Either, left } from 'fp-ts/lib/Either.js'
import type { BlockDevice } from '../block/device.ts'
import { type Restore, restoreAll } from '../kernel/checkpoint.ts'
import type { Errno } from '../kernel/errno.ts'
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import { DELALLOC, type Extent, HOLE, isReal, MAPPED, UNWRITTEN } from './extent-map.ts'
import type { Format, Run } from './format.ts'
import { Inode } from './inode.ts'
import { attachJournal } from './journal/attach.ts'
import type { Journal } from './journal/journal.ts'
import type { Mapping } from './mapping.ts'
import type { Mount } from './mount.ts'
import { wouldWait } from './nowait.ts'
import { blocksOf, type Quota } from './quota.ts'
import { Space, type SpaceError } from './space.ts'
import { oweSplit, type SplitRoom } from './splits.ts'
import type { AnyStrategy } from './strategy.ts'
import type { Verbs } from './verbs.ts'
import { writeBack, writeSomeBack } from './writeback.ts'

/** One mounted file system. */
export class FileSystem {
  readonly format: Format
  readonly device: BlockDevice
  readonly verbs: Verbs
  readonly strategy: AnyStrategy
  readonly space: Space
  /** What owners have and may have; null: nobody counts. */
  readonly quota: Quota | null
  /** Transactions; null: metadata is written when it is asked for. */
  readonly journal: Journal | null
  readonly blockSize: number
  /** Inodes in core by number. Walk it through `cachedInodes`, which sorts. */
  readonly inodes = new Map<number, Inode>()
  /** Bios carry T10 tuples. */
  readonly protection: boolean
  /** ... and the design takes their guards at copy-in. */
  readonly checksumAtCopy: boolean
  /** Blocks that an undo could not give back because the bitmap could not be read. */
  lostBlocks = 0
  readonly #dirtyLimit: number
  readonly #scratch: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }

  constructor(mount: Mount) {
    this.format = mount.format
    this.device = mount.journal == null ? mount.device : attachJournal(this, mount.journal, mount.device)
    this.verbs = mount.verbs
    this.strategy = mount.strategy
    this.space = new Space(mount.format)
    this.quota = mount.quota ?? null
    this.journal = mount.journal ?? null
    this.blockSize = mount.format.blockSize
    this.protection = mount.protection ?? false
    this.checksumAtCopy = this.protection && mount.strategy.claims.checksumAt === 'copy'
    this.#dirtyLimit = Math.floor(mount.verbs.cache.limitPages * (mount.dirtyRatio ?? 0.4))
  }

  /** Free blocks wait for a commit: ENOSPC may be over after one. */
  get freedWaits(): boolean {
    return this.format.freedBlocks > 0
  }

  // --- inodes ----------------------------------------------------------------------------------------------------

  /** The inode in core, read if need be, with its map loaded. */
  *inode(ino: number): Kernel<Inode, 'EIO' | 'EUCLEAN'> {
    let inode = this.inodes.get(ino)
    if (inode === undefined) {
      const read = yield* this.format.readInode(ino)
      inode = this.inodes.get(ino) ?? read
      // Who knows in which transaction it was changed before it was forgotten.
      if (this.journal !== null) inode.tid = this.journal.running.tid
      this.adopt(inode)
    }
    if (!inode.mapLoaded) yield* this.format.loadMap(inode)
    return inode
  }

  /** Put a new inode among those in core. */
  adopt(inode: Inode): void {
    inode.pages ??= this.verbs.cache.addressSpace(inode.ino)
    this.inodes.set(inode.ino, inode)
  }

  /** Inodes in core, by number. */
  cachedInodes(): Inode[] {
    return [...this.inodes.values()].sort((a, b) => a.ino - b.ino)
  }

  /** Inodes in core, space, format and lost blocks. The page cache and the device have their own. */
  checkpoint(): Restore {
    const { lostBlocks } = this
    const inodes = [...this.inodes]
    const more = [this.quota, this.journal].filter((part) => part !== null)
    const restore = restoreAll([this.space, this.format, ...more, ...this.inodes.values()].map((part) => part.checkpoint()))
    return () => {
      this.lostBlocks = lostBlocks
      this.inodes.clear()
      for (const [ino, inode] of inodes) this.inodes.set(ino, inode)
      restore()
    }
  }

  // --- throttling --------------------------------------------------------------------------------------------------

  /** More is dirty than may be: a writer must write back before he goes on. */
  get mustThrottle(): boolean {
    return this.verbs.cache.dirtyPages > this.#dirtyLimit
  }

  /** Write back until half of what may be dirty is (balance_dirty_pages). No lock but the inode lock may be held. */
  *balanceDirty(k: Verbs): Kernel<void> {
    yield* writeSomeBack(k, this, this.#dirtyLimit >> 1)
  }

  /** Write back the dirty folios of [from, to) bytes and wait; errors are recorded. @returns the first errno, or null */
  *writeBack(k: Verbs, inode: Inode, from: number, to: number): Kernel<Errno | null> {
    return yield* writeBack(k, this, inode, from, to)
  }

  // --- look-up -----------------------------------------------------------------------------------------------------

  /** The run of equal state at `lblk`, at most `n` blocks, noted in the mapping. */
  lookup(k: Verbs, inode: Inode, m: Mapping, lblk: number, n: number): Extent {
    k.ledger.mapLookups++
    return inode.map.lookup(lblk, n, m.nextExtent())
  }

  /**
   * The plain probe before `begin`: is something below `lblk`? Only an answer that saves `begin` is counted, since `begin`
   * looks again under the lock.
   */
  probe(k: Verbs, inode: Inode, m: Mapping, lblk: number, n: number): Extent | null {
    const e = inode.map.lookup(lblk, n, m.nextExtent())
    if (e.state === HOLE) {
      m.clearExtents()
      return null
    }
    k.ledger.mapLookups++
    return e
  }

  /** The same without a mapping, into `out`. */
  lookupInto(k: Verbs, inode: Inode, lblk: number, n: number, out: Extent): Extent {
    k.ledger.mapLookups++
    return inode.map.lookup(lblk, n, out)
  }

  // --- reservation -------------------------------------------------------------------------------------------------

  /**
   * Count `n` data blocks, and the map blocks that they may need as one extent ending at block `end`, for this mapping.
   * Raises ENOSPC or EDQUOT with nothing counted.
   */
  *reserve(k: Verbs, inode: Inode, m: Mapping, n: number, end: number): Kernel<void, SpaceError> {
    const map = Math.max(0, this.format.owedAfter(inode, m.reserved + n, end) - inode.owed - m.reservedMap)
    if (k.fault('ENOSPC.reserve') || this.space.available < n + map) return yield* raise('ENOSPC', 'ENOSPC.reserve')
    const { quota } = this
    if (quota !== null && (k.fault('EDQUOT.reserve') || quota.room(inode.uid) < n + map)) {
      return yield* raise('EDQUOT', 'EDQUOT.reserve')
    }
    m.inode = inode
    m.reserved += n
    m.reservedMap += map
    this.hold(inode, n + map)
    k.ledger.reservations++
    k.ledger.reservedBlocks += n
  }

  /** Give back what the mapping still holds. `undo`: this is the roll back of a failed or short write. */
  unreserve(k: Verbs, m: Mapping, undo: boolean): void {
    const held = m.reserved + m.reservedMap
    if (held !== 0) this.hold(m.inode!, -held)
    if (undo) {
      k.ledger.unreservesUndone++
      k.ledger.blocksUnreserved += m.reserved
    }
    m.reserved = 0
    m.reservedMap = 0
  }

  /** Count `n` blocks more (or less) as reserved, without asking whether there is room: the caller looked. */
  hold(inode: Inode, n: number): void {
    this.space.reserved += n
    if (this.quota !== null) this.quota.reserve(inode, n)
  }

  /** The blocks of an inode changed: charge its owner. Directories and symlinks change theirs below this class. */
  charge(inode: Inode): void {
    if (this.quota !== null && inode.mapLoaded) this.quota.settle(inode, blocksOf(this.format, inode))
  }

  /** Record [lblk, lblk + n), a hole, as delayed, out of the mapping's reservation. Raises ENOMEM with nothing changed. */
  *record(k: Verbs, inode: Inode, m: Mapping, lblk: number, n: number): Kernel<void, 'ENOMEM'> {
    if (k.fault('ENOMEM.record')) return yield* raise('ENOMEM', 'ENOMEM.record')
    if (m.reserved < n) throw new Error(`record of ${n} blocks out of a reservation of ${m.reserved}`)
    k.ledger.records++
    this.#change(inode, m, lblk, n, DELALLOC, 0)
    m.reserved -= n
    m.addMade(lblk, n, true)
    this.#settleOwed(inode, m)
  }

  /** Bring `inode.owed` up to date; what it grew by comes out of the mapping's reservation for map blocks first. */
  #settleOwed(inode: Inode, m: Mapping | null, most = Infinity): void {
    const owed = Math.min(most, this.format.owed(inode))
    const grown = owed - inode.owed
    const held = m === null ? 0 : Math.min(Math.max(grown, 0), m.reservedMap)
    if (m !== null) m.reservedMap -= held
    if (grown !== held) this.hold(inode, grown - held)
    inode.owed = owed
    this.charge(inode)
  }

  /** Change the map; a mapping that was true before stays true. */
  #change(inode: Inode, m: Mapping | null, lblk: number, n: number, state: Extent['state'], pblk: number): void {
    const current = m !== null && m.cookie === inode.map.seq
    inode.map.set(lblk, n, state, pblk)
    if (current) m.cookie = inode.map.seq
    inode.dirty = true
  }

  // --- allocation --------------------------------------------------------------------------------------------------

  /**
   * Place blocks under the hole [lblk, lblk + n) now; fewer may be placed. Takes no reserved space of others.
   * @returns blocks placed, at least 1. Raises ENOSPC, EDQUOT or EIO with nothing placed
   */
  *allocate(
    k: Verbs, inode: Inode, m: Mapping | null, lblk: number, n: number, state: typeof MAPPED | typeof UNWRITTEN,
  ): Kernel<number, SpaceError | 'EIO'> {
    if (m?.nowait === true) return yield* wouldWait('EAGAIN.allocate')
    if (k.fault('ENOSPC.allocate') || this.space.available < 1) return yield* raise('ENOSPC', 'ENOSPC.allocate')
    const { quota } = this
    if (quota !== null && (k.fault('EDQUOT.allocate') || quota.room(inode.uid) < 1)) {
      return yield* raise('EDQUOT', 'EDQUOT.allocate')
    }
    this.journal?.mustHandle('blocks are placed')
    const mapped = yield* this.#grow(k, inode, lblk, n)
    // One extent more may make the delayed ones of this file owe more.
    const owed = inode.map.delayedBlocks === 0 ? 0 : this.format.owedAfter(inode, 1, lblk + n) - inode.owed
    const want = Math.min(n, this.space.available - Math.max(0, owed))
    const allowed = quota === null ? want : Math.min(want, quota.room(inode.uid) - Math.max(0, owed))
    if (allowed < 1) {
      yield* this.#shrink(k, inode, mapped)
      return yield* want < 1 ? raise('ENOSPC', 'ENOSPC.map') : raise('EDQUOT', 'EDQUOT.map')
    }
    k.ledger.mapBlocks += mapped
    const placed = yield* this.#place(k, inode, lblk, allowed, mapped)
    this.#change(inode, m, lblk, placed.n, state, placed.start)
    if (state === MAPPED) this.journal?.order(inode)
    m?.addMade(lblk, placed.n, false)
    this.#settleOwed(inode, m)
    return placed.n
  }

  /** Place blocks under [lblk, lblk + n), delayed, out of its own reservation. @returns blocks placed, at least 1 */
  *realise(k: Verbs, inode: Inode, lblk: number, n: number): Kernel<number, 'ENOSPC' | 'EIO'> {
    if (k.fault('ENOSPC.realise')) return yield* raise('ENOSPC', 'ENOSPC.realise')
    this.journal?.mustHandle('blocks are placed')
    const mapped = yield* this.#grow(k, inode, lblk, n)
    k.ledger.mapBlocks += mapped
    const placed = yield* this.#place(k, inode, lblk, n, mapped)
    this.#change(inode, null, lblk, placed.n, this.format.hasUnwritten ? UNWRITTEN : MAPPED, placed.start)
    if (!this.format.hasUnwritten) this.journal?.order(inode)
    this.hold(inode, -placed.n)
    // What was reserved is enough, even where the bound comes out larger for the two halves of a delayed extent.
    this.#settleOwed(inode, null, inode.owed - mapped)
    return placed.n
  }

  /** Map blocks for an extent [lblk, lblk + n). Raises ENOSPC or EIO with nothing placed. @returns how many were placed */
  *#grow(k: Verbs, inode: Inode, lblk: number, n: number): Kernel<number, 'ENOSPC' | 'EIO'> {
    let mapped: number
    try {
      mapped = yield* this.format.growMap(inode, lblk, n)
    } finally {
      this.charge(inode)
    }
    if (mapped === 0 || !k.fault('EIO.map')) return mapped
    yield* this.#shrink(k, inode, mapped)
    return yield* raise('EIO', 'EIO.map')
  }

  /** Ask the format for up to `n` blocks after what lies before `lblk`; gives the `mapped` map blocks back when there are none. */
  *#place(k: Verbs, inode: Inode, lblk: number, n: number, mapped: number): Kernel<Run, 'ENOSPC' | 'EIO'> {
    const before = lblk > 0 ? inode.map.lookup(lblk - 1, 1, this.#scratch) : null
    const goal = before !== null && isReal(before.state) ? before.pblk + 1 : this.format.goalFor(inode)
    const run: Either<'ENOSPC' | 'EIO', Run> = k.fault('EIO.bitmap') ? left('EIO') : yield* attempt(() => this.format.allocate(goal, n))
    if (run._tag === 'Left') {
      yield* this.#shrink(k, inode, mapped)
      return yield* raise(run.left)
    }
    k.ledger.allocations++
    k.ledger.allocatedBlocks += run.right.n
    return run.right
  }

  /** Unwritten blocks of [lblk, lblk + n) hold data on disk now. `room`: what is held for extents that this splits. */
  convert(k: Verbs, inode: Inode, lblk: number, n: number, room: SplitRoom | null = null): void {
    const e = this.#scratch
    for (let b = lblk; b < lblk + n; b += e.n) {
      inode.map.lookup(b, lblk + n - b, e)
      if (e.state !== UNWRITTEN) continue
      k.ledger.conversions++
      this.#change(inode, null, b, e.n, MAPPED, e.pblk)
      oweSplit(this, inode, room)
      this.#settleOwed(inode, null)
    }
  }

  /** Written blocks of [lblk, lblk + n) read as zeros from now on (fallocate, zero range). `room`: see `convert`. */
  unconvert(inode: Inode, lblk: number, n: number, room: SplitRoom | null = null): void {
    const e = this.#scratch
    for (let b = lblk; b < lblk + n; b += e.n) {
      inode.map.lookup(b, lblk + n - b, e)
      if (e.state === MAPPED) this.#change(inode, null, b, e.n, UNWRITTEN, e.pblk)
    }
    oweSplit(this, inode, room)
    this.#settleOwed(inode, null)
  }

  /** Remove whatever lies below [lblk, lblk + n): blocks are freed, delayed space is given back. Cannot fail. */
  *punch(k: Verbs, inode: Inode, lblk: number, n: number): Kernel<void> {
    const end = Math.min(lblk + n, inode.map.end)
    for (let b = lblk; b < end; ) {
      const e = inode.map.lookup(b, end - b, { lblk: 0, n: 0, state: HOLE, pblk: 0 })
      b += e.n
      if (e.state === HOLE) continue
      k.ledger.mapLookups++
      this.#change(inode, null, e.lblk, e.n, HOLE, 0)
      this.charge(inode)
      if (e.state === DELALLOC) this.hold(inode, -e.n)
      else {
        this.journal?.mustHandle('blocks are freed')
        yield* this.#giveBack(k, e.pblk, e.n)
      }
    }
    yield* this.#shrink(k, inode)
    this.#settleOwed(inode, null)
  }

  /** An undo that fails in turn: what the bitmap cannot take back belongs to nobody until e2fsck finds it. */
  *#giveBack(k: Verbs, start: number, n: number): Kernel<void> {
    const freed: Either<'EIO', void> = k.fault('EIO.free') ? left('EIO') : yield* attempt(() => this.format.free({ start, n }))
    if (freed._tag === 'Left') this.lostBlocks += n
  }

  /** An inode is about to be freed: the map blocks that it could not give back belong to nobody from now on. */
  disown(inode: Inode): void {
    this.lostBlocks += this.format.mapBlocks(inode)
    if (this.quota !== null) this.quota.settle(inode, 0)
  }

  /** Free the map blocks that a merge of extents left over. */
  *trimMap(k: Verbs, inode: Inode): Kernel<void> {
    if (this.format.mapBlocks(inode) === 0) return
    yield* this.#shrink(k, inode)
    this.#settleOwed(inode, null)
  }

  /**
   * Write what the inode says to the metadata cache, or with `through` to the disk. The format may place map blocks for
   * extents that conversions split; they were owed until now. Raises EIO; the inode stays dirty then.
   */
  *writeInode(inode: Inode, through = false): Kernel<void, 'EIO'> {
    if (this.verbs.fault('EIO.inode')) return yield* raise('EIO', 'EIO.inode')
    try {
      yield* through ? this.format.syncInode(inode) : this.format.writeInode(inode)
      inode.dirty = false
    } finally {
      this.#settleOwed(inode, null)
    }
  }

  /** Map blocks nobody needs; what cannot go now stays, for the next one. After a failed placing of `mapped`, more may be owed again. */
  *#shrink(k: Verbs, inode: Inode, mapped = Infinity): Kernel<void> {
    const before = this.format.mapBlocks(inode)
    if (before > 0 && k.fault('EIO.shrink')) return
    yield* attempt(() => this.format.shrinkMap(inode))
    this.charge(inode)
    const freed = before - this.format.mapBlocks(inode) - mapped
    if (freed > 0) this.#settleOwed(inode, null, inode.owed + freed)
  }
}
