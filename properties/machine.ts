/**
 * Machine: a mounted file system and the model next to it, taking the same steps.
 *
 * Interface: `step` does one step on both and says in one line what differs; `finish` closes, syncs, drops the cache,
 * unmounts, looks at the disk and mounts again with another design, comparing all contents each time. After every
 * step the checks that were asked for run (checks.ts). A setting is plain data, so that a failure prints as something
 * that can be pasted: `describe` does.
 *
 * The device is full of 0xAA before mkfs, fresh memory of 0xDB, and freed blocks are overwritten: whatever is shown
 * that nobody wrote, is seen.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { MemoryDevice } from '../src/block/memory-device.ts'
import { MAPPED } from '../src/fs/extent-map.ts'
import { mkfs } from '../src/fs/formats/mkfs.ts'
import type { DataMode } from '../src/fs/journal/journal.ts'
import { mmapLoad, mmapStore } from '../src/fs/mmap.ts'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import type { Choices } from '../src/kernel/choices.ts'
import { run } from '../src/kernel/kernel.ts'
import { Replayer } from '../src/lab/replay.ts'
import { type FormatName, mount, type MountOptions, type Session } from '../src/lab/session.ts'
import type { Operation } from '../src/lab/workload/operation.ts'
import { payload } from '../src/lab/workload/payload.ts'
import { strategies } from '../src/strategies/index.ts'
import { type Event, isEvent, show, type Step } from './arbitraries/steps.ts'
import { checkBalance, checkCache, checkSpace } from './checks.ts'
import { ByteModel, firstDifference } from './models/byte-model.ts'
import { files, type Node } from './models/name-tree.ts'
import { CHUNK, type SparseBytes } from './models/sparse-bytes.ts'

/** How a file system is made and mounted. */
export interface Setting {
  /** A design's name. */
  readonly strategy: string
  readonly format: FormatName
  /** Bytes. */
  readonly blockSize: number
  readonly maxFolioOrder: number
  /** Bytes of the device; default 32 MiB. */
  readonly size?: number
  /** Pages of cache; default 4096. */
  readonly limitPages?: number
  /** Blocks that each user may have, by id; `{}` counts without a limit. Default: no quota. */
  readonly quota?: Readonly<Record<number, number>>
  /** The device has a journal behind `size` more bytes, and is mounted with this data mode. Default: no journal. */
  readonly journal?: DataMode
  /** Never the plain prefix: every write goes through the generator, as it does under a scheduler. */
  readonly waiting?: boolean
}

/** What is looked at after every step. */
export interface Checks {
  /** Locks, pins, private pages, dirty lists (I17); default true. */
  readonly balance?: boolean
  /** Every cached block against the model and the disk (I8, I9). */
  readonly cache?: boolean
  /** Every block of the device (I1 to I6). */
  readonly space?: boolean
}

/** What a machine may be told besides. */
export interface MachineOptions extends Checks {
  readonly choices?: Choices
  /** Verbs with a bug planted in them: a mutant. */
  readonly verbs?: MountOptions['verbs']
  /** May this operation fail so, or (null) write short? Default: never. */
  readonly mayFail?: (op: Operation, errno: string | null) => boolean
  readonly device?: MemoryDevice
}

/** Default bytes of a device. */
export const DEVICE_SIZE = 32 * 1024 * 1024
/** Files up to here are compared whole, larger ones around what was written. */
const WHOLE = 8 * 1024 * 1024

/**
 * What a full disk may do: any call that grows something fails with ENOSPC or writes short, but what was accepted has
 * its room, so fsync and sync do not fail (I26).
 */
export const mayBeFull = (op: Operation, errno: string | null): boolean => {
  const grows = op.op === 'write' || op.op === 'writev'
  if (errno === null) return grows
  return errno === 'ENOSPC' && op.op !== 'fsync' && op.op !== 'fdatasync' && op.op !== 'sync'
}

/** A design by name. @throws Error if there is none */
export const strategyNamed = (name: string): AnyStrategy => {
  const found = strategies.find((s) => s.name === name)
  if (found === undefined) throw new Error(`no strategy ${name}: use ${strategies.map((s) => s.name).join(', ')}`)
  return found
}

/** The smallest journal that there may be. */
const JOURNAL_BLOCKS = 1024

const pristine = new Map<string, MemoryDevice>()

/** A fresh device with an empty file system; made once for each size and format, then forked. */
export const freshDevice = ({ format, blockSize, size: room = DEVICE_SIZE, journal }: Setting): MemoryDevice => {
  const journalBlocks = journal === undefined ? 0 : JOURNAL_BLOCKS
  // A journal gets no more than half of what metadata leaves.
  const size = Math.max(room, 2 * journalBlocks * blockSize) + journalBlocks * blockSize
  const key = `${format} ${blockSize} ${size} ${journalBlocks}`
  let device = pristine.get(key)
  if (device === undefined) {
    pristine.set(key, (device = new MemoryDevice(size, { fill: 0xaa })))
    const metadataCsum = journal !== undefined && format === 'ext4'
    const made = run(mkfs(device, { format, blockSize, zeroTables: true, journalBlocks, metadataCsum }))
    if (isLeft(made)) throw new Error(`mkfs: ${made.left}`)
  }
  return device.fork()
}

