import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CRC_START, crc32c, crc32cOfU32 } from './crc32c.ts'

/** The finished crc32c, as most texts print it. */
const finished = (bytes: Uint8Array): number => ~crc32c(CRC_START, bytes) >>> 0

test('the vectors of RFC 3720, appendix B.4', () => {
  expect(finished(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(finished(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(finished(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
  expect(finished(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e)
  expect(finished(Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)))).toBe(0x113fdb5c)
})

test('what one call returns is the seed of the next', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(), (bytes, at, seed) => {
      const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
      expect(crc32c(crc32c(seed, head), tail)).toBe(crc32c(seed, bytes))
    }),
  )
  expect(crc32c(7, new Uint8Array(0))).toBe(7)
})

test('bit by bit, as the polynomial is defined', () => {
  const slow = (seed: number, bytes: Uint8Array): number => {
    let c = seed
    for (const byte of bytes) {
      c ^= byte
      for (let i = 0; i < 8; i++) c = (c >>> 1) ^ ((c & 1) !== 0 ? 0x82f63b78 : 0)
    }
    return c >>> 0
  }
  const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), seed, (b, s) => crc32c(s, b) === slow(s, b)))
  expect(crc32cOfU32(CRC_START, 0x04030201)).toBe(slow(CRC_START, Uint8Array.of(1, 2, 3, 4)))
})
