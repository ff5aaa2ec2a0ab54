/**
 * Stage: one scene on a mounted file system, run again and again by a scheduler. The observations of a run are what its observer
 * saw; nothing is judged here but the level of each.
 *
 * It borrows a place of the checker (check/place.ts), which is brought back in microseconds. The writer is a fiber, the observer is
 * one, and the disk completes bios when its own fiber has a turn. Nothing fails and no copy is short.
 *
 * The bytes of the writer are tagged as in `check`: a byte says who wrote it. A copy yields every 2 KiB (COPY_STEP), so do readers
 * and loads: what tears inside that is not seen.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { MAPPED } from '../../fs/extent-map.ts'
import type { OpenFile } from '../../fs/open-file.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { Syscalls } from '../../fs/syscalls.ts'
import { MemorySource } from '../../iov/source.ts'
import { intoBuffer } from '../../iov/target.ts'
import type { Choices } from '../../kernel/choices.ts'
import type { Errno } from '../../kernel/errno.ts'
import { Failure, type Kernel, run } from '../../kernel/kernel.ts'
import { PAGE, roundDown } from '../../kernel/units.ts'
import type { Fiber, Footprint, System, Violation } from '../../sim/system.ts'
import { type Place, placeFor } from '../check/place.ts'
import { tagByte } from '../check/program.ts'
import { type Level, levelOfBytes, levelOfSize, sayRuns, type Seen } from './level.ts'
import type { Scene } from './programs.ts'

/** Tags of the writer, and of the second one. What is older has smaller ones. */
const OWN = 8
const SECOND = 9
/** How often fstat looks in one run. */
const LOOKS = 3

/** What one look came to. */
export interface Observed {
  readonly level: Level
  /** Which bytes were whose. */
  readonly say: () => string
}

const tagged = (tag: number, pos: number, len: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: len }, (_, i) => tagByte(tag, pos + i)))

/** A scene that can be run. */
export class Stage implements System {
  readonly footprint: Footprint
  /** What was seen in the run that ended. */
  observed: readonly Observed[] = []
  /** The errno of a call that failed: such a run shows nothing. Null: none did. */
  failed: string | null = null
  readonly #scene: Scene
  readonly #place: Place
  readonly #sys: Syscalls
  readonly #fd: number
  /** Of the observer: an open file has one write under way at a time. */
  readonly #other: number
  readonly #direct: number
  readonly #files: readonly OpenFile[]
  readonly #own: MemorySource
  readonly #second: MemorySource
  readonly #want: Buffer
  readonly #bytes: Buffer
  #seen = 0
  readonly #sizes: number[] = []
  #ends = new Map<number, number>()

  constructor(scene: Scene, strategy: AnyStrategy) {
    const { config, before, pos, len, from, to } = scene
    this.#scene = scene
    this.#place = placeFor(config, before, strategy)
    this.#place.restore()
    this.footprint = this.#place.footprint
    this.#sys = new Syscalls(this.#place.session.fs)
    this.#fd = this.#open(['O_RDWR'])
    this.#other = this.#open(['O_RDWR'])
    this.#direct = this.#open(['O_RDONLY', 'O_DIRECT'])
    this.#files = [this.#fd, this.#other, this.#direct].map((fd) => sure('fstat', this.#sys.file(fd)))
    this.#own = new MemorySource(tagged(OWN, pos, len))
    this.#second = new MemorySource(tagged(SECOND, pos, len))
    this.#want = tagged(OWN, from, to - from)
    this.#bytes = Buffer.alloc(to - from)
  }

  #open(flags: readonly ('O_RDWR' | 'O_RDONLY' | 'O_DIRECT')[]): number {
    return sure('open', this.#sys.open('f', flags))
  }

