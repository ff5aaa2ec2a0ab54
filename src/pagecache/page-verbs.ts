/**
 * PageVerbs: every way in which code above the page cache may touch a folio; how it may wait and decide is in lock-verbs.ts.
 *
 * A verb is the only place where a cost is counted and where a bug of a page-cache step can be planted: a mutant is a
 * subclass with one verb replaced. Each waiting verb has a plain half that says "now, or not at all" (try first, wait
 * second), so that cached work creates no generator.
 */
import { type Kernel, raise } from '../kernel/kernel.ts'
import type { AddressSpace } from './address-space.ts'
import { BLOCK_PLACE, DIRTY, DROP_BEHIND, type Folio, PTE_DIRTY, PTE_PRESENT, PTE_WRITE, UPTODATE } from './folio.ts'
import { LockVerbs } from './lock-verbs.ts'
import { hasPte } from './page-cache.ts'
import { SectorGuards } from './sector-guards.ts'

/** Locks, decisions and folios. */
export class PageVerbs extends LockVerbs {
  // --- finding and making folios ---------------------------------------------------------------------------------

  /** The cached folio of a page, as it is: not locked, not referenced. Null if there is none. */
  peekFolio(space: AddressSpace, index: number): Folio | null {
    return space.find(index)
  }

  /** Is no page of [index, index + n) cached? */
  isFree(space: AddressSpace, index: number, n: number): boolean {
    return space.isFree(index, n)
  }

  /** The folio of a page, locked, if that needs no waiting; else null. `stable`: not one under writeback. */
  tryFolio(space: AddressSpace, index: number, stable: boolean): Folio | null {
    if (this.scheduled) return null
    const f = space.find(index)
    if (f === null || f.locked || (stable && f.writeback)) return null
    f.locked = true
    f.referenced = true
    if ((f.bits(0) & DROP_BEHIND) !== 0) f.change(0, f.size, 0, DROP_BEHIND)
    this.ledger.folioLookups++
    this.ledger.locks++
    return f
  }

  /** Give back what `tryFolio` returned as if it had not been asked: whoever asks again is charged. */
  untryFolio(f: Folio): void {
    f.locked = false
    this.ledger.folioLookups--
    this.ledger.locks--
  }

  /**
   * The folio of a page, locked; made if there is none. A new one is as large as `bytes` from the page on, its alignment,
   * the cache's limit and its neighbours allow (mm/filemap.c, __filemap_get_folio with fgf_set_order).
   * Raises ENOMEM when reclaim finds no memory.
   */
  *grabFolio(space: AddressSpace, index: number, bytes: number, stable: boolean): Kernel<Folio, 'ENOMEM'> {
    for (;;) {
      this.ledger.folioLookups++
      const f = space.find(index)
      if (f === null) {
        if (this.fault('ENOMEM.folio')) return yield* raise('ENOMEM', 'ENOMEM.folio')
        const made = this.addFolio(space, index, bytes)
        return made ?? (yield* raise('ENOMEM', 'ENOMEM.limit'))
      }
      const { generation } = f
      yield* this.lockFolio(f)
      if (f.home !== space || f.generation !== generation) {
        this.unlockFolio(f)
        continue
      }
      if (stable && f.writeback) yield* this.#waitStable(f)
      f.referenced = true
      if ((f.bits(0) & DROP_BEHIND) !== 0) f.change(0, f.size, 0, DROP_BEHIND)
      return f
    }
  }

