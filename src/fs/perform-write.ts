/**
 * performWrite: the one buffered-write pipeline. Read this first.
 *
 * For every mapping of a write(2): fault the source in, ask the strategy for space (`begin`), then for every batch of folios
 * get and lock -> is the mapping still true? -> edges -> copy -> `commit` -> dirty and i_size -> put; then `end`.
 * A batch is one folio, or all folios of the write for designs that lock them together (at most 512 pages).
 *
 * Rules: (1) the mapping's cookie is compared under the folio lock; a stale one ends the mapping with what was written, and
 * it is asked again. (2) Of a short copy that ends in a block that is not uptodate, only the blocks before it count; the rest is
 * tried again, shorter.
 * (3) After an error with progress the caller sees a short write. (4) Each begin has its end, each getFolio its putFolio.
 * (5) Dirty throttling and fault-in happen with no folio locked. (6) A write that must not wait runs the same steps through
 * `noWait`.
 * Sources: generic_perform_write (mm/filemap.c), iomap_write_iter (fs/iomap/buffered-io.c), the May 2010 thread.
 */
import { MemorySource } from '../iov/source.ts'
import type { Errno } from '../kernel/errno.ts'
import { attempt, Failure, type Kernel, raise } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import type { Folio } from '../pagecache/folio.ts'
import { CALL_CREDITS, ENOSPC_RETRIES, freeAfterCommit, transactReserved } from './journal/handle.ts'
import type { Journal } from './journal/journal.ts'
import type { Mapping } from './mapping.ts'
import { noWait } from './nowait.ts'
import { settle } from './settle.ts'
import type { AnyStrategy, Strategy } from './strategy.ts'
import type { Verbs } from './verbs.ts'
import type { Write } from './write.ts'

/** Most bytes whose folios are locked together (btrfs: PAGE_SIZE / 8 pages). */
const BATCH_BYTES = 512 * PAGE

/**
 * Write `w` by the design `s`. Takes the inode lock unless the design does without.
 * @returns bytes accepted, more than 0 or the errno of the first failure
 */
export function* performWrite<E extends Errno, L extends Errno>(
  k: Verbs, s: Strategy<E, L>, w: Write, m: Mapping,
): Kernel<number, E | L | 'EFAULT' | 'ENOMEM' | 'EIO' | 'EINTR' | 'ERESTARTSYS' | 'EAGAIN'> {
  let exclusive = s.exclusive === undefined || w.append || s.exclusive(k, w) || w.donor !== null
  w.exclusive = exclusive
  if (exclusive && w.nowait) yield* noWait(k, k.acquire(w.inode.rwsem), 'EAGAIN.lock')
  else if (exclusive && !k.tryAcquire(w.inode.rwsem)) yield* k.acquire(w.inode.rwsem)
  // Not once the plain prefix wrote some of it: the end is then after our own bytes.
  if (w.append && w.done === 0) w.pos = k.size(w.inode)
  m.inode = w.inode
  m.nowait = w.nowait
  let errno: Errno | null = null
  let chunk = w.len
  let best = 0
  let retries = 0
  while (w.done < w.len && errno === null) {
    if (w.fs.mustThrottle && !w.nowait) yield* w.fs.balanceDirty(k)
    errno = interruption(k, s, w)
    if (errno !== null) break
    let want = Math.min(chunk, w.len - w.done, s.unit === 'write' ? BATCH_BYTES : w.len)
    // A mapping is of pages that may be taken, or of none: what is copied may go into large folios.
    if (w.donor !== null) want = w.donor.run(w.done, want)
    const readable = w.source.present ? want : yield* k.faultIn(w, w.done, want)
    if (readable === 0 || (s.claims.faultIn === 'all' && readable < want)) { errno = 'EFAULT'; break }
    k.turn(w)
    if (s.copy === 'whole' && w.done === 0 && !(yield* bounce(k, w))) { errno = 'EFAULT'; break }
    if (w.fs.journal !== null) errno = yield* startHandle(s, w, w.fs.journal)
    if (errno !== null) break
    m.reset(w.pos + w.done, want, k.cookie(w.inode))
    const turn = yield* writeMapping(k, s, w, m)
    stopHandle(s, w)
    w.done += m.written
    errno = turn.errno
    if (errno === 'ENOSPC' && retries < ENOSPC_RETRIES && (yield* freeAfterCommit(w.fs))) {
      retries++
      errno = null
    }
    if (!exclusive && errno === null && w.done < w.len) {
      // A design without the inode lock writes all at once, or starts again from pos, alone (bcachefs).
      if (w.nowait) { errno = 'EAGAIN'; break }
      yield* k.acquire(w.inode.rwsem)
      exclusive = true
      w.exclusive = true
      best = Math.max(best, w.done)
      w.done = 0
      chunk = w.len
    } else chunk = turn.stopped && m.written === 0 && turn.copied > 0 ? turn.copied : w.len
  }
  if (exclusive) k.release(w.inode.rwsem)
  const done = Math.max(w.done, best)
  if (done > 0 && s.after !== undefined) yield* s.after(k, w, done)
  return done > 0 || errno === null ? done : yield* raise(errno as E)
}

