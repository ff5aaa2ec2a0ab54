/**
 * Verdict: what a check says of one claim, and the certificate that says what the check did. Plain data.
 *
 * `pass` stands only where the claim was looked at, nothing broke it, and the same check has killed a mutant of the claim.
 * Everything else that is not broken has a name of its own, and a reason (docs/what-a-tick-means.md).
 */
import type { Counterexample, LaneReport } from './check.ts'

/** A counterexample made small, with the lines that show how the claim breaks. */
export interface Shown extends Counterexample {
  readonly preemptions: number
  readonly lines: readonly string[]
}

/** What is said of a claim. */
export const STATUSES = ['pass', 'fail', 'declared', 'untested', 'n.a.'] as const
/** One of them. */
export type Status = (typeof STATUSES)[number]

/** What a check says of one claim. */
export interface Verdict {
  /** `I12`, or `port`: the contract of the strategy port. */
  readonly claim: string
  readonly family: string
  /** The claim in at most 40 characters. */
  readonly short: string
  readonly status: Status
  /** One line: what broke it, what killed mutants the tick stands on, or why there is no tick. */
  readonly reason: string
  /** Executions of the check. */
  readonly executions: number
  /** How often the claim was looked at in them. */
  readonly evaluations: number
  /** Processor seconds of the check, all threads. */
  readonly seconds: number
  readonly counterexample?: Shown
}

/** A sample of the check, done again by other routes. */
export interface CrossCheck {
  readonly programs: number
  /** Different ends that all routes came to. */
  readonly endStates: number
  /** Executions of the search as it is, without pruning, and with the fibers the other way round. */
  readonly executions: number
  readonly unpruned: number
  readonly reversed: number
  /** Programs whose routes disagreed, in words; empty: all agreed. */
  readonly differences: readonly string[]
}

/** A lane, with what bounds its programs. */
export interface CertifiedLane extends LaneReport {
  /** What is enumerated for each of its programs. */
  readonly bounds: string
}

/** What a check did. */
export interface Certificate {
  readonly seed: number
  readonly executions: number
  readonly states: number
  readonly steps: number
  readonly lanes: readonly CertifiedLane[]
  /** Programs that could not be set up on their ground. */
  readonly refused: number
  /** Chance that two states were taken for one, somewhere. */
  readonly collisionRisk: number
  /** Bytes that a copy moves between two places where others may run. */
  readonly copyStep: number
  readonly formats: readonly string[]
  readonly cross: CrossCheck
}

/** A design, checked. */
export interface Checked {
  readonly strategy: string
  readonly verdicts: readonly Verdict[]
  readonly certificate: Certificate
  /** What ended the check early: a design that did not come back. Null: nothing. */
  readonly ended: string | null
}
