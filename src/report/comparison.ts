/**
 * The report of `compare` for a terminal: claims by design, counted costs, the cost of undoing, wall time, judges, failures.
 *
 * Takes plain data and gives text. Counts are exact and never share a table with wall time. A tick stands only where a check
 * ran in this run and a mutant was killed by it; a cost of a design that failed a claim is marked.
 */
import { claim, CLAIMS } from '../lab/claims.ts'
import type { Kill, Verdict } from '../lab/fault-pass.ts'
import { show } from '../lab/statistics.ts'
import type { SourceName } from '../lab/write-source.ts'
import { type Column, isMarked, type JudgeTally, type Race, type ReportedRun, sayRun } from './document.ts'
import { bytes, count, perUnit, plural } from './format.ts'
import { amplification, COST, UNDO } from './ledger.ts'
import { broken, paint, type Row, table, wrap } from './table.ts'

const SIGN = { pass: '✓', fail: '✗', declared: '✗ d', untested: '·', 'n.a.': 'n.a.' } as const
const COLOUR = { pass: 'green', fail: 'red', declared: 'yellow', untested: 'dim', 'n.a.': 'dim' } as const

const sign = (status: Verdict['status']): string => paint(COLOUR[status], SIGN[status])

const heading = (c: Column): string => broken(isMarked(c) ? `${c.name}-*` : c.name).replace('-*', ' *')

/** Claims by design, with the reasons below. */
export const claimsTable = (columns: readonly Column[], kills: readonly Kill[]): string => {
  const rows: Row[] = []
  let family = ''
  for (const { family: own, id, short } of CLAIMS.filter((c) => c.elsewhere === undefined)) {
    if (own !== family) rows.push(paint('bold', (family = own)))
    rows.push([` ${id.padEnd(5)}${short}`, ...columns.map((c) => cell(c, id))])
  }
  const elsewhere = CLAIMS.filter((c) => c.elsewhere !== undefined)
  const killed = kills.filter((k) => k.killed).length
  return [
    table(['claim', ...columns.map((c) => broken(c.name))], rows),
    '\n',
    `✓ held, and the claim killed its mutant (${killed} of ${kills.length} were)   ✗ broken   ✗ d broken, as declared\n`,
    ...elsewhere.map((c) => `${wrap(`· ${c.id} ${c.short}: untested; ${c.elsewhere!}`, 2)}\n`),
    ...reasons(columns).map((line) => `${line}\n`),
  ].join('')
}

const cell = (c: Column, id: string): string => {
  const verdict = c.verdicts.find((v) => v.claim === id)
  return verdict === undefined ? sign('untested') : sign(verdict.status)
}

/** Why a cell is no tick, for untested and n.a.; designs that share a reason share a line. */
const reasons = (columns: readonly Column[]): string[] => {
  const by = new Map<string, { claims: Set<string>; designs: Set<string> }>()
  for (const c of columns) {
    for (const v of c.verdicts) {
      if ((v.status !== 'untested' && v.status !== 'n.a.') || claim(v.claim).elsewhere !== undefined) continue
      const key = v.status === 'n.a.' ? `n.a.; ${v.reason}` : `untested; ${v.reason}`
      const entry = by.get(key) ?? { claims: new Set(), designs: new Set() }
      entry.claims.add(v.claim)
      entry.designs.add(c.name)
      by.set(key, entry)
    }
  }
  return [...by].map(([key, { claims, designs }]) =>
    wrap(`· ${[...claims].join(', ')} of ${[...designs].join(', ')}: ${key}`, 2))
}

/** Counted cost of one workload from one source, per MiB written. */
export const costTable = (workload: string, source: SourceName, columns: readonly Column[]): string => {
  const runs = columns.map((c) => c.runs.find((r) => r.workload === workload && r.source === source && r.bytesWritten > 0))
  const first = runs.find((r) => r !== undefined)
  if (first === undefined) return ''
  const mib = (r: ReportedRun): number => r.bytesWritten / 2 ** 20
  const value = (r: ReportedRun | undefined, f: (r: ReportedRun) => number): string =>
    r === undefined ? '-' : perUnit(f(r))
  const lines = COST.filter((line) => runs.some((r) => r !== undefined && line.of(r.ledger) > 0))
  const rows: Row[] = lines.map((line) => [line.label, ...runs.map((r) => value(r, (x) => line.of(x.ledger) / mib(x)))])
  rows.push(['device bytes per byte written', ...runs.map((r) => value(r, (x) => amplification(x.ledger, x.bytesWritten)))])
  const sum = `${count(first.operations)} operations, ${bytes(first.bytesWritten)} written`
  return `${paint('bold', sayRun(workload, source))}: ${sum}; counts per MiB written\n${table(['', ...columns.map(heading)], rows)}`
}

