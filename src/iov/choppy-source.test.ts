import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Choices } from '../kernel/choices.ts'
import { run } from '../kernel/kernel.ts'
import { freshSession } from '../lab/session.ts'
import { strategies } from '../strategies/index.ts'
import { ChoppySource, CUT } from './choppy-source.ts'
import { MemorySource } from './source.ts'

const BYTES = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff))

/** Answers from a list, then 0; notes what was asked. */
class Answers implements Choices {
  readonly asked: string[] = []
  readonly #left: number[]
  constructor(...answers: number[]) {
    this.#left = answers
  }
  choose(n: number, kind: string, label: string): number {
    if (kind !== 'short') return 0
    this.asked.push(`${label} of ${n}`)
    return Math.min(n - 1, this.#left.shift() ?? 0)
  }
}

describe('ChoppySource', () => {
  test('choice 0 is no cut', () => {
    const answers = new Answers()
    const source = new ChoppySource(new MemorySource(BYTES), answers, { blockSize: 1024 })
    const target = Buffer.alloc(5000)
    expect(source.copyAtomic(target, 0, 100, 5000)).toBe(5000)
    expect(target.equals(BYTES.subarray(100, 5100))).toBe(true)
    expect(answers.asked).toEqual([`${CUT} of 10`])
    expect(source.cuts).toBe(0)
  })

  test('the places are the ends, and the first and last end of a block of the file', () => {
    const source = new ChoppySource(new MemorySource(BYTES), new Answers(), { blockSize: 1024, pos: 1000 })
    expect(source.cutPlaces(0, 5000)).toEqual([0, 1, 23, 24, 25, 4119, 4120, 4121, 4999])
    expect(source.cutPlaces(24, 1024)).toEqual([0, 1, 1023])
    expect(source.cutPlaces(0, 10)).toEqual([0, 1, 9])
    expect(source.cutPlaces(0, 1)).toEqual([0])
  })

  test('a cut copies exactly so many bytes, and what was cut is there again', () => {
    const source = new ChoppySource(new MemorySource(BYTES), new Answers(2, 1), { blockSize: 1024 })
    const target = Buffer.alloc(200, 0xee)
    expect(source.copyAtomic(target, 0, 0, 200)).toBe(1)
    expect([target[0], target[1]]).toEqual([BYTES[0], 0xee])
    expect(source.copyAtomic(target, 1, 1, 199)).toBe(0)
    expect(source.faultInNow(1, 199)).toBe(199)
    expect(source.copyAtomic(target, 1, 1, 199)).toBe(199)
    expect(target.equals(BYTES.subarray(0, 200))).toBe(true)
  })

  test('after the last cut nobody is asked', () => {
    const answers = new Answers(1, 1, 1)
    const source = new ChoppySource(new MemorySource(BYTES), answers, { maxCuts: 2 })
    for (let i = 0; i < 5; i++) source.copyAtomic(Buffer.alloc(50), 0, 0, 50)
    expect(source.cuts).toBe(2)
    expect(answers.asked).toHaveLength(2)
  })

  test('a copy that may fault is not cut', () => {
    const answers = new Answers(1)
    const source = new ChoppySource(new MemorySource(BYTES), answers)
    expect(run(source.copyFaulting(Buffer.alloc(50), 0, 0, 50))).toEqual({ _tag: 'Right', right: 50 })
    expect(answers.asked).toEqual([])
  })
})

test.each(strategies)('$name: a write whose copies are cut anywhere writes the same bytes', (strategy) => {
  fc.assert(fc.property(
    fc.nat(9_000), fc.integer({ min: 1, max: 20_000 }), fc.array(fc.nat(9), { maxLength: 4 }), fc.boolean(),
    (pos, len, cuts, cached) => {
      const { posix } = freshSession({ format: 'ext4', blockSize: 1024, strategy, size: 1 << 20, poison: true, maxFolioOrder: 2 })
      posix.open('f', ['O_RDWR', 'O_CREAT'])
      const want = Buffer.alloc(40_000, 0x33)
      posix.pwrite(0, want, 0)
      if (!cached) {
        posix.close(0)
        posix.dropCaches()
        posix.open('f', ['O_RDWR'])
      }
      const source = new ChoppySource(
        new MemorySource(BYTES.subarray(0, len)), new Answers(...cuts), { maxCuts: 4, pos, blockSize: 1024 },
      )
      expect(posix.pwriteFrom(0, source, pos)).toEqual({ _tag: 'Right', right: len })
      BYTES.copy(want, pos, 0, len)
      const is = Buffer.alloc(40_000)
      posix.pread(0, is, 0)
      expect(is.equals(want)).toBe(true)
    },
  ), { numRuns: 25, seed: 1 })
})
