/**
 * Measured growth: counts along an axis, the exponent fitted to them, and whether it is more than the formula allows.
 *
 * count ~ c * x ^ exponent, fitted by least squares on logarithmic axes over the larger half of the points: what is fixed no longer
 * hides there what grows. Counts are exact, so a fit has no noise; what it has is steps, for which there is room.
 */
import { linearRegression } from 'simple-statistics'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { type Counter, COUNTERS, type Ledger } from '../../kernel/ledger.ts'
import type { Axis } from './axes.ts'
import { EXPONENT, formulaFor } from './formulas.ts'

/** One design, one axis, one count. */
export interface Series {
  readonly design: string
  readonly axis: string
  readonly cost: Counter
  /** [x, count], x rising. */
  readonly points: readonly (readonly [number, number])[]
  /** Of x; 0 where the count does not change. */
  readonly exponent: number
  /** `O(x)` as the table has it. */
  readonly formula: string
  /** Does it grow faster than its formula? */
  readonly worse: boolean
}

/** How far a fit may lie above its formula: steps, and what has not died away at the largest x. */
export const ROOM = 0.1
/** As much for `log x`: over these ranges a logarithm fits an exponent below this. */
export const ROOM_OF_LOG = 0.25

/** The exponent that fits the larger half of the points, at least three; zeros are left out. */
export const fit = (points: readonly (readonly [number, number])[]): number => {
  const positive = points.filter(([, y]) => y > 0)
  const late = positive.slice(-Math.max(3, Math.ceil(positive.length / 2)))
  if (late.length < 2 || late.every(([, y]) => y === late[0]![1])) return 0
  return linearRegression(late.map(([x, y]) => [Math.log(x), Math.log(y)])).m
}

/** All series of some designs along one axis, those that are 0 throughout left out. */
export const growth = (axis: Axis, designs: readonly AnyStrategy[], xs: readonly number[], say?: (x: number) => void): Series[] => {
  const counts = new Map<string, Ledger[]>(designs.map((d) => [d.name, []]))
  for (const x of xs) {
    say?.(x)
    for (const d of designs) counts.get(d.name)!.push(axis.count(d, x))
  }
  return designs.flatMap((d) => COUNTERS.flatMap((cost): Series[] => {
    const points = xs.map((x, i) => [x, counts.get(d.name)![i]![cost]] as const)
    return points.every(([, y]) => y === 0) ? [] : [series(axis, d.name, cost, points)]
  }))
}

const series = (axis: Axis, design: string, cost: Counter, points: Series['points']): Series => {
  const { bound } = formulaFor(axis.id, design, cost)
  const exponent = fit(points)
  const room = bound === 'log x' ? ROOM_OF_LOG : ROOM
  return { design, axis: axis.id, cost, points, exponent, formula: `O(${bound})`, worse: exponent > EXPONENT[bound] + room }
}
