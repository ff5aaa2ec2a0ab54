/** Ranges against a naive model: a range is the set of its bytes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bytesIn, covers, end, eqRange, intersect, monoidRangeSet, normalise, type Range, type RangeSet, subtract,
} from '../../src/kernel/range.ts'
import { commutes, eqLaws, monoidLaws } from './laws.test-util.ts'

const range: fc.Arbitrary<Range> = fc.record({ pos: fc.nat(24), len: fc.nat(12) })
const rangeSet: fc.Arbitrary<RangeSet> = fc.array(range, { maxLength: 6 }).map(normalise)

/** The bytes of ranges, sorted. */
const bytes = (ranges: readonly Range[]): readonly number[] =>
  [...new Set(ranges.flatMap((r) => Array.from({ length: r.len }, (_, i) => r.pos + i)))].sort((a, b) => a - b)

describe('Range', () => {
  eqLaws(eqRange, range)

  test('intersect holds the common bytes, and is never empty', () => {
    fc.assert(
      fc.property(range, range, (a, b) => {
        const common = intersect(a, b)
        expect(bytes(common === null ? [] : [common])).toEqual(bytes([a]).filter((x) => bytes([b]).includes(x)))
        expect(common?.len).not.toBe(0)
      }),
    )
  })

  test('intersect commutes', () => {
    fc.assert(
      fc.property(range, range, (a, b) => {
        expect(intersect(a, b)).toEqual(intersect(b, a))
      }),
    )
  })

  test('subtract holds the bytes of the first alone, in order, and no empty part', () => {
    fc.assert(
      fc.property(range, range, (a, b) => {
        const rest = subtract(a, b)
        expect(bytes(rest)).toEqual(bytes([a]).filter((x) => !bytes([b]).includes(x)))
        expect(rest.every((r) => r.len > 0)).toBe(true)
        expect([...rest].sort((x, y) => x.pos - y.pos)).toEqual(rest)
      }),
    )
  })

  test('what is common and what remains are the whole', () => {
    fc.assert(
      fc.property(range, range, (a, b) => {
        expect(bytesIn(subtract(a, b)) + (intersect(a, b)?.len ?? 0)).toBe(a.len)
      }),
    )
  })

  test('covers: no byte is outside', () => {
    fc.assert(
      fc.property(range, range, (outer, inner) => {
        expect(covers(outer, inner)).toBe(bytes([inner]).every((x) => bytes([outer]).includes(x)))
      }),
    )
  })
})

describe('RangeSet', () => {
  monoidLaws(monoidRangeSet, rangeSet)
  commutes(monoidRangeSet, rangeSet)

  test('concat is idempotent', () => {
    fc.assert(
      fc.property(rangeSet, (a) => {
        expect(monoidRangeSet.concat(a, a)).toEqual(a)
      }),
    )
  })

  test('normalise keeps the bytes; the result is sorted, disjoint, without empty or touching ranges', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), (list) => {
        const set = normalise(list)
        expect(bytes(set)).toEqual(bytes(list))
        expect(bytesIn(set)).toBe(bytes(list).length)
        expect(set.every((r) => r.len > 0)).toBe(true)
        for (let i = 1; i < set.length; i++) expect(end(set[i - 1]!)).toBeLessThan(set[i]!.pos)
      }),
    )
  })

  test('normalise leaves its input alone', () => {
    fc.assert(
      fc.property(fc.array(range.map((r) => Object.freeze(r))), (list) => {
        const before = structuredClone(list)
        normalise(Object.freeze(list))
        expect(list).toEqual(before)
      }),
    )
  })
})
