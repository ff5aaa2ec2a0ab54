/**
 * Race: wall time of several designs on one workload, in paired rounds.
 *
 * All designs run in one worker and take their turn in every round, each time on a fresh file system and with nobody checking;
 * who begins goes round. One round before the first is not counted: it warms the code. The time is that of the replay with its
 * last sync, and with the making of the source where that is no plain memory.
 */
import type { AnyStrategy } from '../fs/strategy.ts'
import { replay } from '../lab/cost.ts'
import type { Fixed } from '../lab/fault-pass.ts'
import { cliffsDelta, estimate, ratio } from '../lab/statistics.ts'
import type { Heartbeat } from '../lab/watch.ts'
import { openWorkload } from '../lab/workload/registry.ts'
import type { SourceName } from '../lab/write-source.ts'
import type { Racer } from '../report/document.ts'
import { sessionFor } from './evaluate.ts'
import { designFor } from './plugin.ts'

/** What is raced on. */
export interface RaceSetting extends Fixed {
  readonly workload: string
  readonly source: SourceName
  readonly seed: number
  /** Bytes of the device. */
  readonly size: number
  readonly rounds: number
}

/** Race the designs that the arguments name; the first is what the others are compared with. */
export const race = async (
  designs: readonly string[], o: RaceSetting, beat: Heartbeat, say: (doing: string) => void,
): Promise<readonly Racer[]> => {
  const all = await Promise.all(designs.map(designFor))
  const workload = openWorkload(o.workload, o.seed)
  const once = (strategy: AnyStrategy): number =>
    replay(sessionFor(o, strategy), workload, { beat: () => beat(-1), source: o.source }).ms
  const times: number[][] = all.map(() => [])
  for (let round = -1; round < o.rounds; round++) {
    say(`wall time of ${o.workload}: round ${Math.max(0, round) + 1} of ${o.rounds}`)
    for (let turn = 0; turn < all.length; turn++) {
      const i = (turn + round + all.length) % all.length
      const ms = once(all[i]!)
      if (round >= 0) times[i]!.push(ms)
    }
  }
  const [base] = times
  return all.map(({ name }, i): Racer => {
    const ms = times[i]!
    return { name, ms, time: estimate(ms), ratio: ratio(ms, base!), delta: cliffsDelta(ms, base!) }
  })
}
