/**
 * Shrink: the smallest counterexample of the same claim, with operations, fibers, schedule and faults made smaller together.
 *
 * The order of passes: drop fibers -> drop actions -> plain actions -> plain ground -> fewest preemptions and faults -> round and
 * small positions and lengths -> single decisions to zero; again from the first, until none of them helps.
 *
 * A candidate counts only if the same claim is broken and it is strictly smaller in the order of `weigh`: a list of whole
 * numbers compared from the left, then the tape (src/sim/tape.ts). There is no endless descent in that, so shrinking ends.
 * A program that lost an action does not fit its tape any more: where the tape alone does not show the claim, all schedules
 * and faults within small bounds are searched for one that does. Deterministic; at most `executions` runs.
 */
import { explore } from '../../sim/explore.ts'
import { KINDS, ordTape, strip, type TapeData } from '../../sim/tape.ts'
import { STEP_BUDGET } from './check.ts'
import { claimOf } from './outcome.ts'
import { type Action, type Actions, type Config, type Program } from './program.ts'
import { type Bench, type Recorded, type Rerun, rerunIn, worldOf } from './rerun.ts'
import { BadProgram } from './place.ts'
import type { World } from './world.ts'

/** How much may be tried. */
export interface ShrinkOptions extends Bench {
  /** Most executions in all; default 2500. */
  readonly executions?: number
}

/** A smaller counterexample. */
export interface Shrunk extends Recorded {
  /** How the claim is broken by it. */
  readonly what: string
  readonly preemptions: number
  readonly faults: number
  /** Runs that it took. */
  readonly executions: number
}

/** Runs of one search for a schedule and faults; for the search of the fewest preemptions. */
const SEARCH = 60
const SEARCH_FEWEST = 300
/** A position or length that is no multiple of a sector weighs so many bytes more. */
const ODD = 8192
const SECTOR = 512

/** @returns null if the counterexample does not show its claim in the first place */
export const shrink = (c: Recorded, options: ShrinkOptions): Shrunk | null => {
  const shrinker = new Shrinker(c.claim, options)
  return shrinker.from(c.program, c.tape) ? shrinker.all() : null
}

/** A counterexample as it stands. */
interface Best {
  readonly program: Program
  readonly run: Rerun
  readonly weight: readonly number[]
}

const faultsOf = (tape: TapeData): number => (['fault', 'short'] as const)
  .reduce((sum, kind) => sum + (tape[kind]?.filter((d) => d.pick !== 0).length ?? 0), 0)

/**
 * What a counterexample weighs: fibers, actions, what is not plain in them, the ground; preemptions, faults; then bytes, and
 * decisions that are not the simplest.
 */
export const weigh = (program: Program, preemptions: number, tape: TapeData): readonly number[] => [
  ...weighProgram(program), preemptions, faultsOf(tape),
  [...program.before, ...program.fibers.flat()].reduce((sum, a) => sum + bytesOf(a), 0),
  KINDS.reduce((sum, k) => sum + (tape[k]?.filter((d) => d.pick !== 0).length ?? 0), 0),
]

const weighProgram = ({ config, before, fibers }: Program): readonly number[] => [
  fibers.length, fibers.reduce((n, f) => n + f.length, 0) + before.length,
  [...before, ...fibers.flat()].reduce((n, a) => n + flagsOf(a).length, 0),
  (config.leave === undefined ? 0 : 1) + (config.quota === undefined ? 0 : 1), config.format === 'ext4' ? 0 : 1, config.folioOrder,
  4096 - config.blockSize,
]

const FLAGS = ['append', 'absent', 'self', 'nowait', 'direct', 'sync', 'readable', 'keep', 'pipe'] as const
const NUMBERS = ['pos', 'len', 'readable', 'size'] as const

const flagsOf = (a: Action): readonly string[] => FLAGS.filter((f) => f in a)

/** Bytes, where one that is no multiple of a sector counts more than one that is. */
const roundness = (v: number): number => v + (v % SECTOR === 0 ? 0 : ODD)

const bytesOf = (a: Action): number =>
  NUMBERS.reduce((sum, n) => sum + (n in a ? roundness((a as unknown as Record<string, number>)[n]!) : 0), 0)

