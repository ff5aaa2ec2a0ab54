/**
 * Handles, as system calls use them. Without a journal they are nothing.
 *
 * A call that finds no free block while others are only waiting for a commit commits and tries again, three times at most
 * (ext4_should_retry_alloc, fs/ext4/balloc.c).
 */
import type { Errno } from '../../kernel/errno.ts'
import { attempt, Failure, type Kernel } from '../../kernel/kernel.ts'
import type { FileSystem } from '../file-system.ts'

/** Blocks that a call on one file may change beside its map: inode, bitmaps, descriptors, superblock, directory. */
export const CALL_CREDITS = 16
/** How often a call that found no space commits and tries again. */
export const ENOSPC_RETRIES = 3

/** Run `body` under a handle: what it changes reaches the disk together. `body` undoes all when it raises ENOSPC. */
export function* transact<A, E extends Errno>(fs: FileSystem, body: () => Kernel<A, E>): Kernel<A, E | 'EIO'> {
  const { journal } = fs
  if (journal === null) return yield* body()
  for (let tries = 0; ; tries++) {
    yield* journal.start(CALL_CREDITS)
    try {
      return yield* body()
    } catch (e) {
      if (!(e instanceof Failure) || e.errno !== 'ENOSPC' || tries === ENOSPC_RETRIES || !fs.freedWaits) throw e
    } finally {
      journal.stop(CALL_CREDITS)
    }
    yield* journal.commit()
  }
}

/** Run `body`, which cannot fail, under a reserved handle. */
export function* transactReserved<A>(fs: FileSystem, body: () => Kernel<A>): Kernel<A> {
  const { journal } = fs
  if (journal === null) return yield* body()
  yield* journal.startReserved(CALL_CREDITS)
  try {
    return yield* body()
  } finally {
    journal.stop(CALL_CREDITS)
  }
}

/** Blocks that wait for a commit become free by one (mpage_map_and_submit_extent). @returns false if none waits */
export function* freeAfterCommit(fs: FileSystem): Kernel<boolean> {
  const { journal } = fs
  if (journal === null || !fs.freedWaits) return false
  return (yield* attempt(() => journal.commit()))._tag === 'Right'
}
