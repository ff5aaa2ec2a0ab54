/** The folio that most designs write to: what the source offers, else what is cached, else a new one. */
import type { Verbs } from '../fs/verbs.ts'
import type { Write } from '../fs/write.ts'
import type { Undo } from '../fs/donor.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import type { Folio } from '../pagecache/folio.ts'

/** The folio of `pos`, locked, for a write of `n` bytes from there. `undo`: see `Verbs.donate`. Raises ENOMEM. */
export function* cachedFolio(k: Verbs, w: Write, pos: number, n: number, undo: Undo = 'map'): Kernel<Folio, 'ENOMEM'> {
  const index = Math.floor(pos / PAGE)
  return k.donate(w, pos, n, undo) ?? k.tryFolio(w.pages, index, w.stable) ??
    (yield* k.grabFolio(w.pages, index, (pos % PAGE) + n, w.stable))
}
