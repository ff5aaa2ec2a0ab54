/**
 * Rerun: the run of a tape again, on the same design or on another, and whether the claim is broken by it.
 *
 * Only the judges of the claim look, so that what else is wrong does not end the run before. Where the code has changed since
 * the tape was recorded the run goes on greedily (src/sim/tape.ts), and the first place where it left the tape is reported.
 */
import type { AnyStrategy } from '../../fs/strategy.ts'
import type { ChoiceKind, Choices } from '../../kernel/choices.ts'
import { execute, Machine, type Run } from '../../sim/scheduler.ts'
import type { Violation } from '../../sim/system.ts'
import { type Divergence, RecordingTape, ReplayTape, strip, type TapeData } from '../../sim/tape.ts'
import type { MountOptions } from '../session.ts'
import { STEP_BUDGET } from './check.ts'
import type { Judge } from './judge.ts'
import { claimOf } from './outcome.ts'
import type { Program } from './program.ts'
import { World } from './world.ts'

/** A design, and who judges it. */
export interface Bench {
  readonly strategy: AnyStrategy
  /** Judges of all claims: those of the claim in question are picked. */
  readonly judges: readonly Judge[]
  /** Verbs of a mutant. */
  readonly verbs?: NonNullable<MountOptions['verbs']>
}

/** A run to make again. */
export interface Recorded {
  readonly claim: string
  readonly program: Program
  readonly tape: TapeData
}

/** Where a run left its tape. */
export interface Strayed extends Divergence {
  /** Steps of all fibers that had been made by then. */
  readonly step: number
}

/** A decision that made something happen beside the schedule: a fault, a copy cut short. */
export interface Fired {
  readonly kind: ChoiceKind
  readonly label: string
}

/** What a run came to. */
export interface Rerun {
  /** How the claim was broken, or null: it held. */
  readonly shown: string | null
  /** What else was found: outcomes that speak for themselves (a deadlock, a loop, something thrown). */
  readonly others: readonly Violation[]
  /** The first place where the run asked for something else than the tape holds, or null. */
  readonly strayed: Strayed | null
  /** Decisions of the tape that were never asked for, zeros at the end left out. */
  readonly unused: number
  readonly steps: number
  readonly preemptions: number
  /** Faults and short copies, in order. */
  readonly fired: readonly Fired[]
  /** The decisions that this run took, without zeros at the end. */
  readonly tape: TapeData
  readonly machine: Machine
}

/** The judges of one claim. */
export const judgesOf = (claim: string, judges: readonly Judge[]): readonly Judge[] => judges.filter((j) => j.claim === claim)

/** A world of `program` in which only the judges of `claim` look. @throws BadProgram */
export const worldOf = (program: Program, claim: string, { judges, ...bench }: Bench): World =>
  new World(program, { ...bench, judges: judgesOf(claim, judges) })

/** Make the run again in a world of its program. `after` is called after each step, with all that fired until then. */
export const rerunIn = (
  world: World, { claim, tape }: Recorded, after: (m: Machine, fired: readonly Fired[]) => void = () => {},
): Rerun => {
  const machine = new Machine(world)
  const follow = new Follow(tape, machine)
  const record = new RecordingTape(follow)
  const run = execute(world, record, {
    steps: STEP_BUDGET, onward: true, machine,
    after: (_, m) => {
      after(m, follow.fired)
      return m.violation?.claim === claim
    },
  })
  const found = violationsOf(run)
  return {
    shown: found.find((v) => v.claim === claim)?.what ?? null, others: found.filter((v) => v.claim !== claim), strayed: follow.strayed,
    unused: follow.unused, steps: run.steps, preemptions: run.preemptions, fired: follow.fired, tape: strip(record.data), machine,
  }
}

/** Make the run again. @throws BadProgram if what it did before cannot be done on its ground */
export const rerun = (c: Recorded, bench: Bench): Rerun => rerunIn(worldOf(c.program, c.claim, bench), c)

/** What was wrong in a run, however it ended. */
const violationsOf = ({ outcome, violations, steps }: Run): readonly Violation[] => {
  switch (outcome.kind) {
    case 'deadlock': {
      const what = outcome.waiting.map((w) => `${w.name} waits for ${w.label}`).join(', ')
      return [...violations, { claim: claimOf('deadlock', what), what: `deadlock: ${what}` }]
    }
    case 'loop': {
      const what = `no end after ${steps} steps; at the end: ${outcome.tail.slice(0, 8).join(', ')}`
      return [...violations, { claim: claimOf('loop', what), what }]
    }
    case 'threw': {
      const what = outcome.error instanceof Error ? `${outcome.error.name}: ${outcome.error.message}` : String(outcome.error)
      return [...violations, { claim: claimOf('threw', what), what }]
    }
    default: return violations
  }
}

/** A tape's answers, and at which step the run first left it. */
class Follow implements Choices {
  strayed: Strayed | null = null
  readonly fired: Fired[] = []
  readonly #tape: ReplayTape
  readonly #machine: Machine
  readonly #left: Partial<Record<ChoiceKind, number>> = {}

  constructor(tape: TapeData, machine: Machine) {
    const stripped = strip(tape)
    this.#tape = new ReplayTape(stripped)
    this.#machine = machine
    for (const [kind, sub] of Object.entries(stripped)) this.#left[kind as ChoiceKind] = sub.length
  }

  choose(n: number, kind: ChoiceKind, label: string): number {
    const left = this.#left[kind]
    if (left !== undefined) this.#left[kind] = left - 1
    const pick = this.#tape.choose(n, kind, label)
    const { divergence } = this.#tape
    if (divergence !== null) this.strayed ??= { ...divergence, step: this.#machine.steps }
    if (pick !== 0 && (kind === 'fault' || kind === 'short')) this.fired.push({ kind, label })
    return pick
  }

  get unused(): number {
    return Object.values(this.#left).reduce((sum, n) => sum + Math.max(0, n), 0)
  }
}
