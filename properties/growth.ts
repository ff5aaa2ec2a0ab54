/**
 * npm run growth: how every count of every design grows with file size, extents, folio size, fragmentation and writers, against
 * the formulas of src/lab/growth/formulas.ts. Takes minutes and about two gigabytes for a million extents.
 *
 * Options: --quick (the points of `npm test`), --axis ID (may be given again), --write (renew docs/growth.md and
 * docs/growth.json). Exit 1 if a count grows faster than its formula and is not known to.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { AXES, type Axis } from '../src/lab/growth/axes.ts'
import { FORMULAS, KNOWN } from '../src/lab/growth/formulas.ts'
import { growth, type Series } from '../src/lab/growth/measure.ts'
import { count } from '../src/report/format.ts'
import { type GrowthDocument, GROWTH_SCHEMA } from '../src/report/growth.ts'
import { manifestOf } from '../src/report/manifest.ts'
import { wrap } from '../src/report/table.ts'
import { strategies } from '../src/strategies/index.ts'
import { growthPage, growthRows } from './growth-page.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, axis: { type: 'string', multiple: true }, write: { type: 'boolean' } },
})
const axes = AXES.filter((a) => options.axis?.includes(a.id) ?? true)
if (axes.length < (options.axis?.length ?? 0)) {
  process.stderr.write(`growth: an axis is not known; known are ${AXES.map((a) => a.id).join(', ')}\n`)
  process.exit(2)
}
if (options.write === true && (options.quick === true || axes.length < AXES.length)) {
  process.stderr.write('growth: --write renews the whole page: leave out --quick and --axis\n')
  process.exit(2)
}

const pointsOf = (a: Axis): readonly number[] => (options.quick === true ? a.quick : a.full)
const start = performance.now()
const series = axes.flatMap((a): Series[] =>
  growth(a, strategies, pointsOf(a), (x) =>
    process.stderr.write(`growth: ${count(x)} ${a.x}, ${Math.round((performance.now() - start) / 1000)} s\n`)))

const own = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { readonly version: string }
const { version, code, machine } = manifestOf({ version: own.version, command: 'growth', seed: 1, workloads: [], plugins: {} })
const result: GrowthDocument = {
  schema: GROWTH_SCHEMA, tool: 'perform-write', command: 'growth',
  manifest: { version, code, node: machine.node, ground: 'ext4, 4096-byte blocks' },
  axes: axes.map(({ id, x, what }) => ({ id, x, what })), series,
}

for (const a of axes) {
  const known = KNOWN.filter((k) => k.axis === a.id)
  const table = growthRows(result, a.id).map(([cost, formula, ...exponents]) => `  ${cost}, ${formula}: ${exponents.join('; ')}`)
  const notes = known.map((k) => `  known: ${k.costs.join(', ')}: ${k.why}`)
  process.stdout.write(`${[`${a.id}: ${a.what}`, ...table, ...notes].map((line) => `${wrap(line, 4)}\n`).join('')}\n`)
}
if (options.write === true) {
  const json = JSON.stringify(result).replace(/\{"design"/g, '\n{"design"')
  writeFileSync(new URL('../docs/growth.json', import.meta.url), `${json}\n`)
  writeFileSync(new URL('../docs/growth.md', import.meta.url), growthPage(result, FORMULAS, KNOWN))
}

const fresh = series.filter((s) => s.worse && !KNOWN.some((k) => k.axis === s.axis && k.costs.includes(s.cost)))
for (const s of fresh) {
  const points = s.points.map(([x, y]) => `${count(x)}: ${count(y)}`).join(', ')
  const grows = `${s.cost} grows as x^${s.exponent.toFixed(2)}, its formula is ${s.formula} (${points})`
  process.stdout.write(`${wrap(`✗ ${s.design} along ${s.axis}: ${grows}`, 2)}\n`)
}
const known = series.filter((s) => s.worse).length - fresh.length
const sum = `${count(series.length)} series of ${strategies.length} designs`
process.stdout.write(`${sum}: ${fresh.length} grow faster than their formula, ${known} more are known to\n`)
process.exitCode = fresh.length === 0 ? 0 : 1
