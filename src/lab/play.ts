/**
 * play: one scene, one strategy, one plan of faults; what was found, and what it cost.
 *
 * Order: the steps before (nothing fails) -> the judged write, under the plan -> at once: outcome, locks, space, bytes ->
 * sync, drop the cache, the bytes again, space at rest -> the write once more, with nothing failing -> the bytes -> remove
 * the file, and the space must be what it was. The play stops at the first error that leaves the state unknown.
 * Deterministic: the same arguments give the same play.
 */
import { isLeft, type Either } from 'fp-ts/lib/Either.js'
import { MemoryDevice } from '../block/memory-device.ts'
import { pinForDma, type Pin } from '../fs/mmap.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { IovIter } from '../iov/iov-iter.ts'
import { UserMemory } from '../iov/user-memory.ts'
import type { Errno } from '../kernel/errno.ts'
import { run, SelfDeadlock } from '../kernel/kernel.ts'
import { Ledger, since, snapshot } from '../kernel/ledger.ts'
import { PAGE, roundUp } from '../kernel/units.ts'
import { FaultPlan, type Plan } from '../sim/fault-plan.ts'
import { virtualClock } from '../sim/clock.ts'
import type { ClaimId } from './claims.ts'
import { balance, contents, spaceAtRest, spaceNow } from './inspect.ts'
import { type Scene, sayStep, type Step, type WriteStep } from './scene.ts'
import { mount, type MountOptions, type Session } from './session.ts'
import { Truth } from './truth.ts'
import { Breach, type Heartbeat, watch } from './watch.ts'
import { fillPayload } from './workload/payload.ts'

/** A claim that did not hold, and how that showed. */
export interface Finding {
  readonly claim: ClaimId
  readonly what: string
}

/** What a design is played on. */
export interface Ground {
  readonly strategy: AnyStrategy
  /** A fresh file system; each play works on a fork of it. */
  readonly device: MemoryDevice
  readonly maxFolioOrder: number
  /** Verbs of a mutant. */
  readonly verbs?: NonNullable<MountOptions['verbs']>
  readonly beat?: Heartbeat
}

/** How one play went. */
export interface Play {
  readonly scene: string
  readonly plan: Plan
  /** Fault sites that the judged write reached, in order. */
  readonly reached: readonly string[]
  /** Those that failed. */
  readonly failed: readonly string[]
  /** Bytes or errno of the judged write; null if it did not return. */
  readonly outcome: number | Errno | null
  /** Bytes that it should have written, were nothing to fail. */
  readonly wanted: number
  readonly findings: readonly Finding[]
  /** Claims that were looked at. */
  readonly checked: readonly ClaimId[]
  /** The judged write alone. */
  readonly cost: Ledger
  /** The whole play. */
  readonly total: Ledger
  /** The device after the sync that follows the judged write; null if the play did not come so far. */
  readonly image: MemoryDevice | null
  /** What the file holds there. */
  readonly bytes: Buffer
  /** One line a step, for people. */
  readonly timeline: readonly string[]
}

/** Most bytes that the file of a scene ever has. */
const LIMIT = 256 * 1024
/** The step number of the judged write; the retry has the next one. */
const JUDGED = 100

/** The device that scenes are played on, in bytes. */
export const GROUND_BYTES = 4 * 1024 * 1024

class Stop extends Error {}

/** Play `scene` once. */
export const play = (scene: Scene, ground: Ground, plan: Plan = { fail: [] }): Play =>
  new Player(scene, ground, plan).play()

class Player {
  readonly #scene: Scene
  readonly #plan: Plan
  readonly #faults: FaultPlan
  readonly #session: Session
  readonly #device: MemoryDevice
  readonly #findings: Finding[] = []
  readonly #checked = new Set<ClaimId>()
  readonly #timeline: string[] = []
  readonly #free: number
  #fd = -1
  #truth = new Truth(LIMIT)
  #pin: { readonly pin: Pin; readonly pos: number } | null = null
  #outcome: Either<Errno, number> | null = null
  #cost = new Ledger()
  #image: MemoryDevice | null = null
  #bytes = Buffer.alloc(0)

