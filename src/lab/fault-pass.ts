/**
 * The quick fault pass: every scene, once with nothing failing, then once for each fault site that its write reaches, each
 * failing once and failing from then on.
 *
 * Enumerated, never sampled; the number of plays follows from the design. With `pairs` also each site that is reached after
 * another one failed, so that an undo that fails in turn is seen (grow@3@5). Interleavings and crashes are not here. `selfTest`
 * shows the same pass to the mutants.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { MemoryDevice } from '../block/memory-device.ts'
import { Ledger, monoidLedger } from '../kernel/ledger.ts'
import { type Claim, type ClaimId, CLAIMS } from './claims.ts'
import { GROUND_BYTES, type Ground, type Play, play } from './play.ts'
import { type Scene, SCENES } from './scene.ts'
import { MUTANTS, type Mutant } from './self-test/mutants.ts'
import { type FormatName, make } from './session.ts'

/** Format, block and folio size: what a comparison holds fixed. */
export interface Fixed {
  readonly format: FormatName
  /** Bytes. */
  readonly blockSize: number
  /** The largest folio, as an order. */
  readonly folioOrder: number
}

/** What a pass may be told. */
export interface PassOptions {
  /** Let a second site fail after the first, too: in its undo, or in what is tried instead. Default false. */
  readonly pairs?: boolean
}

/** A broken claim: the first play that showed it. */
export interface Broken {
  readonly what: string
  readonly scene: string
  /** The fault site of that play, or null: nothing was made to fail. */
  readonly site: string | null
  /** As `compare --scene` takes it: `grow`, `grow@3`, `grow@3!`. */
  readonly replay: string
  readonly timeline: readonly string[]
}

/** What the pass found about one design. Plain data. */
export interface FaultPass {
  readonly plays: number
  /** Plays in which a fault was injected. */
  readonly faulted: number
  /** Judged writes that failed or were cut short. */
  readonly failedWrites: number
  /** How often each claim was looked at. */
  readonly checked: Readonly<Record<ClaimId, number>>
  readonly broken: Readonly<Record<ClaimId, Broken>>
  /**
   * By fault site: the sites that the same write reached after that one had failed once, in its undo or in what it tried
   * instead. Where there is none, nothing there can fail.
   */
  readonly after: Readonly<Record<string, readonly string[]>>
  /** Cost of the failed writes alone, summed. */
  readonly undo: Ledger
  /** Everything that all plays counted. */
  readonly total: Ledger
}

/** A fresh file system for scenes. Free space is 0xAA, so that stale data shows. @throws Error if mkfs fails: a bug */
export const groundDevice = (fixed: Fixed): MemoryDevice => {
  const device = new MemoryDevice(GROUND_BYTES, { fill: 0xaa })
  const made = make(device, { ...fixed, zeroTables: true })
  if (isLeft(made)) throw new Error(made.left.message)
  return device
}

/** `grow@3!`: scene, failing instance, sticky. */
export const sayReplay = (p: Pick<Play, 'scene' | 'plan'>): string =>
  p.scene + p.plan.fail.map((i) => `@${i}`).join('') + (p.plan.sticky === true ? '!' : '')

/** All plays of one scene, the one without faults first. */
export function* playsOf(scene: Scene, ground: Ground, { pairs = false }: PassOptions = {}): Generator<Play> {
  const dry = play(scene, ground)
  yield dry
  for (let i = 0; i < dry.reached.length; i++) {
    const once = play(scene, ground, { fail: [i] })
    yield once
    yield play(scene, ground, { fail: [i], sticky: true })
    for (let j = i + 1; pairs && j < once.reached.length; j++) yield play(scene, ground, { fail: [i, j] })
  }
}

/** The pass, play by play; what it found in all is what the generator returns. */
export function* faultPlays(ground: Ground, options: PassOptions = {}): Generator<Play, FaultPass> {
  const checked: Record<ClaimId, number> = {}
  const broken: Record<ClaimId, Broken> = {}
  const after = new Map<string, Set<string>>()
  let [plays, faulted, failedWrites] = [0, 0, 0]
  let undo = new Ledger()
  let total = new Ledger()
  for (const scene of SCENES) {
    for (const p of playsOf(scene, ground, options)) {
      yield p
      plays++
      if (p.failed.length > 0) faulted++
      noteAfter(after, p)
      for (const c of p.checked) checked[c] = (checked[c] ?? 0) + 1
      for (const { claim, what } of p.findings) broken[claim] ??= brokenBy(p, what)
      total = monoidLedger.concat(total, p.total)
      if (p.outcome === null || (typeof p.outcome === 'number' && p.outcome >= scene.write.len)) continue
      failedWrites++
      undo = monoidLedger.concat(undo, p.cost)
    }
  }
  return { plays, faulted, failedWrites, checked, broken, after: sorted(after), undo, total }
}

