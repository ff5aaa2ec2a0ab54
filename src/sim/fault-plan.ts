/**
 * FaultPlan: fails chosen sites of a run, and counts them.
 *
 * The fault model. Every call that may fail in a kernel asks `choose(2, 'fault', site)` once each time it is reached; the
 * n-th such question of a run is a *site instance*. A plan fails one instance (or one and all later ones of the same site:
 * *sticky*), or a pair. Nothing else is decided: schedules, tears and completion orders stay at 0. A dry run with no
 * faults counts the instances; running once for each enumerates them all. These are *forced* faults: they need not be
 * possible in the model (a disk with room may still say ENOSPC).
 */
import type { ChoiceKind, Choices } from '../kernel/choices.ts'

/** Which instances fail, counted from 0 in the order in which they are reached. */
export interface Plan {
  readonly fail: readonly number[]
  /** Later instances of the same site fail too. */
  readonly sticky?: boolean
}

/** Decides faults by a plan. */
export class FaultPlan implements Choices {
  /** The sites in the order reached, one entry an instance. */
  readonly reached: string[] = []
  /** The sites that failed. */
  readonly failed: string[] = []
  /** While false, nothing is counted and nothing fails: for setting a scene up. */
  armed = true
  readonly #plan: Plan

  constructor(plan: Plan = { fail: [] }) {
    this.#plan = plan
  }

  choose(_n: number, kind: ChoiceKind, label: string): number {
    if (kind !== 'fault' || !this.armed) return 0
    const instance = this.reached.push(label) - 1
    const fails =
      this.#plan.fail.includes(instance) || (this.#plan.sticky === true && this.failed.includes(label))
    if (fails) this.failed.push(label)
    return fails ? 1 : 0
  }
}
