/** Logs made by hand: where a walk ends, what is replayed, and what is refused. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeTransaction, type LoggedBlock } from './layout.ts'
import { LogReader, planRecovery, type RecoveryPlan, replayedBytes, tidGeq } from './recovery.ts'
import { J_64BIT, J_CSUM_V2, J_CSUM_V3, JBD2_MAGIC, type JournalSuper, newJournalSuper } from './super.ts'

const blockSize = 1024
const LENGTH = 1024

interface Step {
  readonly tid?: number
  readonly blocks?: readonly LoggedBlock[]
  readonly revoked?: readonly number[]
  readonly seconds?: number
  readonly commit?: boolean
}

/** A journal whose log, from block `start` on, holds these transactions; others are zeros. */
class MadeLog {
  readonly js: JournalSuper
  readonly blocks: Buffer[] = Array.from({ length: LENGTH }, () => Buffer.alloc(blockSize))
  #at: number
  #tid: number

  constructor(incompat = J_CSUM_V3, start = 1, sequence = 7) {
    this.js = { ...newJournalSuper(blockSize, LENGTH, Buffer.alloc(16, 3), incompat), start, sequence }
    this.#at = start
    this.#tid = sequence
  }

  /** Append a transaction. @returns the blocks of the log that it took, the commit block last */
  add({ tid = this.#tid, blocks = [], revoked = [], seconds = 100, commit = true }: Step): number[] {
    const encoded = encodeTransaction(this.js, tid, blocks, revoked, { seconds, nanoseconds: 0 })
    const took = [...encoded.log, ...(commit ? [encoded.commit] : [])].map((bytes) => {
      const at = this.#at
      this.blocks[at] = Buffer.from(bytes)
      this.#at = at + 1 === LENGTH ? 1 : at + 1
      return at
    })
    this.#tid = (tid + 1) >>> 0
    return took
  }

  /** Change a byte of a block. */
  damage(at: number, byte: number): void {
    const copy = Buffer.from(this.blocks[at]!)
    copy[byte]! ^= 0xff
    this.blocks[at] = copy
  }

  plan(reader?: LogReader): RecoveryPlan {
    return planRecovery(this.js, (at) => this.blocks[at]!, reader)
  }
}

const block = (nr: number, byte: number): LoggedBlock => ({ nr, data: Buffer.alloc(blockSize, byte) })
const written = (plan: RecoveryPlan): Record<number, number> =>
  Object.fromEntries(plan.replays.map((r) => [r.nr, replayedBytes(r)[5]!]))

describe.each([
  ['none', 0], ['64bit', J_64BIT], ['v2', J_CSUM_V2], ['v3', J_CSUM_V3], ['v3, 64bit', J_CSUM_V3 | J_64BIT],
])('checksums: %s', (_name, incompat) => {
  test('nothing to do', () => {
    expect(new MadeLog(incompat, 0, 9).plan()).toMatchObject({ ended: 'clean', transactions: 0, nextSequence: 9, replays: [] })
    expect(new MadeLog(incompat).plan()).toMatchObject({ ended: 'no magic', transactions: 0, lastTid: 6, nextSequence: 8 })
  })

  test('the newest version of each block; the last transaction without a commit block is nothing', () => {
    const log = new MadeLog(incompat)
    log.add({ blocks: [block(50, 1), block(51, 2)] })
    log.add({ blocks: [block(51, 3), block(52, 4)] })
    log.add({ blocks: [block(50, 9)], commit: false })
    const plan = log.plan()
    expect(plan).toMatchObject({ transactions: 2, lastTid: 8, nextSequence: 10, blocksReplayed: 4, ended: 'no magic', problem: null })
    expect(written(plan)).toEqual({ 50: 1, 51: 3, 52: 4 })
  })

  test('what was revoked is not replayed, unless it was written again later', () => {
    const log = new MadeLog(incompat)
    log.add({ blocks: [block(50, 1), block(51, 1), block(52, 1)] })
    log.add({ blocks: [block(60, 2), block(51, 2)], revoked: [50, 51] })
    log.add({ blocks: [block(50, 3)] })
    const plan = log.plan()
    expect(written(plan)).toEqual({ 50: 3, 52: 1, 60: 2 })
    expect(plan).toMatchObject({ blocksRevoked: 3, blocksReplayed: 3 })
  })

  test('a revocation of a transaction that does not count does not count', () => {
    const log = new MadeLog(incompat)
    log.add({ blocks: [block(50, 1)] })
    log.add({ revoked: [50], commit: false })
    expect(written(log.plan())).toEqual({ 50: 1 })
  })

  test('a block that begins with the magic comes back with it', () => {
    const log = new MadeLog(incompat)
    const data = Buffer.alloc(blockSize, 0x11)
    data.writeUInt32BE(JBD2_MAGIC)
    log.add({ blocks: [block(49, 1), { nr: 50, data }, block(51, 2)] })
    const [, escaped] = log.plan().replays
    expect(escaped).toMatchObject({ nr: 50, escaped: true })
    expect(replayedBytes(escaped!)).toEqual(data)
  })

  test('the log goes round', () => {
    const log = new MadeLog(incompat, LENGTH - 3)
    const at = log.add({ blocks: [block(50, 1), block(51, 2), block(52, 3)] })
    expect(at).toEqual([1021, 1022, 1023, 1, 2])
    log.add({ blocks: [block(53, 4)] })
    expect(written(log.plan())).toEqual({ 50: 1, 51: 2, 52: 3, 53: 4 })
  })

  test('numbers of transactions go round', () => {
    const log = new MadeLog(incompat, 1, 0xfffffffe)
    for (let i = 1; i <= 4; i++) log.add({ blocks: [block(50, i)] })
    expect(log.plan()).toMatchObject({ transactions: 4, lastTid: 1, nextSequence: 3 })
    expect(written(log.plan())).toEqual({ 50: 4 })
  })

  test('an older log behind it is not read', () => {
    const log = new MadeLog(incompat)
    log.add({ blocks: [block(50, 1)] })
    log.add({ tid: 3, blocks: [block(50, 2)] })
    expect(log.plan()).toMatchObject({ ended: 'other transaction', transactions: 1 })
    expect(written(log.plan())).toEqual({ 50: 1 })
  })

  test('more blocks than a descriptor has tags', () => {
    const log = new MadeLog(incompat)
    const many = Array.from({ length: 400 }, (_, i) => block(1000 + i, i & 0xff))
    log.add({ blocks: many, revoked: Array.from({ length: 300 }, (_, i) => 5000 + i) })
    expect(log.plan()).toMatchObject({ transactions: 1, blocksReplayed: 400 })
  })
})

describe('damage', () => {
  const two = (): { log: MadeLog, first: number[], second: number[] } => {
    const log = new MadeLog()
    const first = log.add({ blocks: [block(50, 1), block(51, 2)], revoked: [70] })
    return { log, first, second: log.add({ blocks: [block(50, 3)], revoked: [71] }) }
  }

  test('an unknown type ends the log', () => {
    const { log, second } = two()
    log.damage(second[0]!, 7)
    expect(log.plan()).toMatchObject({ ended: 'unknown type', transactions: 1, problem: null })
  })

  test('a wrong commit block ends the log and refuses the mount; what is before it is replayed', () => {
    const { log, second } = two()
    log.damage(second.at(-1)!, 20)
    expect(log.plan()).toMatchObject({ ended: 'commit checksum', transactions: 1, problem: expect.stringMatching(/transaction 8/) })
    expect(written(log.plan())).toEqual({ 50: 1, 51: 2 })
  })

  test.each([['a revoke block', 0], ['a descriptor', 1]])('a wrong %s of a committed transaction: nothing is replayed', (_name, i) => {
    const { log, second } = two()
    log.damage(second[i]!, 200)
    expect(log.plan()).toMatchObject({ ended: 'descriptor checksum', replays: [], problem: 'transaction 8 has a wrong checksum' })
  })

  test('a wrong descriptor of a transaction that was never committed: the log ends before it', () => {
    const log = new MadeLog()
    log.add({ blocks: [block(50, 1)] })
    const [descriptor] = log.add({ blocks: [block(50, 2)], commit: false })
    log.damage(descriptor!, 200)
    expect(log.plan()).toMatchObject({ transactions: 1, problem: null })
  })

  test('wrong checksums under a commit block older than the last: left over from another log', () => {
    const log = new MadeLog()
    log.add({ blocks: [block(50, 1)], seconds: 100 })
    const [descriptor] = log.add({ blocks: [block(50, 2)], seconds: 99 })
    log.damage(descriptor!, 200)
    expect(log.plan()).toMatchObject({ ended: 'stale', transactions: 1, problem: null })
    const other = new MadeLog()
    other.add({ blocks: [block(50, 1)], seconds: 100 })
    other.damage(other.add({ blocks: [block(50, 2)], seconds: 99 }).at(-1)!, 20)
    expect(other.plan()).toMatchObject({ ended: 'stale', transactions: 1, problem: null })
  })

  test('a wrong data block is left out, all others are replayed, and the mount is refused', () => {
    const { log, second } = two()
    log.damage(second[2]!, 9)
    const plan = log.plan()
    expect(written(plan)).toEqual({ 50: 1, 51: 2 })
    expect(plan.problem).toBe(`block 50 of transaction 8, at block ${second[2]} of the journal, has a wrong checksum`)
  })

  test('a revoke block that counts too much: nothing is replayed', () => {
    const log = new MadeLog(0)
    const [revoke] = log.add({ blocks: [block(50, 1)], revoked: [70] })
    log.blocks[revoke!]!.writeUInt32BE(5000, 12)
    expect(log.plan()).toMatchObject({ replays: [], problem: expect.stringMatching(/revoke block/) })
  })

  test('a log that goes round without an end', () => {
    const log = new MadeLog()
    while (log.add({ tid: 7, revoked: [70], commit: false })[0] !== LENGTH - 1);
    expect(log.plan()).toMatchObject({ ended: 'endless', replays: [], problem: expect.stringMatching(/without an end/) })
  })

  test('whatever is in the log, the walk ends', () => {
    const words = fc.constantFrom(JBD2_MAGIC, 0, 1, 2, 5, 7, 8, 0xffffffff)
    const anyChanges = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.nat(20), words))
    fc.assert(fc.property(anyChanges, fc.constantFrom(0, J_CSUM_V3), (changes, incompat) => {
      const log = new MadeLog(incompat)
      log.add({ blocks: [block(50, 1), block(51, 2)], revoked: [50] })
      log.add({ blocks: [block(50, 1)] })
      for (const [at, word, value] of changes) log.blocks[at]!.writeUInt32BE(value, word * 4)
      expect(log.plan().transactions).toBeLessThanOrEqual(LENGTH)
    }))
  })
})

describe('the reader', () => {
  test('remembers what a Buffer decoded to, and serves logs of its format only', () => {
    const log = new MadeLog()
    log.add({ blocks: [block(50, 1), block(51, 2)] })
    const reader = new LogReader(log.js)
    expect(log.plan(reader)).toEqual(log.plan(reader))
    expect(reader.block(log.blocks[1]!)).toBe(reader.block(log.blocks[1]!))
    expect(reader.serves({ ...log.js, sequence: 1 } as JournalSuper)).toBe(true)
    expect(() => new MadeLog(0).plan(reader)).toThrow(/another format/)
  })

  test('transactions are compared around the end of the numbers', () => {
    const pairs = [[5, 5], [6, 5], [5, 6], [1, 0xffffffff], [0xffffffff, 1]] as const
    expect(pairs.map(([a, b]) => tidGeq(a, b))).toEqual([true, true, false, true, false])
  })
})
