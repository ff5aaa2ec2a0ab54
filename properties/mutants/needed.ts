/**
 * Needed: is each claim worth its place? A claim is needed if there is a mutant that nobody else breaks on.
 *
 * Worked out from one matrix: which claims break on which mutant anywhere in its budget. Taking the judges of a claim away changes
 * no program and no schedule, and what they would have said nobody else says (a wrong byte is put to one claim). One thing the
 * matrix cannot know: in a step in which two judges would speak only the first one does. So whoever says that a claim is needed
 * should check one of its mutants again without it.
 */
/** A mutant, and every claim that broke on it, claims that break on the good sources left out. */
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
  /** Mutants on which nothing else breaks. */
  readonly alone: readonly string[]
}

const byId = ({ id }: Fired): string => id

/** For each of `claims`, in their order, what it is needed for. */
export const needs = (claims: readonly string[], fired: readonly Fired[]): readonly Need[] =>
  claims.map((claim) => ({
    claim, named: fired.filter((m) => m.claim === claim).map(byId), breaks: fired.filter((m) => m.broken.includes(claim)).map(byId),
    alone: fired.filter((m) => m.broken.length === 1 && m.broken[0] === claim).map(byId),
  }))
