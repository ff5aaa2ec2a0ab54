/**
 * UserMemory: the address space of the process that calls write(2), in pages.
 *
 * State of a page:
 *   present     a copy reads and writes it
 *   readOnly    a copy reads it; storing there is EFAULT
 *   absent      its bytes are known, but it takes a fault to reach them (swapped out, never touched)
 *   unreadable  nothing is mapped there: EFAULT, always. So is every address past the end
 *   mapped      it belongs to a PageMapping, such as a file: the page of the source may be the page of the destination
 *
 *   absent --fault--> present --taken away--> absent      (the second arrow at most `takeAways` times a page)
 *   mapped: PageMapping.resolve says whether it can be reached now, PageMapping.fault brings it in
 *
 * Rules:
 * - copyAtomic has faults disabled: it stops byte-exactly at the first page that is not to be reached now, and waits
 *   for nothing. faultIn and copyFaulting may wait; no folio lock may be held there (Z01, Z02 of the bug zoo);
 * - faultIn promises nothing to a later copy: a page that it brought in may be gone again. Whether one goes is the
 *   choice `takeAway`. A caller that retries with the same bytes, or that never forces a read, then loops (Z03, Z06);
 *   the bound makes every correct caller end;
 * - a run of present pages is one Buffer.copy, which moves as memmove does. Runs follow each other upwards: where a
 *   mapped source overlaps a destination further up, later runs read what earlier ones wrote, as copy_from_user does.
 *
 * Source: fault_in_readable and fault_in_safe_writeable, mm/gup.c; copy_folio_from_iter_atomic, lib/iov_iter.c.
 */
import { type Choices, straight } from '../kernel/choices.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { Provenance, Segment } from '../kernel/page-vec.ts'
import { PAGE } from '../kernel/units.ts'

const PRESENT = 0
const READ_ONLY = 1
const ABSENT = 2
const UNREADABLE = 3
const MAPPED = 4

const STATES = { present: PRESENT, readOnly: READ_ONLY, absent: ABSENT, unreadable: UNREADABLE } as const

/** What `mark` can make of a page; see the head of the file. */
export type PageState = keyof typeof STATES

/** The bytes of one page: [start, start + PAGE) of `bytes`. */
export interface PageMemory {
  readonly bytes: Buffer
  readonly start: number
}

/** A mapping of something else into user memory, page by page; `page` counts from the start of the mapping. */
export interface PageMapping {
  /**
   * The memory of `page` if a page table entry allows the access now, else null. Plain: it waits for nothing.
   * @param write the caller stores into it at once: the entry becomes dirty
   */
  resolve(page: number, write: boolean): PageMemory | null
  /** Handle a fault. @returns false for SIGBUS or any other failure: the copy sees EFAULT */
  fault(page: number, write: boolean): Kernel<boolean>
}

/** What a UserMemory may be told. */
export interface UserMemoryOptions {
  /** Decides `takeAway`; default: nothing is ever taken away. */
  readonly choices?: Choices
  /** How often one page may be taken away after a fault brought it in (K of claim I15); default 2. */
  readonly takeAways?: number
}

/** Pages [first, first + pages) belong to `mapping`. */
interface Mapped {
  readonly first: number
  readonly pages: number
  readonly mapping: PageMapping
}

/** An address space [0, size), addresses in bytes. */
export class UserMemory {
  /** All bytes by address, whatever the state of their page; those of a mapped page are elsewhere. */
  readonly bytes: Buffer
  readonly size: number
  /** Pages that a copy from here cannot count on: absent, unreadable and mapped ones. 0 = the fast case. */
  absent = 0
  /** Pages that may be read but not written. */
  readOnly = 0
  private readonly state: Uint8Array
  /** How often each page may still be taken away. */
  private readonly fickle: Uint8Array
  private readonly choices: Choices
  /** Newest first. */
  private readonly mappings: Mapped[] = []

  /** @param memory the bytes themselves, or how many zero bytes to make; all pages begin present */
  constructor(memory: Buffer | number, { choices = straight, takeAways = 2 }: UserMemoryOptions = {}) {
    this.bytes = typeof memory === 'number' ? Buffer.alloc(memory) : memory
    this.size = this.bytes.length
    this.state = new Uint8Array(Math.ceil(this.size / PAGE))
    this.fickle = new Uint8Array(this.state.length).fill(takeAways)
    this.choices = choices
  }

