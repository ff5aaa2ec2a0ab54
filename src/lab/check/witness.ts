/**
 * Witness: the smallest scenario in which one design breaks a claim that another keeps.
 *
 * Programs of the families of a check are tried by size: fewest actions first, those without faults first; within a
 * size in the order of the seed, each with no preemption first, then one, then two. A is searched exhaustively within
 * these bounds; where it breaks the claim, B is searched within the same bounds and must keep it in **every** run. A is
 * held to what B promises of isolation, rollback and refusal, so that a design that promises nothing has no way out.
 * Then both run under the one tape, for a table.
 *
 * "Smallest" is as sure as the sizes below were seen in full: `cut` names those where the budget ended first.
 * Deterministic.
 */
import type { AnyStrategy } from '../../fs/strategy.ts'
import { COUNTERS, type Counter, since, snapshot } from '../../kernel/ledger.ts'
import { explore, type ExploreOptions } from '../../sim/explore.ts'
import type { Finding } from '../../sim/search.ts'
import { strip, type TapeData } from '../../sim/tape.ts'
import { STEP_BUDGET, worldFor } from './check.ts'
import { type Family, others, pair, sequence, single, three } from './generate.ts'
import type { Judge } from './judge.ts'
import { claimOf } from './outcome.ts'
import { type Action, type Program, sayAction } from './program.ts'
import { judgesOf, rerunIn } from './rerun.ts'
import { World } from './world.ts'

/** What is searched. */
export interface WitnessOptions {
  /** The design that is to break a claim, and the one that is to keep it. */
  readonly a: AnyStrategy
  readonly b: AnyStrategy
  readonly judges: readonly Judge[]
  /** Only this claim; default any. */
  readonly claim?: string
  readonly seed: number
  /** Executions in all, of both. */
  readonly executions: number
  /** Where programs come from; default: the families of a check. */
  readonly families?: readonly Family[]
}

/** How large a scenario is, in the order in which they are tried. */
export interface Size {
  /** Those before the fibers included. */
  readonly actions: number
  readonly faults: number
  readonly preemptions: number
}

/** A scenario. Plain data. */
export interface Witness {
  readonly claim: string
  readonly what: string
  readonly program: Program
  readonly tape: TapeData
  readonly size: Size
  /** Runs of B that kept the claim: all within the bounds. */
  readonly kept: number
}

/** What a search came to. */
export interface WitnessSearch {
  readonly found: Witness | null
  readonly programs: number
  readonly executions: number
  /** Sizes that were not seen in full. */
  readonly cut: readonly Size[]
}

const FAMILIES: readonly Family[] = [single, sequence, pair, others, three]
/** Most preemptions, by faults: a program with one fiber has none. */
const PREEMPTIONS = [2, 1] as const
/** Most actions of a scenario. */
const MOST_ACTIONS = 5
/** Most executions of one search of one program, and what part of the budget one size may take. */
const MOST = 2000
const SHARE = 4

/** What a program must do so that a claim can be about it; claims that are missing are about any. */
const ABOUT: Readonly<Record<string, (ops: readonly Action['op'][], fibers: number) => boolean>> = {
  I20: (ops, fibers) => fibers > 1 && ops.includes('write') && (ops.includes('read') || ops.filter((o) => o === 'write').length > 1),
  I21: (ops, fibers) => fibers > 1 && ops.some((o) => o === 'fsync' || o === 'writeback' || o === 'sync'),
  I23: (ops) => ops.includes('store') || ops.includes('dma'),
  I24: (ops) => ops.includes('truncate') || ops.includes('punch') || ops.includes('zero'),
}

/** Actions of a program, those before the fibers included. */
export const actionsOf = (p: Program): number => p.before.length + p.fibers.reduce((n, f) => n + f.length, 0)

/** A, held to what B promises: the fields of its claims that only judges read. */
export const heldTo = (a: AnyStrategy, { claims: { isolation, rollback, mayRefuse = false } }: AnyStrategy): AnyStrategy =>
  ({ ...a, claims: { ...a.claims, isolation, rollback, mayRefuse } })

/** The search; yields after every program. */
export function* witness(options: WitnessOptions): Generator<{ readonly executions: number; readonly size: Size }, WitnessSearch> {
  const search = new Searching(options)
  for (let actions = 1; actions <= MOST_ACTIONS; actions++) {
    for (const faults of [0, 1] as const) {
      const size = { actions, faults, preemptions: PREEMPTIONS[faults] }
      const limit = Math.min(options.executions, search.executions + options.executions / SHARE)
      for (const program of ofSize(actions, options)) {
        if (search.executions >= limit) {
          search.cut.push(size)
          break
        }
        const found = search.program(program, size)
        if (found !== null) return search.result(found)
        yield { executions: search.executions, size }
      }
    }
  }
  return search.result(null)
}

/** Programs of so many actions that the claim can be about, one of each family in turn. */
function* ofSize(actions: number, { seed, claim, families: from = FAMILIES }: WitnessOptions): Generator<Program> {
  const about = claim === undefined ? undefined : ABOUT[claim]
  const families = from.map((family) => family(seed))
  const over = new Set<number>()
  for (let i = 0; over.size < families.length; i = (i + 1) % families.length) {
    for (;;) {
      const next = families[i]!.next()
      if (next.done === true) {
        over.add(i)
        break
      }
      const p = next.value
      if (actionsOf(p) !== actions || about?.(p.fibers.flat().map((x) => x.op), p.fibers.length) === false) continue
      yield p
      break
    }
  }
}

