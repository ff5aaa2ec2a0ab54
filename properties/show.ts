/** Show: a counterexample as a check found it, made small, and as lines for people. */
import type { Counterexample } from '../src/lab/check/check.ts'
import { sayAction, sayConfig } from '../src/lab/check/program.ts'
import type { Bench } from '../src/lab/check/rerun.ts'
import { shrink } from '../src/lab/check/shrink.ts'
import type { Shown } from '../src/lab/check/verdict.ts'
import type { Decision } from '../src/sim/tape.ts'
import { within } from './interruptible.ts'

export type { Shown }

const sayDecisions = (kind: string, decisions: readonly Decision[]): readonly string[] =>
  decisions.flatMap((d, i) => (d.pick === 0 ? [] : [`${kind} ${i}: ${d.label}, course ${d.pick} of ${d.n}`]))

/** A counterexample as it was found: the program, and the decisions that were not the simplest. */
export const plainCounterexample = ({ program, tape }: Counterexample): readonly string[] => [
  sayConfig(program.config),
  ...program.before.map((a) => `before   ${sayAction(a)}`),
  ...program.fibers.flatMap((f, i) => f.map((a) => `fiber ${i + 1}  ${sayAction(a)}`)),
  ...Object.entries(tape).flatMap(([kind, decisions]) => sayDecisions(kind, decisions)),
]

/** The counterexample, made smaller within so many executions and seconds; as it was found if that fails. */
export const show = (c: Counterexample, bench: Bench, executions: number, seconds: number): Shown => {
  const small = smaller(c, bench, executions, seconds)
  const shown = small === null ? { ...c, preemptions: 0 } : { ...c, ...small }
  return { claim: c.claim, what: shown.what, program: shown.program, tape: shown.tape, preemptions: shown.preemptions, lines: plainCounterexample(shown) }
}

const smaller = (c: Counterexample, bench: Bench, executions: number, seconds: number): ReturnType<typeof shrink> => {
  try {
    return within(seconds, () => shrink(c, { ...bench, executions }))
  } catch {
    // What loops, and what breaks down before the fibers begin, cannot be made again: it stays as it was found.
    return null
  }
}
