/**
 * Where the bytes of a workload's writes come from: the axis "source" of a comparison.
 *
 * | source    | the write of a workload becomes                                                                           |
 * |-----------|-----------------------------------------------------------------------------------------------------------|
 * | user      | write(2) of plain memory, all of it present                                                               |
 * | writev    | writev(2) of the same bytes in pieces of 1,000 bytes, of which the second is empty                        |
 * | mmap      | write(2) from a shared mapping of the very bytes that are written; past the end of file from plain memory |
 * | pipe      | splice(2) with SPLICE_F_MOVE from a pipe of up to 1 MiB that holds them in pages of its own               |
 * | pipe-copy | the same without SPLICE_F_MOVE: nothing may be taken, all is copied                                       |
 *
 * The file holds the same bytes afterwards, whatever the source, so that one model checks all. Bytes are stored through the
 * mapping, or written to the pipe, first: what that costs is `aside`, and belongs to the source, not to the write. Only operations
 * `write` change; `writev` and everything else in a workload stay as they are. A pipe cannot be spliced to a file that is open
 * with O_APPEND (EINVAL): there the write is one of plain memory.
 */
import { type Either, isLeft, right } from 'fp-ts/lib/Either.js'
import { FileMapping } from '../fs/mmap.ts'
import type { OpenFile } from '../fs/open-file.ts'
import type { Posix } from '../fs/posix.ts'
import { IovIter } from '../iov/iov-iter.ts'
import { UserMemory } from '../iov/user-memory.ts'
import type { Errno } from '../kernel/errno.ts'
import { run } from '../kernel/kernel.ts'
import { Ledger, monoidLedger, since, snapshot } from '../kernel/ledger.ts'
import { PAGE, roundUp } from '../kernel/units.ts'
import type { Pipe } from '../pipe/pipe.ts'
import { Pipes } from '../pipe/pipes.ts'
import type { Session } from './session.ts'

/** Sources by name, in the order of the tables, each with one line about it. */
export const SOURCES = {
  user: 'plain memory, all of it present',
  writev: 'pieces of 1,000 bytes, of which the second is empty',
  mmap: 'a shared mapping of the bytes that are written',
  pipe: 'a pipe, whose pages may be taken',
  'pipe-copy': 'a pipe, whose pages are copied',
} as const

/** The name of a source. */
export type SourceName = keyof typeof SOURCES

/** Bytes of a piece of `writev`. */
const PIECE = 1000
/** Slots of the pipe: F_SETPIPE_SZ up to /proc/sys/fs/pipe-max-size, 1 MiB. */
const SLOTS = 256

/** Makes the writes of a replay from one source. */
export interface SourceWriter {
  /** write(2), or pwrite(2) where `off` is given. */
  write(fd: number, bytes: Buffer, off?: number): Either<Errno, number>
  /** What it cost to bring the bytes to the source. */
  readonly aside: Ledger
}

/** The writer of a session that takes its bytes from `name`. */
export const sourceWriter = (name: SourceName, session: Session): SourceWriter => {
  switch (name) {
    case 'user': return new PlainWriter(session.posix)
    case 'writev': return new PieceWriter(session.posix)
    case 'mmap': return new MappingWriter(session)
    case 'pipe': return new PipeWriter(session, true)
    case 'pipe-copy': return new PipeWriter(session, false)
  }
}

class PlainWriter implements SourceWriter {
  readonly aside = new Ledger()
  readonly #posix: Posix

  constructor(posix: Posix) {
    this.#posix = posix
  }

  write(fd: number, bytes: Buffer, off?: number): Either<Errno, number> {
    return off === undefined ? this.#posix.write(fd, bytes) : this.#posix.pwrite(fd, bytes, off)
  }
}

class PieceWriter implements SourceWriter {
  readonly aside = new Ledger()
  readonly #posix: Posix

  constructor(posix: Posix) {
    this.#posix = posix
  }

  write(fd: number, bytes: Buffer, off?: number): Either<Errno, number> {
    const pieces = [bytes.subarray(0, PIECE), Buffer.alloc(0)]
    for (let at = PIECE; at < bytes.length; at += PIECE) pieces.push(bytes.subarray(at, at + PIECE))
    return off === undefined ? this.#posix.writev(fd, pieces) : this.#posix.pwritev(fd, pieces, off)
  }
}