/**
 * The source becomes kernel memory, so that no copy out of it can be short (the bounce page of 08291429cfa6). No folio is locked
 * and no handle is open. @returns false if not all of it can be read
 */
function* bounce(k: Verbs, w: Write): Kernel<boolean> {
  if (w.len > BATCH_BYTES || w.bounced) return true
  const bytes = Buffer.allocUnsafeSlow(w.len)
  const n = yield* w.source.copyFaulting(bytes, 0, 0, w.len)
  k.ledger.innerBytes += n
  w.bounced = true
  w.source = new MemorySource(bytes)
  w.donor = null
  return n === w.len
}

/** What keeps a write from its next turn: a signal, or the dirty limit where it must not wait. */
const interruption = (k: Verbs, s: AnyStrategy, w: Write): Errno | null => {
  if (k.fault('EINTR.fatal')) return 'EINTR'
  if (s.claims.signals === 'any' && k.fault('EINTR.signal')) return 'ERESTARTSYS'
  return w.nowait && (w.fs.mustThrottle || k.fault('EAGAIN.throttle')) ? 'EAGAIN' : null
}

/**
 * Under a journal, one transaction holds what a mapping places, and its undo. A design that copies with page faults enabled
 * places nothing before writeback, and no handle is open while user memory is waited for (claim I16).
 */
function* startHandle(s: AnyStrategy, w: Write, journal: Journal): Kernel<Errno | null> {
  if (s.copy === 'faulting' || journal.tryStart(CALL_CREDITS)) return null
  if (w.nowait) return 'EAGAIN'
  const started = yield* attempt(() => journal.start(CALL_CREDITS))
  return started._tag === 'Left' ? started.left : null
}

const stopHandle = (s: AnyStrategy, w: Write): void => {
  if (s.copy !== 'faulting') w.fs.journal?.stop(CALL_CREDITS)
}

/** How a mapping ended: bytes copied in the last batch, whether it stopped short, and the errno that ended it. */
interface Turn { copied: number; stopped: boolean; errno: Errno | null }

/** One mapping: begin, its batches, end. Failures become `errno`, so that `end` always runs. */
function* writeMapping(k: Verbs, s: Strategy, w: Write, m: Mapping): Kernel<Turn> {
  const turn: Turn = { copied: 0, stopped: false, errno: null }
  const open = s.mapped === undefined || !s.mapped(k, w, m)
  try {
    if (open) {
      k.ledger.begins++
      yield* (w.nowait ? noWait(k, s.begin(k, w, m), 'EAGAIN.begin') : s.begin(k, w, m)) as Kernel<void>
    }
    while (m.written < m.len && !turn.stopped) m.written += yield* writeBatch(k, s, w, m, open, turn)
  } catch (e) {
    if (!(e instanceof Failure)) throw e
    turn.errno = e.errno
  }
  const undoes = open && (s.end !== undefined || !m.settled)
  if (undoes && s.copy === 'faulting') yield* transactReserved(w.fs, () => finishMapping(k, s, w, m))
  else if (undoes) yield* finishMapping(k, s, w, m)
  return turn
}

