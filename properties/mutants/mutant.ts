/**
 * Mutant: a real kernel bug as the smallest change to a good file.
 *
 * A mutant is data: text to find, exactly once, in one or two shipped files, and text to put there. It never stands in
 * shipped code, not even as a switch. `apply` makes the broken source; `diff` prints the change as `diff -U0` would, so that
 * `patch -p1` takes it. At most 10 printed lines: what needs more is no small mistake.
 *
 * Obligations of an entry: the commit is real and named; `claim` is the sentence that it breaks, of the project's list;
 * what is not `sequential` is invisible to one process with readable memory, on a disk with room, with nothing failing.
 * Patched text is TypeScript that can be stripped; it need not pass the type checker (a mistake often does not).
 */
import type { Word } from './trigger.ts'

/** Most lines that a printed change may have. */
export const MAX_LINES = 10

/** `find`, which must stand exactly once in `file`, becomes `replace`. */
export interface Patch {
  /** A path from the root of the project, such as `src/fs/settle.ts`. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** What a checker must be able to do besides programs, interleavings and faults. */
export type Need = 'crash' | 'protection' | 'second open file' | 'file position' | 'iovecs'

/** A real bug. */
export interface Mutant {
  /** Number in the bug zoo. */
  readonly id: string
  /** The mistake, in one line. */
  readonly title: string
  /** Commit that made or mended it, or where it is described. */
  readonly source: string
  /** The claim that must kill it. */
  readonly claim: string
  /** What the counterexample must hold. */
  readonly trigger: readonly Word[]
  /** Can one process see it, with readable memory, on a disk with room, with nothing failing? */
  readonly sequential: boolean
  /** The design with which it is checked. */
  readonly strategy: 'get-block' | 'delalloc-per-block' | 'reserve-allocate' | 'reserve-copy-allocate' | 'invalidate-splice'
  readonly needs?: readonly Need[]
  readonly patch: Patch | readonly Patch[]
}

/** The patches of a mutant, always as a list. */
export const patchesOf = (m: Pick<Mutant, 'patch'>): readonly Patch[] => ('file' in m.patch ? [m.patch] : m.patch)

/** `source` of `file` with the mutant's patches in it. @throws Error if a text stands there not exactly once */
export const apply = (m: Pick<Mutant, 'id' | 'patch'>, file: string, source: string): string => {
  let text = source
  for (const p of patchesOf(m)) {
    if (p.file !== file) continue
    const count = text.split(p.find).length - 1
    if (count !== 1) throw new Error(`${m.id}: found ${count} times in ${file}, expected once: ${JSON.stringify(p.find)}`)
    text = text.replace(p.find, () => p.replace)
  }
  return text
}

/** One changed place: lines from `line` (from 1) on, before and after. */
interface Hunk {
  readonly line: number
  readonly before: readonly string[]
  readonly after: readonly string[]
}

const hunkOf = (p: Patch, source: string): Hunk => {
  const at = source.indexOf(p.find)
  const start = source.lastIndexOf('\n', at - 1) + 1
  const to = at + p.find.length
  const end = lineEnd(source, to, p)
  const before = linesOf(source.slice(start, end))
  const after = linesOf(source.slice(start, at) + p.replace + source.slice(to, end))
  let head = 0
  while (head < before.length && head < after.length && before[head] === after[head]) head++
  let tail = 0
  while (tail < Math.min(before.length, after.length) - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++
  const line = source.slice(0, start).split('\n').length + head
  return { line, before: before.slice(head, before.length - tail), after: after.slice(head, after.length - tail) }
}

/** Where the last line that the patch touches ends. */
const lineEnd = (source: string, to: number, p: Patch): number => {
  if (p.find.endsWith('\n') && (p.replace === '' || p.replace.endsWith('\n'))) return to
  const next = source.indexOf('\n', to)
  return next < 0 ? source.length : next + 1
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

/** The change as `diff -U0` prints it. `read` gives the good source of a file. @throws Error as `apply` */
export const diff = (m: Pick<Mutant, 'id' | 'patch'>, read: (file: string) => string): readonly string[] => {
  const files = [...new Set(patchesOf(m).map((p) => p.file))]
  return files.flatMap((file) => {
    const source = read(file)
    apply(m, file, source)
    const hunks = patchesOf(m).filter((p) => p.file === file).map((p) => hunkOf(p, source)).sort((a, b) => a.line - b.line)
    let shift = 0
    return [`--- a/${file}`, `+++ b/${file}`, ...hunks.flatMap((h) => {
      const [n, o] = [h.before.length, h.after.length]
      const head = `@@ -${n === 0 ? h.line - 1 : h.line},${n} +${(o === 0 ? h.line - 1 : h.line) + shift},${o} @@`
      shift += o - n
      return [head, ...h.before.map((l) => `-${l}`), ...h.after.map((l) => `+${l}`)]
    })]
  })
}
