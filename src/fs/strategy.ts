/**
 * The strategy port: the questions that a buffered-write design answers.
 *
 * The pipeline (perform-write.ts) owns the loop; a strategy is one record of hooks. What a hook may do:
 *
 * | hook      | called                            | folio lock      | may wait | may fail        |
 * |-----------|-----------------------------------|-----------------|----------|-----------------|
 * | exclusive | once a write                      | none            | no       | no              |
 * | mapped    | once a mapping, before `begin`    | none            | no       | no              |
 * | begin     | once a mapping, unless `mapped`   | none            | yes      | E               |
 * | getFolio  | once a folio of the batch         | takes it        | yes      | E, ENOMEM, EIO  |
 * | commit    | once a batch, after the copy      | all of the batch| yes      | Late only       |
 * | putFolio  | once for every getFolio           | gives it back   | yes      | never           |
 * | end       | once for every begin, failed or not | none          | yes      | never           |
 * | after     | once a write that stands, in part at least | none, nor any other | yes | never    |
 *
 * `Late = never` is Nick Piggin's rule of May 2010, "operations after the copy not able to fail", as a type. A design that
 * breaks it says so. What the caller of write(2) sees after a late failure: the bytes of earlier batches as a short write if
 * there are any, else the errno; the bytes of the failed batch are what `commit` and `putFolio` of the design made of them.
 *
 * Rules for hooks: world state is read and written through `k` (verbs) and `w.fs` (services) only; what a write made and
 * what it holds stand in the mapping (`made`, `reserved`), never in the strategy; compare the cookie where the mapping is
 * used. The default `end` is `settle`: unreserve the rest and punch what this write made and did not fill.
 *
 * Sources: the [RFC] new ->perform_write fop thread, May 2010 (docs/seeds); struct iomap_ops and struct iomap_write_ops
 * (include/linux/iomap.h).
 */
import type { Errno } from '../kernel/errno.ts'
import type { Kernel } from '../kernel/kernel.ts'
import type { Folio } from '../pagecache/folio.ts'
import type { Mapping } from './mapping.ts'
import type { Verbs } from './verbs.ts'
import type { Write } from './write.ts'

/** What a design promises. The suite holds it to every entry. */
export interface Claims {
  /** Strongest unit that a concurrent read(2) sees whole. */
  readonly isolation: 'none' | 'page' | 'folio' | 'write'
  /** How much of a chunk must be readable before it is tried: one byte (most file systems) or all (btrfs, bcachefs). */
  readonly faultIn: 'any' | 'all'
  /** Does read(2) take a lock that writes exclude? */
  readonly readLock: 'none' | 'shared'
  /** The smallest unit for which ENOSPC means "no room". */
  readonly enospcUnit: 'block' | 'folio' | 'write'
  /** When a store through a mapping to a hole gets its space: at the fault, or late, at writeback (ext2). */
  readonly mmapHole: 'fault' | 'late'
  /** Does a write wait for writeback of the folio it changes? */
  readonly stablePages: boolean
  /** Where a T10 tuple is computed. */
  readonly checksumAt: 'copy' | 'submit'
  /**
   * Optional: which pending signals end a write. `fatal` (default, most file systems): only one that kills, EINTR. `any`
   * (netfs): each; a write that has done nothing yet is then restarted or ends in EINTR, by what the handler asks for.
   */
  readonly signals?: 'fatal' | 'any'
  /** Optional: a write may end in EBUSY because a folio cannot be invalidated (pinned, or dirtied again). Default: never. */
  readonly mayRefuse?: boolean
  /** A failed write(2), and the part of a short one that was not accepted, leaves every readable byte as it was (I12). */
  readonly rollback: boolean
}

/** A buffered-write design. E: errnos that may end a write before the copy; Late: after it. */
export interface Strategy<E extends Errno = Errno, Late extends Errno = Errno> {
  /** As users type it: `reserve-allocate`. */
  readonly name: string
  /** One line: what it does, for `list`. */
  readonly summary: string
  /** The mail, commit or paper that it comes from. */
  readonly source: string
  /** What is locked together: one folio, the folios of an extent one by one, or all folios of the write (bounded). */
  readonly unit: 'folio' | 'extent' | 'write'
  /**
   * `faulting` copies with page faults enabled and therefore needs private folios. `whole`: the source is copied to kernel memory
   * before anything is locked, so that no copy is short, and of the folios of a batch the write gets all or none.
   */
  readonly copy: 'atomic' | 'faulting' | 'whole'
  readonly claims: Claims
  /**
   * Optional: `ignored` if pages that a source offers are always copied. A design whose `commit` shows the bytes and may fail
   * after that cannot take a page: its undo would write to it. Default: pages are taken where they may be.
   */
  readonly offers?: 'ignored'

  /** Is the inode lock needed? Plain. Default: yes. */
  exclusive?(k: Verbs, w: Write): boolean
  /**
   * Plain look-up: true if nothing must be made, held or owed for [m.pos, m.pos + m.len); it may shorten m.len. Then no
   * other hook is called for this mapping.
   */
  mapped?(k: Verbs, w: Write, m: Mapping): boolean
  /** Before the copy: make sure of space; fill `m`; may shorten m.len. */
  begin(k: Verbs, w: Write, m: Mapping): Kernel<void, E>
  /** A locked folio for `pos`, cached or private. May allocate. Failing after the first folio of a batch shortens it. */
  getFolio?(k: Verbs, w: Write, m: Mapping, pos: number, n: number): Kernel<Folio, E | 'ENOMEM' | 'EIO'>
  /**
   * All of the batch is copied, locked and not yet dirty: make the `n` bytes from `from` stand.
   * @returns how many of them do
   */
  commit?(k: Verbs, w: Write, m: Mapping, from: number, n: number): Kernel<number, Late>
  /** Give the folio back, unlocked; `accepted` of the `n` bytes at `off` were taken, 0 = none of it. */
  putFolio?(k: Verbs, w: Write, m: Mapping, f: Folio, off: number, n: number, accepted: number): Kernel<void>
  /** Once for every `begin`, failed or not. */
  end?(k: Verbs, w: Write, m: Mapping): Kernel<void>
  /** Once a write of which `n` > 0 bytes from `w.pos` stand: no lock is held and no handle is open. */
  after?(k: Verbs, w: Write, n: number): Kernel<void>
}

/** Any strategy, whatever it may raise. Methods are bivariant, so every Strategy is one. */
export type AnyStrategy = Strategy<Errno, Errno>
