/**
 * One design through everything that `compare` does: the fault pass, the workloads, the judges. Runs in a worker, so that a
 * design that loops takes down nobody but itself; what goes in and out is plain data.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { MemoryDevice } from '../block/memory-device.ts'
import type { AnyStrategy, Claims } from '../fs/strategy.ts'
import { type Problem, replay, type Replayed } from '../lab/cost.ts'
import { type FaultPass, faultPlays, type Fixed, groundDevice, type Kill, sayReplay, selfTest } from '../lab/fault-pass.ts'
import type { Ground, Play } from '../lab/play.ts'
import { make, mount, type Session } from '../lab/session.ts'
import { type Heartbeat, watch } from '../lab/watch.ts'
import type { Workload } from '../lab/workload/operation.ts'
import { openWorkload } from '../lab/workload/registry.ts'
import type { SourceName } from '../lab/write-source.ts'
import { getBlock } from '../strategies/get-block.ts'
import { Court, type Judged, plainEntry } from './court.ts'
import { ModelChecker } from './model.ts'
import { designFor } from './plugin.ts'

/** What a comparison is made of, besides the designs. */
export interface Setting extends Fixed {
  readonly workloads: readonly string[]
  readonly sources: readonly SourceName[]
  readonly seed: number
  /** Bytes of the device that workloads are replayed on. */
  readonly size: number
  readonly judges: boolean
}

/** What a design says of itself. */
export interface Described {
  readonly name: string
  readonly summary: string
  readonly source: string
  readonly claims: Claims
}

/** A workload through a design: counts. Times are taken in a race, of runs without a checker. */
export interface Run extends Omit<Replayed, 'ms'> {
  readonly workload: string
  readonly source: SourceName
}

/** A design, evaluated. */
export interface Evaluated {
  readonly design: Described
  readonly pass: FaultPass
  readonly runs: readonly Run[]
  readonly judged: readonly Judged[]
}

/** Does the mount of an image that a fault left behind, and unmounts it, so that a judge sees a clean one. */
const settled = (image: MemoryDevice): Buffer | null => {
  const session = mount(image, { strategy: getBlock })
  if (isLeft(session) || isLeft(session.right.posix.unmount())) return null
  return image.image()
}

/** Evaluate the design that `argument` names. @throws UsageError if it cannot be had */
export const evaluate = async (
  argument: string, setting: Setting, beat: Heartbeat, say: (doing: string) => void,
): Promise<Evaluated> => {
  const strategy = await designFor(argument)
  const { name, summary, source, claims } = strategy
  const court = setting.judges ? new Court(setting.format) : null
  try {
    const ground = { strategy, device: groundDevice(setting), maxFolioOrder: setting.folioOrder, beat }
    const pass = await judgedPass(ground, court, beat, (n) => say(`${name}: faults, play ${n}`))
    const runs: Run[] = []
    for (const workload of setting.workloads) {
      for (const source of setting.sources) {
        say(`${name}: ${workload}`)
        runs.push(await runOne(workload, source, { ...setting, strategy, beat, court }))
      }
    }
    return { design: { name, summary, source, claims }, pass, runs, judged: court?.tally() ?? [] }
  } finally {
    court?.close()
  }
}

/** The fault pass; after each play the judges see the image that it left. */
const judgedPass = async (
  ground: Ground, court: Court | null, beat: Heartbeat, say: (play: number) => void,
): Promise<FaultPass> => {
  const plays = faultPlays(ground)
  for (let n = 1; ; n++) {
    beat(-1)
    const step = plays.next()
    if (step.done === true) return step.value
    say(n)
    if (court !== null && step.value.image !== null) await showPlay(step.value, step.value.image, court)
  }
}

/** Judges see the names and bytes of a play in which nothing failed; of the others, the structures. */
const showPlay = async (p: Play, device: MemoryDevice, court: Court): Promise<void> => {
  const image = settled(device)
  if (image === null) return
  const whole = p.failed.length === 0 && !p.timeline.some((line) => line.startsWith('fill'))
  await court.show(sayReplay(p), image, whole ? [{ path: 'f', type: 'file', size: p.bytes.length, bytes: p.bytes }] : null)
}

interface RunOptions extends Setting {
  readonly strategy: AnyStrategy
  readonly beat: Heartbeat
  readonly court: Court | null
}

const runOne = async (name: string, source: SourceName, o: RunOptions): Promise<Run> => {
  const workload: Workload = openWorkload(name, o.seed)
  const checked = sessionFor(o, watch(o.strategy, o.beat))
  const checker = new ModelChecker(checked, { room: true })
  const beat = (): void => o.beat(-1)
  const blank = (problem: Problem): Omit<Replayed, 'ms'> => ({
    operations: 0, bytesWritten: 0, bytesRead: 0, counts: {}, failures: {}, ledger: checked.ledger, problem,
  })
  let run: Omit<Replayed, 'ms'>
  try {
    const { ms: _, ...counts } = replay(checked, workload, { checker, beat, source })
    run = counts
  } catch (e) {
    return { workload: name, source, ...blank({ index: -1, what: e instanceof Error ? e.message : String(e) }) }
  }
  if (run.problem === null && o.court !== null) {
    const unmounted = checked.posix.unmount()
    if (isLeft(unmounted)) {
      return { workload: name, source, ...run, problem: { index: -1, what: `unmount failed with ${unmounted.left}` } }
    }
    await o.court.show(name, (checked.device as MemoryDevice).image(), checker.expected().map(plainEntry))
  }
  return { workload: name, source, ...run }
}

/** A fresh file system for one replay. */
export const sessionFor = (o: Fixed & { readonly size: number }, strategy: AnyStrategy): Session => {
  const device = new MemoryDevice(o.size)
  const made = make(device, o)
  if (isLeft(made)) throw new Error(made.left.message)
  const session = mount(device, { strategy, maxFolioOrder: o.folioOrder })
  if (isLeft(session)) throw new Error(session.left.message)
  return session.right
}

/** The self-test of the fault pass on the same format, block and folio size. */
export const testSelf = (fixed: Fixed): Kill[] => selfTest({ device: groundDevice(fixed), maxFolioOrder: fixed.folioOrder })
