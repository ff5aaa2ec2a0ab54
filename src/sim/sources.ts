/**
 * Sources: who decides when nobody has recorded anything: an odometer, which comes to every tape once, or chance.
 *
 * Chance is a small generator of our own with a seed (mulberry32, public domain, Tommy Ettinger): same seed, same run,
 * on every machine.
 */
import type { ChoiceKind, Choices } from '../kernel/choices.ts'

/** By kind: how many decisions of one run may differ from 0. A kind that is missing stays at 0. */
export type Bounds = Partial<Record<ChoiceKind, number>>

/**
 * Depth-first through all tapes within the bounds, the straight run first. Run, then `next()`, until that is false.
 * The questions of a run must depend on nothing but its answers.
 */
export class Odometer implements Choices {
  readonly #bounds: Bounds
  readonly #n: number[] = []
  readonly #pick: number[] = []
  #at = 0
  #used: Bounds = {}

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  choose(n: number, kind: ChoiceKind, _label: string): number {
    const used = this.#used[kind] ?? 0
    const allowed = used < (this.#bounds[kind] ?? 0) ? n : 1
    if (allowed <= 1) return 0
    const at = this.#at++
    if (at === this.#n.length) {
      this.#n.push(allowed)
      this.#pick.push(0)
    }
    const pick = this.#pick[at]!
    if (pick !== 0) this.#used[kind] = used + 1
    return pick
  }

  /** Go to the next tape; false when there is none. */
  next(): boolean {
    this.#at = 0
    this.#used = {}
    while (this.#n.length > 0) {
      const last = this.#n.length - 1
      if (++this.#pick[last]! < this.#n[last]!) return true
      this.#n.pop()
      this.#pick.pop()
    }
    return false
  }
}

/** Numbers that look like chance: 32-bit unsigned integers. Same seed, same numbers. */
export const random32 = (seed: number): (() => number) => {
  let a = seed | 0
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
}

/** An integer from 0 to n - 1, from one draw. */
export const below = (draw: () => number, n: number): number => Math.floor((draw() / 2 ** 32) * n)

/**
 * Chance decides.
 * @param chance by kind: how often a decision differs from 0, from 0 to 1. A kind that is missing takes each course
 * equally often
 */
export const randomChoices = (seed: number, chance: Partial<Record<ChoiceKind, number>> = {}): Choices => {
  const draw = random32(seed)
  return {
    choose: (n, kind) => {
      if (n <= 1) return 0
      const p = chance[kind]
      if (p === undefined) return below(draw, n)
      return draw() / 2 ** 32 < p ? 1 + below(draw, n - 1) : 0
    },
  }
}