/** Mount by a setting. @throws Error if it is refused: a bug */
export const mountAs = (
  device: MemoryDevice, setting: Setting, { choices, verbs }: Pick<MachineOptions, 'choices' | 'verbs'> = {},
): Session => {
  const session = mount(device, {
    strategy: strategyNamed(setting.strategy),
    maxFolioOrder: setting.maxFolioOrder,
    limitPages: setting.limitPages ?? 4096,
    poison: true,
    ...(setting.journal !== undefined && { journal: setting.journal }),
    ...(setting.quota !== undefined && { quota: setting.quota }),
    ...((choices !== undefined || setting.waiting === true) && { choices: choices ?? { choose: () => 0 } }),
    ...(verbs !== undefined && { verbs }),
  })
  if (isLeft(session)) throw new Error(session.left.message)
  return session.right
}

/** A setting and its steps, as they can be pasted into a corpus entry or a test. */
export const describe = (setting: Setting, steps: readonly Step[]): string =>
  `setting: ${JSON.stringify(setting)}\nsteps: ${show(steps)}`

/** A file system and the model of it. */
export class Machine {
  readonly setting: Setting
  readonly device: MemoryDevice
  session: Session
  replayer: Replayer
  readonly model: ByteModel
  /** Steps done. */
  steps = 0
  readonly #options: MachineOptions
  /** The model's file behind an inode number, for files that have no name any more. */
  readonly #byIno = new Map<number, Node>()

  constructor(setting: Setting, options: MachineOptions = {}) {
    this.setting = setting
    this.#options = options
    this.device = options.device ?? freshDevice(setting)
    this.session = mountAs(this.device, setting, options)
    this.replayer = new Replayer(this.session.posix)
    const { format } = this.session.fs
    this.model = new ByteModel({
      blockSize: setting.blockSize,
      unwritten: format.hasUnwritten,
      maxBytes: format.maxBytes,
      payload: (index, len) => payload(index, len),
      ...(options.mayFail !== undefined && { mayFail: options.mayFail }),
    })
  }

  /** Take one step. @returns null, or one line that says what is wrong */
  step(step: Step): string | null {
    const index = this.steps++
    const wrong = isEvent(step) ? this.#event(step, index) : this.#operation(step, index)
    return wrong ?? this.check()
  }

  /** Take all steps. @returns null, or one line with the number of the step */
  play(steps: readonly Step[]): string | null {
    for (const [i, step] of steps.entries()) {
      const wrong = this.step(step)
      if (wrong !== null) return `step ${i} (${show([step]).slice(4, -3)}): ${wrong}`
    }
    return null
  }

