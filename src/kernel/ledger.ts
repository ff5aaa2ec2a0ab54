/**
 * Ledger: what an operation cost, counted exactly.
 *
 * Plain number fields, bumped by verbs and services below the port; a strategy cannot reach it. Deterministic: the same
 * operations give the same counts, so a ledger is compared with `=`, never with a tolerance. `*Undone` counters are the
 * cost of rollback, the subject of seed 002.
 */
import type { Monoid } from 'fp-ts/lib/Monoid.js'

/** Counters, each with its unit. The tracepoint that corresponds to a counter stands in docs/calibration.md. */
export class Ledger {
  /** write(2) calls */ writes = 0
  /** turns of the pipeline's folio loop (one copy attempt each) */ iterations = 0
  /** hooks `begin` called */ begins = 0
  /** mappings that went stale between begin and the folio lock */ restarts = 0
  /** copies from user memory */ copies = 0
  /** bytes copied from user memory */ copiedBytes = 0
  /** bytes copied inside the kernel: edges, shadows, reads from cache */ innerBytes = 0
  /** edge blocks zeroed */ zeroedBlocks = 0
  /** page-cache look-ups */ folioLookups = 0
  /** folios added to the page cache */ foliosAdded = 0
  /** folios replaced in place by a private one */ foliosReplaced = 0
  /** folios made dirty (clean to dirty transitions) */ foliosDirtied = 0
  /** pages of memory allocated for folios */ pagesAllocated = 0
  /** folios evicted by reclaim */ foliosReclaimed = 0
  /** page-table entries torn down or write-protected */ unmaps = 0
  /** page-cache invalidations that were refused */ invalidateRefused = 0
  /** locks taken (inode, invalidate, map and folio) */ locks = 0
  /** extent-map look-ups */ mapLookups = 0
  /** reservation calls that counted space */ reservations = 0
  /** blocks reserved */ reservedBlocks = 0
  /** delayed extents recorded */ records = 0
  /** allocator calls that placed data blocks */ allocations = 0
  /** data blocks placed */ allocatedBlocks = 0
  /** metadata blocks placed for a file's map */ mapBlocks = 0
  /** unwritten extents converted */ conversions = 0
  /** bios submitted for data */ dataBios = 0
  /** bytes of data bios */ dataBytes = 0
  /** bios submitted for metadata */ metaBios = 0
  /** bytes of metadata bios */ metaBytes = 0
  /** cache flushes */ flushes = 0
  /** undo: unreserve calls on a failed or short write */ unreservesUndone = 0
  /** undo: blocks unreserved */ blocksUnreserved = 0
  /** undo: blocks punched out of a map */ blocksPunched = 0
  /** undo: blocks zeroed because they were allocated and not written */ blocksZeroedUndone = 0
  /** undo: folios dropped */ foliosDropped = 0
  /** undo: locks taken while undoing */ locksUndone = 0
  /** pages taken from a source, out of its pipe or its file */ pagesStolen = 0
  /** bytes that were not copied: their source was their destination */ inPlaceBytes = 0
  /** undo: stolen pages given back to their source */ pagesReturned = 0
  /** offers refused: something is cached in their place */ refusedOccupied = 0
  /** offers refused: the source has not a whole page there, or not so much is asked for */ refusedPartial = 0
  /** offers refused: they do not begin at a page boundary of the file or of their own memory */ refusedUnaligned = 0
  /** offers refused: somebody else holds or maps them */ refusedReferences = 0
  /** offers refused: nobody said that they may be taken (no gift, or a device's own) */ refusedProvenance = 0
  /** offers refused: locked, under writeback or dirty in another file */ refusedBusy = 0
  /** offers refused: a part of a larger folio, there or here */ refusedOrder = 0
  /** offers refused: the design's undo would write to them, or cut them */ refusedUndo = 0
  /** offers refused: they could not be inserted (no memory for the tree) */ refusedInsert = 0
  /** offers refused: the design did not look at the offer */ refusedIgnored = 0
  /** most pages held pinned or private at one time */ peakHeldPages = 0
}

/** The name of a counter. */
export type Counter = keyof Ledger

/** All counters in declaration order. */
export const COUNTERS = Object.keys(new Ledger()) as readonly Counter[]

/** Sums counters; `peakHeldPages` is a maximum. Associative and commutative, neutral element all zero. */
export const monoidLedger: Monoid<Ledger> = {
  empty: new Ledger(),
  concat: (a, b) => {
    const sum = new Ledger()
    for (const c of COUNTERS) sum[c] = c === 'peakHeldPages' ? Math.max(a[c], b[c]) : a[c] + b[c]
    return sum
  },
}

/** A copy that later counting does not change. */
export const snapshot = (l: Ledger): Ledger => Object.assign(new Ledger(), l)

/** What was counted between two snapshots; the peak is the later one's. */
export const since = (before: Ledger, now: Ledger): Ledger => {
  const d = new Ledger()
  for (const c of COUNTERS) d[c] = c === 'peakHeldPages' ? now[c] : now[c] - before[c]
  return d
}
