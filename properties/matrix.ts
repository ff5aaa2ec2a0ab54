/**
 * npm run matrix: every design against every claim, as `perform-write check` judges them, in one table, with the certificates.
 *
 * The broken cells are compared with what was expected before any run (claims/expected.ts) and with what is explained since
 * (claims/deviations.ts): a cell that neither knows fails the run. Options: --budget smoke|ci|deep (ci), --seed N, --json FILE.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { Certificate, Status, Verdict } from '../src/lab/check/verdict.ts'
import { count } from '../src/report/format.ts'
import { strategies } from '../src/strategies/index.ts'
import { DEVIATIONS } from './claims/deviations.ts'
import { type Design, expected, EXPECTED_CLAIMS } from './claims/expected.ts'
import { inLanes } from './mutants/load.ts'

const { values: options } = parseArgs({
  options: { budget: { type: 'string', default: 'ci' }, seed: { type: 'string', default: '1' }, json: { type: 'string' } },
})

/** What `check --json` writes, as far as it is used here. */
interface Checked {
  readonly strategy: string
  readonly verdicts: readonly Verdict[]
  readonly certificate: Certificate
}

const CLI = join(import.meta.dirname, '../src/cli/main.ts')

/** Designs at a time: the threads of one do not end together, and another fills the gap. */
const LANES = 2

const run = promisify(execFile)

/** Check one design in a process of its own. @throws Error if that cannot be done */
const check = async (name: string, folder: string): Promise<Checked> => {
  const file = join(folder, `${name}.json`)
  const args = [CLI, 'check', name, '--budget', options.budget, '--seed', options.seed, '--json', file]
  const start = performance.now()
  try {
    await run(process.execPath, args, { maxBuffer: 2 ** 28 })
  } catch (e) {
    const { code, stderr } = e as { code?: number; stderr?: string }
    if (code !== 1) throw new Error(`check ${name} ended with ${code}:\n${stderr}`, { cause: e })
  }
  process.stderr.write(`check ${name}: ${((performance.now() - start) / 1000).toFixed(0)} s\n`)
  return JSON.parse(readFileSync(file, 'utf8')) as Checked
}

const SIGNS: Readonly<Record<Status, string>> = { pass: '✓', fail: '✗', declared: 'd', untested: '○', 'n.a.': '-' }

const statusOf = (c: Checked, claim: string): Status => c.verdicts.find((v) => v.claim === claim)?.status ?? 'untested'

/** Cells that are broken and that nobody expected or explained; and explained ones that hold again. */
const surprises = (all: readonly Checked[]): readonly string[] => all.flatMap((c) => c.verdicts.flatMap(({ claim, status, reason }) => {
  const known = EXPECTED_CLAIMS.includes(claim as (typeof EXPECTED_CLAIMS)[number])
  const fails = known && expected(c.strategy as Design, claim as (typeof EXPECTED_CLAIMS)[number]).status === 'fail'
  const explained = DEVIATIONS.some((d) => d.design === c.strategy && d.claim === claim && d.found === 'fail')
  return status === 'fail' && !fails && !explained ? [`${c.strategy} breaks ${claim}: ${reason}`] : []
}))

const print = (all: readonly Checked[]): void => {
  const claims = [...new Set(all.flatMap((c) => c.verdicts.map((v) => v.claim)))]
  all.forEach((c, i) => console.log(`${String.fromCharCode(65 + i)}  ${c.strategy}`))
  console.log(`\n       ${all.map((_, i) => String.fromCharCode(65 + i)).join('  ')}`)
  for (const claim of claims) console.log(`${claim.padEnd(5)}  ${all.map((c) => SIGNS[statusOf(c, claim)]).join('  ')}`)
  console.log('\n✓ held, and the same check kills a real bug of the claim   ✗ broken   d as declared   ○ untested   - n.a.\n')
  for (const { strategy, certificate: c } of all) {
    console.log(`${strategy.padEnd(24)} ${count(c.executions).padStart(8)} executions, ${count(c.states).padStart(8)} states, ` +
      `seed ${options.seed}`)
  }
}

const folder = mkdtempSync(join(tmpdir(), 'matrix-'))
try {
  const all = await inLanes(strategies, LANES, ({ name }) => check(name, folder))
  print(all)
  const found = surprises(all)
  console.log(found.length === 0 ? '\nevery broken cell was expected, or is explained in docs/verdicts.md' : `\n${found.join('\n')}`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ schema: 1, tool: 'perform-write', designs: all })}\n`)
  if (found.length > 0) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true })
}
