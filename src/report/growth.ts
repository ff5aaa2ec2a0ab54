/**
 * The document of a growth run: how each count grows with one thing made larger, beside the design's own formula.
 *
 * Plain data, what `npm run growth -- --json` writes and docs/growth.json holds. A series is one design, one axis, one cost:
 * points of (x, count), the exponent fitted to them on logarithmic axes, and the exponent that the formula allows.
 */
import type { Counter } from '../kernel/ledger.ts'

/** The schema of the document. */
export const GROWTH_SCHEMA = 1

/** Something that is made larger, with everything else held fixed. */
export interface GrowthAxis {
  readonly id: string
  /** What x counts: `extents`. */
  readonly x: string
  /** What is done at each x, in a sentence. */
  readonly what: string
}

/** One design, one axis, one cost. */
export interface GrowthSeries {
  readonly design: string
  readonly axis: string
  readonly cost: Counter | 'steps'
  /** [x, count], x rising. */
  readonly points: readonly (readonly [number, number])[]
  /** Fitted: count ~ x ^ exponent; null where it is 0 throughout. */
  readonly exponent: number | null
  /** The formula: `1`, `log x`, `x`. */
  readonly formula: string
  readonly reason: string
  /** Does it grow faster than the formula? */
  readonly worse: boolean
}

/** All of it. */
export interface GrowthDocument {
  readonly schema: typeof GROWTH_SCHEMA
  readonly tool: 'perform-write'
  readonly command: 'growth'
  readonly manifest: { readonly version: string; readonly code: string; readonly node: string; readonly ground: string }
  readonly axes: readonly GrowthAxis[]
  readonly series: readonly GrowthSeries[]
}