  begin(choices: Choices): readonly Fiber[] {
    const place = this.#place
    place.restore()
    for (const file of this.#files) {
      file.readahead.next = file.readahead.window = 0
      file.mapping.reserved = file.mapping.reservedMap = 0
    }
    this.#bytes.fill(0)
    this.#seen = 0
    this.#sizes.length = 0
    this.failed = null
    this.observed = []
    this.#ends = new Map()
    this.#noteFolios()
    place.relay.to = choices
    place.device.holding = true
    // The next restore brings everything back, whatever this run changed.
    place.touchedFormat = place.touchedDisk = place.rested = true
    const { observer, pos } = this.#scene
    return [
      { name: 'writer', kernel: this.#call(this.#sys.pwrite(this.#fd, this.#own, pos)) },
      { name: observer, kernel: this.#call(this.#observe()) },
      { name: 'device', kernel: this.#runDevice(), daemon: true },
    ]
  }

  /** A call that fails (EBUSY of a design that may refuse) makes the run worthless, and is told. */
  *#call(kernel: Kernel<unknown, Errno>): Kernel<void> {
    try {
      yield* kernel as Kernel<unknown>
    } catch (e) {
      if (!(e instanceof Failure)) throw e
      this.failed ??= e.errno
    }
  }

  *#runDevice(): Kernel<void> {
    const { device, relay } = this.#place
    const op = { label: 'a bio', ready: () => device.isWanted }
    for (;;) {
      yield op
      const n = device.waiting.length
      device.completeOne(n > 1 ? relay.choose(n, 'completion', 'which bio') : 0)
    }
  }

  *#observe(): Kernel<void, Errno> {
    const { observer, pos, from } = this.#scene
    const { inode, session: { fs } } = this.#place
    switch (observer) {
      case 'read': case 'direct':
        this.#seen = yield* this.#sys.pread(observer === 'read' ? this.#other : this.#direct, intoBuffer(this.#bytes), from)
        return
      case 'load':
        yield* this.#sys.mmapLoad(this.#other, from, this.#bytes)
        this.#seen = this.#bytes.length
        return
      case 'size':
        for (let i = 0; i < LOOKS; i++) {
          if (i > 0) yield* fs.verbs.step('fstat')
          this.#sizes.push(fs.verbs.size(inode))
        }
        return
      case 'writer':
        yield* this.#sys.pwrite(this.#other, this.#second, pos)
        return
      case 'disk':
        yield* fs.writeBack(fs.verbs, inode, 0, Infinity)
        this.#lookAtDisk()
        return
    }
  }

  /** What the disk holds for the range: zeros where no block was written. */
  #lookAtDisk(): void {
    const { from, to } = this.#scene
    const { device, inode } = this.#place
    const block = Buffer.alloc(PAGE)
    for (const e of inode.map.extents) {
      if (e.state !== MAPPED) continue
      for (let at = Math.max(e.lblk * PAGE, roundDown(from, PAGE)); at < Math.min(to, (e.lblk + e.n) * PAGE); at += PAGE) {
        device.peek(block, (e.pblk - e.lblk) * PAGE + at, PAGE)
        block.copy(this.#bytes, Math.max(0, at - from), Math.max(0, from - at), Math.min(PAGE, to - at))
      }
    }
    this.#seen = to - from
  }

  digest(): number {
    return 0
  }

  stepped(): Violation | null {
    return null
  }

  ended(): readonly Violation[] {
    const [place, scene] = [this.#place, this.#scene]
    place.relay.to = null
    place.device.holding = false
    place.device.drain()
    this.#noteFolios()
    if (scene.observer === 'writer') this.#seen = sure('pread', this.#sys.pread(this.#fd, intoBuffer(this.#bytes), scene.from))
    this.observed = scene.observer === 'size' ? this.#sizes.map((size) => this.#sizeSeen(size)) : [this.#bytesSeen()]
    return []
  }

  /** Folios that are cached now: a later look replaces an earlier one, but what left the cache is remembered. */
  #noteFolios(): void {
    const { inode } = this.#place
    for (const f of inode.pages!.inRange(0, Number.MAX_SAFE_INTEGER)) {
      for (let at = f.pos; at < f.pos + f.size; at += PAGE) this.#ends.set(at, f.pos + f.size)
    }
  }

  readonly #folioEnd = (pos: number): number => this.#ends.get(roundDown(pos, PAGE)) ?? roundDown(pos, PAGE) + PAGE

  #bytesSeen(): Observed {
    const { from, pos, len, observer } = this.#scene
    // What lies around the write, in whole blocks, is nobody's business.
    const [first, last] = [pos - from, Math.min(this.#seen, pos + len - from)]
    const own = Uint8Array.from({ length: Math.max(0, last - first) }, (_, i) => (this.#bytes[first + i] === this.#want[first + i] ? 1 : 0))
    const seen: Seen = { pos, own, ordered: observer === 'load' }
    return { level: levelOfBytes(seen, this.#folioEnd), say: () => sayRuns(seen) }
  }

  #sizeSeen(size: number): Observed {
    const { pos, len, before } = this.#scene
    const old = (before[0] as { len: number }).len
    return { level: levelOfSize(size, old, pos + len, this.#folioEnd), say: () => `i_size ${size} on the way from ${old} to ${pos + len}` }
  }
}

/** Run what must not fail. @throws Error naming the call */
const sure = <A>(what: string, kernel: Kernel<A, Errno>): A => {
  const done = run(kernel)
  if (isLeft(done)) throw new Error(`${what} failed with ${done.left}`)
  return done.right
}
