/**
 * Judges: how a claim looks at a world, and what it is given to look at.
 *
 * A judge looks after each step that changed what it is about (`step`), and when all is at rest (`rest`), which has stages:
 * nothing under way -> synced -> from a cold cache -> the writes that failed or were cut short done again -> the file gone.
 * It reads state; it changes nothing and is noted nowhere. It answers with sentences, empty or null if the claim held.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { FileSystem } from '../../fs/file-system.ts'
import type { Inode } from '../../fs/inode.ts'
import { unlink } from '../../fs/namespace.ts'
import { sync } from '../../fs/sync.ts'
import { Syscalls } from '../../fs/syscalls.ts'
import { MemorySource } from '../../iov/source.ts'
import { intoBuffer } from '../../iov/target.ts'
import { run } from '../../kernel/kernel.ts'
import { payload } from './actor.ts'
import type { History, Record } from './history.ts'
import type { Raw } from './objects.ts'
import { sayAction } from './program.ts'
import type { Truth } from './truth.ts'
import { BadRest, type World } from './world.ts'

/** Stages of rest, in order. */
export const WHENS = ['rest', 'synced', 'cold', 'again', 'gone'] as const
/** A stage of rest. */
export type When = (typeof WHENS)[number]

/** How one claim looks. */
export interface Judge {
  /** `I12`. */
  readonly claim: string
  /** Bits of CHANGED: `step` is called if any of this changed. */
  readonly on: number
  step?(look: Look, fiber: number): string | null
  /** Stages at which `rest` is called; default rest alone. */
  readonly when?: readonly When[]
  rest?(look: Look): readonly string[]
}

/** Blocks that are enough for any write of a program. */
const ROOM = 64

/** What judges see. */
export class Look {
  readonly world: World
  /** The stage of rest; null while fibers run. */
  when: When | null = null
  /** The file: once the cache is cold, another inode in core. */
  inode: Inode
  /** All bytes of the file, as a reader gets them, until the next stage; null while fibers run. */
  contents: Buffer | null = null
  /** Writes that were done again, and what they returned. */
  readonly again: { readonly record: Record; readonly n: number | string }[] = []
  /** What `contents` is read into, at every stage. */
  #into = Buffer.alloc(0)
  #sys: Syscalls
  #fd = -1

  constructor(world: World) {
    this.world = world
    this.inode = world.inode
    this.#sys = new Syscalls(world.session.fs)
  }

  get fs(): FileSystem {
    return this.world.session.fs
  }
  get history(): History {
    return this.world.history
  }
  get truth(): Truth {
    return this.world.truth
  }
  /** Fault sites that failed in this run, in order. */
  get failed(): readonly string[] {
    return this.world.failed
  }
  /** Did writeback or direct I/O fail: data may be lost, and the error is recorded? */
  get ioFailed(): boolean {
    return this.failed.some((site) => site.startsWith('EIO'))
  }
  /** Folios of the file, with the fields behind them. */
  get folios(): readonly Raw[] {
    return this.world.place.folios.raw.filter((f): f is Raw => f !== null && f.home === this.inode.pages)
  }
  /** Those that changed in the last step. */
  get changedFolios(): readonly Raw[] {
    return this.world.digests.changedFolios
  }

  /** `writer 1: write 4096 bytes at 0 => 4096`. */
  readonly say = (r: Record): string => {
    const result = !r.began ? 'not begun' : !r.ended ? 'under way' : (r.errno ?? String(r.n))
    return `${sayAction(r.action)} of fiber ${r.fiber + 1} (${result})`
  }

  /** The first stage: fibers run again. */
  rewind(): void {
    this.when = null
    this.contents = null
    this.inode = this.world.inode
    this.again.length = 0
  }

  /** Bring the world to the next stage of rest. @throws BadRest if that fails */
  goTo(when: When): void {
    this.when = when
    switch (when) {
      case 'rest': break
      case 'synced': this.#sync(); break
      case 'cold': this.#coldCache(); break
      case 'again': this.#writeAgain(); break
      case 'gone': return this.#remove()
    }
    this.#open()
    this.contents = this.#read()
  }

  #sync(): void {
    const done = run(sync(this.fs.verbs, this.fs))
    if (isLeft(done)) throw new BadRest('I26', `sync failed with ${done.left} although nothing fails any more`)
  }

  #coldCache(): void {
    run(this.#sys.close(this.#fd))
    this.#fd = -1
    const done = run(this.world.evict())
    if (isLeft(done)) throw new BadRest('I26', `writing the inode out failed with ${done.left} although nothing fails any more`)
    if (!done.right) throw new BadRest('I26', 'accepted data cannot be written back although there is room')
  }

  #open(): void {
    if (this.#fd >= 0 && this.when !== 'rest') return
    this.#sys = new Syscalls(this.fs)
    const fd = run(this.#sys.open('f', ['O_RDWR']))
    if (isLeft(fd)) throw new BadRest('I11', `the file cannot be opened: ${fd.left}`)
    this.#fd = fd.right
    const file = run(this.#sys.file(this.#fd))
    if (!isLeft(file)) this.inode = file.right.inode
  }

  #read(): Buffer {
    const { size } = this.inode
    if (this.#into.length <= size) this.#into = Buffer.alloc(size + 1)
    const into = this.#into.subarray(0, size + 1)
    const n = run(this.#sys.pread(this.#fd, intoBuffer(into), 0))
    if (isLeft(n)) throw new BadRest('I18', `reading the file at rest failed with ${n.left}`)
    if (n.right !== size) throw new BadRest('I18', `${n.right} bytes are readable of a file of ${size}`)
    return into.subarray(0, n.right)
  }

  /** What failed or was cut short is done once more, with room and a readable source. */
  #writeAgain(): void {
    const { ballast } = this.world.place
    if (this.world.program.config.quota !== undefined) return
    if (ballast !== null) run(this.fs.punch(this.fs.verbs, ballast, 0, ROOM))
    for (const r of this.history.records) {
      const a = r.action
      if (a.op !== 'write' || a.direct === true || (r.errno === null && r.n >= a.len)) continue
      const source = new MemorySource(payload(a, r.tag))
      const n = run(this.#sys.pwrite(this.#fd, source, a.append === true ? this.inode.size : a.pos))
      this.again.push({ record: r, n: isLeft(n) ? n.left : n.right })
    }
  }

  #remove(): void {
    run(this.#sys.close(this.#fd))
    this.#fd = -1
    run(unlink(this.fs.verbs, this.fs, 'f'))
    this.#sync()
  }
}
