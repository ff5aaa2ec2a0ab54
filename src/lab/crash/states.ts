/**
 * States: the crash states of an epoch, one after the other, each a change of few blocks from the one before.
 *
 * A state is a pick for each uncertain block. *Exhausted*: every combination, in the order of a mixed-radix Gray code, so that one
 * block changes from state to state (Knuth 4A, 7.2.1.1, algorithm H). *Sampled*, where there are more than the bound: nothing lost,
 * all lost, each write lost alone and kept alone, prefixes of the log; then by chance. *Torn*: in addition, states in which one
 * block has the first sectors of a version over the one before it.
 *
 * Deterministic: the same epoch, bound and seed give the same states in the same order.
 */
import { SECTOR } from '../../kernel/units.ts'
import { type Epoch, type Uncertain, versionsAt } from './epochs.ts'

/** Told that block `slot` (index among the uncertain ones) now has `bytes`. `pick` is its version; a tear is -1. */
export type Change = (slot: number, bytes: Buffer, pick: number) => void

/** How states are enumerated. */
export interface Bounds {
  /** Most states of one epoch that are enumerated one by one. */
  readonly states: number
  /** Tear one block as well. */
  readonly torn?: boolean
  readonly seed: number
}

/** How the states of an epoch were covered. */
export type Coverage = 'exhausted' | 'sampled'

/** Number of states of an epoch at `point` of the log; Infinity above 2^53. */
export const countStates = (epoch: Epoch, point: number): number => {
  const n = epoch.uncertain.reduce((product, u) => product * versionsAt(epoch, u, point), 1)
  return n <= Number.MAX_SAFE_INTEGER ? n : Infinity
}

/** One block torn: sectors [0, cut) of version `pick` over version `pick - 1`. */
export interface Tear {
  readonly slot: number
  readonly pick: number
  /** In sectors, at least 1. */
  readonly cut: number
}

/** The bytes of a torn block. */
export const tornBytes = ({ versions }: Uncertain, { pick, cut }: Tear): Buffer => {
  const bytes = Buffer.from(versions[pick - 1]!)
  versions[pick]!.copy(bytes, 0, 0, cut * SECTOR)
  return bytes
}

/** Tears that give bytes of their own. */
export const tearsOf = (epoch: Epoch, point: number): readonly Tear[] =>
  epoch.uncertain.flatMap((u, slot) => {
    const tears: Tear[] = []
    const seen: Buffer[] = [...u.versions]
    for (let pick = 1; pick < versionsAt(epoch, u, point); pick++) {
      for (let cut = 1; cut < u.versions[0]!.length / SECTOR; cut++) {
        const bytes = tornBytes(u, { slot, pick, cut })
        if (seen.some((s) => s.equals(bytes))) continue
        seen.push(bytes)
        tears.push({ slot, pick, cut })
      }
    }
    return tears
  })

/**
 * Visit states of an epoch as a crash at `point` may leave them. `change` is called for each block that differs from the state
 * before; all blocks begin as version 0. After the changes of a state it is yielded as its picks (a view; -1 for a torn block).
 * @returns how the states were covered, those with a tear apart
 */
export function* visit(epoch: Epoch, point: number, bounds: Bounds, change: Change): Generator<Int32Array, Coverage> {
  const walk = new Walk(epoch, point, change)
  const most = Math.max(1, bounds.states)
  const all = countStates(epoch, point)
  if (all <= most) yield* walk.gray(-1)
  else yield* walk.sample(most, bounds.seed + epoch.index)
  if (bounds.torn !== true) return all <= most ? 'exhausted' : 'sampled'
  const tears = tearsOf(epoch, point)
  const each = Math.max(1, Math.floor(most / Math.max(1, tears.length)))
  for (const [i, tear] of tears.entries()) {
    walk.tear(tear)
    const others = all / versionsAt(epoch, epoch.uncertain[tear.slot]!, point)
    if (others <= each) yield* walk.gray(tear.slot)
    else yield* walk.sample(each, bounds.seed + i, tear.slot)
  }
  return all <= most ? 'exhausted' : 'sampled'
}

