/**
 * World: one program on a mounted file system, to be run again and again by a scheduler (sim/system.ts).
 *
 * Making one mounts a small image, does what the program did before, opens the file once for each fiber, and checkpoints.
 * `begin` brings all that back in microseconds. During a run every access to shared state is noted (objects.ts); after each
 * step the digests of the noted objects say which were written, and the judges look at what changed.
 *
 * Life: begin -> steps, judged one by one -> ended: at rest (nothing in flight), then sync, then a cold cache, judged each
 * time. An end state that was judged before is not judged again.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { Inode } from '../../fs/inode.ts'
import { isReal, MAPPED } from '../../fs/extent-map.ts'
import type { FileMapping } from '../../fs/mmap.ts'
import type { OpenFile } from '../../fs/open-file.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { Syscalls } from '../../fs/syscalls.ts'
import type { PageMapping } from '../../iov/user-memory.ts'
import type { ChoiceKind, Choices } from '../../kernel/choices.ts'
import { restoreAll, type Restore } from '../../kernel/checkpoint.ts'
import type { Errno } from '../../kernel/errno.ts'
import { Failure, type Kernel, type Op, run } from '../../kernel/kernel.ts'
import { type Fiber, Footprint, type System, type Violation } from '../../sim/system.ts'
import { mount, type MountOptions, type Session } from '../session.ts'
import { watch } from '../watch.ts'
import { Actor, type Source } from './actor.ts'
import { WorldDevice } from './device.ts'
import { Digests } from './digests.ts'
import { ground, GROUND_PAGES } from './ground.ts'
import { History } from './history.ts'
import { type Judge, Look } from './judge.ts'
import { LockOrder } from './lock-order.ts'
import { type Logs, noteWorld } from './members.ts'
import { MOST_FOLIOS, type Note, NotedFolios, OBJECT } from './objects.ts'
import type { Program } from './program.ts'
import { Truth } from './truth.ts'

/** What a world is made with, besides its program. */
export interface WorldOptions {
  readonly strategy: AnyStrategy
  readonly judges: readonly Judge[]
  /** Verbs of a mutant. */
  readonly verbs?: NonNullable<MountOptions['verbs']>
  /** Data bios wait for a fiber of the device. Default: if a fiber reads, syncs or writes back. */
  readonly slowDevice?: boolean
}

/** The choices of a run, behind the mount that outlives it. */
class Relay implements Choices {
  readonly scheduled = true
  to: Choices | null = null
  /** Fault sites reached while armed, in order. */
  readonly reached: string[] = []
  /** Those that failed. */
  readonly failed: string[] = []
  choose(n: number, kind: ChoiceKind, label: string): number {
    if (this.to === null) return 0
    const pick = this.to.choose(n, kind, label)
    if (kind === 'fault') {
      this.reached.push(label)
      if (pick === 1) this.failed.push(label)
    }
    return pick
  }
}

/** A program that can be run. */
export class World implements System {
  readonly program: Program
  readonly strategy: AnyStrategy
  readonly session: Session
  readonly device: WorldDevice
  readonly footprint = new Footprint()
  readonly inode: Inode
  readonly folios: NotedFolios
  readonly history: History
  readonly truth: Truth
  readonly lockOrder = new LockOrder()
  readonly digests: Digests
  /** Claims looked at, and how often. */
  readonly evaluations = new Map<string, number>()
  /** Blocks that inodes outside this program and metadata occupy: total - free - what the file has. */
  readonly usedByOthers: number
  readonly #options: WorldOptions
  readonly #relay = new Relay()
  readonly #logs: Logs = { format: 0, cache: 0, errors: 0 }
  readonly #actors: Actor[]
  readonly #sources: Source[]
  readonly #restore: { always: Restore; format: Restore; disk: Restore; inodes: Restore }
  readonly #look: Look
  readonly #judgedEnds = new Map<number, readonly Violation[]>()
  /** Steps of this run. */
  steps = 0
  #touchedFormat = false
  #touchedDisk = false
  #rested = false
  /** Nothing is noted while judges look. */
  #noting = false
  #fiber = -1