class MappingWriter implements SourceWriter {
  aside = new Ledger()
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  write(fd: number, bytes: Buffer, off?: number): Either<Errno, number> {
    const { posix } = this.#session
    const file = run(posix.sys.file(fd))
    if (isLeft(file)) return file
    const pos = file.right.flags.append ? file.right.inode.size : (off ?? file.right.pos)
    const inside = file.right.flags.write && file.right.inode.pages !== null ? Math.min(bytes.length, file.right.inode.size - pos) : 0
    if (inside > 0) {
      const stored = this.#store(fd, pos, bytes.subarray(0, inside))
      if (isLeft(stored)) return stored
    }
    const source = this.#source(file.right, pos, bytes, Math.max(0, inside))
    return off === undefined ? posix.writeFrom(fd, source) : posix.pwriteFrom(fd, source, off)
  }

  /** Bring the bytes to where they will be written from. */
  #store(fd: number, pos: number, bytes: Buffer): Either<Errno, number> {
    const { posix, ledger } = this.#session
    const before = snapshot(ledger)
    const stored = posix.mmapStore(fd, pos, bytes)
    this.aside = monoidLedger.concat(this.aside, since(before, ledger))
    return stored
  }

  /** Pages of the file below `inside`, plain memory above; in one address space, as a process has it. */
  #source({ inode }: OpenFile, pos: number, bytes: Buffer, inside: number): IovIter {
    const { fs } = this.#session
    const first = Math.floor(pos / PAGE)
    const mapped = inside === 0 ? 0 : Math.floor((pos + inside - 1) / PAGE) - first + 1
    const memory = new UserMemory(mapped * PAGE + roundUp(bytes.length - inside, PAGE))
    bytes.copy(memory.bytes, mapped * PAGE, inside)
    if (mapped > 0) memory.map(0, mapped, new FileMapping(fs.verbs, fs, inode, first))
    return new IovIter(memory, [{ addr: pos % PAGE, len: inside }, { addr: mapped * PAGE, len: bytes.length - inside }])
  }
}

class PipeWriter implements SourceWriter {
  aside = new Ledger()
  readonly #session: Session
  readonly #pipes: Pipes
  readonly #pipe: Pipe
  readonly #flags: readonly 'SPLICE_F_MOVE'[]

  constructor(session: Session, move: boolean) {
    this.#session = session
    this.#pipes = new Pipes(session.posix)
    this.#pipe = this.#pipes.pipe(SLOTS)
    this.#flags = move ? ['SPLICE_F_MOVE'] : []
  }

  write(fd: number, bytes: Buffer, off?: number): Either<Errno, number> {
    const { posix } = this.#session
    const file = run(posix.sys.file(fd))
    if (isLeft(file)) return file
    if (file.right.flags.append) return off === undefined ? posix.write(fd, bytes) : posix.pwrite(fd, bytes, off)
    for (let done = 0; done < bytes.length;) {
      const filled = this.#fill(bytes.subarray(done))
      const pos = off === undefined ? -1 : off + done
      const spliced = isLeft(filled) ? filled : this.#pipes.toFile(this.#pipe, fd, pos, filled.right, this.#flags)
      const { left: errno, right: n = 0 } = spliced as { left?: Errno; right?: number }
      done += n
      if (errno === undefined && this.#pipe.isEmpty) continue
      this.#empty()
      return done > 0 || errno === undefined ? right(done) : spliced
    }
    return right(bytes.length)
  }

  /** As many bytes as fit into the pipe. */
  #fill(bytes: Buffer): Either<Errno, number> {
    const { ledger } = this.#session
    const before = snapshot(ledger)
    const filled = this.#pipes.write(this.#pipe, bytes)
    this.aside = monoidLedger.concat(this.aside, since(before, ledger))
    return filled
  }

  /** What a short splice left is nobody's: the next write begins with its own bytes. */
  #empty(): void {
    while (!this.#pipe.isEmpty) this.#pipe.drop(this.#session.fs.verbs)
  }
}
