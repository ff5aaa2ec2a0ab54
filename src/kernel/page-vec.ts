/**
 * PageVec: a view {vec, offset, length} on a shared list of page segments.
 *
 * A kiobuf clone, a bio iterator, a pipe slice, a 9P payload and a write source are all this one type. A clone shares
 * the list and has its own offset and length ("a simple header, nothing more, nothing less": seed 004).
 *
 * Rules: offset and length are bytes within the concatenation of the segments; a view never reaches outside it; making a
 * view copies no bytes and no segments.
 */

/** Where the bytes of a segment come from, hence who else may write them. */
export type Provenance = 'anonymous' | 'gifted' | 'cache' | 'wire'

/** A run of bytes in memory. `bytes` may be larger than the segment: it is [start, start + len) of it. */
export interface Segment {
  readonly bytes: Buffer
  readonly start: number
  readonly len: number
  readonly provenance: Provenance
}

/** Nobody else can write a gifted page or one from the wire: it may be moved instead of copied. */
export const isStealable = (s: Segment): boolean => s.provenance === 'gifted' || s.provenance === 'wire'

/** A view on shared segments. */
export class PageVec {
  readonly vec: readonly Segment[]
  readonly offset: number
  readonly length: number

  /** @throws RangeError if the view reaches outside the segments: a bug of the caller */
  constructor(vec: readonly Segment[], offset = 0, length = total(vec) - offset) {
    if (offset < 0 || length < 0 || offset + length > total(vec)) {
      throw new RangeError(`view [${offset}, +${length}) outside ${total(vec)} bytes of segments`)
    }
    this.vec = vec
    this.offset = offset
    this.length = length
  }

  /** A view on one buffer. */
  static of(bytes: Buffer, provenance: Provenance = 'anonymous'): PageVec {
    return new PageVec([{ bytes, start: 0, len: bytes.length, provenance }])
  }

  /** A view on [offset, offset + length) of this view; shares the segments. */
  slice(offset: number, length: number = this.length - offset): PageVec {
    if (offset < 0 || length < 0 || offset + length > this.length) {
      throw new RangeError(`slice [${offset}, +${length}) outside a view of ${this.length} bytes`)
    }
    return new PageVec(this.vec, this.offset + offset, length)
  }

  /** Call `each(bytes, start, len, at)` for every piece of memory in order; `at` counts from the start of the view. */
  forEach(each: (bytes: Buffer, start: number, len: number, at: number) => void): void {
    let skip = this.offset
    let left = this.length
    for (const s of this.vec) {
      if (left === 0) return
      if (skip >= s.len) {
        skip -= s.len
        continue
      }
      const len = Math.min(s.len - skip, left)
      each(s.bytes, s.start + skip, len, this.length - left)
      left -= len
      skip = 0
    }
  }

  /** Copy from the view's start into `target`; returns the bytes copied (the shorter of both). */
  copyTo(target: Buffer, at = 0): number {
    const n = Math.min(this.length, target.length - at)
    this.slice(0, n).forEach((bytes, start, len, pos) => bytes.copy(target, at + pos, start, start + len))
    return n
  }

  /** Copy `source` into the view's start; returns the bytes copied (the shorter of both). */
  copyFrom(source: Buffer, at = 0): number {
    const n = Math.min(this.length, source.length - at)
    this.slice(0, n).forEach((bytes, start, len, pos) => source.copy(bytes, start, at + pos, at + pos + len))
    return n
  }
}

const total = (vec: readonly Segment[]): number => vec.reduce((sum, s) => sum + s.len, 0)
