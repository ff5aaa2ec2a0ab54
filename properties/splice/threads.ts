/**
 * Threads: processes that share pipes and a file, under every schedule with few preemptions; by brute force.
 *
 * Each schedule begins from a checkpoint, of the pipes as of everything else. What is judged: nobody waits for ever (I16); locks
 * are taken in one order, the pipe's outermost; and at the end every byte that a call says it put into a pipe, or into a file out
 * of one, is there, in order, or was read (SPLICE-1). A run that breaks down conserves nothing.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { MemorySource } from '../../src/iov/source.ts'
import { intoBuffer } from '../../src/iov/target.ts'
import { restoreAll } from '../../src/kernel/checkpoint.ts'
import type { ChoiceKind, Choices } from '../../src/kernel/choices.ts'
import type { Errno } from '../../src/kernel/errno.ts'
import { attempt, type Kernel } from '../../src/kernel/kernel.ts'
import { PAGE } from '../../src/kernel/units.ts'
import { LockOrder, lockCycle } from '../../src/lab/check/lock-order.ts'
import { freshSession } from '../../src/lab/session.ts'
import { Pipe } from '../../src/pipe/pipe.ts'
import { pipeRead, pipeWrite, setPipeSlots } from '../../src/pipe/pipe-io.ts'
import { spliceFromFile, splicePipes, spliceToFile, tee } from '../../src/pipe/splice.ts'
import { execute } from '../../src/sim/scheduler.ts'
import { type Fiber, Footprint, type System, type Violation } from '../../src/sim/system.ts'
import { reserveAllocate } from '../../src/strategies/reserve-allocate.ts'

/** A call. Pipes by number; `pages` whole pages. */
export type Call =
  | { readonly op: 'write' | 'read' | 'fromFile' | 'toFile'; readonly pipe: number; readonly pages: number }
  | { readonly op: 'tee' | 'toPipe'; readonly from: number; readonly to: number; readonly pages: number }
  | { readonly op: 'resize'; readonly pipe: number; readonly slots: number }
  | { readonly op: 'close'; readonly pipe: number; readonly end: 'read' | 'write' }
  | { readonly op: 'pwrite' | 'truncate' }

/** Processes, and how full the pipes are at first, in pages of 4 slots. */
export interface Threads {
  readonly name: string
  readonly full: readonly number[]
  readonly fibers: readonly (readonly Call[])[]
}

/** Slots of each pipe. */
const SLOTS = 4

/** Programs: a pair of each kind of call. */
export const THREADS: readonly Threads[] = [
  {
    name: 'writer and reader', full: [0],
    fibers: [[{ op: 'write', pipe: 0, pages: 6 }], [{ op: 'read', pipe: 0, pages: 3 }, { op: 'read', pipe: 0, pages: 3 }]],
  },
  {
    name: 'writer at a full pipe', full: [4],
    fibers: [[{ op: 'write', pipe: 0, pages: 2 }], [{ op: 'read', pipe: 0, pages: 1 }]],
  },
  {
    name: 'writer and a ring that shrinks', full: [1],
    fibers: [[{ op: 'write', pipe: 0, pages: 3 }], [{ op: 'resize', pipe: 0, slots: 2 }]],
  },
  {
    name: 'two splice from a file', full: [0],
    fibers: [[{ op: 'fromFile', pipe: 0, pages: 2 }], [{ op: 'fromFile', pipe: 0, pages: 4 }, { op: 'read', pipe: 0, pages: 9 }]],
  },
  {
    name: 'splice into a file from an empty pipe', full: [0],
    fibers: [[{ op: 'toFile', pipe: 0, pages: 2 }], [{ op: 'write', pipe: 0, pages: 2 }]],
  },
  {
    name: 'pipe and inode locks', full: [2],
    fibers: [[{ op: 'toFile', pipe: 0, pages: 2 }], [{ op: 'pwrite' }, { op: 'fromFile', pipe: 0, pages: 1 }], [{ op: 'truncate' }]],
  },
  {
    name: 'tee both ways', full: [1, 1],
    fibers: [[{ op: 'tee', from: 0, to: 1, pages: 1 }], [{ op: 'tee', from: 1, to: 0, pages: 1 }]],
  },
  {
    name: 'pipe to pipe both ways', full: [2, 1],
    fibers: [[{ op: 'toPipe', from: 0, to: 1, pages: 2 }], [{ op: 'toPipe', from: 1, to: 0, pages: 1 }]],
  },
  {
    name: 'reader until the end', full: [0],
    fibers: [[{ op: 'read', pipe: 0, pages: 1 }], [{ op: 'close', pipe: 0, end: 'write' }]],
  },
  {
    name: 'writer until nobody reads', full: [4],
    fibers: [[{ op: 'write', pipe: 0, pages: 1 }], [{ op: 'close', pipe: 0, end: 'read' }]],
  },
]

/** The choices of a schedule, counted out like an odometer: the last that can go further does. */
class Odometer implements Choices {
  readonly scheduled = true
  readonly picks: number[] = []
  readonly #wide: number[] = []
  #at = 0

