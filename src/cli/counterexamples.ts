/**
 * Counterexamples as files: a finding of a check, shrunk and wrapped up so that a stranger can open it; and back again.
 *
 * Interface: `wrapUp` makes the file's content from what a check found, `readCounterexample` takes a file. The hash in it is that
 * of the design's source, so that a replay can say whether the design is still the same.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isLeft } from 'fp-ts/lib/Either.js'
import { CLAIMS, JUDGES } from '../../properties/claims/index.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import type { Counterexample } from '../lab/check/check.ts'
import { type CounterexampleFile, type Design, parseCounterexample, printCounterexample } from '../lab/check/counterexample.ts'
import type { Bench } from '../lab/check/rerun.ts'
import { shrink } from '../lab/check/shrink.ts'
import { timelineOf } from '../lab/check/timeline.ts'
import { counterexampleLines, timelineLines } from '../report/timeline.ts'
import { UsageError } from './errors.ts'
import { isFile } from './plugin.ts'
import { toolVersion } from './version.ts'

/** A design as a bench for reruns: all judges look on. */
export const benchOf = (strategy: AnyStrategy): Bench => ({ strategy, judges: JUDGES })

/** What a claim says. Outcomes that are no claim say so themselves. */
export const sentenceOf = (claim: string): string =>
  CLAIMS.find((c) => c.id === claim)?.sentence ??
  (claim === 'port' ? 'A hook keeps the contract of the strategy port, and nothing throws.' : 'The same choices lead to the same state.')

const hashOf = (text: string | Buffer): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

const FOLDER = new URL('../strategies/', import.meta.url)

/** The file that defines a design that comes with perform-write: that of its name, or the one that names it. */
const builtIn = (name: string): string | null => {
  const files = readdirSync(FOLDER).filter((f) => /\.[jt]s$/.test(f) && !/\.(test|test-util|d)\.ts$|^index\./.test(f))
  const own = files.find((f) => f.replace(/\.[jt]s$/, '') === name)
  return own ?? files.find((f) => readFileSync(new URL(f, FOLDER), 'utf8').includes(`'${name}'`)) ?? null
}

/**
 * Where a design comes from, and the hash of its source.
 * @param argument as the command line named it: a name or a file
 * @param mutant a change that is alive, as text: what the mutant's hash is of
 */
export const designOf = (argument: string, strategy: AnyStrategy, mutant?: { readonly id: string; readonly change: string }): Design => {
  const file = isFile(argument) ? argument : builtIn(strategy.name)
  const path = file === null ? fileURLToPath(import.meta.url) : isFile(argument) ? resolve(file) : fileURLToPath(new URL(file, FOLDER))
  const shown = isFile(argument) ? argument : `src/strategies/${file ?? 'index.ts'}`
  const design = { name: strategy.name, file: shown, hash: hashOf(readFileSync(path)) }
  return mutant === undefined ? design : { ...design, mutant: { id: mutant.id, hash: hashOf(mutant.change) } }
}

/** A counterexample wrapped up: what the file holds, and the lines that a report shows. */
export interface WrappedUp {
  readonly file: CounterexampleFile
  /** @param replay the command that shows it again */
  readonly lines: (replay: string) => readonly string[]
}

/**
 * Shrink a finding and wrap it up.
 * @returns null if the finding does not show itself when it is run again
 */
export const wrapUp = (
  found: Counterexample, design: Design, bench: Bench, more: { readonly seed: number | null; readonly executions?: number },
): WrappedUp | null => {
  const { seed, executions } = more
  const small = shrink(found, { ...bench, ...(executions !== undefined && { executions }) })
  if (small === null) return null
  const timeline = timelineOf(small, bench)
  const { claim, program, tape, what } = small
  const expected = sentenceOf(claim)
  const file: CounterexampleFile = {
    claim, expected, actual: what, strategy: design, seed, version: toolVersion(), node: process.version, program, tape,
    timeline: timelineLines(timeline),
  }
  return { file, lines: (replay) => counterexampleLines({ claim, expected, strategy: nameOf(design), program }, timeline, replay) }
}

/** `delalloc-per-block with Z55`. */
export const nameOf = ({ name, mutant }: Design): string => (mutant === undefined ? name : `${name} with ${mutant.id}`)

/** Write it into `folder`, which is made if need be, under a name that says what it is. @returns the path */
export const saveCounterexample = (folder: string, file: CounterexampleFile): string => {
  const text = printCounterexample(file)
  const { name, mutant } = file.strategy
  const path = join(folder, [file.claim, mutant?.id ?? name, hashOf(text).slice(7, 15)].join('-') + '.json')
  mkdirSync(folder, { recursive: true })
  writeFileSync(path, text)
  return path
}

/** The counterexample in a file. @throws UsageError in one line that names the file, and the line or field */
export const readCounterexample = (path: string): CounterexampleFile => {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException
    throw new UsageError(`${path}: ${code === 'ENOENT' ? 'there is no such file' : `cannot be read: ${code}`}`)
  }
  const parsed = parseCounterexample(text)
  if (isLeft(parsed)) throw new UsageError(`${path}: ${parsed.left}`)
  return parsed.right
}

/** What `designFor` takes to find the design of a counterexample again: its name, or its file, beside `path` if need be. */
export const argumentOf = ({ strategy: { name, file } }: CounterexampleFile, path: string): string => {
  if (file.startsWith('src/strategies/')) return name
  const beside = resolve(dirname(path), file)
  return existsSync(file) ? file : existsSync(beside) ? beside : file
}
