/**
 * Isolation, where the measured level is another than the expected one (isolation-expected.ts): what was measured, and why.
 * A test holds this list to the document: each difference stands here, and nothing else does.
 */
import { type Design, DESIGNS } from './claims/expected.ts'
import type { Level } from './claims/isolation.ts'
import { EXPECTED_ISOLATION, type Observer } from './isolation-expected.ts'

/** One cell that differs. */
export interface IsolationDeviation {
  readonly design: Design
  readonly observer: Observer
  readonly measured: Level
  readonly why: string
}

/** All of them. */
export const ISOLATION_DEVIATIONS: readonly IsolationDeviation[] = [
  {
    design: 'invalidate-then-add', observer: 'load', measured: 'write',
    why: 'read off the code, not shown by a run: a new folio stays locked until the whole batch stands; it takes a second loader, which ' +
      'faults an old folio in so that the batch ends in its middle (EBUSY), to see less',
  },
  {
    design: 'invalidate-splice', observer: 'disk', measured: 'write',
    why: 'a pass keeps each folio under writeback until it has all of them, and the write waits for the first before it replaces the ' +
      'second, as with lock-and-unmap; since a pass looks again where a folio was replaced it writes all that took their places',
  },
  {
    design: 'lock-and-unmap', observer: 'disk', measured: 'write',
    why: 'overlooked; read off the code: a pass keeps each folio under writeback until it has all of them (up to 1,024), and the write ' +
      'locks in the same order and waits for the first before it touches the second: one is wholly before the other',
  },
  ...DESIGNS.filter((design) => EXPECTED_ISOLATION[design].direct !== 'write' && design !== 'lock-all-folios').map(
    (design): IsolationDeviation => ({
      design, observer: 'direct', measured: 'write',
      why: 'direct reads took no lock when this was expected, and were found to be the largest difference from live kernels; now they ' +
        'hold the inode lock shared, as ext4_dio_read_iter does, and a write holds it exclusive',
    }),
  ),
]
