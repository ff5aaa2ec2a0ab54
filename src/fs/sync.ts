/**
 * Making things durable: fsync, sync, and letting inodes go.
 *
 * fsync: data, wait, then the inode with its map, then a device flush; the errors since this file last asked are reported
 * (I25). sync: all inodes by number, all metadata in block order, one flush; what fails does not keep the rest from being
 * written. Without a journal the bitmaps reach the disk with sync and unmount only, as in ext2: a crash in between is for
 * e2fsck. With one, a commit makes all of it durable together (ext4_fsync_journal).
 */
import { Bio, submitAndWait } from '../block/bio.ts'
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { transact } from './journal/handle.ts'
import type { OpenFile } from './open-file.ts'
import type { SpaceError } from './space.ts'
import { freeTail, punchBlocks } from './truncate.ts'
import type { Verbs } from './verbs.ts'
import { waitForWriteback } from './writeback.ts'

/** fsync(2) of a file or directory. Raises the first error since this file last asked. */
export function* fsync(k: Verbs, fs: FileSystem, file: OpenFile, from = 0, to = Infinity): Kernel<void, 'EIO' | SpaceError> {
  const { inode } = file
  if (inode.isFile) {
    yield* fs.writeBack(k, inode, from, to)
    yield* waitForWriteback(k, inode, 0, Infinity)
  }
  const metadata = yield* attempt(() => syncMetadata(k, fs, inode))
  const { errno, sample } = inode.pages!.errors.check(file.errorsSeen)
  file.errorsSeen = sample
  if (errno !== null) return yield* raise(errno as 'EIO', `${errno}.errseq` as 'EIO.errseq')
  if (metadata._tag === 'Left') return yield* raise(metadata.left)
}

function* syncMetadata(k: Verbs, fs: FileSystem, inode: Inode): Kernel<void, 'EIO'> {
  const { journal } = fs
  // Where data is logged, what was just written back is in the running transaction.
  if (journal !== null && (inode.dirty || inode.tid > journal.committed || journal.mode === 'journal')) {
    const { commits } = journal
    yield* journal.commit()
    if (journal.commits > commits) return
  } else if (journal === null) {
    // Clean in core is not on the disk yet, if another sync is just writing it.
    yield* fs.writeInode(inode, true)
  }
  yield* flush(k, fs)
}

/** Empty the device's cache. */
export function* flush(k: Verbs, fs: FileSystem): Kernel<void, 'EIO'> {
  k.ledger.flushes++
  if (k.fault('EIO.flush')) return yield* raise('EIO', 'EIO.flush')
  yield* submitAndWait(fs.device, new Bio('flush'))
}

/** sync(2) of this mount. Data errors stay with their files; raises EIO if metadata or the flush failed. */
export function* sync(k: Verbs, fs: FileSystem): Kernel<void, 'EIO'> {
  let failed = false
  const tried = function* (kernel: () => Kernel<void, 'EIO'>): Kernel<void> {
    if ((yield* attempt(kernel))._tag === 'Left') failed = true
  }
  for (const inode of fs.cachedInodes()) {
    if (inode.pages !== null) {
      yield* fs.writeBack(k, inode, 0, Infinity)
      yield* waitForWriteback(k, inode, 0, Infinity)
    }
    if (inode.dirty && fs.journal === null) yield* tried(() => fs.writeInode(inode))
  }
  yield* tried(() => fs.journal?.commit() ?? fs.format.sync())
  yield* tried(() => flush(k, fs))
  if (failed) return yield* raise('EIO', 'EIO.sync')
}

/** Everything in its place, the journal empty, the file system marked clean. Raises EIO. */
export function* unmount(k: Verbs, fs: FileSystem): Kernel<void, 'EIO'> {
  yield* sync(k, fs)
  if (fs.journal !== null) yield* fs.journal.flush()
  yield* fs.format.unmount()
  if (fs.journal !== null) yield* flush(k, fs)
}

/**
 * The last holder of an inode let go: free it if no name is left, else leave it cached. Cannot fail; EIO leaks. Under a journal
 * it is an orphan until then, and takes transactions of its own (ext4_evict_inode).
 */
export function* put(k: Verbs, fs: FileSystem, inode: Inode): Kernel<void> {
  if (inode.holders > 0 || inode.nlink > 0) return
  yield* dropAllPages(k, inode)
  inode.size = 0
  inode.diskSize = 0
  yield* attempt(() => freeTail(k, fs, inode))
  yield* attempt(() => transact(fs, () => discard(k, fs, inode)))
}

/** Free an inode that nobody can see, inside a transaction. Cannot fail; EIO leaks. */
export function* discard(k: Verbs, fs: FileSystem, inode: Inode): Kernel<void> {
  yield* punchBlocks(k, fs, inode, 0, 2 ** 32)
  fs.disown(inode)
  inode.size = 0
  inode.diskSize = 0
  yield* attempt(() => fs.format.removeOrphan(inode))
  yield* attempt(() => fs.format.freeInode(inode))
  fs.inodes.delete(inode.ino)
}

/** Write an unused inode out and forget it with its pages, as memory pressure does. @returns false if it is in use */
export function* evictInode(k: Verbs, fs: FileSystem, inode: Inode): Kernel<boolean, 'EIO'> {
  if (inode.holders > 0 || inode.nlink === 0) return false
  yield* fs.writeBack(k, inode, 0, Infinity)
  if (inode.pages!.dirty.length > 0) return false
  if (inode.dirty) yield* transact(fs, () => fs.writeInode(inode))
  yield* dropAllPages(k, inode)
  fs.inodes.delete(inode.ino)
  return true
}

function* dropAllPages(k: Verbs, inode: Inode): Kernel<void> {
  const found = inode.pages!.inRange(0, Number.MAX_SAFE_INTEGER)
  k.referAll(found)
  for (const f of found) {
    yield* k.lockFolio(f)
    k.unreferLocked(f)
    while (f.writeback) yield f.writebackOp
    if (f.home === inode.pages) k.removeFolio(f)
    else k.unlockFolio(f)
  }
}
