/**
 * Check a design against the claims: budgets, shares, what a run of them comes to as verdicts and a certificate.
 *
 * A check is always cut into two shares, each with every second program, whether they run in two threads, one after the other,
 * or on another machine: so the same design, seed and budget find the same things everywhere. `runShare` may be given code that
 * throws, loops or yields nonsense; it always comes back.
 */
import type { AnyStrategy } from '../src/fs/strategy.ts'
import { COPY_STEP } from '../src/fs/verbs.ts'
import { check, type CheckProgress, type CheckReport, type LaneReport } from '../src/lab/check/check.ts'
import { crossCheck } from '../src/lab/check/cross-check.ts'
import { type Program, sayAction, sayConfig } from '../src/lab/check/program.ts'
import type { CertifiedLane, Checked, CrossCheck, Shown, Verdict } from '../src/lab/check/verdict.ts'
import type { FormatName } from '../src/lab/session.ts'
import { collisionRisk } from '../src/sim/digest.ts'
import { ordTape } from '../src/sim/tape.ts'
import { weigh } from '../src/lab/check/shrink.ts'
import { type Called, calling } from './calling.ts'
import type { Claim } from './claims/claim.ts'
import { CLAIMS, JUDGES } from './claims/index.ts'
import { Overtime, within } from './interruptible.ts'
import { type Kill, KILLS } from './kills.ts'
import { show } from './show.ts'

/** Executions of a check, both shares. A core of 2026 does about 1,500 a second. */
export const BUDGETS = { smoke: 3_000, ci: 80_000, deep: 2_000_000 } as const
/** Small programs that are searched again by other routes. */
const CROSS = { smoke: 2, ci: 6, deep: 24 } as const
/** Executions to make one counterexample smaller. */
const SHRINKING = { smoke: 400, ci: 1_500, deep: 4_000 } as const
/** How much is checked. */
export type Budget = keyof typeof BUDGETS

/** Into how many shares a check is cut. */
export const SHARES = 2
/** Seconds that one program may take before it counts as one that does not end; most take less than one. */
export const PATIENCE = 60

/** What to check. Plain data. */
export interface Ask {
  readonly seed: number
  readonly budget: Budget
  /** Executions instead of those of the budget. */
  readonly executions?: number
  /** Only this claim: its judges alone look, and the check ends when it is broken. */
  readonly claim?: string
  /** Without the judges of this claim: what they alone can see stays unseen. */
  readonly without?: string
  readonly format?: FormatName
  /** Default PATIENCE. */
  readonly patience?: number
}

/** What one share came to. Plain data. */
export interface Share {
  readonly report: CheckReport
  /** What was found, made small, by claim. */
  readonly shown: Readonly<Record<string, Shown>>
  /** What ended the share early: a call that did not come back, or a breakdown outside of any run; null: nothing. */
  readonly ended: Ended | null
  readonly cross: CrossCheck
  /** Processor seconds. */
  readonly seconds: number
}

/** The end of a share that came early, and the claim that it is put to. */
export interface Ended {
  readonly claim: 'I15' | 'port'
  readonly what: string
}

/** How far a share is. */
export interface ShareProgress {
  readonly executions: number
  readonly of: number
  readonly found: readonly string[]
}

const NO_CROSS: CrossCheck = { programs: 0, endStates: 0, executions: 0, unpruned: 0, reversed: 0, differences: [] }

/** Judges of what is asked. */
const judgesOf = ({ claim, without }: Ask): typeof JUDGES =>
  JUDGES.filter((j) => (claim === undefined || j.claim === claim) && j.claim !== without)

/** Milliseconds of programs under one watch: a watch costs a thread of its own, and most programs take far less. */
const WATCH = 50

