/**
 * perform-write undo: what each design does to take a failed write back, and whether that can fail in turn. The
 * question of seed 002, counted.
 */
import { Command } from 'commander'
import { JUDGES } from '../../properties/claims/index.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { singles, UNDO_PROGRAMS, undo, type UndoReport } from '../lab/check/undo.ts'
import { undoLosses, undoScope, undoSites, undoSummary } from '../report/undo.ts'
import { strategies } from '../strategies/index.ts'
import { EXIT } from './errors.ts'
import { parseWhole, writeJson } from './options.ts'
import { designFor } from './plugin.ts'
import { Progress } from './progress.ts'

interface Options {
  readonly programs?: number
  readonly seed: number
  readonly sites?: true
  readonly json?: string
}

const EXAMPLES = `
Examples:
  perform-write undo                                       all designs, one row each
  perform-write undo reserve-allocate reserve-copy-allocate --sites     two of them, one row a fault site
  perform-write undo ./mine.ts --programs 2000             your own, on more programs

Exit: 0 the table was made, whatever it says; 2 usage; 3 this machine stands in the way.
`

/** The command. */
export const undoCommand = (): Command =>
  new Command('undo')
    .description('what a design does to take a failed write back, fault site by fault site, and whether that can fail in turn')
    .argument('[designs...]', 'names, or files that export a Strategy as default; none: all')
    .option('--programs <n>', 'instead of the 90 programs of the table: so many of those that check draws', parseWhole)
    .option('--seed <n>', 'with --programs: which of them come first', parseWhole, 1)
    .option('--sites', 'also one row a fault site')
    .option('--json <file>', 'also write the result to a file, with the runs that break a claim')
    .addHelpText('after', EXAMPLES)
    .action(async (designs: string[], options: Options) => {
      const given = designs.length === 0 ? strategies : await Promise.all(designs.map(designFor))
      const reports = given.map((s) => count(s, options))
      const sites = options.sites === true ? reports.map((r) => `${undoSites(r)}\n`).join('') : ''
      process.stdout.write(`${undoScope(reports)}\n${undoSummary(reports)}\n${sites}${undoLosses(reports)}`)
      if (options.json !== undefined) writeJson(options.json, { command: 'undo', ...options, designs: reports })
      process.exitCode = EXIT.pass
    })

const count = (strategy: AnyStrategy, { programs, seed }: Options): UndoReport => {
  const progress = new Progress('undo')
  const steps = undo({ strategy, judges: JUDGES, programs: programs === undefined ? UNDO_PROGRAMS : singles(programs, seed) })
  for (;;) {
    const step = steps.next()
    if (step.done === true) {
      progress.done()
      return step.value
    }
    progress.say(`${strategy.name}: ${step.value.programs} of ${programs ?? UNDO_PROGRAMS.length} programs`)
  }
}
