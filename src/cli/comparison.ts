/** What the workers of `compare` found, put together to one document. */
import { Ledger, monoidLedger } from '../kernel/ledger.ts'
import { type Claim, CLAIMS } from '../lab/claims.ts'
import { type Fixed, type Kill, verdicts } from '../lab/fault-pass.ts'
import type { SourceName } from '../lab/write-source.ts'
import { type Column, type Comparison, COMPARISON_SCHEMA, type Ground, type Manifest, type Race } from '../report/document.ts'
import type { Evaluated } from './evaluate.ts'

/** What is compared, besides the designs. */
export interface Plan {
  readonly grounds: readonly Fixed[]
  readonly workloads: readonly string[]
  readonly sources: readonly SourceName[]
  readonly seed: number
  /** Bytes of the device that workloads are replayed on. */
  readonly size: number
  readonly judges: boolean
  readonly rounds: number
}

/** One design on one ground, or why there is no result. */
export interface Outcome {
  readonly name: string
  /** As the command line has it. */
  readonly argument: string
  readonly value: Evaluated | null
  readonly broken: string | null
}

/** All designs on one ground. */
export interface Evaluation {
  readonly fixed: Fixed
  readonly kills: readonly Kill[]
  readonly results: readonly Outcome[]
}

/** A ground, as documents have it. */
export const groundOf = ({ format, blockSize, folioOrder }: Fixed): Ground => ({ fs: format, blockSize, folioOrder })

/** The arguments that give these settings again, but for what is default. */
const argumentsOf = ({ format, blockSize, folioOrder }: Fixed, seed: number): string =>
  [
    format === 'ext4' ? '' : ` --fs ${format}`, blockSize === 4096 ? '' : ` --block-size ${blockSize}`,
    folioOrder === 9 ? '' : ` --folio-order ${folioOrder}`, seed === 1 ? '' : ` --seed ${seed}`,
  ].join('')

/** A column of the tables. */
export const columnOf = (
  { name, argument, value: e, broken }: Outcome, fixed: Fixed, kills: readonly Kill[], seed: number,
): Column => {
  const head = { ...groundOf(fixed), replay: argument + argumentsOf(fixed, seed), broken }
  if (e === null) {
    const none = { verdicts: [], plays: 0, faulted: 0, failedWrites: 0, undo: new Ledger(), counterexamples: {}, runs: [], judges: [] }
    return { ...head, name, ...none }
  }
  const declared = (c: Claim): boolean => c.declared?.(e.design as never) ?? false
  const { plays, faulted, failedWrites, undo, broken: counterexamples } = e.pass
  return {
    ...head, name: e.design.name, verdicts: verdicts(e.pass, kills, declared), plays, faulted, failedWrites, undo,
    counterexamples, runs: e.runs, judges: e.judged,
  }
}

/** Everything that a comparison is made from. */
export interface Parts {
  readonly plan: Plan
  readonly manifest: Manifest
  readonly baseline: string
  readonly evaluations: readonly Evaluation[]
  readonly columns: readonly Column[]
  readonly wall: readonly Race[]
}

/** The document. */
export const comparisonOf = ({ plan, manifest, baseline, evaluations, columns, wall }: Parts): Comparison => {
  const totals = evaluations.flatMap((e) => e.results.map((r) => r.value?.pass.total ?? new Ledger()))
  return {
    schema: COMPARISON_SCHEMA, tool: 'perform-write', command: 'compare', manifest,
    ...groundOf(plan.grounds[0]!), seed: plan.seed, grounds: plan.grounds.map(groundOf), workloads: plan.workloads,
    sources: plan.sources, baseline, designs: columns, wall,
    claims: CLAIMS.map(({ id, family, short, sentence, elsewhere }) =>
      ({ id, family, short, sentence, ...(elsewhere !== undefined && { elsewhere }) })),
    mutants: evaluations.flatMap((e) => e.kills.map((k) => ({ ...k, ...groundOf(e.fixed) }))),
    total: totals.reduce(monoidLedger.concat, new Ledger()),
  }
}
