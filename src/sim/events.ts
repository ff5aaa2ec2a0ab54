/**
 * Events: the steps of one run as a partial order.
 *
 * Two steps *depend* on each other when they are of one fiber, or one wrote an object that the other noted. A step
 * *happens before* another when a chain of dependent steps leads there; runs with the same order differ only in how
 * independent steps are interleaved. The order is kept as vector clocks: `clock(e, f)` is one more than the number of
 * the last step of fiber f that happens before step e (or is e), 0 if there is none.
 *
 * The end of a run cuts daemons off; so the last step of a fiber that is no daemon depends on all steps of daemons.
 */
import type { Footprint } from './system.ts'

/** Marks of a step: it ended a fiber that is no daemon; it was made by a daemon; neither. */
export const ENDS = 1
/** See ENDS. */
export const OF_DAEMON = 2
/** Numbers kept of a footprint: four words of bits, and the mark. */
const WORDS = 5

/** Steps, numbered from 0, with their footprints. */
export class Events {
  length = 0
  readonly fiber: number[] = []
  /** The step of the same fiber before this one, or -1. */
  readonly before: number[] = []
  /** Bit set of the fibers that were enabled before this step. */
  readonly enabled: number[] = []
  readonly #words: number[] = []
  readonly #clocks: number[] = []
  #fibers = 0
  /** The last step of each fiber, or -1; the clock of the step that is being added. */
  readonly #last: number[] = []

  /** A new search among so many fibers. */
  clear(fibers: number): void {
    this.#fibers = fibers
    this.truncate(0)
  }

  /** Forget the steps from number `length` on. */
  truncate(length: number): void {
    this.length = length
    for (let f = 0; f < this.#fibers; f++) this.#last[f] = -1
    for (let e = 0; e < length; e++) this.#last[this.fiber[e]!] = e
  }

  /** Last step of a fiber, or -1. */
  lastOf(fiber: number): number {
    return this.#last[fiber]!
  }

  clock(e: number, fiber: number): number {
    return this.#clocks[e * this.#fibers + fiber]!
  }

  /** Does step `a` happen before step `b`, or is it the same? */
  isBefore(a: number, b: number): boolean {
    return this.clock(b, this.fiber[a]!) > a
  }

  /** Could one of the two steps not be the same if they changed places? */
  conflict(a: number, b: number): boolean {
    return wordsConflict(this.#words, a * WORDS, this.#words, b * WORDS)
  }

  /** Did step `e` end a fiber that is no daemon? */
  endsFiber(e: number): boolean {
    return this.#words[e * WORDS + 4] === ENDS
  }

  /** Does step `e` conflict with what is kept in `words` at place `place`? */
  conflictsWith(e: number, words: readonly number[], place: number): boolean {
    return wordsConflict(this.#words, e * WORDS, words, place * WORDS)
  }

  /** Copy the footprint of step `e` to place `place` of `words`. */
  keep(e: number, words: number[], place: number): void {
    for (let w = 0; w < WORDS; w++) words[place * WORDS + w] = this.#words[e * WORDS + w]!
  }

  /** Add a step, without its clock: that is what the search for races makes (`startClock`, `joinClock`). */
  add(fiber: number, enabled: number, footprint: Footprint, mark: number): number {
    const e = this.length++
    this.fiber[e] = fiber
    this.enabled[e] = enabled
    this.before[e] = this.#last[fiber]!
    this.#last[fiber] = e
    const w = e * WORDS
    this.#words[w] = footprint.readLow
    this.#words[w + 1] = footprint.readHigh
    this.#words[w + 2] = footprint.writeLow
    this.#words[w + 3] = footprint.writeHigh
    this.#words[w + 4] = mark
    const [to, before] = [e * this.#fibers, this.before[e]!]
    for (let f = 0; f < this.#fibers; f++) this.#clocks[to + f] = before < 0 ? 0 : this.clock(before, f)
    this.#clocks[to + fiber] = e + 1
    return e
  }

  /** Step `a` happens before step `b`. */
  joinClock(b: number, a: number): void {
    const [to, from] = [b * this.#fibers, a * this.#fibers]
    for (let f = 0; f < this.#fibers; f++) {
      if (this.#clocks[from + f]! > this.#clocks[to + f]!) this.#clocks[to + f] = this.#clocks[from + f]!
    }
  }

  /**
   * How many runs have this order: its linear extensions, counted over the sets of steps that may come first.
   * @returns null when there are more than `most` such sets to look at
   */
  linearExtensions(most: number): number | null {
    const [n, fibers] = [this.#fibers, this.#byFiber()]
    const stride: number[] = []
    let cells = 1
    for (let f = 0; f < n; f++) {
      stride[f] = cells
      cells *= fibers[f]!.length + 1
      if (cells > most) return null
    }
    const needs = this.#needs(fibers)
    const ways = new Float64Array(cells)
    const done = new Int32Array(n)
    ways[0] = 1
    for (let cell = 1; cell < cells; cell++) {
      for (let f = 0; ++done[f]! > fibers[f]!.length; f++) done[f] = 0
      for (let f = 0; f < n; f++) {
        if (done[f] === 0) continue
        const need = needs[fibers[f]![done[f]! - 1]!]!
        let may = true
        for (let g = 0; may && g < n; g++) may = g === f || need[g]! <= done[g]!
        if (may) ways[cell] = ways[cell]! + ways[cell - stride[f]!]!
      }
    }
    return ways[cells - 1]!
  }

  /** The steps of each fiber. */
  #byFiber(): readonly number[][] {
    const list: number[][] = Array.from({ length: this.#fibers }, () => [])
    for (let e = 0; e < this.length; e++) list[this.fiber[e]!]!.push(e)
    return list
  }

  /** By step: how many steps of each fiber must come before it. */
  #needs(fibers: readonly number[][]): readonly number[][] {
    const rank: number[] = []
    for (const list of fibers) list.forEach((e, i) => (rank[e] = i + 1))
    return Array.from({ length: this.length }, (_, e) =>
      fibers.map((_list, f) => (this.clock(e, f) === 0 ? 0 : rank[this.clock(e, f) - 1]!)))
  }
}

/** Copy the footprint that is kept at place `from` to place `to`. */
export const copyKept = (words: number[], from: number, to: number): void => {
  for (let w = 0; w < WORDS; w++) words[to * WORDS + w] = words[from * WORDS + w]!
}

const wordsConflict = (x: readonly number[], a: number, y: readonly number[], b: number): boolean =>
  ((x[a]! & y[b + 2]!) | (x[a + 1]! & y[b + 3]!) | (x[a + 2]! & y[b]!) | (x[a + 3]! & y[b + 1]!)) !== 0 ||
  x[a + 4]! + y[b + 4]! === ENDS + OF_DAEMON
