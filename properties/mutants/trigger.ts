/**
 * Triggers: the words of the bug zoo, as predicates over plain facts of a counterexample.
 *
 * A mutant is killed by the right thing only if its counterexample holds what the real bug needed: a short copy, a second
 * thread, a store through a mapping. Whoever finds a counterexample fills in `Facts`, as they stand after shrinking;
 * `missing` names the words that it does not hold.
 *
 * Rules: the vocabulary is fixed; a word says what must be there, never how much more is there; a fact that the finder
 * cannot tell is left at its simplest value (0, false, empty), and then the word is missing.
 */

const PAGE = 4096

/** What an operation is. `pin` is get_user_pages with a device's store; `writeback` is background writeback or sync(2). */
export type OpName =
  | 'write' | 'append' | 'read' | 'load' | 'store' | 'pin' | 'truncate' | 'punch' | 'zero' | 'fallocate' | 'direct'
  | 'fsync' | 'writeback' | 'reclaim' | 'evict' | 'open' | 'other'

/** What lay below an operation's bytes, or above them in the cache, when it began. */
export type Below = 'hole' | 'delayed' | 'unwritten' | 'written' | 'dirty'

/** One operation of a counterexample. */
export interface OpFacts {
  readonly op: OpName
  /** The fiber that did it; those of the set-up have -1. */
  readonly fiber: number
  /** Bytes of the file. */
  readonly pos: number
  readonly len: number
  /** i_size before it, and after it. */
  readonly sizeBefore: number
  readonly sizeAfter: number
  readonly below: readonly Below[]
  /** Where the bytes of a write came from. */
  readonly source?: 'memory' | 'absent memory' | 'mapping of the file' | 'destination page'
  readonly emptyIovec?: boolean
}

/** A counterexample, told in facts. */
export interface Facts {
  readonly format: string
  /** Bytes. */
  readonly blockSize: number
  /** The largest folio, as an order. */
  readonly folioOrder: number
  readonly ops: readonly OpFacts[]
  /** Fault sites that failed, such as `ENOMEM.record`. */
  readonly faults: readonly string[]
  /** Errnos that calls returned. */
  readonly errnos: readonly string[]
  /** Copies that ended early because the source was not there. */
  readonly shortCopies: number
  /** A mapping of a write ended before its end, and what it had made was looked through to be taken back. */
  readonly undone?: boolean
  /** Open files of the same inode. */
  readonly openFiles: number
  readonly crashed: boolean
}

const some = (...names: readonly OpName[]) => (f: Facts): boolean => f.ops.some((o) => names.includes(o.op))
const below = (state: Below) => (f: Facts): boolean => f.ops.some((o) => o.below.includes(state))
const errno = (name: string) => (f: Facts): boolean => f.errnos.includes(name) || f.faults.some((s) => s.startsWith(`${name}.`))
const writes = (f: Facts): readonly OpFacts[] => f.ops.filter((o) => ['write', 'append', 'direct'].includes(o.op))
const partial = (f: Facts): boolean => writes(f).some((o) => o.pos % f.blockSize !== 0 || (o.pos + o.len) % f.blockSize !== 0)

const WORDS = {
  // --- how it is mounted
  'block smaller than page': (f: Facts) => f.blockSize < PAGE,
  'several blocks a folio': (f: Facts) => f.blockSize < PAGE << f.folioOrder,
  'large folio': (f: Facts) => f.folioOrder > 0,
  'no unwritten extents': (f: Facts) => f.format === 'ext2',
  // --- who else runs
  'concurrent': (f: Facts) => new Set(f.ops.map((o) => o.fiber).filter((fiber) => fiber >= 0)).size > 1,
  'writeback': some('writeback', 'fsync'),
  'reclaim': some('reclaim'),
  'inode eviction': some('evict'),
  'mmap store': some('store', 'pin'),
  'pin': some('pin'),
  'read or load': some('read', 'load'),
  // Whoever needs a page uptodate reads it: a store, and a write of a part of a block, too.
  'somebody reads': (f: Facts) => some('read', 'load', 'store', 'pin')(f) || partial(f),
  'crash': (f: Facts) => f.crashed,
  // --- what is called
  'truncate': some('truncate'),
  'punch': some('punch'),
  'punch or truncate': some('punch', 'truncate'),
  'punch or zero range': some('punch', 'zero'),
  'zero range': some('zero'),
  'fallocate': some('fallocate'),
  'fallocate or direct': some('fallocate', 'direct', 'zero'),
  'direct': some('direct'),
  'fsync': some('fsync'),
  'fsync twice': (f: Facts) => f.ops.filter((o) => o.op === 'fsync').length > 1,
  'two open files': (f: Facts) => f.openFiles > 1,
  // --- where
  'append': (f: Facts) => writes(f).some((o) => o.pos + o.len > o.sizeBefore),
  'extension': (f: Facts) => f.ops.some((o) => o.sizeAfter > o.sizeBefore && o.sizeBefore > 0),
  'partial block': partial,
  'more than one block': (f: Facts) => writes(f).some((o) => o.len > f.blockSize),
  'aligned start': (f: Facts) => writes(f).some((o) => o.pos % f.blockSize === 0),
  'unaligned start': (f: Facts) => writes(f).some((o) => o.pos % f.blockSize !== 0),
  'past 4 KiB': (f: Facts) => writes(f).some((o) => o.pos + o.len > 4096),
  'hole': below('hole'),
  'delayed': below('delayed'),
  'unwritten': below('unwritten'),
  'dirty': below('dirty'),
  // --- the source
  'short copy': (f: Facts) => f.shortCopies > 0,
  'source is faulted in': (f: Facts) => f.ops.some((o) => o.source !== undefined && o.source !== 'memory'),
  'source is a mapping of the file': (f: Facts) => f.ops.some((o) => o.source === 'mapping of the file' || o.source === 'destination page'),
  'source is the destination page': (f: Facts) => f.ops.some((o) => o.source === 'destination page'),
  'zero-length iovec': (f: Facts) => f.ops.some((o) => o.emptyIovec === true),
  // --- what fails
  'undone': (f: Facts) => f.undone === true,
  'failed or short': (f: Facts) => f.shortCopies > 0 || f.faults.length > 0 || f.errnos.length > 0,
  'ENOSPC': errno('ENOSPC'),
  'EIO': errno('EIO'),
  'ENOMEM': errno('ENOMEM'),
  'EINTR': errno('EINTR'),
} as const satisfies Readonly<Record<string, (f: Facts) => boolean>>

/** A word of the vocabulary. */
export type Word = keyof typeof WORDS

/** All words. */
export const VOCABULARY = Object.keys(WORDS) as readonly Word[]

/** The words of `trigger` that the counterexample does not hold; empty: it is the bug that was meant. */
export const missing = (trigger: readonly Word[], facts: Facts): readonly Word[] => trigger.filter((w) => !WORDS[w](facts))
