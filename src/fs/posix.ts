/**
 * Posix: the programming interface. Each call runs at once and returns `Either<Errno, A>`; nothing throws but bugs.
 *
 * A write of plain memory over cached and mapped folios creates no generator: the plain prefix of the pipeline does it all.
 * Whatever it leaves is done by the same pipeline as a kernel.
 */
import { type Either, right } from 'fp-ts/lib/Either.js'
import { GatherSource, MemorySource, type WriteSource } from '../iov/source.ts'
import { intoBuffer, type ReadTarget } from '../iov/target.ts'
import type { Errno } from '../kernel/errno.ts'
import { type Kernel, raise, run } from '../kernel/kernel.ts'
import type { FallocateMode } from './fallocate.ts'
import type { Dirent } from './format.ts'
import { chmod, chown, link, mkdir, readdir, rename, rmdir, symlink, unlink, utimes } from './namespace.ts'
import { walkTo } from './namei.ts'
import { type OpenFlag, type RwFlag, type Stat, type StatFs, Syscalls } from './syscalls.ts'
import { evictInode, unmount } from './sync.ts'
import type { FileSystem } from './file-system.ts'

/** The calls of one process on one mount. Positions and lengths are bytes; times are microseconds since the epoch. */
export class Posix {
  readonly fs: FileSystem
  readonly sys: Syscalls
  readonly #source = new MemorySource()

  constructor(fs: FileSystem) {
    this.fs = fs
    this.sys = new Syscalls(fs)
  }

