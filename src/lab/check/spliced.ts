/**
 * Spliced: a write of a program whose bytes come out of a pipe, and what is looked at when it has returned.
 *
 * | kind  | what is in the pipe                                              | may be taken      |
 * |-------|------------------------------------------------------------------|-------------------|
 * | pages | the pipe's own pages                                             | yes               |
 * | gift  | pages of a process, given away and unmapped                      | yes               |
 * | held  | pages of a process, given away and still mapped; stored to later | no                |
 * | tee   | the pipe's own pages, in a second pipe as well                   | no                |
 * | mixed | by turns a page of its own, one of a device, one cut in two      | some              |
 * | file  | pages of the file itself, from page `self` on                    | clean ones        |
 *
 * The pipe belongs to the one action: it is filled, spliced with SPLICE_F_MOVE, judged, and closed.
 */
import type { Syscalls } from '../../fs/syscalls.ts'
import type { Verbs } from '../../fs/verbs.ts'
import type { Errno } from '../../kernel/errno.ts'
import { Failure, type Kernel, raise } from '../../kernel/kernel.ts'
import { PAGE } from '../../kernel/units.ts'
import type { Folio } from '../../pagecache/folio.ts'
import { Pipe } from '../../pipe/pipe.ts'
import { ANONYMOUS, type BufferOps, CAN_MERGE, GIFT, STOLEN, USER, WIRE } from '../../pipe/pipe-buffer.ts'
import { spliceFromFile, spliceToFile } from '../../pipe/splice.ts'
import { UserPages } from '../../pipe/user-pages.ts'
import type { Violation } from '../../sim/system.ts'
import type { Place } from './place.ts'
import type { Action, PipeKind } from './program.ts'

type Write = Extract<Action, { op: 'write' }>

/** What a process stores to pages that it gave away and kept: no byte of any action. */
export const SCRIBBLE = 0xee

/** Slots of a pipe of a program. */
const SLOTS = 16

/** A pipe that is full of an action's bytes, and whoever else knows its pages. */
interface Filled {
  readonly pipe: Pipe
  /** The second pipe of a tee. */
  readonly copy: Pipe | null
  /** The pages that the process still maps. */
  readonly memory: UserPages | null
  readonly pages: readonly Folio[]
  readonly bytes: number
}

/** Splice `bytes` into the file. @returns what splice(2) does. `tell` hears what was wrong with it */
export function* spliceAction(
  place: Place, sys: Syscalls, fd: number, a: Write, bytes: Buffer, tell: (v: Violation) => void,
): Kernel<number, Errno> {
  const { k } = sys
  const filled = yield* fill(place, sys, fd, a, bytes)
  place.pipes.push(filled.pipe)
  let n = 0
  try {
    return n = yield* spliceToFile(sys, filled.pipe, fd, a.pos, a.len, ['SPLICE_F_MOVE'])
  } finally {
    place.pipes.splice(place.pipes.indexOf(filled.pipe), 1)
    conserved(filled, n, a.pipe === 'file' ? null : bytes, tell)
    teed(filled, bytes, tell)
    close(k, filled, tell)
  }
}

function* fill(place: Place, sys: Syscalls, fd: number, a: Write, bytes: Buffer): Kernel<Filled, Errno> {
  const { k } = sys
  const kind = a.pipe!
  const pipe = new Pipe(0, SLOTS)
  const copy = kind === 'tee' ? new Pipe(1, SLOTS) : null
  place.lockOrder.watchPipe(pipe.lock, pipe.number, () => place.fiber)
  try {
    if (kind === 'file') yield* spliceFromFile(sys, fd, (a.self ?? 0) * PAGE, pipe, a.len)
    else yield* push(k, pipe, kind, bytes)
  } catch (e) {
    if (e instanceof Failure) while (!pipe.isEmpty) pipe.drop(k)
    throw e
  }
  pipe.close(k, 'write')
  const buffers = Array.from({ length: pipe.used }, (_, i) => pipe.at(i))
  const pages = buffers.map((b) => b.folio!)
  for (const b of copy === null ? [] : buffers) {
    b.ops!.get(k, b)
    copy!.push(b.folio!, b.off, b.len, b.ops!, 0)
  }
  for (const f of kind === 'held' ? pages : []) k.refer(f)
  return { pipe, copy, memory: kind === 'held' ? new UserPages(k, [...pages]) : null, pages, bytes: pipe.bytes }
}

/** Bytes into pages of the pipe, by kind. */
function* push(k: Verbs, pipe: Pipe, kind: PipeKind, bytes: Buffer): Kernel<void, 'ENOMEM'> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const f = k.ownPage()
    if (f === null) return yield* raise('ENOMEM', 'ENOMEM.fill')
    const n = Math.min(bytes.length - at, kind === 'mixed' && i % 3 === 2 ? PAGE / 2 : PAGE)
    bytes.copy(f.slab.bytes, f.base, at, at + n)
    const ops: BufferOps = kind === 'gift' || kind === 'held' ? USER : kind === 'mixed' && i % 3 === 1 ? WIRE : ANONYMOUS
    pipe.push(f, 0, n, ops, ops === USER ? GIFT : ops === ANONYMOUS ? CAN_MERGE : 0)
    at += n
  }
}

/** SPLICE-1: what left the pipe is what was written; what stays is as it was. `bytes` null: nobody knows what it was. */
const conserved = ({ pipe, bytes: filled }: Filled, n: number, bytes: Buffer | null, tell: (v: Violation) => void): void => {
  const left = pipe.bytes
  if (filled - left !== n) return tell({ claim: 'SPLICE-1', what: `splice returned ${n}, and ${filled - left} bytes left the pipe` })
  for (let i = 0, at = n; i < pipe.used; i++) {
    const b = pipe.at(i)
    const f = b.folio!
    if ((b.flags & STOLEN) !== 0 || (f.home === null && f.locked)) {
      tell({ claim: 'SPLICE-1', what: `the page of byte ${at} did not come back` })
    }
    if (bytes !== null && bytes.compare(f.slab.bytes, f.base + b.off, f.base + b.off + b.len, at, at + b.len) !== 0) {
      tell({ claim: 'SPLICE-1', what: `bytes from ${at} on, which were not written, have changed in the pipe` })
    }
    at += b.len
  }
}

/** SPLICE-8: who has the other references sees what he saw. */
const teed = ({ copy }: Filled, bytes: Buffer, tell: (v: Violation) => void): void => {
  for (let i = 0, at = 0; copy !== null && i < copy.used; i++) {
    const b = copy.at(i)
    const from = b.folio!.base + b.off
    if (bytes.compare(b.folio!.slab.bytes, from, from + b.len, at, at + b.len) !== 0) {
      tell({ claim: 'SPLICE-8', what: `the second pipe of the tee has lost its bytes from ${at} on` })
    }
    at += b.len
  }
}

/** Everybody lets go. SPLICE-3: a page of a file is in nobody else's hands; who keeps one stores to it. */
const close = (k: Verbs, { pipe, copy, memory, pages }: Filled, tell: (v: Violation) => void): void => {
  while (!pipe.isEmpty) pipe.drop(k)
  const held = memory !== null || copy !== null
  if (held && pages.some((f) => f.home !== null)) tell({ claim: 'SPLICE-3', what: 'a page that somebody else holds was taken into a file' })
  memory?.store(0, Buffer.alloc(memory.size, SCRIBBLE))
  memory?.unmap(0, memory.size)
  while (copy !== null && !copy.isEmpty) copy.drop(k)
}
