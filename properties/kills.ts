/** Kills: what `npm run mutants` found, as committed: which claims have teeth. Written by properties/mutants/run.ts only. */
import table from './mutants/kills.json' with { type: 'json' }

/** A mutant, and what became of it. */
export interface Kill {
  readonly id: string
  /** Commit or mail that the bug is taken from. */
  readonly source: string
  /** The claim that must kill it. */
  readonly claim: string
  /** The design with which it was checked. */
  readonly strategy: string
  readonly killed: boolean
  /** Executions until it was killed, or of the whole check. */
  readonly executions: number
  /** Processor seconds. */
  readonly seconds: number
  /** Lines of the printed change. */
  readonly lines: number
  /** Every claim that was broken until 500 executions after the kill, by executions until then. */
  readonly broken?: Readonly<Record<string, number>>
  /** Actions of the minimal counterexample; 0 if it lives. */
  readonly operations: number
}

/** All mutants of the catalogue, as of the last full run. */
export const KILLS: readonly Kill[] = table.mutants
