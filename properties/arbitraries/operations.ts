/**
 * Operations as fast-check draws them: sequences of steps that shrink by dropping steps and by making numbers simpler,
 * and the ways in which a file system can be mounted.
 */
import * as fc from 'fast-check'
import { strategies } from '../../src/strategies/index.ts'
import type { Setting } from '../machine.ts'
import { decode, type DecodeOptions, RAW_BELOW, type RawStep, type Step } from './steps.ts'

/** One raw step. */
export const rawStep: fc.Arbitrary<RawStep> = fc.tuple(
  fc.nat(RAW_BELOW[0] - 1), fc.nat(RAW_BELOW[1] - 1), fc.nat(RAW_BELOW[2] - 1), fc.nat(RAW_BELOW[3] - 1),
  fc.nat(RAW_BELOW[4] - 1), fc.nat(RAW_BELOW[5] - 1),
)

/** Sequences of at most `most` steps after the two files were opened. */
export const steps = (options: DecodeOptions, most = 40): fc.Arbitrary<Step[]> =>
  fc.array(rawStep, { maxLength: most, size: 'max' }).map((raws) => decode(raws, options))

/**
 * Designs that differ from prepare-copy-punch only in what they do with a short copy: rollback.test.ts plays them on every
 * ground as all others, what draws from SETTINGS with one size of folios.
 */
const DIFFER_IN_SHORT_COPIES: readonly string[] = ['prepare-copy-zero', 'prepare-copy-zero-page']

/** How a file system may be mounted: each strategy on each format, in each size of block, with three sizes of folios. */
export const SETTINGS: readonly Setting[] = strategies.flatMap(({ name }) =>
  (['ext2', 'ext4'] as const).flatMap((format) =>
    [1024, 2048, 4096].flatMap((blockSize) =>
      (DIFFER_IN_SHORT_COPIES.includes(name) ? [2] : [0, 2, 9]).map((maxFolioOrder) =>
        ({ strategy: name, format, blockSize, maxFolioOrder })),
    ),
  ),
)
