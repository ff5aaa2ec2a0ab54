/** The bytes of a journal: what is written is read, and no bit of a checksummed block changes unseen. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { leftOf, right } from '../formats/judges.test-util.ts'
import {
  decodeLogBlock, dataChecksum, encodeTransaction, logBlocksFor, revokesPerBlock, TAG_ESCAPE, TAG_LAST, TAG_SAME_UUID,
  tagBytes, tagsPerDescriptor,
} from './layout.ts'
import {
  decodeJournalSuper, encodeJournalSuper, J_64BIT, J_ASYNC_COMMIT, J_CSUM_V2, J_CSUM_V3, J_FAST_COMMIT, J_REVOKE,
  JBD2_MAGIC, type JournalSuper, newJournalSuper, withFeatures,
} from './super.ts'

const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
const features = [J_REVOKE, J_REVOKE | J_64BIT, J_CSUM_V2, J_CSUM_V2 | J_64BIT, J_CSUM_V3, J_CSUM_V3 | J_64BIT]
const summed = features.filter((f) => (f & (J_CSUM_V2 | J_CSUM_V3)) !== 0)
const blockSize = 1024

const anySuper = (which: readonly number[] = features): fc.Arbitrary<JournalSuper> =>
  fc.record({
    incompat: fc.constantFrom(...which), maxlen: fc.integer({ min: 1024, max: 100_000 }),
    at: fc.double({ min: 0, max: 0.999, noNaN: true }),
    sequence: fc.nat(0xffffffff), errno: fc.integer({ min: -100, max: 0 }),
  }).map(({ incompat, maxlen, at, sequence, errno }) => ({
    ...newJournalSuper(blockSize, maxlen, uuid, incompat), sequence, errno, start: Math.floor(at * maxlen),
  }))

const block = (byte: number): Buffer => Buffer.alloc(blockSize, byte)
const magic = Buffer.alloc(blockSize, 0x77)
magic.writeUInt32BE(JBD2_MAGIC)

const anyTransaction = fc.record({
  tid: fc.nat(0xffffffff),
  blocks: fc.array(fc.record({ nr: fc.nat(0xffffffff), data: fc.oneof(fc.nat(255).map(block), fc.constant(magic)) }), { maxLength: 200 }),
  revoked: fc.array(fc.nat(0xffffffff), { maxLength: 600 }),
  time: fc.record({ seconds: fc.nat(2 ** 34), nanoseconds: fc.nat(999_999_999) }),
})

/** A copy with one bit changed. */
const flipped = (bytes: Buffer, bit: number): Buffer => {
  const out = Buffer.from(bytes)
  out[bit >> 3]! ^= 1 << (bit & 7)
  return out
}

