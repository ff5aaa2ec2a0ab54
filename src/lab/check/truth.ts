/**
 * Truth: which bytes may stand where, judged by who wrote them.
 *
 * Every byte names its writer. A value may be seen at a place if it is that of the file before the fibers, or of an action that
 * covers the place, and if no later action must have replaced it: u replaces c if u covers the place, has returned, and began
 * after c had returned. So a lost, a torn, a stale and a resurrected byte are all one thing: a value that nobody may show.
 *
 * The file is cut into *cells* at the sectors of the tags and at the bounds of all actions: within a cell every action covers
 * all bytes or none.
 */
import { UPTODATE } from '../../pagecache/folio.ts'
import type { History, Record } from './history.ts'
import type { Raw } from './objects.ts'
import { type Action, type Program, TAG_SECTOR, tagByte, tagOf } from './program.ts'
import { MOST_BYTES, type Past } from './past.ts'

/** Bits of a set of values: bit t for tag t; and these. */
const ZERO = 1 << 14
const ANY = 1 << 15

const ZEROING: readonly Action['op'][] = ['truncate', 'punch', 'zero']

/** What a byte that may not be there is. */
export interface Wrong {
  readonly pos: number
  readonly found: number
  /** `stale` = of the disk before, `raw` = fresh memory, `foreign` = of an action that did not put it there, `old` = replaced. */
  readonly kind: 'stale' | 'raw' | 'foreign' | 'old' | 'zero'
  /** The action that the byte is of; null if it is nobody's. */
  readonly of: Record | null
  /** Actions that had returned and cover the place: whose bytes are missing. */
  readonly missing: readonly Record[]
}

/** The bytes of one world. */
export class Truth {
  /** Size and bytes before the fibers begin. */
  readonly size: number
  readonly #bytes: Buffer
  readonly #program: Program
  readonly #history: History
  readonly #mixesDirect: boolean
  #bounds: Int32Array | null = null
  #sets = new Int32Array(0)
  #versions = new Int32Array(0)
  /** Does the design promise that a failed write leaves no byte (I12)? */
  readonly rollback: boolean

  constructor(program: Program, history: History, past: Past, rollback: boolean) {
    this.size = past.size
    this.#bytes = past.bytes
    this.rollback = rollback
    this.#program = program
    this.#history = history
    const has = (is: (a: Action) => boolean): boolean => program.fibers.some((f) => f.some(is))
    this.#mixesDirect = program.fibers.length > 1 && has((a) => a.op === 'write' && a.direct === true) &&
      has((a) => a.op === 'store' || a.op === 'dma')
  }

  // --- cells ---------------------------------------------------------------------------------------------------------

  /** Starts of the cells, ascending, with the end of the last. */
  get bounds(): Int32Array {
    return (this.#bounds ??= this.#cut())
  }

  #cut(): Int32Array {
    const at = new Set<number>()
    for (let p = 0; p <= MOST_BYTES; p += TAG_SECTOR) at.add(p)
    at.add(this.size)
    for (const a of [...this.#program.before, ...this.#program.fibers.flat()]) {
      if (a.op === 'truncate') at.add(a.size)
      if (!('pos' in a)) continue
      for (const p of [a.pos, a.pos + a.len, a.op === 'write' ? a.pos + (a.readable ?? 0) : a.pos]) at.add(p)
      if (a.op === 'write' && a.append === true) for (const p of [this.size, this.size + a.len]) at.add(p)
    }
    const bounds = Int32Array.from([...at].filter((p) => p >= 0 && p <= MOST_BYTES).sort((a, b) => a - b))
    this.#sets = new Int32Array(bounds.length)
    this.#versions = new Int32Array(bounds.length).fill(-1)
    return bounds
  }

  /** Values that may stand in the cell from `pos` on; for `reader`, that a read between its begin and now may have returned. */
  #allowed(cell: number, pos: number, reader: Record | null): number {
    if (reader !== null || pos !== this.bounds[cell]) return this.#valuesAt(pos, reader)
    const { version } = this.#history
    if (this.#versions[cell] !== version) {
      this.#versions[cell] = version
      this.#sets[cell] = this.#valuesAt(pos, null)
    }
    return this.#sets[cell]!
  }

