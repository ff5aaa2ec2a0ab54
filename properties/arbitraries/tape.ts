/**
 * Tapes for fast-check: generated at random, shrunk strictly downwards.
 *
 * fast-check shrinks a value by asking for smaller ones until all of those pass. Tapes are many short lists of small
 * numbers whose zeros at the end mean nothing: a shrinker that offers a tape that is equal to its own runs for ever. So
 * every tape offered here is smaller than the one that it comes from in `ordTape` (src/sim/tape.ts): shorter, or with
 * fewer decisions that are not 0, or with smaller ones. There are finitely many below each, so shrinking ends.
 *
 * Order of the offers: whole sub-tapes away, then their second halves, then single decisions from the back set to 0,
 * then to smaller numbers. What a decision was asked for (`n`, `label`) stays with it. A shrunk tape is replayed
 * greedily, so it need not fit the run.
 */
import fc from 'fast-check'
import type { ChoiceKind } from '../../src/kernel/choices.ts'
import { type Decision, KINDS, ordTape, strip, type TapeData } from '../../src/sim/tape.ts'

/** Options of generated tapes. */
export interface TapeOptions {
  /** Kinds that are decided; default all. */
  readonly kinds?: readonly ChoiceKind[]
  /** Most decisions of one kind; default 8. */
  readonly maxLength?: number
  /** Most courses of a decision; default 4. A pick that the run has no use for counts as 0. */
  readonly maxCourses?: number
}

const replace = (tape: TapeData, kind: ChoiceKind, sub: readonly Decision[]): TapeData =>
  strip({ ...tape, [kind]: sub })

const withPick = (sub: readonly Decision[], at: number, pick: number): readonly Decision[] =>
  sub.map((d, i) => (i === at ? { ...d, pick } : d))

/** Tapes that may be smaller; the biggest steps first. */
function* offers(tape: TapeData): Generator<TapeData, void> {
  const subs = KINDS.filter((k) => tape[k] !== undefined).map((kind) => ({ kind, sub: tape[kind]! }))
  for (const { kind } of subs) yield replace(tape, kind, [])
  for (const { kind, sub } of subs) {
    for (let kept = sub.length >> 1; kept > 0 && kept < sub.length; kept += (sub.length - kept + 1) >> 1) {
      yield replace(tape, kind, sub.slice(0, kept))
    }
  }
  for (const { kind, sub } of subs) {
    for (let at = sub.length - 1; at >= 0; at--) {
      if (sub[at]!.pick !== 0) yield replace(tape, kind, withPick(sub, at, 0))
      yield replace(tape, kind, [...sub.slice(0, at), ...sub.slice(at + 1)])
    }
  }
  for (const { kind, sub } of subs) {
    for (let at = sub.length - 1; at >= 0; at--) {
      for (let pick = 1; pick < sub[at]!.pick; pick++) yield replace(tape, kind, withPick(sub, at, pick))
    }
  }
}

/** The tapes that a shrinker tries instead of `tape`: stripped, and each strictly smaller. */
export const smaller = (tape: TapeData): readonly TapeData[] =>
  [...offers(strip(tape))].filter((t) => ordTape.compare(t, tape) < 0)

/** An arbitrary of tapes. */
export class TapeArbitrary extends fc.Arbitrary<TapeData> {
  readonly #kinds: readonly ChoiceKind[]
  readonly #maxLength: number
  readonly #maxCourses: number

  constructor(options: TapeOptions = {}) {
    super()
    this.#kinds = options.kinds ?? KINDS
    this.#maxLength = options.maxLength ?? 8
    this.#maxCourses = options.maxCourses ?? 4
  }

  override generate(random: fc.Random): fc.Value<TapeData> {
    const tape = Object.fromEntries(this.#kinds.map((k) => [k, this.#decisions(random)]))
    return new fc.Value(strip(tape), undefined)
  }

  override canShrinkWithoutContext(value: unknown): value is TapeData {
    if (typeof value !== 'object' || value === null) return false
    return Object.keys(value).every((k) => KINDS.includes(k as ChoiceKind))
  }

  override shrink(value: TapeData): fc.Stream<fc.Value<TapeData>> {
    return fc.stream(smaller(value)[Symbol.iterator]()).map((t) => new fc.Value(t, undefined))
  }

  /** Half of the decisions are 0: long quiet stretches find more than noise does. */
  #decisions(random: fc.Random): readonly Decision[] {
    const length = random.nextInt(0, this.#maxLength)
    return Array.from({ length }, () => {
      const n = random.nextInt(2, this.#maxCourses)
      const pick = random.nextInt(0, 1) === 0 ? 0 : random.nextInt(1, n - 1)
      return { n, pick, label: '' }
    })
  }
}

/** Tapes. */
export const tapes = (options: TapeOptions = {}): fc.Arbitrary<TapeData> => new TapeArbitrary(options)
