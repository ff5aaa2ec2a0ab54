/** Liveness: I15 to I17. Deadlocks, loops and self-deadlocks are outcomes of the scheduler; they are put to these claims. */
import { balance } from '../../src/lab/inspect.ts'
import { CHANGED } from '../../src/lab/check/digests.ts'
import type { Look } from '../../src/lab/check/judge.ts'
import { lockCycle } from '../../src/lab/check/lock-order.ts'
import type { Claim } from './claim.ts'

/** A fiber whose call has just returned holds nothing. */
const heldAfterReturn = (look: Look, fiber: number): string | null => {
  const last = look.history.newest
  if (last === null || last.fiber !== fiber || !last.ended) return null
  const [held] = look.world.lockOrder.heldBy(fiber)
  if (held === undefined) return null
  const page = held.folio === null ? '' : ` of page ${held.folio.index}`
  return `${look.say(last)} returned and still holds the ${held.name}${page}`
}

/** The claims about liveness. */
export const LIVENESS: readonly Claim[] = [
  {
    id: 'I15', family: 'liveness', short: 'every call ends', forced: true,
    sentence: 'Under fairness (a page that was faulted in is taken away at most K times, a mapping invalidated at most K times) ' +
      'every call ends within a step budget.',
    source: 'b1bf862e9dad; c13094b894de', judges: [],
  },
  {
    id: 'I16', family: 'liveness', short: 'no deadlock, no fault under a lock', forced: true,
    sentence: 'No fault of user memory is taken while a folio, invalidate, extent or map lock is held; locks are taken in one order; no ' +
      'schedule deadlocks.',
    source: '08291429cfa6; 914ee295af41; Documentation/filesystems/locking.rst',
    judges: [{
      on: CHANGED.lock, when: ['rest'],
      rest: (look) => {
        const cycle = lockCycle(look.world.lockOrder.edges)
        return cycle === null ? [] : [`locks are taken in both orders: ${cycle}`]
      },
    }],
  },
  {
    id: 'I17', family: 'liveness', short: 'locks, pins and pages are given back', forced: true,
    sentence: 'Every lock, reference, pin and private page is back with its owner on every return.',
    source: 'Documentation/core-api/pin_user_pages.rst',
    judges: [{
      on: CHANGED.history | CHANGED.lock, step: heldAfterReturn, when: ['rest'],
      rest: (look) => balance(look.world.session, 0).map((f) => f.what),
    }],
  },
]
