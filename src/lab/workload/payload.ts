/**
 * Payload: the bytes that an operation writes.
 *
 * Interface:
 * - the bytes depend on the operation's index in its workload, on a salt and on the place within the write, on nothing
 *   else; so a reader can recompute them, and a write that stopped short can go on in the middle
 * - two writes of one workload differ from each other, and from themselves one word further on, which is how the
 *   checks tell whose bytes a file holds. Equal words occur by chance only, once in 2^32
 *
 * Counter mode: word i, little endian, is mix(key + i) ^ tag, where key and tag are mixed from index and salt; mix is
 * xorshift and multiply ("lowbias32" of Chris Wellons). The tag keeps two writes whose counters overlap from sharing
 * a run of words.
 */

/** 32 well mixed bits of `x`; a bijection, so that different keys never give the same word at the same place. */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
  return x ^ (x >>> 15)
}

/**
 * Fill `buffer` with the payload of operation `opIndex` (0 is the first after the header).
 * @param salt 0 in replays; another number gives other data for the same workload
 * @param from byte within the write at which the buffer begins
 */
export function fillPayload(buffer: Uint8Array, opIndex: number, salt = 0, from = 0): void {
  const key = mix(Math.imul(opIndex + 1, 0x9e3779b9) ^ mix(salt))
  const tag = mix(key ^ 0x5bd1e995)
  const end = buffer.length
  let word = from >>> 2
  let at = 0
  if ((from & 3) !== 0) {
    const bits = (mix(key + word++ | 0) ^ tag) >>> ((from & 3) * 8)
    for (const stop = Math.min(end, 4 - (from & 3)); at < stop; at++) buffer[at] = bits >>> (at * 8)
  }
  for (; at + 4 <= end; at += 4) {
    const bits = mix(key + word++ | 0) ^ tag
    buffer[at] = bits
    buffer[at + 1] = bits >>> 8
    buffer[at + 2] = bits >>> 16
    buffer[at + 3] = bits >>> 24
  }
  if (at < end) {
    const bits = mix(key + word | 0) ^ tag
    for (let shift = 0; at < end; at++, shift += 8) buffer[at] = bits >>> shift
  }
}

/** The payload of operation `opIndex` as a new buffer of `len` bytes: for tests; replays use `fillPayload`. */
export function payload(opIndex: number, len: number, salt = 0): Uint8Array {
  const buffer = new Uint8Array(len)
  fillPayload(buffer, opIndex, salt)
  return buffer
}
