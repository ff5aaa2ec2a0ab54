/**
 * The claims: numbered sentences that a buffered write must keep, as the quick pass of `compare` checks them.
 *
 * Ids are those of the project's list (I1 to I32) and never change. `declared` names the field of `Claims` by which a
 * design may say that it does not hold one: it is then shown as broken, as declared, and is no failure. A claim that
 * only an interleaving or a crash can break is in the list too, with what would have to look: nothing is left out silently.
 */
import type { AnyStrategy } from '../fs/strategy.ts'
import type { Ledger } from '../kernel/ledger.ts'

/** What claims are about. */
export type Family = 'contents' | 'rollback' | 'space' | 'liveness' | 'calls' | 'isolation' | 'crash'

/** A numbered sentence. */
export interface Claim {
  /** `I12`. */
  readonly id: string
  readonly family: Family
  /** At most 36 characters: the row of the table. */
  readonly short: string
  /** The sentence itself. */
  readonly sentence: string
  /** True if the design declares that this does not hold for it. */
  readonly declared?: (s: AnyStrategy) => boolean
  /** Why the design cannot break it, from what all runs counted; null if it can. */
  readonly vacuous?: (all: Ledger) => string | null
  /** Why the quick pass says nothing about it. */
  readonly elsewhere?: string
}

const noReservation = (l: Ledger): string | null => (l.reservations === 0 ? 'this design never reserves' : null)
const noDelay = (l: Ledger): string | null => (l.records === 0 ? 'this design records no delayed extent' : null)
const INTERLEAVINGS = 'needs interleavings; this pass runs one call at a time'

/** All claims that a table shows, in its order. */
export const CLAIMS: readonly Claim[] = [
  {
    id: 'I11', family: 'contents', short: 'n bytes are written, and nothing else',
    sentence: 'After a write that returns n, bytes [pos, pos + n) are those of the source, all others are as they were, ' +
      'and the size is the larger of the old one and pos + n.',
  },
  {
    id: 'I10', family: 'contents', short: 'no stale or raw byte is readable',
    sentence: 'No byte of a former owner of a block, and none of fresh memory, is ever readable.',
  },
  {
    id: 'I9', family: 'contents', short: 'the disk holds what was cached',
    sentence: 'Data that writeback reported as written reads the same from the disk after the cache is dropped.',
  },
  {
    id: 'I19', family: 'contents', short: 'an extension reads as zeros',
    sentence: 'Bytes past the end inside the last block read as zeros after any extension, whatever was stored there ' +
      'through a mapping.',
  },
  {
    id: 'I12', family: 'rollback', short: 'a failed write changes nothing',
    sentence: 'A write that returns an errno leaves the size and every readable byte as they were.',
    declared: (s) => !s.claims.rollback,
  },
  {
    id: 'I14', family: 'rollback', short: 'a failed write removes nothing older',
    sentence: 'After a success no later failed operation removes the data: rollback touches only what this write made.',
  },
  {
    id: 'I1', family: 'space', short: 'free is as before, once all is gone',
    sentence: 'When every file is removed, the bitmaps have exactly as many free blocks as when the file system was made.',
  },
  {
    id: 'I2', family: 'space', short: 'reserved = owed to delayed blocks',
    sentence: 'With no operation in flight, the reserved counter is the sum of the delayed and the map blocks that the ' +
      'inodes are owed.',
    vacuous: noReservation,
  },
  {
    id: 'I3', family: 'space', short: 'nothing stays reserved at rest',
    sentence: 'After sync, with no operation in flight, no block is reserved.',
    vacuous: noReservation,
  },
  {
    id: 'I4', family: 'space', short: 'each delayed block has dirty data',
    sentence: 'Every delayed block has a dirty block over it, or belongs to an operation in flight.',
    vacuous: noDelay,
  },
  {
    id: 'I6', family: 'space', short: 'no block stays past the end of file',
    sentence: 'After sync no block lies past the end of a file, unless fallocate asked for it.',
  },
  {
    id: 'I26', family: 'space', short: 'no needless error; a retry succeeds',
    sentence: 'On a file system with room no write fails but by an injected fault; after ENOSPC, making room makes a ' +
      'retry succeed; a write that succeeded finds its space at writeback.',
    declared: (s) => s.claims.mayRefuse === true,
  },
  {
    id: 'I15', family: 'liveness', short: 'every call ends',
    sentence: 'Every call ends within a bounded number of turns.',
  },
  {
    id: 'I16', family: 'liveness', short: 'no lock waits for its own holder',
    sentence: 'No page fault is taken, and no lock asked for, by who already holds the lock that it needs.',
  },
  {
    id: 'I17', family: 'calls', short: 'locks, pins and pages are given back',
    sentence: 'Every lock, pin and private page is back with its owner when the call returns.',
  },
  {
    id: 'I13', family: 'calls', short: 'a short write is a prefix',
    sentence: 'A short write is a prefix of at most the readable bytes, and at least one byte of them, or an errno.',
  },
  {
    id: 'port', family: 'calls', short: 'the contract of the port is kept',
    sentence: 'Each hook returns what its type says, fails only as it may, and throws nothing else.',
  },
  {
    id: 'I20', family: 'isolation', short: 'the declared isolation holds',
    sentence: 'A concurrent read sees the unit that the design declares whole: page, folio or write.',
    elsewhere: INTERLEAVINGS,
  },
  {
    id: 'I23', family: 'isolation', short: 'no mapped or pinned store is lost',
    sentence: 'Each store through a mapping ends in a written block or is ordered before a truncate or an overwrite; so ' +
      'does one through a pin.',
  },
  {
    id: 'I28', family: 'crash', short: 'a crash shows old, new or zero',
    sentence: 'After fsync returned, data and size survive a crash; else each block is old, new or zero.',
    elsewhere: 'needs crash images; this pass loses no power',
  },
]

/** A claim's id. */
export type ClaimId = string

/** The claim with this id. @throws Error if there is none: a bug */
export const claim = (id: ClaimId): Claim => {
  const found = CLAIMS.find((c) => c.id === id)
  if (found === undefined) throw new Error(`no claim ${id}`)
  return found
}
