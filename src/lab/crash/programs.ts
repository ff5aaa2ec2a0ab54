/**
 * Crash programs: two fibers on one file, one of which syncs while the other changes it. Small enough that a run has few epochs, and
 * every crash state of each can be seen.
 */
import { randomChoices } from '../../sim/sources.ts'
import type { Action, Program } from '../check/program.ts'
import { crash, type CrashOptions, type CrashReport } from './crash.ts'
import { type CrashMode } from './declared.ts'
import { formatOf } from './record.ts'
import { type ProgramOptions, type ProgramRecording, recordProgram } from './program.ts'

const write = (pos: number, len: number): Action => ({ op: 'write', pos, len })
const SYNCED: readonly Action[] = [write(0, 8192), { op: 'sync' }]

/** Pasts. */
const BEFORE: readonly (readonly Action[])[] = [
  [], SYNCED, [write(0, 5000), { op: 'sync' }], [...SYNCED, { op: 'truncate', size: 3000 }, { op: 'sync' }],
]

/** What the first fiber does before its fsync. */
const CHANGES: readonly (readonly Action[])[] = [
  [write(0, 4096)], [write(8192, 4096)], [{ op: 'write', pos: 0, len: 3000, append: true }], [write(20_480, 2000)], [write(1000, 6000)],
  [{ op: 'truncate', size: 1024 }], [{ op: 'truncate', size: 16_384 }], [write(0, 16_384), { op: 'truncate', size: 9000 }],
  [{ op: 'punch', pos: 0, len: 4096 }], [{ op: 'write', pos: 4096, len: 4096, sync: true }], [{ op: 'store', pos: 100, len: 600 }],
]

/** What the other does meanwhile. */
const OTHERS: readonly (readonly Action[])[] = [
  [{ op: 'writeback' }], [write(4096, 4096)], [{ op: 'write', pos: 0, len: 4096, append: true }], [{ op: 'truncate', size: 2048 }],
  [{ op: 'fsync' }, write(12_288, 4096)], [{ op: 'store', pos: 200, len: 300 }], [{ op: 'write', pos: 8192, len: 8192, sync: true }],
]

/** All crash programs of a mode, in an order that mixes what they do. */
export const crashPrograms = (mode: CrashMode): readonly Program[] => {
  const all: Program[] = []
  const n = BEFORE.length * CHANGES.length * OTHERS.length
  // 67 has no factor in common with any of the lengths: each combination comes once.
  for (let i = 0, k = 0; i < n; i++, k = (k + 67) % n) {
    const before = BEFORE[k % BEFORE.length]!
    const change = CHANGES[Math.floor(k / BEFORE.length) % CHANGES.length]!
    const other = OTHERS[Math.floor(k / BEFORE.length / CHANGES.length)]!
    const isExtents = formatOf(mode) === 'ext4'
    if (!isExtents && change.some((a) => a.op === 'punch')) continue
    const config = { format: formatOf(mode), blockSize: ([4096, 1024] as const)[i % 2]!, folioOrder: i % 3 === 0 ? 2 : 0 }
    all.push({ config, before, fibers: [[...change, { op: 'fsync' }], other] })
  }
  return all
}

/** What a hunt through programs did. */
export interface Hunted {
  readonly runs: number
  readonly states: number
  readonly promises: number
  readonly evaluations: number
  /** The first run that broke something that is not declared. */
  readonly found: { readonly recording: ProgramRecording; readonly report: CrashReport } | null
}

/** Run programs under schedules by chance, and judge the crash states of each run; stop at the first violation. */
export const huntPrograms = (
  o: Omit<ProgramOptions, 'program'>, crashing: CrashOptions, runs: number, seed: number, beat: (runs: number) => void = () => {},
): Hunted => {
  const programs = crashPrograms(o.mode)
  let [states, promises, evaluations] = [0, 0, 0]
  for (let i = 0; i < runs; i++) {
    const program = programs[i % programs.length]!
    const recording = recordProgram({ ...o, program }, randomChoices(seed + i, { schedule: 0.35, fault: 0, short: 0.1 }))
    const report = crash(recording, { ...crashing, stop: true })
    states += report.states
    promises += report.promises
    evaluations += report.evaluations
    if (report.broken.some((b) => !b.declared)) return { runs: i + 1, states, promises, evaluations, found: { recording, report } }
    beat(i + 1)
  }
  return { runs, states, promises, evaluations, found: null }
}