  /** Set the state of every page that [addr, addr + len) touches. A mapped page is unmapped by it. */
  mark(addr: number, len: number, state: PageState): this {
    for (let p = pageOf(addr); p * PAGE < addr + len; p++) this.set(p, STATES[state])
    return this
  }

  /** Let `pages` pages from `addr` (a page boundary) be those of `mapping`: mmap(2). */
  map(addr: number, pages: number, mapping: PageMapping): this {
    if (addr % PAGE !== 0 || addr + pages * PAGE > this.size) {
      throw new RangeError(`cannot map ${pages} pages at ${addr}: use a page boundary inside ${this.size} bytes`)
    }
    const first = pageOf(addr)
    this.mappings.unshift({ first, pages, mapping })
    for (let p = first; p < first + pages; p++) this.set(p, MAPPED)
    return this
  }

  /**
   * fault_in_readable without waiting.
   * @returns bytes from `addr` that are readable, at most `n`, after bringing absent pages in; 0 means EFAULT; -1 if a
   * mapped page has to be waited for, and then nothing was changed
   */
  faultInNow(addr: number, n: number): number {
    if (this.absent === 0 || n === 0) return this.inside(addr, n)
    const end = addr + this.inside(addr, n)
    let p = pageOf(addr)
    for (; p * PAGE < end && this.state[p] !== UNREADABLE; p++) {
      if (this.state[p] === MAPPED && this.resolve(p, false) === null) return -1
    }
    const readable = Math.max(0, Math.min(end, p * PAGE) - addr)
    this.bringIn(addr, readable)
    return readable
  }

  /** As `faultInNow`, waiting for mapped pages. What was readable first may be gone when this returns. */
  *faultIn(addr: number, n: number): Kernel<number> {
    const end = addr + this.inside(addr, n)
    let p = pageOf(addr)
    for (; p * PAGE < end && this.state[p] !== UNREADABLE; p++) {
      if (this.state[p] !== MAPPED || this.resolve(p, false) !== null) continue
      if (!(yield* this.faultMapped(p, false))) break
    }
    const readable = Math.max(0, Math.min(end, p * PAGE) - addr)
    this.bringIn(addr, readable)
    return readable
  }

  /**
   * Copy [addr, addr + n) to `target` at `start` with faults disabled.
   * @returns bytes copied: up to the first page that cannot be read now, exact to the byte
   */
  copyAtomic(target: Buffer, start: number, addr: number, n: number): number {
    if (this.absent === 0 && addr >= 0 && addr + n <= this.size) return this.bytes.copy(target, start, addr, addr + n)
    const end = addr + this.inside(addr, n)
    let at = addr
    while (at < end) {
      const to = this.plainUpTo(at, end, READ_ONLY)
      if (to > at) this.bytes.copy(target, start + at - addr, at, to)
      else if (this.copyMapped(target, start + at - addr, at, end) === 0) break
      at = to > at ? to : Math.min(end, nextPage(at))
    }
    return at - addr
  }

  /** Copy with faults enabled: pages are brought in on the way. @returns bytes copied; short only where EFAULT is */
  *copyFaulting(target: Buffer, start: number, addr: number, n: number): Kernel<number> {
    const end = addr + this.inside(addr, n)
    let at = addr
    while (at < end) {
      const c = this.copyAtomic(target, start + at - addr, at, end - at)
      at += c
      if (c === 0 && !(yield* this.faultPage(pageOf(at), false))) break
    }
    return at - addr
  }

  /**
   * Store `n` bytes of `source` from `start` at `addr`, as copy_to_user: absent pages come in, nothing waits.
   * @returns bytes stored: up to the first page that cannot be written, or that must be waited for
   */
  store(addr: number, source: Buffer, start: number, n: number): number {
    const end = addr + this.inside(addr, n)
    let at = addr
    while (at < end) {
      const p = pageOf(at)
      if (this.state[p] === ABSENT) this.set(p, PRESENT)
      let to = this.plainUpTo(at, end, PRESENT)
      if (to > at) source.copy(this.bytes, at, start + at - addr, start + to - addr)
      else {
        const page = this.state[p] === MAPPED ? this.resolve(p, true) : null
        if (page === null) break
        to = Math.min(end, nextPage(at))
        source.copy(page.bytes, page.start + (at % PAGE), start + at - addr, start + to - addr)
      }
      at = to
    }
    return at - addr
  }

