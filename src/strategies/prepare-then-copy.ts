/**
 * prepare-copy-*: nothing fallible after the copy. All folios of the write are locked, all blocks placed, all edges read; then
 * everything is copied; what follows cannot fail. A copy that is short leaves blocks without data: four ways out.
 *
 * | phase | locks       | effect                                            | may fail      | undo                          |
 * |-------|-------------|---------------------------------------------------|---------------|-------------------------------|
 * | begin | map         | look up; `punch`: hold a map block for each hole  | ENOSPC        | counters                      |
 * | get   | folios, map | lock one more folio, place the blocks below it    | ENOSPC ENOMEM EIO | none: the write is shorter |
 * | edges | folios      | zero or read                                      | EIO           | the way out                   |
 * | copy  | folios      | bytes visible at once                             | short         | the way out                   |
 * | put   | folios, map | the way out, inside i_size; `punch`: everywhere   | never         | -                             |
 * | end   | invalidate  | the others: punch what was placed past i_size     | never         | -                             |
 *
 * | way out    | blocks are placed as | what happens to one that was not filled               | price                       |
 * |------------|----------------------|-------------------------------------------------------|-----------------------------|
 * | unwritten  | unwritten            | nothing: it stays, and reads as zeros                 | space stays taken; on ext2, |
 * |            |                      |                                                       | which has none, as `zero`   |
 * | punch      | written              | freed, out of a held map block                        | ENOSPC a map block too soon |
 * | zero       | written              | zeros in the cache, dirty                             | space stays, and is written |
 * | zero-page  | written              | zeros on the disk from the zero page; **a bio that    | space stays; a wait for I/O |
 * |            |                      | fails** falls back to `zero`, and writeback reports it | with the folios locked      |
 *
 * "I just much prefer to have operations after the copy not able to fail" (Piggin, seed 002). Folios are locked before blocks
 * are placed: a written block without data must not be read. Flaws: the space of a short copy is spent (but `punch`), and
 * after a crash a block placed as written may show its former owner, as in ext2.
 */
import { MAPPED, UNWRITTEN } from '../fs/extent-map.ts'
import type { Mapping } from '../fs/mapping.ts'
import { punchMade } from '../fs/settle.ts'
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import { punchUnfilled, reserveForPunch, zeroUnfilled } from '../fs/unfilled.ts'
import type { Verbs } from '../fs/verbs.ts'
import type { Write } from '../fs/write.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { DIRTY, type Folio } from '../pagecache/folio.ts'
import { lookUpAll, placedFolio } from './placed-folio.ts'
import { mappedByExtent } from './reserve-allocate.ts'

/** What becomes of a block that was placed and not filled. */
export type WayOut = 'unwritten' | 'punch' | 'zero' | 'zero-page'

const SUMMARY: Readonly<Record<WayOut, string>> = {
  unwritten: 'surplus stays as unwritten extents', punch: 'surplus is punched out again',
  zero: 'surplus is zeroed in the cache', 'zero-page': 'surplus is zeroed on the disk from the zero page',
}

/** The design with one way out. */
export const prepareThenCopyDesign = (way: WayOut): Strategy<SpaceError | 'EIO', never> => ({
  name: `prepare-copy-${way}`,
  summary: `lock all folios, place all blocks, then copy; ${SUMMARY[way]}`,
  source: 'Piggin, [RFC] new ->perform_write fop, May 2010 (seed 002)',
  unit: 'write',
  copy: 'atomic',
  claims: {
    isolation: 'none', faultIn: 'any', readLock: 'none', enospcUnit: 'block', mmapHole: 'fault', stablePages: false,
    checksumAt: 'submit', rollback: true,
  },
  mapped: mappedByExtent,

  *begin(k, w, m) {
    yield* way === 'punch' ? lookUpAll(k, w, m, (holes) => reserveForPunch(k, w, m, holes)) : lookUpAll(k, w, m)
  },

  *getFolio(k, w, m, pos, n) {
    const state = way === 'unwritten' && w.fs.format.hasUnwritten ? UNWRITTEN : MAPPED
    return yield* placedFolio(k, w, m, pos, n, 'cuts', (lblk, blocks) => w.fs.allocate(k, w.inode, m, lblk, blocks, state))
  },

  *putFolio(k, w, m, f, off, n, accepted) {
    if (accepted < n) yield* leave(k, w, m, f, way, off, n)
    k.unlockFolio(f)
  },

  *end(k, w, m) {
    if (m.reservedMap > 0) w.fs.unreserve(k, m, m.written < m.len)
    if (way === 'punch' || m.madeCount === 0 || m.filled) return
    yield* punchMade(k, w, m, Math.ceil(k.size(w.inode) / w.fs.blockSize))
  },
})

/** Take the way out with the blocks of [off, off + n) that this write placed and did not fill. The folio is locked. */
function* leave(
  k: Verbs, w: Write, m: Mapping, f: Folio, way: WayOut, off: number, n: number,
): Kernel<void> {
  if (way === 'unwritten' && w.fs.format.hasUnwritten) return
  const block = w.fs.blockSize
  const upto = way === 'punch' ? off + n : Math.min(off + n, k.size(w.inode) - f.pos)
  const unfilled = (b: number): boolean => m.isMade((f.pos + b) / block) && (f.bits(b) & DIRTY) === 0
  for (let b = off - (off % block), to = b; b < upto; b = to = Math.max(to, b + block)) {
    while (to < upto && unfilled(to)) to += block
    const lblk = (f.pos + b) / block
    if (to === b) continue
    if (way === 'punch') yield* punchUnfilled(k, w, lblk, (to - b) / block)
    else if (way !== 'zero-page' || !(yield* zeroUnfilled(k, w, lblk, (to - b) / block))) k.zeroMade(f, b, to - b)
  }
}

/** Surplus stays as unwritten extents. */
export const prepareCopyUnwritten = prepareThenCopyDesign('unwritten')
/** Surplus is punched. */
export const prepareCopyPunch = prepareThenCopyDesign('punch')
/** Surplus is zeroed through the cache. */
export const prepareCopyZero = prepareThenCopyDesign('zero')
/** Surplus is zeroed by bios of the zero page. */
export const prepareCopyZeroPage = prepareThenCopyDesign('zero-page')
