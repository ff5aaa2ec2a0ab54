/**
 * npm run mutants: has the check teeth? Every mutant of the catalogue is checked from a cold start in a thread of its own.
 *
 *   npm run mutants [-- --only ID]... [--without CLAIM] [--executions N] [--seed N] [--json FILE] [--write] [--again]
 *   npm run mutants -- --each-without [--executions N] [--seed N]
 *
 * Killed means: within N executions (by default about 10 s of one core) the claim that the mutant names is broken, and the very
 * same run breaks nothing on the good sources. Each design, unmutated, is then checked with the same seed and ten times the
 * executions that its slowest mutant took. Prints the matrix of mutants and claims; --write (on a full run) renews kills.json,
 * on which the ticks of `check` stand. --without takes the judges of one claim away, and shows which of its mutants then live:
 * a claim is needed if there is one. --each-without asks that of all claims at once, of the recorded kills first and then by runs
 * (needed.ts). --again kills once more what kills.json says is killed, and nothing else. A counterexample that does not hold the
 * words of the mutant's trigger is shown in red: something else was killed.
 *
 * Exit code: 0 all killed with their triggers, or the claim is needed; 1 not so; 2 usage.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { paint, type Row, table, wrap } from '../../src/report/table.ts'
import type { Shown } from '../../src/lab/check/verdict.ts'
import { CLAIMS } from '../claims/index.ts'
import { type Kill, KILLS as RECORDED } from '../kills.ts'
import { type Again, ANY, type Cold, type ColdResult } from './cold.ts'
import { MUTANTS, mutant } from './index.ts'
import { inLanes, runWithMutant } from './load.ts'
import { diff, type Mutant } from './mutant.ts'
import { type Fired, type Need, needs } from './needed.ts'
import { read } from './table.ts'
import { missing, type Word } from './trigger.ts'

const ENTRY = new URL('./cold.ts', import.meta.url)
const KILLS = new URL('./kills.json', import.meta.url)
/** Mutants at a time. */
const LANES = 2
/** Executions after the kill, to see what else is broken; and how many more the good sources get. */
const EXTRA = 500
const GOOD = 10
/** Seconds of one program, and of a thread. */
const PATIENCE = { program: 60, thread: 1800 } as const

interface Settings {
  readonly seed: number
  readonly executions: number
  readonly without: string | null
}

/** What became of one mutant. */
interface Result extends Kill {
  readonly title: string
  /** Claims that were broken, with the executions until then. */
  readonly broken: Readonly<Record<string, number>>
  readonly by: Shown | null
  /** Words of its trigger that the counterexample does not hold: then something else was killed. */
  readonly lacks: readonly Word[]
  /** Why it counts as alive although something was broken; null: it does not. */
  readonly but: string | null
}

const checkMutant = async (m: Mutant, s: Settings): Promise<Result> => {
  const { id, source, claim, strategy, title } = m
  const about = { id, source, claim, strategy, title, lines: diff(m, read).length }
  const order: Cold = { strategy, claim, extra: EXTRA, patience: PATIENCE.program, ...s }
  const outcome = await runWithMutant(id, ENTRY, order, PATIENCE.thread)
  if (outcome.status !== 'done') {
    const but = outcome.status === 'timeout' ? `no answer after ${outcome.seconds} s` : `threw ${outcome.message}`
    return { ...about, killed: false, executions: 0, seconds: 0, operations: 0, broken: {}, by: null, lacks: [], but }
  }
  const { executions, seconds, broken, by, facts } = outcome.value as ColdResult
  const but = by === null ? null : await onGood(strategy, by)
  const operations = by === null ? 0 : by.program.before.length + by.program.fibers.flat().length
  const lacks = by === null ? [] : facts === null ? m.trigger : missing(m.trigger, facts)
  const killed = s.without === null ? by !== null && but === null : Object.keys(broken).length > 0
  return { ...about, killed, executions, seconds: Math.round(seconds * 10) / 10, operations, broken, by, lacks, but }
}

/** The same run on the good sources: null if it breaks nothing there. */
const onGood = async (strategy: string, again: Shown): Promise<string | null> => {
  const order: Again = { strategy, again }
  const good = await runWithMutant(null, ENTRY, order, PATIENCE.thread)
  if (good.status !== 'done') return `the good sources do not come back from its run: ${JSON.stringify(good)}`
  return good.value === null ? null : `the good sources break the claim, too: ${String(good.value)}`
}

/** A design as it is, checked for longer than any of its mutants. */
interface Good {
  readonly strategy: string
  readonly executions: number
  readonly broken: ColdResult['broken']
}

const checkGood = async (strategy: string, results: readonly Result[], s: Settings): Promise<Good> => {
  const slowest = Math.max(...results.filter((r) => r.strategy === strategy).map((r) => r.executions))
  const order: Cold = { strategy, claim: null, extra: 0, patience: PATIENCE.program, ...s, executions: GOOD * slowest }
  const outcome = await runWithMutant(null, ENTRY, order, PATIENCE.thread)
  if (outcome.status !== 'done') throw new Error(`${strategy}: ${JSON.stringify(outcome)}`)
  const { executions, broken } = outcome.value as ColdResult
  return { strategy, executions, broken }
}

