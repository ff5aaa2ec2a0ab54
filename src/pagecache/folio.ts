/**
 * Folio: 1 to 512 contiguous pages of memory, and what is known of each block in it.
 *
 * A folio is a *slot* of a slab: the object is made once and used again for every folio that later starts at this page,
 * so that a write allocates nothing. `generation` tells two lives of a slot apart.
 *
 * State a block (a byte of bits in `slab.state`): UPTODATE not older than disk · DIRTY newer than disk · and what is known
 * of its place: MAPPED, DELAY or UNWRITTEN, at most one of the three (buffer_head bits of fs/buffer.c; none = ask the map).
 * DROP_BEHIND and WRITE_FAILED belong to the folio as a whole.
 * "New" is not a state of a block: it belongs to the write that made it (Mapping.made).
 * State a page (a byte in `slab.pte`): how user memory maps it. State a folio: locked, writeback, pins.
 *
 * A block that is DIRTY and not UPTODATE was written in part, by streaming: only its bytes inside [streamFrom, streamTo) count, the
 * rest must come from the disk before anybody reads or writes the block.
 *
 * Rules: who holds the lock may change the bits; a reader of UPTODATE blocks takes no lock; DIRTY only under the lock or
 * by the owner of a writable PTE; a folio under writeback keeps its place in the cache.
 */
import type { Restore } from '../kernel/checkpoint.ts'
import type { Op } from '../kernel/kernel.ts'
import { PAGE, PAGE_SHIFT } from '../kernel/units.ts'
import type { AddressSpace } from './address-space.ts'
import type { SectorGuards } from './sector-guards.ts'

/** The block's bytes are not older than the disk. */
export const UPTODATE = 1
/** The block's bytes are newer than the disk. */
export const DIRTY = 2
/** A written block lies below. */
export const BLOCK_MAPPED = 4
/** A delayed extent lies below. */
export const BLOCK_DELAY = 8
/** An unwritten block lies below. */
export const BLOCK_UNWRITTEN = 16
/** The folio leaves the cache when its writeback ends (PG_dropbehind); set on all of its blocks. */
export const DROP_BEHIND = 32
/** A writeback of the folio failed: it is not dropped behind any more; set on all of its blocks. */
export const WRITE_FAILED = 64
/** Any of the three places. */
export const BLOCK_PLACE = BLOCK_MAPPED | BLOCK_DELAY | BLOCK_UNWRITTEN

/** A user page table has an entry for this page. */
export const PTE_PRESENT = 1
/** Stores go through without a fault. */
export const PTE_WRITE = 2
/** A store went through since the entry was made writable. */
export const PTE_DIRTY = 4

/** Memory for 512 pages (2 MiB) unless told otherwise, with the state of every block and page. */
export class Slab {
  static readonly PAGES = 512
  readonly bytes: Buffer
  /** Bits a block; index = byte offset >> block shift. */
  readonly state: Uint8Array
  /** Bits a page. */
  readonly pte: Uint8Array
  /** Order of the free run that starts at a page, -1 if none does. */
  readonly freeOrder: Int8Array
  readonly slots: (Folio | null)[]
  readonly number: number
  /** Checksums taken at copy-in; null while no design takes any. */
  guards: SectorGuards | null = null

  constructor(number: number, blockShift: number, pages = Slab.PAGES) {
    this.number = number
    this.bytes = Buffer.alloc(pages * PAGE)
    this.state = new Uint8Array((pages * PAGE) >>> blockShift)
    this.pte = new Uint8Array(pages)
    this.freeOrder = new Int8Array(pages).fill(-1)
    this.slots = new Array<Folio | null>(pages).fill(null)
  }

  /** The bytes of free pages are nobody's and are not kept. Slots that are made later stay, as new as they were made. */
  checkpoint(): Restore {
    const [state, pte, freeOrder] = [this.state.slice(), this.pte.slice(), this.freeOrder.slice()]
    const slots = this.slots.flatMap((f) => (f === null ? [] : [{ f, restore: f.checkpoint() }]))
    const guards = this.guards?.checkpoint()
    return () => {
      this.state.set(state)
      this.pte.set(pte)
      this.freeOrder.set(freeOrder)
      for (const f of this.slots) f?.reset()
      for (const { restore } of slots) restore()
      if (guards === undefined) this.guards = null
      else guards()
    }
  }
}

/** The cached object. See the file's head for what may be changed when. */
export class Folio {
  readonly slab: Slab
  /** First page in the slab. */
  readonly page: number
  /** Byte offset in `slab.bytes`. */
  readonly base: number
  readonly blockShift: number
  /** log2 of the number of pages. */
  order = 0
  /** Counts the lives of this slot. */
  generation = 0
  /** The file that caches it; null for a private or a freed folio. */
  home: AddressSpace | null = null
  /** Index of the first page in the file. */
  index = 0
  locked = false
  writeback = false
  /** References by DMA (get_user_pages) and by writes that still need the bytes. */
  pins = 0
  /** References by readers without the lock; they keep the memory, not the place in the cache. */
  refs = 0
  /** Used since reclaim last looked. */
  referenced = false
  uptodateBlocks = 0
  dirtyBlocks = 0
  /** Place in the list of dirty folios of `home`; -1 when clean. */
  dirtySlot = -1
  /** Neighbours in the cache's list of folios, oldest first. */
  older: Folio | null = null
  newer: Folio | null = null
  /** Some partly covered block counts as uptodate though only its edges are decided: a short copy must be rejected. */
  edgesOnly = false
  /** Bytes of the folio that were streamed: see the head. -1: none. */
  streamFrom = -1
  streamTo = -1
  /** For a private folio: the cached one that supplied its edges, pinned until the replacement. */
  old: Folio | null = null
  /** Wait for the lock. */
  readonly lockOp: Op
  /** Wait for the end of writeback. */
  readonly writebackOp: Op

