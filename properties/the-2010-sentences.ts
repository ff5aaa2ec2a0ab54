/**
 * The sentences of seed 002 that claim something, in their order in the mail, each with what runs say of it. A verdict
 * is a function of the results, so that it changes when they do:
 *   shown          in every schedule, or in every undo, of the runs that are named
 *   shown in part  in some of the runs that are named and not in others
 *   refuted        a run shows the contrary
 *   undecided      nothing that was run bears on it
 */
import { count } from '../src/report/format.ts'
import type { Cell, Results } from './the-2010-argument.ts'
import { inUndo, sumUndo } from './undo-sums.ts'

/** What runs say of a sentence. */
export interface Ruling {
  readonly verdict: 'shown' | 'shown in part' | 'refuted' | 'undecided'
  readonly because: string
}

/** A sentence. */
export interface Sentence {
  /** Word for word. */
  readonly quote: string
  readonly by: 'Hellwig' | 'Chinner' | 'Piggin'
  readonly judge: (r: Results) => Ruling
}

const PREPARED = ['prepare-copy-unwritten', 'prepare-copy-punch', 'prepare-copy-zero', 'prepare-copy-zero-page']
/** Designs that change pages in place. */
const IN_PLACE = ['get-block', 'reserve-allocate', 'reserve-copy-allocate', 'lock-and-unmap', ...PREPARED, 'delalloc-per-block']
/** Designs in which nothing that can fail comes after the copy. */
const EARLY = ['get-block', 'reserve-allocate', 'lock-and-unmap', ...PREPARED, 'delalloc-per-block']

const cell = (r: Results, injection: string, design: string): Cell => r.cells[injection]![design]!
const claims = (r: Results, injection: string, design: string): readonly string[] => Object.keys(cell(r, injection, design).broken).sort()
const breaks = (r: Results, injection: string, design: string, claim: string): boolean => claims(r, injection, design).includes(claim)
const holds = (r: Results, injection: string, design: string): boolean => claims(r, injection, design).length === 0
const all = (names: readonly string[], f: (name: string) => boolean): boolean => names.every(f)

const rule = (shown: boolean, because: string, otherwise: string): Ruling =>
  ({ verdict: shown ? 'shown' : 'refuted', because: shown ? because : otherwise })
const part = (here: boolean, there: boolean, because: string): Ruling =>
  ({ verdict: here && there ? 'shown' : here || there ? 'shown in part' : 'refuted', because })
const undecided = (because: string): Ruling => ({ verdict: 'undecided', because })

