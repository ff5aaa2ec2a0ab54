/**
 * Isolation, where the measured level is another than the expected one (isolation-expected.ts): what was measured, and why.
 * A test holds this list to the document: each difference stands here, and nothing else does.
 */
import type { Design } from './claims/expected.ts'
import type { Level } from './claims/isolation.ts'
import type { Observer } from './isolation-expected.ts'

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
    design: 'invalidate-then-add', observer: 'direct', measured: 'write',
    why: 'the budget: with 300 schedules by chance a scene, one of 10,700 looks is torn between two folios (32 KiB, folios of 16 KiB), ' +
      'because a direct read takes a bio for each extent, and the map has two while new blocks are placed',
  },
  {
    design: 'invalidate-then-add', observer: 'load', measured: 'write',
    why: 'a new folio stays locked until the whole batch stands, and a loader that found the first one old may find anything after it; ' +
      'it takes a second loader, which faults an old folio in so that the batch ends in its middle (EBUSY), to see less',
  },
  {
    design: 'invalidate-then-add', observer: 'disk', measured: 'write',
    why: 'the folios of a batch become dirty in one step, after all are in the cache: a pass beside it finds all of them or none',
  },
  ...(['direct', 'disk'] as const).map((observer): IsolationDeviation => ({
    design: 'lock-and-unmap', observer, measured: 'write',
    why: 'a pass keeps each folio under writeback until it has all of them (up to 1,024), and the write locks in the same order and ' +
      'waits for the first before it touches the second: one is wholly before the other, which was overlooked',
  })),
]
