/**
 * Contenders: everything that can write bytes at a position of one file, behind one small interface, so that each does the
 * very same work: plain memory, memfs, ZenFS, and this project with each design.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { Either } from 'fp-ts/lib/Either.js'
import { Volume } from 'memfs'
import { configureSingle, fs as zenfs, InMemory } from '@zenfs/core'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import { freshSession, type Session } from '../src/lab/session.ts'

/** Something that keeps files of bytes. */
export interface Contender {
  readonly name: string
  /** Make `path` an empty open file. */
  create(path: string): void
  write(bytes: Buffer, start: number, length: number, pos: number): void
  /** Close and remove the file. */
  remove(path: string): void
  /** The bytes of the open file, for verification. */
  read(length: number): Buffer
  close(): void
}

/** Plain memory: what every ratio is relative to. */
export const memoryCopy = (bytes: number): Contender => {
  const target = new Uint8Array(bytes).fill(1)
  return {
    name: 'memory copy',
    create() {},
    write: (source, start, length, pos) => target.set(source.subarray(start, start + length), pos),
    remove() {},
    read: (length) => Buffer.from(target.buffer, 0, length),
    close() {},
  }
}

/** What memfs and ZenFS have of node:fs, as far as the work needs it. */
interface NodeFs {
  openSync(path: string, flags: string): number
  writeSync(fd: number, bytes: Buffer, start: number, length: number, pos: number): number
  readSync(fd: number, into: Buffer, start: number, length: number, pos: number): number
  closeSync(fd: number): void
  unlinkSync(path: string): void
}

const throughNodeFs = (name: string, fs: NodeFs): Contender => {
  let fd = -1
  return {
    name,
    create: (path) => void (fd = fs.openSync(path, 'w+')),
    write: (bytes, start, length, pos) => void fs.writeSync(fd, bytes, start, length, pos),
    remove(path) {
      fs.closeSync(fd)
      fs.unlinkSync(path)
    },
    read(length) {
      const into = Buffer.alloc(length)
      fs.readSync(fd, into, 0, length, 0)
      return into
    },
    close: () => fs.closeSync(fd),
  }
}

/** memfs, the most used in-memory file system of npm. */
export const memfs = (): Contender => throughNodeFs('memfs', new Volume() as NodeFs)

/** ZenFS on its InMemory backend. */
export const zen = async (): Promise<Contender> => {
  await configureSingle({ backend: InMemory })
  return throughNodeFs('@zenfs/core', zenfs as NodeFs)
}

/** This project: ext4 on the memory device, the pipeline that the properties check, ledger on. */
export const ours = (strategy: AnyStrategy, deviceBytes: number, maxFolioOrder = 9): Contender & { session: Session } => {
  const session = freshSession({ format: 'ext4', size: deviceBytes, strategy, maxFolioOrder, limitPages: 131072 })
  const { posix } = session
  let fd = -1
  return {
    name: strategy.name,
    session,
    create: (path) => void (fd = must(posix.open(path, ['O_RDWR', 'O_CREAT', 'O_TRUNC']))),
    write(bytes, start, length, pos) {
      const n = posix.pwrite(fd, bytes, pos, start, length)
      if (isLeft(n) || n.right !== length) throw new Error(`${strategy.name}: wrote ${JSON.stringify(n)} of ${length}`)
    },
    remove(path) {
      must(posix.close(fd))
      must(posix.unlink(path))
    },
    read(length) {
      const into = Buffer.alloc(length)
      must(posix.pread(fd, into, 0))
      return into
    },
    close: () => void must(posix.close(fd)),
  }
}

/** The value, or an exception that names the errno. */
export const must = <A>(result: Either<unknown, A>): A => {
  if (isLeft(result)) throw new Error(`failed with ${JSON.stringify(result.left)}`)
  return result.right
}
