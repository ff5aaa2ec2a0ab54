/**
 * Programs: fibers that write, truncate and sync one file at once, recorded, so that the power can go in the middle of them.
 *
 * A program runs by a tape (fibers.ts); what its device does is written down with what had begun and ended by then. The device
 * completes data in any order that the tape says. Every byte says who wrote it; what a crash may leave at a
 * place is decided byte by byte: a value may stand there if its action had begun, and if no later action that covers the place was
 * made durable by a sync that returned.
 */
import type { AnyStrategy } from '../../fs/strategy.ts'
import { ReplayTape, RecordingTape, type Sources, strip, type TapeData } from '../../sim/tape.ts'
import { execute, type Outcome } from '../../sim/scheduler.ts'
import { STEP_BUDGET } from '../check/check.ts'
import { type Action, type Program, tagByte, tagOf, sayAction } from '../check/program.ts'
import type { Record as Did } from '../check/history.ts'
import type { MountOptions } from '../session.ts'
import { type CrashMode, type Declared, declared } from './declared.ts'
import { type Epoch, Medium } from './epochs.ts'
import type { ExpectedAt, FileAt, Finding, NamesAt, Oracle } from './expect.ts'
import { layoutOf } from './ext.ts'
import { FiberSystem } from './fibers.ts'
import { recoveryOf } from './recover.ts'
import { blockReader, type Recording } from './record.ts'

/** What runs, and how. */
export interface ProgramOptions {
  readonly strategy: AnyStrategy
  readonly mode: CrashMode
  readonly program: Program
  readonly verbs?: NonNullable<MountOptions['verbs']>
}

/** One run, with the tape that makes it again. */
export interface ProgramRecording extends Recording {
  readonly tape: TapeData
  readonly outcome: Outcome
  readonly program: Program
  /** Holds the history of the run, which no other run shares. */
  readonly system: FiberSystem
}

/** An action with its stretch of the log. */
interface Call {
  readonly did: Did
  begins: number
  ends: number
}

/** Run a program by a tape, or by a source of decisions. @throws BadProgram if it cannot be set up */
export const recordProgram = (o: ProgramOptions, tape: TapeData | Sources): ProgramRecording => {
  const system = new FiberSystem(o)
  const calls: Call[] = []
  const recording = new RecordingTape(isTape(tape) ? new ReplayTape(tape) : tape)
  let before = 0
  const look = (): void => {
    for (const did of system.history.records) {
      const call = calls[did.id]
      if (did.began && call === undefined) calls[did.id] = { did, begins: before, ends: did.ended ? system.log.length : Infinity }
      else if (did.ended && call !== undefined && call.ends === Infinity) call.ends = system.log.length
    }
    before = system.log.length
  }
  const run = execute(system, recording, { steps: STEP_BUDGET, onward: true, after: (_, m) => (look(), m.living === 0) })
  look()
  const { log, first, blockSize } = system
  const read = blockReader(first, blockSize)
  const layout = layoutOf(read, blockSize, first.size)
  if (typeof layout === 'string') throw new Error(layout)
  return {
    log, first, medium: () => new Medium(read), layout, mode: o.mode, recover: recoveryOf(layout, read), model: null, size: first.size,
    oracle: new ProgramOracle(o.program, system, calls.filter((c) => c !== undefined), declared[o.mode]),
    operations: calls.length, failed: 0, tape: strip(recording.data), outcome: run.outcome, program: o.program, system,
  }
}

const isTape = (x: TapeData | Sources): x is TapeData =>
  typeof (x as { choose?: unknown }).choose !== 'function' &&
  !Object.values(x).some((v) => typeof (v as { choose?: unknown }).choose === 'function')

const SYNCING: readonly Action['op'][] = ['fsync', 'sync']
const ZEROING: readonly Action['op'][] = ['truncate', 'punch', 'zero']

/** What a program expects of a crash. */
export class ProgramOracle implements Oracle {
  readonly #system: FiberSystem
  readonly #calls: readonly Call[]
  readonly #mode: Declared
  /** What was done before the fibers is durable. */
  readonly #pastDurable: boolean

  constructor(program: Program, system: FiberSystem, calls: readonly Call[], mode: Declared) {
    this.#system = system
    this.#calls = calls
    this.#mode = mode
    const last = program.before.at(-1)
    this.#pastDurable = last !== undefined && SYNCING.includes(last.op)
  }

  points({ from, last }: Epoch): readonly number[] {
    const promises = this.#calls.filter((c) => this.#isPromise(c)).map((c) => c.ends).filter((at) => at >= from && at < last)
    return [...new Set([...promises, last])].sort((a, b) => a - b)
  }

