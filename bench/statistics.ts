/** Ratios of paired rounds: median with a 95 % bootstrap interval (2,000 resamples, seeded). */
import { median, quantile, sampleWithReplacement } from 'simple-statistics'

/** A median and its 95 % confidence interval. */
export interface Estimate {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** Median of `values` with a percentile bootstrap interval. */
export const estimate = (values: readonly number[]): Estimate => {
  let state = 0x9e3779b9
  const random = (): number => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5
    return (state >>> 0) / 2 ** 32
  }
  const medians = Array.from({ length: 2000 }, () => median(sampleWithReplacement([...values], values.length, random)))
  return { median: median([...values]), low: quantile(medians, 0.025), high: quantile(medians, 0.975) }
}

/** `0.72 [0.70, 0.74]` */
export const show = (e: Estimate): string => `${e.median.toFixed(2)} [${e.low.toFixed(2)}, ${e.high.toFixed(2)}]`
