/**
 * Crash counterexample: a crash state in which a claim did not hold, as a file that stands for itself.
 *
 * One JSON object as in lab/check/counterexample.ts, of kind `crash counterexample`: the claim, how it was broken, the design with a
 * hash of its source, what ran (operations, or a program), and the tape with its sub-tapes `crash` and `tear`. `picture` is for
 * readers; nothing reads it back.
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import type { TapeData } from '../../sim/tape.ts'
import { Bad, type Design, designOf, programOf, tapeOf } from '../check/counterexample.ts'
import type { Operation } from '../workload/operation.ts'
import { operationProblem } from '../workload/schema.ts'
import { CRASH_MODES } from './declared.ts'
import type { Scenario } from './scenario.ts'

/** The version of the file format. */
export const CRASH_SCHEMA = 1
/** What `kind` says. */
export const CRASH_KIND = 'crash counterexample'

/** What a file holds. */
export interface CrashFile {
  readonly claim: string
  readonly expected: string
  readonly actual: string
  readonly strategy: Design
  readonly scenario: Scenario
  readonly tape: TapeData
  readonly seed: number | null
  readonly version: string
  readonly node: string
  readonly picture: readonly string[]
}

const lines = (list: readonly unknown[]): string =>
  (list.length === 0 ? '[]' : `[\n${list.map((x) => `    ${JSON.stringify(x)}`).join(',\n')}\n  ]`)

/** The file's text. Same counterexample, same text. */
export const printCrash = (c: CrashFile): string => {
  const { operations, program, ...ground } = c.scenario
  const fields: [string, string][] = [
    ['schema', String(CRASH_SCHEMA)], ['tool', '"perform-write"'], ['kind', JSON.stringify(CRASH_KIND)],
    ...Object.entries({
      claim: c.claim, expected: c.expected, actual: c.actual, strategy: c.strategy, seed: c.seed, version: c.version, node: c.node, ground,
    }).map(([k, v]): [string, string] => [k, JSON.stringify(v)]),
    ...(operations === undefined ? [] : [['operations', lines(operations)] as [string, string]]),
    ...(program === undefined ? [] : [['program', JSON.stringify(program)] as [string, string]]),
    ['tape', JSON.stringify(c.tape)], ['picture', lines(c.picture)],
  ]
  return `{\n${fields.map(([k, v]) => `  "${k}": ${v}`).join(',\n')}\n}\n`
}

type Fields = Readonly<Record<string, unknown>>

const bad = (at: string, want: string): never => {
  throw new Bad(`${at}: must be ${want}`)
}
const textOf = (v: unknown, at: string): string => (typeof v === 'string' && v !== '' ? v : bad(at, 'a text that is not empty'))
const wholeOf = (v: unknown, at: string): number =>
  (Number.isSafeInteger(v) && (v as number) >= 0 ? (v as number) : bad(at, 'a whole number'))
const flagOf = (v: unknown, at: string): boolean => (typeof v === 'boolean' ? v : bad(at, 'true or false'))
const fieldsOf = (v: unknown, at: string): Fields =>
  (typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Fields) : bad(at, 'an object'))

/** Most bytes of a device that a file may ask for. */
const MOST_BYTES = 2 ** 32

const scenarioOf = (f: Fields): Scenario => {
  const g = fieldsOf(f['ground'], 'ground')
  const mode = CRASH_MODES.find((m) => m === g['mode']) ?? bad('ground.mode', `one of ${CRASH_MODES.join(', ')}`)
  const blockSize = [1024, 2048, 4096].find((n) => n === g['blockSize']) ?? bad('ground.blockSize', '1024, 2048 or 4096')
  const size = wholeOf(g['size'], 'ground.size')
  if (size > MOST_BYTES || size % blockSize !== 0) bad('ground.size', `a multiple of the block size, at most ${MOST_BYTES}`)
  const ground = {
    mode, blockSize, size, salt: wholeOf(g['salt'], 'ground.salt'),
    flushes: flagOf(g['flushes'], 'ground.flushes'), torn: flagOf(g['torn'], 'ground.torn'),
  }
  if (f['program'] !== undefined) return { ...ground, program: programOf(f['program']) }
  const list = Array.isArray(f['operations']) ? f['operations'] : bad('operations', 'a list')
  for (const [i, op] of (list as unknown[]).entries()) {
    const problem = operationProblem(op)
    if (problem !== undefined) throw new Bad(`operations[${i}]: ${problem}`)
  }
  return { ...ground, operations: list as Operation[] }
}

/** Is this the text of a crash counterexample, as far as its kind goes? */
export const isCrashFile = (text: string): boolean => new RegExp(`"kind":\\s*"${CRASH_KIND}"`).test(text.slice(0, 400))

/** A counterexample from its text; or one line that says which field is wrong. */
export const parseCrash = (text: string): Either<string, CrashFile> => {
  try {
    const f = fieldsOf(JSON.parse(text), 'the file')
    if (f['tool'] !== 'perform-write' || f['kind'] !== CRASH_KIND) bad('kind', `"${CRASH_KIND}" of perform-write`)
    if (f['schema'] !== CRASH_SCHEMA) bad('schema', `${CRASH_SCHEMA}; use the version that wrote it`)
    return right({
      claim: textOf(f['claim'], 'claim'), expected: textOf(f['expected'], 'expected'), actual: textOf(f['actual'], 'actual'),
      strategy: designOf(f['strategy']), scenario: scenarioOf(f), tape: tapeOf(f['tape'] ?? {}),
      seed: f['seed'] === null ? null : wholeOf(f['seed'], 'seed'),
      version: textOf(f['version'], 'version'), node: textOf(f['node'], 'node'),
      picture: Array.isArray(f['picture']) ? f['picture'].map(String) : [],
    })
  } catch (e) {
    if (e instanceof Bad) return left(e.message)
    if (e instanceof SyntaxError) return left(`this is no JSON: ${e.message}`)
    throw e
  }
}
