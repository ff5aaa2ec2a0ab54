/**
 * PageCache: all folios of a mounted file system, in the order of their last use, under one memory limit.
 *
 * Interface: `take` gives memory for a folio and reclaims if it must; `adopt` puts a folio on the list, `forget` takes it
 * off and frees it. Reclaim evicts what is clean, unlocked, not pinned, not mapped by a dirty PTE and not under writeback,
 * oldest first, and gives a folio that was used since a second chance (mm/vmscan.c, in its oldest form). It never waits
 * and never writes: whoever dirties pages is throttled before he takes a lock (fs/perform-write.ts).
 */
import type { Restore } from '../kernel/checkpoint.ts'
import type { Ledger } from '../kernel/ledger.ts'
import { AddressSpace, type CacheTotals } from './address-space.ts'
import { type Folio, PTE_DIRTY, PTE_WRITE } from './folio.ts'
import { type MakeFolio, PageAllocator } from './page-allocator.ts'

/** How a cache is made. */
export interface PageCacheOptions {
  /** Bytes in a block of the file system: 1024, 2048 or 4096. */
  readonly blockSize: number
  /** Most pages in memory; default 64 Ki pages = 256 MiB. */
  readonly limitPages?: number
  /** The largest folio, as an order: 0 = 4 KiB ... 9 = 2 MiB; default 9. */
  readonly maxFolioOrder?: number
  /** Fill fresh pages with 0xDB so that uninitialised memory shows; default false. */
  readonly poison?: boolean
  /** How a slot is made; default `new Folio`. */
  readonly makeFolio?: MakeFolio
  /** Pages of a slab, a power of two, at least the largest folio; default 512. A small world has small ones. */
  readonly slabPages?: number
}

/** All folios of one mount. */
export class PageCache implements CacheTotals {
  readonly blockShift: number
  readonly maxFolioOrder: number
  dirtyPages = 0
  readonly #pages: PageAllocator
  readonly #ledger: Ledger
  #oldest: Folio | null = null
  #newest: Folio | null = null

  constructor(options: PageCacheOptions, ledger: Ledger) {
    this.blockShift = Math.log2(options.blockSize)
    this.maxFolioOrder = options.maxFolioOrder ?? 9
    const { limitPages = 65536, poison = false, makeFolio, slabPages } = options
    this.#pages = new PageAllocator(limitPages, this.blockShift, poison, makeFolio, slabPages)
    this.#ledger = ledger
  }

  /** Pages in use, private ones included. */
  get usedPages(): number {
    return this.#pages.used
  }
  get limitPages(): number {
    return this.#pages.limit
  }

  /** An empty address space for an inode. */
  addressSpace(ino: number): AddressSpace {
    return new AddressSpace(ino, this)
  }

  /** Memory for a folio of 2^order pages, unlocked and without state; null if reclaim did not find enough. */
  take(order: number): Folio | null {
    let f = this.#pages.allocate(order)
    if (f === null && this.reclaim(1 << order) > 0) f = this.#pages.allocate(order)
    if (f !== null) {
      f.locked = false
      f.writeback = false
      f.pins = 0
      f.refs = 0
      f.edgesOnly = false
      this.#ledger.pagesAllocated += f.pages
    }
    return f
  }

  checkpoint(): Restore {
    const { dirtyPages } = this
    const [oldest, newest, pages] = [this.#oldest, this.#newest, this.#pages.checkpoint()]
    return () => {
      this.dirtyPages = dirtyPages
      this.#oldest = oldest
      this.#newest = newest
      pages()
    }
  }

  /** Put a cached folio on the list as the newest. */
  adopt(f: Folio): void {
    f.older = this.#newest
    f.newer = null
    if (this.#newest === null) this.#oldest = f
    else this.#newest.newer = f
    this.#newest = f
  }

  /** Take a folio off the list; its memory stays. */
  disown(f: Folio): void {
    if (f.older === null && this.#oldest !== f) return
    if (f.older === null) this.#oldest = f.newer
    else f.older.newer = f.newer
    if (f.newer === null) this.#newest = f.older
    else f.newer.older = f.older
    f.older = null
    f.newer = null
  }

  /** Free the memory of a folio that is in no address space. One that is pinned or read is freed by who lets go last. */
  release(f: Folio): void {
    this.disown(f)
    f.locked = false
    if (f.pins === 0 && f.refs === 0) this.#pages.release(f)
  }

  /** May reclaim take this folio? */
  evictable(f: Folio): boolean {
    return f.home !== null && !f.locked && !f.writeback && f.pins === 0 && f.refs === 0 && !f.dirty && !hasPte(f, PTE_WRITE | PTE_DIRTY)
  }

  /** Evict until `pages` pages were freed or nothing is left to evict. @returns the pages freed */
  reclaim(pages: number): number {
    let freed = 0
    for (let pass = 0; pass < 2 && freed < pages; pass++) {
      let f = this.#oldest
      while (f !== null && freed < pages) {
        const next: Folio | null = f.newer
        if (f.referenced && pass === 0) f.referenced = false
        else if (this.evictable(f)) {
          freed += f.pages
          this.evict(f)
        }
        f = next
      }
    }
    return freed
  }

  /** Drop a clean folio. The caller knows that it is evictable. */
  evict(f: Folio): void {
    f.home!.remove(f)
    this.#ledger.foliosReclaimed++
    this.release(f)
  }
}

/** Has a page of the folio a page-table entry with any of `bits`? */
export const hasPte = (f: Folio, bits: number): boolean => {
  const pte = f.slab.pte
  for (let p = f.page; p < f.page + f.pages; p++) if ((pte[p]! & bits) !== 0) return true
  return false
}
