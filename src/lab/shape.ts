/**
 * Shape: is a value that somebody hands over a Strategy at all?
 *
 * Looked at before anything runs; the answer is one line that names the field and what is wanted.
 */
import { HOOKS, PLAIN_HOOKS } from './watch.ts'

const TEXTS = ['name', 'summary', 'source'] as const
const ONE_OF: Readonly<Record<string, readonly string[]>> = {
  unit: ['folio', 'extent', 'write'], copy: ['atomic', 'faulting', 'whole'],
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
