/**
 * lock-and-unmap: the pages stay where they are, but while they change nobody stores to them and no device reads them.
 *
 * | phase | locks      | effect                                             | may fail      | undo                              |
 * |-------|------------|----------------------------------------------------|---------------|-----------------------------------|
 * | begin | map        | reserve, record one delayed extent                 | ENOSPC ENOMEM | counters                          |
 * | get   | folios     | lock, wait for writeback, tear down all PTEs; **tried again**: write-protect them | ENOMEM | end |
 * | edges | folios     | zero or read                                       | EIO           | end                               |
 * | copy  | folios     | bytes visible at once **to read(2)**; mappings fault and wait | short | end                            |
 * | put   | folios     | **a pinned folio**: its checksums are forgotten    | never         | -                                 |
 * | end   | invalidate | unreserve the rest                                 | never         | punch delayed blocks without data |
 *
 * "Lock the page to prevent writes, and then unmap user mappings": Piggin's answer, May 2010, to pages that are replaced only
 * to be stable. A new fault waits for the folio lock. The order is that of prepare-copy: everything fallible is before the copy.
 * Flaws: a reader of an uptodate folio takes no lock and sees the copy in progress (isolation: none). A device that pinned
 * the page earlier goes on writing, also during writeback ("writable mmaps don't leak into get_user_pages" is not so here):
 * nothing is lost, but such a page is not stable, and only there the checksum is taken at submit. A write whose source is a
 * mapping of the very page that it changes would take its own source away for ever (as Z03): when it is tried again, the page
 * is only write-protected, and loads through mappings see that copy in progress too.
 */
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import { PAGE } from '../kernel/units.ts'
import { reserveAllocate } from './reserve-allocate.ts'

/** The design. */
export const lockAndUnmap: Strategy<SpaceError | 'ENOMEM', never> = {
  ...reserveAllocate,
  name: 'lock-and-unmap',
  summary: 'reserve and record, lock all folios and tear down their mappings, copy in place',
  source: 'Piggin, [RFC] new ->perform_write fop, May 2010 (seed 002)',
  unit: 'write',
  claims: { ...reserveAllocate.claims, stablePages: true, checksumAt: 'copy' },
  mapped: () => false,

  *getFolio(k, w, _m, pos, n) {
    const index = Math.floor(pos / PAGE)
    const given = k.donate(w, pos, n, 'map')
    if (given !== null) return given
    const f = k.tryFolio(w.pages, index, w.stable) ?? (yield* k.grabFolio(w.pages, index, (pos % PAGE) + n, w.stable))
    if (w.turns === 0) k.unmap(f)
    else k.writeProtect(f)
    return f
  },

  *putFolio(k, _w, _m, f, off, n) {
    if (f.pins > 0) k.forgetGuards(f, off, n)
    k.unlockFolio(f)
  },
}
