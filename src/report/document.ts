/**
 * The document of a comparison: plain data, what `--json` and `--save` write and every export is made from.
 *
 * Counts are exact and stand in `runs` and `undo`; wall time stands in `wall` and nowhere else. `schema` is raised when a field
 * changes its meaning or goes; fields may be added. The flat lists are keyed by ground (fs, blockSize, folioOrder), workload,
 * source and design.
 */
import { type Counter, COUNTERS, type Ledger } from '../kernel/ledger.ts'
import type { Claim } from '../lab/claims.ts'
import type { Replayed } from '../lab/cost.ts'
import type { Broken, Kill, Verdict } from '../lab/fault-pass.ts'
import type { FormatName } from '../lab/session.ts'
import type { Estimate } from '../lab/statistics.ts'
import type { SourceName } from '../lab/write-source.ts'

/** The schema of the document. */
export const COMPARISON_SCHEMA = 1

/** What a design ran on. */
export interface Ground {
  readonly fs: FormatName
  /** Bytes. */
  readonly blockSize: number
  /** The largest folio, as an order. */
  readonly folioOrder: number
}

/** What every table carries: enough to get the counts again, and to know what the times are worth. */
export interface Manifest {
  readonly version: string
  /** sha256 of the sources that counts depend on: `kernel` to `lab`. */
  readonly code: string
  readonly command: string
  readonly seed: number
  /** By name as given: where its operations come from, how many, and their sha256. */
  readonly workloads: Readonly<Record<string, { readonly source: string; readonly operations: number; readonly sha256: string }>>
  /** By name: sha256 of a design that is a file. */
  readonly plugins: Readonly<Record<string, string>>
  readonly machine: {
    readonly node: string
    readonly system: string
    readonly cpu: string
    readonly cpus: number
    /** Bytes. */
    readonly memory: number
  }
  /** ISO 8601, UTC. */
  readonly date: string
}

/** How many images a judge saw, and what it said of those that it refused. */
export interface JudgeTally {
  readonly judge: string
  readonly images: number
  readonly refused: readonly string[]
}

/** A workload through a design: counts, no times. */
export interface ReportedRun extends Omit<Replayed, 'ms'> {
  readonly workload: string
  readonly source: SourceName
}

/** One design on one ground. */
export interface Column extends Ground {
  readonly name: string
  /** The design and `--fs ext4 ...`, as the command line takes them: what a replay command begins with. */
  readonly replay: string
  readonly verdicts: readonly Verdict[]
  /** Why there is no result: it hung, or it crashed. */
  readonly broken: string | null
  readonly plays: number
  readonly faulted: number
  readonly failedWrites: number
  /** Summed over the failed writes. */
  readonly undo: Ledger
  readonly counterexamples: Readonly<Record<string, Broken>>
  readonly runs: readonly ReportedRun[]
  readonly judges: readonly JudgeTally[]
}

/** One design in a race. */
export interface Racer {
  readonly name: string
  /** Milliseconds, round by round. */
  readonly ms: readonly number[]
  readonly time: Estimate
  /** Of its time to that of the baseline, round by round. */
  readonly ratio: Estimate
  /** Cliff's delta against the baseline: 1 = always slower. */
  readonly delta: number
}

/** Wall time of one workload from one source on one ground, in paired rounds. */
export interface Race extends Ground {
  readonly workload: string
  readonly source: SourceName
  readonly baseline: string
  readonly rounds: number
  readonly racers: readonly Racer[]
}

/** A comparison. */
export interface Comparison extends Ground {
  readonly schema: typeof COMPARISON_SCHEMA
  readonly tool: 'perform-write'
  readonly command: 'compare'
  readonly manifest: Manifest
  readonly seed: number
  readonly grounds: readonly Ground[]
  readonly workloads: readonly string[]
  readonly sources: readonly SourceName[]
  /** The design that the others are compared with. */
  readonly baseline: string
  readonly designs: readonly Column[]
  readonly wall: readonly Race[]
  readonly claims: readonly Pick<Claim, 'id' | 'family' | 'short' | 'sentence' | 'elsewhere'>[]
  readonly mutants: readonly (Kill & Ground)[]
  /** All counts of all fault passes. */
  readonly total: Ledger
}

/** Is it the same ground? */
export const sameGround = (a: Ground, b: Ground): boolean =>
  a.fs === b.fs && a.blockSize === b.blockSize && a.folioOrder === b.folioOrder

/** `ext4, 4096-byte blocks, folios of up to 2048 KiB` */
export const sayGround = (g: Ground): string => `${g.fs}, ${g.blockSize}-byte blocks, folios of up to ${4 << g.folioOrder} KiB`

/** Did the design break a claim, declared or not, or a workload? Its costs are marked. */
export const isMarked = (c: Column): boolean =>
  c.broken !== null || c.verdicts.some((v) => v.status === 'fail' || v.status === 'declared') ||
  c.runs.some((r) => r.problem !== null)

/** Workload and source as a heading has them: `append`, `append from mmap`. */
export const sayRun = (workload: string, source: SourceName): string => (source === 'user' ? workload : `${workload} from ${source}`)

/** The counters of a ledger that are not 0. */
export const counted = (l: Readonly<Record<Counter, number>>): readonly Counter[] => COUNTERS.filter((c) => l[c] !== 0)

/** The manifest in one line: what stands below a table. `workload` names the one that the table is about. */
export const sayManifest = ({ manifest: m, seed }: Comparison, workload?: string): string => {
  const w = workload === undefined ? undefined : m.workloads[workload]
  return [
    `perform-write ${m.version} (code ${m.code.slice(0, 12)})`, `seed ${seed}`,
    ...(w === undefined ? [] : [`${workload} sha256 ${w.sha256.slice(0, 12)}`]),
    ...Object.entries(m.plugins).map(([name, sha]) => `${name} sha256 ${sha.slice(0, 12)}`),
    `node ${m.machine.node}, ${m.machine.system}, ${m.machine.cpus} x ${m.machine.cpu}`, m.date.slice(0, 10),
  ].join('; ')
}
