/** Which counters a table shows, under which words, in which order. The tracepoints behind them: docs/calibration.md. */
import { type Counter, COUNTERS, type Ledger } from '../kernel/ledger.ts'

/** A line of a cost table. */
export interface CostLine {
  readonly label: string
  readonly of: (l: Readonly<Record<Counter, number>>) => number
}

const REFUSALS = COUNTERS.filter((c) => c.startsWith('refused'))

const refused: CostLine['of'] = (l) => REFUSALS.reduce((n, c) => n + l[c], 0)

/** The cost of a workload, in the order in which a write meets it. Counts, but where a unit is named. */
export const COST: readonly CostLine[] = [
  { label: 'turns of the folio loop', of: (l) => l.iterations },
  { label: 'mappings asked for (begin)', of: (l) => l.begins },
  { label: 'mappings gone stale', of: (l) => l.restarts },
  { label: 'copies from the user', of: (l) => l.copies },
  { label: 'copied inside, KiB', of: (l) => l.innerBytes / 1024 },
  { label: 'pages taken from the source', of: (l) => l.pagesStolen },
  { label: 'not copied, in place, KiB', of: (l) => l.inPlaceBytes / 1024 },
  { label: 'pages refused, so copied', of: refused },
  { label: 'page-cache look-ups', of: (l) => l.folioLookups },
  { label: 'extent-map look-ups', of: (l) => l.mapLookups },
  { label: 'locks taken', of: (l) => l.locks },
  { label: 'reservations', of: (l) => l.reservations },
  { label: 'delayed extents recorded', of: (l) => l.records },
  { label: 'allocations', of: (l) => l.allocations },
  { label: 'conversions at I/O end', of: (l) => l.conversions },
  { label: 'pages allocated', of: (l) => l.pagesAllocated },
  { label: 'folios replaced', of: (l) => l.foliosReplaced },
  { label: 'bios, data', of: (l) => l.dataBios },
  { label: 'bios, metadata', of: (l) => l.metaBios },
  { label: 'flushes', of: (l) => l.flushes },
]

/** The cost of undoing, summed over the failed writes of a fault pass. */
export const UNDO: readonly CostLine[] = [
  { label: 'unreserve calls', of: (l) => l.unreservesUndone },
  { label: 'blocks unreserved', of: (l) => l.blocksUnreserved },
  { label: 'blocks punched', of: (l) => l.blocksPunched },
  { label: 'blocks zeroed', of: (l) => l.blocksZeroedUndone },
  { label: 'folios dropped', of: (l) => l.foliosDropped },
  { label: 'locks taken while undoing', of: (l) => l.locksUndone },
]

/** Device bytes per byte that was written: data and metadata. */
export const amplification = (l: Pick<Ledger, 'dataBytes' | 'metaBytes'>, written: number): number =>
  written === 0 ? 0 : (l.dataBytes + l.metaBytes) / written
