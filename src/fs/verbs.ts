/**
 * Verbs: the steps of a buffered write that every design shares: find edges, copy, mark dirty, move i_size.
 *
 * Rules: `edges` runs under the folio lock and after the cookie check, and believes the mapping only (never a fresh
 * look-up); after the copy nothing here can fail. Each verb is one overridable method, so that a wrong step is a
 * three-line subclass.
 */
import { type Kernel } from '../kernel/kernel.ts'
import { PAGE, roundDown } from '../kernel/units.ts'
import { BLOCK_PLACE, DROP_BEHIND, type Folio, UPTODATE, WRITE_FAILED } from '../pagecache/folio.ts'
import { PageVerbs } from '../pagecache/page-verbs.ts'
import type { Refusal, Undo } from './donor.ts'
import { readBlocks } from './data-io.ts'
import { type Extent, HOLE, MAPPED } from './extent-map.ts'
import type { Inode } from './inode.ts'
import type { Mapping } from './mapping.ts'
import { wouldWait } from './nowait.ts'
import { fillFolio } from './read.ts'
import { cutStream, mayStream, streamBlocks } from './streaming.ts'
import type { Write } from './write.ts'

/** A write that makes no progress for this many turns is a livelock: a bug of the design (claim I15). */
const TURNS_WITHOUT_PROGRESS = 1000

/** Bytes of a folio that are copied without a step in between, where a scheduler runs: half a page, and a block of 2 KiB. */
export const COPY_STEP = PAGE / 2

/** What a write may do, below the strategies. */
export class Verbs extends PageVerbs {
  /** Called once a turn of the loop. @throws Error when a write turns without progress */
  turn(w: Write): void {
    w.turns = w.done === w.turnDone ? w.turns + 1 : 0
    w.turnDone = w.done
    if (w.turns > TURNS_WITHOUT_PROGRESS) {
      throw new Error(`livelock: write of ${w.len} bytes at ${w.pos} stays at ${w.done} after ${w.turns} turns`)
    }
  }

  /** i_size, as readers and stat see it. */
  size(inode: Inode): number {
    return inode.size
  }

  /** The sequence of the extent map: equal means that no mapping taken since is stale. */
  cookie(inode: Inode): number {
    return inode.map.seq
  }

  // --- edges ---------------------------------------------------------------------------------------------------

  /** Is every partly covered block of [off, off + n) uptodate, so that `edges` would do nothing? Plain. */
  edgesReady(f: Folio, off: number, n: number): boolean {
    if (f.uptodate) return true
    const mask = (1 << f.blockShift) - 1
    return (
      ((off & mask) === 0 || (f.bits(off) & UPTODATE) !== 0) &&
      (((off + n) & mask) === 0 || (f.bits(off + n - 1) & UPTODATE) !== 0)
    )
  }

  /** Zero or read what a partly covered block holds outside [off, off + n), as the mapping says. Raises EIO. */
  *edges(w: Write, m: Mapping, f: Folio, off: number, n: number): Kernel<void, 'EIO'> {
    const block = 1 << f.blockShift
    const head = roundDown(off, block)
    const tail = roundDown(off + n, block)
    if (head < off) yield* this.#edge(w, m, f, head, off, off + n)
    if (tail < off + n && tail !== head) yield* this.#edge(w, m, f, tail, off, off + n)
    else if (tail < off + n && head === off) yield* this.#edge(w, m, f, tail, off, off + n)
  }

