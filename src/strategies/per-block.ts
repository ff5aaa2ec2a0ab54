/**
 * What designs that map block by block under the folio lock have in common (buffer_head file systems, fs/buffer.c).
 *
 * The bits MAPPED, DELAY and UNWRITTEN of a cached block say that something lies below it, so that writing it again costs
 * no look-up.
 */
import { type Extent, HOLE, DELALLOC, MAPPED } from '../fs/extent-map.ts'
import type { Mapping } from '../fs/mapping.ts'
import type { Verbs } from '../fs/verbs.ts'
import type { Write } from '../fs/write.ts'
import type { Errno } from '../kernel/errno.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import { BLOCK_DELAY, BLOCK_MAPPED, BLOCK_PLACE, BLOCK_UNWRITTEN, DIRTY, type Folio, UPTODATE } from '../pagecache/folio.ts'
import { cachedFolio } from './cached-folio.ts'

/** True if the folio at m.pos is cached and something lies below each of its blocks that the write touches. */
export const mappedInFolio = (k: Verbs, w: Write, m: Mapping): boolean => {
  const f = k.peekFolio(w.pages, Math.floor(m.pos / PAGE))
  if (f === null) return false
  const off = m.pos - f.pos
  const n = Math.min(m.len, f.size - off)
  if (!k.edgesReady(f, off, n)) return false
  for (let b = off; b < off + n; b += 1 << f.blockShift) if ((f.bits(b) & BLOCK_PLACE) === 0) return false
  if ((f.bits(off + n - 1) & BLOCK_PLACE) === 0) return false
  m.len = n
  return true
}

/** The bit that a folio keeps for a state of the map. */
export const placeOf = (e: Readonly<Extent>): number =>
  e.state === HOLE ? 0 : e.state === DELALLOC ? BLOCK_DELAY : e.state === MAPPED ? BLOCK_MAPPED : BLOCK_UNWRITTEN

/** Grab the folio of `pos`, cut the mapping to it, and call `place` for each block below which nothing lies. */
export function* getMappedFolio<E extends Errno>(
  k: Verbs, w: Write, m: Mapping, pos: number, n: number,
  place: (k: Verbs, w: Write, m: Mapping, lblk: number) => Kernel<number, E>,
): Kernel<Folio, E | 'ENOMEM'> {
  const f = yield* cachedFolio(k, w, pos, n, 'zeros')
  const block = 1 << f.blockShift
  const to = Math.min(pos + n, f.pos + f.size)
  m.len = to - m.pos
  m.clearExtents()
  let done = false
  try {
    for (let b = pos - (pos % block); b < to; b += block) {
      const bits = f.bits(b - f.pos)
      const partial = b < pos || b + block > to
      if ((bits & BLOCK_PLACE) !== 0 && !(partial && (bits & UPTODATE) === 0)) continue
      yield* k.acquire(w.inode.mapLock)
      try {
        const e = w.fs.lookup(k, w.inode, m, b / block, 1)
        const bit = e.state === HOLE ? yield* place(k, w, m, b / block) : placeOf(e)
        k.setPlace(f, b - f.pos, block, bit)
      } finally {
        k.release(w.inode.mapLock)
      }
    }
    m.cookie = k.cookie(w.inode)
    done = true
    return f
  } finally {
    if (!done) giveBack(k, w, m, f, pos - f.pos, to - pos, 0)
  }
}

/**
 * Unlock the folio. Blocks of [off, off + n) that this write made and did not fill, inside i_size, are zeroed and dirtied:
 * they are allocated, and whatever the disk holds there must not be read (folio_zero_new_buffers). One that a reader had
 * cached as a hole is zero already, and must reach the disk all the same.
 */
export const giveBack = (k: Verbs, w: Write, m: Mapping, f: Folio, off: number, n: number, accepted: number): void => {
  const block = 1 << f.blockShift
  if (accepted < n) {
    for (let b = off - (off % block); b < off + n; b += block) {
      const isNew = m.isMade((f.pos + b) / block) && (f.bits(b) & DIRTY) === 0
      if (!isNew || f.pos + b >= k.size(w.inode)) continue
      k.zeroMade(f, b, block)
    }
  }
  k.unlockFolio(f)
}
