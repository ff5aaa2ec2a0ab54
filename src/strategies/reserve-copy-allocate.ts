/**
 * reserve-copy-allocate: the order of the 2010 proposal. RESERVE counts space, all folios of the write are locked, all is
 * copied, and only then ALLOCATE records the delayed extents.
 *
 * | phase  | locks        | effect                               | may fail       | undo                              |
 * |--------|--------------|--------------------------------------|----------------|-----------------------------------|
 * | begin  | map          | count holes, reserve: counters only  | ENOSPC         | counters                          |
 * | get    | folios       | lock all of the batch                | ENOMEM         | unlock, counters                  |
 * | edges  | folios       | zero or read                         | EIO            | unlock, counters                  |
 * | copy   | folios       | bytes visible at once                | short          | unlock, counters                  |
 * | commit | folios, map  | record delayed extents               | **ENOMEM late**| forget clean blocks; others keep the new bytes |
 * | end    | -            | unreserve the rest                   | never          | counters                          |
 *
 * "Just decrementing counters on errors increases the chances that our error handling will actually work" (Chinner, seed
 * 002): up to the copy the undo is one subtraction. The price is `commit`, which may fail when uptodate folios have been
 * overwritten in place: Nick Piggin's objection. The design says so: Late = ENOMEM, rollback = false.
 */
import { HOLE } from '../fs/extent-map.ts'
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import type { Verbs } from '../fs/verbs.ts'
import type { Write } from '../fs/write.ts'
import { Failure, type Kernel } from '../kernel/kernel.ts'
import { unitsTouched } from '../kernel/units.ts'
import { WRITE_FAILED } from '../pagecache/folio.ts'
import { mappedByExtent, reserveAllocate } from './reserve-allocate.ts'

/** The design. */
export const reserveCopyAllocate: Strategy<SpaceError, 'ENOMEM'> = {
  name: 'reserve-copy-allocate',
  summary: 'reserve by counter, lock all folios, copy, then record the extents',
  source: 'Chinner and Hellwig, [RFC] new ->perform_write fop, May 2010',
  unit: 'write',
  copy: 'atomic',
  claims: { ...reserveAllocate.claims, rollback: false },
  mapped: mappedByExtent,

  *begin(k, w, m) {
    const block = w.fs.blockSize
    const first = Math.floor(m.pos / block)
    const end = first + unitsTouched(m.pos, m.len, block)
    if (!k.tryAcquire(w.inode.mapLock)) yield* k.acquire(w.inode.mapLock)
    try {
      let holes = 0
      for (let b = first; b < end; ) {
        const e = w.fs.lookup(k, w.inode, m, b, end - b)
        if (e.state === HOLE) holes += e.n
        b += e.n
      }
      m.cookie = k.cookie(w.inode)
      if (holes > 0) yield* w.fs.reserve(k, w.inode, m, holes, end)
    } finally {
      k.release(w.inode.mapLock)
    }
  },

  *commit(k, w, m, from, n) {
    if (m.reserved === 0 && m.cookie === k.cookie(w.inode)) return n
    const block = w.fs.blockSize
    const first = Math.floor(from / block)
    const end = first + unitsTouched(from, n, block)
    yield* k.acquire(w.inode.mapLock)
    let b = first
    let failure: unknown = null
    try {
      while (b < end) {
        const e = w.fs.lookup(k, w.inode, m, b, end - b)
        const blocks = Math.min(e.n, e.state === HOLE ? m.reserved : e.n)
        if (blocks === 0) break
        if (e.state === HOLE) yield* w.fs.record(k, w.inode, m, b, blocks) as Kernel<void>
        b += blocks
      }
    } catch (e) {
      failure = e
    } finally {
      k.release(w.inode.mapLock)
    }
    const stands = Math.max(0, Math.min(n, b * block - from))
    if (stands < n) yield* forget(k, w, from + stands, from + n)
    if (failure !== null && (stands === 0 || !(failure instanceof Failure))) throw failure
    return stands
  },
}

/**
 * What was copied over [from, to) does not stand: clean blocks go back to what the disk holds. Data under I/O is not there yet and
 * is waited for; what could not be written will never be there, and keeps the new bytes as dirty blocks do.
 */
function* forget(k: Verbs, w: Write, from: number, to: number): Kernel<void> {
  for (const f of w.batch) {
    const [start, end] = [Math.max(from, f.pos), Math.min(to, f.pos + f.size)]
    if (f.home === null || start >= end) continue
    while (f.writeback) yield f.writebackOp
    if ((f.bits(0) & WRITE_FAILED) === 0) k.forgetClean(f, start - f.pos, end - start)
  }
}
