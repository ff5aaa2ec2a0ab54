/**
 * Three ways: one program searched by brute force, by states and by source-DPOR, which must come to the same.
 *
 * Brute force makes every run of every schedule and knows nothing: no digest of a state and no dependence decides what is
 * left out. So it is what the other two are measured with. The same must be the set of digests of the world at the ends, the
 * claims that were broken, and the number of interleavings, which each counts in its own way: one by one, as paths through the
 * graph of states, as linear extensions of partial orders.
 *
 * DPOR decides nothing but the schedule. Where one fault, one short copy and the order of completions are decided too, it
 * sits out, and two ways are compared. Programs are those of every check (src/lab/check/generate.ts), by family and number, so
 * that a name such as `pair:12:slow` is the program.
 */
import { type Family, others, pair, three } from '../src/lab/check/generate.ts'
import type { Program } from '../src/lab/check/program.ts'
import { World, type WorldOptions } from '../src/lab/check/world.ts'
import { dpor } from '../src/sim/dpor.ts'
import { explore, type ExploreOptions } from '../src/sim/explore.ts'
import type { Search } from '../src/sim/search.ts'

/** Steps after which a run does not end. */
const STEPS = 4000

/** What the searches came to. */
export interface Ways {
  readonly brute: Search
  readonly states: Search
  /** Null: it sat out. */
  readonly dpor: Search | null
}

/** A program, and what is decided besides the schedule of its fibers. */
export interface Scenario {
  readonly program: Program
  /** Data bios wait for a fiber of the device. */
  readonly slowDevice: boolean
  /** One fault, one short copy and the order of completions, too: DPOR sits out. */
  readonly faults: boolean
}

/** One scenario of one design. */
export class Comparison {
  readonly states: Search
  readonly #world: World
  readonly #common: ExploreOptions
  readonly #reduce: boolean

  /** Searches by states. @param most executions that it may take @throws BadProgram */
  constructor({ program, slowDevice, faults }: Scenario, options: Omit<WorldOptions, 'slowDevice'>, most: number) {
    this.#world = new World(program, { ...options, slowDevice })
    this.#common = { collect: true, steps: STEPS, bounds: faults ? { fault: 1, short: 1, completion: Infinity } : {} }
    this.#reduce = !faults
    this.states = explore(this.#world, { ...this.#common, budget: { executions: most } })
  }

  /** Runs that brute force would make; null: more than can be counted here, or some do not end. */
  get runs(): number | null {
    return this.states.interleavings
  }

  /** The other ways. */
  compare(): Ways {
    const budget = { executions: (this.runs ?? 0) + 1 }
    return {
      states: this.states, dpor: this.#reduce ? dpor(this.#world, { ...this.#common, budget }) : null,
      brute: explore(this.#world, { ...this.#common, prune: false, budget }),
    }
  }
}

/** Claims that a search found broken. */
export const claimsOf = (s: Search): readonly string[] => s.findings.map((f) => f.claim)

/** How the ways differ; null: they do not. */
export const differenceOf = ({ brute, states, dpor }: Ways): string | null => {
  for (const [name, s] of [['states', states], ['source-DPOR', dpor]] as const) {
    if (s === null) continue
    if (s.interrupted.length > 0) return `the search by ${name} was ended early: ${s.interrupted.join(', ')}`
    const [ends, allEnds] = [s.endStates, brute.endStates]
    if (ends.join() !== allEnds.join()) return `${allEnds.length} ends by brute force, by ${name} ${ends.length}, not the same`
    const [claims, allClaims] = [claimsOf(s).join(), claimsOf(brute).join()]
    if (claims !== allClaims) return `brute force breaks ${allClaims || 'nothing'}, the search by ${name} ${claims || 'nothing'}`
    // DPOR does not count where that would take too much memory.
    if (s.interleavings !== null && s.interleavings !== brute.executions) {
      return `${brute.executions} interleavings, by ${name} ${s.interleavings}`
    }
  }
  return brute.interrupted.length > 0 ? `brute force was ended early: ${brute.interrupted.join(', ')}` : null
}

const FAMILIES: Readonly<Record<string, Family>> = { pair, others, three }
const HOW = ['slow', 'fast', 'faults'] as const
/** Seed of the order of programs. */
const SEED = 1
const made = new Map<string, { readonly all: Generator<Program>; readonly programs: Program[] }>()

/**
 * The scenario of a name: family, number, and how: `slow` (the device is a fiber of its own), `fast` (it is not), `faults`.
 * @throws Error if the name says nothing
 */
export const scenario = (name: string): Scenario => {
  const [family, number, how] = name.split(':')
  const make = FAMILIES[family ?? '']
  if (make === undefined || !/^\d+$/.test(number ?? '') || !HOW.includes(how as 'slow')) {
    throw new Error(`no scenario ${name}: say something like pair:12:slow`)
  }
  let known = made.get(family!)
  if (known === undefined) made.set(family!, (known = { all: make(SEED), programs: [] }))
  while (known.programs.length <= Number(number)) known.programs.push(known.all.next().value as Program)
  return { program: known.programs[Number(number)]!, slowDevice: how !== 'fast', faults: how === 'faults' }
}

/** Names of scenarios from number `from` on, for ever: families and ways take turns. */
export function* scenarios(from: number): Generator<string> {
  for (let n = from; ; n++) for (const family of Object.keys(FAMILIES)) for (const how of HOW) yield `${family}:${n}:${how}`
}
