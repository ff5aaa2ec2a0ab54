/** perform-write witness: the smallest scenario in which one design breaks a claim that another keeps, side by side. */
import { Command } from 'commander'
import { CLAIMS, JUDGES } from '../../properties/claims/index.ts'
import { heldTo, witness, type WitnessOptions, witnessRun, type WitnessSearch } from '../lab/check/witness.ts'
import { saySize, witnessColumns, witnessHead, witnessMissing } from '../report/witness.ts'
import { EXIT, UsageError } from './errors.ts'
import { parseWhole, writeJson } from './options.ts'
import { designFor } from './plugin.ts'
import { Progress } from './progress.ts'

interface Options {
  readonly claim?: string
  readonly seed: number
  readonly executions: number
  readonly json?: string
}

const EXAMPLES = `
Examples:
  perform-write witness invalidate-then-add invalidate-splice               what does the gap cost?
  perform-write witness reserve-copy-allocate reserve-allocate --claim I12  a failed write that leaves its bytes
  perform-write witness reserve-allocate invalidate-splice --claim I20      a torn page
  perform-write witness ./mine.ts reserve-allocate                          yours against one that is known

The first design is held to what the second promises of isolation, rollback and refusal.
Exit: 0 a scenario was found; 1 none was, within the budget; 2 usage; 3 this machine stands in the way.
`

/** The command. */
export const witnessCommand = (): Command =>
  new Command('witness')
    .description('the smallest scenario in which one design breaks a claim that another keeps')
    .argument('<a>', 'the design that breaks it: a name, or a file')
    .argument('<b>', 'the design that keeps it')
    .option('--claim <id>', 'only this claim, such as I12')
    .option('--seed <n>', 'which programs of a size come first', parseWhole, 1)
    .option('--executions <n>', 'how long to search', parseWhole, 60_000)
    .option('--json <file>', 'also write the scenario to a file: claim, program and tape')
    .addHelpText('after', EXAMPLES)
    .action(async (nameA: string, nameB: string, options: Options) => {
      const { claim, seed, executions } = options
      if (claim !== undefined && !CLAIMS.some((c) => c.id === claim)) {
        throw new UsageError(`no claim is named "${claim}"; known are ${CLAIMS.map((c) => c.id).join(', ')}`)
      }
      const [a, b] = [await designFor(nameA), await designFor(nameB)]
      const search = run({ a, b, judges: JUDGES, seed, executions, ...(claim !== undefined && { claim }) })
      const { found } = search
      if (found === null) process.stdout.write(witnessMissing(a.name, b.name, claim, search))
      else {
        const columns = witnessColumns(witnessRun(heldTo(a, b), found, JUDGES), witnessRun(b, found, JUDGES))
        process.stdout.write(witnessHead(found, a.name, b.name, search) + columns)
      }
      if (options.json !== undefined) writeJson(options.json, { command: 'witness', breaks: a.name, keeps: b.name, ...search })
      process.exitCode = found === null ? EXIT.failed : EXIT.pass
    })

const run = (options: WitnessOptions): WitnessSearch => {
  const progress = new Progress('witness')
  const steps = witness(options)
  for (;;) {
    const step = steps.next()
    if (step.done === true) {
      progress.done()
      return step.value
    }
    progress.say(`${saySize(step.value.size)}, ${step.value.executions} of ${options.executions} executions`)
  }
}
