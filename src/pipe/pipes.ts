/**
 * Pipes: the calls on pipes of one mount, run at once; what `Posix` is for files.
 *
 * Pipes are objects, not descriptors; files are descriptors of the `Posix` that it stands beside. Every call answers
 * `Either<Errno, A>`. On the straight run nobody else can fill or empty a pipe: a call that would wait ends in EAGAIN.
 */
import type { Either } from 'fp-ts/lib/Either.js'
import type { Posix } from '../fs/posix.ts'
import type { Verbs } from '../fs/verbs.ts'
import { MemorySource } from '../iov/source.ts'
import { intoBuffer } from '../iov/target.ts'
import type { Errno } from '../kernel/errno.ts'
import { type Kernel, raise, run } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import { Pipe } from './pipe.ts'
import { WIRE } from './pipe-buffer.ts'
import { pipeRead, pipeWrite } from './pipe-io.ts'
import { type SpliceFlag, spliceFromFile, splicePipes, spliceToFile, tee, vmsplice } from './splice.ts'
import { mapPages, type UserPages } from './user-pages.ts'

/** Pipes and memory of one process. */
export class Pipes {
  readonly #posix: Posix
  #made = 0

  constructor(posix: Posix) {
    this.#posix = posix
  }

  get #k(): Verbs {
    return this.#posix.fs.verbs
  }

  /** pipe(2), with a number of slots that is a power of two; default 16. */
  pipe(slots?: number): Pipe {
    return new Pipe(this.#made++, slots)
  }
  /** mmap(2) of anonymous memory. Errno: ENOMEM. */
  memory(pages: number): Either<Errno, UserPages> {
    return run(mapPages(this.#k, pages))
  }
  /** write(2) to a pipe; EAGAIN if it is full, a short write if it becomes full. */
  write(pipe: Pipe, bytes: Buffer): Either<Errno, number> {
    return run(pipeWrite(this.#k, pipe, new MemorySource(bytes), true))
  }
  /** read(2) from a pipe; EAGAIN if it is empty. */
  read(pipe: Pipe, into: Buffer): Either<Errno, number> {
    return run(pipeRead(this.#k, pipe, intoBuffer(into), true))
  }
  /** Bytes of a device that keeps its buffers: no page of it can ever be taken. Errnos: ENOMEM EAGAIN. */
  receive(pipe: Pipe, bytes: Buffer): Either<Errno, number> {
    return run(receive(this.#k, pipe, bytes))
  }
  /** splice(2) from a file; `pos` -1: at the file position. */
  fromFile(fd: number, pos: number, pipe: Pipe, len: number): Either<Errno, number> {
    return run(spliceFromFile(this.#posix.sys, fd, pos, pipe, len, ['SPLICE_F_NONBLOCK']))
  }
  /** splice(2) into a file; `pos` -1: at the file position. With SPLICE_F_MOVE pages are taken where they may be. */
  toFile(pipe: Pipe, fd: number, pos: number, len: number, flags: readonly SpliceFlag[] = ['SPLICE_F_MOVE']): Either<Errno, number> {
    return run(spliceToFile(this.#posix.sys, pipe, fd, pos, len, [...flags, 'SPLICE_F_NONBLOCK']))
  }
  /** splice(2) between pipes. */
  toPipe(input: Pipe, output: Pipe, len: number): Either<Errno, number> {
    return run(splicePipes(this.#k, input, output, len, ['SPLICE_F_NONBLOCK']))
  }
  /** tee(2). */
  tee(input: Pipe, output: Pipe, len: number): Either<Errno, number> {
    return run(tee(this.#k, input, output, len, ['SPLICE_F_NONBLOCK']))
  }
  /** vmsplice(2). */
  vmsplice(memory: UserPages, addr: number, len: number, pipe: Pipe, flags: readonly SpliceFlag[] = []): Either<Errno, number> {
    return run(vmsplice(this.#k, memory, addr, len, pipe, [...flags, 'SPLICE_F_NONBLOCK']))
  }
}

function* receive(k: Verbs, pipe: Pipe, bytes: Buffer): Kernel<number, 'ENOMEM' | 'EAGAIN'> {
  if (pipe.isFull) return yield* raise('EAGAIN', 'EAGAIN.receive')
  let done = 0
  while (done < bytes.length && !pipe.isFull) {
    const f = k.ownPage()
    if (f === null) return done > 0 ? done : yield* raise('ENOMEM', 'ENOMEM.receive')
    const n = bytes.copy(f.slab.bytes, f.base, done, Math.min(bytes.length, done + PAGE))
    pipe.push(f, 0, n, WIRE, 0)
    done += n
  }
  return done
}
