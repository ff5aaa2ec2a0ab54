/**
 * invalidate-then-add: the naive form of invalidate-and-splice. The old folio is thrown out, then the new one is inserted.
 *
 * Phases as invalidate-splice, but for commit: write back what is dirty, invalidate (**may be refused**: pinned, or dirtied
 * again: EBUSY), and only then insert; in the gap a reader, a fault or readahead may put the old bytes back (**EEXIST**,
 * counted as EBUSY). What a private folio does not cover was copied when it was made: a store through a mapping after that
 * is lost.
 *
 * "Invalidating is inherently racy and isn't guaranteed to succeed" (Piggin, seed 002). FUSE did exactly this until
 * ce534fb05292: "non-atomic ... page cache is repopulated ... could be fixed by a new atomic replace_page_cache_page()".
 * It is here to be compared; its claims say what it does not hold.
 */
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import { raise } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import { invalidateSplice, lockCurrent, pinOld } from './invalidate-splice.ts'
import { reserveCopyAllocate } from './reserve-copy-allocate.ts'

/** The design. */
export const invalidateThenAdd: Strategy<SpaceError, 'ENOMEM' | 'EBUSY' | 'EIO'> = {
  ...invalidateSplice,
  name: 'invalidate-then-add',
  summary: 'copy into private folios, invalidate the cached ones, then insert: with a gap',
  source: 'the form that Piggin objected to, May 2010; fs/fuse/file.c before ce534fb05292',
  claims: { ...invalidateSplice.claims, isolation: 'none', mayRefuse: true },

  *getFolio(k, w, m, pos, n) {
    const given = k.donatePrivate(w, pos, n)
    if (given !== null) return given
    const old = yield* pinOld(k, w, m, pos, n)
    const f = old === null ? k.privateFor(w.pages, Math.floor(pos / PAGE), n) : k.privateFolio(old.index, old.order)
    if (old === null) return f ?? (yield* raise('ENOMEM', 'ENOMEM.private'))
    if (f !== null) {
      const off = pos - f.pos
      k.inherit(f, old, off, Math.min(n, f.size - off))
      k.markEdges(f, off, Math.min(n, f.size - off))
    }
    k.unpin(old)
    return f ?? (yield* raise('ENOMEM', 'ENOMEM.private'))
  },

  *commit(k, w, m, from, n) {
    const stands = k.wholePages(w, from, yield* reserveCopyAllocate.commit!(k, w, m, from, n))
    let done = 0
    for (let i = 0; i < w.took.length && done < stands; i++) {
      const f = w.batch[i]!
      const errno = yield* w.fs.writeBack(k, w.inode, f.pos, f.pos + f.size)
      // What could not be written stands in the old folio only.
      if (errno !== null) return done > 0 ? done : yield* raise(errno as 'EIO')
      for (let old = yield* lockCurrent(k, w, f); old !== null; old = yield* lockCurrent(k, w, f)) {
        while (old.writeback) yield old.writebackOp
        k.unmap(old)
        if (k.invalidateFolio(old)) continue
        k.unlockFolio(old)
        return done > 0 ? done : yield* raise('EBUSY', 'EBUSY.invalidate')
      }
      k.cleanBlocks(f, 0, f.size)
      const took = Math.min(w.took[i]!, stands - done)
      if (took < w.took[i]!) k.forgetClean(f, from + done + took - f.pos, w.took[i]! - took)
      yield* k.step('between invalidate and add')
      if (!k.isFree(w.pages, f.index, f.pages)) return done > 0 ? done : yield* raise('EBUSY', 'EBUSY.exists')
      k.insertFolio(w.pages, f)
      done += took
    }
    return done
  },

  *putFolio(k, _w, _m, f) {
    if (f.home !== null) k.unlockFolio(f)
    else k.freeFolio(f)
  },
}