const finishMapping = (k: Verbs, s: Strategy, w: Write, m: Mapping): Kernel<void> =>
  s.end === undefined ? settle(k, w, m) : s.end(k, w, m)

/** One batch: every phase runs over all its folios before the next begins. @returns bytes accepted */
function* writeBatch(k: Verbs, s: Strategy, w: Write, m: Mapping, open: boolean, turn: Turn): Kernel<number> {
  const { batch, took } = w
  const from = m.pos + m.written
  batch.length = 0
  took.length = 0
  w.given.length = 0
  w.streaming = null
  let accepted = 0
  let placed = false
  try {
    const end = yield* getBatch(k, s, w, m, open, from) as Kernel<number>
    if (m.cookie !== k.cookie(w.inode)) return restart(k, turn)
    for (let i = 0, at = from; i < batch.length; i++) {
      const f = batch[i]!
      const n = Math.min(end, f.pos + f.size) - at
      if (f !== w.streaming && !k.edgesReady(f, at - f.pos, n)) {
        // `mapped` said so by a folio that was reclaimed since: nobody looked anything up, so ask again.
        if (!open && m.isEmpty) return restart(k, turn)
        yield* k.edges(w, m, f, at - f.pos, n) as Kernel<void>
      }
      at += n
    }
    accepted = yield* copyBatch(k, s, w, from, end, turn)
    if (accepted > 0 && open && s.commit !== undefined) {
      const stands = yield* s.commit(k, w, m, from, accepted) as Kernel<number>
      if (stands < accepted) cutBatch(w, stands, turn)
      accepted = stands
    }
    const whole = w.donor === null ? accepted : k.wholePages(w, from, accepted)
    if (whole < accepted) cutBatch(w, accepted = whole, turn)
    for (let i = 0, at = from; i < took.length; i++) {
      const f = batch[i]!
      if (took[i]! > 0) k.finish(w, f, at - f.pos, took[i]!, m.durable)
      if (w.donor !== null && took[i]! > 0) w.donor.accepted(f, at - w.pos)
      at = f.pos + f.size
    }
    if (accepted > 0 && from + accepted > k.size(w.inode)) k.setSize(w.inode, from + accepted, from)
    placed = true
    return accepted
  } finally {
    for (let i = 0, at = from; i < batch.length; i++) {
      const f = batch[i]!
      const n = Math.min(m.pos + m.len, f.pos + f.size) - at
      if (w.donor !== null && !(placed && took[i]! > 0)) k.takeBack(w, f)
      if (open && s.putFolio !== undefined) yield* s.putFolio(k, w, m, f, at - f.pos, n, placed ? (took[i] ?? 0) : 0)
      else k.unlockFolio(f)
      at = f.pos + f.size
    }
  }
}

/** The mapping is not true any more: it ends here, and what is left is asked for again. @returns bytes accepted: none */
const restart = (k: Verbs, turn: Turn): 0 => {
  k.ledger.restarts++
  turn.stopped = true
  return 0
}

