/**
 * Judge: from a report of mutants and the committed reasons to a score and to what is wrong.
 *
 * A mutant that times out counts as one that survived: an endless loop that no test names is waited for, not found.
 * Mutants that do not compile or load are left out. score = killed / (killed + survived + timed out + not covered).
 * A reason is found by file, mutator, replaced text, the line it stands in, and replacement, so that it stays true when
 * lines move. Pure: score.ts reads the files and prints.
 */

/** The part of a report of StrykerJS that is used (mutation-testing-report-schema). */
export interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly Mutant[] }>>
}

/** One mutant of a report. Lines and columns count from 1. */
export interface Mutant {
  readonly mutatorName: string
  readonly replacement?: string
  readonly status: string
  readonly location: { readonly start: Place; readonly end: Place }
}

interface Place {
  readonly line: number
  readonly column: number
}

/** What tells a mutant from all others, whatever its line number. */
export interface Key {
  readonly file: string
  readonly mutator: string
  /** The text that was replaced, on one line, at most `MOST` characters. */
  readonly original: string
  readonly replacement: string
  /** The line on which it begins. */
  readonly line: string
}

/** Why a mutant may live: one line. */
export interface Reason extends Key {
  readonly reason: string
}

/** A mutant that no test killed. */
export interface Survivor extends Key {
  /** `src/fs/perform-write.ts:41`. */
  readonly at: string
  /** `Survived`, `Timeout` or `NoCoverage`. */
  readonly status: string
  readonly reason: string | null
}

/** Mutants of one file, or of all. */
export interface Count {
  readonly killed: number
  readonly valid: number
}

/** What the report and the reasons say together. */
export interface Judgement {
  readonly files: readonly (Count & { readonly file: string })[]
  readonly total: Count
  readonly survivors: readonly Survivor[]
  /** Reasons for mutants that are killed now, or gone. */
  readonly stale: readonly Reason[]
  /** One line for each thing that is wrong. */
  readonly wrong: readonly string[]
}

/** Lowest score, in per cent. */
export const LEAST = 90

/** Most characters of a text in a key. */
const MOST = 100

const ALIVE: readonly string[] = ['Survived', 'Timeout', 'NoCoverage']

/** Score in per cent; 100 where there is nothing to kill. */
export const percent = ({ killed, valid }: Count): number => (valid === 0 ? 100 : (100 * killed) / valid)

const oneLine = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > MOST ? `${line.slice(0, MOST)}...` : line
}

/** The text between two places of a source. */
const between = (lines: readonly string[], start: Place, end: Place): string => {
  const part = lines.slice(start.line - 1, end.line)
  const last = part.length - 1
  return part
    .map((line, i) => line.slice(i === 0 ? start.column - 1 : 0, i === last ? end.column - 1 : line.length))
    .join('\n')
}

const keyOf = (file: string, lines: readonly string[], m: Mutant): Key => ({
  file,
  mutator: m.mutatorName,
  original: oneLine(between(lines, m.location.start, m.location.end)),
  replacement: oneLine(m.replacement ?? ''),
  line: oneLine(lines[m.location.start.line - 1] ?? ''),
})

const same = (a: Key, b: Key): boolean =>
  a.file === b.file && a.mutator === b.mutator && a.original === b.original && a.replacement === b.replacement &&
  a.line === b.line

/** Count, and hold the survivors against the reasons. */
export const judge = (report: Report, reasons: readonly Reason[]): Judgement => {
  const files: (Count & { readonly file: string })[] = []
  const survivors: Survivor[] = []
  for (const [file, { source, mutants }] of Object.entries(report.files).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const lines = source.split('\n')
    const alive = mutants.filter((m) => ALIVE.includes(m.status))
    const killed = mutants.filter((m) => m.status === 'Killed').length
    files.push({ file, killed, valid: killed + alive.length })
    for (const m of [...alive].sort((a, b) => a.location.start.line - b.location.start.line)) {
      const key = keyOf(file, lines, m)
      const reason = reasons.find((r) => same(r, key))?.reason ?? null
      survivors.push({ ...key, at: `${file}:${m.location.start.line}`, status: m.status, reason })
    }
  }
  const total = {
    killed: files.reduce((sum, f) => sum + f.killed, 0), valid: files.reduce((sum, f) => sum + f.valid, 0),
  }
  const stale = reasons.filter((r) => report.files[r.file] === undefined || !survivors.some((s) => same(r, s)))
  return { files, total, survivors, stale, wrong: wrongWith(total, survivors, stale) }
}

const wrongWith = (total: Count, survivors: readonly Survivor[], stale: readonly Reason[]): string[] => [
  ...survivors
    .filter((s) => s.reason === null || s.reason.trim() === '')
    .map((s) => `${s.at}: ${s.mutator} survives without a reason: kill it, or say why it may live in survivors.json`),
  ...stale.map((r) => `${r.file}: ${r.mutator} of "${r.original}" survives no more: take it out of survivors.json`),
  ...(total.valid === 0 ? ['the report holds no mutant: run npm run mutation'] : []),
  ...(percent(total) < LEAST ? [`the score is ${percent(total).toFixed(1)} %, it must be ${LEAST} % or more`] : []),
]