/** A position among the states. */
class Walk {
  readonly picks: Int32Array
  readonly #epoch: Epoch
  readonly #uncertain: readonly Uncertain[]
  readonly #radix: Int32Array
  readonly #change: Change
  readonly #point: number

  constructor(epoch: Epoch, point: number, change: Change) {
    this.#epoch = epoch
    this.#uncertain = epoch.uncertain
    this.#point = point
    this.#radix = Int32Array.from(epoch.uncertain, (u) => versionsAt(epoch, u, point))
    this.picks = new Int32Array(epoch.uncertain.length)
    this.#change = change
  }

  #to(slot: number, pick: number): void {
    if (this.picks[slot] === pick) return
    this.picks[slot] = pick
    this.#change(slot, this.#uncertain[slot]!.versions[pick]!, pick)
  }

  tear(t: Tear): void {
    this.reset()
    this.picks[t.slot] = -1
    this.#change(t.slot, tornBytes(this.#uncertain[t.slot]!, t), -1)
  }

  reset(): void {
    for (let i = 0; i < this.picks.length; i++) this.#to(i, 0)
  }

  /** All combinations of all blocks but `fixed`. */
  *gray(fixed: number): Generator<Int32Array, void> {
    const slots = [...this.picks.keys()].filter((i) => i !== fixed && this.#radix[i]! > 1)
    for (const i of slots) this.#to(i, 0)
    const n = slots.length
    const up = new Int8Array(n).fill(1)
    const focus = Int32Array.from({ length: n + 1 }, (_, i) => i)
    for (;;) {
      yield this.picks
      const j = focus[0]!
      focus[0] = 0
      if (j === n) return
      const slot = slots[j]!
      this.#to(slot, this.picks[slot]! + up[j]!)
      if (this.picks[slot] !== 0 && this.picks[slot] !== this.#radix[slot]! - 1) continue
      up[j] = -up[j]! as 1 | -1
      focus[j] = focus[j + 1]!
      focus[j + 1] = j + 1
    }
  }

  /** At most `most` states: those that tell most first, then by chance. */
  *sample(most: number, seed: number, fixed = -1): Generator<Int32Array, void> {
    const slots = [...this.picks.keys()].filter((i) => i !== fixed && this.#radix[i]! > 1)
    let left = most
    for (const pick of this.#corners(slots)) {
      if (left-- <= 0) return
      for (const i of slots) this.#to(i, pick(i))
      yield this.picks
    }
    for (let draw = drawer(seed); left > 0; left--) {
      // Most of the cache kept, or most lost, or half: subsets of all sizes.
      const lean = draw() % 3
      for (const i of slots) {
        const r = draw()
        const newest = this.#radix[i]! - 1
        this.#to(i, lean === 0 && r % 4 > 0 ? newest : lean === 1 && r % 4 > 0 ? 0 : (r >>> 8) % (newest + 1))
      }
      yield this.picks
    }
  }

  *#corners(slots: readonly number[]): Generator<(slot: number) => number> {
    const newest = (i: number): number => this.#radix[i]! - 1
    yield newest
    yield () => 0
    for (const s of slots) yield (i) => (i === s ? 0 : newest(i))
    for (const s of slots) yield (i) => (i === s ? newest(i) : 0)
    const times = [...new Set(slots.flatMap((i) => this.#uncertain[i]!.since))].filter((t) => t <= this.#point).sort((a, b) => a - b)
    for (const t of times) yield (i) => Math.min(newest(i), versionsAt(this.#epoch, this.#uncertain[i]!, t) - 1)
  }
}

/** Numbers of 32 bits by chance, from a seed (mulberry32). */
const drawer = (seed: number): (() => number) => {
  let state = Math.imul(seed + 1, 0x9e3779b9)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), state | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return (z ^ (z >>> 14)) >>> 0
  }
}
