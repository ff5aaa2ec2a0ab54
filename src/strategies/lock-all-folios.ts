/**
 * lock-all-folios: a write that does not extend the file does without the inode lock; it holds all its folios instead.
 *
 * | phase     | locks              | effect                                              | may fail      | undo                   |
 * |-----------|--------------------|-----------------------------------------------------|---------------|------------------------|
 * | exclusive | -                  | the inode lock only to extend, or past 2 MiB        | -             | -                      |
 * | begin     | invalidate, shared | keep truncation away; look up                       | -             | end                    |
 * | get       | folios, map        | lock one more, promise what blocks there are        | ENOSPC ENOMEM | the write is shorter   |
 * | edges     | folios             | zero or read                                        | EIO           | end                    |
 * | copy      | folios             | bytes visible at once                               | short         | again, see below       |
 * | end       | invalidate         | give the lock back; unreserve the rest              | never         | punch what has no data |
 *
 * A write of which not all was done in one batch is done again from the start, under the inode lock; if it fails then, it returns the
 * most that ever stood. Taken from bcachefs: one reservation that is made
 * folio by folio and may be partial; "to ensure atomicity of writes with respect to other writes" all folios are locked, and where
 * that cannot be had, or a copy is short, the inode lock is taken. A mapping that went stale (bcachefs has none) counts as that, too.
 * Direct I/O takes the invalidate lock alone, as truncation does. Under a journal as jbd2's a handle comes before that lock, and
 * direct I/O opens handles under it: there the inode lock is always taken.
 * Flaw: a write that was done again holds the inode lock and not all its folios at once, and a write without the inode lock may
 * come between two of its parts. bcachefs fails a write if the first page of its source is not readable as a whole; here one byte does.
 *
 * Source: fs/bcachefs/fs-io-buffered.c (bch2_buffered_write, __bch2_buffered_write), 7e64c86cdc6c.
 */
import type { SpaceError } from '../fs/space.ts'
import { settle } from '../fs/settle.ts'
import type { Strategy } from '../fs/strategy.ts'
import { attempt } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import { lookUpAll, placedFolio } from './placed-folio.ts'
import { reserveAllocate } from './reserve-allocate.ts'

/** Most bytes whose folios the pipeline locks together. */
const AT_ONCE = 512 * PAGE

/** The design. */
export const lockAllFolios: Strategy<SpaceError | 'ENOMEM', never> = {
  ...reserveAllocate,
  name: 'lock-all-folios',
  summary: 'lock all folios instead of the inode, promise blocks folio by folio, copy; again under the inode lock if need be',
  source: 'fs/bcachefs/fs-io-buffered.c, __bch2_buffered_write',
  unit: 'write',
  claims: { ...reserveAllocate.claims, enospcUnit: 'block' },
  mapped: () => false,

  exclusive: (k, w) => w.fs.journal !== null || w.pos + w.len > k.size(w.inode) || w.len > AT_ONCE,

  *begin(k, w, m) {
    yield* k.acquireShared(w.inode.invalidateLock)
    m.shares = true
    yield* lookUpAll(k, w, m)
    // Cut short since `exclusive` looked: not without the inode lock.
    if (!w.exclusive && m.pos + m.len > k.size(w.inode)) m.cookie = -1
  },

  *getFolio(k, w, m, pos, n) {
    return yield* placedFolio(k, w, m, pos, n, 'map', function* (lblk, blocks) {
      const all = yield* attempt(() => w.fs.reserve(k, w.inode, m, blocks, lblk + blocks))
      const got = all._tag === 'Right' ? blocks : 1
      if (all._tag === 'Left') yield* w.fs.reserve(k, w.inode, m, 1, lblk + 1)
      yield* w.fs.record(k, w.inode, m, lblk, got)
      return got
    })
  },

  *end(k, w, m) {
    if (m.shares) k.releaseShared(w.inode.invalidateLock)
    m.shares = false
    yield* settle(k, w, m)
  },
}
