/**
 * Shrink: the smallest scenario and the smallest loss that still break the same claim.
 *
 * Passes, until none helps: what comes after the crash goes; operations go, by halves, then one by one (ddmin); fibers, actions and
 * pasts of a program go; lengths become one block and positions whole blocks; decisions of the schedule become 0. Of the state: each
 * block that was lost is given back if the claim stays broken without its loss. A candidate counts if a search through its crash
 * states finds the same claim broken, and not as declared. Deterministic; at most `tries` recordings.
 */
import type { AnyStrategy } from '../../fs/strategy.ts'
import { randomChoices } from '../../sim/sources.ts'
import { strip, type TapeData } from '../../sim/tape.ts'
import type { Action, Program } from '../check/program.ts'
import { BadProgram } from '../check/place.ts'
import type { MountOptions } from '../session.ts'
import type { Operation } from '../workload/operation.ts'
import { crash, type StateAt } from './crash.ts'
import { versionsAt } from './epochs.ts'
import { type ProgramRecording, recordProgram } from './program.ts'
import { hasJournal, type Recording } from './record.ts'
import { encodeState, judgeState, makeState, recordScenario, type Scenario } from './scenario.ts'

/** A crash state of a scenario that breaks a claim. */
export interface CrashCounterexample {
  readonly claim: string
  readonly what: string
  readonly scenario: Scenario
  /** Schedule, crash and tear. */
  readonly tape: TapeData
}

/** What runs it. */
export interface CrashBench {
  readonly strategy: AnyStrategy
  readonly verbs?: NonNullable<MountOptions['verbs']>
  /** Most recordings; default 400. */
  readonly tries?: number
  /** States of one recording that are searched; default 1000. */
  readonly states?: number
  readonly seed?: number
}

interface Best {
  readonly scenario: Scenario
  readonly schedule: TapeData
  readonly recording: Recording
  readonly at: StateAt
  readonly what: string
}

/** @returns null if the search does not find the claim broken in the scenario itself */
export const shrinkCrash = (claim: string, scenario: Scenario, tape: TapeData, bench: CrashBench): CrashCounterexample | null => {
  const s = new CrashShrinker(claim, bench)
  return s.try(scenario, tape) ? s.all() : null
}

class CrashShrinker {
  readonly #claim: string
  readonly #bench: CrashBench
  #left: number
  #best: Best | null = null

  constructor(claim: string, bench: CrashBench) {
    this.#claim = claim
    this.#bench = bench
    this.#left = bench.tries ?? 400
  }

  /** Does this scenario break the claim? Then it is the best one. */
  try(scenario: Scenario, schedule: TapeData, chance = 0): boolean {
    for (let i = 0; i <= chance && this.#left > 0; i++) {
      this.#left--
      const found = this.#search(scenario, i === 0 ? schedule : null, i)
      if (found === null) continue
      this.#best = found
      return true
    }
    return false
  }