class Searching {
  executions = 0
  programs = 0
  readonly cut: Size[] = []
  readonly #a: AnyStrategy
  readonly #b: AnyStrategy
  readonly #judges: readonly Judge[]
  readonly #claim: string | undefined

  constructor({ a, b, judges, claim }: WitnessOptions) {
    this.#a = heldTo(a, b)
    this.#b = b
    this.#claim = claim
    this.#judges = claim === undefined ? judges : judgesOf(claim, judges)
  }

  /** Does A break in this program what B keeps? The fewest preemptions that do. */
  program(program: Program, { actions, faults, preemptions: most }: Size): Witness | null {
    this.programs++
    for (let preemptions = 0; preemptions <= (program.fibers.length === 1 ? 0 : most); preemptions++) {
      const size = { actions, faults, preemptions }
      const broken = this.#findings(this.#a, program, size)
      if (broken === null) return null
      if (broken.size === 0) continue
      const before = this.executions
      const kept = this.#findings(this.#b, program, size, true)
      if (kept === null) return null
      for (const [claim, f] of broken) {
        if (!kept.has(claim)) return { claim, what: f.what, program, tape: strip(f.tape), size, kept: this.executions - before }
      }
      return null
    }
    return null
  }

  /** What is broken within the bounds, by claim; null if the program cannot be set up, or `whole` and not all was seen. */
  #findings(strategy: AnyStrategy, program: Program, { faults, preemptions }: Size, whole = false): Map<string, Finding> | null {
    const world = worldFor(program, { strategy, judges: this.#judges })
    if (world === null) return null
    const options: ExploreOptions = {
      budget: { executions: MOST, preemptions }, steps: STEP_BUDGET, collect: true,
      bounds: { completion: Infinity, short: 2, fault: faults },
    }
    const done = explore(world, options)
    this.executions += done.executions
    if (whole && done.interrupted.length > 0) return null
    const found = new Map<string, Finding>()
    for (const f of done.findings) {
      const claim = claimOf(f.claim, f.what)
      if (this.#claim === undefined || this.#claim === claim) found.set(claim, f)
    }
    return found
  }

  result(found: Witness | null): WitnessSearch {
    return { found, programs: this.programs, executions: this.executions, cut: this.cut }
  }
}

// --- side by side ----------------------------------------------------------------------------------------------------

/** A step of a run: who did what, and what came of it. */
export interface WitnessStep {
  readonly step: string
  readonly notes: readonly string[]
}

/** A run of a design under a tape. */
export interface WitnessRun {
  readonly strategy: string
  readonly steps: readonly WitnessStep[]
  /** What each action returned. */
  readonly results: readonly string[]
  /** How the claim was broken, or null. */
  readonly broken: string | null
}

const WORDS: readonly (readonly [Counter, string])[] = [
  ['reservedBlocks', 'blocks reserved'], ['records', 'extents recorded'], ['allocatedBlocks', 'blocks allocated'],
  ['foliosAdded', 'folios added'], ['foliosReplaced', 'folios replaced'], ['unmaps', 'PTEs torn down'],
  ['invalidateRefused', 'invalidations refused'], ['copiedBytes', 'bytes copied'], ['dataBios', 'bios'],
  ['blocksUnreserved', 'blocks unreserved'], ['blocksPunched', 'blocks punched'], ['blocksZeroedUndone', 'blocks zeroed'],
  ['foliosDropped', 'folios dropped'],
]

/** Run one design under the tape of a witness. */
export const witnessRun = (strategy: AnyStrategy, w: Witness, judges: readonly Judge[]): WitnessRun => {
  const world = new World(w.program, { strategy, judges: judgesOf(w.claim, judges) })
  const { ledger } = world.session
  const steps: WitnessStep[] = []
  let before = snapshot(ledger)
  let failed = 0
  const ended = new Set<number>()
  const done = rerunIn(world, w, (m) => {
    const cost = since(before, ledger)
    before = snapshot(ledger)
    const notes = WORDS.filter(([c]) => COUNTERS.includes(c) && cost[c] > 0).map(([c, word]) => `${cost[c]} ${word}`)
    for (; failed < world.failed.length; failed++) notes.push(`${world.failed[failed]!} fails`)
    for (const r of world.history.records) {
      if (!r.ended || ended.has(r.id)) continue
      ended.add(r.id)
      notes.push(`${sayAction(r.action)} => ${r.errno ?? String(r.n)}`)
    }
    const { fibers, labels, length } = m.trace
    steps.push({ step: `${m.fibers[fibers[length - 1]!]!.name}: ${labels[length - 1]!}`, notes })
  })
  const results = world.history.records.map((r) => `${sayAction(r.action)} => ${r.ended ? (r.errno ?? String(r.n)) : 'under way'}`)
  return { strategy: strategy.name, steps, results, broken: done.shown }
}

/** The first step at which two runs differ, from 0; their shorter length if they never do. */
export const firstDifference = (a: WitnessRun, b: WitnessRun): number => {
  const n = Math.min(a.steps.length, b.steps.length)
  for (let i = 0; i < n; i++) {
    const [x, y] = [a.steps[i]!, b.steps[i]!]
    if (x.step !== y.step || x.notes.join() !== y.notes.join()) return i
  }
  return n
}
