/**
 * Cold: the check of a design in a thread that has just begun, on patched sources or good ones, until a claim is broken and some
 * runs more, to see what else breaks. The programs are those of every check; nothing here knows the mutant but by its claim.
 */
import { check, type CheckReport } from '../../src/lab/check/check.ts'
import type { Program } from '../../src/lab/check/program.ts'
import { rerun } from '../../src/lab/check/rerun.ts'
import type { Shown } from '../../src/lab/check/verdict.ts'
import { strategies } from '../../src/strategies/index.ts'
import { JUDGES } from '../claims/index.ts'
import { Overtime, within } from '../interruptible.ts'
import { show } from '../show.ts'
import { factsOf } from './facts.ts'
import type { Facts } from './trigger.ts'

/** Instead of a claim: whichever is broken first. */
export const ANY = 'any'

/** What to do in the thread. */
export interface Cold {
  readonly strategy: string
  readonly seed: number
  /** Most executions. */
  readonly executions: number
  /** Go on until this claim is broken, and `extra` executions more; ANY: until one is; null: all executions. */
  readonly claim: string | typeof ANY | null
  readonly extra: number
  /** A claim whose judges are taken away. */
  readonly without: string | null
  /** Seconds that one program may take. */
  readonly patience: number
}

/** What came of it. */
export interface ColdResult {
  /** Executions until the claim was broken; of the whole run if it was not. */
  readonly executions: number
  /** Processor seconds until then, the shrinking left out. */
  readonly seconds: number
  /** Every claim that was broken, by how many executions. */
  readonly broken: Readonly<Record<string, number>>
  /** How the claim was broken, made small. */
  readonly by: Shown | null
  /** What that is made of; null if its run breaks down before its fibers begin. */
  readonly facts: Facts | null
}

/** A counterexample to be made again. */
export interface Again {
  readonly strategy: string
  readonly again: Shown
}

const named = (name: string) => strategies.find((s) => s.name === name)!

/** Check, or make a run again. @returns a ColdResult; or how the claim was broken by the run, null if it held */
export const run = (order: Cold | Again): ColdResult | string | null =>
  'again' in order ? rerun(order.again, { strategy: named(order.strategy), judges: JUDGES }).shown : checkCold(order)

const SHRINKING = 1500

const checkCold = ({ strategy: name, seed, executions, claim, extra, without, patience }: Cold): ColdResult => {
  const strategy = named(name)
  const start = process.threadCpuUsage()
  const seconds = (): number => {
    const { user, system } = process.threadCpuUsage(start)
    return (user + system) / 1e6
  }
  const broken: Record<string, number> = {}
  let program: Program | null = null
  let report: CheckReport | null = null
  let killed: { executions: number; seconds: number } | null = null
  const note = (found: readonly string[], at: number): void => {
    for (const c of found) if (c !== without) broken[c] ??= at
    const ends = claim === ANY ? Object.keys(broken).length > 0 : claim !== null && broken[claim] !== undefined
    if (ends) killed ??= { executions: at, seconds: seconds() }
  }
  const judges = JUDGES.filter((j) => j.claim !== without)
  const steps = check({ strategy, judges, seed, executions, about: (p) => { program = p } })
  try {
    for (;;) {
      const step = within(patience, () => steps.next())
      report = step.done === true ? step.value : step.value.report()
      note(Object.keys(report.found), report.executions)
      if (step.done === true || (killed !== null && report.executions >= (killed as { executions: number }).executions + extra)) break
    }
  } catch (e) {
    if (!(e instanceof Overtime)) throw e
    note(['I15'], (report?.executions ?? 0) + 1)
  }
  const end = killed ?? { executions: report?.executions ?? 0, seconds: seconds() }
  const by = claim === null || claim === ANY || killed === null ? null : minimal(report, claim, name, program, patience)
  return { ...end, broken, by, facts: by === null ? null : tell(by, name, patience) }
}

const tell = (by: Shown, strategy: string, patience: number): Facts | null => {
  const bench = { strategy: named(strategy), judges: JUDGES }
  try {
    return within(patience, () => factsOf(by, bench))
  } catch (e) {
    return e instanceof Overtime ? factsOf(by, bench, false) : null
  }
}

const minimal = (
  report: CheckReport | null, claim: string, strategy: string, program: Program | null, patience: number,
): Shown | null => {
  const found = report?.found[claim]
  if (found !== undefined) return show(found, named(strategy), SHRINKING, patience)
  return program === null ? null : { claim, what: 'a call did not return: an endless loop', program, tape: {}, preemptions: 0, lines: [] }
}
