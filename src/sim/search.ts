/**
 * Search: what a search through the runs of a System has come to, as plain data that can be sent from one thread to
 * another, and added up.
 *
 * A search is *exhausted* when nothing stopped it before its end and no bound cut anything off. What it says then holds
 * for all runs: of all schedules, and all choices of those kinds that were enumerated.
 */
import type { Monoid } from 'fp-ts/lib/Monoid.js'
import type { ChoiceKind } from '../kernel/choices.ts'
import { collisionRisk } from './digest.ts'
import type { Machine } from './scheduler.ts'
import { repeating, waiting } from './scheduler.ts'
import { KINDS, ordTape, type TapeData } from './tape.ts'

/** Something that is wrong, and the tape that shows it (to be run with `onward` if it comes after other findings). */
export interface Finding {
  /** The claim that does not hold, or `deadlock`, `loop`, `threw`, `indeterminate`. */
  readonly claim: string
  readonly what: string
  readonly tape: TapeData
  readonly preemptions: number
  /** Steps until it showed. */
  readonly steps: number
}

/** What stopped a search before its end. `steps`: some run was longer than allowed. */
export type Interruption = 'executions' | 'states' | 'steps' | 'finding' | 'caller' | 'indeterminate'

/** What a search did and found. */
export interface Search {
  /** Runs. */
  readonly executions: number
  /** Runs that came to an end of the world, not to a state where another run had been before. */
  readonly complete: number
  /** Runs that were given up: at a state seen before, or because all that could still happen is covered elsewhere. */
  readonly pruned: number
  /** Steps of all runs. */
  readonly steps: number
  /** Different states; added up over searches that were split, a state may count more than once. 0: not counted. */
  readonly states: number
  /** Steps of the longest run. */
  readonly deepest: number
  /**
   * How many runs within the bounds the search stands for; null if it was stopped, or could not count them: a bound on
   * preemptions cut runs off.
   */
  readonly interleavings: number | null
  /** Digests of the world at the ends, ascending. */
  readonly endStates: readonly number[]
  /** One for each claim: the first in the order of tapes. Ascending by claim. */
  readonly findings: readonly Finding[]
  readonly interrupted: readonly Interruption[]
  /** Kinds of which a bound cut courses off. */
  readonly cut: readonly ChoiceKind[]
}

/** Nothing stopped it, nothing was cut off. */
export const isExhausted = (s: Search): boolean => s.interrupted.length === 0 && s.cut.length === 0

/** Chance that the search took two states for one. */
export const riskOf = (s: Search): number => collisionRisk(s.states)

const ascending = <A extends number | string>(values: Iterable<A>): readonly A[] =>
  [...new Set(values)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))

/** Of two findings of a claim the simpler one: by tape, then by steps, preemptions and words. */
const simpler = (a: Finding, b: Finding): Finding => {
  const order =
    ordTape.compare(a.tape, b.tape) || a.steps - b.steps || a.preemptions - b.preemptions || (a.what < b.what ? -1 : 1)
  return order <= 0 ? a : b
}

const mergeFindings = (a: readonly Finding[], b: readonly Finding[]): readonly Finding[] => {
  const byClaim = new Map(a.map((f) => [f.claim, f]))
  for (const f of b) {
    const other = byClaim.get(f.claim)
    byClaim.set(f.claim, other === undefined ? f : simpler(other, f))
  }
  return ascending(byClaim.keys()).map((claim) => byClaim.get(claim)!)
}

/** Adds up searches of parts of the same runs (`prefixes` of explore.ts). */
export const mergeSearch: Monoid<Search> = {
  empty: {
    executions: 0, complete: 0, pruned: 0, steps: 0, states: 0, deepest: 0, interleavings: 0,
    endStates: [], findings: [], interrupted: [], cut: [],
  },
  concat: (a, b) => ({
    executions: a.executions + b.executions,
    complete: a.complete + b.complete,
    pruned: a.pruned + b.pruned,
    steps: a.steps + b.steps,
    states: a.states + b.states,
    deepest: Math.max(a.deepest, b.deepest),
    interleavings: a.interleavings === null || b.interleavings === null ? null : a.interleavings + b.interleavings,
    endStates: ascending([...a.endStates, ...b.endStates]),
    findings: mergeFindings(a.findings, b.findings),
    interrupted: ascending([...a.interrupted, ...b.interrupted]),
    cut: KINDS.filter((k) => a.cut.includes(k) || b.cut.includes(k)),
  }),
}

/** What a search counts while it runs. */
export class Tally {
  executions = 0
  complete = 0
  pruned = 0
  steps = 0
  deepest = 0
  readonly endStates = new Set<number>()
  readonly findings = new Map<string, Finding>()
  readonly interrupted = new Set<Interruption>()
  readonly cut = new Set<ChoiceKind>()

  /** A run has ended. */
  ran(steps: number, how: 'complete' | 'pruned' | 'stopped'): void {
    this.executions++
    this.steps += steps
    if (steps > this.deepest) this.deepest = steps
    if (how !== 'stopped') this[how]++
  }

  /** As plain data. */
  search(states: number, interleavings: number | null): Search {
    const { executions, complete, pruned, steps, deepest } = this
    return {
      executions, complete, pruned, steps, states, deepest, interleavings,
      endStates: ascending(this.endStates),
      findings: mergeFindings([...this.findings.values()], []),
      interrupted: ascending(this.interrupted),
      cut: KINDS.filter((k) => this.cut.has(k)),
    }
  }
}

/** How a run ended for a search; `learn`: it has to be made again. */
export type Ending = 'complete' | 'pruned' | 'stopped' | 'learn'

/** The second run, and two of so many, are looked at in full: so code that keeps state of its own between runs is seen to go astray. */
const IN_FULL = 8

/** Which steps of the last run were judged, with nothing wrong: where the next run repeats them, nobody need look again. */
export class Judged {
  /** Steps until the first at which something was wrong: in this run, and in the one before. */
  #wrong = Infinity
  #last = Infinity
  #runs = -1

  /** A run begins. */
  begin(): void {
    this.#runs++
    this.#last = this.#wrong
    this.#wrong = Infinity
  }

  /** Something is wrong after so many steps. */
  wrongAt(steps: number): void {
    this.#wrong = Math.min(this.#wrong, steps)
  }

  /** May what was found of the first `steps` steps of the last run be relied on: was nothing wrong? */
  isClean(steps: number): boolean {
    return this.#runs % IN_FULL > 1 && steps < this.#last
  }
}

/** What is wrong in a run, without its tape. */
export type Symptom = Omit<Finding, 'tape'>

const symptom = (m: Machine, claim: string, what: string): Symptom =>
  ({ claim, what, preemptions: m.preemptions, steps: m.steps })

/** The violations of a machine's last step, or at rest. */
export const symptomsOf = (m: Machine, violations: readonly { claim: string, what: string }[]): readonly Symptom[] =>
  violations.map(({ claim, what }) => symptom(m, claim, what))

/** The machine is stuck. */
export const deadlockOf = (m: Machine): Symptom =>
  symptom(m, 'deadlock', waiting(m).map((w) => `${w.name} waits for ${w.label}`).join(', '))

/** The machine goes round in circles. */
export const loopOf = (m: Machine): Symptom =>
  symptom(m, 'loop', `no end after ${m.steps} steps; at the end: ${repeating(m).join(', ')}`)

/** Something was thrown. */
export const thrownOf = (m: Machine): Symptom => {
  const { fiber, error } = m.thrown!
  const who = fiber < 0 ? 'the judgement at rest' : m.fibers[fiber]!.name
  return symptom(m, 'threw', `${who}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`)
}