  constructor(scene: Scene, ground: Ground, plan: Plan) {
    this.#scene = scene
    this.#plan = plan
    this.#faults = new FaultPlan(plan)
    this.#faults.armed = false
    this.#device = ground.device.fork()
    const session = mount(this.#device, {
      strategy: watch(ground.strategy, ground.beat), maxFolioOrder: ground.maxFolioOrder, limitPages: 1024, poison: true,
      choices: this.#faults, now: virtualClock(), ...(ground.verbs && { verbs: ground.verbs }),
    })
    if (isLeft(session)) throw new Error(session.left.message)
    this.#session = session.right
    this.#free = session.right.posix.statfs().free
  }

  play(): Play {
    try {
      this.#acts()
    } catch (e) {
      if (!(e instanceof Stop)) this.#thrown(e)
    }
    const { left: errno, right: n } = (this.#outcome ?? {}) as { left?: Errno; right?: number }
    return {
      scene: this.#scene.name, plan: this.#plan, reached: this.#faults.reached, failed: this.#faults.failed,
      outcome: errno ?? n ?? null, wanted: wanted(this.#scene.write), findings: this.#findings, checked: [...this.#checked],
      cost: this.#cost, total: snapshot(this.#session.ledger), image: this.#image, bytes: this.#bytes, timeline: this.#timeline,
    }
  }

  #acts(): void {
    const { posix } = this.#session
    this.#fd = this.#must(posix.open('f', ['O_RDWR', 'O_CREAT']), 'open')
    this.#scene.before.forEach((step, i) => this.#before(step, i + 1))
    const before = this.#truth.copy()
    this.#judged(before)
    this.#now('after the write', before)
    this.#releasePin()
    this.#must(posix.sync(), 'sync')
    this.#rest()
    // An image with lost blocks is for e2fsck to repair, not for a judge to pass.
    if (this.#lost === 0) this.#image = this.#device.fork()
    this.#bytes = Buffer.from(this.#truth.bytes)
    this.#drop()
    this.#now('from the disk', before)
    this.#retry()
    this.#removeAll()
  }

  // --- steps ---------------------------------------------------------------------------------------------------------

  #before(step: Step, number: number): void {
    const { posix } = this.#session
    this.#say(sayStep(step))
    switch (step.op) {
      case 'write': {
        const n = this.#must(this.#write(step, number), `step ${number}`)
        if (n !== wanted(step)) this.#find('I26', `step ${number} wrote ${n} of ${wanted(step)} bytes with nothing failing`)
        return this.#truth.write(step.pos, bytesOf(step, number).subarray(0, n), number)
      }
      case 'store':
        this.#must(posix.mmapStore(this.#fd, step.pos, bytesOf(step, number)), 'store')
        return this.#truth.store(step.pos, bytesOf(step, number), number)
      case 'truncate':
        this.#must(posix.ftruncate(this.#fd, step.size), 'truncate')
        return this.#truth.truncate(step.size)
      case 'fallocate': {
        // A format without unwritten extents cannot; the range is a hole then, and the scene as good.
        const { hasUnwritten } = this.#session.fs.format
        if (hasUnwritten) this.#must(posix.fallocate(this.#fd, 'allocate', step.pos, step.len), 'fallocate')
        else this.#must(posix.ftruncate(this.#fd, step.pos + step.len), 'truncate')
        return this.#truth.truncate(Math.max(this.#truth.size, step.pos + step.len))
      }
      case 'sync': return void this.#must(posix.sync(), 'sync')
      case 'drop': return this.#drop()
      case 'pin': {
        const { fs } = this.#session
        const pin = this.#must(run(pinForDma(fs.verbs, fs, this.#inode(), step.pos)), 'pin')
        this.#pin = { pin, pos: step.pos }
        return
      }
      case 'fill': return this.#fill(step.leave)
    }
  }

  #write(step: WriteStep, number: number): Either<Errno, number> {
    const readable = step.readable ?? step.len
    const start = roundUp(readable, PAGE) - readable
    const memory = new UserMemory(roundUp(start + step.len, PAGE) + PAGE)
    memory.bytes.set(bytesOf(step, number).subarray(0, readable), start)
    if (readable < step.len) memory.mark(start + readable, memory.size - start - readable, 'unreadable')
    const source = new IovIter(memory, [{ addr: start, len: step.len }])
    return this.#session.posix.pwriteFrom(this.#fd, source, step.pos)
  }

  /** Forget what is cached: only a file that nobody holds open is let go. */
  #drop(): void {
    const { posix } = this.#session
    this.#must(posix.close(this.#fd), 'close')
    this.#must(posix.dropCaches(), 'drop caches')
    this.#fd = this.#must(posix.open('f', ['O_RDWR']), 'open')
  }

  #fill(leave: number): void {
    const { posix } = this.#session
    const fd = this.#must(posix.open('filler', ['O_RDWR', 'O_CREAT']), 'open')
    const { blockSize } = posix.statfs()
    for (let pos = 0; ; ) {
      const blocks = posix.statfs().available - leave
      if (blocks <= 0) break
      const n = posix.pwrite(fd, Buffer.alloc(Math.min(blocks, 64) * blockSize, 0x55), pos)
      if (isLeft(n)) break
      pos += n.right
    }
    this.#must(posix.close(fd), 'close')
  }

  /** The judged write, with faults, and what its outcome alone says. */
  #judged(before: Truth): void {
    const { ledger } = this.#session
    const step = this.#scene.write
    const start = snapshot(ledger)
    this.#faults.armed = true
    try {
      this.#outcome = this.#write(step, JUDGED)
    } finally {
      this.#faults.armed = false
      this.#cost = since(start, snapshot(ledger))
    }
    for (const c of ['I13', 'I15', 'I16', 'I17', 'I26', 'port']) this.#checked.add(c)
    const said = isLeft(this.#outcome) ? this.#outcome.left : `${this.#outcome.right} bytes`
    const fails = this.#faults.failed.length === 0 ? '' : `, with ${[...new Set(this.#faults.failed)].join(', ')} failing`
    this.#say(`${sayStep(step)}${fails} => ${said}`)
    const readable = wanted(step)
    if (isLeft(this.#outcome)) return this.#needless(this.#outcome.left, readable)
    const n = this.#outcome.right
    if (n > readable || n <= 0) this.#find('I13', `the write returned ${n}, with ${readable} of ${step.len} bytes readable`)
    else if (n < readable && !this.#mayFail && step.len === readable) {
      this.#find('I26', `the write stopped after ${n} of ${readable} bytes with nothing failing`)
    }
    before.write(step.pos, Buffer.alloc(0), JUDGED)
    this.#truth.write(step.pos, bytesOf(step, JUDGED).subarray(0, n), JUDGED)
  }

  /** May the judged write fail or stop without a bug of the design? */
  get #mayFail(): boolean {
    return this.#faults.failed.length > 0 || this.#scene.before.some((s) => s.op === 'fill')
  }

  #needless(errno: Errno, readable: number): void {
    if (this.#mayFail) return
    const efault = readable < this.#scene.write.len && errno === 'EFAULT'
    if (!efault) this.#find('I26', `the write failed with ${errno} although nothing failed below it`)
  }

  #retry(): void {
    const { posix } = this.#session
    if (this.#scene.before.some((s) => s.op === 'fill')) this.#must(posix.unlink('filler'), 'unlink')
    const whole: WriteStep = { op: 'write', pos: this.#scene.write.pos, len: this.#scene.write.len }
    const again = this.#write(whole, JUDGED + 1)
    this.#say(`the same write again, all readable => ${isLeft(again) ? again.left : `${again.right} bytes`}`)
    if (isLeft(again)) return this.#find('I26', `the write done again failed with ${again.left}`)
    if (again.right !== whole.len) this.#find('I26', `the write done again stopped after ${again.right} of ${whole.len} bytes`)
    this.#truth.write(whole.pos, bytesOf(whole, JUDGED + 1).subarray(0, again.right), JUDGED + 1)
    this.#now('after the write was done again', this.#truth)
    this.#must(posix.sync(), 'sync')
    this.#rest()
    this.#drop()
    this.#now('from the disk, after the write was done again', this.#truth)
  }

  #removeAll(): void {
    const { posix, fs } = this.#session
    this.#must(posix.close(this.#fd), 'close')
    this.#must(posix.unlink('f'), 'unlink')
    this.#must(posix.sync(), 'sync')
    this.#checked.add('I1')
    const counted = this.#must(run(fs.format.countFreeBlocks()), 'count')
    const free = posix.statfs().free
    if (free + this.#lost !== this.#free || counted !== free || fs.lostBlocks !== this.#lost) {
      const now = `${free} blocks free by the counter, ${counted} by the bitmaps`
      this.#find('I1', `all files are gone: ${now}, ${this.#free} at first`)
    }
  }

  // --- looking -------------------------------------------------------------------------------------------------------

  /** What must hold whenever no operation is in flight. `before`: the file without the judged write. */
  #now(when: string, before: Truth): void {
    const { write } = this.#scene
    this.#add(when, balance(this.#session, this.#pin === null ? 0 : 1), ['I17'])
    this.#add(when, spaceNow(this.#session), ['I2', 'I4'])
    if (this.#lostByWriteback && when !== 'after the write') return
    const failed = this.#outcome === null || isLeft(this.#outcome)
    const found = contents(this.#session.posix, this.#fd, this.#truth, {
      failed, disk: when.startsWith('from'), pos: write.pos,
      written: failed ? 0 : (this.#outcome as { right: number }).right,
      bytes: bytesOf(write, JUDGED), oldSize: before.size, judged: JUDGED, sayOwner: (owner) => this.#sayOwner(owner),
    })
    const looked = failed ? ['I12', 'I14', 'I10', 'I23', 'I19'] : ['I11', 'I14', 'I10', 'I23', 'I19']
    this.#add(when, found, when.startsWith('from') ? [...looked, 'I9'] : looked)
  }

  /**
   * An I/O of writeback inside the write failed: older data never reached the disk, is clean all the same, and the error is
   * recorded for fsync (I25), as ext4 does it. The cache still shows it; what the disk shows is not the write's doing.
   */
  get #lostByWriteback(): boolean {
    return this.#faults.failed.includes('EIO.write')
  }

  /** Blocks that an undo may have lost: only where the bitmap could not be read. */
  get #lost(): number {
    return this.#faults.failed.includes('EIO.free') ? this.#session.fs.lostBlocks : 0
  }

  #rest(): void {
    const asked = this.#scene.before.some((s) => s.op === 'fallocate')
    this.#add('after sync', spaceAtRest(this.#session, asked), ['I3', 'I6'])
  }

  /** The device writes once more, into what is his; then the pin is given back. */
  #releasePin(): void {
    if (this.#pin === null) return
    const { pin, pos } = this.#pin
    const step = { op: 'store', pos, len: 200 } as const
    pin.dma(pos, bytesOf(step, JUDGED + 2))
    this.#say('the device writes 200 bytes into the pinned page, and unpins it')
    this.#truth.store(pos, bytesOf(step, JUDGED + 2), JUDGED + 2)
    this.#must(run(pin.release(this.#session.fs.verbs, this.#session.fs)), 'unpin')
    this.#pin = null
  }

  #sayOwner(owner: number): 'store' | string {
    if (owner === JUDGED) return 'the judged write'
    if (owner === JUDGED + 1) return 'the write done again'
    if (owner === JUDGED + 2) return 'store (by the device that pinned the page)'
    const step = this.#scene.before[owner - 1]
    return step === undefined ? 'nobody (zeros)' : sayStep(step)
  }

  #inode() {
    const stat = this.#must(this.#session.posix.fstat(this.#fd), 'fstat')
    return this.#session.fs.inodes.get(stat.ino)!
  }

  #add(when: string, findings: readonly Finding[], looked: readonly ClaimId[]): void {
    for (const c of looked) this.#checked.add(c)
    for (const { claim, what } of findings) this.#find(claim, `${when}: ${what}`)
  }

  #find(claim: ClaimId, what: string): void {
    if (this.#findings.some((f) => f.claim === claim)) return
    this.#findings.push({ claim, what })
    this.#say(`✗ ${claim}: ${what}`)
  }

  #say(line: string): void {
    this.#timeline.push(line)
  }

  /** A step that nothing kept from succeeding: if it fails the design broke it, and the play ends. */
  #must<A>(result: Either<Errno, A>, what: string): A {
    if (!isLeft(result)) return result.right
    this.#find('I26', `${what} failed with ${result.left} although nothing failed below it`)
    throw new Stop()
  }

  /** Something was thrown: the design's doing. */
  #thrown(e: unknown): void {
    const what = e instanceof Error ? e.message : String(e)
    if (e instanceof Breach) return this.#find('port', what)
    if (e instanceof SelfDeadlock || what.includes('Z01')) return this.#find('I16', what)
    if (what.startsWith('livelock')) return this.#find('I15', what)
    if (what.includes('end() leaks')) return this.#find('I3', what)
    this.#find('port', `threw ${what}`)
  }
}

/** Bytes that a write can take from its source. */
const wanted = (s: WriteStep): number => s.readable ?? s.len

const bytesOf = (step: { readonly len: number }, number: number): Buffer => {
  const bytes = Buffer.alloc(step.len)
  fillPayload(bytes, number)
  return bytes
}
