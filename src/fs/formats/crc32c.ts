/**
 * crc32c as ext4 and jbd2 use it: the Castagnoli polynomial, reflected, without the final inversion, so that what one
 * call returns is the seed of the next.
 *
 * The tables (slicing by 16) are those of crc-32, which inverts before and after as zlib does; both are undone here.
 *
 * Source: __crc32c_le of lib/crc/crc32-main.c; ext4_chksum of fs/ext4/ext4.h.
 */
import library from 'crc-32/crc32c.js'

/** What the first call of a chain is given: all ones, as the kernel writes `~0`. */
export const CRC_START = 0xffffffff

/** The raw crc32c of `bytes`, unsigned, going on from `seed`. */
export const crc32c = (seed: number, bytes: Uint8Array): number => ~library.buf(bytes, ~seed) >>> 0

const word = Buffer.alloc(4)

/** crc32c over the four little-endian bytes of `value`. */
export const crc32cOfU32 = (seed: number, value: number): number => {
  word.writeUInt32LE(value >>> 0)
  return crc32c(seed, word)
}
