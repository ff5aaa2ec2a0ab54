/**
 * Place: a mounted file system in the state in which a program's fibers begin, brought back in microseconds.
 *
 * Programs with the same ground and the same past share one; a world borrows it for the time of a run. Making one mounts a
 * small image, does what the program did before, makes all state note its accesses (objects.ts), and checkpoints.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { isReal, MAPPED } from '../../fs/extent-map.ts'
import type { Inode } from '../../fs/inode.ts'
import { blocksOf } from '../../fs/quota.ts'
import type { FileMapping } from '../../fs/mmap.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { Syscalls } from '../../fs/syscalls.ts'
import type { PageMapping } from '../../iov/user-memory.ts'
import { restoreAll, type Restore } from '../../kernel/checkpoint.ts'
import type { ChoiceKind, Choices } from '../../kernel/choices.ts'
import { run } from '../../kernel/kernel.ts'
import type { Pipe } from '../../pipe/pipe.ts'
import { Footprint } from '../../sim/system.ts'
import { mount, type MountOptions, type Session } from '../session.ts'
import { watch } from '../watch.ts'
import { Actor } from './actor.ts'
import { WorldDevice } from './device.ts'
import { ground, GROUND_PAGES } from './ground.ts'
import { LockOrder } from './lock-order.ts'
import { type Logs, noteWorld } from './members.ts'
import { memoryHead, MOST_FOLIOS, type Note, NotedFolios } from './objects.ts'
import { type Config, type Actions, numbered } from './program.ts'
import { Past } from './past.ts'

/** The choices of a run, behind the mount that outlives it. */
export class Relay implements Choices {
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

/** Most fibers of a program. */
export const MOST_FIBERS = 4

/** A place. One world runs on it at a time. */
export class Place {
  readonly session: Session
  readonly device: WorldDevice
  readonly footprint = new Footprint()
  readonly inode: Inode
  readonly folios: NotedFolios
  readonly lockOrder = new LockOrder()
  readonly relay = new Relay()
  /** Pipes of splices under way. */
  readonly pipes: Pipe[] = []
  readonly logs: Logs = { format: 0, cache: 0, errors: 0 }
  /** The file before the fibers. */
  readonly past = new Past()
  /** One process for each fiber that a program may have. */
  readonly actors: readonly Actor[]
  /** The file that fills the disk, or null. */
  readonly ballast: Inode | null
  /** Blocks free when the file system was made. */
  readonly freeAtFirst: number
  /** Blocks that others and metadata occupy: total - free - what the file has. */
  readonly usedByOthers: number
  /** Nothing is noted while nobody runs, and while judges look. */
  noting = false
  /** The fiber whose step it is, or -1. */
  fiber = -1
  /** What a run has changed beyond memory and the inode. */
  touchedFormat = false
  touchedDisk = false
  rested = false
  readonly #restore: { always: Restore; format: Restore; disk: Restore; inodes: Restore }

  /** Blocks that the owner of the file has elsewhere, if there is a quota. */
  readonly chargedElsewhere: number

  /**
   * @param limit blocks that the owner of the file may have; default no quota
   * @throws BadProgram if what was done before cannot be done on this ground
   */
  constructor(config: Config, before: Actions, strategy: AnyStrategy, verbs?: MountOptions['verbs'], limit?: number) {
    const note: Note = (o) => {
      if (this.noting) this.footprint.see(o)
    }
    this.folios = new NotedFolios(note, (folio, locked) => this.lockOrder.folio(this.fiber, folio, locked))
    this.device = new WorldDevice(ground(config).fork(), note, (bytes, start, len) => memoryHead(this.folios, note, bytes, start, len))
    const mounted = mount(this.device, {
      strategy: watch(strategy), maxFolioOrder: config.folioOrder, limitPages: GROUND_PAGES, poison: true,
      choices: this.relay, now: () => 1_600_000_000_000_000, makeFolio: this.folios.make, slabPages: MOST_FOLIOS, ...(verbs && { verbs }),
      ...(limit !== undefined && { quota: { 0: limit } }),
    })
    if (isLeft(mounted)) throw new Error(mounted.left.message)
    this.session = mounted.right
    const { fs, cache } = this.session
    this.freeAtFirst = fs.format.freeBlocks
    // The one slab is there from the beginning, so that a checkpoint keeps it.
    cache.release(cache.take(0)!)
    const setUp = new Actor(this, new Syscalls(fs), 'f')
    for (const { action, tag } of numbered({ config, before, fibers: [] })) {
      const done = run(setUp.act(action, tag, setUp.sourceOf(action, tag)))
      if (isLeft(done)) throw new BadProgram(`before the fibers: ${action.op} failed with ${done.left}`)
      this.past.did(action, tag)
    }
    this.ballast = config.leave === undefined ? null : this.#fill(config.leave)
    this.inode = setUp.inode
    this.actors = Array.from({ length: MOST_FIBERS }, () => new Actor(this, new Syscalls(fs), 'f'))
    setUp.close()
    this.chargedElsewhere = fs.quota === null ? 0 : fs.quota.of(0).used - blocksOf(fs.format, this.inode)
    noteWorld(fs, cache, this.inode, this.logs, note)
    this.lockOrder.watch(this.inode, () => this.fiber)
    this.usedByOthers = fs.format.totalBlocks - fs.format.freeBlocks - this.inode.map.realBlocks - fs.format.mapBlocks(this.inode)
    this.device.owns = (pos) => ownsBlock(this.inode, Math.floor(pos / fs.blockSize))
    this.#restore = {
      always: restoreAll([cache, fs.space, this.inode, ...(fs.quota === null ? [] : [fs.quota])].map((part) => part.checkpoint())),
      format: fs.format.checkpoint(), disk: this.device.inner.checkpoint(), inodes: fs.checkpoint(),
    }
  }

