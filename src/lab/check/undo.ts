/**
 * Undo: what a design does to take a write back, site by site, and whether that can fail in turn.
 *
 * "Just decrementing counters on errors increases the chances that our error handling will actually work massively"
 * (Chinner, seed 002): so count it. One write, alone, on each program; each fault site that it reaches fails once. What
 * the write then undid stands in the Ledger (`*Undone`, blocksPunched, foliosDropped); what may fail while `putFolio`
 * or `end` of the design is running is a site *in the undo*, and each of those fails too, in a second run: a pair. A
 * claim that breaks in a pair and in no single run is what a failing undo loses.
 *
 * A write that is cut short by its source undoes without any fault: it is counted under the site `(short copy)`, and
 * faults are counted only where the write undoes nothing otherwise. Deterministic.
 */
import { settle } from '../../fs/settle.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import type { ChoiceKind, Choices } from '../../kernel/choices.ts'
import { type Kernel } from '../../kernel/kernel.ts'
import { type Ledger, since, snapshot } from '../../kernel/ledger.ts'
import { type Plan, FaultPlan } from '../../sim/fault-plan.ts'
import type { Fiber, Violation } from '../../sim/system.ts'
import { RecordingTape } from '../../sim/tape.ts'
import { type Counterexample, runOnce } from './check.ts'
import { single } from './generate.ts'
import type { Judge } from './judge.ts'
import type { Action, Actions, Program } from './program.ts'
import { BadProgram } from './place.ts'
import { World, type WorldOptions } from './world.ts'

/** Counters of undoing, in the order of the tables. */
export const UNDO_VERBS = [
  'unreservesUndone', 'blocksUnreserved', 'blocksPunched', 'blocksZeroedUndone', 'foliosDropped', 'locksUndone',
] as const
/** The name of one. */
export type UndoVerb = (typeof UNDO_VERBS)[number]

/** The site of a write that its source cut short. */
export const SHORT_COPY = '(short copy)'

/** The site of a write that breaks a claim although nothing fails. */
export const NO_FAULT = '(no fault)'

/** What one fault site brings about. Plain data. */
export interface SiteUndo {
  readonly site: string
  /** Times that writes came by. */
  reached: number
  /** Runs in which it failed and its undo was counted. */
  failed: number
  /** Of those, runs in which anything was undone. */
  undone: number
  /** Sums over `failed`. */
  readonly verbs: Record<UndoVerb, number>
  /** Sites that were reached in the undo, and how often. */
  readonly inUndo: Record<string, number>
  /** Runs in which this failed, and then a site in its undo. */
  pairs: number
  /** Blocks that pairs left to nobody: neither free nor used, until e2fsck finds them. */
  lost: number
  /** The first run that broke each claim: this site alone, and with a site in its undo. */
  readonly broken: Record<string, Counterexample>
  readonly brokenByPairs: Record<string, Counterexample & { readonly second: string }>
}

/** The undo of a design. Plain data. */
export interface UndoReport {
  readonly strategy: string
  /** Those that could be set up. */
  readonly programs: number
  readonly runs: number
  readonly sites: readonly SiteUndo[]
}

/** What to count, and how much. */
export interface UndoOptions {
  readonly strategy: AnyStrategy
  readonly judges: readonly Judge[]
  /** Programs of one write each. */
  readonly programs: Iterable<Program>
}

/** The design, and whether one of its hooks that undo is running. */
class Phases {
  undoing = false
  readonly strategy: AnyStrategy

  constructor(s: AnyStrategy) {
    const during = function* (phases: Phases, kernel: Kernel<void>): Kernel<void> {
      phases.undoing = true
      try {
        yield* kernel
      } finally {
        phases.undoing = false
      }
    }
    const end = s.end ?? settle
    this.strategy = {
      ...s,
      end: (k, w, m) => during(this, end.call(s, k, w, m)),
      ...(s.putFolio !== undefined && {
        putFolio: (k, w, m, f, off, n, accepted) => during(this, s.putFolio!(k, w, m, f, off, n, accepted)),
      }),
    }
  }
}

/** A plan of faults that notes which sites were reached in an undo. */
class PlannedFaults implements Choices {
  readonly plan: FaultPlan
  /** By instance: was it reached in an undo? */
  readonly inUndo: boolean[] = []
  readonly #phases: Phases

  constructor(plan: Plan, phases: Phases) {
    this.plan = new FaultPlan(plan)
    this.#phases = phases
  }

  choose(n: number, kind: ChoiceKind, label: string): number {
    if (kind === 'fault') this.inUndo.push(this.#phases.undoing)
    return this.plan.choose(n, kind, label)
  }
}

/** A world whose ledger is read when the write is over, before anybody looks at what it left. */
export class Metered extends World {
  #before: Ledger = snapshot(this.session.ledger)
  cost: Ledger = this.#before
  /** Blocks that the run left to nobody. */
  lost = 0

  override begin(choices: Choices): readonly Fiber[] {
    // Also what an undo lost for good: space that a bitmap did not take back.
    this.place.rested = true
    const fibers = super.begin(choices)
    this.#before = snapshot(this.session.ledger)
    this.lost = 0
    return fibers
  }

