/**
 * Preemptions: a search whose bound on preemptions rises, so that what it finds first needs the fewest.
 *
 * Source of the habit: Musuvathi, Qadeer: Iterative Context Bounding for Systematic Testing of Multithreaded Programs,
 * PLDI 2007: most bugs show with two preemptions or less.
 */
import { explore, type ExploreOptions } from './explore.ts'
import type { Search } from './search.ts'
import type { System } from './system.ts'

/** A search with a rising bound on preemptions. */
export interface BoundedSearch {
  /** The search with the last bound. */
  readonly search: Search
  /** Preemptions that the last search allowed. */
  readonly preemptions: number
  /** The bound cut nothing off any more: all schedules were seen. */
  readonly unbounded: boolean
}

/**
 * Search with at most 0, 1, 2, ... preemptions, until there is a finding, or the bound cuts nothing off, or the search
 * stops. So the first finding has the fewest preemptions. Executions and states are allowed for each bound anew.
 * @param most the last bound to try
 */
export const exploreByPreemptions = (system: System, options: ExploreOptions = {}, most = Infinity): BoundedSearch => {
  for (let preemptions = 0; ; preemptions++) {
    const search = explore(system, { ...options, budget: { ...options.budget, preemptions } })
    const unbounded = !search.cut.includes('schedule')
    const over = unbounded || search.findings.length > 0 || search.interrupted.length > 0
    if (over || preemptions >= most) return { search, preemptions, unbounded }
  }
}