  /** A second file takes all blocks but `leave`. */
  #fill(leave: number): Inode {
    const { fs } = this.session
    const sys = new Syscalls(fs)
    const fd = run(sys.open('ballast', ['O_RDWR', 'O_CREAT']))
    if (isLeft(fd)) throw new BadProgram(`no ballast: ${fd.left}`)
    const file = run(sys.file(fd.right))
    if (isLeft(file)) throw new BadProgram('no ballast')
    const { inode } = file.right
    for (let lblk = 0; fs.space.available > leave;) {
      const placed = run(fs.allocate(fs.verbs, inode, null, lblk, fs.space.available - leave, MAPPED))
      if (isLeft(placed)) break
      lblk += placed.right
    }
    inode.size = inode.diskSize = inode.map.end * fs.blockSize
    run(fs.writeInode(inode))
    run(sys.close(fd.right))
    return inode
  }

  /** The first state again, however the last run of so many fibers was left. Nobody runs. */
  restore(fibers = MOST_FIBERS): void {
    this.noting = false
    this.fiber = -1
    this.relay.to = null
    this.device.holding = this.device.recording = false
    this.session.fs.lostBlocks = 0
    this.#restore.always()
    if (this.touchedFormat || this.rested) this.#restore.format()
    if (this.touchedDisk || this.rested) this.#restore.disk()
    if (this.rested) this.#restore.inodes()
    this.touchedFormat = this.touchedDisk = this.rested = false
    this.device.rewind()
    this.logs.format = this.logs.cache = this.logs.errors = 0
    this.lockOrder.rewind()
    for (let i = 0; i < fibers; i++) this.actors[i]!.rewind()
    this.pipes.length = 0
    this.relay.reached.length = this.relay.failed.length = 0
    this.footprint.clear()
  }

  /** A mapping of the file as memory of a process: its faults are looked at by the lock order. */
  faults(mapping: FileMapping): PageMapping {
    return {
      resolve: (page, write) => mapping.resolve(page, write),
      fault: (page, write) => {
        this.lockOrder.fault(this.fiber)
        return mapping.fault(page, write)
      },
    }
  }
}

const ownsBlock = (inode: Inode, pblk: number): boolean =>
  inode.map.extents.some((e) => isReal(e.state) && pblk >= e.pblk && pblk < e.pblk + e.n)

/** A program that cannot be set up: the generator's fault, not the design's. */
export class BadProgram extends Error {
  override readonly name = 'BadProgram'
}

/** Most places that are kept for later programs. */
const MOST_PLACES = 160
const places = new WeakMap<object, Map<string, Place>>()

/** With a quota: what stands before the fibers, and `config.quota` blocks more. */
const makePlace = (config: Config, before: Actions, strategy: AnyStrategy, verbs: MountOptions['verbs']): Place => {
  if (config.quota === undefined) return new Place(config, before, strategy, verbs)
  const { used, reserved } = new Place(config, before, strategy, verbs, 2 ** 31).session.fs.quota!.of(0)
  return new Place(config, before, strategy, verbs, used + reserved + config.quota)
}

/** The place of a ground and a past, made at its first use. @throws BadProgram */
export const placeFor = (config: Config, before: Actions, strategy: AnyStrategy, verbs?: MountOptions['verbs']): Place => {
  const key = JSON.stringify([config, before])
  const owner = verbs ?? strategy
  let known = places.get(owner)
  if (known === undefined) places.set(owner, (known = new Map()))
  const old = known.get(key)
  const place = old !== undefined && old.session.fs.strategy.name === strategy.name ? old : makePlace(config, before, strategy, verbs)
  known.delete(key)
  known.set(key, place)
  if (known.size > MOST_PLACES) known.delete(known.keys().next().value!)
  return place
}
