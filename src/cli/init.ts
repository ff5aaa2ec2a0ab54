/** perform-write init: a plugin folder with a design that compiles and fails on purpose, and the suite as its test. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Argument, Command } from 'commander'
import { strategies } from '../strategies/index.ts'
import { UsageError } from './errors.ts'
import { templateFiles } from './init-template.ts'
import { toolVersion } from './version.ts'

/** The command. */
export const initCommand = (): Command =>
  new Command('init')
    .description('a folder for a design of your own: a package whose test is the whole suite')
    .addArgument(new Argument('<kind>', 'what to begin').choices(['strategy']))
    .argument('<name>', 'lower case with hyphens: the name of the design and of the folder')
    .addHelpText('after', '\nExample:\n  perform-write init strategy my-design && cd my-design && npm install && npm test\n')
    .action((_kind: string, name: string) => init(name))

const init = (name: string): void => {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(name)) {
    throw new UsageError(`"${name}" is no name for a design: lower case with hyphens, at most 32 characters, as in my-design`)
  }
  if (strategies.some((s) => s.name === name)) throw new UsageError(`the name "${name}" belongs to a design that comes with perform-write`)
  if (existsSync(name) && readdirSync(name).length > 0) throw new UsageError(`${name}: exists and is not empty; choose another name`)
  mkdirSync(name, { recursive: true })
  const files = templateFiles(name, toolVersion())
  for (const [file, text] of Object.entries(files)) writeFileSync(join(name, file), text)
  process.stdout.write(`${name}: ${Object.keys(files).join(', ')}\nnext: cd ${name} && npm install && npm test\n`)
}