describe('superblock', () => {
  test('what is encoded is decoded', () => {
    fc.assert(fc.property(anySuper(), (js) => {
      const raw = encodeJournalSuper(js)
      expect(right(decodeJournalSuper(raw, blockSize, js.maxlen))).toEqual({ ...js, raw })
    }))
  })

  test('any single bit is noticed, in a superblock with a checksum', () => {
    fc.assert(fc.property(anySuper(summed), fc.nat(8 * 1024 - 1), (js, bit) => {
      // The features say whether there is a checksum: one bit can turn it off. The kernel trusts that, too.
      fc.pre(bit < 8 * 40 || bit >= 8 * 44)
      expect(decodeJournalSuper(flipped(encodeJournalSuper(js), bit), blockSize, js.maxlen)._tag).toBe('Left')
    }))
  })

  test('what is not understood survives', () => {
    const raw = encodeJournalSuper(newJournalSuper(blockSize, 1024, uuid, J_REVOKE))
    raw.fill(0x5a, 256, 1000)
    const again = encodeJournalSuper({ ...right(decodeJournalSuper(raw, blockSize, 1024)), sequence: 9 })
    expect(again.subarray(256)).toEqual(raw.subarray(256))
    expect(again.readUInt32BE(24)).toBe(9)
  })

  test.each([
    [0, 1, /has magic 0x1, not 0xc03b3998/],
    [4, 2, /unknown type 2/],
    [12, 4096, /blocks of 4096 bytes, not 1024/],
    [16, 1025, /says 1025 blocks, its inode has 1024/],
    [16, 1000, /has 1000 blocks; at least 1024/],
    [20, 0, /begins at block 0 of 1024/],
    [28, 1024, /starts at block 1024, outside/],
    [36, 1, /checksums of version 1, which are not supported/],
    [36, 2, /unknown features \(compat 2/],
    [40, J_FAST_COMMIT, /fast commits, which are not supported/],
    [40, J_ASYNC_COMMIT, /asynchronous commits, which are not supported/],
    [40, 0x40, /unknown features/],
    [40, J_CSUM_V2 | J_CSUM_V3, /version 2 and of version 3/],
    [40, J_CSUM_V3, /unknown type 0/],
    [44, 1, /unknown features/],
  ])('word at byte %i set to %i is refused', (at, value, words) => {
    const raw = encodeJournalSuper(newJournalSuper(blockSize, 1024, uuid, J_REVOKE))
    raw.writeUInt32BE(value, at)
    expect(leftOf(decodeJournalSuper(raw, blockSize, 1024))).toMatch(words)
  })

  test('a superblock of version 1 has no features', () => {
    const raw = encodeJournalSuper({ ...newJournalSuper(blockSize, 1024, uuid, 0), version: 1 })
    raw.writeUInt32BE(0xffffffff, 40)
    expect(right(decodeJournalSuper(raw, blockSize, 1024))).toMatchObject({ version: 1, incompat: 0, checksum: 'none', wide: false })
  })

  test('features can be turned on', () => {
    const js = withFeatures(newJournalSuper(blockSize, 1024, uuid, 0), J_CSUM_V3 | J_64BIT)
    expect(right(decodeJournalSuper(encodeJournalSuper(js), blockSize, 1024))).toMatchObject({ checksum: 'v3', wide: true })
  })
})

describe('transactions', () => {
  test('what is encoded is decoded, in as many blocks as were said', () => {
    fc.assert(fc.property(anySuper(), anyTransaction, (js, { tid, blocks, revoked, time }) => {
      const { log, commit } = encodeTransaction(js, tid, blocks, revoked, time)
      expect(log.length + 1).toBe(logBlocksFor(js, blocks.length, revoked.length))
      expect(decodeLogBlock(js, commit)).toEqual({ kind: 'commit', sequence: tid, intact: true, time })
      const [gotBlocks, gotRevoked]: [unknown[], number[]] = [[], []]
      for (let i = 0; i < log.length; i++) {
        const got = decodeLogBlock(js, log[i]!)
        if (got.kind === 'revoke') gotRevoked.push(...got.revoked!)
        if (got.kind !== 'descriptor') {
          expect(got).toMatchObject({ kind: 'revoke', sequence: tid, intact: true })
          continue
        }
        expect(got).toMatchObject({ sequence: tid, intact: true })
        for (const [j, tag] of got.tags.entries()) {
          const data = Buffer.from(log[++i]!)
          expect(tag.checksum).toBe(dataChecksum(js, tid, data))
          expect(data.readUInt32BE(0)).not.toBe(JBD2_MAGIC)
          expect((tag.flags & TAG_LAST) !== 0).toBe(j === got.tags.length - 1)
          expect((tag.flags & TAG_SAME_UUID) !== 0).toBe(j > 0)
          if ((tag.flags & TAG_ESCAPE) !== 0) data.writeUInt32BE(JBD2_MAGIC)
          gotBlocks.push({ nr: tag.nr, data })
        }
      }
      expect(gotRevoked).toEqual(revoked)
      expect(gotBlocks).toEqual(blocks)
    }), { numRuns: 60 })
  })

  test('any single bit is noticed, in blocks with a checksum', () => {
    const nr = (i: number) => ({ nr: 100 + i, data: block(i) })
    fc.assert(fc.property(anySuper(summed), fc.nat(8 * blockSize - 1), fc.nat(3), (js, bit, which) => {
      const { log, commit } = encodeTransaction(js, 7, [nr(1), nr(2)], [5, 6], { seconds: 1, nanoseconds: 2 })
      const good = [log[0]!, log[1]!, commit, log[2]!][which]!
      const bad = flipped(good, bit)
      // The kernel does not look behind the header of a commit block; 16 bits do not catch all.
      fc.pre(which !== 2 || bit < 8 * 60)
      fc.pre(which !== 3 || js.checksum === 'v3')
      if (which === 3) return void expect(dataChecksum(js, 7, bad)).not.toBe(dataChecksum(js, 7, good))
      const got = decodeLogBlock(js, bad)
      // A bit of the magic or of the type makes it another block; any other one breaks the checksum.
      expect('intact' in got && got.intact).toBe(false)
    }))
  })

  test('a commit block of which only the first sector was written is good; a torn descriptor is not', () => {
    const js = newJournalSuper(4096, 1024, uuid, J_CSUM_V3)
    const { log, commit } = encodeTransaction(js, 7, [{ nr: 9, data: Buffer.alloc(4096, 1) }], [], { seconds: 3, nanoseconds: 4 })
    const torn = (b: Buffer): Buffer => Buffer.concat([b.subarray(0, 512), Buffer.alloc(3584, 0xee)])
    expect(decodeLogBlock(js, torn(commit))).toMatchObject({ kind: 'commit', intact: true })
    expect(decodeLogBlock(js, torn(log[0]!))).toMatchObject({ kind: 'descriptor', intact: false })
  })

  test('sizes of the kernel: bytes of a tag, tags of a descriptor, records of a revoke block', () => {
    const of = (incompat: number) => {
      const js = newJournalSuper(4096, 1024, uuid, incompat)
      return [tagBytes(js), tagsPerDescriptor(js), revokesPerBlock(js)]
    }
    expect(features.map(of)).toEqual([
      [8, 506, 1020], [12, 337, 510], [10, 404, 1019], [14, 289, 509], [16, 253, 1019], [16, 253, 509],
    ])
  })

  test('a block of another length is a bug', () => {
    const js = newJournalSuper(4096, 1024, uuid, 0)
    expect(() => encodeTransaction(js, 1, [{ nr: 1, data: Buffer.alloc(1024) }], [], { seconds: 0, nanoseconds: 0 })).toThrow(/1024 bytes/)
  })

  test('neither magic nor type: no block of a log', () => {
    const js = newJournalSuper(blockSize, 1024, uuid, 0)
    expect(decodeLogBlock(js, block(0))).toEqual({ kind: 'none' })
    const odd = block(0)
    odd.writeUInt32BE(JBD2_MAGIC)
    odd.writeUInt32BE(9, 4)
    expect(decodeLogBlock(js, odd)).toMatchObject({ kind: 'unknown' })
  })
})
