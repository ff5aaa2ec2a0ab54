/**
 * Crash: every crash state of a recording, each judged once, within a budget.
 *
 * Epochs in order; in each the points at which promises are strongest; at each the states, exhaustively where the budget allows (the
 * small epochs first), else by samples. Where an epoch is only sampled, each question of our own judge is in addition asked about
 * all combinations of the blocks that it reads, lazily: then every state of the epoch is covered by it, however many there are.
 *
 * The certificate says which epochs were exhausted, covered lazily, or sampled; how many states differ; how many promises each met.
 * Fewer than one promise for a state on average is a failure of the run: it has asked nothing.
 */
import { fold } from '../check/hash.ts'
import { declared } from './declared.ts'
import { type Epoch, epochsOf, type DriveOptions } from './epochs.ts'
import type { ExpectedAt, Finding } from './expect.ts'
import { digestOf, type Judged, OurJudge } from './judge.ts'
import type { Recording } from './record.ts'
import { type Bounds, countStates, visit } from './states.ts'

/** How much is looked at, and how. */
export interface CrashOptions extends DriveOptions {
  /** States to judge in all, about. */
  readonly states: number
  /** Most states of one epoch; default 4096: twelve blocks of two versions. */
  readonly epochStates?: number
  readonly torn?: boolean
  readonly seed?: number
  /** Stop at the first violation that is not declared; of this claim only, if it is a text. */
  readonly stop?: boolean | string
  /** Leave the lazy search out. */
  readonly sampleOnly?: boolean
  readonly beat?: (states: number, epoch: number) => void
}

/** Where a state is: what shows it again. */
export interface StateAt {
  readonly epoch: number
  /** Position in the log. */
  readonly point: number
  /** By uncertain block: the version; a torn one has its sectors in `cut`. */
  readonly picks: readonly number[]
  readonly tear: { readonly slot: number; readonly pick: number; readonly cut: number } | null
}

/** A claim that states break. */
export interface Broken {
  readonly claim: string
  readonly what: string
  readonly declared: boolean
  /** States that break it in this way. */
  states: number
  /** The first of them. */
  readonly first: StateAt
}

/** What a run did. Plain data. */
export interface CrashReport {
  readonly epochs: number
  readonly exhausted: number
  /** Not exhausted, and covered by the lazy search. */
  readonly lazy: number
  readonly sampled: number
  /** Runs of questions in the lazy search. */
  readonly lazyRuns: number
  /** Binary logarithm of the number of states that the recording has. */
  readonly log2States: number
  /** States that were judged, and those of them that differ. */
  readonly judged: number
  readonly states: number
  /** States whose recovery changed something. */
  readonly recovered: number
  /** Promises that were checked in distinct states, and how many states met how many: `0`, `1`, `2-3`, `4-7`, ... */
  readonly promises: number
  readonly histogram: Readonly<Record<string, number>>
  /** Evaluations of questions. */
  readonly evaluations: number
  readonly broken: readonly Broken[]
}

/** Which bucket of the histogram. */
export const bucket = (n: number): string => {
  if (n < 2) return String(n)
  const low = 2 ** Math.floor(Math.log2(n))
  return `${low}-${2 * low - 1}`
}

/** Most states of one epoch, so that all together are about `states`: the small epochs are exhausted first. */
export const share = (counts: readonly number[], states: number, most: number): number => {
  const sorted = [...counts].sort((a, b) => a - b)
  let left = states
  for (const [i, n] of sorted.entries()) {
    const even = left / (sorted.length - i)
    if (n > even) return Math.max(2, Math.min(most, Math.floor(even)))
    left -= n
  }
  return most
}

/** Counts distinct states by a hash of all that differs from the first state. */
class Fingerprint {
  #lo = 0
  #hi = 0
  readonly #seen = new Set<number>()

  flip(nr: number, from: Buffer, to: Buffer): void {
    for (const d of [fold(nr + 1, digestOf(from)), fold(nr + 1, digestOf(to))]) {
      this.#lo ^= d | 0
      this.#hi ^= (d / 4294967296) | 0
    }
  }

  /** @returns true if this state was not seen before */
  isNew(): boolean {
    const key = (this.#hi & 0x1fffff) * 4294967296 + (this.#lo >>> 0)
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    return true
  }

  get size(): number {
    return this.#seen.size
  }
}

/** What one run adds up. */
export class Tally {
  judged = 0
  recovered = 0
  promises = 0
  readonly histogram: Record<string, number> = {}
  readonly broken = new Map<string, Broken>()