// --- printing ----------------------------------------------------------------------------------------------------------

const say = (r: Result, s: Settings): string => {
  const others = Object.keys(r.broken).filter((c) => c !== r.claim)
  const end = r.killed ? `killed in ${r.executions} executions, ${r.seconds} s` : `LIVES after ${r.executions} executions`
  return [
    `${r.id} ${r.claim.padEnd(3)} ${end}`, others.length === 0 ? '' : `; also broke ${others.join(', ')}`,
    r.lacks.length === 0 ? '' : `; its counterexample holds no ${r.lacks.join(', no ')}`, r.but === null ? '' : `; ${r.but}`,
    s.without === null ? '' : `; without ${s.without}`,
  ].join('')
}

const byNumber = (a: string, b: string): number => Number(a.slice(1)) - Number(b.slice(1)) || (a < b ? -1 : 1)

/** Mutants and claims: ● the claim that it names, ○ another one, · none; what the good sources break no later is left out. */
const matrix = (results: readonly Result[], goods: readonly Good[]): string => {
  const claims = [...new Set(results.flatMap((r) => [r.claim, ...Object.keys(r.broken)]))].sort(byNumber)
  const cell = (r: Result, c: string): string => {
    const at = r.broken[c]
    if (at === undefined || goods.some((g) => g.strategy === r.strategy && (g.broken[c] ?? Infinity) <= at)) return '·'.padStart(3)
    return (c === r.claim ? '●' : '○').padStart(3)
  }
  const head = `    ${claims.map((c) => c.replace('I', '').padStart(3).slice(-3)).join('')}`
  return [head, ...results.map((r) => `${r.id.padEnd(4)}${claims.map((c) => cell(r, c)).join('')}`)].map((l) => `${l}\n`).join('')
}

const resultTable = (results: readonly Result[]): string => {
  const rows = results.map((r): Row => [
    `${r.id.padEnd(4)} ${r.claim.padEnd(3)} ${r.strategy}`, r.killed ? paint('green', 'killed') : paint('red', 'LIVES'),
    String(r.executions), r.seconds.toFixed(1), String(r.lines), r.by === null ? '-' : `${r.operations} / ${r.by.lines.length}`,
    r.by === null ? '-' : r.lacks.length === 0 ? 'held' : paint('red', `no ${r.lacks.join(', no ')}`),
  ])
  return table(['mutant, claim, design', '', 'executions', 'seconds', 'change', 'actions / lines', 'trigger'], rows)
}

const goodLine = ({ strategy, executions, broken }: Good): string => {
  const claims = Object.keys(broken)
  return claims.length === 0 ? `${strategy}, unmutated: ${executions} executions with the same seed break nothing`
    : `${strategy}, unmutated: broken in ${executions} executions: ${claims.map((c) => `${c} after ${broken[c]}`).join(', ')}`
}

// --- main --------------------------------------------------------------------------------------------------------------

const write = (file: string | URL, results: readonly Result[], s: Settings): void => {
  const mutants = results.map(({ title: _, by, ...r }) => ({ ...r, counterexample: by?.lines ?? [] }))
  const text = JSON.stringify({ schema: 1, tool: 'perform-write', seed: s.seed, executions: s.executions, mutants }, null, 2)
  const partial = file instanceof URL ? new URL(`${file.href}.partial`) : `${file}.partial`
  writeFileSync(partial, `${text}\n`)
  renameSync(partial, file)
}

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true }, without: { type: 'string' }, json: { type: 'string' }, write: { type: 'boolean' },
      executions: { type: 'string', default: '20000' }, seed: { type: 'string', default: '1' }, again: { type: 'boolean' },
      'each-without': { type: 'boolean' },
    },
  })
  const s: Settings = { seed: Number(values.seed), executions: Number(values.executions), without: values.without ?? null }
  const all = (values.only ?? []).length === 0
  if (!Number.isInteger(s.seed) || !Number.isInteger(s.executions) || s.executions < 1) {
    return usage('give whole numbers to --seed and --executions')
  }
  if (values.write === true && (!all || s.without !== null)) return usage('--write is for a full run: leave --only and --without out')
  if (values.again === true) return await killAgain(s)
  if (values['each-without'] === true) return await eachWithout(s)
  const unknown = values.only?.find((id) => !MUTANTS.some((m) => m.id === id))
  if (unknown !== undefined) return usage(`no mutant ${unknown}; known are ${MUTANTS.map((m) => m.id).join(', ')}`)
  const chosen = (all ? MUTANTS : values.only!.map(mutant)).filter((m) => s.without === null || !all || m.claim === s.without)
  const results = await inLanes(chosen, LANES, async (m) => {
    const r = await checkMutant(m, s)
    process.stderr.write(`${say(r, s)}\n`)
    return r
  })
  const designs = s.without !== null ? [] : [...new Set(results.map((r) => r.strategy))]
  const goods = await inLanes(designs, LANES, (d) => checkGood(d, results, s))
  print(results, goods, s)
  if (values.json !== undefined) write(values.json, results, s)
  if (values.write === true) write(KILLS, results, s)
  const alive = results.filter((r) => !r.killed)
  if (s.without !== null) return alive.length > 0 ? 0 : 1
  return alive.length === 0 && results.every((r) => r.lacks.length === 0) && goods.every((g) => Object.keys(g.broken).length === 0) ? 0 : 1
}