/** Get and lock the folios of the batch. A failure after the first one shortens the mapping. @returns end of the batch */
function* getBatch(k: Verbs, s: Strategy, w: Write, m: Mapping, open: boolean, from: number): Kernel<number, Errno> {
  let end = from
  do {
    const n = m.pos + m.len - end
    let f: Folio | null
    try {
      if (w.nowait) f = yield* noWait(k, getFolio(k, s, w, m, open, end, n), 'EAGAIN.folio')
      else if (open && s.getFolio !== undefined) f = yield* s.getFolio(k, w, m, end, n)
      else f = k.donate(w, end, n, 'map') ?? k.tryFolio(w.pages, Math.floor(end / PAGE), w.stable) ?? (yield* grab(k, w, end, n))
      if (w.donor !== null && w.offered !== end) k.ledger.refusedIgnored++
    } catch (e) {
      // A hook that failed has unlocked what it got; nobody has run since.
      if (w.donor !== null) for (const given of w.given.filter((g) => !w.batch.includes(g))) k.takeBack(w, given)
      if (w.batch.length === 0 || s.copy === 'whole' || !(e instanceof Failure)) throw e
      m.len = end - m.pos
      m.cut = true
      break
    }
    w.batch.push(f)
    end = Math.min(m.pos + m.len, f.pos + f.size)
  } while (s.unit === 'write' && end < m.pos + m.len)
  return end
}

const grab = (k: Verbs, w: Write, pos: number, n: number): Kernel<Folio, 'ENOMEM'> =>
  k.grabFolio(w.pages, Math.floor(pos / PAGE), (pos % PAGE) + n, w.stable)

/** The folio of `pos`, by the design if it is asked. */
const getFolio = (
  k: Verbs, s: Strategy, w: Write, m: Mapping, open: boolean, pos: number, n: number,
): Kernel<Folio, Errno> => (open && s.getFolio !== undefined ? s.getFolio(k, w, m, pos, n) : grab(k, w, pos, n))

/** Copy into every folio of the batch until one is short. @returns bytes accepted */
function* copyBatch(k: Verbs, s: Strategy, w: Write, from: number, end: number, turn: Turn): Kernel<number> {
  let accepted = 0
  turn.copied = 0
  for (let i = 0, at = from; i < w.batch.length; i++) {
    const f = w.batch[i]!
    const off = at - f.pos
    const n = Math.min(end, f.pos + f.size) - at
    k.ledger.iterations++
    const now = !k.scheduled && (s.copy !== 'faulting' || w.source.present)
    const c = now ? k.copyNow(w, f, off, at - w.pos, n) : yield* k.copy(w, f, off, at - w.pos, n, s.copy === 'faulting')
    const a = c < n && f !== w.streaming && k.rejects(f, off, c) ? k.wholeBlocks(f, off, c) : c
    w.took.push(a)
    accepted += a
    turn.copied += c
    at += n
    if (a < n) {
      turn.stopped = true
      break
    }
  }
  return accepted
}

/** `commit` let only `stands` bytes stand: shorten what each folio took. */
const cutBatch = (w: Write, stands: number, turn: Turn): void => {
  turn.stopped = true
  for (let i = 0, left = stands; i < w.took.length; i++) {
    w.took[i] = Math.min(w.took[i]!, left)
    left -= w.took[i]!
  }
}

/**
 * The plain prefix: as much of the write as needs no hook and no waiting (cached, mapped, readable), by the same verbs and
 * without a generator; stops at the first folio that needs more and leaves the rest, from `w.done` on, to performWrite.
 */
export const writePlain = (k: Verbs, s: Strategy, w: Write, m: Mapping): void => {
  if (s.mapped === undefined || !w.source.present) return
  while (w.done < w.len && !w.fs.mustThrottle) {
    m.reset(w.pos + w.done, w.len - w.done, k.cookie(w.inode))
    if (!s.mapped(k, w, m)) return
    while (m.written < m.len) {
      const at = m.pos + m.written
      const f = k.tryFolio(w.pages, Math.floor(at / PAGE), w.stable)
      if (f === null) return
      const off = at - f.pos
      const n = Math.min(m.len - m.written, f.size - off)
      if (!k.edgesReady(f, off, n)) return k.untryFolio(f)
      k.ledger.iterations++
      k.copyNow(w, f, off, at - w.pos, n)
      k.finish(w, f, off, n, false)
      if (at + n > k.size(w.inode)) k.setSize(w.inode, at + n, at)
      k.unlockFolio(f)
      m.written += n
      w.done += n
    }
  }
}
