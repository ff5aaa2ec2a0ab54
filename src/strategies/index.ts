/** The designs that come with perform-write, in the order of the tables. A new one is added here by hand. */
import type { AnyStrategy } from '../fs/strategy.ts'
import { delallocPerBlock } from './delalloc-per-block.ts'
import { dontcache } from './dontcache.ts'
import { getBlock } from './get-block.ts'
import { invalidateSplice } from './invalidate-splice.ts'
import { invalidateThenAdd } from './invalidate-then-add.ts'
import { lockAllFolios } from './lock-all-folios.ts'
import { lockAndUnmap } from './lock-and-unmap.ts'
import {
  prepareCopyPunch, prepareCopyUnwritten, prepareCopyZero, prepareCopyZeroPage,
} from './prepare-then-copy.ts'
import { reserveAllocate } from './reserve-allocate.ts'
import { reserveCopyAllocate } from './reserve-copy-allocate.ts'
import { streaming } from './streaming.ts'
import { writeThrough, writeThroughAtomic } from './write-through.ts'

/** The five of the dispute of May 2010: what `compare` compares when no design is named. */
export const dispute: readonly AnyStrategy[] = [
  getBlock,
  reserveAllocate,
  reserveCopyAllocate,
  invalidateSplice,
  invalidateThenAdd,
]

/** Those that the thread named or had before it; the 2010 argument is replayed on them. */
export const debated: readonly AnyStrategy[] = [
  ...dispute,
  lockAndUnmap,
  prepareCopyUnwritten,
  prepareCopyPunch,
  prepareCopyZero,
  prepareCopyZeroPage,
  delallocPerBlock,
]

/** All designs. */
export const strategies: readonly AnyStrategy[] = [...debated, dontcache, writeThrough, writeThroughAtomic, lockAllFolios, streaming]
