/**
 * Needed: is each claim worth its place? A claim is needed if there is a mutant that nobody else breaks on.
 *
 * Who else breaks is known from the recorded kills: every claim that broke until then, and within 500 executions after it. Taking the
 * judges of a claim away changes no program and no schedule, so what another claim broke there it breaks again. Mutants on which the
 * record shows no other claim are candidates only: whoever says that a claim is needed runs one of them without it, with the whole
 * budget.
 */

/** A mutant, and every claim that broke on it. */
export interface Fired {
  readonly id: string
  /** The claim that it names. */
  readonly claim: string
  readonly broken: readonly string[]
}

/** What one claim is needed for. */
export interface Need {
  readonly claim: string
  /** Mutants that name it. */
  readonly named: readonly string[]
  /** Mutants on which it breaks. */
  readonly breaks: readonly string[]
  /** Mutants on which nothing else broke. */
  readonly alone: readonly string[]
}

const byId = ({ id }: Fired): string => id

/** For each of `claims`, in their order, what it is needed for. */
export const needs = (claims: readonly string[], fired: readonly Fired[]): readonly Need[] =>
  claims.map((claim) => ({
    claim, named: fired.filter((m) => m.claim === claim).map(byId), breaks: fired.filter((m) => m.broken.includes(claim)).map(byId),
    alone: fired.filter((m) => m.broken.length === 1 && m.broken[0] === claim).map(byId),
  }))