  #operation(op: Operation, index: number): string | null {
    const { model, replayer } = this
    if (op.op === 'open' && model.isOpen(op.fd)) {
      // As dup2(2): a number in use is closed first.
      const close: Operation = { op: 'close', fd: op.fd }
      const closed = replayer.step(close, index)
      const wrong = model.apply(close, index, actualOf(closed, replayer))
      if (wrong !== null) return wrong
    }
    const wrong = model.apply(op, index, actualOf(replayer.step(op, index), replayer))
    if (op.op === 'open') this.#learn(op.path, op.fd)
    return wrong ?? this.#resolveDoubt()
  }

  #learn(path: string, fd: number): void {
    const file = this.model.fileOf(fd)
    const stat = this.session.posix.stat(path, false)
    if (file !== undefined && !isLeft(stat)) this.#byIno.set(stat.right.ino, file)
  }

  #resolveDoubt(): string | null {
    const { doubt } = this.model
    if (doubt === null) return null
    const { fs } = this.session
    const file = this.model.fileOf(doubt.fd)
    const found = [...this.#byIno].find(([ino, known]) => known === file && fs.inodes.has(ino))
    if (found === undefined || doubt.may.length === 0) return null
    const bytes = Buffer.alloc(doubt.may.length)
    const loaded = run(mmapLoad(fs.verbs, fs, fs.inodes.get(found[0])!, doubt.pos, bytes))
    return isLeft(loaded) ? `load at ${doubt.pos} failed with ${loaded.left}` : this.model.resolve(doubt, bytes)
  }

  #event(event: Event, index: number): string | null {
    const { posix, fs } = this.session
    if (event.op === 'drop-caches') {
      const dropped = posix.dropCaches()
      return isLeft(dropped) ? `drop-caches failed with ${dropped.left}` : null
    }
    const stat = posix.stat(event.path, false)
    const inode = isLeft(stat) ? undefined : fs.inodes.get(stat.right.ino)
    if (inode === undefined || !inode.isFile || inode.size % CHUNK === 0) return null
    const bytes = Buffer.from(payload(index, CHUNK - (inode.size % CHUNK)))
    const stored = run(mmapStore(fs.verbs, fs, inode, inode.size, bytes))
    if (!isLeft(stored) || stored.left === 'ENOSPC') return null
    return `a store in the last page behind the end failed with ${stored.left}`
  }

  /** Run the checks that were asked for. */
  check(): string | null {
    const { balance = true, cache = false, space = false } = this.#options
    return (
      (balance ? checkBalance(this.session) : null) ??
      (cache ? checkCache(this.session, (ino) => this.#byIno.get(ino)?.bytes) : null) ??
      (space ? checkSpace(this.session) : null)
    )
  }

  /** Compare every file that has a name. @returns null, or one line */
  compare(): string | null {
    const { posix } = this.session
    for (const [path, file] of files(this.model.root)) {
      const fd = posix.open(path, ['O_RDONLY'])
      if (isLeft(fd)) return `${path}: open failed with ${fd.left}`
      const wrong = compareFile(this.session, fd.right, file.bytes)
      posix.close(fd.right)
      if (wrong !== null) return `${path}: ${wrong}`
    }
    return null
  }

  /** Close, compare, sync, drop, compare, unmount, mount with the next design, compare. @returns null, or one line */
  finish(): string | null {
    this.replayer.closeAll()
    return (
      this.#stage('at the end', () => this.compare() ?? this.check()) ??
      this.#stage('after sync', () => this.#run(() => this.session.posix.sync()) ?? this.check() ?? this.quiet()) ??
      this.#stage('after drop-caches', () => this.#run(() => this.session.posix.dropCaches()) ?? this.compare()) ??
      this.#stage('unmount', () => this.#run(() => this.session.posix.unmount())) ??
      this.#stage('mounted again', () => {
        const at = strategies.findIndex((s) => s.name === this.setting.strategy)
        const strategy = strategies[(at + 1) % strategies.length]!.name
        this.session = mountAs(this.device, { ...this.setting, strategy })
        return this.compare() ?? this.#run(() => this.session.posix.unmount())
      })
    )
  }

  /** Claim I3 and I6 at quiescence: nothing is reserved, and no written block lies past the end of a file. */
  quiet(): string | null {
    const { fs } = this.session
    if (fs.space.reserved !== 0) return `I3: ${fs.space.reserved} blocks reserved when all is synced`
    for (const inode of fs.cachedInodes()) {
      if (!inode.isFile) continue
      const end = Math.ceil(inode.size / fs.blockSize)
      const past = inode.map.extents.find((e) => e.state === MAPPED && e.lblk + e.n > end)
      if (past === undefined) continue
      return `I6: inode ${inode.ino} of ${inode.size} bytes has written blocks up to ${past.lblk + past.n}`
    }
    return null
  }

  #run(call: () => ReturnType<Session['posix']['dropCaches']> | ReturnType<Session['posix']['sync']>): string | null {
    const done = call()
    return isLeft(done) ? `failed with ${done.left}` : null
  }
  #stage(name: string, judge: () => string | null): string | null {
    const wrong = judge()
    return wrong === null ? null : `${name}: ${wrong}`
  }
}

const actualOf = (outcome: ReturnType<Replayer['step']>, replayer: Replayer) =>
  isLeft(outcome)
    ? { n: 0, errno: outcome.left as string, bytes: Buffer.alloc(0) }
    : { n: outcome.right, errno: null, bytes: replayer.lastRead }

/** Compare an open file with its model: whole, or around what was written if it is large. */
const compareFile = ({ posix }: Session, fd: number, want: SparseBytes): string | null => {
  const stat = posix.fstat(fd)
  if (isLeft(stat)) return `fstat failed with ${stat.left}`
  if (stat.right.size !== want.size) return `size ${stat.right.size}, expected ${want.size}`
  for (const [pos, len] of windows(want)) {
    const bytes = Buffer.alloc(len)
    const read = posix.pread(fd, bytes, pos)
    if (isLeft(read)) return `read at ${pos} failed with ${read.left}`
    if (read.right !== len) return `read of ${len} bytes at ${pos} returned ${read.right}`
    const wrong = firstDifference(want.read(pos, len), bytes, pos)
    if (wrong !== null) return wrong
  }
  return null
}

const windows = (file: SparseBytes): (readonly [pos: number, len: number])[] => {
  if (file.size <= WHOLE) return file.size === 0 ? [] : [[0, file.size]]
  return [...file.chunks, Math.floor((file.size - 1) / CHUNK)].map((n) => {
    const from = Math.max(0, (n - 1) * CHUNK)
    return [from, Math.min(file.size, (n + 2) * CHUNK) - from] as const
  })
}
