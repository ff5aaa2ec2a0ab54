/**
 * Mutants: does the checker kill what it must? Each entry of the catalogue lives in a thread of its own; the check of its design
 * runs there, with the programs of every check, until the claim that the entry names is broken.
 *
 *   node properties/mutants/main.ts [--json FILE] [--executions N] [--seed N] [ID...]
 *
 * Killed means: the claim is broken on the patched sources, and the very same run breaks nothing on the good ones. What the
 * counterexample lacks of the real bug's trigger is named beside it. Exit code: 0, 1 if fewer than 32 of a whole catalogue
 * are killed or a chosen one survives, 2 usage.
 */
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { MUTANTS, mutant } from './index.ts'
import type { Again, Hunt, Kill } from './kill.ts'
import { inLanes, runWithMutant } from './load.ts'
import { diff, type Mutant } from './mutant.ts'
import { read } from './table.ts'
import { missing } from './trigger.ts'

/** Fewest that must be killed. */
const LEAST = 32
const ENTRY = new URL('./kill.ts', import.meta.url)
/** Seconds for one mutant. */
const PATIENCE = 900

/** What became of one mutant. Plain data. */
export interface Result {
  readonly id: string
  readonly source: string
  readonly claim: string
  readonly killed: boolean
  readonly executions: number
  readonly seconds: number
  /** Lines of the printed change. */
  readonly lines: number
  /** The counterexample on one line, and what it shows; or why there is none. */
  readonly by: string
  /** Words of the trigger that it does not hold. */
  readonly missing: readonly string[]
  /** Other claims that were broken on the way. */
  readonly others: readonly string[]
}

/** Hunt one mutant. */
export const hunt = async (m: Mutant, seed: number, executions: number): Promise<Result> => {
  const about = { id: m.id, source: m.source, claim: m.claim, lines: diff(m, read).length }
  const survived = (by: string, k: Partial<Kill> = {}): Result =>
    ({ ...about, killed: false, executions: k.executions ?? 0, seconds: k.seconds ?? 0, by, missing: [], others: k.others ?? [] })
  const order: Hunt = { strategy: m.strategy, claim: m.claim, seed, executions }
  const outcome = await runWithMutant(m.id, ENTRY, order, PATIENCE)
  if (outcome.status === 'timeout') return survived(`no answer after ${outcome.seconds} s`)
  if (outcome.status === 'threw') return survived(`threw ${outcome.message}`)
  const kill = outcome.value as Kill
  if (kill.by === null) return survived('survived', kill)
  const again: Again = { ...kill.by, strategy: m.strategy }
  const good = await runWithMutant(null, ENTRY, again, PATIENCE)
  if (good.status !== 'done') return survived(`the good sources do not come back from its run: ${JSON.stringify(good)}`, kill)
  if (good.value !== null) return survived(`the good sources break the claim, too: ${String(good.value)}`, kill)
  const { executions: runs, seconds, others } = kill
  const by = `${kill.program} => ${kill.what}`
  return { ...about, killed: true, executions: runs, seconds, by, missing: missing(m.trigger, kill.facts!), others }
}

const say = (r: Result): string =>
  [
    r.id, r.claim.padEnd(3), r.killed ? 'killed  ' : 'SURVIVED', `${r.executions} executions, ${r.seconds.toFixed(1)} s`, r.by,
    r.missing.length === 0 ? '' : `[without: ${r.missing.join(', ')}]`,
    r.killed || r.others.length === 0 ? '' : `[broke ${r.others.join(', ')}]`,
  ].filter((s) => s !== '').join('  ')

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'string' }, executions: { type: 'string', default: '40000' }, seed: { type: 'string', default: '1' } },
  })
  const [executions, seed] = [Number(values.executions), Number(values.seed)]
  if (!Number.isInteger(executions) || executions < 1 || !Number.isInteger(seed)) {
    console.error('mutants: --executions and --seed must be whole numbers, as in --executions 40000 --seed 1')
    return 2
  }
  const chosen = positionals.length === 0 ? MUTANTS : positionals.map(mutant)
  const results = await inLanes(chosen, availableParallelism(), async (m) => {
    const result = await hunt(m, seed, executions)
    console.error(say(result))
    return result
  })
  const killed = results.filter((r) => r.killed).length
  console.error(`${killed} of ${results.length} mutants killed`)
  if (values.json !== undefined) {
    const report = { schema: 1, tool: 'perform-write mutants', executions, seed, mutants: results }
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  }
  return killed >= (positionals.length === 0 ? LEAST : results.length) ? 0 : 1
}

if (import.meta.main) process.exitCode = await main()