  choose(n: number, kind: ChoiceKind): number {
    if (kind !== 'schedule') return 0
    if (this.#at === this.picks.length) {
      this.picks.push(0)
      this.#wide.push(n)
    }
    return this.picks[this.#at++]!
  }

  /** The next schedule. @returns false if this was the last */
  next(): boolean {
    this.#at = 0
    while (this.picks.length > 0 && this.picks.at(-1)! + 1 >= this.#wide.at(-1)!) {
      this.picks.pop()
      this.#wide.pop()
    }
    if (this.picks.length === 0) return false
    this.picks[this.picks.length - 1]!++
    return true
  }
}

/** Processes on pipes. */
class PipeWorld implements System {
  readonly footprint = new Footprint()
  readonly #threads: Threads
  readonly #relay: { to: Choices | null } & Choices
  readonly #session
  readonly #pipes: readonly Pipe[]
  /** One open file each. */
  readonly #fds: readonly number[]
  readonly #restore: () => void
  readonly #locks = new LockOrder()
  #fiber = -1
  /** What was put in, and what came out, by pipe. */
  #in: Buffer[][] = []
  #out: Buffer[][] = []
  #shared = false

  constructor(threads: Threads) {
    this.#threads = threads
    const relay = {
      to: null as Choices | null, scheduled: true,
      choose: (n: number, kind: ChoiceKind, label: string): number => relay.to?.choose(n, kind, label) ?? 0,
    }
    this.#relay = relay
    this.#session = freshSession({ format: 'ext4', strategy: reserveAllocate, size: 2 << 20, maxFolioOrder: 0, choices: relay })
    this.#pipes = threads.full.map((_, i) => new Pipe(i, SLOTS))
    this.#fds = threads.fibers.map(() => {
      const fd = this.#session.posix.open('f', ['O_RDWR', 'O_CREAT'])
      if (isLeft(fd)) throw new Error('no file')
      return fd.right
    })
    this.#session.posix.pwrite(this.#fds[0]!, tagged(0xf0, 4), 0)
    const { cache, fs } = this.#session
    const inode = fs.cachedInodes().find((i) => i.isFile)!
    for (const pipe of this.#pipes) this.#locks.watchPipe(pipe.lock, pipe.number, () => this.#fiber)
    this.#locks.watch(bound(inode), () => this.#fiber)
    const parts = [cache, fs, ...this.#pipes]
    this.#restore = restoreAll(parts.map((p) => p.checkpoint()))
  }

  begin(choices: Choices): readonly Fiber[] {
    this.#relay.to = null
    this.#restore()
    this.#locks.rewind()
    this.#in = this.#pipes.map(() => [])
    this.#out = this.#pipes.map(() => [])
    this.#shared = false
    const { verbs } = this.#session.fs
    this.#pipes.forEach((pipe, i) => {
      const bytes = tagged(0xe0 + i, this.#threads.full[i]!)
      for (const step of pipeWrite(verbs, pipe, new MemorySource(bytes))) {
        if (!(step as { ready(): boolean }).ready()) throw new Error('full')
      }
      this.#in[i]!.push(bytes)
    })
    this.#relay.to = choices
    return this.#threads.fibers.map((calls, i) => ({ name: `process ${i + 1}`, kernel: this.#told(i, this.#run(i, calls)) }))
  }

