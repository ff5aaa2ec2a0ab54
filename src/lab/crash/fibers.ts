/**
 * Fibers: a program that runs on a file system of its own, with or without a journal, step by step under a scheduler.
 *
 * Each run mounts anew: no state is kept or compared between runs, so nothing has to be noted. Data and blocks of the log wait for a
 * fiber of the device, which completes them in any order, and where there is a journal a fiber commits when nobody asked. Everything
 * that the device has done is in the log, from the moment at which the fibers begin. What came before them is on the disk as far as
 * it was written.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { Bio } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import { MemoryDevice } from '../../block/memory-device.ts'
import { extOf, INODE } from '../../fs/formats/inode-table.ts'
import type { Journal } from '../../fs/journal/journal.ts'
import { Syscalls } from '../../fs/syscalls.ts'
import type { ChoiceKind, Choices } from '../../kernel/choices.ts'
import { attempt, Failure, type Kernel, run } from '../../kernel/kernel.ts'
import { type Fiber, Footprint, type System, type Violation } from '../../sim/system.ts'
import { Actor, type Source } from '../check/actor.ts'
import { History } from '../check/history.ts'
import { Past } from '../check/past.ts'
import { BadProgram, type Place } from '../check/place.ts'
import { numbered } from '../check/program.ts'
import { make, mount, type Session } from '../session.ts'
import { CrashLog } from './log.ts'
import type { ProgramOptions } from './program.ts'
import { dataModeOf, formatOf, journalOptions } from './record.ts'
import type { CrashMode } from './declared.ts'

/** Bytes of the device by mode: the journal may have half of it. */
const sizeOf = (mode: CrashMode, blockSize: number): number => (mode.includes('data=') ? 3072 * blockSize : 2 << 20)

const grounds = new Map<string, MemoryDevice>()

/** An empty file system. Free space is 0xAA. Do not write to it: fork it. */
const groundOf = (mode: CrashMode, blockSize: number): MemoryDevice => {
  const key = `${mode} ${blockSize}`
  let device = grounds.get(key)
  if (device === undefined) {
    device = new MemoryDevice(sizeOf(mode, blockSize), { fill: 0xaa })
    const made = make(device, { format: formatOf(mode), blockSize, zeroTables: true, ...journalOptions(mode) })
    if (isLeft(made)) throw new Error(made.left.message)
    grounds.set(key, device)
  }
  return device
}

/** Holds what waits, and writes down what was done. */
class HoldingDevice implements BlockDevice {
  readonly name = 'crash'
  readonly size: number
  readonly inner: MemoryDevice
  readonly waiting: Bio[] = []
  isHolding = false
  log: CrashLog | null = null

  constructor(inner: MemoryDevice) {
    this.inner = inner
    this.size = inner.size
  }

  submit(bio: Bio): void {
    if (this.isHolding && bio.op !== 'flush' && bio.data.vec.some((s) => s.provenance === 'cache')) this.waiting.push(bio)
    else this.#transfer(bio)
  }

  completeOne(i: number): void {
    this.#transfer(this.waiting.splice(i, 1)[0]!)
  }

  #transfer(bio: Bio): void {
    this.inner.submit(bio)
    if (bio.op !== 'read') this.log?.note(this.inner, bio)
  }
}

/** Decisions of a run, behind the mount. */
class Relay implements Choices {
  readonly scheduled = true
  to: Choices | null = null
  choose(n: number, kind: ChoiceKind, label: string): number {
    return this.to?.choose(n, kind, label) ?? 0
  }
}

/** A program on a file system of its own. */
export class FiberSystem implements System {
  readonly footprint = new Footprint()
  readonly history: History
  readonly past = new Past()
  ino = 0
  generation = 0
  readonly blockSize: number
  /** Set by `begin`: the disk before the fibers, and what happened since. */
  first: MemoryDevice
  log: CrashLog
  readonly #options: ProgramOptions

  constructor(options: ProgramOptions) {
    this.#options = options
    this.blockSize = options.program.config.blockSize
    this.history = new History(options.program)
    this.first = groundOf(options.mode, this.blockSize)
    this.log = new CrashLog(this.blockSize)
  }

