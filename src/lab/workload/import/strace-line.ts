/**
 * One line of strace output, taken apart.
 *
 * The lines are those of `strace -f -y -ttt -T -s 0 -o FILE`: a pid, a time in seconds, then a call
 * (`fsync(3</data/a>) = 0 <0.000123>`), the start of one (`... <unfinished ...>`), the rest of one
 * (`<... fsync resumed>) = 0`), a signal (`--- SIGCHLD ... ---`) or an end (`+++ exited with 0 +++`).
 * The pid is absent in a trace of one process, time and duration where they were not asked for.
 *
 * Source: strace(1), and src/util.c of strace for what is escaped: `<`, `>`, `"`, `\` and all that is not printable.
 */

/** What a line is. Times are in microseconds since 1970. */
export type StraceLine =
  | { kind: 'call', pid: number, time: number | undefined, text: string }
  | { kind: 'unfinished', pid: number, time: number | undefined, text: string }
  | { kind: 'resumed', pid: number, time: number | undefined, text: string }
  | { kind: 'signal', pid: number }
  | { kind: 'exit', pid: number }
  | { kind: 'superseded', pid: number, by: number }

/** A finished call. */
export interface Call {
  name: string
  /** The arguments as strace shows them. */
  args: string[]
  /** What was returned; -1 if the call failed, NaN if it returned nothing (`?`). */
  value: number
  /** The path of the returned fd, if `-y` was given. */
  path: string | undefined
}

/** An fd as `-y` shows it: `3</data/a>`, `AT_FDCWD</data>`, `3</data/a>(deleted)`. */
export interface FdArgument {
  /** NaN for AT_FDCWD. */
  fd: number
  /** Absolute path; undefined without `-y`, and for pipes and sockets. */
  path: string | undefined
  /** True if `-y` shows something that is not a path, such as a pipe. */
  other: boolean
  deleted: boolean
}

const LINE = /^(?:\[pid +(\d+)\] +|(\d+) +)?(?:(\d+)\.(\d{6}) +)?(\S.*)$/
const UNFINISHED = / ?<unfinished \.\.\.>$/
const RESUMED = /^<\.\.\. \w+ resumed>/

/** Take a line apart, or undefined if it is not one of strace. The pid is 0 if there is none. */
export function parseStraceLine(line: string): StraceLine | undefined {
  const match = LINE.exec(line)
  if (match === null) return undefined
  const [, bracketed, plain, seconds, micros, text = ''] = match
  const pid = Number(bracketed ?? plain ?? 0)
  const time = seconds === undefined ? undefined : Number(seconds) * 1_000_000 + Number(micros)
  if (text.startsWith('--- ')) return { kind: 'signal', pid }
  if (text.startsWith('+++ ')) {
    const by = /superseded by execve in pid (\d+)/.exec(text)?.[1]
    return by === undefined ? { kind: 'exit', pid } : { kind: 'superseded', pid, by: Number(by) }
  }
  const resumed = RESUMED.exec(text)
  if (resumed !== null) return { kind: 'resumed', pid, time, text: text.slice(resumed[0].length) }
  if (!/^\w+\(/.test(text)) return undefined
  const start = UNFINISHED.exec(text)
  if (start !== null) return { kind: 'unfinished', pid, time, text: text.slice(0, start.index) }
  return { kind: 'call', pid, time, text }
}

const CALL = /^(\w+)\((.*)\)\s+= (\?|-?\d+|0x[0-9a-f]+)(?:<((?:[^<>\\]|\\.)*)>)?(?:\s.*|\(deleted\).*)?$/

/** A finished call from its text, or undefined if it is not one. */
export function parseCall(text: string): Call | undefined {
  const match = CALL.exec(text)
  if (match === null) return undefined
  const [, name = '', args = '', value = '', path] = match
  return {
    name, args: splitArguments(args), value: value === '?' ? NaN : Number(value),
    path: path?.startsWith('/') === true ? pathOf(path).path : undefined,
  }
}

/** The arguments of a call: split at the commas that are in no quotes, brackets or path of an fd. */
export function splitArguments(text: string): string[] {
  const args: string[] = []
  let start = 0
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string
    if (c === '"') i = endOfQuote(text, i)
    else if (c === '<' && /\w/.test(text[i - 1] ?? '')) i = endOfPath(text, i)
    else if ('([{'.includes(c)) depth++
    else if (')]}'.includes(c)) depth--
    else if (c === ',' && depth === 0) {
      args.push(text.slice(start, i).trim())
      start = i + 1
    }
  }
  const last = text.slice(start).trim()
  return last === '' ? args : [...args, last]
}

/** The index of the quote that closes the one at `from`. */
function endOfQuote(text: string, from: number): number {
  let i = from + 1
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i
}

/** The index of the `>` that closes the `<` at `from`; `->` in the name of a socket closes nothing. */
function endOfPath(text: string, from: number): number {
  const path = text[from + 1] === '/'
  let i = from + 1
  while (i < text.length && (text[i] !== '>' || (!path && text[i - 1] === '-'))) i++
  return i
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', v: '\v', f: '\f', '"': '"', '\\': '\\' }

/** A text without its C escapes; bytes in octal or hexadecimal are UTF-8. */
export function unescape(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/(?:\\(?:x[0-9a-f]{2}|[0-7]{1,3}))+|\\(.)/g, (run, c: string | undefined) => {
    if (c !== undefined) return ESCAPES[c] ?? run
    const bytes = run
      .split('\\')
      .slice(1)
      .map(each => (each.startsWith('x') ? parseInt(each.slice(1), 16) : parseInt(each, 8)))
    return Buffer.from(bytes).toString('utf8')
  })
}

/** The path in the annotation of an fd, without the mark of a deleted file. */
function pathOf(annotation: string): { path: string, deleted: boolean } {
  const path = unescape(annotation)
  return path.endsWith(' (deleted)') ? { path: path.slice(0, -10), deleted: true } : { path, deleted: false }
}

const FD = /^(-?\d+|AT_FDCWD)(?:<(.*)>)?(\(deleted\))?$/

/** An fd argument, or undefined if it is not one. */
export function parseFd(arg: string | undefined): FdArgument | undefined {
  const match = FD.exec(arg ?? '')
  if (match === null) return undefined
  const [, number = '', annotation, mark] = match
  const fd = number === 'AT_FDCWD' ? NaN : Number(number)
  if (annotation?.startsWith('/') !== true)
    return { fd, path: undefined, other: annotation !== undefined, deleted: false }
  const { path, deleted } = pathOf(annotation)
  return { fd, path, other: false, deleted: deleted || mark !== undefined }
}

/** A text argument, such as a path; undefined if it is a pointer or NULL. */
export function parseText(arg: string | undefined): string | undefined {
  const match = /^"(.*)"$/s.exec(arg ?? '')
  return match === null ? undefined : unescape(match[1] as string)
}

/** A number, also one behind a pointer (`[4096]`, `[0] => [100]`); undefined for NULL. */
export function parseNumber(arg: string | undefined): number | undefined {
  const match = /^\[?(-?\d+|0x[0-9a-f]+)/.exec(arg ?? '')
  return match === null ? undefined : Number(match[1])
}
