/**
 * Calibration: our ledger beside the kernel's trace events, counter by counter.
 *
 * Each row says which counters of ours stand for which event of which driver. Look-ups are left out: ext4 probes a block and
 * then creates it, which `getBlockDesign('ext4')` does too. Reservations are left out where the designs differ (ext4 reserves
 * a block at a time, XFS with speculative preallocation).
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { AnyStrategy } from '../fs/strategy.ts'
import { type Ledger, since, snapshot } from '../kernel/ledger.ts'
import { freshSession, type FormatName } from './session.ts'

/** One correspondence: an event's key in the calibration table, and our counts for it. */
export interface Row {
  /** `begin`, `folio+`, `alloc`, `fdirty`, `f:alloc`. */
  readonly key: string
  /** The tracepoints behind the key. */
  readonly event: string
  readonly ours: (write: Ledger, fsync: Ledger) => number
}

/** The rows that hold for every driver. */
export const ROWS: readonly Row[] = [
  { key: 'begin', event: 'ext4_write_begin, ext4_da_write_begin, iomap_iter', ours: (w) => w.iterations },
  { key: 'folio+', event: 'mm_filemap_add_to_page_cache', ours: (w) => w.foliosAdded },
  { key: 'alloc', event: 'ext4_allocate_blocks', ours: (w) => w.allocations + w.mapBlocks },
  { key: 'fdirty', event: 'folio_mark_dirty', ours: (w) => w.foliosDirtied },
  { key: 'f:alloc', event: 'allocations during fsync', ours: (_w, f) => f.allocations + f.mapBlocks },
]

/** A write loop, as the kernel's was run. */
export interface Loop {
  readonly format: FormatName
  readonly blockSize: number
  readonly strategy: AnyStrategy
  readonly workload: 'append' | 'overwrite'
  /** Bytes of one write(2). */
  readonly size: number
  /** Bytes of the whole loop. */
  readonly totalBytes: number
}

/** Run the loop and the fsync after it. @returns the ledgers of both phases */
export const runLoop = (loop: Loop): { readonly write: Ledger; readonly fsync: Ledger } => {
  const { posix, ledger } = freshSession({ ...loop, size: 4 * loop.totalBytes })
  const bytes = Buffer.alloc(Math.max(loop.size, 1 << 20), 3)
  const fd = posix.open('loop', ['O_RDWR', 'O_CREAT'])
  if (isLeft(fd)) throw new Error(`open failed with ${fd.left}`)
  const writeAll = (size: number): void => {
    for (let pos = 0; pos + size <= loop.totalBytes; pos += size) {
      const n = posix.pwrite(fd.right, bytes, pos, 0, size)
      if (isLeft(n) || n.right < size) throw new Error(`a write of ${size} bytes at ${pos} was not done`)
    }
  }
  if (loop.workload === 'overwrite') {
    writeAll(1 << 20)
    posix.fsync(fd.right)
  }
  const before = snapshot(ledger)
  writeAll(loop.size)
  const written = snapshot(ledger)
  posix.fsync(fd.right)
  return { write: since(before, written), fsync: since(written, ledger) }
}
