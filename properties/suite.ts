/**
 * perform-write/suite: all claims as tests of your own runner, for a design of your own.
 *
 * @example
 * ```ts
 * import { describe, test } from 'vitest'
 * import { writePathSuite } from 'perform-write/suite'
 * import strategy from './strategy.ts'
 *
 * writePathSuite({ describe, test }, strategy, { budget: 'smoke' })
 * ```
 *
 * One test for each claim, its name beginning with the claim's id, so that `-t I12` picks it. A claim that gets no tick has
 * its reason in the name of its test: `I7 shared blocks never change [n.a.: ...]`; nothing is left out in silence. The check
 * itself runs while the tests are collected, in the thread that calls, and its verdicts are returned.
 *
 * A design that has the wrong shape, throws, yields nonsense or never returns fails the test of the claim that says so; it
 * takes neither the runner down nor its time: one program may take `patience` seconds.
 */
import { strategyProblem } from '../src/lab/shape.ts'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import type { Checked, Verdict } from '../src/lab/check/verdict.ts'
import { type Ask, type Budget, BUDGETS, checkStrategy, ELSEWHERE, ROWS } from './check.ts'

/** What the suite needs of a runner: vitest, node:test, mocha and jest have it. */
export interface Runner {
  readonly describe: (name: string, body: () => void) => unknown
  readonly test: (name: string, body: () => void) => unknown
}

/** How much is checked, and of what. */
export interface SuiteOptions {
  /** `smoke` some seconds, `ci` about a minute on one core, `deep` half an hour; default `smoke`. */
  readonly budget?: Budget
  /** Decides the order of the programs; default 1. */
  readonly seed?: number
  /** Executions instead of those of the budget. */
  readonly executions?: number
  /** Only this claim. */
  readonly claim?: string
  /** Only programs of this format. */
  readonly format?: 'ext2' | 'ext4'
  /** Seconds that one program may take before it counts as an endless loop; default 60. */
  readonly patience?: number
}

const askOf = ({ budget = 'smoke', seed = 1, ...more }: SuiteOptions): Ask => {
  if (!Object.hasOwn(BUDGETS, budget)) {
    throw new RangeError(`writePathSuite: no budget "${budget}"; known are ${Object.keys(BUDGETS).join(', ')}`)
  }
  if (more.claim !== undefined && !ROWS.some((r) => r.id === more.claim)) {
    throw new RangeError(`writePathSuite: no claim "${more.claim}"; known are ${ROWS.map((r) => r.id).join(', ')}`)
  }
  return { budget, seed, ...more }
}

const nameOf = (v: Verdict): string =>
  `${v.claim} ${v.short}${v.status === 'pass' || v.status === 'fail' ? '' : ` [${v.status}: ${v.reason}]`}`

const messageOf = (v: Verdict): string => [v.reason, ...(v.counterexample?.lines ?? [])].join('\n    ')

/** Why this is no design: one broken claim, without a check. */
const shapeless = (problem: string): readonly Verdict[] => [{
  claim: 'port', family: 'calls', short: 'the contract of the port is kept', status: 'fail', reason: problem,
  executions: 0, evaluations: 0, seconds: 0,
}]

/** Check `strategy` and make the tests. @returns the verdicts */
export const writePathSuite = (runner: Runner, strategy: AnyStrategy, options: SuiteOptions = {}): readonly Verdict[] => {
  const ask = askOf(options)
  const problem = strategyProblem(strategy)
  const checked = problem === null ? checkStrategy(strategy, ask) : null
  const verdicts = checked?.verdicts ?? shapeless(problem!)
  const name = typeof strategy?.name === 'string' ? strategy.name : 'a design without a name'
  runner.describe(`${name}, checked with budget ${ask.budget} and seed ${ask.seed}`, () => {
    for (const v of verdicts) {
      runner.test(nameOf(v), () => {
        if (v.status === 'fail') throw new BrokenClaim(`${v.claim}: ${messageOf(v)}`)
      })
    }
    if (checked !== null) theCheckItself(runner, checked)
    if (ask.claim === undefined) for (const c of ELSEWHERE) runner.test(`${c.id} ${c.short} [not checked here: ${c.why}]`, () => {})
  })
  return verdicts
}

/** A claim does not hold for the design. */
export class BrokenClaim extends Error {
  override readonly name = 'BrokenClaim'
}

const theCheckItself = ({ test }: Runner, checked: Checked): void => {
  const { certificate: { executions, cross } } = checked
  test(`the check: ${executions} executions, ${cross.programs} programs searched again by other routes`, () => {
    if (cross.differences.length > 0) throw new Error(`the explorer contradicts itself: ${cross.differences.join('; ')}`)
  })
}

export type { Budget, Verdict }
