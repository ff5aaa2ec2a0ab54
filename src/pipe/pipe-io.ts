/**
 * Reading, writing and waiting on a pipe: what all calls on pipes are built from.
 *
 * Rule of sleeping: a call waits, with the lock of the pipe let go, only before its first byte; after that it takes what there
 * is (or fits) and returns ("sleep only in the beginning", seed 001). A signal that comes while it waits ends it with EINTR,
 * nobody left at the other end with 0 or EPIPE, SPLICE_F_NONBLOCK or O_NONBLOCK with EAGAIN.
 * Sources: pipe_read, pipe_write (fs/pipe.c); wait_for_space (fs/splice.c).
 */
import type { Verbs } from '../fs/verbs.ts'
import type { WriteSource } from '../iov/source.ts'
import type { ReadTarget } from '../iov/target.ts'
import { attempt, type Kernel, type Op, raise } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import type { Pipe } from './pipe.ts'
import { ANONYMOUS, CAN_MERGE } from './pipe-buffer.ts'

/** What waiting on a pipe may end in. */
export type WaitError = 'EAGAIN' | 'EINTR'

/** Let go of the lock until `op` is ready, and take it again. Raises EAGAIN or EINTR, with the lock held. */
function* waitFor(k: Verbs, pipe: Pipe, op: Op, nonblock: boolean): Kernel<void, WaitError> {
  if (nonblock) return yield* raise('EAGAIN', 'EAGAIN.pipe')
  if (k.fault('EINTR.pipe')) return yield* raise('EINTR', 'EINTR.pipe')
  k.release(pipe.lock)
  while (!op.ready()) yield op
  yield* k.acquire(pipe.lock)
}

/** Wait until there is something in the pipe. The lock is held. @returns false if there will never be anything */
export function* waitForData(k: Verbs, pipe: Pipe, nonblock: boolean): Kernel<boolean, WaitError> {
  while (pipe.isEmpty) {
    if (pipe.writers === 0) return false
    yield* waitFor(k, pipe, pipe.readable, nonblock)
  }
  return true
}

/** Wait until there is a free slot. The lock is held. Raises EPIPE if nobody will ever read. */
export function* waitForSpace(k: Verbs, pipe: Pipe, nonblock: boolean): Kernel<void, WaitError | 'EPIPE'> {
  for (;;) {
    if (pipe.readers === 0) return yield* raise('EPIPE', 'EPIPE.pipe')
    if (!pipe.isFull) return
    yield* waitFor(k, pipe, pipe.writable, nonblock)
  }
}

/** write(2) to a pipe. @returns bytes, short if it is full. Raises EPIPE EAGAIN EINTR EFAULT ENOMEM if not one was written */
export function* pipeWrite(
  k: Verbs, pipe: Pipe, source: WriteSource, nonblock = false,
): Kernel<number, WaitError | 'EPIPE' | 'EFAULT' | 'ENOMEM'> {
  if (source.length === 0) return 0
  yield* k.acquire(pipe.lock)
  try {
    let done = pipe.readers > 0 ? yield* merge(k, pipe, source) : 0
    while (done < source.length) {
      if (done === 0) yield* waitForSpace(k, pipe, nonblock)
      if (pipe.isFull) break
      const n = yield* fill(k, pipe, source, done)
      done += n.bytes
      if (n.errno !== null && done === 0) return yield* raise(n.errno)
      if (n.errno !== null) break
    }
    return done
  } finally {
    k.release(pipe.lock)
  }
}

/** As much as fits behind the last bytes of the pipe, in their page, if it can be merged there. @returns bytes */
function* merge(k: Verbs, pipe: Pipe, source: WriteSource): Kernel<number> {
  const chars = source.length % PAGE
  const b = pipe.last
  if (b === null || chars === 0 || (b.flags & CAN_MERGE) === 0 || b.off + b.len + chars > PAGE) return 0
  const f = b.folio!
  if ((yield* attempt(() => b.ops!.confirm(k, b)))._tag === 'Left') return 0
  const readable = yield* source.faultIn(0, chars)
  const n = source.copyAtomic(f.slab.bytes, f.base + b.off + b.len, 0, readable)
  b.len += n
  return n
}

/** One page more. @returns bytes in it, or why there are none */
function* fill(
  k: Verbs, pipe: Pipe, source: WriteSource, at: number,
): Kernel<{ readonly bytes: number; readonly errno: 'EFAULT' | 'ENOMEM' | null }> {
  const f = k.ownPage()
  if (f === null) return { bytes: 0, errno: 'ENOMEM' }
  const n = yield* source.copyFaulting(f.slab.bytes, f.base, at, Math.min(PAGE, source.length - at))
  if (n > 0) pipe.push(f, 0, n, ANONYMOUS, CAN_MERGE)
  else k.unrefer(f)
  return { bytes: n, errno: n === 0 ? 'EFAULT' : null }
}

/** F_SETPIPE_SZ: another number of slots, a power of two. Raises EBUSY if more are in use, EINVAL for no power of two. */
export function* setPipeSlots(k: Verbs, pipe: Pipe, slots: number): Kernel<void, 'EBUSY' | 'EINVAL'> {
  if (slots < 1 || (slots & (slots - 1)) !== 0) return yield* raise('EINVAL', 'EINVAL.slots')
  yield* k.acquire(pipe.lock)
  const fits = pipe.resize(slots)
  k.release(pipe.lock)
  if (!fits) return yield* raise('EBUSY', 'EBUSY.slots')
}

/** read(2) from a pipe. @returns bytes, 0 when nobody will write any more. Raises EAGAIN EINTR EIO EFAULT if not one was read */
export function* pipeRead(
  k: Verbs, pipe: Pipe, target: ReadTarget, nonblock = false,
): Kernel<number, WaitError | 'EIO' | 'EFAULT'> {
  yield* k.acquire(pipe.lock)
  try {
    if (target.length === 0 || !(yield* waitForData(k, pipe, nonblock))) return 0
    let done = 0
    while (done < target.length && !pipe.isEmpty) {
      const b = pipe.at(0)
      const good = yield* attempt(() => b.ops!.confirm(k, b))
      if (good._tag === 'Left') return done > 0 ? done : yield* raise(good.left)
      const want = Math.min(b.len, target.length - done)
      const n = target.copyOut(b.folio!.slab.bytes, b.folio!.base + b.off, done, want)
      pipe.consume(k, n)
      done += n
      if (n < want && done === 0) return yield* raise('EFAULT', 'EFAULT.pipe')
      if (n < want) break
    }
    return done
  } finally {
    k.release(pipe.lock)
  }
}
