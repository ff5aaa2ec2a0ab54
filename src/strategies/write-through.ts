/**
 * write-through: what write(2) accepted is on the disk, and what failed on the way there is its own error.
 *
 * | phase  | locks              | effect                                             | may fail      | undo                          |
 * |--------|--------------------|----------------------------------------------------|---------------|-------------------------------|
 * | begin  | map                | reserve, record delayed extents                    | ENOSPC ENOMEM | end                           |
 * | get    | folio              | one folio at a time; **atomic**: all of the write  | ENOMEM        | end                           |
 * | edges  | folio              | zero or read                                       | EIO           | end                           |
 * | copy   | folio              | bytes visible at once; **atomic**: never short     | short         | end                           |
 * | commit | folio, map         | write-protect, place, write, **wait**, sizes       | **EIO, ENOSPC late** | dirty blocks stay so |
 * | end    | invalidate         | unreserve the rest                                 | never         | punch what has no data        |
 *
 * The proposal of February 2026 (RWF_WRITETHROUGH for buffered atomic writes): "folio lock -> copy -> initiate and complete writeback ->
 * unlock folio", errors to the caller, and for the atomic layer "no short copies, stable pages". Atomic means here: all folios are
 * locked together, all copies are whole (the user's memory is copied to the kernel's first, as 08291429cfa6 did), all I/O of the write
 * is under way at once, and the call says all or an errno. Whether a power cut in between leaves all or nothing is the device's to say
 * (REQ_ATOMIC), which is not modelled. A write larger than the 2 MiB that are locked together is EINVAL.
 * Flaws: the folio is locked while the disk works, so that readers of what is not cached wait; a failed write may be read where the
 * page was dirty, and its range may hold either on the disk. Where data is logged (data=journal), it is logged after the write instead.
 */
import { HOLE } from '../fs/extent-map.ts'
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import { writeThrough as through } from '../fs/write-through.ts'
import { raise } from '../kernel/kernel.ts'
import { unitsTouched } from '../kernel/units.ts'
import { reserveAllocate } from './reserve-allocate.ts'

type Early = SpaceError | 'ENOMEM' | 'EINVAL'
type Late = 'EIO' | 'ENOSPC'

const design = (whole: boolean): Strategy<Early, Late> => ({
  ...reserveAllocate,
  name: 'write-through',
  offers: 'ignored',
  summary: 'reserve, lock a folio, copy, write it to the disk and wait, unlock',
  source: 'RWF_WRITETHROUGH, linux-mm, February 2026',
  claims: { ...reserveAllocate.claims, stablePages: true, rollback: false },
  mapped: () => false,

  *commit(k, w, m, from, n) {
    if (w.fs.journal?.mode === 'journal') return n
    m.durable = true
    const { stands, errno } = yield* through(k, w, m, from, n, whole)
    return stands > 0 || errno === null ? stands : yield* raise(errno as Late)
  },

  *after(k, w, n) {
    if (w.fs.journal?.mode === 'journal') yield* w.fs.writeBack(k, w.inode, w.pos, w.pos + n)
  },
})

/** The design, folio by folio. */
export const writeThrough = design(false)

/** All folios of the write at once, all of it or nothing. */
export const writeThroughAtomic: Strategy<Early, Late> = {
  ...design(true),
  name: 'write-through-atomic',
  summary: 'reserve, lock all folios, copy out of kernel memory, write them to the disk and wait; all or nothing',
  unit: 'write',
  copy: 'whole',
  claims: { ...writeThrough.claims, faultIn: 'all' },

  *begin(k, w, m) {
    if (m.len < w.len) return yield* raise('EINVAL', 'EINVAL.atomic')
    const block = w.fs.blockSize
    const first = Math.floor(m.pos / block)
    const end = first + unitsTouched(m.pos, m.len, block)
    yield* k.acquire(w.inode.mapLock)
    try {
      m.cookie = k.cookie(w.inode)
      for (let b = first; b < end; ) {
        const e = w.fs.lookup(k, w.inode, m, b, end - b)
        b += e.n
        if (e.state !== HOLE) continue
        yield* w.fs.reserve(k, w.inode, m, e.n, b)
        yield* w.fs.record(k, w.inode, m, e.lblk, e.n)
      }
    } finally {
      k.release(w.inode.mapLock)
    }
  },
}
