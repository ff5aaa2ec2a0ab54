/**
 * reserve-allocate: space for a whole extent is reserved and recorded as delayed before the copy; blocks come at writeback.
 *
 * | phase | locks      | effect                                  | may fail       | undo                                |
 * |-------|------------|-----------------------------------------|----------------|-------------------------------------|
 * | begin | map        | reserve, record one delayed extent      | ENOSPC ENOMEM  | counters                            |
 * | get   | folio      | one folio at a time; cookie compared    | ENOMEM         | end                                 |
 * | edges | folio      | zero or read                            | EIO            | end                                 |
 * | copy  | folio      | bytes visible at once                   | short          | end                                 |
 * | end   | invalidate | unreserve the rest                      | never          | punch delayed blocks without data   |
 *
 * This is what upstream became: Hellwig's "iomap infrastructure and multipage writes" (2016, ae259a9c8593), with the order
 * that Nick Piggin asked for in 2010 (everything fallible before the copy), per extent as Chinner and Hellwig wanted.
 */
import { HOLE } from '../fs/extent-map.ts'
import type { Mapping } from '../fs/mapping.ts'
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import type { Verbs } from '../fs/verbs.ts'
import type { Write } from '../fs/write.ts'
import { unitsTouched } from '../kernel/units.ts'

/** Most blocks that one begin reserves: XFS maps 1024 pages at a time. */
const MAX_EXTENT_BYTES = 1024 * 4096

/** True if something lies below the whole start of the mapping; cuts it to that extent. */
export const mappedByExtent = (k: Verbs, w: Write, m: Mapping): boolean => {
  const block = w.fs.blockSize
  const e = w.fs.probe(k, w.inode, m, Math.floor(m.pos / block), unitsTouched(m.pos, m.len, block))
  if (e === null) return false
  m.len = Math.min(m.len, (e.lblk + e.n) * block - m.pos)
  return true
}

/** The design. */
export const reserveAllocate: Strategy<SpaceError | 'ENOMEM', never> = {
  name: 'reserve-allocate',
  summary: 'reserve and record a delayed extent, copy, allocate at writeback',
  source: 'iomap (Hellwig 2016), fs/xfs/xfs_iomap.c',
  unit: 'extent',
  copy: 'atomic',
  claims: {
    isolation: 'none',
    faultIn: 'any',
    readLock: 'none',
    enospcUnit: 'write',
    mmapHole: 'fault',
    stablePages: false,
    checksumAt: 'submit',
    rollback: true,
  },
  mapped: mappedByExtent,

  *begin(k, w, m) {
    const block = w.fs.blockSize
    const blocks = unitsTouched(m.pos, Math.min(m.len, MAX_EXTENT_BYTES), block)
    if (!k.tryAcquire(w.inode.mapLock)) yield* k.acquire(w.inode.mapLock)
    try {
      const e = w.fs.lookup(k, w.inode, m, Math.floor(m.pos / block), blocks)
      m.len = Math.min(m.len, (e.lblk + e.n) * block - m.pos)
      m.cookie = k.cookie(w.inode)
      if (e.state !== HOLE) return
      yield* w.fs.reserve(k, w.inode, m, e.n, e.lblk + e.n)
      yield* w.fs.record(k, w.inode, m, e.lblk, e.n)
    } finally {
      k.release(w.inode.mapLock)
    }
  },
}
