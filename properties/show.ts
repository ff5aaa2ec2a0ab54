/** Show: a counterexample as a check found it, made small, and as lines for people. */
import type { AnyStrategy } from '../src/fs/strategy.ts'
import type { Counterexample } from '../src/lab/check/check.ts'
import { sayAction, sayConfig } from '../src/lab/check/program.ts'
import { shrink } from '../src/lab/check/shrink.ts'
import { timelineOf } from '../src/lab/check/timeline.ts'
import type { Shown } from '../src/lab/check/verdict.ts'
import { counterexampleLines } from '../src/report/timeline.ts'
import { CLAIMS, JUDGES } from './claims/index.ts'
import { within } from './interruptible.ts'

/** What a claim says. Outcomes that are no claim say so themselves. */
export const sentenceOf = (claim: string): string =>
  CLAIMS.find((c) => c.id === claim)?.sentence ??
  (claim === 'port' ? 'A hook keeps the contract of the strategy port, and nothing throws.' : 'The same choices lead to the same state.')

/** A program, one line an action: for what cannot be run again. */
const plainLines = ({ claim, what, program: { config, before, fibers } }: Counterexample): readonly string[] => [
  sayConfig(config), ...before.map((a) => `before   ${sayAction(a)}`),
  ...fibers.flatMap((f, i) => f.map((a) => `fiber ${i + 1}  ${sayAction(a)}`)), `✗ ${claim}: ${what}`,
]

/**
 * The counterexample, made smaller within so many executions and seconds, as a timeline. What loops, and what breaks down before
 * the fibers begin, cannot be made again: it stays as it was found.
 */
export const show = (c: Counterexample, strategy: AnyStrategy, executions: number, seconds: number): Shown => {
  try {
    return within(seconds, () => smaller(c, strategy, executions)) ?? { ...c, preemptions: 0, lines: plainLines(c) }
  } catch {
    return { ...c, preemptions: 0, lines: plainLines(c) }
  }
}

const smaller = (c: Counterexample, strategy: AnyStrategy, executions: number): Shown | null => {
  const bench = { strategy, judges: JUDGES }
  const small = shrink(c, { ...bench, executions })
  if (small === null) return null
  const { claim, what, program, tape, preemptions } = small
  const lines = counterexampleLines({ claim, expected: sentenceOf(claim), strategy: strategy.name, program }, timelineOf(small, bench), '')
  // The command that shows it again is the caller's: the last line.
  return { claim, what, program, tape, preemptions, lines: lines.slice(0, -1) }
}
