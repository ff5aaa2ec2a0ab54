/**
 * Rule: a function from a source file to what is wrong in it, and which files there are rules about.
 */
import { DETERMINISTIC, layerOf, SHIPPED } from './layers.ts'
import type { Unit } from './project.ts'

/** What is wrong, where (a line from 1), and what to do. */
export interface Finding {
  readonly line: number
  readonly message: string
}

/** A rule. `applies` says which files it is about. */
export interface Rule {
  readonly name: string
  readonly applies: (path: string) => boolean
  readonly check: (unit: Unit) => readonly Finding[]
}

/** Tests, and what only they use. */
export const isTest = (path: string): boolean =>
  /\.test(-util)?\.ts$/.test(path) || path.startsWith('src/tidy/') || path.startsWith('properties/types/')
/** Shipped sources. */
export const isSource = (path: string): boolean => path.startsWith('src/') && !isTest(path)
/** Files that people read to learn: contracts, doc comments and sizes count. */
export const isCode = (path: string): boolean => isSource(path) || (path.startsWith('properties/') && !isTest(path))
/** Files that `npm run build` emits: src, and what it needs of properties. */
export const isShipped = (path: string): boolean =>
  isSource(path) || (SHIPPED.some((s) => path.startsWith(s)) && !isTest(path))
/** The designs. */
export const isStrategy = (path: string): boolean => path.startsWith('src/strategies/') && !isTest(path)
/** Below the lab. */
export const isDeterministic = (path: string): boolean => isSource(path) && DETERMINISTIC.includes(layerOf(path))

/** Run one rule over files; findings as `path:line: message`. */
export const findings = (rule: Rule, units: readonly Unit[]): readonly string[] =>
  units
    .filter((u) => rule.applies(u.path))
    .flatMap((u) => rule.check(u).map((f) => `${u.path}:${f.line}: ${f.message}`))