  state(promises: number, recovered: boolean): void {
    this.promises += promises
    const b = bucket(promises)
    this.histogram[b] = (this.histogram[b] ?? 0) + 1
    if (recovered) this.recovered++
  }

  readonly #stop: boolean | string

  /** @param stop which violations are told to the caller; see CrashOptions */
  constructor(stop: boolean | string = false) {
    this.#stop = stop
  }

  /** @returns true if this ends the run */
  note(findings: readonly Finding[], where: () => StateAt): boolean {
    let isBad = false
    const seen = new Set<string>()
    for (const f of findings) {
      const key = `${f.claim} ${f.declared}`
      if (!f.declared && (this.#stop === true || this.#stop === f.claim)) isBad = true
      const known = this.broken.get(key)
      if (known === undefined) this.broken.set(key, { ...f, states: 1, first: where() })
      else if (!seen.has(key)) known.states++
      seen.add(key)
    }
    return isBad
  }
}

/** Judge the crash states of a recording with our own judge. */
export const crash = (recording: Recording, options: CrashOptions): CrashReport => {
  const { layout, mode } = recording
  const judge = new OurJudge(layout, declared[mode], recording.recover)
  const { counts, log2States } = sizesOf(recording, options)
  const bounds = boundsOf(recording, options)
  const tally = new Tally(options.stop)
  const print = new Fingerprint()
  const medium = recording.medium()
  let [exhausted, lazy, lazyRuns] = [0, 0, 0]
  let before: readonly (readonly [number, Buffer])[] = []
  for (const epoch of epochsOf(recording.log, medium, options)) {
    for (const [nr, old] of before) print.flip(nr, old, medium.read(nr))
    before = epoch.uncertain.map((u) => [u.nr, u.versions[0]!] as const)
    const isBad = judgeEpoch(epoch, recording, judge, bounds, { tally, print, options, medium })
    const isExhausted = counts[epoch.index]! <= bounds.states
    if (isExhausted) exhausted++
    else if (options.sampleOnly !== true) {
      const covered = judge.lazily(epoch, epoch.last, LAZY_RUNS)
      lazyRuns += covered.runs
      if (covered.complete) lazy++
      if (tally.note(covered.findings, () => ({ epoch: epoch.index, point: epoch.last, picks: covered.picks ?? [], tear: null }))) break
    }
    if (isBad) break
  }
  return {
    epochs: counts.length, exhausted, lazy, sampled: counts.length - exhausted - lazy, lazyRuns, log2States, judged: tally.judged,
    states: print.size, recovered: tally.recovered, promises: tally.promises, histogram: tally.histogram, evaluations: judge.evaluations,
    broken: [...tally.broken.values()],
  }
}

/** A state for a judge that needs a whole image. */
export interface WholeState {
  readonly at: StateAt
  readonly expected: ExpectedAt
  /** Every block that was ever written, as this state has it. A view that changes with the next state. */
  readonly blocks: ReadonlyMap<number, Buffer>
}

/** Distinct states, each once, at the point where most is promised. At most `options.states`. */
export function* distinctStates(recording: Recording, options: CrashOptions): Generator<WholeState> {
  const { oracle, log } = recording
  const medium = recording.medium()
  const print = new Fingerprint()
  const bounds = boundsOf(recording, options)
  const blocks = new Map<number, Buffer>()
  for (const e of log.entries) if (e.kind === 'write') for (const { nr } of e.blocks) blocks.set(nr, medium.read(nr))
  const put = (nr: number, bytes: Buffer): void => {
    print.flip(nr, blocks.get(nr)!, bytes)
    blocks.set(nr, bytes)
  }
  let left = options.states
  for (const epoch of epochsOf(log, medium, options)) {
    for (const nr of blocks.keys()) if (blocks.get(nr) !== medium.read(nr)) put(nr, medium.read(nr))
    for (const point of oracle.points(epoch)) {
      const expected = oracle.at(epoch, point)
      const held = epoch.uncertain.map((u) => u.versions[0]!)
      const change = (slot: number, bytes: Buffer): void => {
        held[slot] = bytes
        put(epoch.uncertain[slot]!.nr, bytes)
      }
      for (const picks of visit(epoch, point, bounds, change)) {
        if (!print.isNew()) continue
        if (left-- <= 0) return
        yield { at: whereIs(epoch, point, picks, held), expected, blocks }
      }
      for (let i = 0; i < held.length; i++) change(i, epoch.uncertain[i]!.versions[0]!)
    }
  }
}

/** A judge of whole images: e2fsck, the kernel. */
export interface ImageJudge {
  judge(state: WholeState): Promise<Judged>
}

/** Judge distinct states with a judge of whole images. */
export const crashWith = async (recording: Recording, judge: ImageJudge, options: CrashOptions): Promise<CrashReport> => {
  const tally = new Tally(options.stop)
  const { counts, log2States } = sizesOf(recording, options)
  const bounds = boundsOf(recording, options)
  for (const state of distinctStates(recording, options)) {
    const { promises, findings, recovered } = await judge.judge(state)
    tally.judged++
    tally.state(promises, recovered)
    options.beat?.(tally.judged, state.at.epoch)
    if (findings.length > 0 && tally.note(findings, () => state.at)) break
  }
  const exhausted = counts.filter((n) => n <= bounds.states).length
  return {
    epochs: counts.length, exhausted, lazy: 0, sampled: counts.length - exhausted, lazyRuns: 0, log2States, judged: tally.judged,
    states: tally.judged, recovered: tally.recovered, promises: tally.promises, histogram: tally.histogram, evaluations: tally.promises,
    broken: [...tally.broken.values()],
  }
}

/** States by epoch, and the binary logarithm of their product over all. */
const sizesOf = (recording: Recording, options: CrashOptions): { counts: number[]; all: number[]; log2States: number } => {
  const [counts, all]: [number[], number[]] = [[], []]
  let log2States = 0
  for (const e of epochsOf(recording.log, recording.medium(), options)) {
    counts.push(countStates(e, e.last))
    log2States += log2Of(e)
    for (const point of recording.oracle.points(e)) all.push(countStates(e, point))
  }
  return { counts, all, log2States }
}

const boundsOf = (recording: Recording, options: CrashOptions): Bounds => ({
  states: share(sizesOf(recording, options).all, options.states, options.epochStates ?? 4096),
  seed: options.seed ?? 1, torn: options.torn ?? false,
})

/** Most runs of the lazy search for one question of an epoch. */
const LAZY_RUNS = 20_000

const log2Of = ({ uncertain }: Epoch): number => uncertain.reduce((sum, u) => sum + Math.log2(u.versions.length), 0)

interface Run {
  readonly tally: Tally
  readonly print: Fingerprint
  readonly options: CrashOptions
  readonly medium: ReturnType<Recording['medium']>
}

/** @returns true if the run ends here */
const judgeEpoch = (epoch: Epoch, { oracle }: Recording, judge: OurJudge, bounds: Bounds, run: Run): boolean => {
  const { tally, print, options, medium } = run
  let isBad = false
  for (const point of oracle.points(epoch)) {
    judge.begin(medium, epoch, oracle.at(epoch, point))
    const held = epoch.uncertain.map((u) => u.versions[0]!)
    const change = (slot: number, bytes: Buffer): void => {
      print.flip(epoch.uncertain[slot]!.nr, held[slot]!, bytes)
      held[slot] = bytes
      judge.set(slot, bytes)
    }
    for (const picks of visit(epoch, point, bounds, change)) {
      const { promises, findings, recovered } = judge.settle()
      tally.judged++
      if (print.isNew()) tally.state(promises, recovered)
      if (findings.length > 0 && tally.note(findings, () => whereIs(epoch, point, picks, held))) isBad = true
      if (isBad) break
      if ((tally.judged & 1023) === 0) options.beat?.(tally.judged, epoch.index)
    }
    for (let i = 0; i < held.length; i++) change(i, epoch.uncertain[i]!.versions[0]!)
    if (isBad) return true
  }
  return isBad
}

const whereIs = (epoch: Epoch, point: number, picks: Int32Array, held: readonly Buffer[]): StateAt => {
  const slot = picks.indexOf(-1)
  if (slot < 0) return { epoch: epoch.index, point, picks: [...picks], tear: null }
  return { epoch: epoch.index, point, picks: [...picks], tear: { slot, ...tearOf(epoch, slot, held[slot]!) } }
}

/** Which tear these bytes are. */
const tearOf = ({ uncertain }: Epoch, slot: number, bytes: Buffer): { pick: number; cut: number } => {
  const { versions } = uncertain[slot]!
  for (let pick = 1; pick < versions.length; pick++) {
    for (let cut = 1; cut < bytes.length / 512; cut++) {
      const at = cut * 512
      const isNew = bytes.compare(versions[pick]!, 0, at, 0, at) === 0
      if (isNew && bytes.compare(versions[pick - 1]!, at, bytes.length, at, bytes.length) === 0) return { pick, cut }
    }
  }
  return { pick: 1, cut: 1 }
}
