/**
 * PCT: schedules by random priorities, with a stated chance to find what is there.
 *
 * Every fiber gets a random priority; the highest enabled one runs; at d - 1 random steps the fiber that is about to
 * run falls below all others. A bug that needs d steps in a certain order, in a system of n fibers and k steps, shows
 * in one run with a probability of at least 1 / (n k^(d-1)).
 *
 * Source: Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of Finding
 * Bugs, ASPLOS 2010.
 */
import type { ChoiceKind, Choices } from '../kernel/choices.ts'
import { below, random32 } from './sources.ts'
import type { Machine } from './scheduler.ts'

/** Options of a PCT schedule. */
export interface PctOptions {
  readonly seed: number
  /** Bug depth d: one more than the number of points where priorities change. */
  readonly depth: number
  /** Steps k that a run has at most; more is allowed, but then the stated chance does not hold. */
  readonly steps: number
}

/** Chance that one run shows a bug of depth d among n fibers with k steps in all. */
export const pctProbability = (fibers: number, steps: number, depth: number): number =>
  1 / (fibers * steps ** (depth - 1))

/** Decides schedules of one run of one machine; other kinds take the simplest course. */
export class Pct implements Choices {
  readonly #machine: Machine
  readonly #draw: () => number
  /** Steps at which priorities change, ascending, and how many have passed. */
  readonly #changes: readonly number[]
  #passed = 0
  readonly #priority: number[] = []

  constructor(machine: Machine, options: PctOptions) {
    this.#machine = machine
    this.#draw = random32(options.seed)
    const changes = Array.from({ length: options.depth - 1 }, () => below(this.#draw, options.steps))
    this.#changes = changes.sort((a, b) => a - b)
  }

  choose(n: number, kind: ChoiceKind, _label: string): number {
    if (kind !== 'schedule') return 0
    const m = this.#machine
    if (this.#priority.length === 0) this.#shuffle(m.fibers.length)
    let best = this.#highest(n)
    while (this.#passed < this.#changes.length && this.#changes[this.#passed]! <= m.steps) {
      const at = this.#changes[this.#passed++]!
      // A step that passed without a question had one enabled fiber: that one falls.
      this.#priority[at < m.steps ? m.trace.fibers[at]! : m.candidates[best]!] = -this.#passed
      best = this.#highest(n)
    }
    return best
  }

  /** Random priorities, all different and all above those of fallen fibers. */
  #shuffle(fibers: number): void {
    const order = Array.from({ length: fibers }, (_, i) => i)
    for (let i = fibers - 1; i > 0; i--) {
      const j = below(this.#draw, i + 1)
      const other = order[j]!
      order[j] = order[i]!
      order[i] = other
    }
    order.forEach((fiber, p) => (this.#priority[fiber] = p))
  }

  #highest(n: number): number {
    let best = 0
    for (let k = 1; k < n; k++) {
      if (this.#priority[this.#machine.candidates[k]!]! > this.#priority[this.#machine.candidates[best]!]!) best = k
    }
    return best
  }
}
