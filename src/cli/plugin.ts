/**
 * Designs by name or by file.
 *
 * A plugin is a module that exports a Strategy as default (docs/writing-a-strategy.md). Its shape is checked before anything
 * runs; each message names the file, the field and what is wanted.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AnyStrategy } from '../fs/strategy.ts'
import { HOOKS, PLAIN_HOOKS } from '../lab/watch.ts'
import { strategies } from '../strategies/index.ts'
import { UsageError } from './errors.ts'
import { strategyNamed } from './options.ts'

/** Does this argument name a file, not a design? */
export const isFile = (argument: string): boolean => /[/\\]|\.[cm]?[jt]s$/.test(argument)

const TEXTS = ['name', 'summary', 'source'] as const
const ONE_OF: Readonly<Record<string, readonly string[]>> = {
  unit: ['folio', 'extent', 'write'], copy: ['atomic', 'faulting'],
}
const CLAIMS: Readonly<Record<string, readonly unknown[]>> = {
  isolation: ['none', 'page', 'folio', 'write'], faultIn: ['any', 'all'], readLock: ['none', 'shared'],
  enospcUnit: ['block', 'folio', 'write'], mmapHole: ['fault', 'late'], stablePages: [true, false],
  checksumAt: ['copy', 'submit'], rollback: [true, false],
}
const OTHER = ['unit', 'copy', 'claims']

const found = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  return typeof value === 'function' ? 'a function' : JSON.stringify(value)
}

/** What is wrong with `value` as a Strategy: one line, or null. */
export const strategyProblem = (value: unknown): string | null => {
  if (typeof value !== 'object' || value === null) return `the default export must be a Strategy, found ${found(value)}`
  const s = value as Readonly<Record<string, unknown>>
  for (const field of TEXTS) {
    if (typeof s[field] === 'string' && s[field] !== '') continue
    return `"${field}" must be a text that is not empty, found ${found(s[field])}`
  }
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(s['name'] as string)) {
    return `"name" must be lower case with hyphens, at most 32 characters, found ${found(s['name'])}`
  }
  for (const [field, allowed] of Object.entries(ONE_OF)) {
    if (allowed.includes(s[field] as string)) continue
    return `"${field}" must be one of ${allowed.join(', ')}, found ${found(s[field])}`
  }
  if (typeof s['claims'] !== 'object' || s['claims'] === null) {
    return `"claims" must be an object, found ${found(s['claims'])}`
  }
  for (const [field, allowed] of Object.entries(CLAIMS)) {
    const claim = (s['claims'] as Record<string, unknown>)[field]
    if (!allowed.includes(claim)) return `"claims.${field}" must be one of ${allowed.join(', ')}, found ${found(claim)}`
  }
  return hookProblem(s)
}

const isGenerator = (f: unknown): boolean => Object.prototype.toString.call(f) === '[object GeneratorFunction]'

const hookProblem = (s: Readonly<Record<string, unknown>>): string | null => {
  if (s['begin'] === undefined) return '"begin" is missing: it is the one hook that every design has'
  for (const hook of HOOKS) {
    const f = s[hook]
    if (f === undefined) continue
    if (typeof f !== 'function') return `"${hook}" must be a function, found ${found(f)}`
    const plain = PLAIN_HOOKS.includes(hook)
    if (plain && (isGenerator(f) || /^async/.test(Function.prototype.toString.call(f)))) {
      return `"${hook}" must be a plain function that returns true or false`
    }
    if (!plain && !isGenerator(f)) return `"${hook}" must be a generator: write *${hook}(...) {...}`
  }
  const known = [...TEXTS, ...OTHER, ...HOOKS] as string[]
  const unknown = Object.keys(s).find((key) => !known.includes(key))
  return unknown === undefined ? null : `"${unknown}" is no field of a Strategy; known are ${known.join(', ')}`
}

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
