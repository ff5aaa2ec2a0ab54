/**
 * splice(2), tee(2), vmsplice(2): pages into a pipe, from one pipe to another, and out of a pipe into a file.
 *
 *   file -> pipe   the pipe gets a reference to each page of the page cache: nothing is copied, and nothing frozen
 *   pipe -> file   the pipeline of write(2), with the pipe as its source; with SPLICE_F_MOVE pages that may be taken become
 *                  pages of the file, the others are copied
 *   pipe -> pipe   buffers move; a part of one is a second reference
 *   tee            second references; both pipes then hold the same pages
 *   vmsplice       pages of a process; a gift (SPLICE_F_GIFT) may be taken
 *
 * Conservation: what a call returns is what left one side and reached the other, whatever failed on the way; what was not
 * used stays in the pipe, unchanged and readable. Locks: pipe > inode; two pipes by number. Sleeping: see pipe-io.ts.
 * Sources: fs/splice.c; Viro, 24 Sep 2016 (seed 001).
 */
import { type Either, right } from 'fp-ts/lib/Either.js'
import type { OpenFile } from '../fs/open-file.ts'
import { folioForRead } from '../fs/read.ts'
import type { Syscalls } from '../fs/syscalls.ts'
import type { Verbs } from '../fs/verbs.ts'
import type { Errno } from '../kernel/errno.ts'
import { attempt, Failure, type Kernel, raise } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import type { Pipe } from './pipe.ts'
import { CACHE, CAN_MERGE, GIFT, type PipeBuffer, USER } from './pipe-buffer.ts'
import { type WaitError, waitForData, waitForSpace } from './pipe-io.ts'
import { PipeSource } from './pipe-source.ts'
import type { UserPages } from './user-pages.ts'

/** Names of the flags that are understood. */
export const SPLICE_FLAGS = ['SPLICE_F_MOVE', 'SPLICE_F_NONBLOCK', 'SPLICE_F_GIFT'] as const
/** One flag of splice(2), tee(2) or vmsplice(2). */
export type SpliceFlag = (typeof SPLICE_FLAGS)[number]

const nonblocking = (flags: readonly SpliceFlag[]): boolean => flags.includes('SPLICE_F_NONBLOCK')

// --- file -> pipe --------------------------------------------------------------------------------------------------------

/**
 * splice(2) from a file: up to `len` bytes at `pos`; -1: at the file position, which moves. Waits for a slot before the first.
 * @returns bytes, 0 at the end of the file. Raises EBADF EISDIR EPIPE EAGAIN EINTR EIO ENOMEM if none was spliced
 */
export function* spliceFromFile(
  sys: Syscalls, fd: number, pos: number, pipe: Pipe, len: number, flags: readonly SpliceFlag[] = [],
): Kernel<number, Errno> {
  const { k } = sys
  const file = yield* sys.file(fd)
  if (!file.flags.read) return yield* raise('EBADF', 'EBADF.splice')
  if (file.inode.isDirectory) return yield* raise('EISDIR', 'EISDIR.splice')
  const from = pos < 0 ? file.pos : pos
  yield* k.acquire(pipe.lock)
  try {
    yield* waitForSpace(k, pipe, nonblocking(flags))
    const n = yield* pushPages(sys, file, from, pipe, len)
    if (pos < 0) file.pos += n
    return n
  } finally {
    k.release(pipe.lock)
  }
}

/** Pages of the file until the pipe is full, the file ends, or `len` bytes are there. */
function* pushPages(sys: Syscalls, file: OpenFile, pos: number, pipe: Pipe, len: number): Kernel<number, 'EIO' | 'ENOMEM'> {
  const { k, fs } = sys
  const { inode, readahead } = file
  const shared = fs.strategy.claims.readLock === 'shared'
  if (shared) yield* k.acquireShared(inode.rwsem)
  let done = 0
  try {
    while (done < len && !pipe.isFull) {
      const at = pos + done
      const want = Math.min(len - done, PAGE - (at % PAGE))
      const f = yield* folioForRead(k, fs, inode, readahead, at, want, len - done)
      if (f === null) break
      const n = Math.min(want, k.size(inode) - at)
      f.referenced = true
      k.refer(f)
      pipe.push(f, at - f.pos, n, CACHE, 0)
      done += n
    }
  } catch (e) {
    if (!(e instanceof Failure) || done === 0) throw e
  } finally {
    if (shared) k.releaseShared(inode.rwsem)
  }
  readahead.next = pos + done
  return done
}

