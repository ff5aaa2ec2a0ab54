/**
 * History: which actions began and ended, in what order in real time, and what each returned.
 *
 * The order is kept as a set: for each action, those that had ended when it began. Two runs with the same sets and the same
 * results are the same to every judge, so that pruning by the state (which holds the history) loses nothing.
 */
import type { Errno } from '../../kernel/errno.ts'
import type { Footprint, Violation } from '../../sim/system.ts'
import { fold, hashBytes, hashText } from './hash.ts'
import { OBJECT } from './objects.ts'
import { type Action, numbered, type Program } from './program.ts'

/** One action of a fiber. */
export interface Record {
  /** Among all actions of fibers, from 0. */
  readonly id: number
  readonly fiber: number
  readonly action: Action
  /** Among actions with bytes, those before the fibers included; -1 for others. */
  readonly tag: number
  began: boolean
  ended: boolean
  /** Bit set of the ids that had ended when it began. */
  before: number
  /** What it returned: bytes for calls that count them, the size for stat. */
  n: number
  errno: Errno | null
  /** Where it wrote, if that is not its `pos`: an append. */
  from: number
  /** The file position after a write by `cursor`; null for others. */
  position: number | null
  /** Stores and DMA: the least and the largest size of the file that they met; what lies past the end is nobody's. */
  leastSize: number
  mostSize: number
  /** What was wrong with the pipe of a splice; null: nothing. */
  spliced: Violation | null
  /** What it read. */
  readonly bytes: Buffer | null
}

/** The actions of one run. */
export class History {
  /** Actions before the fibers. */
  readonly before: readonly { readonly action: Action; readonly tag: number }[]
  readonly records: readonly Record[]
  /** Grows at every event: what was worked out for an older one is out of date. */
  version = 0
  /** The action that began or ended last. */
  newest: Record | null = null
  readonly #byFiber: readonly (readonly Record[])[]
  /** By fiber: the digest of what it did, or -1: to be worked out. What a record says is settled once it has ended. */
  readonly #digests: number[]
  #ended = 0

  constructor(program: Program) {
    const all = numbered(program)
    this.before = all.filter((x) => x.fiber < 0)
    this.records = all.filter((x) => x.fiber >= 0).map(({ action, fiber, tag }, id) => ({
      id, fiber, action, tag, began: false, ended: false, before: 0, n: 0, errno: null,
      from: 'pos' in action ? action.pos : 0, leastSize: 0, mostSize: 0, position: null, spliced: null,
      bytes: action.op === 'read' || action.op === 'load' ? Buffer.alloc(action.len) : null,
    }))
    this.#digests = program.fibers.map(() => -1)
    this.#byFiber = program.fibers.map((_, i) => this.records.filter((r) => r.fiber === i))
  }

  /** The actions of one fiber, in order. */
  ofFiber(i: number): readonly Record[] {
    return this.#byFiber[i]!
  }

  rewind(): void {
    this.version++
    this.newest = null
    this.#ended = 0
    this.#digests.fill(-1)
    for (const r of this.records) {
      r.began = r.ended = false
      r.before = 0
      r.n = 0
      r.leastSize = 131071
      r.mostSize = 0
      r.position = null
      r.spliced = null
      r.errno = null
      r.bytes?.fill(0)
    }
  }

  /** It begins: it knows who has ended, and that is all that others' order with it is. */
  begin(r: Record, footprint: Footprint): void {
    for (let f = 0; f < this.#byFiber.length; f++) if (f !== r.fiber) footprint.see(OBJECT.ended + f)
    this.version++
    this.newest = r
    r.began = true
    r.before = this.#ended
    this.#digests[r.fiber] = -1
    footprint.see(OBJECT.ended + r.fiber)
  }

  end(r: Record, n: number, errno: Errno | null, footprint: Footprint): void {
    this.version++
    this.newest = r
    r.ended = true
    r.n = n
    r.errno = errno
    this.#ended |= 1 << r.id
    this.#digests[r.fiber] = -1
    footprint.see(OBJECT.ended + r.fiber)
  }

  /** Was this the last event? */
  isNewest(r: Record): boolean {
    return this.newest === r
  }

  /** Is some action under way whose `op` is one of these? */
  inFlight(ops: readonly Action['op'][]): boolean {
    for (const r of this.records) if (r.began && !r.ended && ops.includes(r.action.op)) return true
    return false
  }

  /** Digest of what fiber `f` did. */
  digest(f: number): number {
    const known = this.#digests[f] ?? -1
    if (known >= 0) return known
    let d = f
    for (const r of this.#byFiber[f] ?? []) {
      if (!r.began) break
      d = fold(d, r.before * 2 + (r.ended ? 1 : 0))
      if (!r.ended) break
      d = fold(fold(d, r.from), r.leastSize * 131072 + r.mostSize)
      d = fold(d, fold(r.n, r.errno === null ? 0 : hashText(r.errno)))
      if (r.spliced !== null) d = fold(d, hashText(r.spliced.what))
      if (r.bytes !== null) d = fold(d, hashBytes(r.bytes, 0, r.bytes.length))
    }
    return (this.#digests[f] = d)
  }
}
