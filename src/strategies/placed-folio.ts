/** What designs have in common that place blocks, or promise them, below one folio after the other while all stay locked. */
import type { Undo } from '../fs/donor.ts'
import { HOLE } from '../fs/extent-map.ts'
import type { Mapping } from '../fs/mapping.ts'
import type { Verbs } from '../fs/verbs.ts'
import type { Write } from '../fs/write.ts'
import type { Errno } from '../kernel/errno.ts'
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import { unitsTouched } from '../kernel/units.ts'
import type { Folio } from '../pagecache/folio.ts'
import { cachedFolio } from './cached-folio.ts'

/** Place blocks below the hole of `n` blocks at `lblk`. @returns how many, at least 1 */
export type Place<E extends Errno> = (lblk: number, n: number) => Kernel<number, E>

/** Look up all that lies below the mapping, and with the map lock still held do `then`, which is told the number of holes. */
export function* lookUpAll<E extends Errno = never>(
  k: Verbs, w: Write, m: Mapping, then?: (holes: number) => Kernel<void, E>,
): Kernel<void, E> {
  const block = w.fs.blockSize
  const first = Math.floor(m.pos / block)
  const end = first + unitsTouched(m.pos, m.len, block)
  yield* k.acquire(w.inode.mapLock)
  try {
    let holes = 0
    for (let b = first; b < end; ) {
      const e = w.fs.lookup(k, w.inode, m, b, end - b)
      if (e.state === HOLE) holes++
      b += e.n
    }
    m.cookie = k.cookie(w.inode)
    if (then !== undefined) yield* then(holes)
  } finally {
    k.release(w.inode.mapLock)
  }
}

/** The folio of `pos`, locked, with `place` done below each of its holes; where that ends early the mapping does, too. */
export function* placedFolio<E extends Errno>(
  k: Verbs, w: Write, m: Mapping, pos: number, n: number, undo: Undo, place: Place<E>,
): Kernel<Folio, E | 'ENOMEM'> {
  const f = yield* cachedFolio(k, w, pos, n, undo)
  const to = Math.min(pos + n, f.pos + f.size)
  let upto = pos
  yield* k.acquire(w.inode.mapLock)
  try {
    // A stale mapping places nothing: the pipeline asks again.
    upto = m.cookie === k.cookie(w.inode) ? yield* placeHoles(w, m, pos, to, place) : to
  } finally {
    k.release(w.inode.mapLock)
    if (upto === pos) k.unlockFolio(f)
  }
  if (upto < to) m.len = upto - m.pos
  return f
}

/** @returns how far it came; raises only if that is nowhere */
function* placeHoles<E extends Errno>(w: Write, m: Mapping, pos: number, to: number, place: Place<E>): Kernel<number, E> {
  const block = w.fs.blockSize
  const end = Math.ceil(to / block)
  for (let b = Math.floor(pos / block); b < end; ) {
    const e = m.at(b)!
    const n = Math.min(e.lblk + e.n, end) - b
    const placed = e.state === HOLE ? yield* attempt(() => place(b, n)) : null
    if (placed?._tag === 'Left') return b * block > pos ? b * block : yield* raise(placed.left)
    b += placed?.right ?? n
  }
  return to
}
