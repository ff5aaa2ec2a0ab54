/**
 * World: one program on a mounted file system, to be run again and again by a scheduler (sim/system.ts).
 *
 * It runs on a place (place.ts), which `begin` brings back in microseconds. During a run every access to shared state is
 * noted (objects.ts); after each step the digests of the noted objects say which were written, and the judges look at what
 * changed.
 *
 * Life: begin -> steps, judged one by one -> ended: at rest (nothing in flight), then sync, then a cold cache, judged each
 * time. An end state that was judged before is not judged again.
 */
import type { Inode } from '../../fs/inode.ts'
import type { OpenFile } from '../../fs/open-file.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import type { Choices } from '../../kernel/choices.ts'
import type { Errno } from '../../kernel/errno.ts'
import { Failure, type Kernel, type Op } from '../../kernel/kernel.ts'
import type { Fiber, Footprint, System, Violation } from '../../sim/system.ts'
import type { MountOptions, Session } from '../session.ts'
import type { Source } from './actor.ts'
import type { WorldDevice } from './device.ts'
import { Digests } from './digests.ts'
import { History } from './history.ts'
import { type Judge, Look } from './judge.ts'
import type { LockOrder } from './lock-order.ts'
import { OBJECT } from './objects.ts'
import { BadProgram, MOST_FIBERS, type Place, placeFor } from './place.ts'
import type { Action, Program } from './program.ts'
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

/** By list of judges, and by what changed: their numbers. A world lives for milliseconds; the list outlives them. */
const asked = new WeakMap<readonly Judge[], Map<number, Int32Array>>()
const askedByOf = (judges: readonly Judge[]): Map<number, Int32Array> => {
  let known = asked.get(judges)
  if (known === undefined) asked.set(judges, (known = new Map()))
  return known
}

/** A program that can be run. */
export class World implements System {
  readonly program: Program
  /** Does the program drop what is clean from the cache, or write past it? */
  readonly evicts: boolean
  /** Does a device write through a pin? */
  readonly pins: boolean
  readonly strategy: AnyStrategy
  readonly place: Place
  readonly footprint: Footprint
  readonly history: History
  readonly truth: Truth
  readonly digests: Digests
  /** Open files of the fibers. */
  readonly files: readonly { readonly file: OpenFile }[]
  readonly #counts: Int32Array
  /** By what changed: numbers of the judges that look then. */
  readonly #askedBy: Map<number, Int32Array>
  /** `a -> b`: lock b was taken while a was held; how often. */
  readonly lockEdges = new Map<string, number>()
  /** Steps of this run. */
  steps = 0
  /** i_disksize before the step that is judged. */
  diskSizeBefore = 0
  #diskSize = 0
  /** Claims that were broken in this run: they are not looked at again, so that others are seen, too. */
  readonly #broken = new Set<string>()
  readonly #options: WorldOptions
  readonly #sources: Source[]
  readonly #names: readonly string[]
  readonly #look: Look
  readonly #judgedEnds = new Map<number, readonly Violation[]>()

  /** @throws BadProgram if what the program did before cannot be done on its ground */
  constructor(program: Program, options: WorldOptions) {
    if (program.fibers.length > MOST_FIBERS) throw new BadProgram(`${program.fibers.length} fibers: at most ${MOST_FIBERS}`)
    this.program = program
    const has = (is: (a: Action) => boolean): boolean => program.fibers.some((f) => f.some(is))
    this.evicts = has((a) => a.op === 'reclaim' || (a.op === 'write' && (a.direct === true || a.pipe === 'file')))
    this.pins = has((a) => a.op === 'dma')
    this.#options = options
    this.strategy = options.strategy
    this.place = placeFor(program.config, program.before, options.strategy, options.verbs)
    this.place.restore()
    this.footprint = this.place.footprint
    this.history = new History(program)
    this.truth = new Truth(program, this.history, this.place.past, options.strategy.claims.rollback)
    this.#sources = this.history.records.map((r) => this.place.actors[r.fiber]!.sourceOf(r.action, r.tag))
    this.files = this.place.actors.slice(0, program.fibers.length).flatMap((a) => a.files)
    this.#names = program.fibers.map((actions, i) => nameOf(actions[0]!.op, i))
    this.#counts = new Int32Array(options.judges.length)
    this.#askedBy = askedByOf(options.judges)
    this.digests = new Digests(this)
    this.#look = new Look(this)
    this.digests.first()
  }

  get session(): Session {
    return this.place.session
  }
  get device(): WorldDevice {
    return this.place.device
  }
  get inode(): Inode {
    return this.place.inode
  }
  get lockOrder(): LockOrder {
    return this.place.lockOrder
  }
  /** Fault sites that the run reached, in order; those that failed. */
  get reached(): readonly string[] {
    return this.place.relay.reached
  }
  get failed(): readonly string[] {
    return this.place.relay.failed
  }


  /** fsync of each fiber's file, twice, at rest: how often it said EIO during the run, and what it says now. */
  fsyncEach(): { fiber: number; during: number; first: Errno | null; second: Errno | null }[] {
    return this.program.fibers.map((_, fiber) => {
      const during = this.history.ofFiber(fiber).filter((r) => r.errno === 'EIO' || r.errno === 'ENOSPC').length
      const actor = this.place.actors[fiber]!
      return { fiber, during, first: actor.fsync(), second: actor.fsync() }
    })
  }

  /** Write the inode out and forget it in core: the cache is cold then. */
  evict(): Kernel<boolean, 'EIO'> {
    return this.place.actors[0]!.evict()
  }

  // --- running -------------------------------------------------------------------------------------------------------

