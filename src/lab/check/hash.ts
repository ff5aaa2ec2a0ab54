/** Hashes of 53 bits, as plain integers: what digests of a world's objects are made of. Not for strangers' data. */
import { PAGE } from '../../kernel/units.ts'

/** Two words into one digest. Order matters. */
export const fold = (a: number, b: number): number => {
  let lo = (a | 0) ^ Math.imul((b | 0) ^ 0x2545f491, 0x9e3779b1)
  let hi = ((a / 4294967296) | 0) ^ Math.imul(((b / 4294967296) | 0) ^ (b | 0), 0x85ebca6b)
  lo = Math.imul(lo ^ (lo >>> 15), 0x2c1b3c6d) + hi | 0
  hi = Math.imul(hi ^ (hi >>> 13), 0x297a2d39) + lo | 0
  lo ^= lo >>> 16
  return (hi & 0x1fffff) * 4294967296 + (lo >>> 0)
}

const words = new WeakMap<ArrayBufferLike, Int32Array>()

const wordsOf = (bytes: Buffer): Int32Array => {
  let view = words.get(bytes.buffer)
  if (view === undefined) words.set(bytes.buffer, (view = new Int32Array(bytes.buffer, 0, bytes.buffer.byteLength >>> 2)))
  return view
}

/** Contents of pages whose digest is known, in places that some of their words decide; -1: none yet. */
const PLACES = 256
const contents = Buffer.alloc(PLACES * PAGE)
const digests = new Float64Array(PLACES).fill(-1)

/**
 * Digest of `len` bytes; `start` must be a multiple of 4 in their memory.
 *
 * A run writes few different pages, and comparing one with what was hashed before costs a fifth of hashing it.
 */
export const hashBytes = (bytes: Buffer, start: number, len: number): number => {
  const view = wordsOf(bytes)
  const from = (bytes.byteOffset + start) >>> 2
  if (len < PAGE || len % PAGE !== 0) return hashWords(view, from, len >>> 2, len % 4 === 0 ? 0 : tailOf(bytes, start, len))
  let d = 0
  for (let at = 0; at < len; at += PAGE) {
    const page = hashPage(bytes, start + at, view, from + (at >>> 2))
    d = at === 0 ? page : fold(d, page)
  }
  return d
}

const hashPage = (bytes: Buffer, start: number, view: Int32Array, from: number): number => {
  let some = 0
  for (let i = from; i < from + PAGE / 4; i += 32) some = Math.imul(some ^ view[i]!, 0x9e3779b1) ^ (some >>> 15)
  const place = (some ^ (some >>> 16)) & (PLACES - 1)
  const known = digests[place]!
  if (known >= 0 && bytes.compare(contents, place * PAGE, place * PAGE + PAGE, start, start + PAGE) === 0) return known
  bytes.copy(contents, place * PAGE, start, start + PAGE)
  return (digests[place] = hashWords(view, from, PAGE / 4, 0))
}

/** The last one to three bytes. */
const tailOf = (bytes: Buffer, start: number, len: number): number => {
  let tail = 1
  for (let i = start + (len & ~3); i < start + len; i++) tail = tail * 256 + bytes[i]!
  return tail
}

/**
 * Four lanes, each a word of the bytes at a time. The shift brings what is in the upper bits of a word to the lower ones: a
 * product alone never would, and words that differ in their last bytes only could cancel each other.
 */
const hashWords = (view: Int32Array, from: number, n: number, tail: number): number => {
  let [a, b, c, d] = [n, 2, 3, 4]
  const to = from + n
  let i = from
  for (; i + 3 < to; i += 4) {
    a = Math.imul(a ^ view[i]!, 0x9e3779b1)
    b = Math.imul(b ^ view[i + 1]!, 0x85ebca77)
    c = Math.imul(c ^ view[i + 2]!, 0xc2b2ae3d)
    d = Math.imul(d ^ view[i + 3]!, 0x27d4eb2f)
    a ^= a >>> 15
    b ^= b >>> 13
    c ^= c >>> 16
    d ^= d >>> 14
  }
  for (; i < to; i++) {
    a = Math.imul(a ^ view[i]!, 0x9e3779b1)
    a ^= a >>> 15
  }
  const digest = fold(fold(a, b), fold(c, d))
  return tail === 0 ? digest : fold(digest, tail)
}

/** Digest of a string. */
export const hashText = (text: string): number => {
  let d = text.length
  for (let i = 0; i < text.length; i++) d = fold(d, text.charCodeAt(i))
  return d
}
