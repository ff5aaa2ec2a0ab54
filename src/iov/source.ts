/**
 * WriteSource: where the bytes of a write(2) come from, as the pipeline sees it.
 *
 * Two ways to copy, as in the kernel: *atomic* with faults disabled, under a folio lock, which stops byte-exactly at
 * the first page that is not present; and *faulting*, with no lock held, which brings pages in as it goes. `faultIn`
 * brings pages in beforehand. Offsets `at` count from the start of the source.
 * Source: fault_in_iov_iter_readable and copy_folio_from_iter_atomic, lib/iov_iter.c.
 */
import type { Kernel } from '../kernel/kernel.ts'
import type { PageVec } from '../kernel/page-vec.ts'

/** Bytes to be written. */
export interface WriteSource {
  /** Bytes. */
  readonly length: number
  /** Nothing is absent or unreadable: a copy can never be short. */
  readonly present: boolean
  /** Readable bytes from `at` after bringing pages in, at most `n`; 0 = EFAULT; -1 = it would have to wait. */
  faultInNow(at: number, n: number): number
  /** As `faultInNow`, waiting for page faults. */
  faultIn(at: number, n: number): Kernel<number>
  /** Copy up to `n` bytes with faults disabled. @returns bytes copied, exact */
  copyAtomic(target: Buffer, start: number, at: number, n: number): number
  /** Copy up to `n` bytes, faulting pages in on the way. @returns bytes copied; short only at an unreadable page */
  copyFaulting(target: Buffer, start: number, at: number, n: number): Kernel<number>
  /** Optional: the memory itself, not a copy, as far as it can be reached now; for designs that take pages. */
  pageVec?(at: number, n: number): PageVec
}

/** A source that is plain memory, all of it present. Reusable: `set` points it elsewhere, nothing is allocated. */
export class MemorySource implements WriteSource {
  readonly present = true
  length = 0
  #bytes: Buffer = Buffer.alloc(0)
  #start = 0

  constructor(bytes?: Buffer) {
    if (bytes !== undefined) this.set(bytes, 0, bytes.length)
  }

  /** Write bytes [start, start + length) of `bytes` next. */
  set(bytes: Buffer, start: number, length: number): this {
    this.#bytes = bytes
    this.#start = start
    this.length = length
    return this
  }

  faultInNow(at: number, n: number): number {
    return Math.min(n, this.length - at)
  }

  *faultIn(at: number, n: number): Kernel<number> {
    return this.faultInNow(at, n)
  }

  copyAtomic(target: Buffer, start: number, at: number, n: number): number {
    const from = this.#start + at
    return this.#bytes.copy(target, start, from, from + n)
  }

  *copyFaulting(target: Buffer, start: number, at: number, n: number): Kernel<number> {
    return this.copyAtomic(target, start, at, n)
  }
}

/** A source that is several pieces of plain memory, all present: writev(2). Empty pieces are allowed (bug Z56). */
export class GatherSource implements WriteSource {
  readonly present = true
  readonly length: number
  readonly #pieces: readonly Buffer[]

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = pieces
    this.length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  }

  faultInNow(at: number, n: number): number {
    return Math.min(n, this.length - at)
  }

  *faultIn(at: number, n: number): Kernel<number> {
    return this.faultInNow(at, n)
  }

  copyAtomic(target: Buffer, start: number, at: number, n: number): number {
    let skip = at
    let done = 0
    for (const piece of this.#pieces) {
      if (skip >= piece.length) {
        skip -= piece.length
        continue
      }
      if (done === n) break
      done += piece.copy(target, start + done, skip, Math.min(piece.length, skip + n - done))
      skip = 0
    }
    return done
  }

  *copyFaulting(target: Buffer, start: number, at: number, n: number): Kernel<number> {
    return this.copyAtomic(target, start, at, n)
  }
}
