/** Outcome: how a run ended that no judge saw, as a claim: deadlocks, loops, and what was thrown. */

/** The claim that a way of ending breaks. `port` is the contract of the strategy port. */
export const claimOf = (kind: string, what: string): string => {
  if (kind === 'deadlock') return 'I16'
  if (kind === 'loop') return 'I15'
  if (kind !== 'threw') return kind
  if (what.includes('SelfDeadlock') || what.includes('(Z01)')) return 'I16'
  if (what.includes('livelock')) return 'I15'
  if (what.includes('(I5)')) return 'I5'
  return 'port'
}