  override ended(): readonly Violation[] {
    this.cost = since(this.#before, this.session.ledger)
    this.lost = this.session.fs.lostBlocks
    return super.ended()
  }
}

/** The metered world of a program, or null if what it did before cannot be done on its ground. */
const meteredWorld = (program: Program, options: WorldOptions): Metered | null => {
  try {
    return new Metered(program, options)
  } catch (e) {
    if (e instanceof BadProgram) return null
    throw e
  }
}

/** One run of the write. */
interface Taken {
  readonly reached: readonly string[]
  readonly inUndo: readonly boolean[]
  readonly cost: Ledger
  readonly lost: number
  readonly broken: readonly Counterexample[]
}

const breaks = (run: Taken, claim: string): boolean => run.broken.some((c) => c.claim === claim)

/** Counts the undo of one design over programs. */
class UndoCounter {
  readonly #options: UndoOptions
  readonly #phases: Phases
  readonly #sites = new Map<string, SiteUndo>()
  programs = 0
  runs = 0

  constructor(options: UndoOptions) {
    this.#options = options
    this.#phases = new Phases(options.strategy)
  }

  /** All runs of one program. */
  program(program: Program): void {
    const world = meteredWorld(program, { strategy: this.#phases.strategy, judges: this.#options.judges })
    if (world === null) return
    this.programs++
    const dry = this.#run(world, { fail: [] })
    const quiet = UNDO_VERBS.every((v) => dry.cost[v] === 0)
    for (const c of dry.broken) this.#site(quiet ? NO_FAULT : SHORT_COPY).broken[c.claim] ??= c
    for (const site of dry.reached) this.#site(site).reached++
    if (!quiet) this.#count(this.#site(SHORT_COPY), dry)
    for (let i = 0; i < dry.reached.length; i++) {
      const site = this.#site(dry.reached[i]!)
      const once = this.#run(world, { fail: [i] })
      for (const c of once.broken) if (!breaks(dry, c.claim)) site.broken[c.claim] ??= c
      if (quiet) this.#count(site, once)
      for (let j = i + 1; j < once.reached.length; j++) if (once.inUndo[j] === true) this.#pair(world, site, i, j, once)
    }
  }

  #pair(world: Metered, site: SiteUndo, i: number, j: number, once: Taken): void {
    const both = this.#run(world, { fail: [i, j] })
    const second = once.reached[j]!
    site.pairs++
    site.lost += both.lost - once.lost
    site.inUndo[second] = (site.inUndo[second] ?? 0) + 1
    for (const c of both.broken) {
      if (!breaks(once, c.claim)) site.brokenByPairs[c.claim] ??= { ...c, second }
    }
  }

  #run(world: Metered, plan: Plan): Taken {
    const faults = new PlannedFaults(plan, this.#phases)
    const tape = new RecordingTape({ fault: faults })
    this.#phases.undoing = false
    const { violations } = runOnce(world, tape)
    this.runs++
    const broken = violations.map((v) => ({ ...v, program: world.program, tape: tape.data }))
    return { reached: faults.plan.reached, inUndo: faults.inUndo, cost: world.cost, lost: world.lost, broken }
  }

  #site(site: string): SiteUndo {
    let found = this.#sites.get(site)
    if (found === undefined) {
      const verbs = Object.fromEntries(UNDO_VERBS.map((v) => [v, 0])) as Record<UndoVerb, number>
      found = { site, reached: 0, failed: 0, undone: 0, verbs, inUndo: {}, pairs: 0, lost: 0, broken: {}, brokenByPairs: {} }
      this.#sites.set(site, found)
    }
    return found
  }

  #count(site: SiteUndo, { cost }: Taken): void {
    site.failed++
    if (UNDO_VERBS.some((v) => cost[v] > 0)) site.undone++
    for (const v of UNDO_VERBS) site.verbs[v] += cost[v]
  }

  report(): UndoReport {
    const { strategy } = this.#options
    const sites = [...this.#sites.values()].sort((a, b) => (a.site < b.site ? -1 : 1))
    return { strategy: strategy.name, programs: this.programs, runs: this.runs, sites }
  }
}

/** Count the undo of a design; yields after each program. */
export function* undo(options: UndoOptions): Generator<{ readonly programs: number }, UndoReport> {
  const counter = new UndoCounter(options)
  for (const program of options.programs) {
    counter.program(program)
    yield { programs: counter.programs }
  }
  return counter.report()
}

const write = (pos: number, len: number, readable = len): Action => ({ op: 'write', pos, len, ...(readable < len && { readable }) })
const sync: Action = { op: 'sync' }

/** The programs of the table: small blocks, large ones, and a disk that is nearly full; five pasts; six writes. */
export const UNDO_PROGRAMS: readonly Program[] = ([
  { format: 'ext4', blockSize: 1024, folioOrder: 0 }, { format: 'ext4', blockSize: 4096, folioOrder: 0 },
  { format: 'ext4', blockSize: 1024, folioOrder: 0, leave: 4 },
] as const).flatMap((config) => ([
  [], [write(0, 1000)], [write(0, 8192), sync], [write(0, 1024), write(9216, 1024), sync],
  [write(0, 3000), sync, { op: 'truncate', size: 9000 }],
] satisfies Actions[]).flatMap((before) => [
  write(0, 8192), write(1000, 5000), write(3000, 9000), write(0, 100), write(0, 8192, 2500), write(2048, 6000, 4000),
].map((action) => ({ config, before, fibers: [[action]] }))))

/** The first `n` programs of one write, in the order that the seed decides. */
export function* singles(n: number, seed: number): Generator<Program> {
  let left = n
  for (const program of single(seed)) {
    if (left-- <= 0) return
    yield program
  }
}

/** Run `undo` at one go. */
export const undoAll = (options: UndoOptions): UndoReport => {
  const steps = undo(options)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
