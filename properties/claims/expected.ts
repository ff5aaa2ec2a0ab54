/**
 * Expected: what each design should do with each claim, written down from the literature and from the tables at the
 * heads of the strategy files, before any full run was looked at. What a check really finds is compared with it
 * (docs/verdicts.md): a cell that differs is either a bug of the design's code, of a judge, or of our reading of the
 * mails, and is explained there.
 *
 * Most cells pass, for one reason a claim; the others are listed by design. Nothing here is ever changed to agree with
 * a run.
 */

/** What is expected. `declared`: broken, or not promised, and the design says so in its claims. */
export type Status = 'pass' | 'fail' | 'declared' | 'n.a.'

/** One cell. */
export interface Expectation {
  readonly status: Status
  readonly why: string
}

/** The designs, in the order of the tables. */
export const DESIGNS = [
  'get-block', 'reserve-allocate', 'reserve-copy-allocate', 'invalidate-splice', 'invalidate-then-add', 'lock-and-unmap',
  'prepare-copy-unwritten', 'prepare-copy-punch', 'prepare-copy-zero', 'prepare-copy-zero-page', 'delalloc-per-block',
  'dontcache', 'write-through', 'write-through-atomic', 'lock-all-folios', 'streaming',
] as const
/** The name of a design that comes along. */
export type Design = (typeof DESIGNS)[number]

const pass = (why: string): Expectation => ({ status: 'pass', why })
const fail = (why: string): Expectation => ({ status: 'fail', why })
const declared = (why: string): Expectation => ({ status: 'declared', why })
const none = (why: string): Expectation => ({ status: 'n.a.', why })

/** For all designs that are not named below. */
const USUAL: Readonly<Record<string, Expectation>> = {
  I1: pass('every path that places blocks has one that punches them'),
  I2: pass('reserve and unreserve go through one mapping, which settle empties; stores to holes reserve in every design'),
  I3: pass('writeback takes what was reserved, settle gives back the rest'),
  I4: pass('delayed blocks are recorded under dirty data or punched by settle'),
  I5: pass('one allocator, one map lock'),
  I6: pass('what was made past i_size is punched at end'),
  I7: none('neither ext2 nor ext4 shares blocks'),
  I8: pass('uptodate is set after the copy, by the block'),
  I9: pass('clean is set at submission, under the folio lock'),
  I10: pass('new blocks are unwritten or delayed, or zeroed under the folio lock before anybody may read them'),
  I11: pass('bytes are accepted from the front, and counted once'),
  I12: pass('whatever may fail comes before the first accepted byte'),
  I13: pass('the loop advances by what was accepted'),
  I14: pass('rollback touches what the mapping made, never a dirty block'),
  I15: pass('a refused copy is tried again, shorter; fault-in comes before each turn'),
  I16: pass('copies are atomic under folio locks; folios in ascending order, the map lock innermost'),
  I17: pass('each getFolio has its putFolio, each begin its end'),
  I18: pass('i_size moves under the folio lock, i_disksize when I/O ends'),
  I19: pass('an extension zeroes the rest of the old last page'),
  I20: pass('writes hold the inode lock; no more is promised to readers'),
  I21: declared('a page may change under writeback: stablePages is false'),
  I22: pass('writeback looks the place up under the map lock, truncation waits for writeback'),
  I23: pass('pages are changed in place: a store is in the page or after it'),
  I24: pass('truncation holds the inode and the invalidate lock'),
  I25: pass('errseq, one cursor a file'),
  I26: pass('space is taken before data is accepted'),
  I27: pass('quota is counted where space is'),
  I29: pass('signals are looked at between mappings; progress wins'),
  I32: pass('what is accepted does not depend on the order of reserve, copy and allocate'),
}

/** A pin is not stopped by page locks or page tables: Piggin, "writable mmaps don't leak into get_user_pages". */
const PINNED = fail('a device that pinned the page writes while it is under writeback; nothing stops it')

const PREPARED: Readonly<Record<string, Expectation>> = {
  I12: pass('nothing fallible after the copy: the design is this sentence'),
  I6: pass('blocks placed past i_size are punched at end'),
}

const THROUGH: Readonly<Record<string, Expectation>> = {
  I9: pass('a block is clean when its I/O is submitted, and forgotten if that fails'),
  I12: declared('bytes of a write whose I/O failed may stand on the disk, or over dirty data: rollback is false'),
  I14: pass('what was dirty before stays dirty when the I/O fails, and nothing else is taken away'),
  I16: pass('the I/O is waited for under folio locks, and its completion takes none of them'),
  I18: pass('both sizes move after the I/O, to the end of what reached the disk'),
  I21: pass('while the disk reads a page it is locked, under writeback and write-protected'),
  I25: pass('an error of its own I/O is the result of the write, that of others is recorded as ever'),
}