  #valuesAt(pos: number, reader: Record | null): number {
    const { records } = this.#history
    let set = 0
    const replaced = (c: Record | null): boolean => records.some((u) =>
      u !== c && u.ended && this.#covers(u, pos) && (reader === null || (reader.before & (1 << u.id)) !== 0) &&
      (c === null || (c.ended && (u.before & (1 << c.id)) !== 0)))
    if (this.meetsDirect(pos)) set |= ANY
    if (!replaced(null)) {
      const b = this.#bytes[pos]!
      set |= b === 0 ? ZERO : 1 << Math.max(0, tagOf(b))
    }
    for (const c of records) {
      if (!c.began || !this.#mayPut(c, pos) || (c.ended && replaced(c))) continue
      set |= ZEROING.includes(c.action.op) ? ZERO : c.action.op === 'write' && c.action.self !== undefined ? ANY : 1 << c.tag
    }
    return set
  }

  /**
   * Do a direct write and a store through a mapping go on at the same time, and the write covers `pos`? Which of them wins there
   * the kernel does not promise (dio_warn_stale_pagecache); what else the page holds it does.
   */
  meetsDirect(pos: number): boolean {
    return this.#mixesDirect && this.#history.records.some(({ action: a, from }) =>
      a.op === 'write' && a.direct === true && pos >= from && pos < from + a.len)
  }

  /** May action `r` have put a value at `pos`, even if it failed: in part, or with an error of another phase? */
  #mayPut(r: Record, pos: number): boolean {
    const a = r.action
    if ((a.op === 'store' || a.op === 'dma') && r.ended && r.errno === null) {
      return this.#inRange(a, pos) && (pos < r.mostSize || this.#extendedMeanwhile(r, pos))
    }
    // What was not accepted of it stays where the design says that it does not roll back.
    if (a.op === 'write' && r.ended && !this.rollback && r.n < a.len && (this.#inRange(a, pos) || a.append === true)) return true
    if (!r.ended || r.errno === null) return this.#covers(r, pos)
    if (a.op === 'truncate') return pos >= a.size
    if (ZEROING.includes(a.op) || a.op === 'store' || a.op === 'dma') return this.#inRange(a, pos)
    // The data was accepted; what failed is the sync after it, or a part of the I/O.
    const failedLate = r.errno === 'EIO' || r.errno === 'ENOSPC'
    if (a.op === 'write' && (a.sync === true || a.direct === true) && failedLate) return this.#inRange(a, pos)
    return this.#covers(r, pos)
  }

  /** Did a write that went on at the same time put `pos` into the file? Then a store there met it, whatever the size was. */
  #extendedMeanwhile(r: Record, pos: number): boolean {
    return this.#history.records.some((u) => u.action.op === 'write' && u.began && this.#covers(u, pos) &&
      (r.before & (1 << u.id)) === 0 && (u.before & (1 << r.id)) === 0)
  }

  #inRange(a: Action, pos: number): boolean {
    return 'pos' in a && pos >= a.pos && pos < a.pos + a.len
  }

  /** Does action `r` put a value at `pos`, or may it do so while it is under way? */
  #covers(r: Record, pos: number): boolean {
    const a = r.action
    switch (a.op) {
      case 'truncate': return pos >= a.size && r.errno === null
      case 'punch': case 'zero': return pos >= a.pos && pos < a.pos + a.len && r.errno === null
      case 'write': {
        if (r.ended && r.errno !== null) return false
        const n = r.ended ? r.n : a.len
        if (a.append === true && !r.ended) return pos >= 0
        return pos >= r.from && pos < r.from + n
      }
      case 'store': case 'dma': {
        if (r.ended && r.errno !== null) return false
        return pos >= a.pos && pos < a.pos + (r.ended ? Math.min(a.len, r.n) : a.len) && (!r.ended || pos < r.leastSize)
      }
      default: return false
    }
  }

  /**
   * The first wrong byte of [pos, pos + n), where `bytes[start]` stands at `pos`; null if all may be there.
   * @param reader the read that returned them; null: they stand in the cache, on the disk or in the file now
   */
  wrong(bytes: Buffer, start: number, pos: number, n: number, reader: Record | null = null): Wrong | null {
    const { bounds } = this
    let cell = this.#cellOf(pos)
    for (let p = pos; p < pos + n;) {
      while (bounds[cell + 1]! <= p) cell++
      const to = this.#sameUntil(p, Math.min(bounds[cell + 1]!, pos + n))
      const set = this.#allowed(cell, p, reader)
      const [first, last] = [start + p - pos, start + to - pos - 1]
      // A cell lies in one sector: one value all through, unless something is torn.
      if (this.#fits(bytes[first]!, p, set) && bytes.compare(bytes, first, last, first + 1, last + 1) === 0) {
        p = to
        continue
      }
      for (; p < to; p++) {
        const b = bytes[start + p - pos]!
        if (!this.#fits(b, p, set)) return this.#wrongAt(b, p, reader)
      }
    }
    return null
  }

  #fits(b: number, p: number, set: number): boolean {
    if (b === 0) return (set & (ZERO | ANY)) !== 0
    const tag = tagOf(b)
    if (tag < 0 || (b === 0xaa || b === 0xdb)) return false
    if ((set & ANY) !== 0) return true
    return (set & (1 << tag)) !== 0 && (b === tagByte(tag, p) || b === tagByte(tag, 0))
  }

  /** Where a short write ended between `p` and `to`: nothing else cuts a cell. */
  #sameUntil(p: number, to: number): number {
    let until = to
    for (const r of this.#history.records) {
      const end = r.ended && r.action.op === 'write' ? r.from + r.n : until
      if (end > p && end < until) until = end
    }
    return until
  }

  #cellOf(pos: number): number {
    const { bounds } = this
    let [lo, hi] = [0, bounds.length - 1]
    while (lo + 1 < hi) {
      const mid = (lo + hi) >>> 1
      if (bounds[mid]! <= pos) lo = mid
      else hi = mid
    }
    return lo
  }

  #wrongAt(b: number, pos: number, reader: Record | null): Wrong {
    const tag = tagOf(b)
    const of = tag < 0 ? null : (this.#history.records.find((r) => r.tag === tag) ?? null)
    const missing = this.#history.records.filter((u) =>
      u.ended && this.#covers(u, pos) && (reader === null || (reader.before & (1 << u.id)) !== 0))
    const foreign = of !== null && (of.errno !== null || !this.#covers(of, pos))
    const kind = b === 0xaa ? 'stale' : b === 0xdb ? 'raw' : b === 0 ? 'zero' : foreign ? 'foreign' : 'old'
    return { pos, found: b, kind, of, missing }
  }

  /** The first wrong byte in the uptodate blocks of a cached folio, below `size`. */
  wrongInFolio(f: Raw, size: number): Wrong | null {
    const block = 1 << f.blockShift
    for (let off = 0; off < f.size && f.pos + off < size; off += block) {
      if ((f.bits(off) & UPTODATE) === 0) continue
      const found = this.wrong(f.slab.bytes, f.base + off, f.pos + off, Math.min(block, size - f.pos - off))
      if (found !== null) return found
    }
    return null
  }

  // --- size ----------------------------------------------------------------------------------------------------------

  /** Sizes that some order of the actions that ended, true to real time, leaves behind; null: a failed sync leaves that open. */
  sizes(): ReadonlySet<number> | null {
    if (this.#history.records.some((r) => r.ended && mayHaveGrown(r))) return null
    const ops = this.#history.records.filter((r) => r.ended && r.errno === null && changesSize(r.action))
    const out = new Set<number>()
    const go = (size: number, done: number): void => {
      if (ops.every((r) => (done & (1 << r.id)) !== 0)) {
        out.add(size)
        return
      }
      for (const r of ops) {
        if ((done & (1 << r.id)) !== 0 || ops.some((u) => (r.before & (1 << u.id)) !== 0 && (done & (1 << u.id)) === 0)) continue
        go(sizeAfter(r, size), done | (1 << r.id))
      }
    }
    go(this.size, 0)
    return out
  }
}

const changesSize = (a: Action): boolean => ['write', 'truncate', 'zero'].includes(a.op) || (a.op === 'allocate' && a.keep !== true)

/** A write that was accepted, with an error of the sync after it. */
const mayHaveGrown = ({ action: a, errno }: Record): boolean =>
  a.op === 'write' && (a.sync === true || a.direct === true) && (errno === 'EIO' || errno === 'ENOSPC')

const sizeAfter = (r: Record, size: number): number => {
  const a = r.action
  if (a.op === 'truncate') return a.size
  if (a.op === 'write') {
    if (r.n === 0) return size
    return Math.max(size, a.append === true ? size + r.n : r.from + r.n)
  }
  return Math.max(size, (a as { pos: number; len: number }).pos + (a as { pos: number; len: number }).len)
}

/** `12 bytes...`: what a wrong byte says. */
export const sayWrong = (w: Wrong, sayRecord: (r: Record) => string): string => {
  const what = {
    stale: 'what the disk held before', raw: 'fresh memory', zero: 'a zero', old: 'a replaced byte',
    foreign: 'a byte that was not written there',
  }[w.kind]
  const of = w.of === null ? '' : ` of ${sayRecord(w.of)}`
  const missing = w.missing.length === 0 ? '' : `; expected ${w.missing.map(sayRecord).join(' or ')}`
  return `byte ${w.pos} shows ${what}${of} (0x${w.found.toString(16).padStart(2, '0')})${missing}`
}

