/**
 * Hunt: everything that looks for mistakes with given pages, in the order of its cost, until a claim is broken.
 *
 *   steps      sequences of calls by chance against the model (SPLICE-1, 2, 8, 9)
 *   threads    processes on pipes, every schedule with at most two preemptions (SPLICE-1, I16)
 *   ignored    the same splice with and without the offer taken (SPLICE-6)
 *   faults     worlds of one fiber: each fault site once and for good (all but 6 and 9)
 *   beside     worlds of two fibers, schedules with at most one preemption, and one fault
 * None of these knows a mutant.
 */
import * as fc from 'fast-check'
import { runOnce, STEP_BUDGET, worldFor } from '../../src/lab/check/check.ts'
import type { World } from '../../src/lab/check/world.ts'
import type { AnyStrategy } from '../../src/fs/strategy.ts'
import { explore } from '../../src/sim/explore.ts'
import { FaultPlan } from '../../src/sim/fault-plan.ts'
import { RecordingTape } from '../../src/sim/tape.ts'
import { strategies } from '../../src/strategies/index.ts'
import { SPLICE_JUDGES } from '../splice/claims.ts'
import { ignored } from '../splice/ignored.ts'
import { judgeSteps, type PipeStep, pipeSteps } from '../splice/model.ts'
import { alone, beside, SOURCES, type SourceName, underWriteback } from '../splice/programs.ts'
import { schedules, THREADS } from '../splice/threads.ts'

/** What to look for, with which design. */
export interface Order {
  readonly strategy: string
  /** Stop when this is broken; null: look at everything. */
  readonly claim: string | null
}

/** What was found. */
export interface Hunted {
  readonly executions: number
  readonly seconds: number
  /** By claim: where, what, and after how many executions. */
  readonly broken: Readonly<Record<string, { readonly where: string; readonly what: string; readonly after: number }>>
}

const PIPES: readonly SourceName[] = SOURCES.filter((s) => !['memory', 'writev', 'mapping'].includes(s))
/** Sequences, and steps of each. */
const SEQUENCES = 500
const STEPS = 40

/** Look for what a claim names. */
export const run = ({ strategy: name, claim }: Order): Hunted => {
  const strategy = strategies.find((s) => s.name === name)!
  const broken: Record<string, Hunted['broken'][string]> = {}
  const start = performance.now()
  let executions = 0
  const note = (c: string, where: string, what: string): void => {
    broken[c] ??= { where, what, after: executions }
  }
  for (const part of [steps, threads, notTaken, faults, besides]) {
    for (const n of part(strategy, note)) {
      executions += n
      if (claim !== null && broken[claim] !== undefined) return done()
    }
  }
  return done()

  function done(): Hunted {
    return { executions, seconds: (performance.now() - start) / 1000, broken }
  }
}

type Note = (claim: string, where: string, what: string) => void

function* steps(strategy: AnyStrategy, note: Note): Generator<number> {
  for (const sequence of fc.sample(pipeSteps(STEPS), { numRuns: SEQUENCES, seed: 1 })) {
    let wrong: ReturnType<typeof judgeSteps> = null
    try {
      wrong = judgeSteps(strategy, sequence)
    } catch (e) {
      note('threw', 'steps', String(e))
    }
    if (wrong !== null) note(wrong.claim, `steps ${saySteps(shortest(strategy, sequence, wrong.claim))}`, wrong.what)
    yield 1
  }
}

/** The sequence with every step left out that it does not take to break the claim. */
const shortest = (strategy: AnyStrategy, sequence: readonly PipeStep[], claim: string): readonly PipeStep[] => {
  let kept = sequence
  for (let i = kept.length - 1; i >= 0; i--) {
    const without = kept.filter((_, j) => j !== i)
    if (judgeSteps(strategy, without)?.claim === claim) kept = without
  }
  return kept
}

const saySteps = (sequence: readonly PipeStep[]): string => sequence.map((s) => `${s.op}(${s.pipe}, ${s.page}, ${s.len})`).join(' ')

function* threads(_: AnyStrategy, note: Note): Generator<number> {
  for (const t of THREADS) {
    const { runs, found } = schedules(t, 2, 2000)
    for (const v of found) note(v.claim, `threads: ${t.name}`, v.what)
    yield runs
  }
}

function* notTaken(strategy: AnyStrategy, note: Note): Generator<number> {
  for (const source of PIPES) {
    for (const program of alone(source)) {
      const what = ignored(program, strategy)
      if (what !== null) note('SPLICE-6', JSON.stringify(program), what)
      yield 2
    }
  }
}

function* faults(strategy: AnyStrategy, note: Note): Generator<number> {
  for (const source of PIPES) {
    for (const program of alone(source)) {
      const world = worldFor(program, { strategy, judges: SPLICE_JUDGES })
      if (world === null) continue
      const go = (plan: { fail: readonly number[]; sticky?: boolean }): readonly string[] => {
        const f = new FaultPlan(plan)
        const { violations } = runOnce(world, new RecordingTape({ fault: f }))
        for (const v of violations) note(v.claim, `${sayWorld(world)}, failing ${f.failed.join(' ')}`, v.what)
        return f.reached
      }
      const reached = go({ fail: [] })
      yield 1
      for (let i = 0; i < reached.length; i++) {
        go({ fail: [i] })
        go({ fail: [i], sticky: true })
        yield 2
      }
    }
  }
}

function* besides(strategy: AnyStrategy, note: Note): Generator<number> {
  const programs = [...underWriteback, ...PIPES.flatMap((s) => beside(s))]
  for (const program of programs) {
    const world = worldFor(program, { strategy, judges: SPLICE_JUDGES })
    if (world === null) continue
    for (const fault of [0, 1]) {
      const s = explore(world, {
        budget: { executions: 150, preemptions: 1 }, steps: STEP_BUDGET, collect: true, bounds: { completion: Infinity, short: 2, fault },
      })
      for (const f of s.findings) note(f.claim, sayWorld(world), f.what)
      yield s.executions
    }
  }
}

const sayWorld = ({ program }: World): string => JSON.stringify(program)