  #isPromise({ did: { action, ended, errno } }: Call): boolean {
    return ended && errno === null && (SYNCING.includes(action.op) || (action.op === 'write' && action.sync === true))
  }

  at(epoch: Epoch, point: number): ExpectedAt {
    const until = point === epoch.last ? epoch.to : point
    const ended = this.#calls.filter((c) => c.ends <= point).map((c) => c.did)
    const promises = this.#calls.filter((c) => c.ends <= point && this.#isPromise(c)).map((c) => c.did)
    const begun = this.#calls.filter((c) => c.begins < until || c.ends <= point).map((c) => c.did)
    // A write with O_DSYNC promises itself, a sync all that had returned when it was called.
    const durable = ended.filter((u) => promises.some((r) => r === u || (r.action.op !== 'write' && (r.before & (1 << u.id)) !== 0)))
    const file = new ProgramFile(this.#system, this.#mode, {
      ended, begun, durable, synced: promises.length > 0 || this.#pastDurable, pastDurable: this.#pastDurable,
      generation: this.#system.generation,
    })
    const directories = this.#mode.nameless || promises.length === 0 ? [] : [new RootNames(file.ino)]
    return { key: `${file.key} ${directories.length}`, files: [file], directories }
  }
}

/** What holds at one point. */
interface Now {
  readonly ended: readonly Did[]
  readonly begun: readonly Did[]
  readonly durable: readonly Did[]
  readonly synced: boolean
  readonly pastDurable: boolean
  readonly generation: number
}

const ids = (list: readonly Did[]): number => list.reduce((bits, d) => bits | (1 << d.id), 0)
const finding = (claim: string, what: string, isDeclared = false): Finding => ({ claim, what, declared: isDeclared })

class ProgramFile implements FileAt {
  readonly key: string
  readonly name = 'f'
  readonly ino: number
  readonly generation: number
  readonly promises: number
  readonly isSettled: boolean
  readonly missing: Finding | null
  readonly #system: FiberSystem
  readonly #mode: Declared
  readonly #now: Now
  readonly #sizes: ReadonlySet<number>
  readonly #good = new Set<string>()

  constructor(system: FiberSystem, mode: Declared, now: Now) {
    this.#system = system
    this.#mode = mode
    this.#now = now
    this.ino = system.ino
    this.generation = now.generation
    this.promises = now.synced ? 2 : 0
    this.missing = now.synced ? finding('I28', 'the file is gone, which a sync had promised') : null
    this.isSettled = now.synced && ids(now.begun.filter(changes)) === ids(now.durable.filter(changes))
    this.key = `${ids(now.ended)} ${ids(now.begun)} ${ids(now.durable)}`
    this.#sizes = this.#possibleSizes()
  }

