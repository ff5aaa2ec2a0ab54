/**
 * Sheets: the tables of a comparison as data, with exact numbers; what Markdown, LaTeX and the page are made from.
 *
 * Each carries its manifest. Counts and wall time are different sheets. A design that broke a claim has a `*` in every sheet of
 * costs. Cells are plain text: whoever writes them to a format escapes them.
 */
import type { Counter } from '../kernel/ledger.ts'
import { show } from '../lab/statistics.ts'
import {
  type Column, type Comparison, type Ground, isMarked, type Race, sameGround, sayGround, sayManifest, sayRun,
} from './document.ts'
import { count } from './format.ts'
import { amplification, COST, type CostLine, UNDO } from './ledger.ts'

/** What a sheet is about. */
export type SheetKind = 'claims' | 'cost' | 'undo' | 'wall'

/** One table. */
export interface Sheet {
  readonly kind: SheetKind
  readonly title: string
  /** What the numbers are. */
  readonly note: string
  readonly manifest: string
  readonly head: readonly string[]
  /** A row of one cell is a heading within the table. */
  readonly rows: readonly (readonly string[])[]
}

const SIGN = { pass: '✓', fail: '✗', declared: '✗ d', untested: '·', 'n.a.': 'n.a.' } as const

const starred = (c: Column): string => (isMarked(c) ? `${c.name} *` : c.name)

const claimsSheet = (c: Comparison, ground: Ground, columns: readonly Column[]): Sheet => {
  const shown = c.claims.filter((k) => k.elsewhere === undefined)
  const families = [...new Set(shown.map((k) => k.family))]
  const cell = (d: Column, id: string): string => SIGN[d.verdicts.find((v) => v.claim === id)?.status ?? 'untested']
  return {
    kind: 'claims', title: `Claims on ${sayGround(ground)}`, manifest: sayManifest(c),
    note: '✓ held in every play, and a mutant was killed by the same claim; ✗ broken; ✗ d broken, as the design declares; · untested; ' +
      'n.a. the design cannot break it',
    head: ['claim', ...columns.map((d) => d.name)],
    rows: families.flatMap((family) => [
      [family], ...shown.filter((k) => k.family === family).map((k) => [`${k.id} ${k.short}`, ...columns.map((d) => cell(d, k.id))]),
    ]),
  }
}

const exact = (n: number): string => (Number.isInteger(n) ? count(n) : n.toFixed(2))

const lines = (costs: readonly CostLine[], ledgers: readonly (Readonly<Record<Counter, number>> | undefined)[]): string[][] =>
  costs.filter((line) => ledgers.some((l) => l !== undefined && line.of(l) > 0))
    .map((line) => [line.label, ...ledgers.map((l) => (l === undefined ? '-' : exact(line.of(l))))])

const costSheet = (
  c: Comparison, ground: Ground, columns: readonly Column[], workload: string, source: Comparison['sources'][number],
): Sheet => {
  const runs = columns.map((d) => d.runs.find((r) => r.workload === workload && r.source === source))
  return {
    kind: 'cost', title: `Cost of ${sayRun(workload, source)} on ${sayGround(ground)}`, manifest: sayManifest(c, workload),
    note: 'exact counts over the whole workload; * broke a claim: what a wrong design saves is not a result',
    head: ['count', ...columns.map(starred)],
    rows: [
      ['operations', ...runs.map((r) => (r === undefined ? '-' : count(r.operations)))],
      ['bytes written', ...runs.map((r) => (r === undefined ? '-' : count(r.bytesWritten)))],
      ...lines(COST, runs.map((r) => r?.ledger)),
      ['device bytes per byte written', ...runs.map((r) =>
        (r === undefined ? '-' : amplification(r.ledger, r.bytesWritten).toFixed(2)))],
    ],
  }
}

const undoSheet = (c: Comparison, ground: Ground, columns: readonly Column[]): Sheet => ({
  kind: 'undo', title: `The cost of undo on ${sayGround(ground)}`, manifest: sayManifest(c),
  note: 'exact counts, summed over the writes that failed or were cut short, of all scenes and fault sites; * broke a claim',
  head: ['count', ...columns.map(starred)],
  rows: [
    ['plays', ...columns.map((d) => count(d.plays))],
    ['of these with a fault', ...columns.map((d) => count(d.faulted))],
    ['writes that failed or were cut short', ...columns.map((d) => count(d.failedWrites))],
    ...UNDO.map((line) => [line.label, ...columns.map((d) => count(line.of(d.undo)))]),
  ],
})

const wallSheet = (c: Comparison, race: Race): Sheet => ({
  kind: 'wall', title: `Wall time of ${sayRun(race.workload, race.source)} on ${sayGround(race)}`, manifest: sayManifest(c, race.workload),
  note: `${race.rounds} paired rounds; medians with 95 % bootstrap intervals, each for itself; Cliff's delta against ${race.baseline}: ` +
    '1 = slower in every pair. In JavaScript: hygiene, no result about a kernel',
  head: ['design', 'ms', `ratio to ${race.baseline}`, "Cliff's delta"],
  rows: race.racers.map((r) => {
    const design = c.designs.find((d) => d.name === r.name && sameGround(d, race))
    const name = design !== undefined && isMarked(design) ? `${r.name} *` : r.name
    return [name, show(r.time), ...(r.name === race.baseline ? ['1', '-'] : [show(r.ratio), r.delta.toFixed(2)])]
  }),
})

/** All sheets of a comparison: ground by ground claims, costs, undo; then wall time. */
export const sheetsOf = (c: Comparison): readonly Sheet[] => [
  ...c.grounds.flatMap((ground) => {
    const columns = c.designs.filter((d) => sameGround(d, ground))
    return [
      claimsSheet(c, ground, columns),
      ...c.workloads.flatMap((w) => c.sources.map((s) => costSheet(c, ground, columns, w, s))),
      undoSheet(c, ground, columns),
    ]
  }),
  ...c.wall.map((race) => wallSheet(c, race)),
]