/** Run share number `share` of a check. */
export const runShare = (strategy: AnyStrategy, ask: Ask, share: number, say: (p: ShareProgress) => void = () => {}): Share => {
  const called: Called = { hook: null }
  const watched = calling(strategy, called)
  const start = process.threadCpuUsage()
  const patience = ask.patience ?? PATIENCE
  let program: Program | null = null
  const at: { last: CheckProgress | null; report: CheckReport | null } = { last: null, report: null }
  const steps = check({
    strategy: watched, judges: judgesOf(ask), seed: ask.seed, share, of: SHARES,
    executions: Math.ceil((ask.executions ?? BUDGETS[ask.budget]) / SHARES),
    about: (p) => { program = p }, ...(ask.format && { format: ask.format }), ...(ask.claim && { until: ask.claim }),
  })
  let cross = NO_CROSS
  let ended: Ended | null = null
  try {
    while (at.report === null) {
      within(patience, () => {
        const end = performance.now() + WATCH
        do {
          const step = steps.next()
          if (step.done === true) at.report = step.value
          else at.last = step.value
        } while (at.report === null && performance.now() < end)
      })
      if (at.report === null) say({ executions: at.last!.executions, of: at.last!.of, found: at.last!.found })
    }
    if (share === 0 && ask.claim === undefined && !('port' in at.report!.found)) cross = crossed(watched, ask, patience)
  } catch (e) {
    ended = endedBy(e, called, program, patience)
  }
  const report = at.report ?? at.last?.report() ?? emptyReport(strategy.name, ask.seed)
  const shown = shownOf(report, watched, ask, patience)
  const { user, system } = process.threadCpuUsage(start)
  return { report, shown, ended, cross, seconds: (user + system) / 1e6 }
}

/** What was found, made small. Of one claim only, if one was asked for. */
const shownOf = (report: CheckReport, strategy: AnyStrategy, ask: Ask, patience: number): Share['shown'] => {
  const wanted = Object.values(report.found).filter((c) => ask.claim === undefined || c.claim === ask.claim || c.claim === 'port')
  return Object.fromEntries(wanted.map((c) => [c.claim, show(c, strategy, SHRINKING[ask.budget], patience)]))
}

const crossed = (strategy: AnyStrategy, { seed, format, budget }: Ask, patience: number): CrossCheck => {
  const steps = crossCheck({ strategy, seed, ...(format && { format }) }, CROSS[budget])
  for (;;) {
    const step = within(patience, () => steps.next())
    if (step.done === true) return step.value
  }
}

/** The share of a design that took its thread down: nothing is known but that. */
export const lostShare = (strategy: string, { seed }: Ask, what: string): Share =>
  ({ report: emptyReport(strategy, seed), shown: {}, ended: { claim: 'port', what }, cross: NO_CROSS, seconds: 0 })

const emptyReport = (strategy: string, seed: number): CheckReport =>
  ({ strategy, seed, executions: 0, lanes: [], found: {}, evaluations: {}, lockOrder: {}, refused: 0 })

/** What was thrown outside of any run is put to the port: the design has left the world in pieces, or taken the check apart. */
const endedBy = (e: unknown, { hook }: Called, program: Program | null, seconds: number): Ended => {
  const where = program === null ? '' : `, in ${sayProgram(program)}`
  if (!(e instanceof Overtime)) {
    return { claim: 'port', what: `the check broke down: ${e instanceof Error ? `${e.name}: ${e.message}` : String(e)}${where}` }
  }
  const who = hook === null ? 'a call' : `the hook ${hook}`
  return { claim: 'I15', what: `${who} did not return within ${seconds} s: an endless loop${where}` }
}

/** One line. */
export const sayProgram = ({ config, before, fibers }: Program): string => {
  const say = (actions: readonly Parameters<typeof sayAction>[0][]): string => actions.map(sayAction).join('; ')
  return `${sayConfig(config)}: ${before.length === 0 ? '' : `before: ${say(before)}; then: `}${fibers.map(say).join(' || ')}`
}

// --- adding up ---------------------------------------------------------------------------------------------------------

