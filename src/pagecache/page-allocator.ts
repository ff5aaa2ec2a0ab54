/**
 * PageAllocator: memory for folios, a buddy system over 2 MiB slabs, with a limit.
 *
 * Interface: `allocate(order)` returns an unlocked folio with no state, or null at the limit; `release` takes one back.
 * Free runs are kept in one stack an order, last freed first (its memory is warm). A stack may hold entries that have
 * become untrue because the run was merged; `Slab.freeOrder` is the truth and each entry is checked when it is popped.
 * As mm/page_alloc.c, without zones.
 */
import type { Restore } from '../kernel/checkpoint.ts'
import { MAX_FOLIO_ORDER } from '../kernel/units.ts'
import { Folio, Slab } from './folio.ts'

/** How a slot is made. A checker brings folios that note every access. */
export type MakeFolio = (slab: Slab, page: number, blockShift: number) => Folio

const newFolio: MakeFolio = (slab, page, blockShift) => new Folio(slab, page, blockShift)

/** Memory for folios. */
export class PageAllocator {
  /** Most pages that may be in use. */
  readonly limit: number
  /** Pages in use. */
  used = 0
  readonly #blockShift: number
  /** Fill pages with 0xDB when they are handed out: whoever shows them shows it. */
  readonly #poison: boolean
  readonly #make: MakeFolio
  /** A slab is one run of this order. */
  readonly #slabOrder: number
  readonly #slabs: Slab[] = []
  readonly #free: Folio[][] = Array.from({ length: MAX_FOLIO_ORDER + 1 }, () => [])

  constructor(limit: number, blockShift: number, poison: boolean, make: MakeFolio = newFolio, slabPages = Slab.PAGES) {
    this.limit = limit
    this.#blockShift = blockShift
    this.#poison = poison
    this.#make = make
    this.#slabOrder = Math.log2(slabPages)
  }

  /** A folio of 2^order pages, or null if the limit would be passed. */
  allocate(order: number): Folio | null {
    const pages = 1 << order
    if (this.used + pages > this.limit) return null
    let at = order
    let f = this.#pop(at)
    while (f === null && at < this.#slabOrder) f = this.#pop(++at)
    if (f === null) {
      f = this.#grow()
      at = this.#slabOrder
    }
    while (at > order) {
      at--
      this.#push(this.#slot(f.slab, f.page + (1 << at)), at)
    }
    f.order = order
    f.generation++
    this.used += pages
    if (this.#poison) f.slab.bytes.fill(0xdb, f.base, f.base + f.size)
    return f
  }

  /** Take back a folio that nobody uses. */
  release(f: Folio): void {
    this.used -= f.pages
    f.clear()
    f.home = null
    f.old = null
    f.referenced = false
    let page = f.page
    let order = f.order
    const free = f.slab.freeOrder
    while (order < this.#slabOrder && free[page ^ (1 << order)] === order) {
      free[page ^ (1 << order)] = -1
      page &= ~(1 << order)
      order++
    }
    this.#push(this.#slot(f.slab, page), order)
  }

  /** A slab that is made later is forgotten; a slot that is made later in an old one is free again. */
  checkpoint(): Restore {
    const { used } = this
    const free = this.#free.map((stack) => stack.slice())
    const slabs = this.#slabs.map((slab) => slab.checkpoint())
    return () => {
      this.used = used
      this.#slabs.length = slabs.length
      for (const restore of slabs) restore()
      for (let order = 0; order < free.length; order++) {
        const [stack, saved] = [this.#free[order]!, free[order]!]
        stack.length = saved.length
        for (let i = 0; i < saved.length; i++) stack[i] = saved[i]!
      }
    }
  }

  #pop(order: number): Folio | null {
    const stack = this.#free[order]!
    for (let f = stack.pop(); f !== undefined; f = stack.pop()) {
      if (f.slab.freeOrder[f.page] !== order) continue
      f.slab.freeOrder[f.page] = -1
      return f
    }
    return null
  }

  #push(f: Folio, order: number): void {
    f.slab.freeOrder[f.page] = order
    this.#free[order]!.push(f)
  }

  #slot(slab: Slab, page: number): Folio {
    return (slab.slots[page] ??= this.#make(slab, page, this.#blockShift))
  }

  #grow(): Folio {
    const slab = new Slab(this.#slabs.length, this.#blockShift, 1 << this.#slabOrder)
    this.#slabs.push(slab)
    return this.#slot(slab, 0)
  }
}