  /** fault_in_safe_writeable: bytes from `addr` that can be stored to, after bringing pages in; 0 means EFAULT. */
  *faultInWritable(addr: number, n: number): Kernel<number> {
    const end = addr + this.inside(addr, n)
    let p = pageOf(addr)
    while (p * PAGE < end && this.state[p] !== READ_ONLY && (yield* this.faultPage(p, true))) p++
    return Math.max(0, Math.min(end, p * PAGE) - addr)
  }

  /** Append to `vec` the memory behind [addr, addr + n), not a copy. @returns bytes covered, as by copyAtomic */
  segments(addr: number, n: number, vec: Segment[]): number {
    const push = (bytes: Buffer, start: number, len: number, provenance: Provenance) =>
      void vec.push({ bytes, start, len, provenance })
    const end = addr + this.inside(addr, n)
    let at = addr
    while (at < end) {
      let to = this.absent === 0 ? end : this.plainUpTo(at, end, READ_ONLY)
      if (to > at) push(this.bytes, at, to - at, 'anonymous')
      else {
        const page = this.state[pageOf(at)] === MAPPED ? this.resolve(pageOf(at), false) : null
        if (page === null) break
        to = Math.min(end, nextPage(at))
        push(page.bytes, page.start + (at % PAGE), to - at, 'cache')
      }
      at = to
    }
    return at - addr
  }

  /** How much of [addr, addr + n) lies in the address space. */
  private inside(addr: number, n: number): number {
    return addr < 0 ? 0 : Math.max(0, Math.min(n, this.size - addr))
  }

  /** End of the run of pages from `at` whose state is at most `worst`; `at` if there is none. */
  private plainUpTo(at: number, end: number, worst: number): number {
    let p = pageOf(at)
    while (p * PAGE < end && this.state[p]! <= worst) p++
    return Math.max(at, Math.min(end, p * PAGE))
  }

  private copyMapped(target: Buffer, start: number, at: number, end: number): number {
    const p = pageOf(at)
    const page = this.state[p] === MAPPED ? this.resolve(p, false) : null
    if (page === null) return 0
    const from = page.start + (at % PAGE)
    return page.bytes.copy(target, start, from, from + Math.min(end, nextPage(at)) - at)
  }

  /** A fault on page `p`. False if there is nothing to bring in. */
  private *faultPage(p: number, write: boolean): Kernel<boolean> {
    if (this.state[p] === ABSENT) this.set(p, PRESENT)
    if (this.state[p] !== MAPPED) return this.state[p] !== UNREADABLE
    return yield* this.faultMapped(p, write)
  }

  /** Absent pages of the range come in, and may be taken away again at once. */
  private bringIn(addr: number, n: number): void {
    for (let p = pageOf(addr); p * PAGE < addr + n; p++) {
      if (this.state[p] !== ABSENT) continue
      const stays = this.fickle[p] === 0 || this.choices.choose(2, 'short', 'takeAway') === 0
      if (stays) this.set(p, PRESENT)
      else this.fickle[p] = this.fickle[p]! - 1
    }
  }

  private set(p: number, state: number): void {
    const was = this.state[p]!
    this.state[p] = state
    this.absent += Number(state > READ_ONLY) - Number(was > READ_ONLY)
    this.readOnly += Number(state === READ_ONLY) - Number(was === READ_ONLY)
  }

  private resolve(p: number, write: boolean): PageMemory | null {
    const { first, mapping } = this.mapped(p)
    return mapping.resolve(p - first, write)
  }

  private *faultMapped(p: number, write: boolean): Kernel<boolean> {
    const { first, mapping } = this.mapped(p)
    return yield* mapping.fault(p - first, write)
  }

  private mapped(p: number): Mapped {
    return this.mappings.find((m) => p >= m.first && p < m.first + m.pages)!
  }
}

const pageOf = (addr: number): number => Math.floor(addr / PAGE)
const nextPage = (at: number): number => at - (at % PAGE) + PAGE
