/**
 * Counterexample: a run in which a claim did not hold, as a file that stands for itself.
 *
 * One JSON object: `schema` and `tool` as in every file of this tool; the claim, what it says (`expected`) and how it was broken
 * (`actual`); the design with a hash of its source; the program with its ground; the tape, every decision with its label; the
 * seed and the versions. `operations` and `timeline` are for readers: they follow from the rest, and nothing reads them back.
 *
 * Interface: `printCounterexample` gives the text, `parseCounterexample` takes it back or says in one line which field is wrong
 * and what was wanted. What parses can be run: what a world cannot hold is refused here.
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { KINDS, strip, type Decision, type TapeData } from '../../sim/tape.ts'
import { FORMATS } from '../session.ts'
import { type Action, type Actions, hasBytes, MOST_TAGS, PIPE_KINDS, type Program, sayAction, sayConfig } from './program.ts'
import { MOST_BYTES } from './past.ts'

/** The version of the file format. */
export const SCHEMA = 1

/** The design that broke the claim. */
export interface Design {
  readonly name: string
  /** Its file: relative to the project, or as it was given. */
  readonly file: string
  /** `sha256:` and 64 hexadecimal digits, of the file's bytes. */
  readonly hash: string
  /** A mutant that was alive, by its number in the bug zoo, and the hash of its change. */
  readonly mutant?: { readonly id: string; readonly hash: string }
}

/** What a file holds. */
export interface CounterexampleFile {
  readonly claim: string
  /** What the claim says. */
  readonly expected: string
  /** How it was broken. */
  readonly actual: string
  readonly strategy: Design
  readonly program: Program
  readonly tape: TapeData
  /** Seed of the check that found it, if a check did. */
  readonly seed: number | null
  /** Versions of perform-write and of Node. */
  readonly version: string
  readonly node: string
  /** In one sentence: the bug behind it, once it is known. */
  readonly note?: string
  readonly timeline: readonly string[]
}

/** Actions of a program, one line each. */
export const sayProgram = ({ config, before, fibers }: Program): readonly string[] => [
  sayConfig(config), ...before.map((a) => `before: ${sayAction(a)}`),
  ...fibers.flatMap((f, i) => f.map((a) => `fiber ${i + 1}: ${sayAction(a)}`)),
]

// --- printing --------------------------------------------------------------------------------------------------------

/** A list with one entry a line. */
const lines = (list: readonly unknown[], indent: string): string =>
  list.length === 0 ? '[]' : `[\n${list.map((x) => `${indent}  ${JSON.stringify(x)}`).join(',\n')}\n${indent}]`

/** The file's text, its last line ended. Same counterexample, same text. */
export const printCounterexample = (c: CounterexampleFile): string => {
  const { program, timeline, ...rest } = c
  const tape = strip(c.tape)
  const { claim, expected, actual, note, strategy, seed, version, node } = rest
  const fields: [string, string][] = [
    ['schema', String(SCHEMA)], ['tool', '"perform-write"'], ['kind', '"counterexample"'],
    ...Object.entries({ claim, expected, actual, ...(note !== undefined && { note }), strategy, seed, version, node })
      .map(([k, v]): [string, string] => [k, JSON.stringify(v)]),
    ['operations', lines(sayProgram(program), '  ')],
    ['program', `{\n    "config": ${JSON.stringify(program.config)},\n    "before": ${lines(program.before, '    ')},\n    "fibers": [` +
      `${program.fibers.map((f) => `\n      ${lines(f, '      ')}`).join(',')}\n    ]\n  }`],
    ['tape', `{${KINDS.filter((k) => tape[k] !== undefined).map((k) => `\n    "${k}": ${lines(tape[k]!, '    ')}`).join(',')}` +
      `${KINDS.some((k) => tape[k] !== undefined) ? '\n  ' : ''}}`],
    ['timeline', lines(timeline, '  ')],
  ]
  return `{\n${fields.map(([k, v]) => `  "${k}": ${v}`).join(',\n')}\n}\n`
}

// --- parsing ---------------------------------------------------------------------------------------------------------

/** A field that is not what it should be: the message names it. */
export class Bad extends Error {}

const bad = (at: string, want: string, found: unknown): never => {
  const text = found === undefined ? 'nothing' : (JSON.stringify(found) ?? String(found))
  throw new Bad(`${at}: must be ${want}, found ${text.length > 60 ? `${text.slice(0, 60)}...` : text}`)
}

type Fields = Readonly<Record<string, unknown>>

const fieldsOf = (v: unknown, at: string): Fields =>
  typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Fields) : bad(at, 'an object', v)