  /** @throws BadProgram if what comes before the fibers cannot be done */
  begin(choices: Choices): readonly Fiber[] {
    const { mode, strategy, program, verbs } = this.#options
    const device = new HoldingDevice(groundOf(mode, this.blockSize).fork())
    const relay = new Relay()
    const mounted = mount(device, {
      strategy, journal: dataModeOf(mode), maxFolioOrder: program.config.folioOrder, limitPages: 256, choices: relay,
      now: () => 1_600_000_000_000_000, ...(verbs && { verbs }),
    })
    if (isLeft(mounted)) throw new Error(mounted.left.message)
    this.history.rewind()
    const { session, actors } = this.#prepare(mounted.right)
    this.first = device.inner.fork()
    this.log = device.log = new CrashLog(this.blockSize)
    device.isHolding = true
    relay.to = choices
    const fibers = program.fibers.map((actions, i): Fiber =>
      ({ name: `${actions[0]!.op} ${i + 1}`, kernel: this.#run(session, actors[i]!, i) }))
    const { journal } = session.fs
    return [
      ...fibers, { name: 'device', kernel: complete(device, relay), daemon: true },
      ...(journal === null ? [] : [{ name: 'jbd2', kernel: commitNowAndThen(journal), daemon: true }]),
    ]
  }

  /** What comes before the fibers, and a process for each of them. */
  #prepare(session: Session): { session: Session; actors: readonly Actor[] } {
    const { program } = this.#options
    const place = { session, faults: (m: unknown) => m, lockOrder: { fault: () => {} }, fiber: -1 } as unknown as Place
    const setUp = new Actor(place, new Syscalls(session.fs), 'f')
    this.past.size = 0
    this.past.bytes.fill(0)
    for (const { action, tag } of numbered({ ...program, fibers: [] })) {
      const done = run(setUp.act(action, tag, ready(setUp.sourceOf(action, tag))))
      if (isLeft(done)) throw new BadProgram(`before the fibers: ${action.op} failed with ${done.left}`)
      this.past.did(action, tag)
    }
    this.ino = setUp.inode.ino
    this.generation = extOf(setUp.inode).raw.readUInt32LE(INODE.generation)
    const actors = program.fibers.map(() => new Actor(place, new Syscalls(session.fs), 'f'))
    // Opened for all, so that the last close frees nothing.
    return { session, actors }
  }

  *#run(session: Session, actor: Actor, i: number): Kernel<void> {
    for (const [a, r] of this.history.ofFiber(i).entries()) {
      const source = ready(actor.sourceOf(r.action, r.tag))
      if (a > 0) yield* session.fs.verbs.step('next')
      this.history.begin(r, this.footprint)
      try {
        const n = yield* actor.act(r.action, r.tag, source, r) as Kernel<number>
        this.history.end(r, n, null, this.footprint)
      } catch (e) {
        if (!(e instanceof Failure)) throw e
        this.history.end(r, 0, e.errno, this.footprint)
      }
    }
  }

  digest(): number {
    return 0
  }
  stepped(): Violation | null {
    return null
  }
  ended(): readonly Violation[] {
    return []
  }
}

const ready = (source: Source): Source => {
  source.rewind()
  return source
}

/** Commits of a run that nobody asked for: the timer of jbd2. */
const COMMITS = 2

function* commitNowAndThen(journal: Journal): Kernel<void> {
  const op = { label: 'the timer of the journal', ready: () => journal.running.joined > 0 }
  for (let i = 0; i < COMMITS; i++) {
    yield op
    yield* attempt(() => journal.commit())
  }
}

function* complete(device: HoldingDevice, choices: Choices): Kernel<void> {
  const op = { label: 'a bio', ready: () => device.waiting.length > 0 }
  for (;;) {
    yield op
    const n = device.waiting.length
    device.completeOne(n > 1 ? choices.choose(n, 'completion', 'which bio') : 0)
  }
}