  /** Who runs is who takes locks. */
  #told(i: number, kernel: Kernel<void>): Kernel<void> {
    const next = (): IteratorResult<unknown, void> => {
      this.#fiber = i
      return kernel.next()
    }
    return { next } as unknown as Kernel<void>
  }

  *#run(i: number, calls: readonly Call[]): Kernel<void> {
    for (const [n, c] of calls.entries()) {
      if (n > 0) yield* this.#session.fs.verbs.step('next')
      yield* attempt(() => this.#call(c, this.#fds[i]!, (i + 1) * 16 + n))
    }
  }

  *#call(c: Call, fd: number, tag: number): Kernel<unknown, Errno> {
    const { posix: { sys }, fs: { verbs: k } } = this.#session
    switch (c.op) {
      case 'write': {
        const bytes = tagged(tag, c.pages)
        const n = yield* pipeWrite(k, this.#pipes[c.pipe]!, new MemorySource(bytes))
        return this.#in[c.pipe]!.push(bytes.subarray(0, n))
      }
      case 'read': {
        const into = Buffer.alloc(c.pages * PAGE)
        const n = yield* pipeRead(k, this.#pipes[c.pipe]!, intoBuffer(into))
        return this.#out[c.pipe]!.push(into.subarray(0, n))
      }
      case 'fromFile': {
        const n = yield* spliceFromFile(sys, fd, 0, this.#pipes[c.pipe]!, c.pages * PAGE)
        this.#shared = true
        return this.#in[c.pipe]!.push(tagged(0xf0, 4).subarray(0, n))
      }
      case 'toFile': {
        const n = yield* spliceToFile(sys, this.#pipes[c.pipe]!, fd, 8 * PAGE, c.pages * PAGE, ['SPLICE_F_MOVE'])
        return this.#out[c.pipe]!.push(Buffer.alloc(n))
      }
      case 'tee': return this.#in[c.to]!.push(Buffer.alloc(yield* tee(k, this.#pipes[c.from]!, this.#pipes[c.to]!, c.pages * PAGE)))
      case 'toPipe': {
        const n = yield* splicePipes(k, this.#pipes[c.from]!, this.#pipes[c.to]!, c.pages * PAGE)
        this.#out[c.from]!.push(Buffer.alloc(n))
        return this.#in[c.to]!.push(Buffer.alloc(n))
      }
      case 'resize': return yield* setPipeSlots(k, this.#pipes[c.pipe]!, c.slots)
      case 'close': return this.#pipes[c.pipe]!.close(k, c.end)
      case 'pwrite': return yield* sys.pwrite(fd, new MemorySource(tagged(tag, 1)), 0)
      case 'truncate': return yield* sys.ftruncate(fd, PAGE)
    }
  }

  digest(): number {
    return 0
  }
  stepped(): Violation | null {
    return this.#locks.found
  }

  ended(): readonly Violation[] {
    const found: Violation[] = []
    const cycle = lockCycle(this.#locks.edges)
    if (cycle !== null) found.push({ claim: 'I16', what: `locks are taken in both orders: ${cycle}` })
    this.#pipes.forEach((pipe, i) => {
      const [put, got] = [total(this.#in[i]!), total(this.#out[i]!)]
      if (put - got !== pipe.bytes) {
        found.push({ claim: 'SPLICE-1', what: `pipe ${i}: ${put} bytes went in, ${got} came out, ${pipe.bytes} are left` })
      }
      // Bytes that were read are tags in the order in which they went in, unless the file below them changed.
      const read = Buffer.concat(this.#out[i]!.filter((b) => b.some((x) => x !== 0)))
      for (let at = PAGE; at < read.length && !this.#shared; at += PAGE) {
        if (read[at]! >>> 4 === read[at - PAGE]! >>> 4 && read[at + 8]! < read[at - PAGE + 8]!) {
          found.push({ claim: 'SPLICE-1', what: `page ${at / PAGE} of what was read is out of order` })
        }
      }
    })
    return found
  }

  /** Lock edges seen until now. */
  get edges(): ReadonlyMap<string, number> {
    return this.#locks.edges
  }
}

/** Locks whose methods may be called without their object. */
const bound = <T extends { rwsem: object; invalidateLock: object; mapLock: object }>(inode: T): T => {
  for (const lock of [inode.rwsem, inode.invalidateLock, inode.mapLock] as Record<string, unknown>[]) {
    for (const name of ['tryLock', 'unlock', 'tryLockShared', 'unlockShared']) {
      const f = lock[name] as ((...a: unknown[]) => unknown) | undefined
      if (f !== undefined) lock[name] = f.bind(lock)
    }
  }
  return inode
}

const total = (list: readonly Buffer[]): number => list.reduce((sum, b) => sum + b.length, 0)

/** Pages of one tag, with the number of the page in byte 8. */
const tagged = (tag: number, pages: number): Buffer => {
  const bytes = Buffer.alloc(pages * PAGE, tag)
  for (let i = 0; i < pages; i++) bytes[i * PAGE + 8] = i
  return bytes
}

/** What the schedules of a program showed. */
export interface Shown {
  readonly runs: number
  /** All schedules within the bound were run. */
  readonly exhausted: boolean
  readonly found: readonly Violation[]
  /** `pipe lock -> inode lock`. */
  readonly edges: readonly string[]
}

/** Run schedules with at most `preemptions` until something is found, at most `most` of them. */
export const schedules = (threads: Threads, preemptions: number, most: number): Shown => {
  const world = new PipeWorld(threads)
  const odometer = new Odometer()
  for (let runs = 1; ; runs++) {
    const { outcome, violations } = execute(world, odometer, { preemptions, steps: 4000 })
    const found: Violation[] = [...violations]
    if (outcome.kind === 'threw') found.push({ claim: 'SPLICE-1', what: `broke down: ${String(outcome.error)}` })
    if (outcome.kind === 'loop') found.push({ claim: 'I15', what: `no end: ${outcome.tail.join(', ')}` })
    if (outcome.kind === 'deadlock') {
      const stuck = outcome.waiting.filter((w) => !w.label.includes('empty') && !w.label.includes('full'))
      const waiting = outcome.waiting.map((w) => `${w.name} waits for ${w.label}`).join(', ')
      if (stuck.length > 0) found.push({ claim: 'I16', what: `deadlock: ${waiting}` })
    }
    const more = odometer.next()
    const edges = [...world.edges.keys()].sort()
    if (found.length > 0 || !more || runs === most) return { runs, exhausted: !more, found, edges }
  }
}
