/**
 * Record: a workload through a design onto a fresh file system, with everything that its device was told.
 *
 * Free blocks hold 0xAA from the beginning, so that a block that was never written shows. The recording begins with the mount; after
 * the last operation all is synced, so that every file is promised at least once. Deterministic.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { Bio } from '../../block/bio.ts'
import { MemoryDevice } from '../../block/memory-device.ts'
import { planMkfs } from '../../fs/formats/mkfs.ts'
import type { FileSystem } from '../../fs/file-system.ts'
import { extOf, INODE } from '../../fs/formats/inode-table.ts'
import type { DataMode } from '../../fs/journal/journal.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { Replayer } from '../replay.ts'
import { make, mount, type FormatName, type MountOptions } from '../session.ts'
import type { Operation } from '../workload/operation.ts'
import { type CrashMode, declared } from './declared.ts'
import { Medium } from './epochs.ts'
import type { Oracle } from './expect.ts'
import { type Layout, layoutOf } from './ext.ts'
import { type CrashLog, RecordingDevice } from './log.ts'
import type { Recover } from './judge.ts'
import { recoveryOf } from './recover.ts'
import { type Census, Model } from './model.ts'
import { ModelOracle } from './oracle.ts'

/** What is recorded. */
export interface RecordOptions {
  readonly strategy: AnyStrategy
  readonly mode: CrashMode
  readonly operations: Iterable<Operation>
  /** Bytes: 1024, 2048 or 4096; default 4096. */
  readonly blockSize?: number
  /** Bytes of the device; default 16 MiB. */
  readonly size?: number
  readonly salt?: number
  readonly torn?: boolean
  readonly maxFolioOrder?: number
  readonly verbs?: NonNullable<MountOptions['verbs']>
  readonly beat?: (index: number) => void
}

/** What crash states are made from, and judged by. */
export interface Recording {
  readonly log: CrashLog
  /** The device before the first entry. Do not write to it: fork it. */
  readonly first: MemoryDevice
  /** The durable state before the first entry. */
  medium(): Medium
  readonly layout: Layout
  readonly mode: CrashMode
  readonly oracle: Oracle
  /** What a mount would replay; null: there is no journal. */
  readonly recover: Recover | null
  readonly model: Model | null
  /** Bytes of the device. */
  readonly size: number
  /** Operations that ran, and those that failed. */
  readonly operations: number
  readonly failed: number
}

/** The format of a mode. */
export const formatOf = (mode: CrashMode): FormatName => (mode === 'ext2' ? 'ext2' : 'ext4')

/** Blocks of the journal, where there is one: the fewest that the kernel takes. */
const JOURNAL_BLOCKS = 1024

/** Why a device of `size` bytes is too small for this mode, in one line; null: it is not. */
export const sizeProblem = (mode: CrashMode, size: number, blockSize: number): string | null => {
  const plan = planMkfs(size, { format: formatOf(mode), blockSize, ...journalOptions(mode) })
  return isLeft(plan) ? plan.left : null
}

/** Is there a journal in this mode? */
export const hasJournal = (mode: CrashMode): boolean => mode.includes('data=')

/** What mkfs is told of it. */
export const journalOptions = (mode: CrashMode): { readonly journalBlocks?: number; readonly metadataCsum?: boolean } =>
  (hasJournal(mode) ? { journalBlocks: JOURNAL_BLOCKS, metadataCsum: true } : {})

/** How its journal treats data. */
export const dataModeOf = (mode: CrashMode): DataMode | 'none' =>
  (hasJournal(mode) ? (mode.slice('ext4,data='.length) as DataMode) : 'none')

/** Reads the blocks of a device that nobody writes to any more. */
export const blockReader = (device: MemoryDevice, blockSize: number): ((nr: number) => Buffer) => {
  const blocks = new Map<number, Buffer>()
  return (nr) => {
    let bytes = blocks.get(nr)
    if (bytes === undefined) {
      bytes = Buffer.allocUnsafeSlow(blockSize)
      device.submit(new Bio('read', nr * blockSize, PageVec.of(bytes)))
      blocks.set(nr, bytes)
    }
    return bytes
  }
}

const censusOf = (fs: FileSystem, stat: (path: string) => { ino: number }): Census => ({
  of: (path) => {
    const { ino } = stat(path)
    const inode = fs.inodes.get(ino)
    return { ino, generation: inode === undefined ? 0 : extOf(inode).raw.readUInt32LE(INODE.generation) }
  },
})

/** Record a workload. @throws Error if the file system cannot be made or mounted: a bug */
export const recordWorkload = (o: RecordOptions): Recording => {
  const { mode, blockSize = 4096, size = 16 << 20, salt = 0 } = o
  const device = new MemoryDevice(size, { fill: 0xaa })
  const made = make(device, { format: formatOf(mode), blockSize, zeroTables: true, ...journalOptions(mode) })
  if (isLeft(made)) throw new Error(made.left.message)
  const first = device.fork()
  const recorder = new RecordingDevice(device, blockSize)
  const mounted = mount(recorder, {
    strategy: o.strategy, journal: dataModeOf(mode),
    ...(o.maxFolioOrder !== undefined && { maxFolioOrder: o.maxFolioOrder }), ...(o.verbs && { verbs: o.verbs }),
  })
  if (isLeft(mounted)) throw new Error(mounted.left.message)
  const { posix, fs } = mounted.right
  const census = censusOf(fs, (path) => {
    const stat = posix.stat(path, false)
    if (isLeft(stat)) throw new Error(`${path} was just made, and stat says ${stat.left}`)
    return stat.right
  })
  const model = new Model(blockSize, census, { salt, namesWithFile: !declared[mode].nameless })
  const replayer = new Replayer(posix, salt)
  const { log } = recorder
  let [index, failed] = [0, 0]
  const step = (op: Operation): void => {
    const from = log.length
    const outcome = replayer.step(op, index)
    if (isLeft(outcome)) failed++
    model.apply(op, index++, outcome, from, log.length)
  }
  for (const op of o.operations) {
    o.beat?.(index)
    step(op)
  }
  step({ op: 'sync' })
  const read = blockReader(first, blockSize)
  const layout = layoutOf(read, blockSize, size)
  if (typeof layout === 'string') throw new Error(layout)
  const oracle = new ModelOracle(model, declared[mode], o.torn)
  const recover = recoveryOf(layout, read)
  return { log, first, medium: () => new Medium(read), layout, mode, oracle, recover, model, size, operations: index, failed }
}