/** What it costs to take a failed write back, per failed write of the fault pass. */
export const undoTable = (columns: readonly Column[]): string => {
  const with_ = columns.filter((c) => c.plays > 0)
  const per = (c: Column, n: number): string => perUnit(c.failedWrites === 0 ? 0 : n / c.failedWrites)
  const rows: Row[] = [
    ['plays, faults injected in', ...with_.map((c) => `${count(c.plays)}, ${count(c.faulted)}`)],
    ['writes that failed or were cut short', ...with_.map((c) => count(c.failedWrites))],
    ...UNDO.map((line) => [`  ${line.label}`, ...with_.map((c) => per(c, line.of(c.undo)))]),
  ]
  const title = `${paint('bold', 'the cost of undo')}: counts per failed write, over all scenes and fault sites\n`
  return title + table(['', ...with_.map(heading)], rows)
}

/** Wall time of one workload: hygiene. Times never share a column with counts. */
export const wallTable = (race: Race, columns: readonly Column[]): string => {
  const mark = (name: string): string => (columns.some((c) => c.name === name && isMarked(c)) ? `${name} *` : name)
  const rows = race.racers.map((r): Row => [
    mark(r.name), show(r.time, 1), ...(r.name === race.baseline ? ['1', '-'] : [show(r.ratio), r.delta.toFixed(2)]),
  ])
  const title = `wall time of ${sayRun(race.workload, race.source)}`
  const how = `${race.rounds} paired rounds, medians with 95 % intervals; in JavaScript (hygiene, no result)`
  return `${wrap(`${paint('bold', title)}: ${how}`)}\n${
    table(['', 'ms', `ratio to\n${race.baseline}`, "Cliff's\ndelta"], rows)}`
}

/** Everything that failed, each with what shows it and the command that replays it. */
export const failures = (columns: readonly Column[]): string => columns.flatMap((c) => [
  ...(c.broken === null ? [] : [`${paint('red', '✗')} ${c.name}: ${c.broken}\n`]),
  ...c.verdicts.filter((v) => v.status === 'fail' || v.status === 'declared').map((v) => {
    const b = c.counterexamples[v.claim]!
    const where = `${b.scene}${b.site === null ? ', with no fault' : `, ${b.site} failing`}`
    const head = wrap(`${sign(v.status)} ${c.name} ${v.claim} in ${where}: ${b.what}`, 4)
    return `${head}\n    replay: perform-write compare ${c.replay} --scene ${b.replay}\n`
  }),
  ...c.runs.filter((r) => r.problem !== null).map((r) => {
    const head = wrap(`${paint('red', '✗')} ${c.name} ${sayRun(r.workload, r.source)}: ${r.problem!.what}`, 4)
    return `${head}\n    replay: perform-write compare ${c.replay} --workload ${r.workload}${
      r.source === 'user' ? '' : ` --source ${r.source}`}\n`
  }),
]).join('')

/** What judges said. */
export const judgeLines = (tallies: readonly JudgeTally[]): string =>
  tallies.map(({ judge, images, refused }) => {
    const first = refused.slice(0, 5).map((r) => `  ${paint('red', '✗')} ${r}\n`)
    return `judge ${judge}: ${plural(images, 'image')}, ${refused.length} refused\n${first.join('')}`
  }).join('')

/** The last line: who broke what, or that nobody did. */
export const conclusion = (columns: readonly Column[]): string => {
  const wrong = columns.flatMap((c) => {
    const claims = c.verdicts.filter((v) => v.status === 'fail').map((v) => v.claim)
    const runs = c.runs.filter((r) => r.problem !== null).map((r) => sayRun(r.workload, r.source))
    const all = [...(c.broken === null ? [] : ['it did not end']), ...claims, ...runs]
    return all.length === 0 ? [] : [`${c.name} (${all.join(', ')})`]
  })
  if (wrong.length === 0) return 'every design keeps what it claims, as far as this run looked\n'
  const which = `${wrong.length} of ${plural(columns.length, 'design')}`
  return `${wrap(`${which}: a claim is broken that is not disclaimed: ${wrong.join(', ')}`, 2)}\n`
}
