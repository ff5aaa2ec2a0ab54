/**
 * Growth, the small part: every count of every design grows as its formula says, on the quick points of each axis.
 * `npm run growth` goes to 64 GiB and a million extents.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { AXES } from '../src/lab/growth/axes.ts'
import { FORMULAS, KNOWN } from '../src/lab/growth/formulas.ts'
import { fit, growth, type Series } from '../src/lab/growth/measure.ts'
import type { GrowthDocument } from '../src/report/growth.ts'
import { strategies } from '../src/strategies/index.ts'

const written = JSON.parse(readFileSync(new URL('../docs/growth.json', import.meta.url), 'utf8')) as GrowthDocument

const isKnown = (s: Series): boolean => KNOWN.some((k) => k.axis === s.axis && k.costs.includes(s.cost))
const say = ({ design, cost, points, exponent, formula }: Series): string =>
  `${design} ${cost}: ${points.map(([, y]) => y).join(' ')}, x^${exponent.toFixed(2)}, ${formula}`

const found = new Map<string, readonly Series[]>()
const along = (id: string): readonly Series[] => {
  const axis = AXES.find((a) => a.id === id)!
  if (!found.has(id)) found.set(id, growth(axis, strategies, axis.quick))
  return found.get(id)!
}

describe.each(AXES.map((a) => a.id))('along %s', (id) => {
  test('no count grows faster than its formula, but for what is known', () => {
    expect(along(id).filter((s) => s.worse && !isKnown(s)).map(say)).toEqual([])
  })

  test('what is known as worse still is: else take it off the list', () => {
    for (const k of KNOWN.filter((known) => known.axis === id)) {
      for (const cost of k.costs) expect(along(id).some((s) => s.cost === cost && s.worse), cost).toBe(true)
    }
  })

  test('docs/growth.json has these very counts: else npm run growth -- --write', () => {
    const at = (s: Series): Map<number, number> => new Map(s.points)
    for (const now of along(id)) {
      const then = written.series.find((s) => s.design === now.design && s.axis === id && s.cost === now.cost)
      // A design that is newer than the file is not in it.
      if (!written.series.some((s) => s.design === now.design)) continue
      for (const [x, y] of now.points) {
        const before = then === undefined ? 0 : at(then).get(x)
        if (before !== undefined) expect([now.design, now.cost, x, before]).toEqual([now.design, now.cost, x, y])
      }
    }
  })

  test('every formula along it is needed, and none is looser than what uses it', () => {
    for (const f of FORMULAS.filter((row) => row.axis === id)) {
      const used = along(id).filter((s) => (f.designs?.includes(s.design) ?? true) && (f.costs?.includes(s.cost) ?? true))
      expect(used.length, f.reason).toBeGreaterThan(0)
      if (f.bound === 'x') expect(Math.max(...used.map((s) => s.exponent)), f.reason).toBeGreaterThan(0.8)
    }
  })
})

describe('a fit', () => {
  test.each([
    [[1, 5, 25, 125, 625], 1], [[7, 7, 7, 7], 0], [[625, 125, 25, 5], -1], [[1, 25, 625, 15_625], 2], [[0, 0, 0, 0], 0],
  ])('%j along powers of 5 is x^%i', (ys, exponent) => {
    expect(fit(ys.map((y, i) => [5 ** i, y]))).toBeCloseTo(exponent, 9)
  })

  test('what is fixed at first does not hide what grows', () => {
    expect(fit([1, 10, 100, 1000, 10_000, 100_000].map((x) => [x, 500 + x]))).toBeGreaterThan(0.8)
  })
})
