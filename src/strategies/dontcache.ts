/**
 * dontcache: any design, for data that will not be read again soon. What it wrote is on its way to the disk when write(2)
 * returns, and the folios that the write brought into the cache leave it with the end of their writeback.
 *
 * | phase | locks      | effect                                                | may fail       | undo            |
 * |-------|------------|-------------------------------------------------------|----------------|-----------------|
 * | get   | as before  | a folio that is new is marked to be dropped behind     | as before      | -               |
 * | ...   |            | as the design below                                   |                |                 |
 * | after | none       | start writeback of the range; where it ends, what is marked and clean goes | never | the error is recorded |
 *
 * Whoever else finds such a folio while it is cached keeps it there; a folio that was cached before stays. Dirty pages bound
 * nothing here: `balance_dirty_pages` is seldom met. Writeback has no thread of its own in this model: the write itself goes
 * through it, after all locks, and waits; the kernel hands it to a worker. So the cost in time is that of a flusher which is
 * always at once done; results, errors (errseq, never the write) and what is cached are the same.
 * A write with RWF_NOWAIT leaves the writeback to others. **Not as upstream**: a folio whose writeback failed stays, with the
 * accepted bytes. folio_end_dropbehind drops it all the same, and readers find old bytes before fsync has told anyone; where a
 * format has no unwritten extents (ext2, which refuses the flag) they would find those of a former owner.
 *
 * Sources: RWF_DONTCACHE, Axboe, Linux 6.14: mm/filemap.c (__filemap_get_folio with FGP_DONTCACHE, folio_end_dropbehind),
 * include/linux/fs.h (generic_write_sync), mm/truncate.c (folio_unmap_invalidate).
 */
import type { Strategy } from '../fs/strategy.ts'
import type { Errno } from '../kernel/errno.ts'
import { PAGE } from '../kernel/units.ts'
import { DROP_BEHIND } from '../pagecache/folio.ts'
import { cachedFolio } from './cached-folio.ts'
import { reserveAllocate } from './reserve-allocate.ts'

/** `design`, and what it wrote does not stay in the cache. */
export const uncached = <E extends Errno, L extends Errno>(design: Strategy<E, L>): Strategy<E, L> => ({
  ...design,
  name: 'dontcache',
  summary: `as ${design.name}, but written back at once and dropped from the cache after that`,
  source: 'RWF_DONTCACHE (Axboe, Linux 6.14), mm/filemap.c',
  mapped: () => false,

  *getFolio(k, w, m, pos, n) {
    const cached = k.peekFolio(w.pages, Math.floor(pos / PAGE))
    const again = cached !== null && (cached.bits(0) & DROP_BEHIND) !== 0
    const f = yield* design.getFolio === undefined ? cachedFolio(k, w, pos, n) : design.getFolio(k, w, m, pos, n)
    if (cached === null || again) k.dropBehind(f, again)
    return f
  },

  *after(k, w, n) {
    if (design.after !== undefined) yield* design.after(k, w, n)
    if (!w.nowait) yield* w.fs.writeBack(k, w.inode, w.pos, w.pos + n)
  },
})

/** The design, over what iomap does. */
export const dontcache = uncached(reserveAllocate)
