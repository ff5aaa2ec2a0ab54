/**
 * The report of `check`: a verdict for each claim, the counterexamples, the certificate.
 *
 * Takes plain data and gives text. A tick stands for a verdict `pass` only; whatever else did not break prints its own name,
 * and why it is no tick stands below the table.
 */
import type { Checked, CertifiedLane, Status, Verdict } from '../lab/check/verdict.ts'
import { count, plural } from './format.ts'
import { paint, type Row, table, wrap } from './table.ts'

const SIGN: Readonly<Record<Status, string>> = { pass: '✓', fail: '✗', declared: 'declared', untested: 'untested', 'n.a.': 'n.a.' }
const COLOUR = { pass: 'green', fail: 'red', declared: 'yellow', untested: 'dim', 'n.a.': 'dim' } as const

/** `✓`, `✗` or a word. */
export const sign = (status: Status): string => paint(COLOUR[status], SIGN[status])

const killed = (v: Verdict): string =>
  v.status === 'pass' ? count(v.reason.split(',').length) : v.status === 'fail' || v.status === 'declared' ? '' : '-'

/** Claims by family, with the reasons of those that have no tick below. */
export const verdictTable = ({ verdicts }: Checked): string => {
  const families = [...new Set(verdicts.map((v) => v.family))]
  const rows = families.flatMap((family): Row[] => [
    paint('bold', family),
    ...verdicts.filter((v) => v.family === family)
      .map((v) => [` ${v.claim.padEnd(5)}${v.short}`, sign(v.status), count(v.evaluations), killed(v)]),
  ])
  return `${table(['claim', 'verdict', 'looked at', 'mutants killed'], rows)}\n${reasons(verdicts)}`
}

/** Claims that share a reason share a line. */
const reasons = (verdicts: readonly Verdict[]): string => {
  const by = new Map<string, string[]>()
  for (const v of verdicts) {
    if (v.status === 'pass' || v.status === 'fail') continue
    const key = `${v.status}; ${v.reason}`
    by.set(key, [...(by.get(key) ?? []), v.claim])
  }
  return [...by].map(([reason, claims]) => `${wrap(`· ${claims.join(', ')}: ${reason}`, 2)}\n`).join('')
}

// --- what failed -------------------------------------------------------------------------------------------------------

/** One broken claim; `replay` is the command that shows it again. */
export const failure = (v: Verdict, replay: string): string => [
  v.counterexample === undefined ? wrap(`${sign(v.status)} ${v.claim} ${v.short}: ${v.reason}`, 4)
    : `${sign(v.status)} ${paint('bold', `${v.claim} ${v.short}`)}`,
  ...(v.counterexample?.lines ?? []),
  `  replay: ${replay}\n`,
].join('\n')

// --- certificate -------------------------------------------------------------------------------------------------------

const exponent = (n: number): string => (n === 0 ? '0' : n < 1e-3 ? n.toExponential(0) : n.toFixed(3))

const orNone = (n: number): string => (n === 0 ? '-' : count(n))

const laneLine = (l: CertifiedLane): Row =>
  [` ${l.bounds}`, count(l.programs), orNone(l.exhausted), count(l.executions), orNone(l.states)]

/** What the check did, and what it did not. */
export const certificateText = ({ certificate: c }: Checked, budget: string): string => {
  const { cross } = c
  const agreed = `${plural(cross.programs, 'small program')} again without pruning (${count(cross.executions)} runs became ` +
    `${count(cross.unpruned)}) and with the fibers the other way round: the same ${plural(cross.endStates, 'end')}`
  return [
    paint('bold', 'certificate'),
    `  ${count(c.executions)} executions, ${count(c.states)} states, ${count(c.steps)} steps; seed ${c.seed}, budget ${budget}, ` +
      c.formats.join(' and '),
    table(['lane: programs of', 'programs', 'exhausted', 'executions', 'states'], c.lanes.map(laneLine)).trimEnd(),
    ...[
      'exhausted: within these bounds every schedule, completion order, fault and up to 2 short copies were run. ' +
        'Which programs there are is sampled, in an order that the seed decides.',
      `copies stop every ${count(c.copyStep)} bytes to let others run; memory is sequentially consistent; nothing crashes`,
      `two states taken for one: a chance of ${exponent(c.collisionRisk)} (n²/2⁵⁴)`,
      cross.programs === 0 ? 'no sample was searched again' : cross.differences.length === 0 ? agreed
        : `✗ the explorer contradicts itself: ${cross.differences.join('; ')}`,
      ...(c.refused === 0 ? [] : [`${plural(c.refused, 'program')} could not be set up on the ground that was drawn for them`]),
    ].map((line) => wrap(`  ${line}`, 4)),
  ].join('\n') + '\n'
}

/** The last line. */
export const verdictLine = ({ strategy, verdicts, ended }: Checked): string => {
  const of = (s: Status): readonly string[] => verdicts.filter((v) => v.status === s).map((v) => v.claim)
  const parts = [
    plural(of('pass').length, 'claim') + ' held',
    ...(['declared', 'untested', 'n.a.'] as const).flatMap((s) => (of(s).length === 0 ? [] : [`${of(s).length} ${s}`])),
    ...(of('fail').length === 0 ? [] : [`broken: ${of('fail').join(', ')}`]),
    ...(ended === null ? [] : ['the check was ended early']),
  ]
  return `${wrap(`${strategy}: ${parts.join(', ')}`, 2)}\n`
}