  /** Wait for the writeback of a locked folio. Who is told not to wait gives the lock back. */
  *#waitStable(f: Folio): Kernel<void> {
    let stable = false
    try {
      while (f.writeback) yield f.writebackOp
      stable = true
    } finally {
      if (!stable) this.unlockFolio(f)
    }
  }

  /** Make, lock and insert a folio for a page that is not cached. Null if there is no memory. */
  addFolio(space: AddressSpace, index: number, bytes: number): Folio | null {
    for (let order = this.#orderFor(space, index, bytes); order >= 0; order--) {
      const f = this.cache.take(order)
      if (f === null) continue
      f.index = index
      f.locked = true
      this.ledger.locks++
      this.ledger.foliosAdded++
      space.insert(f)
      this.cache.adopt(f)
      return f
    }
    return null
  }

  #orderFor(space: AddressSpace, index: number, bytes: number): number {
    let order = Math.min(this.cache.maxFolioOrder, Math.max(0, 19 - Math.clz32(bytes)))
    while (order > 0 && (index % (1 << order) !== 0 || !space.isFree(index, 1 << order))) order--
    return order
  }

  /** A locked folio that no file caches: nobody else can see it. Null if there is no memory. */
  privateFolio(index: number, order: number): Folio | null {
    const f = this.fault('ENOMEM.private') ? null : this.cache.take(order)
    if (f === null) return null
    f.index = index
    f.locked = true
    return f
  }

  /** As `privateFolio`, as large as `bytes` allows, for a place where nothing is cached. */
  privateFor(space: AddressSpace, index: number, bytes: number): Folio | null {
    for (let order = this.#orderFor(space, index, bytes); order >= 0; order--) {
      const f = this.privateFolio(index, order)
      if (f !== null) return f
    }
    return null
  }

  /** Free a private folio. */
  freeFolio(f: Folio): void {
    this.ledger.foliosDropped++
    this.cache.release(f)
  }

  // --- bits ----------------------------------------------------------------------------------------------------

  /** Blocks touched by [off, off + n) are newer than disk now. */
  dirtyBlocks(f: Folio, off: number, n: number): void {
    if (f.dirtySlot < 0) {
      this.ledger.foliosDirtied++
      f.home!.markDirty(f)
    }
    if (f.dirtyBlocks === f.blocks && f.uptodateBlocks === f.blocks) return
    f.change(off, n, UPTODATE | DIRTY, 0)
  }

  /** Writeback took the dirty blocks of [off, off + n): clean as far as we know. */
  cleanBlocks(f: Folio, off: number, n: number): void {
    f.change(off, n, 0, DIRTY)
    if (!f.dirty && f.home !== null) f.home.markClean(f)
  }

  /** Take T10 guards of the sectors that [off, off + n) touches: these are the bytes that writeback must carry. */
  takeGuards(f: Folio, off: number, n: number): void {
    f.slab.guards ??= new SectorGuards(f.slab.bytes)
    f.slab.guards.take(f.base + off, n)
  }

  /** Bytes [off, off + n) may be changed by a store from now on. */
  forgetGuards(f: Folio, off: number, n: number): void {
    f.slab.guards?.forget(f.base + off, n)
  }

  /** Clean blocks that [off, off + n) touches are no longer uptodate: the next reader asks the disk. */
  forgetClean(f: Folio, off: number, n: number): void {
    const block = 1 << f.blockShift
    for (let b = off - (off % block); b < off + n; b += block) {
      if ((f.bits(b) & DIRTY) === 0) f.change(b, block, 0, UPTODATE)
    }
  }

  /** The partly covered blocks at the ends of [off, off + n) in a private folio count as decided: it inherits them. */
  markEdges(f: Folio, off: number, n: number): void {
    const block = 1 << f.blockShift
    f.edgesOnly = true
    if (off % block !== 0) f.change(off, 1, UPTODATE, 0)
    if ((off + n) % block !== 0) f.change(off + n - 1, 1, UPTODATE, 0)
  }

  /** Copy bytes [off, off + n) of a private folio into the cached one of the same place. */
  copyInto(cached: Folio, f: Folio, off: number, n: number): void {
    f.slab.bytes.copy(cached.slab.bytes, cached.base + off, f.base + off, f.base + off + n)
    this.ledger.innerBytes += n
  }

  /** Give a private folio what the cached one holds outside [off, off + n): bytes, and what is known of its blocks. */
  inherit(f: Folio, cached: Folio, off: number, n: number): void {
    const block = 1 << f.blockShift
    this.copyInto(f, cached, 0, off)
    this.copyInto(f, cached, off + n, f.size - off - n)
    for (let b = 0; b < f.size; b += block) {
      const covered = b >= off && b + block <= off + n
      // What `markEdges` said held for the bytes that were asked for; of those, perhaps not all stand. A block that was dirty
      // stays so: fsync must not pass by data that an earlier write was acknowledged for.
      f.change(b, block, covered ? cached.bits(b) & (BLOCK_PLACE | DIRTY) : cached.bits(b), UPTODATE | DIRTY)
    }
  }

  // --- page tables -----------------------------------------------------------------------------------------------

  /** Take the right to store away from all PTEs: the next store faults (page_mkclean). */
  writeProtect(f: Folio): void {
    if (f.home !== null && f.home.writablePtes === 0) return
    this.#changePtes(f, PTE_WRITE | PTE_DIRTY)
  }

  /** Tear down all PTEs (unmap_mapping_pages). */
  unmap(f: Folio): void {
    if (hasPte(f, PTE_PRESENT)) this.#changePtes(f, PTE_PRESENT | PTE_WRITE | PTE_DIRTY)
  }

  #changePtes(f: Folio, clear: number): void {
    const pte = f.slab.pte
    for (let p = f.page; p < f.page + f.pages; p++) {
      const was = pte[p]!
      if ((was & clear) === 0) continue
      if ((was & PTE_WRITE) !== 0 && f.home !== null) f.home.writablePtes--
      pte[p] = was & ~clear
      this.ledger.unmaps++
    }
  }

  /** Map a page of the folio for user memory, writable or not. */
  mapPage(f: Folio, page: number, writable: boolean): void {
    const at = f.page + page
    if (writable && (f.slab.pte[at]! & PTE_WRITE) === 0) f.home!.writablePtes++
    f.slab.pte[at] = f.slab.pte[at]! | PTE_PRESENT | (writable ? PTE_WRITE : 0)
  }

  // --- leaving the cache -------------------------------------------------------------------------------------------

  /**
   * Drop a locked folio from the cache if nothing forbids it: it is clean, not under writeback, not pinned.
   * @returns false if it was refused ("isn't guaranteed to succeed", seed 002); it stays cached and locked then
   */
  invalidateFolio(f: Folio): boolean {
    if (f.dirty || f.writeback || f.pins > 0) {
      this.ledger.invalidateRefused++
      return false
    }
    this.removeFolio(f)
    return true
  }

  /** Drop a locked folio whatever it holds: truncate and punch do. Waits for nothing; not for one under writeback. */
  removeFolio(f: Folio): void {
    this.unmap(f)
    f.home!.remove(f)
    this.cache.release(f)
  }

  /**
   * Put a locked private folio in place of a locked cached one, at once: no reader and no fault finds a gap
   * (replace_page_cache_folio). The old one leaves the cache; its PTEs are torn down.
   */
  replaceFolio(space: AddressSpace, old: Folio, fresh: Folio): void {
    this.unmap(old)
    space.replace(old, fresh)
    if (fresh.dirty) space.markDirty(fresh)
    this.cache.adopt(fresh)
    this.ledger.foliosReplaced++
    this.cache.release(old)
  }

  /** Insert a locked private folio where nothing is cached. */
  insertFolio(space: AddressSpace, fresh: Folio): void {
    space.insert(fresh)
    this.cache.adopt(fresh)
    this.ledger.foliosAdded++
  }
}
