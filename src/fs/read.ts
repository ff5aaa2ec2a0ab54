/**
 * Reading: uptodate blocks are copied without any lock; what is missing is read under the folio lock, with readahead.
 *
 * Readers of an uptodate folio take no lock (mm/filemap.c, filemap_read), so a read may see a write in progress: measured
 * on Linux, only XFS gives whole writes to readers, by taking the inode lock shared. A design that claims
 * `readLock: 'shared'` gets that here.
 */
import type { ReadTarget } from '../iov/target.ts'
import { attempt, Failure, type Kernel, raise } from '../kernel/kernel.ts'
import { PAGE, roundUp } from '../kernel/units.ts'
import { BLOCK_MAPPED, BLOCK_PLACE, type Folio, UPTODATE } from '../pagecache/folio.ts'
import { type Extent, HOLE, MAPPED } from './extent-map.ts'
import { readBlocks } from './data-io.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { endStream } from './streaming.ts'
import { COPY_STEP, type Verbs } from './verbs.ts'

/** Readahead state of an open file, in bytes (struct file_ra_state). */
export class Readahead {
  /** Where a sequential reader comes next. */
  next = 0
  /** Bytes read ahead last time. */
  window = 0
}

const FIRST_WINDOW = 16 * 1024
const LARGEST_WINDOW = 128 * 1024

/**
 * Read up to `len` bytes at `pos` into `target`.
 * @returns bytes, fewer at the end of the file. Raises EIO, EFAULT or ENOMEM only if not one byte was read
 */
export function* readFile(
  k: Verbs, fs: FileSystem, inode: Inode, ra: Readahead, pos: number, target: ReadTarget,
): Kernel<number, 'EIO' | 'EFAULT' | 'ENOMEM'> {
  const shared = fs.strategy.claims.readLock === 'shared'
  if (shared) yield* k.acquireShared(inode.rwsem)
  let done = 0
  try {
    for (let end = Infinity; done < target.length && pos + done < end && pos + done < k.size(inode);) {
      const at = pos + done
      const f = k.peekFolio(inode.pages!, Math.floor(at / PAGE))
      const off = f === null ? 0 : at - f.pos
      const n = Math.min(target.length - done, k.size(inode) - at, f === null ? PAGE : f.size - off)
      if (f === null || !f.all(off, n, UPTODATE)) {
        yield* fillFor(k, fs, inode, ra, at, target.length - done)
        continue
      }
      f.referenced = true
      k.ledger.folioLookups++
      // A read ends at the end of file that it meets, even if the file grows meanwhile (filemap_read).
      end = k.size(inode)
      const copied = k.scheduled
        ? yield* copyInSteps(k, f, off, target, done, n)
        : target.copyOut(f.slab.bytes, f.base + off, done, n)
      done += copied
      if (copied < n) {
        const writable = target.faultInWritable === undefined ? 0 : yield* target.faultInWritable(done, n - copied)
        if (writable === 0) return done > 0 ? done : yield* raise('EFAULT', 'EFAULT.target')
      }
    }
  } catch (e) {
    if (!(e instanceof Failure) || done === 0) throw e
  } finally {
    if (shared) k.releaseShared(inode.rwsem)
  }
  ra.next = pos + done
  return done
}

/**
 * The cached folio that holds byte `at`, with the blocks of [at, at + want) uptodate, brought in if need be; for who takes
 * a reference and no copy. Not locked. Null at the end of the file.
 * @param ahead bytes that a sequential reader wants from `at` on
 */
export function* folioForRead(
  k: Verbs, fs: FileSystem, inode: Inode, ra: Readahead, at: number, want: number, ahead: number,
): Kernel<Folio | null, 'EIO' | 'ENOMEM'> {
  while (at < k.size(inode)) {
    const f = k.peekFolio(inode.pages!, Math.floor(at / PAGE))
    k.ledger.folioLookups++
    if (f !== null && f.all(at - f.pos, Math.min(want, k.size(inode) - at), UPTODATE)) return f
    yield* fillFor(k, fs, inode, ra, at, ahead)
  }
  return null
}

/** Copy out of a folio without its lock, others running in between; its memory stays even if it leaves the cache. */
function* copyInSteps(k: Verbs, f: Folio, off: number, target: ReadTarget, at: number, n: number): Kernel<number> {
  k.refer(f)
  try {
    for (let done = 0; done < n; ) {
      yield* k.step('read')
      const part = Math.min(n - done, COPY_STEP - ((off + done) % COPY_STEP))
      const c = target.copyOut(f.slab.bytes, f.base + off + done, at + done, part)
      done += c
      if (c < part) return done
    }
    return n
  } finally {
    k.unrefer(f)
  }
}

/** Bring the folio of `at` in, and what a sequential reader will want next. */
function* fillFor(
  k: Verbs, fs: FileSystem, inode: Inode, ra: Readahead, at: number, want: number,
): Kernel<void, 'EIO' | 'ENOMEM'> {
  const sequential = at === 0 || at === ra.next || (at > ra.next - PAGE && at <= ra.next + PAGE)
  ra.window = sequential ? Math.min(LARGEST_WINDOW, Math.max(FIRST_WINDOW, 2 * ra.window)) : 0
  const ahead = Math.min(Math.max(want, ra.window), LARGEST_WINDOW, roundUp(k.size(inode), PAGE) - at)
  yield* k.acquireShared(inode.invalidateLock)
  try {
    const f = yield* k.grabFolio(inode.pages!, Math.floor(at / PAGE), (at % PAGE) + ahead, false)
    try {
      yield* fillFolio(k, fs, inode, f, 0, f.size)
    } finally {
      k.unlockFolio(f)
    }
    for (let next = f.pos + f.size; next < at + ahead; ) next = yield* readAhead(k, fs, inode, next, at + ahead - next)
  } finally {
    k.releaseShared(inode.invalidateLock)
  }
}

/** Read one folio ahead; nothing that fails here is an error. @returns where to go on */
function* readAhead(k: Verbs, fs: FileSystem, inode: Inode, pos: number, bytes: number): Kernel<number> {
  const index = Math.floor(pos / PAGE)
  const cached = k.peekFolio(inode.pages!, index)
  if (cached !== null) return cached.pos + cached.size
  const f = k.fault('ENOMEM.readahead') ? null : k.addFolio(inode.pages!, index, bytes)
  if (f === null) return Infinity
  yield* attempt(() => fillFolio(k, fs, inode, f, 0, f.size))
  k.unlockFolio(f)
  return f.pos + f.size
}

/** Make the blocks that [off, off + n) touches uptodate: holes and what lies past the end are zeros. Folio locked. */
export function* fillFolio(k: Verbs, fs: FileSystem, inode: Inode, f: Folio, off: number, n: number): Kernel<void, 'EIO'> {
  const block = fs.blockSize
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  const upto = off + n
  for (let at = off - (off % block); at < upto; ) {
    if ((f.bits(at) & UPTODATE) !== 0) {
      at += block
      continue
    }
    let to = at + block
    while (to < upto && (f.bits(to) & UPTODATE) === 0) to += block
    fs.lookupInto(k, inode, (f.pos + at) / block, (to - at) / block, e)
    const bytes = e.n * block
    if (e.state !== MAPPED || f.pos + at >= k.size(inode)) f.zero(at, bytes)
    else {
      yield* readBlocks(k, fs, f, at, bytes, e.pblk)
      f.change(at, bytes, BLOCK_MAPPED, BLOCK_PLACE)
    }
    f.change(at, bytes, UPTODATE, 0)
    at += bytes
  }
  endStream(f)
}
