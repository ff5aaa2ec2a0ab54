/**
 * Checkpoint: bring an object of the machine back to the state that it had, without making it again.
 *
 * A checker runs one small world hundreds of thousands of times from the same first state; mounting it each time would
 * cost more than the run. Every class that has mutable state and outlives a system call says how to restore it.
 * Source of the idea: the checkpoint and restore calls of RefFS (Liu et al., FAST '24).
 */

/** Puts the object back as it was when `checkpoint` was called. May be called again and again. */
export type Restore = () => void

/** An object that can be brought back. */
export interface Checkpointable {
  /** Note the present state. What the object refers to and does not own is not part of it. */
  checkpoint(): Restore
}

/** One restore that does them all, in order. */
export const restoreAll = (restores: readonly Restore[]): Restore => () => {
  for (let i = 0; i < restores.length; i++) restores[i]!()
}
