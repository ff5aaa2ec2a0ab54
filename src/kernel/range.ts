/**
 * Ranges: half-open byte intervals [pos, pos + len) of a file.
 *
 * Interface: `intersect` and `subtract` never produce an empty range (they return null or leave it out); `union` of
 * touching ranges is one range; a RangeSet is sorted, disjoint and has no two ranges that touch.
 */
import type { Eq } from 'fp-ts/lib/Eq.js'
import type { Monoid } from 'fp-ts/lib/Monoid.js'

/** Bytes [pos, pos + len) of a file. */
export interface Range {
  readonly pos: number
  readonly len: number
}

/** First byte after the range. */
export const end = (r: Range): number => r.pos + r.len

/** The common part, or null if there is none. */
export const intersect = (a: Range, b: Range): Range | null => {
  const pos = Math.max(a.pos, b.pos)
  const len = Math.min(end(a), end(b)) - pos
  return len > 0 ? { pos, len } : null
}

/** What remains of `a` without `b`: no, one or two ranges. */
export const subtract = (a: Range, b: Range): readonly Range[] => {
  const common = intersect(a, b)
  if (common === null) return a.len > 0 ? [a] : []
  const parts = [
    { pos: a.pos, len: common.pos - a.pos },
    { pos: end(common), len: end(a) - end(common) },
  ]
  return parts.filter((r) => r.len > 0)
}

/** True if every byte of `inner` lies in `outer`. The empty range lies everywhere. */
export const covers = (outer: Range, inner: Range): boolean =>
  inner.len === 0 || (outer.pos <= inner.pos && end(inner) <= end(outer))

/** Sorted, disjoint, non-touching, non-empty ranges. */
export type RangeSet = readonly Range[]

/** Bring any list of ranges into the normal form of a RangeSet. */
export const normalise = (ranges: readonly Range[]): RangeSet => {
  const out: { pos: number; len: number }[] = []
  for (const r of [...ranges].filter((x) => x.len > 0).sort((a, b) => a.pos - b.pos)) {
    const last = out.at(-1)
    if (last !== undefined && r.pos <= end(last)) last.len = Math.max(last.len, end(r) - last.pos)
    else out.push({ pos: r.pos, len: r.len })
  }
  return out
}

/** Ranges are equal when their bytes are. */
export const eqRange: Eq<Range> = { equals: (a, b) => a.pos === b.pos && a.len === b.len }

/** Union of range sets; the empty set is neutral. Commutative and idempotent. */
export const monoidRangeSet: Monoid<RangeSet> = { empty: [], concat: (a, b) => normalise([...a, ...b]) }

/** How many bytes the set holds. */
export const bytesIn = (set: RangeSet): number => set.reduce((sum, r) => sum + r.len, 0)
