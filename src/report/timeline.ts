/**
 * The report of a counterexample: the ground, columns of who did what when, the bytes of the wrong page by owner, one sentence,
 * and the command that shows it again.
 *
 * Takes plain data and gives lines; the same data gives the same lines. At most 12 lines of what happened wherever the run
 * has no more; what is longer keeps its first and last ones.
 */
import { type Program, sayAction, sayConfig } from '../lab/check/program.ts'
import type { PagePicture, Run, Timeline } from '../lab/check/timeline.ts'
import { plural } from './format.ts'
import { paint, WIDTH, wrap } from './table.ts'

/** Most lines of what happened. */
export const MOST_LINES = 12
/** Room for the steps, and between columns. */
const STEP = 8
const GAP = 2

/** `1-9`, or `3`. */
const span = (from: number, to: number): string => (to > from ? `${from}-${to}` : String(from))

/** Text in lines of at most `width`. */
const fold = (text: string, width: number): string[] => wrap(text, 0, width).split('\n')

/** Columns as wide as what stands in them, and no wider than the line: the widest give way first. */
const widths = (columns: readonly string[], cells: readonly { fiber: number; text: string }[]): readonly number[] => {
  const want = columns.map((c, i) => Math.max(c.length, ...cells.filter((x) => x.fiber === i).map((x) => x.text.length)))
  const room = WIDTH - STEP - GAP * columns.length
  while (want.reduce((a, b) => a + b, 0) > room) {
    const widest = want.indexOf(Math.max(...want))
    want[widest] = want[widest]! - 1
  }
  return want
}

/** What happened, one column a fiber. */
export const timelineLines = ({ columns, rows }: Timeline): readonly string[] => {
  const wide = widths(columns, rows)
  const line = (step: string, cells: readonly string[]): string =>
    `${step.padStart(STEP - GAP)}${cells.map((c, i) => ' '.repeat(GAP) + c.padEnd(wide[i]!)).join('')}`.trimEnd()
  const body = rows.flatMap((r) => {
    const at = (text: string): readonly string[] => columns.map((_, c) => (c === r.fiber ? text : ''))
    return fold(r.text, wide[r.fiber]!).map((text, i) => line(i === 0 ? span(r.from, r.to) : '', at(text)))
  })
  const head = line('step', columns)
  return [head, '─'.repeat(Math.max(head.length, ...body.map((l) => l.length))), ...shortened(body)]
}

const shortened = (body: readonly string[]): readonly string[] => {
  if (body.length <= MOST_LINES) return body
  const half = Math.floor(MOST_LINES / 2)
  const gone = body.length - 2 * half + 1
  return [...body.slice(0, half), `${' '.repeat(STEP)}... ${gone} lines ...`, ...body.slice(body.length - half + 1)]
}

const sayRuns = (list: readonly Run[]): string => list.map((r) => `${span(r.from, r.to - 1)} ${r.what}`).join('; ')

/** The bytes of a page by owner, and its blocks. */
export const pageLines = ({ page, where, bytes, blocks, size }: PagePicture): readonly string[] => {
  const one = blocks.length === 1 && blocks[0]!.to - blocks[0]!.from === 1
  return [
    wrap(`page ${page} ${where}: ${bytes.length === 0 ? 'nothing' : sayRuns(bytes)}`, 2),
    wrap(`  ${one ? 'block' : 'blocks'} ${sayRuns(blocks)}; the file has ${size} bytes`, 4),
  ]
}

/** What a counterexample is of. */
export interface Heading {
  readonly claim: string
  /** What the claim says. */
  readonly expected: string
  readonly strategy: string
  readonly program: Program
}

/** All of it, as lines. `replay` is the command that shows it again. */
export const counterexampleLines = (h: Heading, t: Timeline, replay: string): readonly string[] => {
  const { config, before } = h.program
  const { run } = t
  const fired = (kind: string): number => run.fired.filter((f) => f.kind === kind).length
  const short = fired('short')
  const needs = [
    plural(run.preemptions, 'preemption'), plural(fired('fault'), 'fault'),
    ...(short === 0 ? [] : [plural(short, 'copy cut short', 'copies cut short')]),
  ]
  return [
    wrap(`${h.strategy} on ${sayConfig(config)}: ${needs.join(', ')}`, 2),
    ...(before.length === 0 ? [] : [wrap(`before: ${before.map(sayAction).join('; ')}`, 2)]),
    ...timelineLines(t),
    ...(t.page === null ? [] : pageLines(t.page)),
    run.shown === null
      ? wrap(`${paint('green', '✓')} ${h.claim} holds in this run`, 2)
      : wrap(`${paint('red', '✗')} ${h.claim}: ${run.shown}`, 2),
    wrap(`  expected: ${h.expected}`, 4),
    `  replay: ${replay}`,
  ]
}
