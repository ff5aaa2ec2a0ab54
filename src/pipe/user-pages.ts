/**
 * UserPages: anonymous memory of a process that can be handed to a pipe, page by page (mmap(2) with MAP_ANONYMOUS).
 *
 * The process holds one reference to each page as long as it maps it. A page that is in a pipe as well has two holders: the
 * process can still write to it, whatever it promised (Torvalds, 2026: "try_steal was kind of lie"). It is his no more when
 * he unmaps it.
 * Source: vmsplice(2); iter_to_pipe (fs/splice.c).
 */
import type { Verbs } from '../fs/verbs.ts'
import type { Restore } from '../kernel/checkpoint.ts'
import { type Kernel, raise } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import type { Folio } from '../pagecache/folio.ts'

/** Pages of one process. Addresses in bytes from the first page. */
export class UserPages {
  readonly #k: Verbs
  readonly #pages: (Folio | null)[]

  /** See `mapPages`. */
  constructor(k: Verbs, pages: (Folio | null)[]) {
    this.#k = k
    this.#pages = pages
  }

  /** Bytes. */
  get size(): number {
    return this.#pages.length * PAGE
  }

  /** The page of an address; null where none is mapped. */
  page(addr: number): Folio | null {
    return this.#pages[Math.floor(addr / PAGE)] ?? null
  }

  /** Store bytes. @returns bytes stored, fewer at a page that is not mapped */
  store(addr: number, bytes: Buffer): number {
    return this.#each(addr, bytes.length, (f, off, n, done) => void bytes.copy(f.slab.bytes, f.base + off, done, done + n))
  }

  /** The bytes [addr, addr + n), as far as pages are mapped. */
  load(addr: number, n: number): Buffer {
    const out = Buffer.alloc(n)
    const done = this.#each(addr, n, (f, off, len, at) => void f.slab.bytes.copy(out, at, f.base + off, f.base + off + len))
    return out.subarray(0, done)
  }

  #each(addr: number, n: number, step: (f: Folio, off: number, n: number, done: number) => void): number {
    for (let done = 0; done < n; ) {
      const f = this.page(addr + done)
      if (f === null) return done
      const off = (addr + done) % PAGE
      const len = Math.min(n - done, PAGE - off)
      step(f, off, len, done)
      done += len
    }
    return n
  }

  /** munmap(2): the process lets go of the whole pages of [addr, addr + n). */
  unmap(addr: number, n: number): void {
    for (let i = addr / PAGE; i < (addr + n) / PAGE; i++) {
      const f = this.#pages[i] ?? null
      this.#pages[i] = null
      if (f !== null) this.#k.unrefer(f)
    }
  }

  checkpoint(): Restore {
    const pages = this.#pages.slice()
    return () => pages.forEach((f, i) => { this.#pages[i] = f })
  }
}

/** Map `n` fresh pages. Raises ENOMEM with none mapped. */
export function* mapPages(k: Verbs, n: number): Kernel<UserPages, 'ENOMEM'> {
  const pages: Folio[] = []
  for (let i = 0; i < n; i++) {
    const f = k.ownPage()
    if (f === null) {
      for (const page of pages) k.unrefer(page)
      return yield* raise('ENOMEM', 'ENOMEM.user')
    }
    pages.push(f)
  }
  return new UserPages(k, pages)
}
