/**
 * npm run differential: does the checker see all that there is to see? Every built-in design and every mutant, searched by brute
 * force, by states and by source-DPOR (three-ways.ts). The first disagreement ends it with the command that shows it again.
 *
 *   npm run differential [-- --limit N] [--least N] [--scenarios N] [--only DESIGN|MUTANT]... [--scenario NAME] [--lanes N] [--json FILE]
 *
 * A scenario is taken if it has at most --limit interleavings (default 6,000: about three minutes of one core) and at least
 * --least (a tenth of the limit); --scenarios of them for all three ways, and as many with a fault, a short copy and the order of
 * completions, where DPOR sits out. With --limit 1000000 the promise is kept in full; that takes hours of one core.
 *
 * Exit code: 0 all agree, 1 a disagreement, or a subject without any scenario of this size, 2 usage.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { MUTANTS as BROKEN } from '../src/lab/self-test/mutants.ts'
import { count } from '../src/report/format.ts'
import { strategies } from '../src/strategies/index.ts'
import { MUTANTS } from './mutants/index.ts'
import { inLanes, runWithMutant } from './mutants/load.ts'
import type { Order, Row } from './ways.ts'

const ENTRY = new URL('./ways.ts', import.meta.url)
/** Candidates that are looked at for one subject, and for a scenario in which a claim is broken; seconds of one; seconds of a thread. */
const TRIES = 120
const SEEK = 8
const PATIENCE = 60
const THREAD = 7200

/** What is searched: a design as it is, or with a mutant alive. */
interface Subject {
  readonly name: string
  readonly design: string
  readonly mutant: string | null
}

const SUBJECTS: readonly Subject[] = [
  ...strategies.map(({ name }) => ({ name, design: name, mutant: null })),
  ...MUTANTS.map(({ id, strategy }) => ({ name: id, design: strategy, mutant: id })),
  ...BROKEN.map(({ id }) => ({ name: `self-test:${id}`, design: id, mutant: null })),
]

const COLUMNS = [24, 16, 13, 11, 11, 8, 6, 8] as const
const HEAD = ['design or mutant', 'scenario', 'brute force', 'by states', 'by DPOR', 'states', 'ends', 'seconds'] as const
const line = (cells: readonly string[], last: string): string =>
  `${cells.map((c, i) => (i < 2 ? c.padEnd(COLUMNS[i]!) : c.padStart(COLUMNS[i]!))).join('')}  ${last}\n`

const show = (name: string, r: Row): string => {
  const byDpor = r.byDpor === null ? '-' : count(r.byDpor)
  const cells = [name, r.scenario, count(r.brute), count(r.byStates), byDpor, count(r.states), count(r.ends), r.seconds.toFixed(1)]
  return line(cells, `${r.difference === null ? 'same' : 'DIFFERENT'}${r.broken.length === 0 ? '' : `, ${r.broken.join(' ')} broken`}`)
}

/** One subject, and what came of it: rows, or why there are none. */
interface Result {
  readonly subject: Subject
  readonly rows: readonly Row[]
  readonly why: string | null
}

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      limit: { type: 'string', default: '6000' }, least: { type: 'string' }, scenarios: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true }, scenario: { type: 'string' }, lanes: { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  })
  const most = Number(values.limit)
  const least = Number(values.least ?? (values.scenario === undefined ? most / 10 : 1))
  const [wanted, lanes] = [Number(values.scenarios), Number(values.lanes)]
  if (![most, wanted, lanes].every((n) => Number.isInteger(n) && n >= 1) || !(least >= 0)) {
    return usage('give whole numbers to --limit, --least, --scenarios and --lanes')
  }
  const unknown = values.only?.find((name) => !SUBJECTS.some((s) => s.name === name))
  if (unknown !== undefined) return usage(`nothing is called ${unknown}; known are ${SUBJECTS.map((s) => s.name).join(', ')}`)
  const chosen = SUBJECTS.filter((s) => values.only?.includes(s.name) ?? true)
  process.stdout.write(line(HEAD, 'ends and claims'))
  let over = false
  const results = await inLanes(chosen, lanes, async (subject): Promise<Result> => {
    if (over) return { subject, rows: [], why: null }
    const order: Order = {
      design: subject.design, least, most, wanted, tries: TRIES, seek: SEEK, from: SUBJECTS.indexOf(subject),
      only: values.scenario === undefined ? null : [values.scenario], patience: PATIENCE,
      mayBreakDown: !strategies.some((d) => d.name === subject.name),
    }
    const outcome = await runWithMutant(subject.mutant, ENTRY, order, THREAD)
    const rows = outcome.status === 'done' ? (outcome.value as readonly Row[]) : []
    const none = rows.length === 0 ? `no scenario of ${TRIES} has this size` : null
    const why = outcome.status === 'done' ? none : JSON.stringify(outcome)
    for (const r of rows) process.stdout.write(show(subject.name, r))
    if (why !== null) process.stdout.write(line([subject.name], why))
    if (rows.some((r) => r.difference !== null)) over = true
    return { subject, rows, why }
  })
  const json = JSON.stringify({ schema: 1, tool: 'perform-write', results }, null, 2)
  if (values.json !== undefined) writeFileSync(values.json, `${json}\n`)
  return summary(results, most)
}

const summary = (results: readonly Result[], most: number): number => {
  const rows = results.flatMap(({ subject, rows }) => rows.map((row) => ({ subject, row })))
  const sum = (of: (r: Row) => number): string => count(rows.reduce((n, { row }) => n + of(row), 0))
  const runs = `${sum((r) => r.brute)} runs by brute force, ${sum((r) => r.byStates)} by states, ${sum((r) => r.byDpor ?? 0)} by DPOR`
  const seconds = sum((r) => Math.round(r.seconds))
  const scenarios = `${rows.length} scenarios of ${results.length} designs and mutants`
  process.stdout.write(`${scenarios}: ${runs}, ${sum((r) => r.ends)} ends, ${seconds} s\n`)
  const bad = rows.find(({ row }) => row.difference !== null)
  if (bad === undefined) return results.every((r) => r.why === null) ? 0 : 1
  const { subject, row } = bad
  process.stdout.write(`${subject.name} ${row.scenario}: ${row.difference}\n` +
    `again: npm run differential -- --only ${subject.name} --scenario ${row.scenario} --limit ${most}\n`)
  return 1
}

const usage = (message: string): number => {
  process.stderr.write(`differential: ${message}\n`)
  return 2
}

process.exitCode = await main()
