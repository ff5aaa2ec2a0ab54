/**
 * Designs by name or by file.
 *
 * A plugin is a module that exports a Strategy as default (docs/writing-a-strategy.md). Its shape is checked before anything
 * runs (lab/shape.ts); each message names the file, the field and what is wanted.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AnyStrategy } from '../fs/strategy.ts'
import { strategyProblem } from '../lab/shape.ts'
import { strategies } from '../strategies/index.ts'
import { UsageError } from './errors.ts'
import { strategyNamed } from './options.ts'

/** Does this argument name a file, not a design? */
export const isFile = (argument: string): boolean => /[/\\]|\.[cm]?[jt]s$/.test(argument)

/** The design in a file. @throws UsageError if there is none, or its shape or name will not do */
export const loadPlugin = async (file: string): Promise<AnyStrategy> => {
  let module: { readonly default?: unknown }
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as { default?: unknown }
  } catch (e) {
    const { code, name, message }: NodeJS.ErrnoException = e instanceof Error ? e : new Error(String(e))
    const missing = code === 'ERR_MODULE_NOT_FOUND' && message.includes(resolve(file))
    throw new UsageError(`${file}: ${missing ? 'there is no such file' : `cannot be loaded: ${name}: ${message}`}`)
  }
  const problem = strategyProblem(module.default)
  if (problem !== null) throw new UsageError(`${file}: ${problem}; see docs/writing-a-strategy.md`)
  const strategy = module.default as AnyStrategy
  if (strategies.some((s) => s.name === strategy.name)) {
    const taken = `the name "${strategy.name}" belongs to a design that comes with perform-write`
    throw new UsageError(`${file}: ${taken}; choose another`)
  }
  return strategy
}

/** The design that an argument names. @throws UsageError that says which are known, or what is wrong with the file */
export const designFor = (argument: string): Promise<AnyStrategy> =>
  isFile(argument) ? loadPlugin(argument) : Promise.resolve().then(() => strategyNamed(argument))
