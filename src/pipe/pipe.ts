/**
 * Pipe: a ring of buffers between who writes and who reads (struct pipe_inode_info).
 *
 * Interface: slots from `tail` on hold what is to be read, up to `head`; both only grow, and `& mask` gives the slot. Who
 * touches the ring holds `lock`. To wait he lets the lock go, waits for `readable` or `writable`, takes it again and looks
 * again. The lock of a pipe is the outermost: inode locks are taken under it, never the other way round; of two pipes the one
 * with the smaller number comes first.
 *
 * Invariants: (1) head - tail is at most the slots; (2) a slot in use has a folio, ops and at least one byte; (3) it holds
 * one reference to its folio.
 * Source: fs/pipe.c; include/linux/pipe_fs_i.h.
 */
import type { Verbs } from '../fs/verbs.ts'
import type { Restore } from '../kernel/checkpoint.ts'
import type { Op } from '../kernel/kernel.ts'
import { Lock } from '../kernel/lock.ts'
import type { Folio } from '../pagecache/folio.ts'
import { type BufferOps, PipeBuffer } from './pipe-buffer.ts'

/** Slots of a pipe unless told otherwise (PIPE_DEF_BUFFERS). */
export const PIPE_SLOTS = 16

/** A pipe. */
export class Pipe {
  /** Its place in the order of locks. */
  readonly number: number
  readonly lock: Lock
  /** Open ends. */
  readers = 1
  writers = 1
  head = 0
  tail = 0
  /** Ready when there is something to read, or nobody who could write. */
  readonly readable: Op
  /** Ready when there is a free slot, or nobody who could read. */
  readonly writable: Op
  #ring: PipeBuffer[]

  /** @throws RangeError unless `slots` is a power of two */
  constructor(number: number, slots = PIPE_SLOTS) {
    this.number = number
    this.lock = new Lock(`pipe ${number} lock`)
    this.#ring = emptyRing(slots)
    this.readable = { label: `pipe ${number} not empty`, ready: () => !this.isEmpty || this.writers === 0 }
    this.writable = { label: `pipe ${number} not full`, ready: () => !this.isFull || this.readers === 0 }
  }

  get slots(): number {
    return this.#ring.length
  }
  /** Slots in use. */
  get used(): number {
    return this.head - this.tail
  }
  get isEmpty(): boolean {
    return this.head === this.tail
  }
  get isFull(): boolean {
    return this.used >= this.#ring.length
  }
  /** Bytes to be read. */
  get bytes(): number {
    let n = 0
    for (let i = 0; i < this.used; i++) n += this.at(i).len
    return n
  }

  /** The i-th buffer from the tail on. */
  at(i: number): PipeBuffer {
    return this.#ring[(this.tail + i) & (this.#ring.length - 1)]!
  }

  /** The buffer that was filled last, or null. */
  get last(): PipeBuffer | null {
    return this.isEmpty ? null : this.at(this.used - 1)
  }

  /** Fill the next slot; there must be one. The reference to the folio is the pipe's from now on. @returns the slot */
  push(folio: Folio, off: number, len: number, ops: BufferOps, flags: number): PipeBuffer {
    if (this.isFull) throw new Error(`pipe ${this.number}: a buffer more than its ${this.slots} slots`)
    const b = this.#ring[this.head & (this.#ring.length - 1)]!
    b.set(folio, off, len, ops, flags)
    this.head++
    return b
  }

  /** The first `n` bytes were used: they go, and buffers that are empty then let go of their pages. */
  consume(k: Verbs, n: number): void {
    for (let left = n; left > 0; ) {
      const b = this.at(0)
      const c = Math.min(left, b.len)
      b.off += c
      b.len -= c
      left -= c
      if (b.len === 0) this.drop(k)
    }
  }

  /** Let go of the first buffer, whatever it holds. */
  drop(k: Verbs): void {
    const b = this.at(0)
    b.ops!.release(k, b)
    b.clear()
    this.tail++
  }

  /** The first buffer was handed on to another pipe, with its reference. */
  shift(): void {
    this.at(0).clear()
    this.tail++
  }

  /** close(2) of one end. With the last one all buffers go. */
  close(k: Verbs, end: 'read' | 'write'): void {
    if (end === 'read') this.readers--
    else this.writers--
    if (this.readers === 0 && this.writers === 0) while (!this.isEmpty) this.drop(k)
  }

  /**
   * Another number of slots, a power of two (F_SETPIPE_SZ). The lock is held.
   * @returns false if more are in use
   */
  resize(slots: number): boolean {
    if (slots < this.used) return false
    const ring = emptyRing(slots)
    for (let i = 0; i < this.used; i++) ring[i]!.copy(this.at(i), this.at(i).len, this.at(i).flags)
    this.head = this.used
    this.tail = 0
    this.#ring = ring
    return true
  }

  checkpoint(): Restore {
    const { readers, writers, head, tail } = this
    const ring = this.#ring
    const saved = ring.map(({ folio, off, len, ops, flags }) => ({ folio, off, len, ops, flags }))
    const lock = this.lock.checkpoint()
    return () => {
      Object.assign(this, { readers, writers, head, tail })
      this.#ring = ring
      ring.forEach((b, i) => Object.assign(b, saved[i]))
      lock()
    }
  }
}

const emptyRing = (slots: number): PipeBuffer[] => {
  if (slots < 1 || (slots & (slots - 1)) !== 0) throw new RangeError(`a pipe of ${slots} slots: use a power of two`)
  return Array.from({ length: slots }, () => new PipeBuffer())
}
