/**
 * The document of a growth run: how each count grows with one thing made larger, beside the design's own formula.
 *
 * Plain data, what docs/growth.json holds: `npm run growth -- --write` makes it, `compare --html` draws it. A series is one design,
 * one axis, one count: its points, the exponent fitted to them, and the formula that it is held against.
 */
import type { Axis } from '../lab/growth/axes.ts'
import type { Series } from '../lab/growth/measure.ts'

/** The schema of the document. */
export const GROWTH_SCHEMA = 1

/** Something that is made larger, with everything else held fixed. */
export type GrowthAxis = Pick<Axis, 'id' | 'x' | 'what'>

/** All of it. */
export interface GrowthDocument {
  readonly schema: typeof GROWTH_SCHEMA
  readonly tool: 'perform-write'
  readonly command: 'growth'
  readonly manifest: { readonly version: string; readonly code: string; readonly node: string; readonly ground: string }
  readonly axes: readonly GrowthAxis[]
  readonly series: readonly Series[]
}