  constructor(slab: Slab, page: number, blockShift: number) {
    this.slab = slab
    this.page = page
    this.base = page << PAGE_SHIFT
    this.blockShift = blockShift
    this.lockOp = { label: `folio lock at page ${page} of slab ${slab.number}`, ready: () => !this.locked }
    this.writebackOp = { label: `writeback of page ${page} of slab ${slab.number}`, ready: () => !this.writeback }
  }

  /** As newly made; the bits are the slab's. */
  reset(): void {
    this.order = 0
    this.generation = 0
    this.home = null
    this.index = 0
    this.locked = false
    this.writeback = false
    this.pins = 0
    this.refs = 0
    this.referenced = false
    this.uptodateBlocks = 0
    this.dirtyBlocks = 0
    this.dirtySlot = -1
    this.older = null
    this.newer = null
    this.edgesOnly = false
    this.streamFrom = -1
    this.streamTo = -1
    this.old = null
  }

  /** The bytes are kept for a folio in use; the bits are the slab's. */
  checkpoint(): Restore {
    const { order, generation, home, index, locked, writeback, pins, refs, referenced } = this
    const { uptodateBlocks, dirtyBlocks, dirtySlot, older, newer, edgesOnly, streamFrom, streamTo, old } = this
    const used = home !== null || locked || pins > 0 || refs > 0
    const bytes = used ? Buffer.from(this.slab.bytes.subarray(this.base, this.base + this.size)) : null
    return () => {
      this.order = order
      this.generation = generation
      this.home = home
      this.index = index
      this.locked = locked
      this.writeback = writeback
      this.pins = pins
      this.refs = refs
      this.referenced = referenced
      this.uptodateBlocks = uptodateBlocks
      this.dirtyBlocks = dirtyBlocks
      this.dirtySlot = dirtySlot
      this.older = older
      this.newer = newer
      this.edgesOnly = edgesOnly
      this.streamFrom = streamFrom
      this.streamTo = streamTo
      this.old = old
      if (bytes !== null) bytes.copy(this.slab.bytes, this.base)
    }
  }

  get pages(): number {
    return 1 << this.order
  }
  /** Bytes. */
  get size(): number {
    return PAGE << this.order
  }
  get blocks(): number {
    return (PAGE << this.order) >>> this.blockShift
  }
  /** Position in the file, in bytes. */
  get pos(): number {
    return this.index * PAGE
  }
  get uptodate(): boolean {
    return this.uptodateBlocks === this.blocks
  }
  get dirty(): boolean {
    return this.dirtyBlocks > 0
  }

  /** Bits of the block that holds byte `off` of the folio. */
  bits(off: number): number {
    return this.slab.state[(this.base + off) >>> this.blockShift]!
  }

  /** Have all blocks that [off, off + n) touches all of `bits`? */
  all(off: number, n: number, bits: number): boolean {
    const state = this.slab.state
    const last = (this.base + off + n - 1) >>> this.blockShift
    for (let b = (this.base + off) >>> this.blockShift; b <= last; b++) if ((state[b]! & bits) !== bits) return false
    return true
  }

  /** Has any block that [off, off + n) touches any of `bits`? */
  any(off: number, n: number, bits: number): boolean {
    const state = this.slab.state
    const last = (this.base + off + n - 1) >>> this.blockShift
    for (let b = (this.base + off) >>> this.blockShift; b <= last; b++) if ((state[b]! & bits) !== 0) return true
    return false
  }

  /** Set `set` and clear `clear` on every block that [off, off + n) touches; keeps the counts of uptodate and dirty. */
  change(off: number, n: number, set: number, clear: number): void {
    const state = this.slab.state
    const last = (this.base + off + n - 1) >>> this.blockShift
    for (let b = (this.base + off) >>> this.blockShift; b <= last; b++) {
      const was = state[b]!
      const is = (was & ~clear) | set
      if (is === was) continue
      state[b] = is
      if (((was ^ is) & UPTODATE) !== 0) this.uptodateBlocks += (is & UPTODATE) !== 0 ? 1 : -1
      if (((was ^ is) & DIRTY) !== 0) this.dirtyBlocks += (is & DIRTY) !== 0 ? 1 : -1
    }
  }

  /** Forget everything about the blocks and the page tables: the folio is as new. */
  clear(): void {
    const from = this.base >>> this.blockShift
    this.slab.state.fill(0, from, from + this.blocks)
    this.slab.pte.fill(0, this.page, this.page + this.pages)
    this.uptodateBlocks = 0
    this.dirtyBlocks = 0
    this.streamFrom = -1
    this.streamTo = -1
    this.slab.guards?.forget(this.base, this.size)
  }

  /** Zero bytes [off, off + n). */
  zero(off: number, n: number): void {
    this.slab.bytes.fill(0, this.base + off, this.base + off + n)
    this.slab.guards?.forget(this.base + off, n)
  }
}
