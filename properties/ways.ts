/**
 * Ways: the part of `npm run differential` that runs in a thread of its own, on good sources or patched ones: look for scenarios
 * of the wanted size for one design, and search each three ways.
 */
import { MUTANTS as BROKEN } from '../src/lab/self-test/mutants.ts'
import { BadProgram } from '../src/lab/check/place.ts'
import type { WorldOptions } from '../src/lab/check/world.ts'
import { strategies } from '../src/strategies/index.ts'
import { JUDGES } from './claims/index.ts'
import { Overtime, within } from './interruptible.ts'
import { claimsOf, Comparison, differenceOf, scenario, scenarios, type Ways } from './three-ways.ts'

/** What to do in the thread. */
export interface Order {
  /** A built-in strategy, or a design of src/lab/self-test/mutants.ts by its id. */
  readonly design: string
  /** Interleavings that a scenario may have. */
  readonly least: number
  readonly most: number
  /** Scenarios that are wanted, for three ways and again with faults, and the number of the first candidate. */
  readonly wanted: number
  readonly from: number
  /** Candidates that are looked at: for any of this size, and for those in which a claim is broken, which are taken first. */
  readonly tries: number
  readonly seek: number
  /** These and no others. */
  readonly only: readonly string[] | null
  /** A design that is broken may break down before the fibers begin: such a scenario is passed over. */
  readonly mayBreakDown: boolean
  /** Seconds that one scenario may take. */
  readonly patience: number
}

/** One scenario, searched three ways. */
export interface Row {
  readonly scenario: string
  /** Runs by each way. */
  readonly brute: number
  readonly byStates: number
  readonly byDpor: number | null
  readonly states: number
  readonly ends: number
  readonly broken: readonly string[]
  /** Processor seconds of brute force and DPOR. */
  readonly seconds: number
  readonly difference: string | null
}

const optionsOf = (design: string): Pick<WorldOptions, 'strategy' | 'verbs'> => {
  const strategy = strategies.find((s) => s.name === design)
  if (strategy !== undefined) return { strategy }
  const broken = BROKEN.find((m) => m.id === design)
  if (broken === undefined) throw new Error(`no design ${design}`)
  return { strategy: broken.strategy, ...(broken.verbs && { verbs: broken.verbs }) }
}

const rowOf = (scenario: string, ways: Ways, seconds: number): Row => ({
  scenario, brute: ways.brute.executions, byStates: ways.states.executions, byDpor: ways.dpor?.executions ?? null,
  states: ways.states.states, ends: ways.brute.endStates.length, broken: claimsOf(ways.brute), seconds, difference: differenceOf(ways),
})

/** Executions that the search by states may take at least, and as a part of the interleavings. */
const COUNTING = { least: 1000, part: 1 / 10 } as const

/** Null: what it does before cannot be done on its ground, or a call of a broken design does not return. */
const begun = (name: string, order: Order): Comparison | null => {
  const options = { ...optionsOf(order.design), judges: JUDGES }
  const most = Math.max(COUNTING.least, order.most * COUNTING.part)
  try {
    return within(order.patience, () => new Comparison(scenario(name), options, most))
  } catch (e) {
    if (e instanceof BadProgram || e instanceof Overtime || order.mayBreakDown) return null
    throw e
  }
}

/** Scenarios of one kind that have the wanted size. */
class Finds {
  readonly #wanted: number
  readonly #broken: (readonly [string, Comparison])[] = []
  readonly #others: (readonly [string, Comparison])[] = []

  constructor(wanted: number) {
    this.#wanted = wanted
  }

  add(name: string, c: Comparison): void {
    const list = c.states.findings.length > 0 ? this.#broken : this.#others
    list.push([name, c])
  }

  /** No more are wanted: not even ones in which something is broken, or not after so many candidates. */
  isFull(looked: number, seek: number): boolean {
    const n = this.#broken.length
    return n >= this.#wanted || (looked >= seek && n + this.#others.length >= this.#wanted)
  }

  /** Those in which a claim is broken first. */
  get best(): readonly (readonly [string, Comparison])[] {
    return [...this.#broken, ...this.#others].slice(0, this.#wanted)
  }
}

/** As many as are wanted for all three ways, and as many with faults. */
const found = (order: Order): readonly (readonly [string, Comparison])[] => {
  const [schedules, faults] = [new Finds(order.wanted), new Finds(order.wanted)]
  let looked = 0
  for (const name of order.only ?? scenarios(order.from)) {
    if (looked++ >= order.tries) break
    const finds = scenario(name).faults ? faults : schedules
    if (order.only === null && finds.isFull(looked, order.seek)) {
      if (schedules.isFull(looked, order.seek) && faults.isFull(looked, order.seek)) break
      continue
    }
    const c = begun(name, order)
    if (c !== null && c.runs !== null && c.runs >= order.least && c.runs <= order.most) finds.add(name, c)
  }
  return [...schedules.best, ...faults.best]
}

/** @returns a row for each scenario that was found */
export const run = (order: Order): readonly Row[] => found(order).map(([name, comparison]) => {
  const before = process.threadCpuUsage()
  const ways = comparison.compare()
  const { user, system } = process.threadCpuUsage(before)
  return rowOf(name, ways, (user + system) / 1e6)
})
