/**
 * Scenario: what ran before the power went, as plain data, and one crash state of it as a part of its tape.
 *
 * The decision tape (sim/tape.ts) of a scenario holds, besides the schedule, the sub-tape `crash`: first where the power goes, then
 * for each block that was uncertain there which version is left, 0 the newest: nothing of it was lost; and the sub-tape `tear`: how
 * many sectors of one of them were written. So a state is shrunk and replayed with everything else.
 */
import type { AnyStrategy } from '../../fs/strategy.ts'
import { Bio } from '../../block/bio.ts'
import type { MemoryDevice } from '../../block/memory-device.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import type { Decision, TapeData } from '../../sim/tape.ts'
import type { Program } from '../check/program.ts'
import type { MountOptions } from '../session.ts'
import type { Operation } from '../workload/operation.ts'
import type { StateAt } from './crash.ts'
import { type CrashMode, declared } from './declared.ts'
import { type DriveOptions, type Epoch, epochsOf, type Medium, versionsAt } from './epochs.ts'
import { type Judged, OurJudge } from './judge.ts'
import { recordProgram } from './program.ts'
import { recordWorkload, type Recording } from './record.ts'
import { tornBytes } from './states.ts'

/** What ran, on what. */
export interface Scenario {
  readonly mode: CrashMode
  /** Bytes. */
  readonly blockSize: number
  readonly size: number
  readonly salt: number
  /** False: the drive says that it has flushed, and has not. */
  readonly flushes: boolean
  /** Blocks may be torn. */
  readonly torn: boolean
  /** One after the other; or */
  readonly operations?: readonly Operation[]
  /** at once, by the schedule of a tape. */
  readonly program?: Program
}

/** Record a scenario. `tape` holds the schedule of a program. */
export const recordScenario = (
  strategy: AnyStrategy, s: Scenario, tape: TapeData = {}, verbs?: NonNullable<MountOptions['verbs']>,
): Recording => {
  const { mode, blockSize, size, salt, torn, program, operations = [] } = s
  if (program !== undefined) return recordProgram({ strategy, mode, program, ...(verbs && { verbs }) }, tape)
  return recordWorkload({ strategy, mode, operations, blockSize, size, salt, torn, ...(verbs && { verbs }) })
}

/** Every place where the power may go, in order. */
const placesOf = (r: Recording, drive: DriveOptions): { epoch: Epoch; point: number }[] =>
  [...epochsOf(r.log, r.medium(), drive)].flatMap((epoch) => r.oracle.points(epoch).map((point) => ({ epoch, point })))

/** A state as sub-tapes. */
export const encodeState = (r: Recording, drive: DriveOptions, at: StateAt): TapeData => {
  const places = placesOf(r, drive)
  const pick = places.findIndex((p) => p.epoch.index === at.epoch && p.point === at.point)
  const { epoch, point } = places[pick]!
  const crash: Decision[] = [{ n: places.length, pick, label: `the power goes at entry ${point}` }]
  const tear: Decision[] = []
  epoch.uncertain.forEach((u, slot) => {
    const n = versionsAt(epoch, u, point)
    const isTorn = at.tear !== null && at.tear.slot === slot
    const version = isTorn ? at.tear.pick : (at.picks[slot] ?? 0)
    crash.push({ n, pick: n - 1 - version, label: `block ${u.nr}` })
    if (isTorn) tear.push({ n: u.versions[0]!.length / 512, pick: at.tear.cut, label: `block ${u.nr}` })
  })
  return tear.length === 0 ? { crash } : { crash, tear }
}

/** The state that sub-tapes say; where the recording has changed, the nearest one. */
export const decodeState = (r: Recording, drive: DriveOptions, { crash = [], tear = [] }: TapeData): StateAt => {
  const places = placesOf(r, drive)
  const { epoch, point } = places[Math.min(crash[0]?.pick ?? 0, places.length - 1)]!
  const picks = epoch.uncertain.map((u, i) => Math.max(0, versionsAt(epoch, u, point) - 1 - (crash[i + 1]?.pick ?? 0)))
  const torn = tear[0]
  const slot = torn === undefined ? -1 : epoch.uncertain.findIndex((u) => torn.label === `block ${u.nr}`)
  const isWhole = slot < 0 || torn!.pick < 1 || picks[slot]! < 1
  return { epoch: epoch.index, point, picks, tear: isWhole ? null : { slot, pick: picks[slot]!, cut: torn!.pick } }
}

/** A state made: its epoch, and what stands in each uncertain block. */
export interface MadeState {
  readonly epoch: Epoch
  readonly medium: Medium
  /** By uncertain block. */
  readonly bytes: readonly Buffer[]
}

/** Make a state. */
export const makeState = (r: Recording, drive: DriveOptions, at: StateAt): MadeState => {
  const medium = r.medium()
  for (const epoch of epochsOf(r.log, medium, drive)) {
    if (epoch.index !== at.epoch) continue
    const bytes = epoch.uncertain.map((u, slot) =>
      (at.tear?.slot === slot ? tornBytes(u, at.tear) : u.versions[Math.max(0, at.picks[slot] ?? 0)]!))
    return { epoch, medium, bytes }
  }
  throw new RangeError(`no epoch ${at.epoch}: the state is of another recording`)
}

/** Judge one state. @returns the word on it, and the judge, whose `read` shows what recovery left */
export const judgeState = (
  r: Recording, drive: DriveOptions, at: StateAt,
): { judged: Judged; judge: OurJudge; state: MadeState } => {
  const state = makeState(r, drive, at)
  const judge = new OurJudge(r.layout, declared[r.mode], r.recover)
  judge.begin(state.medium, state.epoch, r.oracle.at(state.epoch, at.point))
  state.bytes.forEach((bytes, slot) => judge.set(slot, bytes))
  return { judged: judge.settle(), judge, state }
}

/** The device as the crash left it, unrepaired. */
export const imageOf = (r: Recording, drive: DriveOptions, at: StateAt): MemoryDevice => {
  const device = r.first.fork()
  const { blockSize } = r.log
  const put = (nr: number, bytes: Buffer): void => device.submit(new Bio('write', nr * blockSize, PageVec.of(bytes)))
  const { epoch, medium, bytes } = makeState(r, drive, at)
  for (const e of r.log.entries.slice(0, epoch.to)) if (e.kind === 'write') for (const { nr } of e.blocks) put(nr, medium.read(nr))
  epoch.uncertain.forEach(({ nr }, slot) => put(nr, bytes[slot]!))
  return device
}
