/**
 * The report of `compare`: claims by design, counted costs, the cost of undoing, wall time, judges, failures.
 *
 * Takes plain data and gives text. Counts are exact and never share a table with wall time. A tick stands only where a check
 * ran in this run and a mutant was killed by it; a cost of a design that failed a claim is marked.
 */
import { claim, CLAIMS } from '../lab/claims.ts'
import type { FaultPass, Kill, Verdict } from '../lab/fault-pass.ts'
import type { Replayed } from '../lab/cost.ts'
import { bytes, count, perUnit, plural } from './format.ts'
import { amplification, COST, UNDO } from './ledger.ts'
import { broken, paint, type Row, table, wrap } from './table.ts'

/** A workload through a design. */
export interface ReportedRun extends Replayed {
  readonly workload: string
}

/** One column. */
export interface Column {
  readonly name: string
  /** `--fs ext4 ...` and the design, as the command line takes them: what a replay command begins with. */
  readonly replay: string
  readonly verdicts: readonly Verdict[]
  readonly pass: FaultPass | null
  readonly runs: readonly ReportedRun[]
  /** Why there is no result: it hung, or it crashed. */
  readonly broken: string | null
}

const SIGN = { pass: '✓', fail: '✗', declared: '✗ d', untested: '·', 'n.a.': 'n.a.' } as const
const COLOUR = { pass: 'green', fail: 'red', declared: 'yellow', untested: 'dim', 'n.a.': 'dim' } as const

const sign = (status: Verdict['status']): string => paint(COLOUR[status], SIGN[status])

/** Did the design break a claim, declared or not, or a workload? */
export const isMarked = (c: Column): boolean =>
  c.broken !== null || c.verdicts.some((v) => v.status === 'fail' || v.status === 'declared') ||
  c.runs.some((r) => r.problem !== null)

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

/** Counted cost of one workload, per MiB written. */
export const costTable = (workload: string, columns: readonly Column[]): string => {
  const runs = columns.map((c) => c.runs.find((r) => r.workload === workload && r.bytesWritten > 0))
  const first = runs.find((r) => r !== undefined)
  if (first === undefined) return ''
  const mib = (r: Replayed): number => r.bytesWritten / 2 ** 20
  const value = (r: ReportedRun | undefined, f: (r: ReportedRun) => number): string =>
    r === undefined ? '-' : perUnit(f(r))
  const lines = COST.filter((line) => runs.some((r) => r !== undefined && line.of(r.ledger) > 0))
  const rows: Row[] = lines.map((line) => [line.label, ...runs.map((r) => value(r, (x) => line.of(x.ledger) / mib(x)))])
  rows.push(['device bytes per byte written', ...runs.map((r) => value(r, (x) => amplification(x.ledger, x.bytesWritten)))])
  const sum = `${count(first.operations)} operations, ${bytes(first.bytesWritten)} written`
  return `${paint('bold', workload)}: ${sum}; counts per MiB written\n${table(['', ...columns.map(heading)], rows)}`
}

/** What it costs to take a failed write back, per failed write of the fault pass. */
export const undoTable = (columns: readonly Column[]): string => {
  const with_ = columns.filter((c) => c.pass !== null)
  const per = (p: FaultPass, n: number): string => perUnit(p.failedWrites === 0 ? 0 : n / p.failedWrites)
  const rows: Row[] = [
    ['plays, faults injected in', ...with_.map((c) => `${count(c.pass!.plays)}, ${count(c.pass!.faulted)}`)],
    ['writes that failed or were cut short', ...with_.map((c) => count(c.pass!.failedWrites))],
    ...UNDO.map((line) => [`  ${line.label}`, ...with_.map((c) => per(c.pass!, line.of(c.pass!.undo)))]),
  ]
  const title = `${paint('bold', 'the cost of undo')}: counts per failed write, over all scenes and fault sites\n`
  return title + table(['', ...with_.map(heading)], rows)
}

/** Wall time: hygiene, one line a workload. */
export const wallLines = (workloads: readonly string[], columns: readonly Column[]): string =>
  workloads.map((w) => {
    const times = columns.flatMap((c) => {
      const good = c.runs.filter((r) => r.workload === w && r.problem === null)
      return good.map((r) => `${c.name}${isMarked(c) ? '*' : ''} ${r.ms.toFixed(0)}`)
    })
    const title = `wall time of ${w}, ms, best of 3, in JavaScript (hygiene, no result)`
    return times.length === 0 ? '' : `${wrap(`${title}: ${times.join(', ')}`, 2)}\n`
  }).join('')

/** Everything that failed, each with what shows it and the command that replays it. */
export const failures = (columns: readonly Column[]): string => columns.flatMap((c) => [
  ...(c.broken === null ? [] : [`${paint('red', '✗')} ${c.name}: ${c.broken}\n`]),
  ...c.verdicts.filter((v) => v.status === 'fail' || v.status === 'declared').map((v) => {
    const b = c.pass!.broken[v.claim]!
    const where = `${b.scene}${b.site === null ? ', with no fault' : `, ${b.site} failing`}`
    const head = wrap(`${sign(v.status)} ${c.name} ${v.claim} in ${where}: ${b.what}`, 4)
    return `${head}\n    replay: perform-write compare ${c.replay} --scene ${b.replay}\n`
  }),
  ...c.runs.filter((r) => r.problem !== null).map((r) => {
    const head = wrap(`${paint('red', '✗')} ${c.name} ${r.workload}: ${r.problem!.what}`, 4)
    return `${head}\n    replay: perform-write compare ${c.replay} --workload ${r.workload}\n`
  }),
]).join('')

/** How many images a judge saw, and what it said of those that it refused. */
export interface JudgeTally {
  readonly judge: string
  readonly images: number
  readonly refused: readonly string[]
}

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
    const runs = c.runs.filter((r) => r.problem !== null).map((r) => r.workload)
    const all = [...(c.broken === null ? [] : ['it did not end']), ...claims, ...runs]
    return all.length === 0 ? [] : [`${c.name} (${all.join(', ')})`]
  })
  if (wrong.length === 0) return 'every design keeps what it claims, as far as this run looked\n'
  const which = `${wrong.length} of ${plural(columns.length, 'design')}`
  return `${wrap(`${which}: a claim is broken that is not disclaimed: ${wrong.join(', ')}`, 2)}\n`
}