const listOf = (v: unknown, at: string): readonly unknown[] => (Array.isArray(v) ? v : bad(at, 'a list', v))
const textOf = (v: unknown, at: string, like: RegExp = /./, want = 'a text that is not empty'): string =>
  typeof v === 'string' && like.test(v) ? v : bad(at, want, v)
const wholeOf = (v: unknown, at: string, most: number, least = 0): number =>
  typeof v === 'number' && Number.isInteger(v) && v >= least && v <= most ? v : bad(at, `a whole number from ${least} to ${most}`, v)
const oneOf = <A>(v: unknown, at: string, all: readonly A[]): A =>
  all.includes(v as A) ? (v as A) : bad(at, `one of ${all.join(', ')}`, v)

/** No other fields than these. */
const only = (fields: Fields, at: string, known: readonly string[]): void => {
  const other = Object.keys(fields).find((k) => !known.includes(k))
  if (other !== undefined) throw new Bad(`${at}.${other}: is no field of this; known are ${known.join(', ')}`)
}

const WITH_RANGE = ['write', 'read', 'load', 'store', 'punch', 'zero', 'allocate', 'dma'] as const
const WITHOUT = ['fsync', 'writeback', 'reclaim', 'sync', 'drop', 'stat'] as const
const OPS = [...WITH_RANGE, 'truncate', ...WITHOUT] as const
const WRITE_FLAGS = ['append', 'absent', 'nowait', 'direct', 'sync', 'cursor', 'pieces'] as const

const actionOf = (v: unknown, at: string): Action => {
  const a = fieldsOf(v, at)
  const op = oneOf(a['op'], `${at}.op`, OPS)
  if (op === 'truncate') wholeOf(a['size'], `${at}.size`, MOST_BYTES)
  if ((WITH_RANGE as readonly string[]).includes(op)) {
    const pos = wholeOf(a['pos'], `${at}.pos`, MOST_BYTES)
    wholeOf(a['len'], `${at}.len`, MOST_BYTES - pos)
  }
  const flags: readonly string[] = op === 'write' ? WRITE_FLAGS : op === 'allocate' ? ['keep'] : op === 'read' ? ['direct'] : []
  for (const flag of flags) if (a[flag] !== undefined && a[flag] !== true) bad(`${at}.${flag}`, 'true, or left out', a[flag])
  if (a['readable'] !== undefined) wholeOf(a['readable'], `${at}.readable`, a['len'] as number)
  if (a['self'] !== undefined) wholeOf(a['self'], `${at}.self`, MOST_BYTES / 4096)
  if (op === 'write' && a['pipe'] !== undefined) oneOf(a['pipe'], `${at}.pipe`, PIPE_KINDS)
  const more = op === 'write' ? ['readable', 'self', 'pipe'] : []
  const range = op === 'truncate' ? ['size'] : (WITHOUT as readonly string[]).includes(op) ? [] : ['pos', 'len']
  only(a, at, ['op', ...range, ...flags, ...more])
  return a as unknown as Action
}

const actionsOf = (v: unknown, at: string): Actions => listOf(v, at).map((a, i) => actionOf(a, `${at}[${i}]`))

/** Most fibers, and most actions of one, that a world tells apart. */
const MOST_FIBERS = 4
const MOST_ACTIONS = 7

/** A program. @throws Bad */
export const programOf = (v: unknown): Program => {
  const p = fieldsOf(v, 'program')
  only(p, 'program', ['config', 'before', 'fibers'])
  const c = fieldsOf(p['config'], 'program.config')
  only(c, 'program.config', ['format', 'blockSize', 'folioOrder', 'leave', 'quota'])
  oneOf(c['format'], 'program.config.format', FORMATS)
  oneOf(c['blockSize'], 'program.config.blockSize', [1024, 2048, 4096])
  wholeOf(c['folioOrder'], 'program.config.folioOrder', 4)
  for (const name of ['leave', 'quota']) if (c[name] !== undefined) wholeOf(c[name], `program.config.${name}`, 2048)
  const before = actionsOf(p['before'], 'program.before')
  const lists = listOf(p['fibers'], 'program.fibers')
  if (lists.length < 1 || lists.length > MOST_FIBERS) bad('program.fibers', `1 to ${MOST_FIBERS} lists`, lists.length)
  const fibers = lists.map((f, i) => actionsOf(f, `program.fibers[${i}]`))
  fibers.forEach((f, i) => {
    if (f.length < 1 || f.length > MOST_ACTIONS) bad(`program.fibers[${i}]`, `1 to ${MOST_ACTIONS} actions`, f.length)
  })
  const tags = [...before, ...fibers.flat()].filter(hasBytes).length
  if (tags > MOST_TAGS) bad('program', `at most ${MOST_TAGS} actions that write`, tags)
  return { config: c as unknown as Program['config'], before, fibers }
}

