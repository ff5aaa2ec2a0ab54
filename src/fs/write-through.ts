/**
 * writeThrough: the bytes of a batch go to the disk while its folios stay locked, before anybody counts them as written.
 *
 * Phases, as those of writeback: write-protect -> place blocks -> bios -> wait -> convert, sizes. Obligations of the caller: all
 * folios of the batch are locked, copied into, not under writeback; a handle is open where there is a journal.
 *
 * Rules: (1) i_size and the size on disk move after the I/O, to the end of what is on the disk. (2) An error is the caller's and is
 * recorded nowhere else. (3) What did not reach the disk: a block that was dirty before stays dirty and keeps the new bytes (the
 * older ones, which were promised to somebody, are gone); one that this write placed, and that would show its former owner, is
 * zeroed; any other is not uptodate, and the next reader asks the disk. Past the end nothing stays written.
 * Source: RWF_WRITETHROUGH, linux-mm, February 2026: "folio lock -> copy -> initiate and complete writeback -> unlock folio".
 */
import type { Errno } from '../kernel/errno.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { roundDown, roundUp } from '../kernel/units.ts'
import { DIRTY, type Folio, UPTODATE, WRITE_FAILED } from '../pagecache/folio.ts'
import type { Mapping } from './mapping.ts'
import { holdSplits, releaseSplits } from './splits.ts'
import type { Verbs } from './verbs.ts'
import type { Write } from './write.ts'
import { finishIo, firstBlock, foreign, type Io, startFolio, submit } from './writeback.ts'

/** What became of a batch: bytes on the disk from its start on, and the errno that ended it. */
export interface Through {
  readonly stands: number
  readonly errno: Errno | null
}

/** Write the `n` copied bytes from `from` on, and wait. `whole`: all of them stand, or none. */
export function* writeThrough(k: Verbs, w: Write, m: Mapping, from: number, n: number, whole: boolean): Kernel<Through> {
  const { fs, inode } = w
  const size = Math.max(k.size(inode), from + n)
  const ios: Io[] = []
  const older: number[] = []
  const started: Folio[] = []
  let errno: Errno | null = null
  let done = from
  // What a store left past the end is inside the file when the size moves; by then the disk has read the page.
  if (from > k.size(inode)) k.extended(inode, k.size(inode), from)
  for (const { f, off, len } of parts(w, from)) noteDirty(f, off, len, older)
  for (const { f, off, len } of parts(w, from)) {
    if (errno !== null) break
    k.writeProtect(f)
    k.dirtyBlocks(f, off, len)
    errno = yield* startFolio(k, fs, inode, f, ios, false, size, roundDown(off, fs.blockSize), off + len)
    f.writeback = true
    started.push(f)
    done = errno === null ? f.pos + off + len : firstDirty(f, off, len)
  }
  if (whole && errno !== null) ios.length = 0
  const held = yield* holdSplits(k, fs, inode, fs.format.hasUnwritten ? ios.map(firstBlock(fs)) : [], foreign(k, fs, inode, started))
  for (const io of ios) submit(k, fs, io, 'EIO.write-through')
  for (const io of ios) {
    const failed = yield* finishIo(k, fs, inode, io, false, held)
    if (failed === null) continue
    errno ??= failed
    done = Math.min(done, io.pos + roundDown(io.bio!.completion!.bytes, fs.blockSize))
  }
  releaseSplits(fs, inode, held)
  for (const f of started) f.writeback = false
  const stands = whole && errno !== null ? 0 : Math.max(0, done - from)
  if (errno !== null) {
    const past = stands > 0 ? roundUp(from + stands, fs.blockSize) : roundDown(from, fs.blockSize)
    forget(k, w, m, from, past, older)
    yield* unwrite(k, w, past, from + n)
  }
  if (stands > 0) {
    if (from + stands > k.size(inode)) k.setSize(inode, from + stands, from)
    if (from + stands > inode.diskSize) inode.diskSize = from + stands
    inode.dirty = true
  }
  return { stands, errno }
}

/** What was copied into each folio of the batch. */
function* parts(w: Write, from: number): Generator<{ readonly f: Folio; readonly off: number; readonly len: number }, void, undefined> {
  for (let i = 0, at = from; i < w.took.length; i++) {
    const f = w.batch[i]!
    if (w.took[i]! > 0) yield { f, off: at - f.pos, len: w.took[i]! }
    at = f.pos + f.size
  }
}

/** Add the positions of blocks of [off, off + n) that are dirty, or that an older writeback may have failed to write, to `dirty`. */
const noteDirty = (f: Folio, off: number, n: number, dirty: number[]): void => {
  const block = 1 << f.blockShift
  for (let b = roundDown(off, block); b < off + n; b += block) if ((f.bits(b) & (DIRTY | WRITE_FAILED)) !== 0) dirty.push(f.pos + b)
}

/** Where the first block of [off, off + n) begins that found no place. */
const firstDirty = (f: Folio, off: number, n: number): number => {
  const block = 1 << f.blockShift
  let b = roundDown(off, block)
  while (b < off + n && (f.bits(b) & DIRTY) === 0) b += block
  return f.pos + Math.max(b, off)
}

/** Blocks past the end that were placed before, and hold data now that nobody accepted, are unwritten again. */
function* unwrite(k: Verbs, w: Write, from: number, to: number): Kernel<void> {
  const { fs, inode } = w
  const first = Math.ceil(Math.max(from, k.size(inode)) / fs.blockSize)
  const end = Math.ceil(to / fs.blockSize)
  if (!fs.format.hasUnwritten || first >= end) return
  yield* k.acquire(inode.mapLock)
  fs.unconvert(inode, first, end - first)
  k.release(inode.mapLock)
}

/** Rule (3), for blocks from `keep` on. `older`: positions of those that hold what is nowhere else. */
const forget = (k: Verbs, w: Write, m: Mapping, from: number, keep: number, older: readonly number[]): void => {
  const block = w.fs.blockSize
  for (const { f, off, len } of parts(w, from)) {
    for (let b = roundDown(off, block); b < off + len; b += block) {
      const pos = f.pos + b
      if (pos < keep) continue
      if (older.includes(pos)) k.dirtyBlocks(f, b, block)
      else if (!w.fs.format.hasUnwritten && m.isMade(pos / block) && pos < k.size(w.inode)) k.zeroMade(f, b, block)
      else {
        k.cleanBlocks(f, b, block)
        f.change(b, block, 0, UPTODATE)
      }
    }
  }
}
