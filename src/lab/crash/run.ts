/**
 * Run: one recording, or many programs, against one judge: what the command, the property and the bench start from.
 */
import type { AnyStrategy } from '../../fs/strategy.ts'
import type { MountOptions } from '../session.ts'
import type { Operation } from '../workload/operation.ts'
import { type Broken, crash, type CrashReport } from './crash.ts'
import type { CrashMode } from './declared.ts'
import { huntPrograms } from './programs.ts'
import { recordWorkload, type Recording } from './record.ts'
import type { Scenario } from './scenario.ts'
import { type CrashCounterexample, shrinkCrash } from './shrink.ts'
import { encodeState } from './scenario.ts'

/** Claims that a crash is judged by, with what they say of it. */
export const CRASH_CLAIMS: Readonly<Record<string, string>> = {
  I5: 'After recovery no block has two owners, bitmaps and counts are true, names lead to inodes in use, and links are as many as names.',
  I10: 'No byte of a former owner of a block, and none of fresh memory, is ever readable after recovery.',
  I18: 'A recovered size never goes beyond the end of data of a completed I/O.',
  I19: 'Bytes past the end read as zeros after any extension, after recovery, too.',
  I28: 'After fsync returned, data and size are exact. Else each block is old, new, or zero as the mode declares.',
}

/** What to run. */
export interface RunOptions {
  readonly strategy: AnyStrategy
  readonly mode: CrashMode
  /** Default 4096 bytes, 16 MiB. */
  readonly blockSize?: number
  readonly size?: number
  readonly states: number
  readonly seed: number
  readonly torn: boolean
  /** False: the drive ignores flushes. */
  readonly flushes: boolean
  readonly verbs?: NonNullable<MountOptions['verbs']>
  /** Most recordings that shrinking may take; default 250. */
  readonly tries?: number
  readonly beat?: (states: number, epoch: number) => void
}

/** Bytes of the device by default: enough for a small workload and a journal of 4 MiB. */
export const CRASH_BYTES = 16 << 20

/** The scenario of operations. */
export const scenarioOf = (o: RunOptions, operations: readonly Operation[]): Scenario => ({
  mode: o.mode, blockSize: o.blockSize ?? 4096, size: o.size ?? CRASH_BYTES, salt: 0, flushes: o.flushes, torn: o.torn, operations,
})

/** Record operations. */
export const recordRun = (o: RunOptions, operations: readonly Operation[]): Recording => {
  const { strategy, mode, torn, blockSize = 4096, size = CRASH_BYTES, verbs } = o
  return recordWorkload({ strategy, mode, operations, torn, blockSize, size, ...(verbs && { verbs }) })
}

/** The crash states of a workload by our own judge; the first violation that is not declared, made small. */
export const crashWorkload = (
  o: RunOptions, operations: readonly Operation[],
): { readonly recording: Recording; readonly report: CrashReport; readonly shrunk: readonly CrashCounterexample[] } => {
  const recording = recordRun(o, operations)
  const { flushes, torn, seed, states } = o
  const report = crash(recording, { states, flushes, torn, seed, ...(o.beat && { beat: o.beat }) })
  const shrunk = report.broken.filter((b) => !b.declared).map((b) => smallest(o, b, scenarioOf(o, operations), recording))
  return { recording, report, shrunk }
}

/** A violation made small; as it is, if the search does not find it again. */
export const smallest = (o: RunOptions, b: Broken, scenario: Scenario, recording: Recording): CrashCounterexample => {
  const { strategy, seed, verbs } = o
  const tape = 'tape' in recording ? (recording as { tape: CrashCounterexample['tape'] }).tape : {}
  const bench = { strategy, seed, states: Math.min(o.states, 400), tries: o.tries ?? 250, ...(verbs && { verbs }) }
  return shrinkCrash(b.claim, scenario, tape, bench) ??
    { claim: b.claim, what: b.what, scenario, tape: { ...tape, ...encodeState(recording, scenario, b.first) } }
}

/** What programs of two fibers did under schedules by chance. */
export interface ConcurrentRun {
  readonly runs: number
  readonly states: number
  readonly promises: number
  readonly evaluations: number
  readonly shrunk: readonly CrashCounterexample[]
}

/** Crash states inside calls that run at once; stops at the first violation. */
export const crashPrograms = (o: RunOptions, runs: number, beat: (runs: number) => void = () => {}): ConcurrentRun => {
  const { strategy, mode, states, flushes, torn, seed, verbs } = o
  const { found, ...done } = huntPrograms({ strategy, mode, ...(verbs && { verbs }) }, { states, flushes, torn, seed }, runs, seed, beat)
  if (found === null) return { ...done, shrunk: [] }
  const { recording, report } = found
  const { program } = recording
  const scenario: Scenario = { mode, blockSize: program.config.blockSize, size: recording.size, salt: 0, flushes, torn, program }
  return { ...done, shrunk: report.broken.filter((b) => !b.declared).map((b) => smallest(o, b, scenario, recording)) }
}
