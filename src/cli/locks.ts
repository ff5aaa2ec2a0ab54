/** perform-write locks: the lock order of each design, as the runs of a small check show it. */
import { Command } from 'commander'
import { JUDGES } from '../../properties/claims/index.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { check } from '../lab/check/check.ts'
import { plural } from '../report/format.ts'
import { cycleLines, cycleOf, locksTable, type ObservedOrder } from '../report/locks.ts'
import { wrap } from '../report/table.ts'
import { strategies } from '../strategies/index.ts'
import { EXIT } from './errors.ts'
import { parseWhole, writeJson } from './options.ts'
import { designFor } from './plugin.ts'
import { Progress } from './progress.ts'

interface Options {
  readonly executions: number
  readonly seed: number
  readonly json?: string
}

const EXAMPLES = `
Examples:
  perform-write locks                                    all designs
  perform-write locks ./mine.ts reserve-allocate         yours beside another
  perform-write locks get-block --executions 20000       more runs

Exit: 0 no cycle; 1 a design takes locks in both orders; 2 usage; 3 this machine stands in the way.
`

/** The command. */
export const locksCommand = (): Command =>
  new Command('locks')
    .description('which lock each design takes while it holds which, and whether that goes round in a circle')
    .argument('[designs...]', 'names, or files that export a Strategy as default; none: all')
    .option('--executions <n>', 'runs of each design, over all lanes of a check', parseWhole, 2000)
    .option('--seed <n>', 'which programs come first', parseWhole, 1)
    .option('--json <file>', 'also write the result to a file')
    .addHelpText('after', EXAMPLES)
    .action(async (designs: string[], options: Options) => {
      const given = designs.length === 0 ? strategies : await Promise.all(designs.map(designFor))
      const orders = given.map((s) => observe(s, options))
      const scope = `${plural(options.executions, 'run')} of each design, seed ${options.seed}: one, two and three fibers, with and ` +
        'without a fault. How often a lock was taken while another was held; locks taken alone are not shown. Folio locks are told ' +
        'apart by their order in the file.'
      process.stdout.write(`${wrap(scope)}\n\n${locksTable(orders)}\n${cycleLines(orders)}`)
      if (options.json !== undefined) writeJson(options.json, { command: 'locks', seed: options.seed, designs: orders })
      process.exitCode = orders.some((o) => cycleOf(o) !== null) ? EXIT.failed : EXIT.pass
    })

const observe = (strategy: AnyStrategy, { executions, seed }: Options): ObservedOrder => {
  const progress = new Progress('locks')
  const steps = check({ strategy, judges: JUDGES, seed, executions })
  for (;;) {
    const step = steps.next()
    if (step.done === true) {
      progress.done()
      const { executions, lockOrder: edges } = step.value
      return { strategy: strategy.name, executions, edges }
    }
    progress.say(`${strategy.name}: ${step.value.executions} of ${executions} runs`)
  }
}
