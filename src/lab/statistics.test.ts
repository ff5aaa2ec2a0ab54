import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cliffsDelta, estimate, overlap, ratio, show } from './statistics.ts'

const times = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 12 })
const sign = (n: number): number => Math.sign(n)

test("Cliff's delta is the mean sign of all pairs, ties included", () => {
  fc.assert(fc.property(times, times, (mine, base) => {
    const pairs = mine.flatMap((a) => base.map((b) => sign(a - b)))
    expect(cliffsDelta(mine, base)).toBeCloseTo(pairs.reduce((n, s) => n + s, 0) / pairs.length, 12)
    expect(cliffsDelta(mine, base)).toBeCloseTo(-cliffsDelta(base, mine), 12)
  }))
})

test('the median lies in its interval, the interval in the range of the values', () => {
  fc.assert(fc.property(times, (values) => {
    const { median, low, high } = estimate(values)
    expect(low).toBeLessThanOrEqual(median)
    expect(high).toBeGreaterThanOrEqual(median)
    expect(low).toBeGreaterThanOrEqual(Math.min(...values))
    expect(high).toBeLessThanOrEqual(Math.max(...values))
  }), { numRuns: 20 })
})

test('an interval of 95 % holds the true median in about 95 % of samples', () => {
  let x = 1
  const uniform = (): number => (x = (x * 48271) % 2147483647) / 2147483647
  const hits = Array.from({ length: 200 }, () => {
    const { low, high } = estimate(Array.from({ length: 15 }, uniform))
    return low <= 0.5 && 0.5 <= high
  }).filter(Boolean).length
  expect(hits).toBeGreaterThanOrEqual(180)
})

test('a ratio is formed within its round: drift cancels', () => {
  const base = [10, 20, 40, 80]
  expect(ratio(base.map((t) => t * 1.5), base)).toEqual({ median: 1.5, low: 1.5, high: 1.5 })
})

test('intervals overlap where they share a value', () => {
  expect(overlap({ median: 2, low: 1, high: 3 }, { median: 4, low: 3, high: 5 })).toBe(true)
  expect(overlap({ median: 2, low: 1, high: 3 }, { median: 4, low: 3.1, high: 5 })).toBe(false)
  expect(show({ median: 1.234, low: 1, high: 2 })).toBe('1.23 [1.00, 2.00]')
})
