/**
 * Expected: what each design should do with each claim about splice, and why.
 *
 * Written after the worlds of five designs had been run while the donation path was built (their first runs found what
 * docs/splice.md tells), and before any run of the others, of SPLICE-6 and SPLICE-9, of processes that share a pipe, and of
 * any mutant. Nothing here is changed to agree with a run.
 */

/** One row: all designs, unless a design is named. */
export interface SpliceExpectation {
  readonly claim: string
  readonly why: string
  /** Designs for which the reason is another one. */
  readonly but?: Readonly<Record<string, string>>
}

/** All pass. The second reason is where the design does it differently. */
export const SPLICE_EXPECTED: readonly SpliceExpectation[] = [
  {
    claim: 'SPLICE-1',
    why: 'the pipe is consumed after the write, by what the write accepted; a given page is accepted whole or not at all',
    but: {
      'reserve-copy-allocate': 'a late ENOMEM that would cut a given page lets none of it stand, and the rest of the write is copied',
      'invalidate-splice': 'as reserve-copy-allocate; a given page is private until the commit, so nothing is taken out of the file',
      'invalidate-then-add': 'as invalidate-splice; EBUSY after some pages is a short write',
    },
  },
  { claim: 'SPLICE-2', why: 'a page is taken only with its last reference: nobody is left who could store to it' },
  { claim: 'SPLICE-3', why: 'the same' },
  {
    claim: 'SPLICE-4', why: 'donate inserts locked and not uptodate; finish and takeBack both run under that lock',
    but: {
      'get-block': 'its undo writes zeros: over a hole inside i_size the offer is refused',
      'delalloc-per-block': 'as get-block',
      'invalidate-splice': 'the page is private until the commit',
      'invalidate-then-add': 'the page is private until the commit',
      'prepare-copy-zero': 'its undo writes zeros, or cuts a page of small blocks: over a hole the offer is refused',
    },
  },
  { claim: 'SPLICE-5', why: 'what is not a whole page from its first byte on is refused before it is looked at' },
  { claim: 'SPLICE-6', why: 'whether a page was taken changes neither what is reserved nor what is accepted' },
  { claim: 'SPLICE-7', why: 'a page under writeback is refused and copied; nobody waits for it with the inode lock held' },
  { claim: 'SPLICE-8', why: 'tee raises the reference: such a page is copied; its second buffer may not be merged into' },
  { claim: 'SPLICE-9', why: 'one function fills a slot, and sets every field' },
]