// --- pipe -> file --------------------------------------------------------------------------------------------------------

/**
 * splice(2) into a file: up to `len` bytes at `pos`; -1: at the file position, which moves. Waits for data before the first
 * byte. With SPLICE_F_MOVE pages are taken where they may be.
 * @returns bytes, 0 when nobody will write to the pipe any more. Raises what write(2) raises, EINVAL for a file open with
 * O_APPEND, EAGAIN, EINTR, and EIO for a page that could not be read, if none was spliced
 */
export function* spliceToFile(
  sys: Syscalls, pipe: Pipe, fd: number, pos: number, len: number, flags: readonly SpliceFlag[] = [],
): Kernel<number, Errno> {
  const { k } = sys
  const file = yield* sys.file(fd)
  if (!file.flags.write) return yield* raise('EBADF', 'EBADF.splice')
  if (file.flags.append) return yield* raise('EINVAL', 'EINVAL.splice')
  const from = pos < 0 ? file.pos : pos
  let done = 0
  yield* k.acquire(pipe.lock)
  try {
    while (done < len && (done === 0 ? yield* waitForData(k, pipe, nonblocking(flags)) : !pipe.isEmpty)) {
      const confirmed = yield* confirm(k, pipe, len - done)
      if (confirmed._tag === 'Left' && done === 0) return yield* raise(confirmed.left)
      if (confirmed._tag === 'Left') break
      const ready = confirmed.right
      const source = new PipeSource(pipe, ready)
      const donor = flags.includes('SPLICE_F_MOVE') ? source : null
      const written = yield* attempt(() => sys.spliceWrite(file, source, donor, from + done))
      // A write that failed after its bytes stood (O_DSYNC) has used them all the same.
      const n = written._tag === 'Right' ? written.right : file.write.done
      pipe.consume(k, n)
      if (written._tag === 'Left' && done === 0) return yield* raise(written.left)
      done += n
      if (n < ready) break
    }
    if (pos < 0) file.pos += done
    return done
  } finally {
    k.release(pipe.lock)
  }
}

/** How many of the first `len` bytes are there to be used; EIO if the very first are not. */
function* confirm(k: Verbs, pipe: Pipe, len: number): Kernel<Either<'EIO', number>> {
  let n = 0
  for (let i = 0; i < pipe.used && n < len; i++) {
    const b = pipe.at(i)
    const good = yield* attempt(() => b.ops!.confirm(k, b))
    if (good._tag === 'Left') return n > 0 ? right(n) : good
    n += b.len
  }
  return right(Math.min(n, len))
}

// --- pipe -> pipe --------------------------------------------------------------------------------------------------------

/** Take the locks of two pipes, the smaller number first (pipe_double_lock). */
function* lockBoth(k: Verbs, a: Pipe, b: Pipe): Kernel<void> {
  yield* k.acquire(a.number < b.number ? a.lock : b.lock)
  yield* k.acquire(a.number < b.number ? b.lock : a.lock)
}

/** Wait, one lock at a time, until there is data in `input` and a slot in `output`; then hold both. */
function* waitForBoth(
  k: Verbs, input: Pipe, output: Pipe, nonblock: boolean,
): Kernel<boolean, WaitError | 'EPIPE'> {
  for (;;) {
    yield* k.acquire(input.lock)
    try {
      if (!(yield* waitForData(k, input, nonblock))) return false
    } finally {
      k.release(input.lock)
    }
    yield* k.acquire(output.lock)
    try {
      yield* waitForSpace(k, output, nonblock)
    } finally {
      k.release(output.lock)
    }
    yield* lockBoth(k, input, output)
    if (!input.isEmpty && !output.isFull) return true
    k.release(input.lock)
    k.release(output.lock)
  }
}

