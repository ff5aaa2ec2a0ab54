/**
 * Tape: every decision of a run, in order, by kind.
 *
 * A run is a function of its decisions (src/kernel/choices.ts), so the tape is the run. It has a sub-tape for each
 * kind: taking a fault away does not shift the schedule. A decision is `{ n, pick, label }`: out of `n` courses the one
 * with number `pick`, where 0 is the simplest, at a place called `label`.
 *
 * - RecordingTape asks a source and writes down what it said.
 * - ReplayTape gives the same answers again. Where the code has changed since, it goes on greedily: an answer that is
 *   no longer possible, and every answer behind the end, is 0. It notes the first place where a label differs.
 * - Two tapes that differ in zeros at the end are the same tape: `strip` drops them.
 * - `ordTape` is strict shortlex over stripped tapes. A shrinker that only goes down in it comes to an end.
 */
import type { Ord } from 'fp-ts/lib/Ord.js'
import type { ChoiceKind, Choices } from '../kernel/choices.ts'
import { straight } from '../kernel/choices.ts'

/** The kinds of decision in the order in which tapes are compared. */
export const KINDS: readonly ChoiceKind[] = ['schedule', 'fault', 'short', 'completion', 'crash', 'tear']

/** One decision. */
export interface Decision {
  /** How many courses there were; at least 1. */
  readonly n: number
  /** Which was taken: 0 to n - 1. */
  readonly pick: number
  /** Where it was taken. */
  readonly label: string
}

/** A tape as plain data. A kind that is missing has no decisions. */
export type TapeData = { readonly [K in ChoiceKind]?: readonly Decision[] }

/** One source for all kinds, or one for each; a kind without a source takes the simplest course. */
export type Sources = Choices | Partial<Record<ChoiceKind, Choices>>

const isChoices = (s: Sources): s is Choices => typeof (s as Choices).choose === 'function'

/** Asks its sources and records the answers. */
export class RecordingTape implements Choices {
  readonly #source: Record<ChoiceKind, Choices>
  readonly #sub: Record<ChoiceKind, Decision[]>

  /** @param sources who decides; the straight run if left out */
  constructor(sources: Sources = straight) {
    const of = (k: ChoiceKind): Choices => (isChoices(sources) ? sources : (sources[k] ?? straight))
    this.#source = Object.fromEntries(KINDS.map((k) => [k, of(k)])) as Record<ChoiceKind, Choices>
    this.#sub = Object.fromEntries(KINDS.map((k) => [k, []])) as unknown as Record<ChoiceKind, Decision[]>
  }

  choose(n: number, kind: ChoiceKind, label: string): number {
    const pick = this.#source[kind].choose(n, kind, label)
    this.#sub[kind].push({ n, pick, label })
    return pick
  }

  /** What was recorded until now, as plain data that later recording does not change. */
  get data(): TapeData {
    return Object.fromEntries(KINDS.filter((k) => this.#sub[k].length > 0).map((k) => [k, [...this.#sub[k]]]))
  }
}

/** A place where the run asked for something else than the tape holds. */
export interface Divergence {
  readonly kind: ChoiceKind
  /** Index in the sub-tape of this kind, from 0. */
  readonly index: number
  readonly expected: string
  readonly found: string
}

/** Gives recorded answers. */
export class ReplayTape implements Choices {
  /** The first decision of all that was asked under another label than recorded, or null. */
  divergence: Divergence | null = null
  readonly #tape: TapeData
  readonly #at: Record<ChoiceKind, number> =
    { schedule: 0, fault: 0, short: 0, completion: 0, crash: 0, tear: 0 }

  constructor(tape: TapeData) {
    this.#tape = tape
  }

  choose(n: number, kind: ChoiceKind, label: string): number {
    const index = this.#at[kind]++
    const recorded = this.#tape[kind]?.[index]
    if (recorded === undefined) return 0
    if (recorded.label !== label && this.divergence === null) {
      this.divergence = { kind, index, expected: recorded.label, found: label }
    }
    return recorded.pick < n ? recorded.pick : 0
  }
}

const stripped = (sub: readonly Decision[]): readonly Decision[] => {
  let end = sub.length
  while (end > 0 && sub[end - 1]!.pick === 0) end--
  return end === sub.length ? sub : sub.slice(0, end)
}

/** The same tape without zeros at the ends of its sub-tapes, and without empty sub-tapes. */
export const strip = (tape: TapeData): TapeData =>
  Object.fromEntries(
    KINDS.map((k) => [k, stripped(tape[k] ?? [])] as const).filter(([, sub]) => sub.length > 0),
  )

/** Decisions of a tape, all kinds together. */
export const lengthOf = (tape: TapeData): number => KINDS.reduce((sum, k) => sum + (tape[k]?.length ?? 0), 0)

/** Decisions that did not take the simplest course. */
export const nonZeros = (tape: TapeData): number =>
  KINDS.reduce((sum, k) => sum + (tape[k]?.filter((d) => d.pick !== 0).length ?? 0), 0)

const sign = (x: number): -1 | 0 | 1 => (x < 0 ? -1 : x > 0 ? 1 : 0)

const lexicographic = (a: TapeData, b: TapeData): -1 | 0 | 1 => {
  for (const k of KINDS) {
    const [x, y] = [a[k] ?? [], b[k] ?? []]
    if (x.length !== y.length) return sign(x.length - y.length)
    const differs = x.findIndex((d, i) => d.pick !== y[i]!.pick)
    if (differs >= 0) return sign(x[differs]!.pick - y[differs]!.pick)
  }
  return 0
}

/**
 * Which tape is simpler. Stripped tapes are compared by length, then by the number of decisions that are not 0, then
 * kind by kind: by length, then pick by pick. Neither `n` nor labels matter.
 */
export const ordTape: Ord<TapeData> = {
  equals: (a, b) => ordTape.compare(a, b) === 0,
  compare: (left, right) => {
    const [a, b] = [strip(left), strip(right)]
    return sign(lengthOf(a) - lengthOf(b)) || sign(nonZeros(a) - nonZeros(b)) || lexicographic(a, b)
  },
}