  begin(choices: Choices): readonly Fiber[] {
    const { place } = this
    place.restore(this.program.fibers.length)
    place.lockOrder.edges = this.lockEdges
    this.history.rewind()
    this.digests.rewind()
    for (const source of this.#sources) source.rewind()
    this.#look.rewind()
    this.steps = 0
    this.#broken.clear()
    this.#diskSize = place.inode.diskSize
    place.relay.to = choices
    place.device.holding = this.#slowDevice
    place.device.recording = true
    const fibers: Fiber[] = this.#names.map((name, i) => ({ name, kernel: this.#asFiber(i, this.#run(i)) }))
    if (this.#slowDevice) fibers.push({ name: 'device', kernel: this.#asFiber(fibers.length, this.#runDevice()), daemon: true })
    return fibers
  }

  get #slowDevice(): boolean {
    return this.#options.slowDevice ?? this.program.fibers.length > 1
  }

  *#run(i: number): Kernel<void> {
    const actor = this.place.actors[i]!
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
    const op = { label: 'a bio', ready: () => device.isWanted }
    for (;;) {
      yield op
      const n = device.waiting.length
      device.completeOne(n > 1 ? this.place.relay.choose(n, 'completion', 'which bio') : 0)
    }
  }

  #asFiber(i: number, kernel: Kernel<void>): Kernel<void> {
    return new Told(kernel, this.place, i) as unknown as Kernel<void>
  }

  digest(object: number): number {
    return this.digests.of(object)
  }

  stepped(fiber: number, judged = false): Violation | null {
    this.place.noting = false
    this.steps++
    this.diskSizeBefore = this.#diskSize
    this.#diskSize = this.inode.diskSize
    const { footprint } = this
    if (judged) this.digests.repeat(footprint, this.steps)
    const changed = judged ? 0 : this.digests.update(footprint, this.steps)
    if (footprint.isWritten(OBJECT.format)) this.place.touchedFormat = true
    if (footprint.isWritten(OBJECT.disk)) this.place.touchedDisk = true
    return this.lockOrder.found ?? (changed === 0 ? null : this.#judgeStep(fiber, changed))
  }

  #judgeStep(fiber: number, changed: number): Violation | null {
    const asked = this.#asked(changed)
    for (let k = 0; k < asked.length; k++) {
      const i = asked[k]!
      const judge = this.#options.judges[i]!
      if (this.#broken.size > 0 && this.#broken.has(judge.claim)) continue
      this.#counts[i]!++
      const what = judge.step!(this.#look, fiber)
      if (what === null) continue
      this.#broken.add(judge.claim)
      return { claim: judge.claim, what }
    }
    return null
  }

  /** Numbers of the judges that look after a step if this changed. */
  #asked(changed: number): Int32Array {
    let asked = this.#askedBy.get(changed)
    if (asked === undefined) {
      const { judges } = this.#options
      asked = Int32Array.from(judges.keys()).filter((i) => (judges[i]!.on & changed) !== 0 && judges[i]!.step !== undefined)
      this.#askedBy.set(changed, asked)
    }
    return asked
  }

  /** How often each claim was looked at. */
  get evaluations(): ReadonlyMap<string, number> {
    const all = new Map<string, number>()
    this.#options.judges.forEach(({ claim }, i) => all.set(claim, (all.get(claim) ?? 0) + this.#counts[i]!))
    return all
  }

  ended(): readonly Violation[] {
    this.place.noting = false
    const key = this.digests.whole()
    const known = this.#judgedEnds.get(key)
    if (known !== undefined) return known
    this.place.fiber = -1
    this.place.relay.to = null
    this.place.rested = true
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
        // What a device dirtied through a pin asked nobody for space: then writeback may find none, and the design has no say.
        if (e instanceof BadRest) return e.claim === 'I26' && this.pins ? found : [...found, { claim: e.claim, what: e.message }]
        throw e
      }
      for (const [i, judge] of this.#options.judges.entries()) {
        if (judge.rest === undefined || !(judge.when ?? ['rest']).includes(when) || this.#broken.has(judge.claim)) continue
        this.#counts[i]!++
        for (const what of judge.rest(this.#look)) {
          this.#broken.add(judge.claim)
          found.push({ claim: judge.claim, what })
        }
      }
    }
    return found
  }

  /** Violations of an end that was judged: for a shrinker that asks again. */
  forgetEnds(): void {
    this.#judgedEnds.clear()
  }
}

/**
 * A kernel whose steps are noted: locks taken and faults taken in them are its fiber's, and what the op that it waited for
 * reads to say that it is ready is read by the step behind it.
 */
class Told {
  readonly #kernel: Kernel<void>
  readonly #place: Place
  readonly #fiber: number
  #op: Op | null = null
  constructor(kernel: Kernel<void>, place: Place, fiber: number) {
    this.#kernel = kernel
    this.#place = place
    this.#fiber = fiber
  }
  next(): IteratorResult<Op, void> {
    this.#place.fiber = this.#fiber
    this.#place.noting = true
    this.#op?.ready()
    const step = this.#kernel.next() as IteratorResult<Op, void>
    if (step.done !== true) this.#op = step.value
    return step
  }
}

/** Going to the next stage of rest failed: that is a finding of the claim. */
export class BadRest extends Error {
  readonly claim: string
  constructor(claim: string, message: string) {
    super(message)
    this.claim = claim
  }
}

const NAMES: Readonly<Record<string, string>> = {
  write: 'writer', read: 'reader', load: 'loader', store: 'storer', dma: 'DMA', stat: 'stat',
}
const nameOf = (op: string, i: number): string => `${NAMES[op] ?? op} ${i + 1}`
