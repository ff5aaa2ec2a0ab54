/**
 * The report of `witness`: one scenario, two designs side by side under one schedule, the first step that differs
 * marked.
 *
 * The second design follows the decisions of the tape as far as its own steps allow, so that after the mark the columns
 * tell two stories of their own.
 */
import { firstDifference, type Size, type Witness, type WitnessRun, type WitnessSearch } from '../lab/check/witness.ts'
import { sayAction, sayConfig } from '../lab/check/program.ts'
import { plural } from './format.ts'
import { paint, WIDTH, wrap } from './table.ts'

/** Width of one column; between them stands the mark. */
const COLUMN = (WIDTH - 5) / 2 - 2
const DIFFERS = ' ≠ '

/** `2 actions, 1 fault, 1 preemption`. */
export const saySize = (s: Size): string =>
  [
    plural(s.actions, 'action'), s.faults === 0 ? 'no fault' : plural(s.faults, 'fault'),
    s.preemptions === 0 ? 'no preemption' : `${plural(s.preemptions, 'preemption')} at most`,
  ].join(', ')

/** What a search came to that found nothing. */
export const witnessMissing = (a: string, b: string, claim: string | undefined, s: WitnessSearch): string => {
  const what = claim === undefined ? 'a claim' : claim
  const seen = `${plural(s.programs, 'program')}, ${plural(s.executions, 'execution')}`
  return `${wrap(`no program was found in which ${a} breaks ${what} and ${b} keeps it: ${seen}. ${sayCut(s)}`)}\n`
}

const sayCut = (s: WitnessSearch): string =>
  s.cut.length === 0
    ? 'All smaller sizes were seen in full.'
    : `Not seen in full, for the budget: ${s.cut.map(saySize).join('; ')}.`

/** The scenario, in words. */
export const witnessHead = (w: Witness, a: string, b: string, s: WitnessSearch): string => [
  paint('bold', `${a} breaks ${w.claim}, ${b} keeps it`),
  wrap(`${saySize(w.size)}; ${b} kept it in ${plural(w.kept, 'run')}, which are all within these bounds`),
  wrap(`the smallest of ${plural(s.programs, 'program')} in ${plural(s.executions, 'execution')}. ${sayCut(s)}`),
  '', sayConfig(w.program.config),
  ...w.program.before.map((x) => `  before  ${sayAction(x)}`),
  ...w.program.fibers.flatMap((f, i) => f.map((x) => `  fiber ${i + 1} ${sayAction(x)}`)), '', '',
].join('\n')

/** Both runs, step by step. */
export const witnessColumns = (a: WitnessRun, b: WitnessRun): string => {
  const first = firstDifference(a, b)
  const n = Math.max(a.steps.length, b.steps.length)
  const lines = [line('', a.strategy, '', b.strategy), '─'.repeat(WIDTH)]
  for (let i = 0; i < n; i++) lines.push(...stepLines(i, cell(a, i), i === first ? DIFFERS : '', cell(b, i)))
  return [...lines, '─'.repeat(WIDTH), ...both('', results(a), results(b)), ''].join('\n')
}

const cell = (run: WitnessRun, i: number): readonly string[] => {
  const s = run.steps[i]
  return s === undefined ? [] : [...cut(s.step), ...s.notes.flatMap((note) => cut(`  ${note}`))]
}

const results = (run: WitnessRun): readonly string[] =>
  [...run.results.flatMap(cut), ...cut(run.broken === null ? '✓ the claim holds' : `✗ ${run.broken}`)]

const cut = (text: string): readonly string[] => wrap(text, 4, COLUMN).split('\n')

const stepLines = (i: number, a: readonly string[], mark: string, b: readonly string[]): readonly string[] =>
  both(String(i + 1), a, b, mark)

const both = (number: string, a: readonly string[], b: readonly string[], mark = ''): readonly string[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, k) => line(k === 0 ? number : '', a[k] ?? '', k === 0 ? mark : '', b[k] ?? ''))

const line = (number: string, a: string, mark: string, b: string): string =>
  `${number.padStart(3)} ${a.padEnd(COLUMN)}${(mark === '' ? ' │ ' : mark)}${b}`.trimEnd()