const compare = (a: readonly number[], b: readonly number[]): number => {
  const at = a.findIndex((x, i) => x !== b[i])
  return at < 0 ? 0 : a[at]! - b[at]!
}

/** Shrinks one counterexample. */
class Shrinker {
  readonly #claim: string
  readonly #options: ShrinkOptions
  readonly #most: number
  /** Programs that were searched in vain. */
  readonly #vain = new Set<string>()
  #executions = 0
  #best: Best | null = null

  constructor(claim: string, options: ShrinkOptions) {
    this.#claim = claim
    this.#options = options
    this.#most = options.executions ?? 2500
  }

  /** Begin with this one. @returns false if it does not show the claim */
  from(program: Program, tape: TapeData): boolean {
    const world = this.#world(program)
    return world !== null && this.#replay(world, program, tape)
  }

  all(): Shrunk {
    const passes = [this.#fibers, this.#actions, this.#plain, this.#ground, this.#fewest, this.#numbers, this.#zeros]
    for (let before: Best | null = null; before !== this.#best && !this.#over;) {
      before = this.#best
      for (const pass of passes) pass.call(this)
    }
    const { program, run } = this.#best!
    return {
      claim: this.#claim, what: run.shown!, program, tape: run.tape, preemptions: run.preemptions, faults: faultsOf(run.tape),
      executions: this.#executions,
    }
  }

  get #over(): boolean {
    return this.#executions >= this.#most
  }

  // --- trying --------------------------------------------------------------------------------------------------------

  #world(program: Program): World | null {
    try {
      return worldOf(program, this.#claim, this.#options)
    } catch (e) {
      if (e instanceof BadProgram) return null
      throw e
    }
  }

  /** Run the tape; keep what comes out if it shows the claim and is smaller. */
  #replay(world: World, program: Program, tape: TapeData): boolean {
    this.#executions++
    const run = rerunIn(world, { claim: this.#claim, program, tape })
    if (run.shown === null) return false
    const weight = weigh(program, run.preemptions, run.tape)
    const best = this.#best
    if (best !== null && (compare(weight, best.weight) || ordTape.compare(run.tape, best.run.tape)) >= 0) return false
    this.#best = { program, run, weight }
    return true
  }

  /** Is the claim broken by this program too? Its tape first, then, if `search` says so, a search. */
  #try(program: Program, search: boolean): boolean {
    if (this.#over) return false
    const key = JSON.stringify(program)
    if (this.#vain.has(key)) return false
    const world = this.#world(program)
    if (world === null) return false
    if (this.#replay(world, program, this.#best!.run.tape)) return true
    if (search && this.#searchUpTo(world, program, SEARCH, false)) return true
    if (search) this.#vain.add(key)
    return false
  }

  /** Search with rising bounds, up to what the best one needs; with `fewer`, only with less than it needs. */
  #searchUpTo(world: World, program: Program, executions: number, fewer: boolean): boolean {
    const { run } = this.#best!
    const [most, faults] = [run.preemptions, faultsOf(run.tape)]
    for (let p = 0; p <= Math.min(most, 2); p++) {
      for (let f = 0; f <= Math.min(faults, 1); f++) {
        if (fewer && p === most && f >= faults) continue
        if (this.#search(world, program, p, f, executions)) return true
      }
    }
    return false
  }

  #search(world: World, program: Program, preemptions: number, faults: number, executions: number): boolean {
    const left = Math.min(executions, this.#most - this.#executions)
    if (left <= 0) return false
    const found = explore(world, {
      budget: { executions: left, preemptions }, steps: STEP_BUDGET, collect: true,
      bounds: { completion: Infinity, fault: faults, ...(faults > 0 && { short: 1 }) },
    })
    this.#executions += found.executions
    const same = found.findings.find((f) => claimOf(f.claim, f.what) === this.#claim)
    return same !== undefined && this.#replay(world, program, same.tape)
  }

  // --- passes --------------------------------------------------------------------------------------------------------

  #fibers(): void {
    for (let i = this.#best!.program.fibers.length - 1; i >= 0; i--) {
      const { program } = this.#best!
      if (program.fibers.length > 1) this.#try({ ...program, fibers: without(program.fibers, i) }, true)
    }
  }

  #actions(): void {
    for (let f = this.#best!.program.fibers.length - 1; f >= 0; f--) {
      for (let i = this.#best!.program.fibers[f]!.length - 1; i >= 0; i--) {
        const { program } = this.#best!
        const shorter = without(program.fibers[f]!, i)
        if (shorter.length > 0) this.#try({ ...program, fibers: program.fibers.map((x, j) => (j === f ? shorter : x)) }, true)
      }
    }
    if (this.#best!.program.before.length > 1) this.#try({ ...this.#best!.program, before: [] }, true)
    for (let i = this.#best!.program.before.length - 1; i >= 0; i--) {
      const { program } = this.#best!
      this.#try({ ...program, before: without(program.before, i) }, true)
    }
  }

  #plain(): void {
    this.#eachAction((a, put) => {
      for (const flag of flagsOf(a)) {
        const { [flag as 'op']: _, ...plain } = a
        this.#try(put(plain as Action), true)
      }
    })
  }

  #ground(): void {
    const change = (to: (c: Config) => Config): void => {
      const { program } = this.#best!
      const config = to(program.config)
      if (JSON.stringify(config) !== JSON.stringify(program.config)) this.#try({ ...program, config }, true)
    }
    change(({ leave: _, ...c }) => c)
    change(({ quota: _, ...c }) => c)
    change((c) => ({ ...c, format: 'ext4' }))
    for (const folioOrder of [0, 1]) change((c) => (c.folioOrder > folioOrder ? { ...c, folioOrder } : c))
    for (const blockSize of [4096, 2048] as const) change((c) => (c.blockSize < blockSize ? { ...c, blockSize } : c))
  }

