/**
 * npm run crash:mutants: is every crash mutant found, by the claim that it names, and is nothing found in the good sources?
 *
 *   node properties/crash-mutants/run.ts [--only ID]... [--states N]
 *
 * Exit code: 0 all killed; 1 not so; 2 usage.
 */
import { parseArgs } from 'node:util'
import { CRASH_MUTANTS } from './index.ts'
import { huntInThread } from './load.ts'

const { values } = parseArgs({ options: { only: { type: 'string', multiple: true }, states: { type: 'string', default: '4000' } } })
const states = Number(values.states)
const chosen = CRASH_MUTANTS.filter((m) => values.only === undefined || values.only.includes(m.id))
if (!Number.isInteger(states) || states < 1 || chosen.length === 0) {
  const known = CRASH_MUTANTS.map((m) => m.id).join(', ')
  process.stderr.write(`crash mutants: give a whole number to --states, and to --only some of ${known}\n`)
  process.exitCode = 2
} else {
  let alive = 0
  for (const m of chosen) {
    const { broken, seconds, states: seen } = await huntInThread({ id: m.id, alive: true, states })
    const by = broken.find((b) => b.claim === m.claim) ?? broken.find((b) => m.also?.includes(b.claim))
    const good = by === undefined ? null : await huntInThread({ id: m.id, alive: false, states })
    const isKilled = by !== undefined && good!.broken.length === 0
    if (!isKilled) alive++
    const said = by === undefined ? `LIVES after ${seen} states`
      : good!.broken.length > 0 ? `the good sources break ${good!.broken.map((b) => `${b.claim}: ${b.what}`).join('; ')}`
        : `killed by ${by.claim} in ${seconds.toFixed(1)} s, shrunk to ${by.actions} actions and ${by.lost} lost blocks: ${by.what}`
    process.stdout.write(`${m.id} ${m.mode}, ${m.workload}: ${said}\n`)
  }
  process.stdout.write(`${chosen.length - alive} of ${chosen.length} crash mutants killed\n`)
  process.exitCode = alive === 0 ? 0 : 1
}
