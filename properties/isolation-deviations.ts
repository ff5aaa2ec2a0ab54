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
    why: 'the budget: with 300 schedules by chance a scene, one of 10,700 looks is torn between two folios: the write itself writes the ' +
      'first old folio back, the pass of the direct read begins at the second, and that is the new one by the time it is locked',
  },
  {
    design: 'invalidate-then-add', observer: 'load', measured: 'write',
    why: 'read off the code, not shown by a run: a new folio stays locked until the whole batch stands; it takes a second loader, which ' +
      'faults an old folio in so that the batch ends in its middle (EBUSY), to see less',
  },
  {
    design: 'invalidate-then-add', observer: 'disk', measured: 'write',
    why: 'open: not met with 300 schedules by chance a scene either, but the pass may come as that of the direct read does, so that ' +
      '"write" is what was met here and nothing to rely on',
  },
  ...(['direct', 'disk'] as const).map((observer): IsolationDeviation => ({
    design: 'lock-and-unmap', observer, measured: 'write',
    why: 'overlooked; read off the code: a pass keeps each folio under writeback until it has all of them (up to 1,024), and the write ' +
      'locks in the same order and waits for the first before it touches the second: one is wholly before the other',
  })),
]
