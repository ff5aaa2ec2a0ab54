/**
 * Truth: what the file of a scene must hold, byte by byte, with the step that each byte comes from.
 *
 * Knows nothing of blocks, folios or designs: an array of bytes and an array of owners.
 */

/** Owner of a byte that no step wrote. */
export const NOBODY = 0
/** Owner of a zero between the old end of file and a write beyond it. */
export const EXTENSION = 255
/** Bytes that freed blocks and fresh memory are filled with when a session is mounted with `poison`. */
const POISON = [0xaa, 0xdb] as const

/** A run of bytes that are not what they should be. */
export interface Wrong {
  readonly pos: number
  readonly len: number
  /** The step whose bytes were expected; NOBODY or EXTENSION for zeros. */
  readonly owner: number
  /** All bytes found are those of stale or uninitialised memory. */
  readonly poison: boolean
  /** All bytes found are those of `other`, where it was given. */
  readonly foreign: boolean
  /** First byte found, and what it should be. */
  readonly found: number
  readonly expected: number
}

/** The bytes of one file and who wrote them. Sizes in bytes; at most `limit`. */
export class Truth {
  size = 0
  readonly #bytes: Buffer
  readonly #owner: Uint8Array

  constructor(limit: number) {
    this.#bytes = Buffer.alloc(limit)
    this.#owner = new Uint8Array(limit)
  }

  /** The bytes below the size; a view. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.size)
  }

  /** A copy that later steps do not change. */
  copy(): Truth {
    const t = new Truth(this.#bytes.length)
    this.#bytes.copy(t.#bytes)
    t.#owner.set(this.#owner)
    t.size = this.size
    return t
  }

  /** Step `owner` wrote `bytes` at `pos`; the file grows as write(2) lets it. */
  write(pos: number, bytes: Buffer, owner: number): void {
    if (pos > this.size) this.#owner.fill(EXTENSION, this.size, pos)
    this.size = Math.max(this.size, pos + bytes.length)
    bytes.copy(this.#bytes, pos)
    this.#owner.fill(owner, pos, pos + bytes.length)
  }

  /** Step `owner` stored `bytes` at `pos` through a mapping: what lies past the end is nobody's. */
  store(pos: number, bytes: Buffer, owner: number): void {
    const n = Math.min(bytes.length, this.size - pos)
    if (n > 0) this.write(pos, bytes.subarray(0, n), owner)
  }

  truncate(size: number): void {
    if (size > this.size) this.#owner.fill(EXTENSION, this.size, size)
    this.#bytes.fill(0, Math.min(size, this.size), Math.max(size, this.size))
    this.size = size
  }

  /**
   * The runs of `found` that differ, each of one owner; at most 64.
   * @param other what the judged write would have put at `otherPos`
   */
  compare(found: Buffer, other: Buffer, otherPos: number): Wrong[] {
    const wrong: Wrong[] = []
    const n = Math.min(found.length, this.size)
    if (found.compare(this.#bytes, 0, n, 0, n) === 0) return wrong
    for (let at = 0; at < n && wrong.length < 64; ) {
      if (found[at] === this.#bytes[at]) {
        at++
        continue
      }
      const start = at
      const owner = this.#owner[at]!
      while (at < n && found[at] !== this.#bytes[at] && this.#owner[at] === owner) at++
      const run = found.subarray(start, at)
      const theirs = other.subarray(Math.max(0, start - otherPos), Math.max(0, at - otherPos))
      wrong.push({
        pos: start, len: at - start, owner, found: run[0]!, expected: this.#bytes[start]!,
        poison: run.length >= 4 && POISON.some((p) => run.every((b) => b === p)),
        foreign: start >= otherPos && theirs.equals(run),
      })
    }
    return wrong
  }
}