  broken(what: string): Finding {
    return finding('I28', what, this.#mode.structure && !this.isSettled)
  }

  /** Sizes that some of the actions leave, in an order true to real time: all that are durable, and any of the others. */
  #possibleSizes(): ReadonlySet<number> {
    const { begun, durable, pastDurable } = this.#now
    const ops = begun.filter((d) => ['write', 'truncate', 'allocate', 'zero'].includes(d.action.op) && (d.errno === null || !d.ended))
    const must = ids(durable)
    const out = new Set<number>()
    const go = (size: number, done: number): void => {
      if (ops.every((d) => (must & (1 << d.id)) === 0 || (done & (1 << d.id)) !== 0)) out.add(size)
      for (const d of ops) {
        if ((done & (1 << d.id)) !== 0 || ops.some((u) => (done & (1 << u.id)) !== 0 && (u.before & (1 << d.id)) !== 0)) continue
        go(sizeAfter(d, size), done | (1 << d.id))
      }
    }
    go(this.#system.past.size, 0)
    if (!pastDurable && must === 0) out.add(0)
    return out
  }

  size(size: number): Finding | null {
    if (this.#sizes.has(size)) return null
    const [least, most] = [Math.min(...this.#sizes), Math.max(...this.#sizes)]
    const isMoving = this.#now.begun.some((d) => !this.#now.ended.includes(d) && d.action.op === 'write')
    if (size > least && size < most && (isMoving || size % this.#system.blockSize === 0)) return null
    const what = `the file has ${size} bytes; what had begun leaves ${[...this.#sizes].sort((a, b) => a - b).join(' or ')}`
    return size > most ? finding('I18', what, this.#mode.unordered && !this.#now.synced) : finding('I28', what)
  }

  block(lblk: number, digest: number, bytes: Buffer | null, size: number): Finding | null {
    const { blockSize } = this.#system
    const n = Math.min(blockSize, size - lblk * blockSize)
    const key = `${lblk} ${digest} ${n}`
    if (this.#good.has(key)) return null
    for (let i = 0; i < n; i++) {
      const wrong = this.#byte(lblk * blockSize + i, bytes?.[i] ?? 0, size)
      if (wrong !== null) return wrong
    }
    this.#good.add(key)
    return null
  }

  #byte(pos: number, b: number, size: number): Finding | null {
    const { begun, durable, ended, pastDurable } = this.#now
    const past = this.#system.past.bytes[pos] ?? 0
    const replaces = (c: Did | null): boolean => durable.some((u) =>
      u !== c && owns(u, pos) && (c === null || (ended.includes(c) && (u.before & (1 << c.id)) !== 0)))
    const isPastGone = replaces(null)
    if (!isPastGone && (b === past || (!pastDurable && (b === 0 || this.#isOfPast(b, pos))))) {
      return b === 0 && this.#isCut(pos, size) ? finding('I18', `byte ${pos}, the last one, was never written`, this.#mode.unordered) : null
    }
    for (const c of begun) {
      if (!covers(c, pos) || replaces(c)) continue
      if (ZEROING.includes(c.action.op) ? b === 0 : b === tagByte(c.tag, pos) || b === tagByte(c.tag, 0)) return null
    }
    return this.#wrong(pos, b, isPastGone || (pastDurable && pos < this.#system.past.size && !begun.some((c) => covers(c, pos))))
  }

  /** Is this the last byte of a size that no truncate made? Then it is data. */
  #isCut(pos: number, size: number): boolean {
    if (pos !== size - 1 || size <= this.#system.past.size) return false
    // A write that begins behind it leaves a hole there, and a truncate on its way zeros what it cuts off: zeros are true.
    return !this.#now.begun.some((d) =>
      (d.action.op === 'write' ? d.from > pos : sizeAfter(d, 0) >= size || (ZEROING.includes(d.action.op) && covers(d, pos))))
  }

  #isOfPast(b: number, pos: number): boolean {
    return this.#system.history.before.some(({ action, tag }) =>
      tag >= 0 && 'pos' in action && (b === tagByte(tag, pos) || b === tagByte(tag, 0)))
  }

  /** May a write that is not durable have placed a new block here? Where nothing orders data, all of that block may be stale. */
  #mayBePlaced(pos: number): boolean {
    const { blockSize } = this.#system
    const start = pos - (pos % blockSize)
    const { begun, durable } = this.#now
    return begun.some((d) => !durable.includes(d) && d.action.op === 'write' && (d.action.append === true || d.from < start + blockSize) &&
      d.from + d.action.len > start) && begun.some((d) => ZEROING.includes(d.action.op))
  }

  #wrong(pos: number, b: number, isDurable: boolean): Finding {
    // Past the end of what was promised only the size is.
    const isPromised = isDurable && pos < Math.min(...this.#sizes) && !(this.#mode.stale && this.#mayBePlaced(pos))
    const hex = `0x${b.toString(16).padStart(2, '0')}`
    const tag = tagOf(b)
    const did = this.#system.history.records.find((r) => r.tag === tag && tag >= 0)
    const who = b === 0 ? 'a zero' : b === 0xaa ? 'what the disk held before' : b === 0xdb ? 'fresh memory'
      : did !== undefined ? `a byte of "${sayAction(did.action)}"` : 'a byte of the file before'
    const what = `byte ${pos} shows ${who} (${hex})${isPromised ? '; a sync that returned had promised another' : ''}`
    const claim = b === 0xaa || b === 0xdb ? 'I10' : 'I28'
    return finding(claim, what, !isPromised && (b === 0 ? this.#mode.unordered : this.#mode.stale))
  }
}

const changes = (d: Did): boolean => ![...SYNCING, 'read', 'load', 'stat', 'writeback', 'reclaim', 'drop'].includes(d.action.op)

/** Does an action put something at `pos`, or may it while it is under way? */
const covers = (d: Did, pos: number): boolean => {
  const a = d.action
  switch (a.op) {
    case 'truncate': return pos >= a.size && d.errno === null
    case 'punch': case 'zero': return pos >= a.pos && pos < a.pos + a.len && d.errno === null
    case 'write': {
      if (a.append === true && !d.ended) return true
      return pos >= d.from && pos < d.from + (d.ended && d.errno === null ? d.n : a.len)
    }
    // What a store put past the end is nobody's.
    case 'store': case 'dma': return pos >= a.pos && pos < a.pos + a.len && d.errno === null
    default: return false
  }
}

/**
 * Must `pos` show this action, or a later one, once it is durable? Not if it failed; and a store did not meet the file there if that
 * was too short.
 */
const owns = (d: Did, pos: number): boolean =>
  d.errno === null && covers(d, pos) &&
  (d.action.op !== 'store' && d.action.op !== 'dma' || pos < Math.min(d.leastSize, d.action.pos + d.n))

const sizeAfter = (d: Did, size: number): number => {
  const a = d.action
  if (a.op === 'truncate') return a.size
  if (a.op === 'write') return Math.max(size, (a.append === true && !d.ended ? size : d.from) + (d.ended ? d.n : a.len))
  return a.op === 'allocate' && a.keep === true ? size : 'pos' in a ? Math.max(size, a.pos + a.len) : size
}

class RootNames implements NamesAt {
  readonly key = 'root'
  readonly name = '/'
  readonly ino = 2
  readonly promises = 1
  readonly #file: number
  constructor(file: number) {
    this.#file = file
  }
  check(found: ReadonlyMap<string, number> | null): readonly Finding[] {
    if (found?.get('f') === this.#file) return []
    return [finding('I28', 'the name f is gone, which a sync had promised')]
  }
}
