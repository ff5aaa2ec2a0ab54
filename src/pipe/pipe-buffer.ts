/**
 * PipeBuffer: one slot of a pipe's ring: a run of bytes in one page, who else may know that page, and what may be done with it.
 *
 * | provenance | how it came                     | may be stolen if                                                    |
 * |------------|---------------------------------|---------------------------------------------------------------------|
 * | anonymous  | write(2) to the pipe            | the pipe holds the only reference                                   |
 * | user       | vmsplice                        | it is a gift, and its owner has unmapped it: else he writes to it   |
 * | cache      | splice from a file              | clean, not under writeback, not mapped, the only reference; leaves the file |
 * | wire       | a device that keeps its buffers | never                                                               |
 *
 * A slot is used again and again: whoever fills it sets every field (Dirty Pipe, CVE-2022-0847, was a field that nobody set).
 * Sources: struct pipe_buf_operations (include/linux/pipe_fs_i.h); fs/pipe.c; page_cache_pipe_buf_try_steal (fs/splice.c).
 */
import type { Kernel } from '../kernel/kernel.ts'
import { raise } from '../kernel/kernel.ts'
import type { Refusal } from '../fs/donor.ts'
import type { Verbs } from '../fs/verbs.ts'
import { type Folio, PTE_PRESENT } from '../pagecache/folio.ts'
import { hasPte } from '../pagecache/page-cache.ts'

/** A later write(2) may go on in this page, after the bytes that stand there. */
export const CAN_MERGE = 1
/** The owner of the page gave it away (SPLICE_F_GIFT). */
export const GIFT = 2
/** The page is out of the pipe's hands until its write accepts it: locked, perhaps in a file. */
export const STOLEN = 4

/** Where a page comes from. */
export type PageOrigin = 'anonymous' | 'user' | 'cache' | 'wire'

/** What can be done with a page of one provenance (struct pipe_buf_operations). */
export interface BufferOps {
  readonly origin: PageOrigin
  /** The bytes are there to be used. Raises EIO if they could not be read. */
  confirm(k: Verbs, b: PipeBuffer): Kernel<void, 'EIO'>
  /** Take the page: locked, in no file; the pipe's reference stays. Plain. @returns null, or why not */
  trySteal(k: Verbs, b: PipeBuffer): Refusal | null
  /** One reference more, for a second buffer (tee). */
  get(k: Verbs, b: PipeBuffer): void
  /** The buffer's reference goes. */
  release(k: Verbs, b: PipeBuffer): void
}

/** A run of bytes in one page. */
export class PipeBuffer {
  folio: Folio | null = null
  /** First byte, in the folio. */
  off = 0
  /** Bytes. */
  len = 0
  ops: BufferOps | null = null
  /** Bits: CAN_MERGE, GIFT, STOLEN. */
  flags = 0

  /** Fill the slot. All of it: nothing of its last life may be left. */
  set(folio: Folio, off: number, len: number, ops: BufferOps, flags: number): void {
    this.folio = folio
    this.off = off
    this.len = len
    this.ops = ops
    this.flags = flags
  }

  /** Empty the slot; the reference was given back or handed on. */
  clear(): void {
    this.folio = null
    this.off = 0
    this.len = 0
    this.ops = null
  }

  /** As `set`, from another slot. */
  copy(b: PipeBuffer, len: number, flags: number): void {
    this.set(b.folio!, b.off, len, b.ops!, flags)
  }
}

const get = (k: Verbs, b: PipeBuffer): void => k.refer(b.folio!)
const release = (k: Verbs, b: PipeBuffer): void => k.unrefer(b.folio!)
function* confirm(): Kernel<void> {}

/** generic_pipe_buf_try_steal: with the only reference nobody else knows the page. */
const stealOwn = (k: Verbs, { folio }: PipeBuffer): Refusal | null => {
  const f = folio!
  if (f.refs !== 1 || f.pins > 0) return 'refusedReferences'
  if (f.home !== null) return 'refusedBusy'
  return k.seize(f) ? null : 'refusedBusy'
}

/** Pages of the pipe itself. */
export const ANONYMOUS: BufferOps = { origin: 'anonymous', confirm, trySteal: stealOwn, get, release }

/** Pages of a process. */
export const USER: BufferOps = {
  origin: 'user', confirm, get, release,
  trySteal: (k, b) => ((b.flags & GIFT) === 0 ? 'refusedProvenance' : stealOwn(k, b)),
}

/** Pages that belong to somebody who wants them back: a network card. */
export const WIRE: BufferOps = { origin: 'wire', confirm, get, release, trySteal: () => 'refusedProvenance' }

/** Pages of a file. One that the file has let go is the pipe's own. */
export const CACHE: BufferOps = {
  origin: 'cache', get, release,

  *confirm(k) {
    if (k.fault('EIO.confirm')) return yield* raise('EIO', 'EIO.confirm')
  },

  trySteal(k, b) {
    const f = b.folio!
    if (f.order > 0) return 'refusedOrder'
    if (f.home === null) return stealOwn(k, b)
    if (f.locked || f.writeback || f.dirty) return 'refusedBusy'
    if (f.refs !== 1 || f.pins > 0 || hasPte(f, PTE_PRESENT)) return 'refusedReferences'
    // Nobody runs in between: it is out of the file before its lock is taken, which waits for nothing and so has no order.
    k.withdraw(f)
    k.seize(f)
    b.ops = ANONYMOUS
    return null
  },
}
