/**
 * settle: the one rollback. Gives back what a mapping reserved and did not use, and punches the blocks that this write made
 * and did not fill. It touches nothing that another write made (claim I14), and never a block under dirty data: a racing
 * store through a mapping may have dirtied it (bugs Z20, Z21).
 *
 * Source: iomap_write_delalloc_release and xfs_buffered_write_iomap_end (fs/iomap/buffered-io.c, fs/xfs/xfs_iomap.c).
 */
import type { Kernel } from '../kernel/kernel.ts'
import { PAGE, roundDown, roundUp } from '../kernel/units.ts'
import { BLOCK_PLACE, DIRTY } from '../pagecache/folio.ts'
import { type Extent, HOLE, isReal } from './extent-map.ts'
import type { Mapping } from './mapping.ts'
import type { Verbs } from './verbs.ts'
import type { Write } from './write.ts'

/** Undo what `m` made and holds beyond the bytes that were accepted. Cannot fail. */
export function* settle(k: Verbs, w: Write, m: Mapping): Kernel<void> {
  if (m.reserved > 0 || m.reservedMap > 0) w.fs.unreserve(k, m, m.written < m.len)
  if (m.madeCount === 0 || m.filled) return
  const block = w.fs.blockSize
  const keep = (m.written > 0 ? roundUp(m.pos + m.written, block) : roundDown(m.pos, block)) / block
  yield* punchMade(k, w, m, keep)
}

/** Punch the blocks that this write made, from block `keep` on, except those under dirty data inside i_size. */
export function* punchMade(k: Verbs, w: Write, m: Mapping, keep: number): Kernel<void> {
  const last = m.made(m.madeCount - 1)
  if (last.lblk + last.n <= keep) return
  yield* k.acquire(w.inode.invalidateLock)
  yield* k.acquire(w.inode.mapLock)
  k.ledger.locksUndone++
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  const inside = Math.ceil(k.size(w.inode) / w.fs.blockSize)
  try {
    for (let i = 0; i < m.madeCount; i++) {
      const { lblk, n, delayed } = m.made(i)
      const to = lblk + n
      for (let b = Math.max(lblk, keep); b < to; b += e.n) {
        const run = cleanRun(k, w, b, b < inside ? Math.min(to, inside) : to)
        w.inode.map.lookup(b, Math.max(run, 1), e)
        // A block that was delayed and is real now holds what somebody stored there, and writeback took it: it is his.
        if (run === 0 || (delayed && isReal(e.state) && b < inside)) continue
        k.ledger.blocksPunched += e.n
        yield* w.fs.punch(k, w.inode, b, e.n)
      }
    }
  } finally {
    k.release(w.inode.mapLock)
    k.release(w.inode.invalidateLock)
  }
}

/** How many blocks from `b` on, below `to`, have no dirty data over them. Forgets the place that their folios remember. */
const cleanRun = (k: Verbs, w: Write, b: number, to: number): number => {
  const block = w.fs.blockSize
  let n = 0
  for (; b + n < to; n++) {
    const pos = (b + n) * block
    const f = k.peekFolio(w.pages, Math.floor(pos / PAGE))
    if (f === null) continue
    if ((f.bits(pos - f.pos) & DIRTY) !== 0 && pos < k.size(w.inode)) break
    f.change(pos - f.pos, 1, 0, BLOCK_PLACE)
  }
  return n
}
