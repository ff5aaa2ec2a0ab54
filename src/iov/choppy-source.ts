/**
 * ChoppySource: a source whose atomic copies may stop at any byte, by choice.
 *
 * A page of a write's source may be taken away between fault-in and copy, at any moment; a copy with faults disabled then
 * stops there. This source asks at each such copy whether it stops, and where: at one of a few bytes that stand for all
 * (none, one, around each end of a block of the file, all but one). What was cut is there again at the next fault-in. At most
 * `maxCuts` cuts a source: the fairness under which every correct write ends (K of claim I15).
 *
 * Only copies with faults disabled are cut: one that may fault brings the page in again. Choice 0 is no cut.
 * Source: copy_folio_from_iter_atomic, lib/iov_iter.c; Piggin's RFC of October 2006 (linux-fsdevel), the short copy.
 */
import type { Choices } from '../kernel/choices.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { WriteSource } from './source.ts'

/** Where and how often a ChoppySource may stop. */
export interface ChoppyOptions {
  /** Cuts in all; default 2. */
  readonly maxCuts?: number
  /** Byte of the file that the first byte of the source goes to; default 0. */
  readonly pos?: number
  /** Bytes; default 4096. */
  readonly blockSize?: number
}

/** What the choice of a cut is called. */
export const CUT = 'copy cut'

/** `inner`, cut short by choice. */
export class ChoppySource implements WriteSource {
  /** Never: a copy may be short. */
  readonly present = false
  readonly length: number
  /** Cuts that were made. */
  cuts = 0
  readonly #inner: WriteSource
  readonly #choices: Choices
  readonly #maxCuts: number
  readonly #pos: number
  readonly #block: number

  constructor(inner: WriteSource, choices: Choices, { maxCuts = 2, pos = 0, blockSize = 4096 }: ChoppyOptions = {}) {
    this.length = inner.length
    this.#inner = inner
    this.#choices = choices
    this.#maxCuts = maxCuts
    this.#pos = pos
    this.#block = blockSize
  }

  faultInNow(at: number, n: number): number {
    return this.#inner.faultInNow(at, n)
  }

  faultIn(at: number, n: number): Kernel<number> {
    return this.#inner.faultIn(at, n)
  }

  copyAtomic(target: Buffer, start: number, at: number, n: number): number {
    const stop = this.cuts < this.#maxCuts && n > 0 ? this.#ask(at, n) : n
    if (stop < n) this.cuts++
    return stop === 0 ? 0 : this.#inner.copyAtomic(target, start, at, stop)
  }

  copyFaulting(target: Buffer, start: number, at: number, n: number): Kernel<number> {
    return this.#inner.copyFaulting(target, start, at, n)
  }

  #ask(at: number, n: number): number {
    const places = this.cutPlaces(at, n)
    const choice = this.#choices.choose(places.length + 1, 'short', CUT)
    return choice === 0 ? n : places[choice - 1]!
  }

  /** The lengths, ascending and below `n`, at which a copy of `n` bytes from `at` may stop. */
  cutPlaces(at: number, n: number): readonly number[] {
    const first = this.#block - ((this.#pos + at) % this.#block)
    const last = first + Math.floor((n - first) / this.#block) * this.#block
    const places = [0, 1, first - 1, first, first + 1, last - 1, last, last + 1, n - 1]
    return [...new Set(places)].filter((c) => c >= 0 && c < n).sort((a, b) => a - b)
  }
}
