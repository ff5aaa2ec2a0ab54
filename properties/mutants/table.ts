/**
 * Table: the catalogue for people, and what is quick to ask of all its entries.
 *
 *   node properties/mutants/table.ts                       one line a mutant
 *   node properties/mutants/table.ts --diff [ID...]        the changes
 *   node properties/mutants/table.ts --sequential N [ID...]  N random operations on each: only sequential ones may show
 *   node properties/mutants/table.ts --quick [ID...]       does the fault pass of `compare` see it?
 *
 * Exit code: 0, or 1 if an entry that is not sequential showed in a sequence, 2 usage.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { MUTANTS, mutant } from './index.ts'
import { inLanes, type Outcome, runWithMutant } from './load.ts'
import { diff, type Mutant, patchesOf } from './mutant.ts'
import type { Quick, QuickKill } from './quick.ts'
import type { Question } from './sequential.ts'

const ROOT = new URL('../../', import.meta.url)
/** The good source of a file. */
export const read = (file: string): string => readFileSync(new URL(file, ROOT), 'utf8')

/** Formats, blocks and folios of the quick pass. */
const FIXED: Quick['fixed'] = [
  { format: 'ext4', blockSize: 1024, folioOrder: 2 }, { format: 'ext2', blockSize: 1024, folioOrder: 0 },
  { format: 'ext4', blockSize: 4096, folioOrder: 0 },
]

/** One line of the table. */
export const line = (m: Mutant): string =>
  [
    m.id, m.claim.padEnd(3), m.sequential ? 'sequential' : '-'.padEnd(10), `${diff(m, read).length}`.padStart(2),
    m.strategy.padEnd(21), [...new Set(patchesOf(m).map((p) => p.file.replace(/^src\//, '')))].join(', '), m.title,
  ].join('  ')

/** Random operations on the patched sources. @returns null, or what a sequence showed */
export const inSequence = async (m: Mutant, operations: number, seed: number): Promise<string | null> => {
  const question: Question = { strategy: m.strategy, seed, operations }
  const outcome = await runWithMutant(m.id, new URL('./sequential.ts', import.meta.url), question, 300)
  return outcome.status === 'done' ? (outcome.value as string | null) : say(outcome)
}

const say = (o: Exclude<Outcome, { status: 'done' }>): string =>
  o.status === 'timeout' ? `no answer after ${o.seconds} s` : `threw ${o.message}`

const quickly = async (m: Mutant): Promise<string> => {
  const data: Quick = { strategy: m.strategy, claim: m.claim, fixed: FIXED }
  const outcome = await runWithMutant(m.id, new URL('./quick.ts', import.meta.url), data, 600)
  if (outcome.status !== 'done') return say(outcome)
  const { by, what, others, plays } = outcome.value as QuickKill
  return by === null ? `survived ${plays} plays${others.length > 0 ? `; broke ${others.join(', ')}` : ''}` : `killed by ${by}: ${what}`
}

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { diff: { type: 'boolean' }, sequential: { type: 'string' }, quick: { type: 'boolean' }, seed: { type: 'string' } },
  })
  const chosen = positionals.length === 0 ? MUTANTS : positionals.map(mutant)
  const operations = Number(values.sequential ?? 0)
  if (!Number.isInteger(operations)) {
    console.error('table: --sequential must be a whole number of operations, as in --sequential 1000')
    return 2
  }
  let wrong = 0
  await inLanes(chosen, values.diff === true ? 1 : availableParallelism(), async (m) => {
    if (operations > 0) {
      const shown = await inSequence(m, operations, Number(values.seed ?? 1))
      if (shown !== null && !m.sequential) wrong++
      console.log(`${m.id}  ${m.sequential ? 'sequential' : '-'}  ${shown ?? 'no difference'}`)
    } else if (values.quick === true) console.log(`${m.id}  ${m.claim}  ${await quickly(m)}`)
    else console.log(values.diff === true ? [line(m), ...diff(m, read)].join('\n') : line(m))
  })
  return wrong === 0 ? 0 : 1
}

if (import.meta.main) process.exitCode = await main()
