/**
 * crc16 as the group descriptors of uninit_bg use it: polynomial x^16 + x^15 + x^2 + 1, reflected, without inversions.
 * Bit by bit: it runs over 62 bytes for each group whose counters changed, and only in file systems of before 2012.
 *
 * Source: lib/crc/crc16.c.
 */

/** The crc16 of `bytes`, going on from `seed`. */
export const crc16 = (seed: number, bytes: Uint8Array): number => {
  let c = seed
  for (const byte of bytes) {
    c ^= byte
    for (let i = 0; i < 8; i++) c = (c >>> 1) ^ ((c & 1) !== 0 ? 0xa001 : 0)
  }
  return c
}
