/** Designs and runs that break claims on purpose, for the tests of counterexamples. */
import { JUDGES } from '../../../properties/claims/index.ts'
import { explore } from '../../sim/explore.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { settle } from '../../fs/settle.ts'
import { delallocPerBlock } from '../../strategies/delalloc-per-block.ts'
import { getBlock } from '../../strategies/get-block.ts'
import type { Program } from './program.ts'
import { type Bench, judgesOf, type Recorded } from './rerun.ts'
import { World } from './world.ts'

/** Z55: after a short copy the delayed blocks past it are kept. */
export const leaks: AnyStrategy = {
  ...delallocPerBlock, name: 'leaks',
  *end(k, w, m) {
    if (m.written === 0) yield* settle(k, w, m)
    else w.fs.unreserve(k, m, true)
  },
}

/** Writes do not keep each other out, nor truncation. */
export const unlocked: AnyStrategy = { ...getBlock, name: 'unlocked', exclusive: () => false }

/** All judges look at `strategy`. */
export const bench = (strategy: AnyStrategy): Bench => ({ strategy, judges: JUDGES })

/** Breaks I4 with one call too many before, and two behind. */
export const leak: Recorded = {
  claim: 'I4', tape: {},
  program: {
    config: { format: 'ext2', blockSize: 1024, folioOrder: 2 },
    before: [{ op: 'write', pos: 0, len: 3000 }, { op: 'sync' }, { op: 'drop' }],
    fibers: [[{ op: 'write', pos: 4096, len: 8192, readable: 2500 }, { op: 'read', pos: 0, len: 8192 }, { op: 'fsync' }]],
  },
}

const RACE: Program = {
  config: { format: 'ext4', blockSize: 1024, folioOrder: 2 },
  before: [{ op: 'write', pos: 0, len: 8192 }, { op: 'sync' }],
  fibers: [[{ op: 'write', pos: 9000, len: 3000 }, { op: 'stat' }], [{ op: 'truncate', size: 500 }], [{ op: 'stat' }]],
}

/** Breaks I18 on `unlocked`, with a fiber too many. @throws Error if no schedule does */
export const race = (): Recorded => {
  const world = new World(RACE, { strategy: unlocked, judges: judgesOf('I18', JUDGES) })
  const found = explore(world, { budget: { executions: 3000, preemptions: 2 }, bounds: { completion: Infinity } }).findings[0]
  if (found?.claim !== 'I18') throw new Error('no schedule breaks I18')
  return { claim: 'I18', program: RACE, tape: found.tape }
}
