/** Errors: I25. */
import type { Look } from '../../src/lab/check/judge.ts'
import type { Claim } from './claim.ts'

/** Each file that was open at a writeback error gets it once, at its next fsync. */
const reportedOnce = (look: Look): readonly string[] => {
  if (!look.failed.includes('EIO.write')) return []
  return look.world.fsyncEach().flatMap(({ fiber, during, first, second }) => {
    if (during + (first === null ? 0 : 1) === 0) return [`writeback failed, and fsync of fiber ${fiber + 1} says nothing`]
    return second === null ? [] : [`fsync of fiber ${fiber + 1} says ${second} again, without a new error`]
  })
}

/** The claims about errors. */
export const ERRORS: readonly Claim[] = [
  {
    id: 'I25', family: 'errors', short: 'a lost write is reported once to each', forced: true,
    sentence: 'Each open file that existed at a writeback error gets at least one error at its next fsync, and none again without a new ' +
      'error; the data stays dirty or is reported lost.',
    source: 'lib/errseq.c; "fsyncgate", 2018',
    judges: [{ on: 0, when: ['rest'], rest: reportedOnce }],
  },
]
