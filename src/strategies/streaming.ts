/**
 * streaming: a write to a part of a block that is not cached does not read the block. The folio holds a range of dirty bytes and is
 * not uptodate; what is missing is read by whoever needs it.
 *
 * | phase     | locks      | effect                                                 | may fail      | undo                              |
 * |-----------|------------|--------------------------------------------------------|---------------|-----------------------------------|
 * | begin     | map        | reserve, record one delayed extent                     | ENOSPC ENOMEM | counters                          |
 * | get       | folio      | one at a time; **stream** where a block would be read and the range can begin or go on | ENOMEM | end |
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
export const streaming: Strategy<SpaceError | 'ENOMEM', never> = {
  ...reserveAllocate,
  name: 'streaming',
  summary: 'as reserve-allocate, but blocks that are written in part are not read: folios hold bytes and are not uptodate',
  source: 'fs/netfs/buffered_write.c, netfs_perform_write',
  mapped: () => false,

  *getFolio(k, w, m, pos, n) {
    const f = yield* cachedFolio(k, w, pos, n)
    if (m.cookie === k.cookie(w.inode)) k.stream(w, m, f, pos - f.pos, Math.min(n, f.pos + f.size - pos))
    return f
  },
}
