/**
 * Donor: a source of a write that may give its pages away instead of having them copied, as the page cache sees it.
 *
 * States of a page on its way, and the function behind each arrow:
 *
 *   in the source --trySteal--> stolen (locked, in no file) --donate--> in the file (locked, not uptodate)
 *   in the file --finish--> committed (uptodate, dirty) · in the file, or stolen --takeBack--> in the source
 *
 * Obligations of a donor: a page that it gives has no other holder and no other writer; it never waits; what comes back is
 * readable as before. Of who takes it: from `trySteal` to `finish` nobody writes to the page.
 * Source: Viro, "lift pipe_lock out of splice_to_pipe()", 24 Sep 2016 (seed 001); 485ddb4b9741, why it was taken out in 2007.
 */
import type { Counter } from '../kernel/ledger.ts'
import type { Folio } from '../pagecache/folio.ts'
import type { Verbs } from './verbs.ts'

/** Why a page is copied and not taken; the name of the counter of the ledger. */
export type Refusal = Extract<Counter, `refused${string}`>

/**
 * How a design undoes what it placed below a page that is not written after all. `map`: without touching the page. `zeros`:
 * it zeroes what it placed inside i_size. `cuts`: so, and a part of the page may stand.
 */
export type Undo = 'map' | 'zeros' | 'cuts'

/** A source that may give pages away. Offsets `at` count from the start of the source. */
export interface Donor {
  /**
   * Take the page of the `n` bytes at `at`: locked, in no file, one reference, the donor's. Plain.
   * @returns the page, or why it cannot be had
   */
  trySteal(k: Verbs, at: number, n: number): Folio | Refusal
  /** How many of the `n` bytes at `at` are in pages that look alike: all as if they could be taken, or none. At least 1. */
  run(at: number, n: number): number
  /** A stolen page is the source's again; it is in no file. */
  takeBack(f: Folio): void
  /** The bytes at `at` stand in this folio. If it is the page that was stolen there, the file has it for good. */
  accepted(f: Folio, at: number): void
  /** How many of the `n` bytes at `at` stand at byte `off` of this very folio: all of them, or 0. */
  sameBytes(f: Folio, off: number, at: number, n: number): number
}
