/** The designs that come with perform-write, in the order of the tables. A new one is added here by hand. */
import type { AnyStrategy } from '../fs/strategy.ts'
import { getBlock } from './get-block.ts'
import { invalidateSplice } from './invalidate-splice.ts'
import { invalidateThenAdd } from './invalidate-then-add.ts'
import { reserveAllocate } from './reserve-allocate.ts'
import { reserveCopyAllocate } from './reserve-copy-allocate.ts'

/** All designs. */
export const strategies: readonly AnyStrategy[] = [
  getBlock,
  reserveAllocate,
  reserveCopyAllocate,
  invalidateSplice,
  invalidateThenAdd,
]