  constructor(program: Program, options: WorldOptions) {
    this.program = program
    this.#options = options
    this.strategy = options.strategy
    const note: Note = (o) => {
      if (this.#noting) this.footprint.see(o)
    }
    this.folios = new NotedFolios(note, (folio, locked) => this.lockOrder.folio(this.#fiber, folio.index, locked))
    this.digests = new Digests(this, this.#logs)
    this.device = new WorldDevice(ground(program.config).fork(), note, (bytes, start, len) => this.digests.noteMemory(note, bytes, start, len))
    this.session = this.#mount()
    this.freeAtFirst = this.session.fs.format.freeBlocks
    this.history = new History(program)
    const setUp = new Actor(this, new Syscalls(this.session.fs), 'f')
    this.truth = new Truth(program, this.history)
    this.#before(setUp)
    this.inode = setUp.inode
    this.#actors = program.fibers.map(() => new Actor(this, new Syscalls(this.session.fs), 'f'))
    this.#sources = this.history.records.map((r) => this.#actors[r.fiber]!.sourceOf(r.action, r.tag))
    setUp.close()
    const { fs, cache } = this.session
    noteWorld(fs, cache, this.inode, this.#logs, note)
    this.lockOrder.watch(this.inode, () => this.#fiber)
    this.usedByOthers = fs.format.totalBlocks - fs.format.freeBlocks - this.inode.map.realBlocks - fs.format.mapBlocks(this.inode)
    this.#restore = {
      always: restoreAll([cache.checkpoint(), fs.space.checkpoint(), this.inode.checkpoint()]),
      format: fs.format.checkpoint(), disk: this.device.inner.checkpoint(), inodes: fs.checkpoint(),
    }
    this.#look = new Look(this)
    this.truth.rollback = options.strategy.claims.rollback
    this.device.owns = (pos) => ownsBlock(this.inode, Math.floor(pos / fs.blockSize))
    this.digests.first()
  }

  /** Fault sites that the run reached, in order; those that failed. */
  get reached(): readonly string[] {
    return this.#relay.reached
  }
  get failed(): readonly string[] {
    return this.#relay.failed
  }
  /** The file that fills the disk, or null. */
  ballast: Inode | null = null
  /** Blocks free when the file system was made. */
  readonly freeAtFirst: number

  /** Mappings of writes under way. */
  get files(): readonly { readonly file: OpenFile }[] {
    return this.#actors.flatMap((a) => a.files)
  }

  /** fsync of each fiber's file, twice, at rest: how often it said EIO during the run, and what it says now. */
  fsyncEach(): { fiber: number; during: number; first: Errno | null; second: Errno | null }[] {
    return this.#actors.map((actor, fiber) => {
      const during = this.history.ofFiber(fiber).filter((r) => r.errno === 'EIO').length
      return { fiber, during, first: actor.fsync(), second: actor.fsync() }
    })
  }

  /** A mapping of the file as memory of a process: its faults are looked at by the lock order. */
  faults(mapping: FileMapping): PageMapping {
    return {
      resolve: (page, write) => mapping.resolve(page, write),
      fault: (page, write) => {
        this.lockOrder.fault(this.#fiber)
        return mapping.fault(page, write)
      },
    }
  }

  /** Write the inode out and forget it in core: the cache is cold then. */
  evict(): Kernel<boolean, 'EIO'> {
    return this.#actors[0]!.evict()
  }

  #mount(): Session {
    const { config } = this.program
    const mounted = mount(this.device, {
      strategy: watch(this.#options.strategy), maxFolioOrder: config.folioOrder, limitPages: GROUND_PAGES, poison: true,
      choices: this.#relay, now: () => 1_600_000_000_000_000, makeFolio: this.folios.make, slabPages: MOST_FOLIOS,
      ...(this.#options.verbs && { verbs: this.#options.verbs }),
    })
    if (isLeft(mounted)) throw new Error(mounted.left.message)
    return mounted.right
  }

  /** What was done before: nothing fails, nobody else runs. */
  #before(actor: Actor): void {
    for (const { action, tag } of this.history.before) {
      const done = run(actor.act(action, tag, actor.sourceOf(action, tag)))
      if (isLeft(done)) throw new BadProgram(`before the fibers: ${action.op} failed with ${done.left}`)
      this.truth.before(action, tag)
    }
    const { leave } = this.program.config
    if (leave !== undefined) this.#fill(leave)
  }

  /** A second file takes all blocks but `leave`. */
  #fill(leave: number): void {
    const { fs } = this.session
    const sys = new Syscalls(fs)
    const fd = run(sys.open('ballast', ['O_RDWR', 'O_CREAT']))
    if (isLeft(fd)) throw new BadProgram(`no ballast: ${fd.left}`)
    const file = run(sys.file(fd.right))
    if (isLeft(file)) throw new BadProgram('no ballast')
    const { inode } = file.right
    for (let lblk = 0; fs.space.available > leave; ) {
      const placed = run(fs.allocate(fs.verbs, inode, null, lblk, fs.space.available - leave, MAPPED))
      if (isLeft(placed)) break
      lblk += placed.right
    }
    this.ballast = inode
    inode.size = inode.diskSize = inode.map.end * fs.blockSize
    run(fs.writeInode(inode))
    run(sys.close(fd.right))
  }

  // --- running -------------------------------------------------------------------------------------------------------

  begin(choices: Choices): readonly Fiber[] {
    this.#noting = false
    this.#fiber = -1
    this.device.holding = false
    this.#relay.to = null
    this.#restore.always()
    if (this.#touchedFormat || this.#rested) this.#restore.format()
    if (this.#touchedDisk || this.#rested) this.#restore.disk()
    if (this.#rested) this.#restore.inodes()
    this.#touchedFormat = this.#touchedDisk = this.#rested = false
    this.device.rewind()
    this.#logs.format = this.#logs.cache = this.#logs.errors = 0
    this.history.rewind()
    this.lockOrder.rewind()
    this.digests.rewind()
    for (const actor of this.#actors) actor.rewind()
    for (const source of this.#sources) source.rewind()
    this.#relay.reached.length = this.#relay.failed.length = 0
    this.#look.rewind()
    this.steps = 0
    this.#relay.to = choices
    this.device.holding = this.#slowDevice
    this.device.recording = true
    const fibers: Fiber[] = this.program.fibers.map((actions, i) => ({ name: nameOf(actions[0]!.op, i), kernel: this.#asFiber(i, this.#run(i)) }))
    if (this.#slowDevice) fibers.push({ name: 'device', kernel: this.#asFiber(fibers.length, this.#runDevice()), daemon: true })
    this.footprint.clear()
    this.#noting = true
    return fibers
  }

  get #slowDevice(): boolean {
    return this.#options.slowDevice ?? this.program.fibers.length > 1
  }

  *#run(i: number): Kernel<void> {
    const actor = this.#actors[i]!
    const records = this.history.ofFiber(i)
    for (let a = 0; a < records.length; a++) {
      const r = records[a]!
      if (a > 0) yield* this.session.fs.verbs.step('next')
      this.history.begin(r, this.footprint)
      try {
        const n = yield* actor.act(r.action, r.tag, this.#sources[r.id]!, r) as Kernel<number>
        this.history.end(r, n, null, this.footprint)
      } catch (e) {
        if (!(e instanceof Failure)) throw e
        this.history.end(r, 0, e.errno, this.footprint)
      }
    }
  }

  *#runDevice(): Kernel<void> {
    const { device } = this
    const op = { label: 'a bio', ready: () => device.waiting.length > 0 }
    for (;;) {
      yield op
      const n = device.waiting.length
      device.completeOne(n > 1 ? this.#relay.choose(n, 'completion', 'which bio') : 0)
    }
  }

  /** `kernel`, which says whose step it is: locks taken and faults taken then are his. */
  #asFiber(i: number, kernel: Kernel<void>): Kernel<void> {
    return new Told(kernel, () => { this.#fiber = i }) as unknown as Kernel<void>
  }

  digest(object: number): number {
    return this.digests.of(object)
  }

  stepped(fiber: number): Violation | null {
    this.#noting = false
    this.steps++
    const { footprint } = this
    const changed = this.digests.update(footprint)
    if (footprint.isWritten(OBJECT.format)) this.#touchedFormat = true
    if (footprint.isWritten(OBJECT.disk)) this.#touchedDisk = true
    const found = this.lockOrder.found ?? (changed === 0 ? null : this.#judgeStep(fiber, changed))
    this.#noting = true
    return found
  }

  #judgeStep(fiber: number, changed: number): Violation | null {
    for (const judge of this.#options.judges) {
      if (judge.step === undefined || (judge.on & changed) === 0) continue
      this.#count(judge.claim)
      const what = judge.step(this.#look, fiber)
      if (what !== null) return { claim: judge.claim, what }
    }
    return null
  }

  #count(claim: string): void {
    this.evaluations.set(claim, (this.evaluations.get(claim) ?? 0) + 1)
  }

  ended(): readonly Violation[] {
    this.#noting = false
    const key = this.digests.whole()
    const known = this.#judgedEnds.get(key)
    if (known !== undefined) return known
    this.#fiber = -1
    this.#relay.to = null
    this.#rested = true
    this.device.holding = this.device.recording = false
    const found = this.#judgeRest()
    this.#judgedEnds.set(key, found)
    return found
  }

  /** At rest, after sync, from a cold cache. */
  #judgeRest(): readonly Violation[] {
    const found: Violation[] = []
    this.device.drain()
    for (const when of ['rest', 'synced', 'cold', 'again', 'gone'] as const) {
      try {
        this.#look.goTo(when)
      } catch (e) {
        if (e instanceof BadRest) return [...found, { claim: e.claim, what: e.message }]
        throw e
      }
      for (const judge of this.#options.judges) {
        if (judge.rest === undefined || !(judge.when ?? ['rest']).includes(when)) continue
        this.#count(judge.claim)
        for (const what of judge.rest(this.#look)) found.push({ claim: judge.claim, what })
      }
      if (found.length > 0) return found
    }
    return found
  }

  /** Violations of an end that was judged: for a shrinker that asks again. */
  forgetEnds(): void {
    this.#judgedEnds.clear()
  }
}

const ownsBlock = (inode: Inode, pblk: number): boolean =>
  inode.map.extents.some((e) => isReal(e.state) && pblk >= e.pblk && pblk < e.pblk + e.n)

/** A kernel that says when it makes a step. */
class Told {
  readonly #kernel: Kernel<void>
  readonly #tell: () => void
  constructor(kernel: Kernel<void>, tell: () => void) {
    this.#kernel = kernel
    this.#tell = tell
  }
  next(): IteratorResult<Op, void> {
    this.#tell()
    return this.#kernel.next() as IteratorResult<Op, void>
  }
}

/** A program that cannot be set up: the generator's fault, not the design's. */
export class BadProgram extends Error {
  override readonly name = 'BadProgram'
}

/** Going to the next stage of rest failed: that is a finding of the claim. */
export class BadRest extends Error {
  readonly claim: string
  constructor(claim: string, message: string) {
    super(message)
    this.claim = claim
  }
}

const NAMES: Readonly<Record<string, string>> = { write: 'writer', read: 'reader', load: 'loader', store: 'storer', dma: 'DMA', stat: 'stat' }
const nameOf = (op: string, i: number): string => `${NAMES[op] ?? op} ${i + 1}`