/** All of them. */
export const SENTENCES: readonly Sentence[] = [
  {
    quote: 'In a delalloc filesystem (which is all those that will care about high performance large writes) the ' +
      'write path fundamentally ' +
      'consists of those two operations.',
    by: 'Hellwig',
    judge: ({ cost }) => {
      const l = cost['reserve-allocate']!
      return rule(l.reservations === 1 && l.records === 1 && l.allocations === 0,
        `a write of 16 KiB to a hole: ${l.reservations} reservation, ${l.records} extent recorded, ` +
        `${l.allocations} allocations (reserve-allocate)`,
        `a write of 16 KiB to a hole: ${l.reservations} reservations, ${l.records} extents recorded, ` +
        `${l.allocations} allocations`)
    },
  },
  {
    quote: 'Getting rid of the get_blocks mess and replacing it with a dedicated operations vector will simplify ' +
      'things a lot.',
    by: 'Hellwig',
    judge: ({ cost }) => undecided(`nothing here measures simplicity; counted, 16 KiB take get-block ` +
      `${cost['get-block']!.mapLookups} map look-ups and ` +
      `${cost['get-block']!.locks} locks, reserve-allocate ${cost['reserve-allocate']!.mapLookups} and ` +
      `${cost['reserve-allocate']!.locks}`),
  },
  {
    quote: 'I just much prefer to have operations after the copy not able to fail, otherwise you get into all ' +
      'those pagecache corner cases.',
    by: 'Piggin',
    judge: (r) => rule(breaks(r, 'a', 'reserve-copy-allocate', 'I12') && all(EARLY, (s) => holds(r, 'a', s)),
      'a: the design that may fail after an in-place copy leaves the bytes of a failed write in a dirty page ' +
      '(I12); no design that fails ' +
      'before the copy does; invalidate-splice, which fails after it but not in place, does not either',
      'a: the late failure of reserve-copy-allocate leaves no trace, or another design leaves one'),
  },
  {
    quote: 'delayed allocate has two parts to it - space reservation (accounting for ENOSPC) and recording of the ' +
      'delalloc extents (allocate).',
    by: 'Chinner',
    judge: ({ cost }) => {
      const l = cost['reserve-copy-allocate']!
      return rule(l.reservations === 1 && l.records === 1, 'they can be done apart, with the copy in between: a ' +
        'write of 16 KiB to a ' +
        `hole by reserve-copy-allocate makes ${l.reservations} reservation and ${l.records} record`, 'they are not apart')
    },
  },
  {
    quote: "Surely even reservation failures are very rare, and obviously the error handling is required, so why " +
      "not just do a single call?",
    by: 'Piggin',
    judge: (r) => {
      const [one, two] = [r.undo['reserve-allocate']!, r.undo['reserve-copy-allocate']!]
      const punched = sumUndo(one, (s) => s.verbs.blocksPunched)
      return part(holds(r, 'a', 'reserve-allocate'), punched === 0,
        `how rare they are nobody measured. reserve-allocate reserves and records in one call and holds a to c; ` +
        `but its undo punches ${punched} ` +
        `blocks under ${sumUndo(one, (s) => s.verbs.locksUndone)} locks over the failed writes of the table ` +
        `below, where that of ` +
        `reserve-copy-allocate punches ${sumUndo(two, (s) => s.verbs.blocksPunched)}`)
    },
  },
  {
    quote: 'Punching holes is a rather problematic operation',
    by: 'Chinner',
    judge: ({ undo }) => {
      const real = inUndo(undo['get-block']!)
      const delayed = inUndo(undo['reserve-allocate']!)
      return part(real.length > 0, delayed.length > 0, `punching real blocks may fail in turn (get-block: ` +
        `${real.join(', ') || 'nothing'}; ` +
        `${sumUndo(undo['get-block']!, (s) => s.lost)} blocks belonged to nobody after ` +
        `${sumUndo(undo['get-block']!, (s) => s.pairs)} pairs of faults); ` +
        `punching delayed ones, as reserve-allocate does, may not (${delayed.join(', ') || 'no fault site in it'})`)
    },
  },
  {
    quote: 'just decrementing counters on errors increases the chances that our error handling will actually work ' +
      'massively.',
    by: 'Chinner',
    judge: ({ undo }) => {
      const reports = Object.values(undo)
      const bare = ['reserve-copy-allocate', 'invalidate-splice'].map((s) => undo[s]!)
      const counters = bare.every((r) => inUndo(r).length === 0 && sumUndo(r, (s) => s.verbs.locksUndone + s.verbs.blocksPunched) === 0)
      const fallible = reports.filter((r) => inUndo(r).length > 0)
      const pairs = fallible.reduce((n, r) => n + sumUndo(r, (s) => s.pairs), 0)
      const lost = fallible.reduce((n, r) => n + sumUndo(r, (s) => s.lost), 0)
      const claims = reports.reduce((n, r) => n + sumUndo(r, (s) => Object.keys(s.brokenByPairs).length), 0)
      return {
        verdict: counters && fallible.length > 0 ? 'shown in part' : 'refuted',
        because: 'reserve-copy-allocate and invalidate-splice undo without a lock and without a punch, and ' +
          'nothing in their undo can fail; in that ' +
          `of ${fallible.length} of ${reports.length} designs something can, and ${pairs} pairs of faults left ` +
          `${count(lost)} blocks to nobody and broke ` +
          `${claims} claims beyond that. ` +
          (inUndo(undo['reserve-allocate']!).length > 0
            ? '' : 'But reserve-allocate, which punches delayed blocks only, can fail as little; ') +
          'how likely any of it is, counts do not say',
      }
    },
  },
  {
    quote: "It's just harder for the pagecache.",
    by: 'Piggin',
    judge: (r) => rule(breaks(r, 'a', 'reserve-copy-allocate', 'I12'),
      'a: with nothing but counters to decrement, the pages still hold what was copied: bytes of a failed write ' +
      'are readable, and are written back',
      'a: reserve-copy-allocate leaves no bytes behind'),
  },
  {
    quote: 'Invalidating and throwing out old pagecache and splicing in new pages seems a bit of a hack.',
    by: 'Piggin',
    judge: () => undecided('a matter of taste; what it costs and breaks stands in the tables'),
  },
  {
    quote: 'it turns a buffered write into an operation that does not expose transient page state and hence ' +
      'prevents torn writes.',
    by: 'Chinner',
    judge: (r) => part(!breaks(r, 'd', 'invalidate-splice', 'I20') && all(IN_PLACE, (s) => breaks(r, 'd', s, 'I20')),
      !breaks(r, 'd2', 'invalidate-splice', 'I20'),
      'd: no schedule shows a reader half of a page that is replaced, and every design that copies in place shows ' +
      'it; d2: over two pages a ' +
      'reader sees one old and one new (I20): page by page, not write by write'),
  },
  {
    quote: 'That will allow us to use DIF enabled storage paths for buffered filesystem IO',
    by: 'Chinner',
    judge: (r) => part(holds(r, 'e', 'invalidate-splice') && holds(r, 'f', 'invalidate-splice'), holds(r, 'g', 'invalidate-splice'),
      'e, f: under write(2) and stores through mappings the bytes on their way to the disk do not change, as they ' +
      'do in designs that do not wait ' +
      '(I21); g: under a device that pinned the page they do. lock-and-unmap, without replacing anything, holds ' +
      'and breaks the same'),
  },
  {
    quote: 'perhaps even allow us to generate checksums during copy-in to do end-to-end checksum protection of data....',
    by: 'Chinner',
    judge: () => undecided('no device that verifies checksums is part of these runs'),
  },
  {
    quote: "Invalidating is inherently racy and isn't guaranteed to succeed.",
    by: 'Piggin',
    judge: (r) => rule(
      ['b', 'c', 'd'].every((i) => breaks(r, i, 'invalidate-then-add', 'I26')) && breaks(r, 'b', 'invalidate-then-add', 'I23') &&
      !['b', 'c', 'd'].some((i) => breaks(r, i, 'invalidate-splice', 'I26') || breaks(r, i, 'invalidate-splice', 'I23')),
      'of invalidate-then-add: with room and no fault it ends in EBUSY beside a store, a pin and even a plain ' +
      'reader (b, c, d: I26), and stores are lost ' +
      '(b, c: I23). Not of invalidate-splice: to replace under the lock of the old page neither fails nor loses one',
      'invalidate-then-add is not refused in b, c and d, or invalidate-splice breaks there too'),
  },
  {
    quote: 'You need to lock the page to prevent writes, and then unmap user mappings.',
    by: 'Piggin',
    judge: (r) => part(['b', 'c', 'e', 'f'].every((i) => holds(r, i, 'lock-and-unmap')), !breaks(r, 'd', 'lock-and-unmap', 'I20'),
      'b, c, e, f: lock-and-unmap loses no store and its bytes under I/O are stable; d: a reader that takes no ' +
      'lock still sees half of a page (I20)'),
  },
  {
    quote: "You'd also need to have done some magic so writable mmaps don't leak into get_user_pages.",
    by: 'Piggin',
    judge: (r) => rule(all(['lock-and-unmap', 'invalidate-splice'], (s) => holds(r, 'f', s) && breaks(r, 'g', s, 'I21')),
      'f, g: both designs that promise stable pages keep them under stores through mappings and lose them under a ' +
      'pin (I21): the magic is needed by both',
      'g: a pinned page stays stable'),
  },
  {
    quote: 'your approach is forced into the invalidation requirement because of downsides in its error handling ' +
      'sequence.',
    by: 'Piggin',
    judge: (r) => rule(breaks(r, 'a', 'reserve-copy-allocate', 'I12') && !breaks(r, 'a', 'invalidate-splice', 'I12'),
      'a: the same sequence (reserve, copy, allocate) breaks I12 when it copies in place and holds it when it ' +
      'replaces the pages',
      'a: the sequence holds without replacing pages, or does not hold with it'),
  },
  {
    quote: 'wheras other approaches *could* use it, but do not have to.',
    by: 'Piggin',
    judge: (r) => rule(all(EARLY, (s) => holds(r, 'a', s)), `a: ${EARLY.length} designs hold without replacing a ` +
      `page`, 'a: some of them break'),
  },
]
