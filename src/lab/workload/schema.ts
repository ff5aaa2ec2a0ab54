/**
 * Schema: which fields an operation has, as data, and the check of one line against it.
 *
 * The table below is the only place that knows the fields by name; the compiler holds it against the types of
 * operation.ts, so that a field cannot be added in one of them alone. What is checked across lines (that an `fd` is
 * open) is `FdCheck`.
 */
import { FALLOCATE_MODES, OPEN_FLAGS, WHENCES, WORKLOAD_SCHEMA } from './operation.ts'
import type { Operation, OperationName, WorkloadHeader } from './operation.ts'

/** A workload file that cannot be used: the place, and one line that says what was found and what was expected. */
export class WorkloadError extends Error {
  override readonly name = 'WorkloadError'
  readonly file: string
  /** Line of the file, from 1. */
  readonly line: number
  readonly problem: string

  /** The message is `file:line: problem`. */
  constructor(file: string, line: number, problem: string) {
    super(`${file}:${line}: ${problem}`)
    this.file = file
    this.line = line
    this.problem = problem
  }
}

/** A kind of value: what a message calls it, and the test. */
interface Kind { says: string, is(value: unknown): boolean }

const isBytes = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown): boolean => typeof value === 'string' && value.length > 0 && !value.includes('\0')

/** True if `path` is in the form that operation.ts asks for: relative, no `..`, no empty part; `.` is the root. */
export const isPath = (path: unknown): path is string =>
  path === '.' ||
  (typeof path === 'string' &&
    isText(path) &&
    path.split('/').every(part => part !== '' && part !== '.' && part !== '..'))

const oneOf = (names: readonly string[]): Kind =>
  ({ says: `be one of ${names.join(', ')}`, is: value => names.includes(value as string) })

const KINDS = {
  fd: { says: 'be a number >= 0', is: isBytes },
  bytes: { says: 'be a number of bytes >= 0', is: isBytes },
  offset: { says: 'be a whole number of bytes', is: Number.isSafeInteger },
  lens: { says: 'be a list of numbers of bytes >= 0', is: value => Array.isArray(value) && value.every(isBytes) },
  path: { says: 'be a path relative to the root, without ".." or empty parts', is: isPath },
  text: { says: 'be a text that is not empty', is: isText },
  texts: { says: 'be a list of texts', is: value => Array.isArray(value) && value.every(isText) },
  mode: { says: 'be permission bits, 0 to 4095', is: value => isBytes(value) && (value as number) <= 0o7777 },
  flag: { says: 'be true or false', is: value => typeof value === 'boolean' },
  micros: { says: 'be a whole number of microseconds', is: Number.isSafeInteger },
  count: { says: 'be a number >= 0', is: isBytes },
  whence: oneOf(WHENCES),
  fallocateMode: oneOf(FALLOCATE_MODES),
  openFlags: {
    says: `be a list of ${OPEN_FLAGS.join(', ')}`,
    is: value => Array.isArray(value) && value.every(flag => (OPEN_FLAGS as readonly unknown[]).includes(flag)),
  },
} satisfies Record<string, Kind>

/** The name of a kind; a `?` after it: the field may be absent. */
type KindName = keyof typeof KINDS | `${keyof typeof KINDS}?`

/** The fields of each operation, in the order in which they are written. `t` may be on every line. */
const OPERATIONS = {
  open: { fd: 'fd', path: 'path', flags: 'openFlags', mode: 'mode?' },
  close: { fd: 'fd' },
  write: { fd: 'fd', len: 'bytes', off: 'bytes?', sync: 'flag?' },
  writev: { fd: 'fd', lens: 'lens', off: 'bytes?' },
  read: { fd: 'fd', len: 'bytes', off: 'bytes?' },
  lseek: { fd: 'fd', off: 'offset', whence: 'whence' },
  truncate: { path: 'path', len: 'bytes' },
  ftruncate: { fd: 'fd', len: 'bytes' },
  fallocate: { fd: 'fd', mode: 'fallocateMode', off: 'bytes', len: 'bytes' },
  fsync: { fd: 'fd' },
  fdatasync: { fd: 'fd' },
  sync: {},
  unlink: { path: 'path' },
  rename: { from: 'path', to: 'path' },
  link: { from: 'path', to: 'path' },
  symlink: { target: 'text', path: 'path' },
  mkdir: { path: 'path', mode: 'mode?' },
  rmdir: { path: 'path' },
  readdir: { path: 'path' },
  stat: { path: 'path' },
  utimes: { path: 'path', atime: 'micros?', mtime: 'micros?' },
  chmod: { path: 'path', mode: 'mode' },
  'mmap-write': { fd: 'fd', off: 'bytes', len: 'bytes' },
} satisfies { [Op in OperationName]: Record<Exclude<keyof Extract<Operation, { op: Op }>, 'op' | 't'>, KindName> }