/** A second reference to the first `len` bytes of `from`. What the first one may do to the page the second may not. */
const share = (k: Verbs, from: PipeBuffer, output: Pipe, len: number): void => {
  from.ops!.get(k, from)
  output.push(from.folio!, from.off, len, from.ops!, from.flags & ~(GIFT | CAN_MERGE))
}

/** splice(2) between two pipes. @returns bytes. Raises EINVAL for one and the same, EPIPE EAGAIN EINTR */
export function* splicePipes(
  k: Verbs, input: Pipe, output: Pipe, len: number, flags: readonly SpliceFlag[] = [],
): Kernel<number, WaitError | 'EPIPE' | 'EINVAL'> {
  if (input === output) return yield* raise('EINVAL', 'EINVAL.splice-pipes')
  if (len === 0 || !(yield* waitForBoth(k, input, output, nonblocking(flags)))) return 0
  let done = 0
  while (done < len && !input.isEmpty && !output.isFull) {
    const b = input.at(0)
    const n = Math.min(b.len, len - done)
    if (n === b.len) {
      output.push(b.folio!, b.off, n, b.ops!, b.flags)
      input.shift()
    } else {
      share(k, b, output, n)
      input.consume(k, n)
    }
    done += n
  }
  k.release(input.lock)
  k.release(output.lock)
  return done
}

/** tee(2): the first `len` bytes of `input` are in `output`, too. @returns bytes. Raises EINVAL for one and the same, EPIPE EAGAIN EINTR */
export function* tee(
  k: Verbs, input: Pipe, output: Pipe, len: number, flags: readonly SpliceFlag[] = [],
): Kernel<number, WaitError | 'EPIPE' | 'EINVAL'> {
  if (input === output) return yield* raise('EINVAL', 'EINVAL.tee')
  if (len === 0 || !(yield* waitForBoth(k, input, output, nonblocking(flags)))) return 0
  let done = 0
  for (let i = 0; i < input.used && done < len && !output.isFull; i++) {
    const b = input.at(i)
    const n = Math.min(b.len, len - done)
    share(k, b, output, n)
    done += n
  }
  k.release(input.lock)
  k.release(output.lock)
  return done
}

// --- memory -> pipe ------------------------------------------------------------------------------------------------------

/**
 * vmsplice(2): the pages of [addr, addr + len) are in the pipe; the process still maps them, and may still write to them.
 * With SPLICE_F_GIFT it promises not to. Waits for a slot before the first.
 * @returns bytes. Raises EFAULT for memory that is not mapped, EINVAL for a gift that is not whole pages, EPIPE EAGAIN EINTR
 */
export function* vmsplice(
  k: Verbs, memory: UserPages, addr: number, len: number, pipe: Pipe, flags: readonly SpliceFlag[] = [],
): Kernel<number, WaitError | 'EPIPE' | 'EFAULT' | 'EINVAL'> {
  const gift = flags.includes('SPLICE_F_GIFT')
  if (gift && (addr % PAGE !== 0 || len % PAGE !== 0)) return yield* raise('EINVAL', 'EINVAL.gift')
  if (len === 0) return 0
  yield* k.acquire(pipe.lock)
  try {
    yield* waitForSpace(k, pipe, nonblocking(flags))
    let done = 0
    while (done < len && !pipe.isFull) {
      const f = memory.page(addr + done)
      if (f === null) break
      const off = (addr + done) % PAGE
      const n = Math.min(len - done, PAGE - off)
      k.refer(f)
      pipe.push(f, off, n, USER, gift ? GIFT : 0)
      done += n
    }
    return done > 0 ? done : yield* raise('EFAULT', 'EFAULT.vmsplice')
  } finally {
    k.release(pipe.lock)
  }
}
