/**
 * PipeSource: what stands in a pipe, as the source of a write that may take pages instead of copying them.
 *
 * The "from" side of ITER_PIPE that seed 001 asks for. It changes nothing in the pipe but flags and ops of buffers whose pages
 * are under way; what was used is consumed by who owns the pipe, after the write. The lock of the pipe is held all the time.
 * Offsets count from the tail of the pipe.
 */
import type { Donor, Refusal } from '../fs/donor.ts'
import type { Verbs } from '../fs/verbs.ts'
import type { WriteSource } from '../iov/source.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import type { Folio } from '../pagecache/folio.ts'
import type { Pipe } from './pipe.ts'
import { GIFT, type PipeBuffer, STOLEN } from './pipe-buffer.ts'

/** The first `length` bytes of a pipe. */
export class PipeSource implements WriteSource, Donor {
  /** Pages of a pipe are in memory. */
  readonly present = true
  readonly length: number
  readonly #pipe: Pipe
  /** The buffer of the last look-up, and the offset where it begins. */
  #current = 0
  #begin = 0

  constructor(pipe: Pipe, length: number) {
    this.#pipe = pipe
    this.length = length
  }

  faultInNow(at: number, n: number): number {
    return Math.min(n, this.length - at)
  }

  *faultIn(at: number, n: number): Kernel<number> {
    return this.faultInNow(at, n)
  }

  copyAtomic(target: Buffer, start: number, at: number, n: number): number {
    const want = Math.min(n, this.length - at)
    for (let done = 0; done < want; ) {
      const b = this.#seek(at + done)
      const f = b.folio!
      const from = f.base + b.off + at + done - this.#begin
      done += f.slab.bytes.copy(target, start + done, from, from + Math.min(want - done, this.#begin + b.len - at - done))
    }
    return Math.max(0, want)
  }

  *copyFaulting(target: Buffer, start: number, at: number, n: number): Kernel<number> {
    return this.copyAtomic(target, start, at, n)
  }

  trySteal(k: Verbs, at: number, n: number): Folio | Refusal {
    const b = this.#seek(at)
    if (at !== this.#begin || b.len < PAGE || n < PAGE) return 'refusedPartial'
    if (b.off % PAGE !== 0) return 'refusedUnaligned'
    if ((b.flags & STOLEN) !== 0) return 'refusedBusy'
    const refusal = b.ops!.trySteal(k, b)
    if (refusal !== null) return refusal
    b.flags |= STOLEN
    return b.folio!
  }

  run(at: number, n: number): number {
    const first = this.#seek(at)
    const takes = at === this.#begin && looksFree(first)
    let to = this.#begin + first.len
    for (let i = this.#current + 1; to < at + n && i < this.#pipe.used; i++) {
      const b = this.#pipe.at(i)
      if (looksFree(b) !== takes) break
      to += b.len
    }
    return Math.min(n, to - at)
  }

  takeBack(f: Folio): void {
    for (let i = 0; i < this.#pipe.used; i++) {
      const b = this.#pipe.at(i)
      if (b.folio === f) b.flags &= ~STOLEN
    }
  }

  accepted(f: Folio, at: number): void {
    const b = this.#seek(at)
    if (b.folio === f) b.flags &= ~STOLEN
  }

  sameBytes(f: Folio, off: number, at: number, n: number): number {
    const b = this.#seek(at)
    const skip = at - this.#begin
    return b.folio === f && b.off + skip === off && skip + n <= b.len ? n : 0
  }

  /** The buffer that holds offset `at`. */
  #seek(at: number): PipeBuffer {
    if (at < this.#begin) this.#current = this.#begin = 0
    let b = this.#pipe.at(this.#current)
    while (at >= this.#begin + b.len && this.#current + 1 < this.#pipe.used) {
      this.#begin += b.len
      b = this.#pipe.at(++this.#current)
    }
    return b
  }
}

/** Could this buffer's page be taken, as far as can be seen without touching it? */
const looksFree = ({ folio, off, len, ops, flags }: PipeBuffer): boolean =>
  len === PAGE && off % PAGE === 0 && folio!.order === 0 && folio!.refs === 1 && ops!.origin !== 'wire' &&
  (ops!.origin !== 'user' || (flags & GIFT) !== 0)