  #run<A>(kernel: Kernel<A, Errno>): Either<Errno, A> {
    return run(kernel)
  }

  // --- files -----------------------------------------------------------------------------------------------------

  /** open(2). Errnos: ENOENT EEXIST EISDIR ENOTDIR ELOOP ENAMETOOLONG ENOSPC EIO. */
  open(path: string, flags: readonly OpenFlag[], mode?: number): Either<Errno, number> {
    return this.#run(this.sys.open(path, flags, mode))
  }
  /** close(2). Errno: EBADF. */
  close(fd: number): Either<Errno, void> {
    return this.#run(this.sys.close(fd))
  }

  /** write(2) of plain memory at the file position. @returns bytes, possibly fewer; errnos ENOSPC EIO EFBIG EBADF ENOMEM */
  write(fd: number, bytes: Buffer, start = 0, length = bytes.length - start): Either<Errno, number> {
    return this.writeFrom(fd, this.#source.set(bytes, start, length))
  }
  /** write(2) from any source, at the file position. EFAULT if not one byte is readable. */
  writeFrom(fd: number, source: WriteSource): Either<Errno, number> {
    const n = this.sys.writeNow(fd, source, -1)
    return n >= 0 ? right(n) : this.#run(n === -1 ? this.sys.resume(fd, true) : this.sys.write(fd, source))
  }
  /** pwrite(2) of plain memory. */
  pwrite(fd: number, bytes: Buffer, pos: number, start = 0, length = bytes.length - start): Either<Errno, number> {
    return this.pwriteFrom(fd, this.#source.set(bytes, start, length), pos)
  }
  /** pwrite(2) from any source. */
  pwriteFrom(fd: number, source: WriteSource, pos: number): Either<Errno, number> {
    const n = pos < 0 ? -2 : this.sys.writeNow(fd, source, pos)
    return n >= 0 ? right(n) : this.#run(n === -1 ? this.sys.resume(fd, false) : this.sys.pwrite(fd, source, pos))
  }
  /** writev(2): the pieces one after the other, at the file position. */
  writev(fd: number, pieces: readonly Buffer[]): Either<Errno, number> {
    return this.writeFrom(fd, new GatherSource(pieces))
  }
  /** pwritev(2). */
  pwritev(fd: number, pieces: readonly Buffer[], pos: number): Either<Errno, number> {
    return this.pwriteFrom(fd, new GatherSource(pieces), pos)
  }
  /** pwritev2(2); `pos` -1: at the file position. With RWF_NOWAIT EAGAIN or a short write instead of waiting. */
  pwritev2(fd: number, pieces: readonly Buffer[], pos: number, flags: readonly RwFlag[]): Either<Errno, number> {
    return this.#run(this.sys.pwritev2(fd, new GatherSource(pieces), pos, flags))
  }
  /** pread(2) into plain memory. @returns bytes, 0 at the end of the file */
  pread(fd: number, into: Buffer, pos: number): Either<Errno, number> {
    return this.#run(this.sys.pread(fd, intoBuffer(into), pos))
  }
  /** read(2) into plain memory at the file position. */
  read(fd: number, into: Buffer): Either<Errno, number> {
    return this.#run(this.sys.read(fd, intoBuffer(into)))
  }
  /** pread(2) into any target. */
  preadInto(fd: number, target: ReadTarget, pos: number): Either<Errno, number> {
    return this.#run(this.sys.pread(fd, target, pos))
  }
  /** lseek(2). */
  lseek(fd: number, offset: number, whence: 'set' | 'cur' | 'end' | 'data' | 'hole'): Either<Errno, number> {
    return this.#run(this.sys.lseek(fd, offset, whence))
  }
  /** ftruncate(2). Errnos: EINVAL EFBIG EIO ENOMEM. */
  ftruncate(fd: number, size: number): Either<Errno, void> {
    return this.#run(this.sys.ftruncate(fd, size))
  }
  /** truncate(2). */
  truncate(path: string, size: number): Either<Errno, void> {
    return this.#run(this.sys.truncate(path, size))
  }
  /** fallocate(2). Errnos: ENOSPC EOPNOTSUPP EINVAL EFBIG EIO. */
  fallocate(fd: number, mode: FallocateMode, pos: number, len: number): Either<Errno, void> {
    return this.#run(this.sys.fallocate(fd, mode, pos, len))
  }
  /** fdatasync(2): as fsync, since the inode is written with its size and map in one block. */
  fdatasync(fd: number): Either<Errno, void> {
    return this.fsync(fd)
  }
  /** fsync(2). Reports each writeback error once to each open file. */
  fsync(fd: number): Either<Errno, void> {
    return this.#run(this.sys.fsync(fd))
  }
  /** A store through a shared mapping; EFAULT stands for SIGBUS. */
  mmapStore(fd: number, pos: number, bytes: Buffer): Either<Errno, number> {
    return this.#run(this.sys.mmapStore(fd, pos, bytes))
  }
  /** A load through a mapping. */
  mmapLoad(fd: number, pos: number, into: Buffer): Either<Errno, void> {
    return this.#run(this.sys.mmapLoad(fd, pos, into))
  }
  /** fstat(2). */
  fstat(fd: number): Either<Errno, Stat> {
    return this.#run(this.sys.fstat(fd))
  }

  // --- names -------------------------------------------------------------------------------------------------------

  /** stat(2); lstat(2) with `follow` false. */
  stat(path: string, follow = true): Either<Errno, Stat> {
    return this.#run(this.sys.stat(path, follow))
  }
  /** mkdir(2). */
  mkdir(path: string, mode = 0o755): Either<Errno, void> {
    return this.#run(mkdir(this.fs.verbs, this.fs, path, mode))
  }
  /** rmdir(2). */
  rmdir(path: string): Either<Errno, void> {
    return this.#run(rmdir(this.fs.verbs, this.fs, path))
  }
  /** unlink(2). */
  unlink(path: string): Either<Errno, void> {
    return this.#run(unlink(this.fs.verbs, this.fs, path))
  }
  /** rename(2). */
  rename(from: string, to: string): Either<Errno, void> {
    return this.#run(rename(this.fs.verbs, this.fs, from, to))
  }
  /** link(2). */
  link(existing: string, path: string): Either<Errno, void> {
    return this.#run(link(this.fs.verbs, this.fs, existing, path))
  }
  /** symlink(2). */
  symlink(target: string, path: string): Either<Errno, void> {
    return this.#run(symlink(this.fs.verbs, this.fs, target, path))
  }
  /** readlink(2). EINVAL if it is no symlink. */
  readlink(path: string): Either<Errno, string> {
    const { fs } = this
    return this.#run(
      (function* (): Kernel<string, Errno> {
        const inode = yield* walkTo(fs, path, false)
        return inode.symlink ?? (yield* raise('EINVAL', 'EINVAL.readlink'))
      })(),
    )
  }
  /** readdir(3), `.` and `..` included, in the order of the directory's blocks. */
  readdir(path: string): Either<Errno, readonly Dirent[]> {
    return this.#run(readdir(this.fs, path))
  }
  /** chmod(2). */
  chmod(path: string, mode: number): Either<Errno, void> {
    return this.#run(chmod(this.fs.verbs, this.fs, path, mode))
  }
  /** chown(2); -1 leaves an id as it is. EDQUOT where the new owner may not have so many blocks. */
  chown(path: string, uid: number, gid: number): Either<Errno, void> {
    return this.#run(chown(this.fs.verbs, this.fs, path, uid, gid))
  }
  /** utimes(2). */
  utimes(path: string, atime: number, mtime: number): Either<Errno, void> {
    return this.#run(utimes(this.fs.verbs, this.fs, path, atime, mtime))
  }

  // --- the mount -----------------------------------------------------------------------------------------------------

  /** sync(2). */
  sync(): Either<Errno, void> {
    return this.#run(this.sys.sync())
  }
  /** statfs(2). */
  statfs(): StatFs {
    return this.sys.statfs()
  }

  /** Write everything and forget every inode that is not in use (sync; echo 3 > drop_caches). @returns inodes evicted */
  dropCaches(): Either<Errno, number> {
    const { fs } = this
    return this.#run(
      (function* (): Kernel<number, Errno> {
        let evicted = 0
        for (const inode of fs.cachedInodes()) if (yield* evictInode(fs.verbs, fs, inode)) evicted++
        return evicted
      })(),
    )
  }

  /** Write everything, mark the image clean and let it go. EBUSY while a file is open. */
  unmount(): Either<Errno, void> {
    const { fs } = this
    if (fs.cachedInodes().some((i) => i.holders > 0)) return this.#run(raise('EBUSY', 'EBUSY.unmount'))
    return this.#run(unmount(fs.verbs, fs))
  }
}
