/**
 * Choices: everything that the outside world may decide, as numbers.
 *
 * Faults, crash points, completion order and torn writes need no suspension: code asks `choose(n, kind, label)` and
 * gets 0 .. n-1, where 0 is always the simplest course (no fault, in order, nothing torn). Recording the answers gives
 * a tape; replaying the tape gives the same run.
 */

/** What is being decided. Each kind has its own sub-tape, so that removing a fault does not shift the schedule. */
export type ChoiceKind = 'fault' | 'schedule' | 'completion' | 'crash' | 'tear' | 'short'

/** A source of decisions. */
export interface Choices {
  /** True where a scheduler runs several fibers: code then waits at every point where the kernel could be preempted. */
  readonly scheduled?: boolean
  /**
   * Decide between `n` courses; 0 is the simplest.
   * @param label where the decision is taken, such as `ENOMEM.folio`
   */
  choose(n: number, kind: ChoiceKind, label: string): number
}

/** The straight run: nothing fails, nothing is torn, everything completes in order. */
export const straight: Choices = { choose: () => 0 }
