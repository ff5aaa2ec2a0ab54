/** Hashes: what a digest must tell apart. */
import { describe, expect, test } from 'vitest'
import { fold, hashBytes } from './hash.ts'

const page = (): Buffer => Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7) & 255))

describe('the digest of bytes', () => {
  test.each([4096, 1024, 999])('is another one for each of %i bytes that changes', (len) => {
    const bytes = page()
    const seen = new Set([hashBytes(bytes, 0, len)])
    for (let i = 0; i < len; i++) {
      for (const bit of [1, 0x10, 0x80]) {
        bytes[i]! ^= bit
        seen.add(hashBytes(bytes, 0, len))
        bytes[i]! ^= bit
      }
    }
    expect(seen.size).toBe(1 + 3 * len)
  })

  test('is another one for each two bytes that change, though they are the last of their words', () => {
    const bytes = page()
    const seen = new Set<number>()
    for (let other = 0; other < 256; other++) {
      for (let value = 0; value < 256; value++) {
        bytes[7] = value
        bytes[23] = other
        seen.add(hashBytes(bytes, 0, 4096))
      }
    }
    expect(seen.size).toBe(65536)
  })

  test('is the same wherever the bytes stand, and however often it is asked', () => {
    const twice = Buffer.concat([page(), page()])
    const first = hashBytes(twice, 0, 4096)
    expect(hashBytes(twice, 4096, 4096)).toBe(first)
    twice[5000] = 1
    expect(hashBytes(twice, 4096, 4096)).not.toBe(first)
    expect(hashBytes(twice, 0, 4096)).toBe(first)
  })

  test('is another one for other lengths of zeros', () => {
    const zeros = Buffer.alloc(12288)
    expect(new Set([0, 1, 2, 3, 4, 8, 1024, 4092, 4096, 8192].map((len) => hashBytes(zeros, 0, len))).size).toBe(10)
  })
})

test('two words in the other order are another digest', () => {
  const seen = new Set<number>()
  for (let a = 0; a < 300; a++) for (let b = 0; b < 300; b++) seen.add(fold(a, b))
  expect(seen.size).toBe(90_000)
})