  /** One partly covered block that starts at `b` in the folio, for a write of [from, to) in the folio. */
  *#edge(w: Write, m: Mapping, f: Folio, b: number, from: number, to: number): Kernel<void, 'EIO'> {
    if ((f.bits(b) & UPTODATE) !== 0) return
    const block = 1 << f.blockShift
    const lblk = (f.pos + b) / block
    const e = m.at(lblk)
    if (e === null) throw new Error(`edges: the mapping [${m.pos}, +${m.len}) does not answer for block ${lblk}`)
    if (e.state !== MAPPED || m.isMade(lblk) || f.pos + b >= this.size(w.inode)) {
      if (b < from) f.zero(b, from - b)
      if (to < b + block) f.zero(to, b + block - to)
      this.ledger.zeroedBlocks++
      return
    }
    if (w.nowait) return yield* wouldWait('EAGAIN.edges')
    yield* readBlocks(this, w.fs, f, b, block, e.pblk + (lblk - e.lblk))
    f.change(b, block, UPTODATE, 0)
  }

  /**
   * Write [off, off + n) without asking what its partly covered blocks hold, if that may be; else complete what was streamed to
   * the folio before: a short copy would leave it half overwritten. See streaming.ts. Raises EIO.
   */
  *stream(w: Write, m: Mapping, f: Folio, off: number, n: number): Kernel<void, 'EIO'> {
    if (mayStream(this, w, m, f, off, n)) w.streaming = f
    else if (f.streamTo >= 0) yield* fillFolio(this, w.fs, w.inode, f, f.streamFrom, Math.max(1, f.streamTo - f.streamFrom))
  }

  /** Whole blocks [from, to) of the folio are taken out of it: what was streamed there is forgotten. */
  cutStream(f: Folio, from: number, to: number): void {
    cutStream(this, f, from, to)
  }

  // --- the copy --------------------------------------------------------------------------------------------------

  /** Make the source readable; see WriteSource.faultIn. */
  *faultIn(w: Write, at: number, n: number): Kernel<number> {
    const now = w.source.faultInNow(at, n)
    return now >= 0 ? now : yield* w.source.faultIn(at, n)
  }

  /** Copy into the folio with faults disabled. Plain. @returns bytes copied, possibly short */
  copyNow(w: Write, f: Folio, off: number, at: number, n: number): number {
    if (w.donor !== null && w.donor.sameBytes(f, off, at, n) === n) {
      this.ledger.inPlaceBytes += n
      return n
    }
    const c = w.source.copyAtomic(f.slab.bytes, f.base + off, at, n)
    this.ledger.copies++
    this.ledger.copiedBytes += c
    return c
  }

  /**
   * Copy into the folio; `faulting` only into a private one. Where others run in between, in steps that end at multiples of
   * COPY_STEP in the file, so that they see each state of a page that is half written.
   */
  *copy(w: Write, f: Folio, off: number, at: number, n: number, faulting: boolean): Kernel<number> {
    if (this.scheduled && (!faulting || w.source.present)) return yield* this.#copyInSteps(w, f, off, at, n)
    if (!faulting) return this.copyNow(w, f, off, at, n)
    if (f.home !== null) throw new Error('a copy with page faults enabled under the lock of a cached folio deadlocks (Z01)')
    const c = yield* w.source.copyFaulting(f.slab.bytes, f.base + off, at, n)
    this.ledger.copies++
    this.ledger.copiedBytes += c
    return c
  }

  *#copyInSteps(w: Write, f: Folio, off: number, at: number, n: number): Kernel<number> {
    for (let done = 0; done < n; ) {
      const part = Math.min(n - done, COPY_STEP - ((off + done) % COPY_STEP))
      const c = this.copyNow(w, f, off + done, at + done, part)
      yield this.stepOp('copy')
      done += c
      if (c < part) return done
    }
    return n
  }

  /**
   * The short-copy rule: must the block in which a copy of `n` bytes to `off` ended be refused? In a block that is not
   * uptodate zeros would appear (Piggin 2006). A private folio is refused as a whole: nobody saw it.
   */
  rejects(f: Folio, off: number, n: number): boolean {
    if (f.uptodate && !f.edgesOnly) return false
    const mask = (1 << f.blockShift) - 1
    return f.home === null || (((off + n) & mask) !== 0 && (f.bits(off + n) & UPTODATE) === 0)
  }

  /**
   * What stands of a short copy whose last block was refused: the whole blocks before it. Upstream takes none of them
   * (iomap_write_end), and so lets a reader see bytes of a write that then ends with EINTR.
   */
  wholeBlocks(f: Folio, off: number, n: number): number {
    return f.home === null ? 0 : Math.max(0, roundDown(off + n, 1 << f.blockShift) - off)
  }

  // --- pages that a source gives away -------------------------------------------------------------------------------

  /** A page that belongs to no file, unlocked, with one reference: its holder's. Null if there is no memory. */
  ownPage(): Folio | null {
    const f = this.fault('ENOMEM.own') ? null : this.cache.take(0)
    if (f !== null) f.refs = 1
    return f
  }

  /** Lock a folio if it is free. Plain, where others run in between as well. */
  seize(f: Folio): boolean {
    if (f.locked) return false
    f.locked = true
    this.ledger.locks++
    return true
  }

  /** Take a clean folio that somebody refers to out of its file: it is nobody's page cache then. */
  withdraw(f: Folio): void {
    f.home!.remove(f)
    this.cache.disown(f)
    f.clear()
    f.generation++
  }

  /**
   * The page that the source offers for `pos`, in its place in the cache, locked and not uptodate; null: there is no offer, or
   * it was refused and is to be copied. Neither zeroed nor read into: it holds the bytes of the write already. Plain.
   * @param n bytes asked for from `pos` on
   * @param undo what the design does to pages whose write is undone
   */
  donate(w: Write, pos: number, n: number, undo: Undo): Folio | null {
    if (w.donor === null) return null
    w.offered = pos
    const index = Math.floor(pos / PAGE)
    const refusal = pos % PAGE !== 0 ? 'refusedUnaligned' : n < PAGE ? 'refusedPartial' : w.declined ? 'refusedUndo'
      : !this.isFree(w.pages, index, 1) ? 'refusedOccupied' : this.#undoTouches(w, pos, undo) ? 'refusedUndo' : null
    const f = refusal === null ? this.#steal(w, pos) : this.#refuse(refusal)
    if (f === null) return null
    if (this.fault('ENOMEM.insert')) {
      this.takeBack(w, f)
      this.unlockFolio(f)
      return this.#refuse('refusedInsert')
    }
    this.insertFolio(w.pages, f)
    return f
  }

  /** As `donate`, for a design whose folios are private until `commit`: another one may be cached in its place. */
  donatePrivate(w: Write, pos: number, n: number): Folio | null {
    if (w.donor === null) return null
    w.offered = pos
    const cached = this.peekFolio(w.pages, Math.floor(pos / PAGE))
    const refusal = pos % PAGE !== 0 ? 'refusedUnaligned' : n < PAGE ? 'refusedPartial' : w.declined ? 'refusedUndo'
      : cached !== null && cached.order > 0 ? 'refusedOrder' : null
    return refusal === null ? this.#steal(w, pos) : this.#refuse(refusal)
  }

  #refuse(refusal: Refusal): null {
    this.ledger[refusal]++
    return null
  }

  /** Would the undo of a hole below the page write to the page, or leave a part of it standing? */
  #undoTouches(w: Write, pos: number, undo: Undo): boolean {
    if (undo === 'map' || (pos >= this.size(w.inode) && (undo === 'zeros' || w.fs.blockSize === PAGE))) return false
    const e = { lblk: 0, n: 0, state: HOLE, pblk: 0 } satisfies Extent
    for (let at = pos; at < pos + PAGE; at += e.n * w.fs.blockSize) {
      w.fs.lookupInto(this, w.inode, at / w.fs.blockSize, (pos + PAGE - at) / w.fs.blockSize, e)
      if ((e as Extent).state === HOLE) return true
    }
    return false
  }

  /** Take the page of `pos` from the source: locked, in no file, its index set. */
  #steal(w: Write, pos: number): Folio | null {
    const f = w.donor!.trySteal(this, pos - w.pos, PAGE)
    if (typeof f === 'string') return this.#refuse(f)
    // One that a truncate threw out of its file still says what it was there.
    f.clear()
    f.index = Math.floor(pos / PAGE)
    f.edgesOnly = false
    f.old = null
    this.ledger.pagesStolen++
    w.given.push(f)
    return f
  }

  /** A page that was given and not accepted leaves the file, still locked, and is its source's again. Others are let alone. */
  takeBack(w: Write, f: Folio): void {
    const at = w.given.indexOf(f)
    if (at < 0) return
    w.given.splice(at, 1)
    if (f.home !== null) this.withdraw(f)
    w.donor!.takeBack(f)
    this.ledger.pagesReturned++
  }

  /**
   * `n` bytes from `from` stand: of a page that was given all or nothing does. Where that is nothing at all, the rest of the
   * write is copied. @returns the bytes that may stand
   */
  wholePages(w: Write, from: number, n: number): number {
    if (w.given.length === 0 || (from + n) % PAGE === 0) return n
    const last = w.given.find((f) => f.index === Math.floor((from + n) / PAGE))
    if (last === undefined) return n
    w.declined = last.pos <= from
    return Math.max(0, last.pos - from)
  }

  // --- after the copy: cannot fail ---------------------------------------------------------------------------------

  /** The bytes [off, off + n) stand: uptodate, and dirty unless `durable`. */
  finish(w: Write, f: Folio, off: number, n: number, durable: boolean): void {
    if (f === w.streaming) return streamBlocks(this, f, off, n)
    if (w.fs.checksumAtCopy) this.takeGuards(f, off, n)
    if (durable) f.change(off, n, UPTODATE, 0)
    else this.dirtyBlocks(f, off, n)
  }

  /**
   * The folio that the caller has just got is to leave the cache when its writeback ends, unless somebody finds it before
   * (__filemap_get_folio with FGP_DONTCACHE).
   * @param again it was to leave when the caller looked for it; else it must be new
   */
  dropBehind(f: Folio, again: boolean): void {
    if (again || !f.referenced) f.change(0, f.size, DROP_BEHIND, 0)
  }

  /**
   * Writeback of a folio ended: if it was to leave then, and nobody holds it, it does (folio_end_dropbehind, which does not ask
   * whether the I/O failed). If some of it `failed` it stays for good: nobody has been told yet, and the disk holds other bytes.
   */
  dropIfBehind(f: Folio, failed: boolean): void {
    if (f.home === null) return
    if (failed) f.change(0, f.size, WRITE_FAILED, 0)
    if ((f.bits(0) & (DROP_BEHIND | WRITE_FAILED)) !== DROP_BEHIND || !this.seize(f)) return
    if (!this.invalidateFolio(f)) this.unlockFolio(f)
  }

  /** Note what lies below the blocks of [off, off + n): BLOCK_MAPPED, BLOCK_DELAY, BLOCK_UNWRITTEN or 0. */
  setPlace(f: Folio, off: number, n: number, place: number): void {
    f.change(off, n, place, BLOCK_PLACE)
  }

  /**
   * A write that began at `pos` made the file `size` bytes long. What a store past the old end left in its page is
   * zeroed, and the page is write-protected (pagecache_isize_extended; bugs Z30, Z31).
   */
  setSize(inode: Inode, size: number, pos: number): void {
    const old = inode.size
    inode.size = size
    inode.dirty = true
    if (pos > old) this.extended(inode, old, pos)
  }

  /** The file grew from `old`; bytes up to `upto` were not written. */
  extended(inode: Inode, old: number, upto: number): void {
    const f = old % PAGE === 0 || inode.pages === null ? null : this.peekFolio(inode.pages, Math.floor(old / PAGE))
    if (f === null) return
    const off = old - f.pos
    const until = Math.min(upto - f.pos, off - (old % PAGE) + PAGE)
    f.zero(off, until - off)
    this.writeProtect(f)
  }

  /** Blocks of [off, off + n) that this write made and did not fill: zeros, dirty, so that nobody reads what is on disk. */
  zeroMade(f: Folio, off: number, n: number): void {
    f.zero(off, n)
    this.dirtyBlocks(f, off, n)
    this.ledger.blocksZeroedUndone++
  }

  /** Is `lblk` a hole for this mapping? Strategies ask this of their own look-ups. */
  isHole(m: Mapping, lblk: number): boolean {
    return (m.at(lblk)?.state ?? HOLE) === HOLE
  }
}
