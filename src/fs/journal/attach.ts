/**
 * attachJournal: what a journal and a file system know of each other.
 *
 * A commit encodes every dirty inode: between handles what is in core is one consistent state. The size of a file whose
 * blocks became written in the transaction is published with them (ext4_da_do_write_end, ext4_write_end). Unless data=writeback,
 * its data reaches the disk before the commit block does.
 */
import type { BlockDevice } from '../../block/device.ts'
import { DIRTY, UPTODATE } from '../../pagecache/folio.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { type Extent, HOLE, MAPPED } from '../extent-map.ts'
import type { FileSystem } from '../file-system.ts'
import type { Inode } from '../inode.ts'
import { writeWrittenBack } from '../writeback.ts'
import type { Journal } from './journal.ts'
import { LoggedData } from './logged-data.ts'
import type { Transaction } from './transaction.ts'

/** Make `journal` that of `fs`. @returns the device that data of files goes through */
export const attachJournal = (fs: FileSystem, journal: Journal, device: BlockDevice): BlockDevice => {
  journal.user = {
    pending: () => pending(fs),
    encode: (t) => encode(fs, t),
    *writeOrdered(inodes) {
      let first = null
      for (const inode of inodes) first = first ?? (yield* writeWrittenBack(fs.verbs, fs, inode))
      return first
    },
    logOrdered: (t) => {
      for (const inode of t.ordered) logDirty(fs, t, inode)
    },
    takeFreed: () => fs.format.takeFreed(),
    release: (runs) => fs.format.release(runs),
  }
  return journal.mode === 'journal' ? new LoggedData(device, journal) : device
}

/** Blocks that encoding would dirty: tables, maps, descriptors and the superblock. */
const pending = (fs: FileSystem): number => {
  let n = 4
  for (const inode of fs.inodes.values()) if (inode.dirty) n += 1 + fs.format.mapBlocks(inode)
  return n
}

function* encode(fs: FileSystem, t: Transaction): Kernel<void, 'EIO'> {
  for (const inode of t.ordered) publish(fs, inode)
  for (const inode of fs.cachedInodes()) {
    if (!inode.dirty) continue
    yield* fs.writeInode(inode)
    inode.tid = t.tid
  }
  yield* fs.format.prepareCommit()
}

/** The size on disk covers what is written. */
const publish = (fs: FileSystem, inode: Inode): void => {
  const last = inode.map.extents.findLast((e) => e.state === MAPPED)
  const end = last === undefined ? 0 : Math.min((last.lblk + last.n) * fs.blockSize, inode.size)
  if (end <= inode.diskSize) return
  inode.diskSize = end
  inode.dirty = true
}

/** Log what is dirty over written blocks; it stays dirty. No write is under way, so what is in the cache is what was written. */
const logDirty = (fs: FileSystem, t: Transaction, inode: Inode): void => {
  const block = fs.blockSize
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  for (const f of inode.pages?.dirtyInRange(0, Number.MAX_SAFE_INTEGER) ?? []) {
    for (let off = 0; off < f.size; off += block) {
      const whole = (f.bits(off) & (DIRTY | UPTODATE)) === (DIRTY | UPTODATE)
      if (!whole || inode.map.lookup((f.pos + off) / block, 1, e).state !== MAPPED) continue
      const bytes = Buffer.from(f.slab.bytes.subarray(f.base + off, f.base + off + block))
      const past = Math.max(0, inode.size - f.pos - off)
      if (past < block) bytes.fill(0, past)
      t.data.set(e.pblk, bytes)
    }
  }
}
