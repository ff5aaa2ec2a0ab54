/**
 * Streaming: a write to a part of a block that only the disk knows, without reading the block first.
 *
 * Such a block is DIRTY and not UPTODATE, and only its bytes inside the folio's [streamFrom, streamTo) count: one range a folio. What
 * is missing is read when somebody needs it: a reader, a fault, a write that does not continue the range, and writeback, which
 * writes whole blocks. Until then no reader copies from the block, for it is not uptodate.
 *
 * Rules: (1) only above written blocks inside i_size; where zeros are true there is nothing to read. (2) Whoever reads a block into a
 * folio keeps what was streamed (readBlocks). (3) Whoever takes whole blocks out of a folio cuts the range. All plain.
 * Source: netfs_perform_write, "streaming write", and netfs_read_gaps (fs/netfs/buffered_write.c, buffered_read.c).
 */
import { roundDown } from '../kernel/units.ts'
import { DIRTY, type Folio, UPTODATE } from '../pagecache/folio.ts'
import { MAPPED } from './extent-map.ts'
import type { Mapping } from './mapping.ts'
import type { Verbs } from './verbs.ts'
import type { Write } from './write.ts'

/** Is there something to read before [off, off + n) is written, and may it be left? The folio is locked. */
export const mayStream = (k: Verbs, w: Write, m: Mapping, f: Folio, off: number, n: number): boolean => {
  if (k.edgesReady(f, off, n) || (f.streamTo >= 0 && f.streamTo !== off)) return false
  const block = 1 << f.blockShift
  const size = k.size(w.inode)
  for (const at of [off, off + n]) {
    const b = roundDown(at, block)
    if (b === at || (f.bits(b) & UPTODATE) !== 0) continue
    const lblk = (f.pos + b) / block
    if (m.at(lblk)?.state !== MAPPED || m.isMade(lblk) || f.pos + b >= size) return false
  }
  return true
}

/** The bytes [off, off + n), which begin or continue the range, stand. */
export const streamBlocks = (k: Verbs, f: Folio, off: number, n: number): void => {
  const block = 1 << f.blockShift
  const from = f.streamTo < 0 ? off : f.streamFrom
  const to = off + n
  if (f.dirtySlot < 0) {
    k.ledger.foliosDirtied++
    f.home!.markDirty(f)
  }
  for (let b = roundDown(off, block); b < to; b += block) {
    f.change(b, block, b >= from && b + block <= to ? UPTODATE | DIRTY : DIRTY, 0)
  }
  f.streamFrom = from
  f.streamTo = to
  endStream(f)
}

/** Forget the range if all of its blocks are complete. */
export const endStream = (f: Folio): void => {
  if (f.streamTo < 0 || !f.all(f.streamFrom, Math.max(1, f.streamTo - f.streamFrom), UPTODATE)) return
  f.streamFrom = -1
  f.streamTo = -1
}

/** The bytes of [off, off + n) that were streamed and are nowhere else, or null. */
export const streamed = (f: Folio, off: number, n: number): Buffer | null => {
  const from = Math.max(off, f.streamFrom)
  const to = Math.min(off + n, f.streamTo)
  return f.streamTo < 0 || from >= to ? null : Buffer.from(f.slab.bytes.subarray(f.base + from, f.base + to))
}

/**
 * Blocks [from, to) of the folio are taken out. What is left of the range on both sides is only its head: of the tail, which writeback
 * could not complete before, the error is recorded.
 */
export const cutStream = (k: Verbs, f: Folio, from: number, to: number): void => {
  if (f.streamTo < 0 || to <= f.streamFrom || from >= f.streamTo) return
  const block = 1 << f.blockShift
  const end = f.streamTo
  if (from <= f.streamFrom && to < end) f.streamFrom = to
  else if (from <= f.streamFrom) f.streamFrom = f.streamTo = -1
  else {
    f.streamTo = from
    for (let b = to; b < end; b += block) if ((f.bits(b) & UPTODATE) === 0) k.cleanBlocks(f, b, block)
  }
}
