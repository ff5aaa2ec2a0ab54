/**
 * Formulas: how each count may grow along each axis, by the design's own idea. The one place where they stand, with reasons.
 *
 * A formula is an upper bound on the exponent: `O(1)` may not rise, `O(x)` may rise as x. A count that falls keeps every bound.
 * The first row that fits a design, an axis and a count is the one that holds; the test asks that every series finds a row, and
 * that every row that names a design or a count is needed by one.
 */
import type { Counter } from '../../kernel/ledger.ts'

/** How a count may grow. */
export type Bound = '1/x' | '1' | 'log x' | 'x'

/** A row of the table. */
export interface Formula {
  readonly axis: string
  /** Designs; absent: all. */
  readonly designs?: readonly string[]
  /** Counters; absent: all. */
  readonly costs?: readonly Counter[]
  readonly bound: Bound
  readonly reason: string
}

/** Designs that put whole folios in place of the old ones. */
const REPLACES = ['invalidate-splice', 'invalidate-then-add'] as const
/** Designs that ask for each block, whatever the folio. */
const BY_BLOCK = ['get-block', 'delalloc-per-block'] as const
/** Counted once a turn of the folio loop. */
const BY_FOLIO: readonly Counter[] = ['iterations', 'copies', 'folioLookups', 'foliosAdded', 'foliosDirtied']

/** All rows. */
export const FORMULAS: readonly Formula[] = [
  {
    axis: 'size', bound: '1',
    reason: 'A write touches its own pages, blocks and extents. The size of a hole around them is one number in an extent.',
  },
  {
    axis: 'extents', costs: ['metaBios', 'metaBytes', 'mapBlocks'], bound: 'log x',
    reason: 'The extents that change lie in one leaf, or two where it splits; above them is one index block a level.',
  },
  {
    axis: 'extents', bound: '1',
    reason: 'A look-up is one count, however deep the tree; what lies elsewhere in the file is not asked for.',
  },
  {
    axis: 'order', designs: BY_BLOCK, costs: ['begins'], bound: '1/x',
    reason: 'One mapping a folio: a page as large as the write takes one.',
  },
  { axis: 'order', costs: BY_FOLIO, bound: '1/x', reason: 'Once a folio: twice the folio is half of them.' },
  {
    axis: 'order', bound: '1',
    reason: 'What is done once a block, once an extent or once a write does not know of folios; what is done once a folio falls.',
  },
  {
    axis: 'patch', designs: REPLACES, costs: ['innerBytes', 'pagesAllocated', 'peakHeldPages'], bound: 'x',
    reason: 'A folio is replaced whole: what the write does not cover is copied from the old one, and the memory is new.',
  },
  { axis: 'patch', bound: '1', reason: 'In place: the folio is found once, the bytes are copied into it, one block is dirty.' },
  {
    axis: 'fragmentation', bound: 'x',
    reason: 'Each extent under the write is mapped, locked, placed, written and converted for itself: so much is fair, no more.',
  },
  {
    axis: 'writers', bound: 'x',
    reason: 'Each writer pays for its own write. More than that is paid for waiting, for asking again or for undoing.',
  },
]

/** The row that holds. @throws Error if none fits: a bug */
export const formulaFor = (axis: string, design: string, cost: Counter): Formula => {
  const found = FORMULAS.find((f) => f.axis === axis && (f.designs?.includes(design) ?? true) && (f.costs?.includes(cost) ?? true))
  if (found === undefined) throw new Error(`no formula for ${cost} of ${design} along ${axis}`)
  return found
}

/** The exponent of a bound; `log x` is 0 with some room (ROOM_OF_LOG). */
export const EXPONENT: Readonly<Record<Bound, number>> = { '1/x': -1, '1': 0, 'log x': 0, x: 1 }

/** Growth that is worse than its formula and is known: each with where it comes from. None may be in here that is not there. */
export const KNOWN: readonly { readonly axis: string; readonly costs: readonly Counter[]; readonly why: string }[] = []
