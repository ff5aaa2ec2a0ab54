/**
 * npm run splice:mutants: is every splice mutant found by the claim that it names, and is nothing found in the good sources?
 *
 *   node properties/splice-mutants/run.ts [--only ID]...
 *
 * Exit code: 0 all killed; 1 not so; 2 usage.
 */
import { parseArgs } from 'node:util'
import { inLanes, runWithMutant } from '../mutants/load.ts'
import type { Hunted, Order } from './hunt.ts'
import { SPLICE_MUTANTS } from './index.ts'

const CHILD = new URL('./child.ts', import.meta.url)
const HUNT = new URL('./hunt.ts', import.meta.url)
/** Seconds of a thread. */
const PATIENCE = 600

/** Hunt in a thread of its own, with mutant `id` alive, or none. */
export const huntFor = async (id: string | null, order: Order): Promise<Hunted> => {
  const outcome = await runWithMutant(id, HUNT, order, PATIENCE, CHILD)
  if (outcome.status === 'done') return outcome.value as Hunted
  throw new Error(`${id ?? 'the good sources'}: ${outcome.status === 'threw' ? outcome.message : `no answer after ${outcome.seconds} s`}`)
}

const main = async (only: readonly string[]): Promise<number> => {
  const chosen = SPLICE_MUTANTS.filter((m) => only.length === 0 || only.includes(m.id))
  if (chosen.length < only.length) {
    process.stderr.write(`splice mutants: --only takes some of ${SPLICE_MUTANTS.map((m) => m.id).join(', ')}\n`)
    return 2
  }
  const killed = await inLanes(chosen, 2, async (m) => {
    const h = await huntFor(m.id, { strategy: m.strategy, claim: m.claim })
    const by = h.broken[m.claim]
    const others = Object.keys(h.broken).filter((c) => c !== m.claim)
    const end = by === undefined ? `LIVES after ${h.executions} executions`
      : `killed in ${h.executions} executions, ${h.seconds.toFixed(1)} s: ${by.what}`
    const more = others.length === 0 ? '' : `; also broke ${others.join(', ')}`
    process.stdout.write(`${m.id} ${m.claim} ${end}${more}\n${by === undefined ? '' : `    ${by.where}\n`}`)
    return by !== undefined
  })
  const good = await huntFor(null, { strategy: 'reserve-allocate', claim: null })
  const broken = Object.entries(good.broken).map(([c, b]) => `${c} broken: ${b.what}, ${b.where}`).join('; ') || 'nothing is broken'
  process.stdout.write(`${killed.filter((k) => k).length} of ${chosen.length} splice mutants killed; `)
  process.stdout.write(`the good sources, ${good.executions} executions: ${broken}\n`)
  return killed.every((k) => k) && Object.keys(good.broken).length === 0 ? 0 : 1
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { only: { type: 'string', multiple: true, default: [] } } })
  process.exitCode = await main(values.only)
}
