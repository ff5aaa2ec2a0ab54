/**
 * Check: a design against all claims, within a budget of executions.
 *
 * *Lanes*, each with its own programs, its own way to run one, and its share of the executions:
 *   calls      one fiber, nothing fails
 *   faults     one fiber, each fault site once and sticky
 *   pairs      one fiber, two fault sites: a failure inside the undo of another
 *   two        two fibers, every schedule with at most 1 preemption, then 2; the device completes in any order
 *   three      three fibers, at most 1 preemption
 *   both       two fibers with at most 1 preemption, and one fault
 *   long       one fiber of five calls: nothing fails, then one fault site by chance
 *   chance     two or three fibers of one to three calls, schedules, short copies and faults by chance (coins, and PCT)
 * Deterministic: the same design, seed and budget run the same executions and find the same things, on any machine.
 */
import type { AnyStrategy } from '../../fs/strategy.ts'
import type { Choices } from '../../kernel/choices.ts'
import { explore } from '../../sim/explore.ts'
import { FaultPlan, type Plan } from '../../sim/fault-plan.ts'
import { Pct } from '../../sim/pct.ts'
import { below, random32, randomChoices } from '../../sim/sources.ts'
import { execute, Machine, type Run } from '../../sim/scheduler.ts'
import type { System, Violation } from '../../sim/system.ts'
import { RecordingTape, strip, type TapeData } from '../../sim/tape.ts'
import type { MountOptions } from '../session.ts'
import { crowd, type Family, long, others, pair, sequence, single, three } from './generate.ts'
import type { Judge } from './judge.ts'
import { claimOf } from './outcome.ts'
import type { Program } from './program.ts'
import { BadProgram } from './place.ts'
import { World } from './world.ts'

/** A run in which a claim did not hold. */
export interface Counterexample {
  readonly claim: string
  readonly what: string
  readonly program: Program
  readonly tape: TapeData
}

/** What to check, and how much. */
export interface CheckOptions {
  readonly strategy: AnyStrategy
  readonly judges: readonly Judge[]
  readonly seed: number
  /** Executions in all. */
  readonly executions: number
  readonly verbs?: NonNullable<MountOptions['verbs']>
  /** Only programs of this format. */
  readonly format?: 'ext2' | 'ext4'
  /** Stop when this claim is found broken. */
  readonly until?: string
  /** Of `of` workers, this is number `share`: it takes every `of`-th program. */
  readonly share?: number
  readonly of?: number
  /** Told each program before it runs: a watchdog names it if it does not come back. */
  readonly about?: (program: Program) => void
}

/** What one lane did. */
export interface LaneReport {
  readonly lane: string
  programs: number
  /** Programs of which every run within the bounds was seen. */
  exhausted: number
  executions: number
  states: number
  steps: number
}

/** What a check did and found. Plain data. */
export interface CheckReport {
  readonly strategy: string
  readonly seed: number
  readonly executions: number
  readonly lanes: readonly LaneReport[]
  /** The first counterexample of each claim. */
  readonly found: Readonly<Record<string, Counterexample>>
  /** Evaluations of each claim. */
  readonly evaluations: Readonly<Record<string, number>>
  /** `a -> b`: b was taken while a was held; how often. */
  readonly lockOrder: Readonly<Record<string, number>>
  /** Programs that could not be set up. */
  readonly refused: number
}

/** A lane: programs, and how one is run. */
interface Lane {
  readonly name: string
  /** Its share of the executions, against that of the others. */
  readonly weight: number
  readonly programs: Generator<Program>
  run(world: World, probe: Probe): void
}

/** Most executions of one program. */
const MOST = { chance: 12, long: 2, away: 60, faults: 400, pairs: 600, two: 400, three: 500, both: 500 } as const
/** Steps after which a run does not end (claim I15). */
export const STEP_BUDGET = 4000

/** Collects what runs of one check find. */
class Probe {
  readonly found: Record<string, Counterexample> = {}
  readonly report: LaneReport
  constructor(found: Record<string, Counterexample>, report: LaneReport) {
    this.found = found
    this.report = report
  }

  /** One run under a plan of faults. @returns the sites reached, or null if something was found */
  plan(world: World, plan: Plan): readonly string[] {
    const faults = new FaultPlan(plan)
    const tape = new RecordingTape({ fault: faults })
    const done = runOnce(world, tape)
    this.report.executions++
    this.report.steps += done.run.steps
    for (const v of done.violations) this.note(v, world.program, tape.data)
    return faults.reached
  }

