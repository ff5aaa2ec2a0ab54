/**
 * streaming: a write to a part of a block that is not cached does not read the block. The folio holds a range of dirty bytes and is
 * not uptodate; what is missing is read by whoever needs it.
 *
 * | phase     | locks      | effect                                                 | may fail      | undo                              |
 * |-----------|------------|--------------------------------------------------------|---------------|-----------------------------------|
 * | begin     | map        | reserve, record one delayed extent                     | ENOSPC ENOMEM | counters                          |
 * | get       | folio      | one at a time; **stream**, or complete the range | ENOMEM EIO | end |
 * | edges     | folio      | else: zero, or read and keep what was streamed         | EIO           | end                               |
 * | copy      | folio      | bytes that nobody can read yet; a short copy stands as it is | short   | end                               |
 * | end       | invalidate | unreserve the rest                                     | never         | punch delayed blocks without data |
 * | writeback | folio      | **read** what is missing, then write                   | EIO: dirty still | -                              |
 *
 * Taken from netfs_perform_write, which streams where the file was not opened for reading, keeps one range a folio, and writes the folio
 * out before a write that does not continue the range. There the server takes any bytes; a disk takes blocks, so here writeback
 * reads first, and a write that does not continue the range reads instead of writing out. EIO of that read comes from fsync and not
 * from write(2): data was accepted that cannot be stored.
 *
 * Source: fs/netfs/buffered_write.c (netfs_perform_write), fs/netfs/buffered_read.c (netfs_read_gaps), Linux 6.12.
 */
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import { cachedFolio } from './cached-folio.ts'
import { reserveAllocate } from './reserve-allocate.ts'

/** The design. */
export const streaming: Strategy<SpaceError | 'ENOMEM' | 'EIO', never> = {
  ...reserveAllocate,
  name: 'streaming',
  summary: 'as reserve-allocate, but blocks that are written in part are not read: folios hold bytes and are not uptodate',
  source: 'fs/netfs/buffered_write.c, netfs_perform_write',
  mapped: () => false,

  *getFolio(k, w, m, pos, n) {
    const f = yield* cachedFolio(k, w, pos, n)
    let locked = false
    try {
      if (m.cookie === k.cookie(w.inode)) yield* k.stream(w, m, f, pos - f.pos, Math.min(n, f.pos + f.size - pos))
      locked = true
    } finally {
      if (!locked) k.unlockFolio(f)
    }
    return f
  },
}
