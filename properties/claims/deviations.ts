/**
 * Deviations: cells in which runs differ from what was expected (expected.ts), each with what it turned out to be. A
 * line goes when the runs agree again; what was expected is never changed.
 */
import type { Design, Status } from './expected.ts'

/** One cell. */
export interface Deviation {
  readonly design: Design
  readonly claim: string
  /** What runs show. */
  readonly found: Status
  readonly why: string
}

/** Cells that differ, by design. */
export const DEVIATIONS: readonly Deviation[] = [
  {
    design: 'invalidate-then-add', claim: 'I9', found: 'fail',
    why: 'the extents are recorded before the old page is written back, so that writeback places blocks below ' +
      'holes that have no dirty data: ' +
      'where there are no unwritten extents (ext2) the cache says zero and the disk what it held before',
  },
  {
    design: 'invalidate-then-add', claim: 'I10', found: 'fail',
    why: 'the same, seen by a reader: in the gap between invalidating and adding it fills the page from those ' +
      'blocks, and reads stale data. ' +
      'The mails speak of EBUSY and EEXIST only; this is worse',
  },
  {
    design: 'lock-all-folios', claim: 'I18', found: 'fail',
    why: 'a short copy stands, a truncate cuts it off while the inode lock is waited for, and the second attempt fails early: ' +
      'the call returns the most that ever stood, which does not stand any more',
  },
  {
    design: 'lock-all-folios', claim: 'I20', found: 'fail',
    why: 'a write that is done again under the inode lock goes part by part, and a write that needs no inode lock comes between ' +
      'two parts: all folios at once on one side, the inode lock on the other, and nothing that both take',
  },
]