const noteAfter = (after: Map<string, Set<string>>, { plan, reached }: Play): void => {
  const [first] = plan.fail
  if (first === undefined || plan.fail.length > 1 || plan.sticky === true) return
  const sites = after.get(reached[first]!) ?? new Set()
  for (const site of reached.slice(first + 1)) sites.add(site)
  after.set(reached[first]!, sites)
}

const sorted = (after: ReadonlyMap<string, ReadonlySet<string>>): Record<string, readonly string[]> =>
  Object.fromEntries([...after].sort().map(([site, sites]) => [site, [...sites].sort()]))

/** The pass at one go. */
export const faultPass = (ground: Ground, options: PassOptions = {}): FaultPass => {
  const plays = faultPlays(ground, options)
  for (;;) {
    const step = plays.next()
    if (step.done === true) return step.value
  }
}

const brokenBy = (p: Play, what: string): Broken =>
  ({ what, scene: p.scene, site: p.failed[0] ?? null, replay: sayReplay(p), timeline: p.timeline })

/** Whether the claim's mutant is seen by this pass. */
export interface Kill {
  readonly mutant: string
  readonly source: string
  readonly claim: ClaimId
  readonly killed: boolean
  /** Plays until it was killed, or all of them. */
  readonly plays: number
  /** The play that killed it. */
  readonly by: string | null
}

/** Show the pass to one mutant, until the claim that it names sees it. */
export const tryMutant = (m: Mutant, ground: Omit<Ground, 'strategy' | 'verbs'>): Kill => {
  let plays = 0
  for (const scene of SCENES) {
    for (const p of playsOf(scene, { ...ground, strategy: m.strategy, ...(m.verbs && { verbs: m.verbs }) })) {
      plays++
      if (p.findings.some((f) => f.claim === m.claim)) {
        return { mutant: m.id, source: m.source, claim: m.claim, killed: true, plays, by: sayReplay(p) }
      }
    }
  }
  return { mutant: m.id, source: m.source, claim: m.claim, killed: false, plays, by: null }
}

/** Show the pass to every mutant. */
export const selfTest = (ground: Omit<Ground, 'strategy' | 'verbs'>): Kill[] => MUTANTS.map((m) => tryMutant(m, ground))

/** What a table says of a claim and a design. */
export interface Verdict {
  readonly claim: ClaimId
  readonly status: 'pass' | 'fail' | 'declared' | 'untested' | 'n.a.'
  /** Why it is not a pass; for a pass, how often it was looked at. */
  readonly reason: string
}

/** The verdicts on one design, in the order of CLAIMS. */
export const verdicts = (
  pass: FaultPass, kills: readonly Kill[], declared: (c: Claim) => boolean,
): Verdict[] => CLAIMS.map((c) => ({ claim: c.id, ...verdictOn(c, pass, kills, declared(c)) }))

const verdictOn = (c: Claim, pass: FaultPass, kills: readonly Kill[], declared: boolean): Omit<Verdict, 'claim'> => {
  if (c.elsewhere !== undefined) return { status: 'untested', reason: c.elsewhere }
  const broken = pass.broken[c.id]
  if (broken !== undefined) return { status: declared ? 'declared' : 'fail', reason: broken.what }
  const vacuous = c.vacuous?.(pass.total) ?? null
  if (vacuous !== null) return { status: 'n.a.', reason: vacuous }
  const n = pass.checked[c.id] ?? 0
  if (n === 0) return { status: 'untested', reason: 'no play came so far' }
  const mutants = kills.filter((k) => k.claim === c.id)
  if (!mutants.some((k) => k.killed)) {
    const names = mutants.map((k) => k.mutant).join(', ')
    return { status: 'untested', reason: `no mutant was killed by it (${names || 'there is none'})` }
  }
  return { status: 'pass', reason: `held in ${n} plays` }
}