  #search(scenario: Scenario, schedule: TapeData | null, n: number): Best | null {
    let recording: Recording
    try {
      recording = schedule !== null || scenario.program === undefined
        ? recordScenario(this.#bench.strategy, scenario, schedule ?? {}, this.#bench.verbs)
        : recordProgram(
          {
            strategy: this.#bench.strategy, mode: scenario.mode, program: scenario.program,
            ...(this.#bench.verbs && { verbs: this.#bench.verbs }),
          },
          randomChoices(n, { schedule: 0.35, fault: 0, short: 0 }),
        )
    } catch (e) {
      if (e instanceof BadProgram) return null
      throw e
    }
    const { flushes, torn } = scenario
    const report = crash(recording, {
      states: this.#bench.states ?? 1000, flushes, torn, seed: this.#bench.seed ?? 1, stop: this.#claim, sampleOnly: true,
    })
    const broken = report.broken.find((b) => b.claim === this.#claim && !b.declared)
    if (broken === undefined) return null
    const { tape } = recording as Partial<ProgramRecording>
    return { scenario, schedule: tape ?? {}, recording, at: broken.first, what: broken.what }
  }

  all(): CrashCounterexample {
    for (let before: Best | null = null; before !== this.#best && this.#left > 0;) {
      before = this.#best
      if (this.#best!.scenario.program === undefined) this.#operations()
      else this.#program()
    }
    this.#state()
    const { scenario, schedule, recording, at, what } = this.#best!
    const { crash: _, tear: __, ...others } = schedule
    return { claim: this.#claim, what, scenario, tape: strip({ ...others, ...encodeState(recording, scenario, at) }) }
  }

  // --- operations one after the other --------------------------------------------------------------------------------------------

  #operations(): void {
    this.#tail()
    for (let size = this.#ops.length >> 1; size >= 1; size >>= 1) {
      for (let at = this.#ops.length - size; at > -size; at -= size) {
        const from = Math.max(0, at)
        this.#withOps([...this.#ops.slice(0, from), ...this.#ops.slice(from + size)])
      }
    }
    for (let i = 0; i < this.#ops.length; i++) {
      for (const op of smaller(this.#ops[i]!, this.#best!.scenario.blockSize)) {
        if (this.#withOps(this.#ops.map((o, j) => (j === i ? op : o)))) break
      }
    }
    const { scenario } = this.#best!
    const small = hasJournal(scenario.mode) ? SMALL_JOURNALLED : SMALL
    if (scenario.size > small) this.try({ ...scenario, size: small }, {})
    if (scenario.torn && this.#best!.at.tear === null) this.try({ ...this.#best!.scenario, torn: false }, {})
  }

  get #ops(): readonly Operation[] {
    return this.#best!.scenario.operations ?? []
  }

  #withOps(operations: readonly Operation[]): boolean {
    return operations.length < this.#ops.length || operations.some((o, i) => o !== this.#ops[i])
      ? this.try({ ...this.#best!.scenario, operations }, {}) : false
  }

  /** Operations that had not begun when the power went. */
  #tail(): void {
    const { recording, at } = this.#best!
    const begins = recording.model!.begins
    let n = this.#ops.length
    while (n > 0 && begins[n]! >= at.point) n--
    if (n < this.#ops.length) this.#withOps(this.#ops.slice(0, n))
  }

  // --- programs ------------------------------------------------------------------------------------------------------------------

  #program(): void {
    const smallerPrograms = (p: Program): Program[] => [
      ...(p.fibers.length > 1 ? p.fibers.map((_, i) => ({ ...p, fibers: without(p.fibers, i) })) : []),
      ...p.fibers.flatMap((f, i) => (f.length === 1 ? [] : f.map((_, a) =>
        ({ ...p, fibers: p.fibers.map((g, j) => (i === j ? without(f, a) : g)) })))),
      ...(p.before.length > 0 ? [{ ...p, before: [] }] : []),
      ...(p.config.folioOrder > 0 ? [{ ...p, config: { ...p.config, folioOrder: 0 } }] : []),
      ...(p.config.blockSize < 4096 ? [{ ...p, config: { ...p.config, blockSize: 4096 as const } }] : []),
      ...p.fibers.flatMap((f, i) => f.flatMap((a, k) => smallerAction(a).map((b) =>
        ({ ...p, fibers: p.fibers.map((g, j) => (i === j ? g.map((x, l) => (l === k ? b : x)) : g)) })))),
    ]
    for (let again = true; again && this.#left > 0;) {
      again = false
      for (const program of smallerPrograms(this.#best!.scenario.program!)) {
        const { scenario, schedule } = this.#best!
        if (!this.try({ ...scenario, program, blockSize: program.config.blockSize }, schedule, 6)) continue
        again = true
        break
      }
    }
    this.#schedule()
  }

  /** Decisions of the schedule to 0, the last ones first. */
  #schedule(): void {
    for (const kind of ['schedule', 'completion', 'short', 'fault'] as const) {
      for (let i = (this.#best!.schedule[kind]?.length ?? 0) - 1; i >= 0; i--) {
        const { scenario, schedule } = this.#best!
        const sub = schedule[kind]
        if (sub === undefined || sub[i] === undefined || sub[i]!.pick === 0) continue
        this.try(scenario, strip({ ...schedule, [kind]: sub.map((d, j) => (j === i ? { ...d, pick: 0 } : d)) }))
      }
    }
  }

  // --- the state -----------------------------------------------------------------------------------------------------------------

  /** Give back what need not be lost. */
  #state(): void {
    const { recording, scenario } = this.#best!
    const drive = { flushes: scenario.flushes }
    const breaks = (at: StateAt): string | null =>
      judgeState(recording, drive, at).judged.findings.find((f) => f.claim === this.#claim && !f.declared)?.what ?? null
    let { at } = this.#best!
    const { epoch } = makeState(recording, drive, at)
    const newest = epoch.uncertain.map((u) => versionsAt(epoch, u, at.point) - 1)
    const keep = (candidate: StateAt): void => {
      const what = breaks(candidate)
      if (what === null) return
      at = candidate
      this.#best = { ...this.#best!, at, what }
    }
    if (at.tear !== null) keep({ ...at, tear: null, picks: at.picks.map((p, i) => (i === at.tear!.slot ? at.tear!.pick : p)) })
    for (let slot = 0; slot < newest.length; slot++) {
      if (at.tear?.slot === slot) continue
      for (let version = newest[slot]!; version > (at.picks[slot] ?? 0); version--) {
        const before = at
        keep({ ...at, picks: at.picks.map((p, i) => (i === slot ? version : p)) })
        if (at !== before) break
      }
    }
  }
}

/** A device on which small scenarios find room. */
const SMALL = 2 << 20
const SMALL_JOURNALLED = 12 << 20

const without = <A>(list: readonly A[], i: number): A[] => [...list.slice(0, i), ...list.slice(i + 1)]

/** Plainer forms of an operation. */
const smaller = (op: Operation, block: number): Operation[] => {
  const out: Operation[] = []
  if (op.op === 'writev') {
    const len = op.lens.reduce((a, b) => a + b, 0)
    out.push({ op: 'write', fd: op.fd, len, ...(op.off !== undefined && { off: op.off }) })
  }
  if (op.op === 'write') {
    const { off, ...rest } = op
    if (op.len !== block) out.push({ ...rest, len: block, off: 0 }, { ...op, len: block })
    if (off !== undefined && off % block !== 0) out.push({ ...op, off: off - (off % block) })
    if (off !== undefined && off > 0) out.push({ ...op, off: 0 })
  }
  return out
}

const smallerAction = (a: Action): Action[] => {
  if (a.op !== 'write') return []
  return [
    ...(a.len > 4096 ? [{ ...a, len: 4096 }] : []), ...(a.pos > 0 && a.append !== true ? [{ ...a, pos: 0 }] : []),
    ...(a.pos % 4096 !== 0 ? [{ ...a, pos: a.pos - (a.pos % 4096) }] : []),
  ]
}