/** The names of all operations, in the order of the schema. */
export const OPERATION_NAMES = Object.keys(OPERATIONS) as OperationName[]

/** The fields of the header, in the order in which they are written. */
const HEADER = {
  name: 'text', source: 'text', files: 'count?', setup: 'count?', blind: 'texts?', note: 'text?',
} satisfies Record<Exclude<keyof WorkloadHeader, 'schema' | 'tool'>, KindName>

type Fields = Record<string, KindName>
const fieldsOf = (op: OperationName): Fields => ({ ...OPERATIONS[op], t: 'micros?' })
const FIELDS = new Map<unknown, [string, KindName][]>(OPERATION_NAMES.map(op => [op, Object.entries(fieldsOf(op))]))

/** A value as a message shows it: JSON, cut to a readable length. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/** The first problem of `value` under `fields`, or undefined. `known` are further names that may stand there. */
function problemOf(
  value: Record<string, unknown>, fields: readonly [string, KindName][], known: readonly string[], what: string,
): string | undefined {
  for (const [name, kindName] of fields) {
    const found = value[name]
    const optional = kindName.endsWith('?')
    if (found === undefined && optional) continue
    const kind: Kind = KINDS[(optional ? kindName.slice(0, -1) : kindName) as keyof typeof KINDS]
    if (!kind.is(found)) return `"${name}" must ${kind.says}, found ${show(found)}`
  }
  for (const name in value) {
    if (!known.includes(name) && !fields.some(([field]) => field === name)) {
      return `${what} has no field "${name}"; its fields are ${fields.map(([field]) => field).join(', ')}`
    }
  }
  return undefined
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is wrong with `value` as an operation, or undefined if nothing is. Takes about a microsecond. */
export function operationProblem(value: unknown): string | undefined {
  if (!isRecord(value)) return `an operation must be an object such as {"op":"sync"}, found ${show(value)}`
  const fields = FIELDS.get(value['op'])
  if (fields === undefined) return `unknown operation ${show(value['op'])}; known are ${OPERATION_NAMES.join(', ')}`
  return problemOf(value, fields, ['op'], `"${value['op'] as string}"`)
}

/** What is wrong with `value` as a header, or undefined if nothing is. */
export function headerProblem(value: unknown): string | undefined {
  if (!isRecord(value) || value['tool'] === undefined) {
    return 'the first line must be a header such as {"schema":1,"tool":"perform-write","name":"...","source":"..."}'
  }
  if (value['tool'] !== 'perform-write') return `"tool" must be "perform-write", found ${show(value['tool'])}`
  if (value['schema'] !== WORKLOAD_SCHEMA) {
    return `schema ${show(value['schema'])} is not known here; this version reads schema ${WORKLOAD_SCHEMA}`
  }
  return problemOf(value, Object.entries(HEADER), ['schema', 'tool'], 'the header')
}

/** Follows which `fd` is open, over the operations of one workload in order. */
export class FdCheck {
  /** By `fd`: the path that it was opened with. */
  private readonly open = new Map<number, string>()

  /** What is wrong with `operation` after those before it, or undefined if nothing is. */
  problem(operation: Operation): string | undefined {
    if (!('fd' in operation)) return undefined
    const { fd } = operation
    const path = this.open.get(fd)
    if (operation.op !== 'open') {
      if (path === undefined) return `"${operation.op}" on fd ${fd}, which is not open`
      if (operation.op === 'close') this.open.delete(fd)
      return undefined
    }
    if (path !== undefined) return `"open" gives fd ${fd}, which is still open (${path}); close it first`
    this.open.set(fd, operation.path)
    return undefined
  }
}

/** The keys of an operation or a header in the order of the schema: `op` first and `t` last. */
export const OPERATION_KEYS: ReadonlyMap<OperationName, readonly string[]> =
  new Map(OPERATION_NAMES.map(op => [op, ['op', ...Object.keys(fieldsOf(op))]]))

/** The keys of the header in the order of the schema. */
export const HEADER_KEYS: readonly string[] = ['schema', 'tool', ...Object.keys(HEADER)]