// --- what each claim is needed for ---------------------------------------------------------------------------------------

/** Which claim breaks first on a mutant without the judges of one claim; null: none in the whole budget. */
const brokenWithout = async (id: string, claim: string, s: Settings): Promise<string | null> => {
  const order: Cold = { strategy: mutant(id).strategy, claim: ANY, extra: 0, patience: PATIENCE.program, ...s, without: claim }
  const outcome = await runWithMutant(id, ENTRY, order, PATIENCE.thread)
  if (outcome.status !== 'done') return `a run that did not come back (${outcome.status})`
  return Object.keys((outcome.value as ColdResult).broken)[0] ?? null
}

/** What came of the candidates of one claim, one by one until one lives. */
interface Checked {
  readonly lives: string | null
  readonly killed: readonly string[]
}

const checkNeed = async ({ claim, alone }: Need, s: Settings): Promise<Checked> => {
  const killed: string[] = []
  for (const id of alone) {
    const by = await brokenWithout(id, claim, s)
    process.stderr.write(`without ${claim.padEnd(4)} ${id} ${by === null ? 'lives' : `is killed by ${by}`}\n`)
    if (by === null) return { lives: id, killed }
    killed.push(`${id} (${by})`)
  }
  return { lives: null, killed }
}

/** Which claims are needed. @returns the exit code */
const eachWithout = async (s: Settings): Promise<number> => {
  const fired = RECORDED.filter((k) => k.killed).map((k): Fired => ({ id: k.id, claim: k.claim, broken: Object.keys(k.broken ?? {}) }))
  const looked = CLAIMS.filter((c) => c.judges.length > 0 || c.id === 'I15').map((c) => c.id)
  const all = needs([...looked, 'port'], fired)
  const checked = await inLanes(all, LANES, (n) => checkNeed(n, s))
  printNeeds(all, checked, s)
  return checked.every((c) => c.lives !== null) ? 0 : 1
}

const printNeeds = (all: readonly Need[], checked: readonly Checked[], s: Settings): void => {
  const rows = all.map((n, i): Row => {
    const { lives, killed } = checked[i]!
    const verdict = lives !== null ? paint('green', `needed: ${lives} lives without it`)
      : paint('red', n.breaks.length === 0 ? 'no mutant breaks it' : 'not needed by these mutants')
    return [n.claim, String(n.named.length), String(n.breaks.length), String(n.alone.length), verdict, killed.join(' ') || '-']
  })
  process.stdout.write(`${table(['claim', 'named by', 'broke on', 'alone on', '', 'killed by others all the same'], rows)}\n`)
  process.stdout.write(`${wrap(
    '"broke on" and "alone on" are read off kills.json: what broke until a mutant was killed, and within 500 executions after it. Those ' +
    `alone on a claim were then run without it, one by one until one lived, with all ${s.executions} executions, seed ${s.seed}.`)}\n`)
}

/** Kill once more what kills.json says is killed, with some executions to spare. @returns the exit code */
const killAgain = async (s: Settings): Promise<number> => {
  const results = await inLanes(RECORDED.filter((k) => k.killed), LANES, async (k) => {
    const r = await checkMutant(mutant(k.id), { ...s, executions: k.executions + 2_000 })
    process.stderr.write(`${say(r, s)}\n`)
    return r
  })
  const alive = results.filter((r) => !r.killed).map((r) => r.id)
  const end = alive.length === 0 ? '' : `; alive: ${alive.join(', ')}`
  process.stdout.write(`${results.length - alive.length} of ${results.length} recorded kills again${end}\n`)
  return alive.length === 0 && results.length > 0 ? 0 : 1
}

const usage = (message: string): number => {
  process.stderr.write(`mutants: ${message}\n`)
  return 2
}

const print = (results: readonly Result[], goods: readonly Good[], s: Settings): void => {
  const out = (text: string): void => void process.stdout.write(`${text}\n`)
  out(resultTable(results))
  out(matrix(results, goods))
  for (const g of goods) out(wrap(goodLine(g), 2))
  const alive = results.filter((r) => !r.killed).map((r) => r.id)
  const left = alive.length === 0 ? '' : `; alive: ${alive.join(', ')}`
  if (s.without === null) return out(`${results.length - alive.length} of ${results.length} mutants killed${left}`)
  out(alive.length === 0 ? `without ${s.without} every mutant is still killed: by these mutants it is not needed`
    : `without ${s.without} these live: ${alive.join(', ')}: the claim is needed`)
}

process.exitCode = await main()