/** Most courses of one decision. */
const MOST_COURSES = 1 << 16

/** A tape. @throws Bad */
export const tapeOf = (v: unknown): TapeData => {
  const t = fieldsOf(v, 'tape')
  only(t, 'tape', KINDS)
  const kinds = KINDS.filter((k) => t[k] !== undefined)
  return strip(Object.fromEntries(kinds.map((k) => [k, listOf(t[k], `tape.${k}`).map((d, i): Decision => {
    const at = `tape.${k}[${i}]`
    const f = fieldsOf(d, at)
    only(f, at, ['n', 'pick', 'label'])
    const n = wholeOf(f['n'], `${at}.n`, MOST_COURSES, 1)
    return { n, pick: wholeOf(f['pick'], `${at}.pick`, n - 1), label: textOf(f['label'], `${at}.label`) }
  })])))
}

const HASH = /^sha256:[0-9a-f]{64}$/
const hashOf = (v: unknown, at: string): string => textOf(v, at, HASH, 'sha256: and 64 hexadecimal digits')

/** A design. @throws Bad */
export const designOf = (v: unknown): Design => {
  const d = fieldsOf(v, 'strategy')
  only(d, 'strategy', ['name', 'file', 'hash', 'mutant'])
  const [name, file, hash] = [textOf(d['name'], 'strategy.name'), textOf(d['file'], 'strategy.file'), hashOf(d['hash'], 'strategy.hash')]
  if (d['mutant'] === undefined) return { name, file, hash }
  const m = fieldsOf(d['mutant'], 'strategy.mutant')
  const id = textOf(m['id'], 'strategy.mutant.id', /^Z\d\d[a-z]?$/, 'a number such as Z55')
  return { name, file, hash, mutant: { id, hash: hashOf(m['hash'], 'strategy.mutant.hash') } }
}

const FIELDS = [
  'schema', 'tool', 'kind', 'claim', 'expected', 'actual', 'note', 'strategy', 'seed', 'version', 'node', 'operations', 'program', 'tape',
  'timeline',
]

const decode = (value: unknown): CounterexampleFile => {
  const f = fieldsOf(value, 'the file')
  if (f['tool'] !== 'perform-write' || f['kind'] !== 'counterexample') {
    throw new Bad('this is no counterexample of perform-write: "tool" and "kind" say otherwise')
  }
  const { schema } = f
  if (schema !== SCHEMA) {
    throw new Bad(`schema: this perform-write reads ${SCHEMA}, found ${JSON.stringify(schema)}; use the version that wrote it`)
  }
  only(f, 'the file', FIELDS)
  return {
    claim: textOf(f['claim'], 'claim', /^(I\d{1,2}|port|indeterminate)$/, 'a claim such as I4'),
    expected: textOf(f['expected'], 'expected'), actual: textOf(f['actual'], 'actual'),
    strategy: designOf(f['strategy']), program: programOf(f['program']), tape: tapeOf(f['tape']),
    seed: f['seed'] === null ? null : wholeOf(f['seed'], 'seed', Number.MAX_SAFE_INTEGER),
    version: textOf(f['version'], 'version'), node: textOf(f['node'], 'node'),
    ...(f['note'] !== undefined && { note: textOf(f['note'], 'note') }),
    timeline: listOf(f['timeline'], 'timeline').map((t, i) => textOf(t, `timeline[${i}]`, /^/, 'a text')),
  }
}

/** A counterexample from its text; or one line that names the line or field that is wrong, and what was wanted. */
export const parseCounterexample = (text: string): Either<string, CounterexampleFile> => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (e) {
    return left(sayJson(text, e as SyntaxError))
  }
  try {
    return right(decode(value))
  } catch (e) {
    if (e instanceof Bad) return left(e.message)
    throw e
  }
}

/** Where JSON breaks off or goes wrong. */
const sayJson = (text: string, { message }: SyntaxError): string => {
  if (text.trim() === '') return 'the file is empty'
  const at = /line (\d+) column (\d+)/.exec(message)
  if (at !== null) return `line ${at[1]}, column ${at[2]}: this is no JSON: ${message.replace(/ in JSON at position.*$/, '')}`
  return `line ${text.trimEnd().split('\n').length}: the JSON breaks off or is none: ${message}`
}
