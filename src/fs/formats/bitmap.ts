/**
 * Bitmaps: one bit a block or inode, bit i of byte i / 8, 1 = in use; as on disk. Searches go 32 bits at a time.
 */

/** `n` bits from `start`. */
export interface BitRun {
  readonly start: number
  readonly n: number
}

/** Is bit `i` set? */
export const isSet = (map: Buffer, i: number): boolean => (map[i >>> 3]! & (1 << (i & 7))) !== 0

/** First clear bit in [from, end), or `end`. */
export const nextClear = (map: Buffer, from: number, end: number): number => nextOf(map, from, end, 0)

/** First set bit in [from, end), or `end`. */
export const nextSet = (map: Buffer, from: number, end: number): number => nextOf(map, from, end, -1)

/** First bit that differs from those of `flip` inverted: 0 finds a clear bit, -1 a set one. */
const nextOf = (map: Buffer, from: number, end: number, flip: 0 | -1): number => {
  let i = from
  while (i < end) {
    const word = ~(map.readInt32LE((i >>> 5) << 2) ^ flip) >>> (i & 31)
    if (word !== 0) return Math.min(end, i + 31 - Math.clz32(word & -word))
    i = (i | 31) + 1
  }
  return end
}

/** Set or clear `n` bits from `start`. */
export const fillBits = (map: Buffer, start: number, n: number, value: 0 | 1): void => {
  let i = start
  const end = start + n
  const put = (bit: number): void => {
    if (value === 1) map[bit >>> 3]! |= 1 << (bit & 7)
    else map[bit >>> 3]! &= ~(1 << (bit & 7))
  }
  while (i < end && (i & 7) !== 0) put(i++)
  const bytes = (end - i) >>> 3
  if (bytes > 0) map.fill(value === 1 ? 0xff : 0, i >>> 3, (i >>> 3) + bytes)
  i += bytes * 8
  while (i < end) put(i++)
}

/**
 * The first run of at least `want` clear bits in [from, end), cut to `want`; else the longest, the first of equals;
 * else null.
 */
export const findRun = (map: Buffer, from: number, end: number, want: number): BitRun | null => {
  let start = -1
  let longest = 0
  for (let i = nextClear(map, from, end); i < end; ) {
    const to = nextSet(map, i, Math.min(end, i + want))
    if (to - i > longest) {
      start = i
      longest = to - i
      if (longest === want) break
    }
    i = nextClear(map, to, end)
  }
  return start < 0 ? null : { start, n: longest }
}

/** Clear bits in [0, end). */
export const countClear = (map: Buffer, end: number): number => {
  let n = 0
  for (let i = nextClear(map, 0, end); i < end; ) {
    const to = nextSet(map, i, end)
    n += to - i
    i = nextClear(map, to, end)
  }
  return n
}
