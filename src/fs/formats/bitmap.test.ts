import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countClear, fillBits, findRun, isSet, nextClear, nextSet } from './bitmap.ts'

const bits = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => Buffer.from(b))
const all = Array.from({ length: 128 }, (_, i) => i)

test('nextClear and nextSet agree with a look at each bit', () => {
  fc.assert(
    fc.property(bits, fc.nat(127), fc.nat(128), (map, from, end) => {
      const first = (set: boolean) => all.find((i) => i >= from && i < end && isSet(map, i) === set) ?? end
      if (from <= end) {
        expect(nextClear(map, from, end)).toBe(first(false))
        expect(nextSet(map, from, end)).toBe(first(true))
      }
    }),
  )
})

test('fillBits changes the bits that it names and no other', () => {
  fc.assert(
    fc.property(bits, fc.nat(127), fc.nat(128), fc.constantFrom(0 as const, 1 as const), (map, start, n, value) => {
      const to = Math.min(128, start + n)
      const before = all.map((i) => isSet(map, i))
      fillBits(map, start, to - start, value)
      expect(all.map((i) => isSet(map, i))).toEqual(before.map((b, i) => (i >= start && i < to ? value === 1 : b)))
    }),
  )
})

test('findRun: the first run that is long enough, else the longest', () => {
  fc.assert(
    fc.property(bits, fc.nat(127), fc.integer({ min: 1, max: 20 }), (map, from, want) => {
      const runs = all.filter((i) => i >= from && !isSet(map, i) && (i === from || isSet(map, i - 1)))
        .map((start) => ({ start, n: nextSet(map, start, 128) - start }))
      const enough = runs.find((r) => r.n >= want)
      const longest = runs.reduce<typeof enough | null>((a, r) => (a == null || r.n > a.n ? r : a), null)
      expect(findRun(map, from, 128, want)).toEqual(enough === undefined ? longest : { start: enough.start, n: want })
    }),
  )
})

test('countClear counts', () => {
  fc.assert(fc.property(bits, (map) => countClear(map, 128) === all.filter((i) => !isSet(map, i)).length))
})