const add = (a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> => {
  const sum: Record<string, number> = { ...a }
  for (const [key, n] of Object.entries(b)) sum[key] = (sum[key] ?? 0) + n
  return sum
}

const addLanes = (a: readonly LaneReport[], b: readonly LaneReport[]): LaneReport[] =>
  [...new Set([...a, ...b].map((l) => l.lane))].map((lane) => {
    const of = (key: Exclude<keyof LaneReport, 'lane'>): number =>
      [...a, ...b].filter((l) => l.lane === lane).reduce((n, l) => n + l[key], 0)
    return {
      lane, programs: of('programs'), exhausted: of('exhausted'), executions: of('executions'), states: of('states'), steps: of('steps'),
    }
  })

/** The one that weighs less; of two that weigh the same, that of the earlier share. */
const simpler = (a: Shown | undefined, b: Shown): Shown => {
  if (a === undefined) return b
  const [x, y] = [a, b].map((s) => weigh(s.program, s.preemptions, s.tape)) as [readonly number[], readonly number[]]
  const i = x.findIndex((n, at) => n !== y[at])
  return (i < 0 ? ordTape.compare(b.tape, a.tape) : y[i]! - x[i]!) < 0 ? b : a
}

const shownBest = (shares: readonly Share[]): Readonly<Record<string, Shown>> => {
  const best: Record<string, Shown> = {}
  for (const s of shares.flatMap(({ shown }) => Object.values(shown))) best[s.claim] = simpler(best[s.claim], s)
  return best
}

/** Reports of all shares, in their order, as one. */
export const mergeReports = (reports: readonly CheckReport[]): CheckReport =>
  reports.reduce((a, b) => ({
    strategy: a.strategy, seed: a.seed, executions: a.executions + b.executions, lanes: addLanes(a.lanes, b.lanes),
    found: { ...b.found, ...a.found }, evaluations: add(a.evaluations, b.evaluations), lockOrder: add(a.lockOrder, b.lockOrder),
    refused: a.refused + b.refused,
  }))

// --- verdicts ----------------------------------------------------------------------------------------------------------

/** A claim as far as a verdict needs it. */
type Row = Pick<Claim, 'id' | 'family' | 'short' | 'declared' | 'vacuous'>

const PORT: Row = { id: 'port', family: 'calls', short: 'the contract of the port is kept' }

/** Claims that were left out of the checks, with what looks at them instead. */
const LEFT_OUT: readonly (Pick<Claim, 'id' | 'short'> & { readonly why: string })[] = [
  { id: 'I28', short: 'a crash shows old, new or zero', why: 'a check loses no power; perform-write crash does' },
  { id: 'I30', short: 'a stolen page has no other writer', why: 'no program of a check writes from a pipe' },
  { id: 'I31', short: 'a failed COW write harms neither owner', why: 'neither ext2 nor ext4 shares blocks' },
  { id: 'I32', short: 'any two designs give the same bytes', why: 'a check looks at one design; properties/agreement.test.ts at all' },
]

/** Claims of the project's list that no judge of a check looks at, and why. */
export const ELSEWHERE = LEFT_OUT.filter(({ id }) => !CLAIMS.some((c) => c.id === id))

/** Claims that a check gives a verdict of, with `port` last. */
export const ROWS: readonly Row[] = [...CLAIMS, PORT]

/** Judged by how runs end, whatever the judges see. */
const BY_OUTCOME = ['I15', 'I16', 'port']

interface Facts {
  readonly strategy: AnyStrategy
  readonly report: CheckReport
  readonly shown: Readonly<Record<string, Shown>>
  readonly ended: Ended | null
  readonly kills: readonly Kill[]
  readonly seconds: number
  readonly without?: string
}

const verdictOf = (row: Row, f: Facts): Verdict => {
  const { id, family, short } = row
  const { report: { executions }, seconds } = f
  const counterexample = f.shown[id]
  const evaluations = f.without === id ? 0 : (f.report.evaluations[id] ?? 0) + (BY_OUTCOME.includes(id) ? executions : 0)
  const [status, reason] = judged(row, evaluations, f)
  return { claim: id, family, short, status, reason, executions, evaluations, seconds, ...(counterexample && { counterexample }) }
}

const judged = (row: Row, evaluations: number, f: Facts): readonly [Verdict['status'], string] => {
  const broken = row.id === f.ended?.claim ? f.ended.what : f.shown[row.id]?.what
  const declared = row.declared?.(f.strategy) === true
  if (broken !== undefined) return declared ? ['declared', `broken, as the design declares: ${broken}`] : ['fail', broken]
  const vacuous = row.vacuous?.(f.strategy) ?? null
  if (vacuous !== null) return ['n.a.', vacuous]
  if (declared) return ['declared', 'the design does not claim it; nothing broke it']
  if (evaluations === 0) return ['untested', f.without === row.id ? 'its judges were taken away' : 'no run came to where it is looked at']
  if (f.ended !== null) return ['untested', 'the check was ended early']
  const killed = f.kills.filter((k) => k.claim === row.id && k.killed).map((k) => k.id)
  if (killed.length === 0) return ['untested', 'nothing broke it, but no mutant shows that this check could see it broken']
  return ['pass', `killed ${killed.join(', ')}`]
}

/** Verdicts and certificate of all shares. */
export const conclude = (strategy: AnyStrategy, ask: Ask, shares: readonly Share[], kills: readonly Kill[] = KILLS): Checked => {
  const report = mergeReports(shares.map((s) => s.report))
  const ended = shares.map((s) => s.ended).find((e) => e !== null) ?? null
  const seconds = shares.reduce((n, s) => n + s.seconds, 0)
  const shown = shownBest(shares)
  const facts: Facts = { strategy, report, shown, ended, kills, seconds, ...(ask.without && { without: ask.without }) }
  const known = ROWS.map((r) => r.id)
  const others = Object.keys(shown).filter((id) => !known.includes(id))
    .map((id): Row => ({ id, family: 'calls', short: 'the check itself' }))
  const isAsked = ({ id }: Row): boolean =>
    ask.claim === undefined || id === ask.claim || id === ended?.claim || (id === 'port' && 'port' in shown)
  return {
    strategy: strategy.name, verdicts: [...ROWS, ...others].filter(isAsked).map((r) => verdictOf(r, facts)),
    certificate: certify(ask, report, shares), ended: ended?.what ?? null,
  }
}

/** Check a design in this thread, share after share. Code that throws or loops is a finding, never an error. */
export const checkStrategy = (strategy: AnyStrategy, ask: Ask, say?: (p: ShareProgress) => void): Checked => {
  const shares: Share[] = []
  for (let i = 0; i < SHARES; i++) {
    const share = runShare(strategy, ask, i, say)
    shares.push(share)
    if (share.ended !== null) break
  }
  return conclude(strategy, ask, shares)
}

// --- certificate -------------------------------------------------------------------------------------------------------

/** What a lane enumerates for each of its programs (src/lab/check/check.ts). */
export const BOUNDS: Readonly<Record<string, string>> = {
  calls: 'calls in a row, nothing fails',
  faults: 'one write, each fault site once and for good',
  two: '2 fibers, 1 preemption',
  'faults in sequences': 'calls in a row, each fault site once',
  others: '2 fibers of other calls, 1 preemption',
  both: '2 fibers, 1 preemption, 1 fault',
  pairs: 'one write, each fault site and each after it',
  'two, 2 preemptions': '2 fibers, 2 preemptions',
  three: '3 fibers, 1 preemption',
  long: '5 calls in a row, then 1 fault by chance',
  chance: '2 or 3 fibers of 1 to 3 calls, by chance',
}

const certify = (ask: Ask, report: CheckReport, shares: readonly Share[]): Checked['certificate'] => ({
  seed: ask.seed, executions: report.executions, refused: report.refused,
  states: report.lanes.reduce((n, l) => n + l.states, 0), steps: report.lanes.reduce((n, l) => n + l.steps, 0),
  lanes: report.lanes.map((l): CertifiedLane => ({ ...l, bounds: BOUNDS[l.lane] ?? '' })),
  collisionRisk: report.lanes.reduce((sum, l) => sum + collisionRisk(l.states), 0),
  copyStep: COPY_STEP, formats: ask.format === undefined ? ['ext2', 'ext4'] : [ask.format],
  cross: shares.find((s) => s.cross.programs > 0)?.cross ?? NO_CROSS,
})
