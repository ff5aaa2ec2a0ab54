/**
 * Claim: one numbered sentence that a buffered write must keep, with where it comes from and how a check looks at it.
 *
 * Ids are those of the project's list, I1 to I32, and never change. A claim is judged under *possible* faults (they arise in the
 * model: a small disk, a source that cannot be read) and, if `forced` says so, under those that are injected at every site.
 */
import type { AnyStrategy } from '../../src/fs/strategy.ts'
import type { Judge, Look } from '../../src/lab/check/judge.ts'

/** What claims are about; one file each. */
export type Family = 'space' | 'contents' | 'liveness' | 'size' | 'isolation' | 'errors' | 'calls'

/** One claim. */
export interface Claim {
  readonly id: string
  readonly family: Family
  /** At most 36 characters: the row of a table. */
  readonly short: string
  readonly sentence: string
  /** The mail, kernel file, standard or commit that it is taken from. */
  readonly source: string
  /** Is it judged where a fault was injected? If not, only under faults that arise by themselves. */
  readonly forced: boolean
  /** How it looks, beyond outcomes that speak for themselves (a deadlock, a loop). */
  readonly judges: readonly Omit<Judge, 'claim'>[]
  /** True if the design declares that this does not hold for it. */
  readonly declared?: (s: AnyStrategy) => boolean
  /** Why the design cannot violate it, or why it does not apply; null if it can. */
  readonly vacuous?: (s: AnyStrategy) => string | null
}

/** A judge that is silent where an injected fault makes the claim void. */
export const unforced = (look: Look): boolean => look.failed.length === 0
