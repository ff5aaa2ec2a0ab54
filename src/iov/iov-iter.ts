/**
 * IovIter: the segments of a writev(2) or readv(2) in user memory, as one run of bytes.
 *
 * Interface: offsets `at` count from the start of the first segment. The iterator has no position of its own: progress
 * is the caller's number, so that going back after a refused copy is free. Segments of length 0 are allowed, anywhere,
 * and count for nothing (Z56: a loop that waits for a segment to make progress does not end there).
 *
 * Copies go from segment to segment and stop at the first byte that cannot be reached, in whichever segment it lies.
 * Source: struct iov_iter, include/linux/uio.h; lib/iov_iter.c.
 */
import type { Kernel } from '../kernel/kernel.ts'
import { PageVec, type Segment } from '../kernel/page-vec.ts'
import type { WriteSource } from './source.ts'
import type { ReadTarget } from './target.ts'
import { UserMemory } from './user-memory.ts'

/** One segment: [addr, addr + len) of user memory (struct iovec). */
export interface Iovec {
  readonly addr: number
  readonly len: number
}

/** Something done to [addr, addr + len) of memory; `done` bytes came before. */
type Step<R> = (addr: number, len: number, done: number) => R

/** Segments of one address space: the source of a write, or the target of a read. */
export class IovIter implements WriteSource, ReadTarget {
  readonly length: number
  readonly memory: UserMemory
  private readonly iovecs: readonly Iovec[]
  /** Every segment lies in the address space. */
  private readonly contained: boolean
  /** The segment of the last copy and the offset where it begins: copies mostly go on where the last one ended. */
  private current = 0
  private begin = 0

  /** @throws RangeError for a segment of negative length: write(2) answers EINVAL before it makes an iterator */
  constructor(memory: UserMemory, iovecs: readonly Iovec[]) {
    const negative = iovecs.find((v) => v.len < 0)
    if (negative !== undefined) throw new RangeError(`iovec of ${negative.len} bytes`)
    this.memory = memory
    this.iovecs = iovecs
    this.length = iovecs.reduce((sum, v) => sum + v.len, 0)
    this.contained = iovecs.every((v) => v.len === 0 || (v.addr >= 0 && v.addr + v.len <= memory.size))
  }

  /** All of `buffer`, present. */
  static of(buffer: Buffer): IovIter {
    return new IovIter(new UserMemory(buffer), [{ addr: 0, len: buffer.length }])
  }

  /** Nothing in the whole address space is absent, and no segment leaves it. */
  get present(): boolean {
    return this.contained && this.memory.absent === 0
  }

  faultInNow(at: number, n: number): number {
    return this.eachNow(at, n, (addr, len) => this.memory.faultInNow(addr, len))
  }

  *faultIn(at: number, n: number): Kernel<number> {
    return yield* this.each(at, n, (addr, len) => this.memory.faultIn(addr, len))
  }

  copyAtomic(target: Buffer, start: number, at: number, n: number): number {
    const room = Math.min(n, target.length - start, this.length - at)
    const v = this.seek(at)
    const skip = at - this.begin
    // The common case stands alone: one segment, and not a closure made.
    if (v !== undefined && skip + room <= v.len) return this.memory.copyAtomic(target, start, v.addr + skip, room)
    return this.eachNow(at, room, (addr, len, done) => this.memory.copyAtomic(target, start + done, addr, len))
  }

  *copyFaulting(target: Buffer, start: number, at: number, n: number): Kernel<number> {
    const room = Math.min(n, target.length - start)
    return yield* this.each(at, room, (addr, len, done) => this.memory.copyFaulting(target, start + done, addr, len))
  }

  pageVec(at: number, n: number): PageVec {
    const vec: Segment[] = []
    this.eachNow(at, n, (addr, len) => this.memory.segments(addr, len, vec))
    return new PageVec(vec)
  }

  copyOut(bytes: Buffer, start: number, at: number, n: number): number {
    return this.eachNow(at, n, (addr, len, done) => this.memory.store(addr, bytes, start + done, len))
  }

  *faultInWritable(at: number, n: number): Kernel<number> {
    return yield* this.each(at, n, (addr, len) => this.memory.faultInWritable(addr, len))
  }

  /** Make the segment that holds offset `at` the current one; undefined at the end. */
  private seek(at: number): Iovec | undefined {
    if (at < this.begin) this.current = this.begin = 0
    let v = this.iovecs[this.current]
    while (v !== undefined && at >= this.begin + v.len) {
      this.begin += v.len
      v = this.iovecs[++this.current]
    }
    return v
  }

  /** Do `step` to every piece of [at, at + n), until one is short or must wait (-1, which then is the answer). */
  private eachNow(at: number, n: number, step: Step<number>): number {
    const want = Math.min(n, this.length - at)
    for (let done = 0; ; ) {
      const v = done < want ? this.seek(at + done) : undefined
      if (v === undefined) return done
      const skip = at + done - this.begin
      const len = Math.min(v.len - skip, want - done)
      const got = step(v.addr + skip, len, done)
      if (got < 0) return got
      done += got
      if (got < len) return done
    }
  }

  /** As `eachNow`, for steps that may wait. */
  private *each(at: number, n: number, step: Step<Kernel<number>>): Kernel<number> {
    const want = Math.min(n, this.length - at)
    for (let done = 0; ; ) {
      const v = done < want ? this.seek(at + done) : undefined
      if (v === undefined) return done
      const skip = at + done - this.begin
      const len = Math.min(v.len - skip, want - done)
      const got = yield* step(v.addr + skip, len, done)
      done += got
      if (got < len) return done
    }
  }
}
