/**
 * Replay: a workload's operations through the POSIX interface, one by one.
 *
 * Every operation gives an outcome: a number (bytes, a position, a count, 0) or an errno. Descriptors of the workload are
 * translated; the data of a write is the payload of its index. Nothing stops a replay but a bug: an operation that fails is
 * an outcome, and one on a descriptor whose open failed is EBADF.
 */
import { type Either, isLeft, map, right } from 'fp-ts/lib/Either.js'
import type { Posix } from '../fs/posix.ts'
import type { WriteSource } from '../iov/source.ts'
import type { Errno } from '../kernel/errno.ts'
import type { Operation } from './workload/operation.ts'
import { fillPayload } from './workload/payload.ts'
import type { SourceWriter } from './write-source.ts'

/** What an operation returned. */
export type Outcome = Either<Errno, number>

/** Replays operations; keeps the open descriptors between calls. */
export class Replayer {
  readonly posix: Posix
  /** Payload salt: another number writes other data. */
  readonly salt: number
  /** Bytes of the last read or mmap load, for comparison: valid until the next operation. */
  lastRead: Buffer = Buffer.alloc(0)
  readonly #fds = new Map<number, number>()
  readonly #writer: SourceWriter | null
  #scratch = Buffer.alloc(1 << 16)

  /** @param writer makes the writes from another source than plain memory */
  constructor(posix: Posix, salt = 0, writer: SourceWriter | null = null) {
    this.posix = posix
    this.salt = salt
    this.#writer = writer
  }

  /** Run operation number `index`. */
  step(op: Operation, index: number): Outcome {
    const { posix } = this
    switch (op.op) {
      case 'open': {
        const fd = posix.open(op.path, [...op.flags, 'O_NOFOLLOW'], op.mode)
        if (!isLeft(fd)) this.#fds.set(op.fd, fd.right)
        return done(fd)
      }
      case 'close': {
        const closed = posix.close(this.#fd(op.fd))
        this.#fds.delete(op.fd)
        return done(closed)
      }
      case 'write': {
        const written = this.#write(op.fd, op.len, op.off, index)
        return op.sync === true && !isLeft(written) ? andThen(posix.fsync(this.#fd(op.fd)), written) : written
      }
      case 'writev': return this.#writev(op.fd, op.lens, op.off, index)
      case 'read': return this.#read(op.fd, op.len, op.off)
      case 'lseek': return posix.lseek(this.#fd(op.fd), op.off, op.whence)
      case 'truncate': return done(posix.truncate(op.path, op.len))
      case 'ftruncate': return done(posix.ftruncate(this.#fd(op.fd), op.len))
      case 'fallocate': return done(posix.fallocate(this.#fd(op.fd), op.mode, op.off, op.len))
      case 'fsync': return done(posix.fsync(this.#fd(op.fd)))
      case 'fdatasync': return done(posix.fdatasync(this.#fd(op.fd)))
      case 'sync': return done(posix.sync())
      case 'mmap-write': return this.#store(op.fd, op.off, op.len, index)
      default: return this.#name(op)
    }
  }

  /** A write from any source on a descriptor of the workload, at `off` or at the file position. */
  writeFrom(fd: number, source: WriteSource, off?: number): Outcome {
    const at = this.#fd(fd)
    return off === undefined ? this.posix.writeFrom(at, source) : this.posix.pwriteFrom(at, source, off)
  }

  /** Close what the workload left open. */
  closeAll(): void {
    for (const fd of this.#fds.values()) this.posix.close(fd)
    this.#fds.clear()
  }

  #name(op: Exclude<Operation, { fd: number } | { op: 'sync' | 'truncate' }>): Outcome {
    const { posix } = this
    switch (op.op) {
      case 'unlink': return done(posix.unlink(op.path))
      case 'rename': return done(posix.rename(op.from, op.to))
      case 'link': return done(posix.link(op.from, op.to))
      case 'symlink': return done(posix.symlink(op.target, op.path))
      case 'mkdir': return done(posix.mkdir(op.path, op.mode))
      case 'rmdir': return done(posix.rmdir(op.path))
      case 'readdir': return map((entries: readonly unknown[]) => entries.length)(posix.readdir(op.path))
      case 'stat': return map((s: { size: number }) => s.size)(posix.stat(op.path, false))
      case 'utimes': return done(posix.utimes(op.path, op.atime ?? 0, op.mtime ?? 0))
      case 'chmod': return done(posix.chmod(op.path, op.mode))
    }
  }

  #fd(fd: number): number {
    return this.#fds.get(fd) ?? -1
  }

  #payload(index: number, len: number): Buffer {
    if (this.#scratch.length < len) this.#scratch = Buffer.alloc(len)
    const bytes = this.#scratch.subarray(0, len)
    fillPayload(bytes, index, this.salt)
    return bytes
  }

  #write(fd: number, len: number, off: number | undefined, index: number): Outcome {
    const bytes = this.#payload(index, len)
    const at = this.#fd(fd)
    if (this.#writer !== null) return this.#writer.write(at, bytes, off)
    return off === undefined ? this.posix.write(at, bytes) : this.posix.pwrite(at, bytes, off)
  }

  #writev(fd: number, lens: readonly number[], off: number | undefined, index: number): Outcome {
    const bytes = this.#payload(index, lens.reduce((a, b) => a + b, 0))
    let at = 0
    const pieces = lens.map((len) => bytes.subarray(at, (at += len)))
    return off === undefined ? this.posix.writev(this.#fd(fd), pieces) : this.posix.pwritev(this.#fd(fd), pieces, off)
  }

  #read(fd: number, len: number, off: number | undefined): Outcome {
    const into = Buffer.alloc(len)
    const n = off === undefined ? this.posix.read(this.#fd(fd), into) : this.posix.pread(this.#fd(fd), into, off)
    this.lastRead = isLeft(n) ? into.subarray(0, 0) : into.subarray(0, n.right)
    return n
  }

  /** A store through a mapping never makes the file longer: what lies past its last page is left out. */
  #store(fd: number, off: number, len: number, index: number): Outcome {
    const stat = this.posix.fstat(this.#fd(fd))
    if (isLeft(stat)) return stat
    const n = Math.min(len, stat.right.size - off)
    return n <= 0 ? right(0) : this.posix.mmapStore(this.#fd(fd), off, this.#payload(index, n))
  }
}

const done = (result: Either<Errno, unknown>): Outcome => map(() => 0)(result)
const andThen = (first: Either<Errno, void>, then: Outcome): Outcome => (isLeft(first) ? first : then)
