#!/usr/bin/env node
/**
 * perform-write: the commands.
 *
 * Results on stdout, everything else on stderr, machine output only to the file of --json. Exit 0 pass, 1 a property failed,
 * 2 usage, 3 infrastructure; errors are one line that names the place and says what to do.
 */
import { Command, CommanderError } from 'commander'
import { checkCommand } from './check.ts'
import { compareCommand } from './compare.ts'
import { conformCommand } from './conform.ts'
import { crashCommand } from './crash.ts'
import { EXIT, explain } from './errors.ts'
import { importCommand } from './import.ts'
import { initCommand } from './init.ts'
import { listCommand } from './list.ts'
import { locksCommand } from './locks.ts'
import { mkfsCommand } from './mkfs.ts'
import { replayCommand } from './replay.ts'
import { runCommand } from './run.ts'
import { undoCommand } from './undo.ts'
import { witnessCommand } from './witness.ts'
import { toolVersion } from './version.ts'

const EXAMPLES = `
Start here:
  perform-write compare                        the five designs of 2010 side by side, within a minute
  perform-write compare all                    all designs that there are, within some minutes
  perform-write list                           what there is to compare
  perform-write compare reserve-allocate ./mine.ts   your own design against one of them
  perform-write check ./mine.ts --budget smoke       every schedule and fault of small programs, in five seconds
  perform-write init strategy my-design        a folder to begin a design in

Exit: 0 pass, 1 a property failed, 2 usage, 3 this machine or an image stands in the way.
`

const program = new Command('perform-write')
  .description('Design, check and compare file system write paths before you write kernel C.')
  .version(toolVersion(), '-V, --version')
  .addHelpText('after', EXAMPLES)
  .showHelpAfterError('(add --help for the options and examples)')
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'perform-write: ')) })

const commands = [
  listCommand(), compareCommand(), checkCommand(), replayCommand(), runCommand(), mkfsCommand(), importCommand(),
  conformCommand(), initCommand(), undoCommand(), locksCommand(), witnessCommand(), crashCommand(),
]
for (const command of commands) {
  command.copyInheritedSettings(program)
  program.addCommand(command)
}
const everyCommand = [program, ...commands]
for (const command of everyCommand) command.exitOverride()

/** A pipe that was closed early (`| head`) is no error. */
process.stdout.on('error', (e: NodeJS.ErrnoException) => {
  if (e.code === 'EPIPE') process.exit()
  throw e
})

try {
  if (process.argv.length <= 2) program.outputHelp()
  else await program.parseAsync()
} catch (e) {
  if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? EXIT.pass : EXIT.usage
  else {
    const { message, code } = explain(e)
    process.stderr.write(`perform-write: ${message}\n`)
    process.exitCode = code
  }
}