  /**
   * One run by chance: each switch by the toss of a coin, or by priorities that change `depth` - 1 times in `steps` steps.
   * @returns its steps
   */
  chance(world: World, machine: Machine, seed: number, how: { switches: number } | { depth: number, steps: number }): number {
    const coins = randomChoices(seed, { schedule: 'switches' in how ? how.switches : 0, fault: 0.015, short: 0.3 })
    const choices = 'switches' in how ? coins : scheduledBy(new Pct(machine, { seed, ...how }), coins)
    const tape = new RecordingTape(choices)
    const done = runOnce(world, tape, machine)
    this.report.executions++
    this.report.steps += done.run.steps
    for (const v of done.violations) this.note(v, world.program, tape.data)
    return done.run.steps
  }

  explore(world: World, executions: number, preemptions: number, faults: number): boolean {
    const s = explore(world, {
      budget: { executions, preemptions }, steps: STEP_BUDGET, collect: true,
      bounds: { completion: Infinity, short: 2, fault: faults },
    })
    this.report.executions += s.executions
    this.report.states += s.states
    this.report.steps += s.steps
    for (const f of s.findings) this.note({ claim: claimOf(f.claim, f.what), what: f.what }, world.program, f.tape)
    return s.interrupted.length === 0
  }

  note(v: Violation, program: Program, tape: TapeData): void {
    this.found[v.claim] ??= { ...v, program, tape: strip(tape) }
  }
}

/** One run of a world, and what was wrong with it. */
export const runOnce = (world: System, tape: Choices, machine = new Machine(world)): { run: Run; violations: readonly Violation[] } => {
  const run = execute(world, tape, { steps: STEP_BUDGET, onward: true, machine })
  const { outcome } = run
  switch (outcome.kind) {
    case 'finished': case 'stopped': case 'violation': return { run, violations: run.violations }
    case 'deadlock': {
      const what = outcome.waiting.map((w) => `${w.name} waits for ${w.label}`).join(', ')
      return { run, violations: [...run.violations, { claim: claimOf('deadlock', what), what: `deadlock: ${what}` }] }
    }
    case 'loop': {
      const what = `no end after ${run.steps} steps; at the end: ${outcome.tail.slice(0, 8).join(', ')}`
      return { run, violations: [...run.violations, { claim: 'I15', what }] }
    }
    case 'threw': {
      const what = sayThrown(outcome.error)
      return { run, violations: [...run.violations, { claim: claimOf('threw', what), what }] }
    }
  }
}

const sayThrown = (e: unknown): string => (e instanceof Error ? `${e.name}: ${e.message}` : String(e))

const lanes = (seed: number): readonly Lane[] => {
  const lane = (name: string, family: Family, run: Lane['run'], weight = 1): Lane => ({ name, weight, programs: family(seed), run })
  return [
    lane('calls', sequence, (w, p) => (takesAway(w.program) ? void p.explore(w, MOST.away, 0, 0) : void p.plan(w, { fail: [] })), 2),
    lane('long', long, (w, p) => {
      const draw = random32(seed + Math.imul(p.report.programs, 7919))
      const reached = p.plan(w, { fail: [] }).length
      for (let i = 0; i < Math.min(reached, MOST.long); i++) p.plan(w, { fail: [below(draw, reached)] })
    }, 5),
    lane('chance', crowd, (w, p) => {
      const machine = new Machine(w)
      let steps = 50
      for (let i = 0; i < MOST.chance; i++) {
        // Coins find what needs many switches close together, priorities what needs one or two far apart.
        const how = i % 4 === 0 ? { switches: SWITCHES[i / 4 % SWITCHES.length]! } : { depth: 2 + i % 2, steps }
        steps = p.chance(w, machine, seed + Math.imul(p.report.programs, 7919) + i, how)
      }
    }, 14),
    lane('faults', single, (w, p) => {
      const reached = p.plan(w, { fail: [] })
      for (let i = 0; i < Math.min(reached.length, MOST.faults / 2); i++) {
        p.plan(w, { fail: [i] })
        p.plan(w, { fail: [i], sticky: true })
      }
      p.report.exhausted++
    }),
    lane('two', pair, (w, p) => {
      if (p.explore(w, MOST.two, 1, 0)) p.report.exhausted++
    }),
    lane('faults in sequences', sequence, (w, p) => {
      const reached = p.plan(w, { fail: [] })
      for (let i = 0; i < Math.min(reached.length, MOST.faults); i++) p.plan(w, { fail: [i] })
      p.report.exhausted++
    }, 2),
    lane('others', others, (w, p) => {
      if (p.explore(w, MOST.two, 1, 0)) p.report.exhausted++
    }),
    lane('both', pair, (w, p) => {
      if (p.explore(w, MOST.both, 1, 1)) p.report.exhausted++
    }),
    lane('pairs', single, (w, p) => {
      const first = p.plan(w, { fail: [] }).length
      for (let i = 0, left = MOST.pairs; i < first && left > 0; i++) {
        const then = p.plan(w, { fail: [i] }).length
        for (let j = i + 1; j < then && left-- > 0; j++) p.plan(w, { fail: [i, j] })
      }
      p.report.exhausted++
    }),
    lane('two, 2 preemptions', pair, (w, p) => {
      if (p.explore(w, 4 * MOST.two, 2, 0)) p.report.exhausted++
    }),
    lane('three', three, (w, p) => {
      if (p.explore(w, MOST.three, 1, 0)) p.report.exhausted++
    }),
  ]
}

