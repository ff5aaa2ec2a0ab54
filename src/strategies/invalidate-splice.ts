/**
 * invalidate-splice: copy into pages outside the cache, then put them in place of the old ones at once.
 *
 * | phase  | locks                    | effect                                       | may fail       | undo                  |
 * |--------|--------------------------|----------------------------------------------|----------------|-----------------------|
 * | begin  | map                      | reserve: counters only                       | ENOSPC         | counters              |
 * | get    | old folio, released      | private folio; the old one read and pinned   | ENOMEM EIO     | free, unpin, counters |
 * | copy   | none: faults enabled     | nothing visible                              | short at EFAULT| free, unpin, counters |
 * | commit | old folios, map          | record; unmap, inherit edges, replace        | ENOMEM late    | free: file untouched  |
 * | end    | -                        | unreserve the rest                           | never          | counters              |
 *
 * "It turns a buffered write into an operation that does not expose transient page state and hence prevents torn writes"
 * (Chinner, seed 002). What lies outside the written bytes is inherited from the old folio under its lock, after its PTEs are
 * gone, so a store through a mapping between get and commit is not lost. A folio that somebody else has pinned cannot be
 * replaced without losing his stores: there the bytes are copied in place (Piggin's "writable mmaps don't leak into
 * get_user_pages").
 */
import type { Mapping } from '../fs/mapping.ts'
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import type { Verbs } from '../fs/verbs.ts'
import type { Write } from '../fs/write.ts'
import { type Kernel, raise } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import type { Folio } from '../pagecache/folio.ts'
import { reserveCopyAllocate } from './reserve-copy-allocate.ts'

/**
 * The cached folio that supplies what a private one does not cover, with its edges uptodate; pinned and unlocked.
 * Null if the write covers a whole folio and none is cached.
 */
export function* pinOld(k: Verbs, w: Write, m: Mapping, pos: number, n: number): Kernel<Folio | null, 'ENOMEM' | 'EIO'> {
  const index = Math.floor(pos / PAGE)
  const cached = k.peekFolio(w.pages, index)
  if (cached === null && pos % PAGE === 0 && n >= PAGE) return null
  const old = k.tryFolio(w.pages, index, false) ?? (yield* k.grabFolio(w.pages, index, 1, false))
  const off = pos - old.pos
  try {
    const bytes = Math.min(n, old.size - off)
    if (m.cookie === k.cookie(w.inode) && !k.edgesReady(old, off, bytes)) yield* k.edges(w, m, old, off, bytes)
    k.pin(old)
  } finally {
    k.unlockFolio(old)
  }
  return old
}

/** The design. */
export const invalidateSplice: Strategy<SpaceError, 'ENOMEM'> = {
  ...reserveCopyAllocate,
  name: 'invalidate-splice',
  summary: 'copy into private folios, record the extents, replace the cached folios at once',
  source: 'Chinner, [RFC] new ->perform_write fop, May 2010 (seed 002)',
  copy: 'faulting',
  claims: { ...reserveCopyAllocate.claims, isolation: 'folio', stablePages: true, checksumAt: 'copy', rollback: true },
  mapped: () => false,

  *getFolio(k, w, m, pos, n) {
    const given = k.donatePrivate(w, pos, n)
    if (given !== null) return given
    const old = yield* pinOld(k, w, m, pos, n)
    const f = old === null ? k.privateFor(w.pages, Math.floor(pos / PAGE), n) : k.privateFolio(old.index, old.order)
    if (f === null) {
      if (old !== null) k.unpin(old)
      return yield* raise('ENOMEM', 'ENOMEM.private')
    }
    f.old = old
    if (old !== null) k.markEdges(f, pos - f.pos, Math.min(n, f.pos + f.size - pos))
    return f
  },

  *commit(k, w, m, from, n) {
    const stands = k.wholePages(w, from, yield* reserveCopyAllocate.commit!(k, w, m, from, n))
    let done = 0
    for (let i = 0; i < w.took.length && done < stands; i++) {
      const f = w.batch[i]!
      const took = Math.min(w.took[i]!, stands - done)
      const off = from + done - f.pos
      const cached = f.old !== null && k.tryLock(f.old, w.pages) ? f.old : yield* lockCurrent(k, w, f)
      if (!fits(f, cached, took)) {
        // Another folio took the place since its edges were taken: this one comes too late.
        if (cached !== null) k.unlockFolio(cached)
        return done
      }
      if (cached === null) {
        // Who has the inode lock sees no pinned folio go; if one does, nothing is inherited from it.
        letGo(k, f)
        k.insertFolio(w.pages, f)
      } else if (cached.pins > (cached === f.old ? 1 : 0)) {
        k.copyInto(cached, f, off, took)
        w.batch[i] = cached
        letGo(k, f)
        k.freeFolio(f)
      } else {
        while (cached.writeback) yield cached.writebackOp
        k.unmap(cached)
        k.inherit(f, cached, off, took)
        letGo(k, f)
        k.replaceFolio(w.pages, cached, f)
      }
      done += took
    }
    return done
  },

  *putFolio(k, _w, _m, f) {
    if (f.home !== null) return k.unlockFolio(f)
    letGo(k, f)
    k.freeFolio(f)
  },
}

/** The private folio needs the one that was to supply its edges no longer. If that left the cache meanwhile, this frees it. */
const letGo = (k: Verbs, f: Folio): void => {
  if (f.old !== null) k.unpin(f.old)
  f.old = null
}

/** A folio that is cached at any page of the private folio's place now, locked; null if none is. */
export function* lockCurrent(k: Verbs, w: Write, f: Folio): Kernel<Folio | null> {
  for (let i = 0; i < f.pages; ) {
    const cached = k.peekFolio(w.pages, f.index + i)
    if (cached === null) {
      i++
      continue
    }
    const { generation } = cached
    yield* k.lockFolio(cached)
    if (cached.home === w.pages && cached.generation === generation) return cached
    k.unlockFolio(cached)
    i = 0
  }
  return null
}

/** May `f` take the place of `cached` for a write of `took` bytes? Only the folio that supplied its edges may differ. */
export const fits = (f: Folio, cached: Folio | null, took: number): boolean =>
  cached === f.old || (took === f.size && (cached === null || (cached.index === f.index && cached.order === f.order)))
