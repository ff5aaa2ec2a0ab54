/**
 * SparseBytes: the contents of one file, as plainly as it can be said: a size, and the bytes that are not zero.
 *
 * Bytes live in chunks of 4 KiB that exist only once something was written there, so a file of many GiB costs what was
 * written. Bytes at and past `size` are always zeros, so growing needs no work.
 */

/** Bytes in a chunk. */
export const CHUNK = 4096

/** The bytes of a file; everything that was not written is zero. */
export class SparseBytes {
  /** Bytes. */
  size = 0
  readonly #chunks = new Map<number, Buffer>()

  /** Numbers of the chunks that may hold something, ascending. */
  get chunks(): readonly number[] {
    return [...this.#chunks.keys()].sort((a, b) => a - b)
  }

  /** Put `bytes` at `pos`; the file grows to hold them. */
  write(pos: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = pos + done
      const off = at % CHUNK
      const n = Math.min(bytes.length - done, CHUNK - off)
      const number = (at - off) / CHUNK
      let chunk = this.#chunks.get(number)
      if (chunk === undefined) this.#chunks.set(number, (chunk = Buffer.alloc(CHUNK)))
      chunk.set(bytes.subarray(done, done + n), off)
      done += n
    }
    this.size = Math.max(this.size, pos + bytes.length)
  }

  /** Make [pos, pos + len) zeros; the size stays. */
  zero(pos: number, len: number): void {
    const end = pos + len
    for (const number of this.#numbersIn(pos, end)) {
      const from = Math.max(pos, number * CHUNK)
      const to = Math.min(end, (number + 1) * CHUNK)
      if (to - from === CHUNK) this.#chunks.delete(number)
      else this.#chunks.get(number)!.fill(0, from - number * CHUNK, to - number * CHUNK)
    }
  }

  /** Set the size; what lies past it is gone. */
  truncate(size: number): void {
    if (size < this.size) this.zero(size, this.size - size + CHUNK)
    this.size = size
  }

  /** Bytes [pos, pos + len), zeros past the end. */
  read(pos: number, len: number): Buffer {
    const out = Buffer.alloc(len)
    for (const number of this.#numbersIn(pos, pos + len)) {
      const from = Math.max(pos, number * CHUNK)
      const to = Math.min(pos + len, (number + 1) * CHUNK)
      this.#chunks.get(number)!.copy(out, from - pos, from - number * CHUNK, to - number * CHUNK)
    }
    return out
  }

  /** Are all bytes of [pos, pos + len) zero? */
  isZero(pos: number, len: number): boolean {
    for (const number of this.#numbersIn(pos, pos + len)) {
      const from = Math.max(0, pos - number * CHUNK)
      const to = Math.min(CHUNK, pos + len - number * CHUNK)
      if (this.#chunks.get(number)!.subarray(from, to).some((byte) => byte !== 0)) return false
    }
    return true
  }

  /** Numbers of the chunks that touch [pos, end). */
  #numbersIn(pos: number, end: number): number[] {
    const first = Math.floor(pos / CHUNK)
    const last = Math.ceil(end / CHUNK) - 1
    if (last - first > this.#chunks.size) return [...this.#chunks.keys()].filter((n) => n >= first && n <= last)
    const out: number[] = []
    for (let n = first; n <= last; n++) if (this.#chunks.has(n)) out.push(n)
    return out
  }
}