/** How often chance switches. */
const SWITCHES = [0.15, 0.35] as const

/** Schedules by one source, all else by another. */
const scheduledBy = (schedule: Choices, rest: Choices): Choices =>
  ({ choose: (n, kind, label) => (kind === 'schedule' ? schedule : rest).choose(n, kind, label) })

/** Are there pages in a source that may be taken away again? */
const takesAway = (p: Program): boolean => p.fibers.some((f) => f.some((a) => a.op === 'write' && a.absent === true))

/** How far a check is. */
export interface CheckProgress {
  readonly executions: number
  readonly of: number
  readonly found: readonly string[]
  /** What was done and found until now. */
  readonly report: () => CheckReport
}

/** Check a design; yields after every program. */
export function* check(options: CheckOptions): Generator<CheckProgress, CheckReport> {
  const { share = 0, of = 1 } = options
  const found: Record<string, Counterexample> = {}
  const evaluations: Record<string, number> = {}
  const lockOrder: Record<string, number> = {}
  const all = lanes(options.seed).map((lane) => {
    const report: LaneReport = { lane: lane.name, programs: 0, exhausted: 0, executions: 0, states: 0, steps: 0 }
    return { lane, report, probe: new Probe(found, report), seen: 0, over: false }
  })
  const done = (): number => all.reduce((n, l) => n + l.report.executions, 0)
  let refused = 0
  const report = (): CheckReport => ({
    strategy: options.strategy.name, seed: options.seed, executions: done(), lanes: all.map((l) => l.report),
    found, evaluations, lockOrder, refused,
  })
  while (done() < options.executions && all.some((l) => !l.over)) {
    // The lane that has run least for its weight goes next.
    const spent = (l: (typeof all)[number]): number => l.report.executions / l.lane.weight
    const next = all.filter((l) => !l.over).reduce((a, b) => (spent(b) < spent(a) ? b : a))
    const program = nextProgram(next.lane.programs, options, () => next.seen++ % of === share)
    if (program === null) {
      next.over = true
      continue
    }
    options.about?.(program)
    next.report.programs++
    let world: World | null
    try {
      world = worldFor(program, options)
    } catch (e) {
      // The design broke down while the file was made ready, where nothing fails and nobody else runs.
      const what = `before the fibers: ${sayThrown(e)}`
      next.probe.note({ claim: claimOf('threw', what), what }, program, {})
      next.report.executions++
      yield { executions: done(), of: options.executions, found: Object.keys(found), report }
      continue
    }
    if (world === null) {
      next.report.programs--
      refused++
      continue
    }
    next.lane.run(world, next.probe)
    for (const [claim, n] of world.evaluations) evaluations[claim] = (evaluations[claim] ?? 0) + n
    for (const [edge, n] of world.lockEdges) lockOrder[edge] = (lockOrder[edge] ?? 0) + n
    yield { executions: done(), of: options.executions, found: Object.keys(found), report }
    if (options.until !== undefined && found[options.until] !== undefined) break
  }
  return report()
}

const nextProgram = (programs: Generator<Program>, { format }: CheckOptions, mine: () => boolean): Program | null => {
  for (;;) {
    const next = programs.next()
    if (next.done === true) return null
    if ((format === undefined || next.value.config.format === format) && mine()) return next.value
  }
}

/** The world of a program, or null if what it did before cannot be done on its ground. */
export const worldFor = (program: Program, options: Pick<CheckOptions, 'strategy' | 'judges' | 'verbs'>): World | null => {
  try {
    return new World(program, options)
  } catch (e) {
    if (e instanceof BadProgram) return null
    throw e
  }
}

/** Run `check` at one go. */
export const checkAll = (options: CheckOptions): CheckReport => {
  const steps = check(options)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
