/**
 * Statistics of wall time: medians with bootstrap intervals, and how far one set of times lies from another.
 *
 * Times come in paired rounds: in each round all designs take their turn, so that a machine whose speed drifts disturbs all of
 * them; a ratio is formed within its round. Intervals are percentile bootstraps (2,000 resamples) of a fixed seed: the same
 * times give the same interval. Each is a 95 % interval of its own, not corrected for how many there are.
 * Counts need none of this: they are exact.
 */
import { median, quantile, sampleWithReplacement, wilcoxonRankSum } from 'simple-statistics'

/** A median and its 95 % confidence interval. */
export interface Estimate {
  readonly median: number
  readonly low: number
  readonly high: number
}

const RESAMPLES = 2000

/** Numbers in [0, 1) that are the same every time (mulberry32 by Tommy Ettinger). */
const seeded = (): (() => number) => {
  let state = 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Median of `values` (at least one) with a percentile bootstrap interval. */
export const estimate = (values: readonly number[]): Estimate => {
  const random = seeded()
  const medians = Array.from({ length: RESAMPLES }, () => median(sampleWithReplacement([...values], values.length, random)))
  return { median: median([...values]), low: quantile(medians, 0.025), high: quantile(medians, 0.975) }
}

/** `mine[i] / base[i]`, round by round. */
export const ratio = (mine: readonly number[], base: readonly number[]): Estimate => estimate(mine.map((t, i) => t / base[i]!))

/**
 * Cliff's delta, -1 to 1: how much more often a time of `mine` is above one of `base` than below it. 0 = alike, 1 = every one
 * of mine is slower. From the rank sum of Wilcoxon: U = W - n(n+1)/2, delta = 2U/nm - 1.
 */
export const cliffsDelta = (mine: readonly number[], base: readonly number[]): number => {
  const n = mine.length
  const u = wilcoxonRankSum([...mine], [...base]) - (n * (n + 1)) / 2
  return (2 * u) / (n * base.length) - 1
}

/** Do two intervals share a value? */
export const overlap = (a: Estimate, b: Estimate): boolean => a.low <= b.high && b.low <= a.high

/** `0.72 [0.70, 0.74]` */
export const show = ({ median, low, high }: Estimate, digits = 2): string =>
  `${median.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`
