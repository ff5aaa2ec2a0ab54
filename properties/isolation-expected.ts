/**
 * Expected isolation: the strongest level at which each observer should see every write of each design whole, written down from
 * the tables at the heads of the strategy files and from the pipeline, before any run was looked at. docs/isolation.md sets
 * what is measured beside it and explains each difference (isolation-deviations.ts).
 *
 * Nothing here is ever changed to agree with a run.
 */
import type { Design } from './claims/expected.ts'
import type { Level } from './claims/isolation.ts'

/** Who looks. */
export const OBSERVERS = ['read', 'direct', 'load', 'size', 'writer', 'disk'] as const
/** One of them. */
export type Observer = (typeof OBSERVERS)[number]

/** What is expected of one design, by observer. */
export type Expected = Readonly<Record<Observer, Level>>

/**
 * Copies in place, and readers take no lock. Writeback does not keep the page from being changed while the disk reads it, so
 * that the disk, and who reads past the cache, may see the copy in progress. i_size moves once a batch of one folio.
 */
const IN_PLACE: Expected = { read: 'none', direct: 'none', load: 'none', size: 'folio', writer: 'write', disk: 'none' }

/** The same, but all folios of the write are one batch: i_size moves once. */
const IN_PLACE_BATCH: Expected = { ...IN_PLACE, size: 'write' }

/** Pages are made outside the cache and put in its place whole; who maps one waits for the locks of the batch. */
const REPLACING: Expected = { read: 'folio', direct: 'folio', load: 'write', size: 'write', writer: 'write', disk: 'folio' }

/** By design. */
export const EXPECTED_ISOLATION: Readonly<Record<Design, Expected>> = {
  'get-block': IN_PLACE,
  'reserve-allocate': IN_PLACE,
  'reserve-copy-allocate': IN_PLACE_BATCH,
  'invalidate-splice': REPLACING,
  // Between the invalidation and the adding a fault brings the old page back, folio by folio.
  'invalidate-then-add': { ...REPLACING, load: 'folio' },
  // Stable: writeback waits for the folio lock, one folio after the other. A fault waits for the locks of all folios.
  'lock-and-unmap': { ...IN_PLACE_BATCH, load: 'write', direct: 'folio', disk: 'folio' },
  'prepare-copy-unwritten': IN_PLACE_BATCH,
  'prepare-copy-punch': IN_PLACE_BATCH,
  'prepare-copy-zero': IN_PLACE_BATCH,
  'prepare-copy-zero-page': IN_PLACE_BATCH,
  'delalloc-per-block': IN_PLACE,
  dontcache: IN_PLACE,
  // The folio stays locked while the disk reads it.
  'write-through': { ...IN_PLACE, direct: 'folio', disk: 'folio' },
  // All folios stay locked, and one bio takes them where their blocks are neighbours.
  'write-through-atomic': { ...IN_PLACE_BATCH, direct: 'write', disk: 'write' },
  'lock-all-folios': IN_PLACE_BATCH,
  streaming: IN_PLACE,
}
