/** Calls: I13, I32. (I29 is judged with the contents.) */
import { CHANGED } from '../../src/lab/check/digests.ts'
import type { Look } from '../../src/lab/check/judge.ts'
import type { Claim } from './claim.ts'

/** What a write may return. */
const shortIsPrefix = (look: Look): string | null => {
  const r = look.history.newest
  if (r === null || !r.ended || r.action.op !== 'write' || r.errno !== null) return null
  const { len } = r.action
  const readable = r.action.readable ?? len
  if (len > 0 && r.n <= 0) return `${look.say(r)}: neither bytes nor an errno`
  return r.n > readable ? `${look.say(r)}: only ${readable} bytes could be read` : null
}

/** The claims about calls. */
export const CALLS: readonly Claim[] = [
  {
    id: 'I13', family: 'calls', short: 'a short write is a prefix', forced: true,
    sentence: 'A short write is a prefix of at most the readable bytes and at least one, or an errno; a retry continues and never repeats.',
    source: 'write(2); 936e114a245b',
    judges: [{ on: CHANGED.history, step: shortIsPrefix }],
  },
]
