/**
 * Kill: check a design on patched sources until the claim of the mutant is broken; or see, on the good sources, that the same
 * run breaks nothing. Programs are those of every check: nothing here knows the mutant but by its claim.
 */
import { strategies } from '../../src/strategies/index.ts'
import { checkAll } from '../../src/lab/check/check.ts'
import { sayConfig } from '../../src/lab/check/program.ts'
import { type Recorded, rerun } from '../../src/lab/check/rerun.ts'
import { shrink } from '../../src/lab/check/shrink.ts'
import { JUDGES } from '../claims/index.ts'
import { factsOf, sayProgram } from './facts.ts'
import type { Facts } from './trigger.ts'

/** Check until `claim` is broken. */
export interface Hunt {
  readonly strategy: string
  readonly claim: string
  readonly seed: number
  /** Most executions. */
  readonly executions: number
}

/** Make this run again. */
export interface Again extends Recorded {
  readonly strategy: string
}

/** What a hunt came to. */
export interface Kill {
  /** The counterexample, shrunk; null: the mutant survived. */
  readonly by: Recorded | null
  readonly what: string | null
  /** Ground and program on one line. */
  readonly program: string | null
  readonly facts: Facts | null
  readonly executions: number
  readonly seconds: number
  /** Other claims that were broken until then. */
  readonly others: readonly string[]
}

const named = (name: string) => strategies.find((s) => s.name === name)!

const hunt = ({ strategy: name, claim, seed, executions }: Hunt): Kill => {
  const start = performance.now()
  const bench = { strategy: named(name), judges: JUDGES }
  const report = checkAll({ ...bench, seed, executions, until: claim })
  const found = report.found[claim] ?? null
  const small = found === null ? null : (shrink(found, bench) ?? found)
  return {
    by: small === null ? null : { claim, program: small.program, tape: small.tape },
    what: small?.what ?? null,
    program: small === null ? null : `${sayConfig(small.program.config)}: ${sayProgram(small)}`,
    facts: small === null ? null : factsOf(small, bench),
    executions: report.executions,
    seconds: (performance.now() - start) / 1000,
    others: Object.keys(report.found).filter((c) => c !== claim).sort(),
  }
}

/** Hunt, or make a run again. @returns a Kill; or how the claim was broken by the run, null if it held */
export const run = (order: Hunt | Again): Kill | string | null =>
  'executions' in order ? hunt(order) : rerun(order, { strategy: named(order.strategy), judges: JUDGES }).shown
