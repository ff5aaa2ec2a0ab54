/** Hashes of 53 bits, as plain integers: what digests of a world's objects are made of. Not for strangers' data. */

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

/** Digest of `len` bytes; `start` and `len` must be multiples of 4 in their memory. */
export const hashBytes = (bytes: Buffer, start: number, len: number): number => {
  let view = words.get(bytes.buffer)
  if (view === undefined) words.set(bytes.buffer, (view = new Int32Array(bytes.buffer, 0, bytes.buffer.byteLength >>> 2)))
  const from = (bytes.byteOffset + start) >>> 2
  const to = from + (len >>> 2)
  let [a, b, c, d] = [1, 2, 3, 4]
  let i = from
  for (; i + 3 < to; i += 4) {
    a = Math.imul(a ^ view[i]!, 0x9e3779b1)
    b = Math.imul(b ^ view[i + 1]!, 0x85ebca77)
    c = Math.imul(c ^ view[i + 2]!, 0xc2b2ae3d)
    d = Math.imul(d ^ view[i + 3]!, 0x27d4eb2f)
  }
  for (; i < to; i++) a = Math.imul(a ^ view[i]!, 0x9e3779b1)
  const hi = (a ^ Math.imul(b, 0x165667b1) ^ (c >>> 11)) & 0x1fffff
  return hi * 4294967296 + ((c ^ Math.imul(d, 0x165667b1) ^ (a >>> 13)) >>> 0)
}

/** Digest of a string. */
export const hashText = (text: string): number => {
  let d = text.length
  for (let i = 0; i < text.length; i++) d = fold(d, text.charCodeAt(i))
  return d
}
