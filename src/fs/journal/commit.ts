/**
 * Commit: the running transaction becomes durable.
 *
 * Phases: lock it, and wait for its handles -> encode what is in core -> take copies of all blocks that changed; from here new
 * handles join the next transaction -> data of ordered files to its place -> room in the log -> revoke, descriptor and data
 * blocks to the log, and wait -> flush -> commit block, FUA -> freed blocks may have new owners.
 *
 * Rules: (1) the data of ordered files, and all of the log but the commit block, have completed before the flush that precedes
 * the commit block. (2) A failure leaves the commit block unwritten: the transaction never was.
 * Source: jbd2_journal_commit_transaction (fs/jbd2/commit.c).
 */
import type { Kernel } from '../../kernel/kernel.ts'
import type { Journal } from './journal.ts'
import { Transaction } from './transaction.ts'

/** Commit the running transaction of `j`; the caller is alone. @returns false if there was nothing to commit */
export function* commitRunning(j: Journal): Kernel<boolean, 'EIO'> {
  const t = j.running
  const user = j.user!
  t.state = 'locked'
  if (t.handles > 0) yield t.quiet
  t.state = 'switching'
  yield* user.encode(t)
  if (j.mode === 'journal') user.logOrdered(t)
  const metadata = j.cache.take()
  if (metadata.length === 0 && t.data.size === 0) {
    t.state = 'open'
    t.joined = 0
    return false
  }
  t.freed = user.takeFreed()
  t.state = 'committing'
  j.running = new Transaction(t.tid + 1)
  j.committing = t
  const blocks = [...metadata, ...[...t.data].map(([nr, data]) => ({ nr, data }))]
  for (const { nr } of blocks) j.logged.add(nr)
  if (j.mode === 'ordered') yield* user.writeOrdered(t.ordered)
  if (j.log.freeBlocks < j.log.blocksFor(blocks.length, t.revoked.size)) yield* j.writeInPlace(blocks)
  yield* j.log.write(t.tid, blocks, [...t.revoked].sort((a, b) => a - b))
  j.committed = t.tid
  j.committing = null
  j.commits++
  for (const nr of t.revoked) j.written.delete(nr)
  for (const { nr, data } of blocks) j.written.set(nr, data)
  yield* user.release(t.freed)
  if (j.log.freeBlocks < j.log.length / 4) yield* j.writeInPlace([])
  return true
}