const UNUSUAL: Readonly<Record<Design, Readonly<Record<string, Expectation>>>> = {
  'get-block': {
    I4: pass('only stores to holes make delayed blocks'),
    I14: pass('blocks made inside i_size are zeroed, not freed'),
  },
  'reserve-allocate': {
    I26: pass('worst-case map blocks are reserved with the extent'),
  },
  'reserve-copy-allocate': {
    I12: declared('ALLOCATE may fail after an uptodate, dirty page was overwritten in place: rollback is false'),
  },
  'invalidate-splice': {
    I12: pass('ALLOCATE fails while the new pages are private: the file is untouched'),
    I16: pass('faults are taken with private folios only; old ones are locked in commit, in ascending order'),
    I20: fail('a pinned folio is written in place, and a lockless reader of that page sees half of it; pass ' +
      'without pins'),
    I21: PINNED,
    I23: pass('edges are inherited under the old folio\'s lock, pinned folios are not replaced'),
  },
  'invalidate-then-add': {
    I12: pass('a refused or failed commit leaves what the disk holds'),
    I21: PINNED,
    I23: fail('a store between the copy of the edges and the invalidation is lost'),
    I26: declared('invalidation may be refused: EBUSY with room and no fault'),
    I32: pass('one call at a time nobody refuses an invalidation'),
  },
  'lock-and-unmap': {
    I16: pass('a write from its own page is only write-protected when it is tried again'),
    I20: pass('read(2) takes no page lock and sees the copy in progress: none is promised'),
    I21: PINNED,
  },
  'prepare-copy-unwritten': { ...PREPARED, I26: pass('space of a short copy stays taken, as unwritten blocks ' +
  'inside i_size') },
  'prepare-copy-punch': { ...PREPARED, I26: pass('ENOSPC comes a map block early, but only where the disk is full') },
  'prepare-copy-zero': { ...PREPARED, I10: pass('written blocks are placed under the folio lock and zeroed before ' +
  'it is released') },
  'prepare-copy-zero-page': { ...PREPARED, I10: pass('a zero bio that fails falls back to zeros in the cache') },
  'delalloc-per-block': {
    I3: pass('our end settles; upstream leaks after a short copy (Z55)'),
    I4: pass('our end settles; upstream leaves delayed blocks past the end (Z55)'),
  },
  dontcache: {
    I9: pass('a folio leaves the cache only when it is clean, so what is cached is what it was'),
    I16: pass('writeback of its own begins after all locks and the handle are given back'),
    I23: pass('a page that is mapped or pinned was found by somebody else, and stays'),
    I25: pass('what its own writeback meets is recorded as for any writeback; write(2) does not say it'),
  },
  'write-through': THROUGH,
  'write-through-atomic': {
    ...THROUGH,
    I13: pass('it is all of the write or an errno'),
    I26: pass('what cannot be read in part fails it, which faultIn declares'),
    I32: pass('where all can be read it does what others do'),
  },
  'lock-all-folios': {
    I13: pass('a write that is done again returns the most that ever stood'),
    I15: pass('it is done again once: after that it holds the inode lock'),
    I16: pass('the invalidate lock is shared and comes before the folios; undo takes it anew'),
    I20: pass('two writes without the inode lock have all their folios locked, or are done again under it'),
    I24: pass('truncation takes the invalidate lock, which each write shares'),
    I26: pass('space is promised folio by folio, and the write ends where it does'),
  },
  streaming: {
    I8: pass('a block that was streamed to is not uptodate before what is missing was read'),
    I9: pass('what could not be completed for writeback stays dirty'),
    I10: pass('whoever needs a block that was streamed to reads the rest of it first'),
    I11: pass('what was streamed is kept when the rest of its block is read'),
    I14: pass('a range is cut only where its blocks are taken out'),
    I25: pass('a read that fails in writeback is recorded like a write that does'),
  },
}

/** The claims of the table. */
export const EXPECTED_CLAIMS: readonly string[] = Object.keys(USUAL)

/** What design `s` should do with claim `id`. */
export const expected = (s: Design, id: string): Expectation => UNUSUAL[s][id] ?? USUAL[id]!

/** The four places where the designs of 2010 differ, as the mails have it, before any run. */
export const EXPECTED_INJECTIONS: Readonly<Record<'late' | 'store' | 'pin' | 'reader', Readonly<Partial<Record<Design, string>>>>> = {
  // ALLOCATE fails after the copy, over an uptodate dirty page.
  late: { 'reserve-copy-allocate': 'a failed write leaves its bytes (declared)' },
  // A store through a mapping between the copy and the replacement.
  store: { 'invalidate-then-add': 'the store is lost' },
  // A device that pinned the old page writes later.
  pin: {
    'invalidate-then-add': 'refuses with EBUSY (declared); the page is not stable',
    'invalidate-splice': 'no store lost; the page is not stable', 'lock-and-unmap': 'no store lost; the page is ' +
    'not stable',
  },
  // A reader that takes no lock, during the copy: who sees half a page. The others show pages whole.
  reader: {
    'get-block': 'torn', 'reserve-allocate': 'torn', 'reserve-copy-allocate': 'torn', 'lock-and-unmap': 'torn',
    'prepare-copy-unwritten': 'torn', 'prepare-copy-punch': 'torn', 'prepare-copy-zero': 'torn', 'prepare-copy-zero-page': 'torn',
    'delalloc-per-block': 'torn',
  },
}