  #fewest(): void {
    const { program, run } = this.#best!
    if (run.preemptions + faultsOf(run.tape) === 0) return
    const world = this.#world(program)
    if (world !== null) this.#searchUpTo(world, program, SEARCH_FEWEST, true)
  }

  #numbers(): void {
    this.#eachAction((a, put) => {
      let now = a
      for (const name of NUMBERS) {
        if (!(name in now)) continue
        const value = (now as unknown as Record<string, number>)[name]!
        for (const v of smaller(value, this.#best!.program.config.blockSize)) {
          if (name === 'len' && v === 0) continue
          const next = { ...now, [name]: v } as Action
          if (!this.#try(put(next), false)) continue
          now = next
          break
        }
      }
    })
  }

  /** Every decision that is not the simplest, the last first. */
  #zeros(): void {
    const { program, run } = this.#best!
    const world = this.#world(program)
    if (world === null) return
    for (const kind of KINDS) {
      for (let i = (run.tape[kind]?.length ?? 0) - 1; i >= 0 && !this.#over; i--) {
        const { tape } = this.#best!.run
        const sub = tape[kind]
        if (sub?.[i] === undefined || sub[i]!.pick === 0) continue
        const zeroed = sub.map((d, j) => (j === i ? { ...d, pick: 0 } : d))
        this.#replay(world, program, strip({ ...tape, [kind]: zeroed }))
      }
    }
  }

  /** Each action with a function that gives the best program with another in its place. */
  #eachAction(visit: (a: Action, put: (a: Action) => Program) => void): void {
    const lists = this.#best!.program.fibers.length
    for (let f = -1; f < lists; f++) {
      const list = (p: Program): Actions => (f < 0 ? p.before : p.fibers[f]!)
      for (let i = 0; i < list(this.#best!.program).length; i++) {
        visit(list(this.#best!.program)[i]!, (a) => {
          const { program } = this.#best!
          const changed = list(program).map((x, j) => (j === i ? a : x))
          return f < 0 ? { ...program, before: changed } : { ...program, fibers: program.fibers.map((x, j) => (j === f ? changed : x)) }
        })
      }
    }
  }
}

const without = <A>(list: readonly A[], i: number): readonly A[] => list.filter((_, j) => j !== i)

/** Values to try instead of `v`, the best first: 0, then multiples of a page, of a block, of a sector. */
const smaller = (v: number, block: number): readonly number[] => {
  const down = (unit: number): number => v - (v % unit)
  const candidates = [0, SECTOR, block, 4096, down(4096), down(block), down(SECTOR), down(SECTOR) + SECTOR, Math.floor(v / 2)]
  return [...new Set(candidates)].filter((x) => roundness(x) < roundness(v)).sort((a, b) => roundness(a) - roundness(b))
}
