/**
 * System calls as kernels: the POSIX interface before it is run. `posix.ts` runs each at once; a scheduler interleaves them.
 *
 * File descriptors are small numbers, the lowest free one first. Errnos are those of the manual pages; what a call checks
 * before it starts (EBADF, EINVAL, EFBIG, EISDIR) it checks in the order of the kernel.
 */
import type { Errno } from '../kernel/errno.ts'
import { Failure, type Kernel, raise } from '../kernel/kernel.ts'
import type { WriteSource } from '../iov/source.ts'
import type { ReadTarget } from '../iov/target.ts'
import { canWriteDirect, makeWay, readDirect, writeDirect } from './direct.ts'
import type { Donor } from './donor.ts'
import { fallocate, type FallocateMode, seekHoleData } from './fallocate.ts'
import type { FileSystem } from './file-system.ts'
import { type Inode, S_IFREG } from './inode.ts'
import { mmapLoad, mmapStore } from './mmap.ts'
import { create, type NamespaceError } from './namespace.ts'
import { walk, walkTo } from './namei.ts'
import { mayBeNoWait } from './nowait.ts'
import { OpenFile } from './open-file.ts'
import { performWrite, writePlain } from './perform-write.ts'
import { readFile } from './read.ts'
import { fsync, put, sync } from './sync.ts'
import { truncate } from './truncate.ts'
import type { Verbs } from './verbs.ts'

/** Names of the flags of open(2) that are understood. O_RDONLY is assumed where no access mode is named. */
export const OPEN_FLAGS = [
  'O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_CREAT', 'O_EXCL', 'O_TRUNC', 'O_APPEND', 'O_DIRECT', 'O_DSYNC', 'O_SYNC',
  'O_DIRECTORY', 'O_NOFOLLOW',
] as const
/** One flag of open(2). */
export type OpenFlag = (typeof OPEN_FLAGS)[number]

/** Names of the flags of pwritev2(2) that are understood. */
export const RWF_FLAGS = ['RWF_NOWAIT'] as const
/** One flag of pwritev2(2). */
export type RwFlag = (typeof RWF_FLAGS)[number]

/** How often a call that signals keep from its first byte is restarted; a signal more is EINTR. */
const RESTARTS = 3

/** What stat(2) answers. Times in microseconds since the epoch; `blocks` in units of 512 bytes, delayed ones included. */
export interface Stat {
  readonly ino: number
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly blocks: number
  readonly atime: number
  readonly mtime: number
  readonly ctime: number
}

/** What statfs(2) answers, in blocks of `blockSize` bytes. */
export interface StatFs {
  readonly blockSize: number
  readonly blocks: number
  readonly free: number
  readonly available: number
  readonly files: number
  readonly filesFree: number
}

/** The system calls of one process on one mount. */
export class Syscalls {
  readonly fs: FileSystem
  readonly k: Verbs
  readonly #files: (OpenFile | null)[] = []

  constructor(fs: FileSystem, k: Verbs = fs.verbs) {
    this.fs = fs
    this.k = k
  }

  /** The open file behind `fd`. Raises EBADF. */
  *file(fd: number): Kernel<OpenFile, 'EBADF'> {
    return this.#files[fd] ?? (yield* raise('EBADF', 'EBADF.fd'))
  }

  *open(path: string, flags: readonly OpenFlag[], mode = 0o644): Kernel<number, NamespaceError | Errno> {
    const has = (f: OpenFlag): boolean => flags.includes(f)
    const write = has('O_WRONLY') || has('O_RDWR')
    const place = yield* walk(this.fs, path, !has('O_NOFOLLOW') && !(has('O_CREAT') && has('O_EXCL')))
    let { inode } = place
    if (inode === null) {
      if (!has('O_CREAT')) return yield* raise('ENOENT', 'ENOENT.open')
      inode = yield* create(this.k, this.fs, place.parent, place.name, S_IFREG | (mode & 0o7777))
    } else {
      if (has('O_CREAT') && has('O_EXCL')) return yield* raise('EEXIST', 'EEXIST.open')
      if (inode.isSymlink) return yield* raise('ELOOP', 'ELOOP.open')
      if (inode.isDirectory && (write || has('O_CREAT'))) return yield* raise('EISDIR', 'EISDIR.open')
      // A device, a pipe or a socket: there is no driver behind it here.
      if (!inode.isFile && !inode.isDirectory) return yield* raise('ENXIO', 'ENXIO.open')
      if (has('O_DIRECTORY') && !inode.isDirectory) return yield* raise('ENOTDIR', 'ENOTDIR.open')
      if (has('O_TRUNC') && write && inode.size > 0) yield* this.#truncate(inode, 0)
    }
    const file = new OpenFile(this.fs, inode, {
      read: !has('O_WRONLY'),
      write,
      append: has('O_APPEND'),
      direct: has('O_DIRECT'),
      sync: has('O_DSYNC') || has('O_SYNC'),
    })
    inode.holders++
    let fd = 0
    while (this.#files[fd] !== undefined && this.#files[fd] !== null) fd++
    this.#files[fd] = file
    return fd
  }

  *close(fd: number): Kernel<void, 'EBADF'> {
    const { inode } = yield* this.file(fd)
    this.#files[fd] = null
    inode.holders--
    yield* put(this.k, this.fs, inode)
  }

  // --- writing and reading -------------------------------------------------------------------------------------------

  /** write(2) at the file position, which moves by what was written. */
  *write(fd: number, source: WriteSource): Kernel<number, Errno> {
    const file = yield* this.file(fd)
    const n = yield* this.#writeAt(file, source, file.pos, file.flags.append)
    if (n > 0) file.pos = file.write.pos + n
    return n
  }

  /** pwrite(2). With O_APPEND Linux appends whatever `pos` says. */
  *pwrite(fd: number, source: WriteSource, pos: number): Kernel<number, Errno> {
    if (pos < 0) return yield* raise('EINVAL', 'EINVAL.pwrite')
    const file = yield* this.file(fd)
    return yield* this.#writeAt(file, source, pos, file.flags.append)
  }

  /**
   * pwritev2(2): as pwrite, or with `pos` -1 as write. RWF_NOWAIT: EAGAIN instead of waiting, EOPNOTSUPP where the design
   * cannot promise that or the file is open for direct I/O.
   */
  *pwritev2(fd: number, source: WriteSource, pos: number, flags: readonly RwFlag[]): Kernel<number, Errno> {
    if (pos < -1) return yield* raise('EINVAL', 'EINVAL.pwritev2')
    const file = yield* this.file(fd)
    const nowait = flags.includes('RWF_NOWAIT')
    if (nowait && (file.flags.direct || !mayBeNoWait(this.fs.strategy))) return yield* raise('EOPNOTSUPP', 'EOPNOTSUPP.nowait')
    const n = yield* this.#writeAt(file, source, pos === -1 ? file.pos : pos, file.flags.append, nowait)
    if (pos === -1 && n > 0) file.pos = file.write.pos + n
    return n
  }

  *#writeAt(
    file: OpenFile, source: WriteSource, pos: number, append: boolean, nowait = false,
  ): Kernel<number, Errno> {
    if (source.length === 0 && file.flags.write) return 0
    const refused = this.#prepare(file, source, pos, append)
    if (refused !== null) return yield* raise(refused)
    file.write.nowait = nowait
    return yield* this.#perform(file)
  }

  /** The write of a splice(2): `file.write.done` is what stands, even if it fails later. @param donor the source, if it gives pages */
  *spliceWrite(file: OpenFile, source: WriteSource, donor: Donor | null, pos: number): Kernel<number, Errno> {
    file.write.done = 0
    const refused = this.#prepare(file, source, pos, false)
    if (refused !== null) return yield* raise(refused)
    if (donor !== null && this.fs.strategy.offers === 'ignored') this.k.ledger.refusedIgnored++
    else file.write.donor = donor
    return yield* this.#perform(file)
  }

  /** Check a write and set it up. Plain. @returns the errno that refuses it, or null */
  #prepare(file: OpenFile, source: WriteSource, pos: number, append: boolean): 'EBADF' | 'EFBIG' | null {
    if (!file.flags.write) return 'EBADF'
    const from = append ? this.k.size(file.inode) : pos
    const room = this.fs.format.maxBytes - from
    if (room <= 0) return 'EFBIG'
    file.write.reset(from, Math.min(source.length, room), source, append, this.fs.strategy.claims.stablePages)
    return null
  }

  /** Do what is left of the prepared write. */
  *#perform(file: OpenFile): Kernel<number, Errno> {
    const { k, fs } = this
    const { inode, flags, write: w } = file
    const n = yield* flags.direct ? this.#direct(file) : this.#buffered(file)
    this.#written(inode)
    if (flags.sync) yield* fsync(k, fs, file, w.pos, w.pos + n)
    return n
  }

  /**
   * performWrite, without the ERESTARTSYS that no caller ever sees: a write that a signal kept from its first byte is done
   * again after the handler (SA_RESTART, or no handler at all), or ends in EINTR (a handler without SA_RESTART). Which one is
   * the choice `EINTR.handler`. Source: arch/x86/kernel/signal.c, handle_signal; man signal(7).
   */
  *#buffered(file: OpenFile): Kernel<number, Errno> {
    const { k, fs } = this
    for (let restarts = 0; ; restarts++) {
      try {
        return yield* performWrite(k, fs.strategy, file.write, file.mapping)
      } catch (e) {
        if (!(e instanceof Failure) || e.errno !== 'ERESTARTSYS') throw e
      }
      if (restarts === RESTARTS || k.fault('EINTR.handler')) return yield* raise('EINTR', 'EINTR.handler')
    }
  }

  #written(inode: Inode): void {
    this.k.ledger.writes++
    inode.mtime = inode.ctime = this.k.now()
    inode.dirty = true
  }

  /**
   * A write from the start by the plain prefix of the pipeline. `pos` < 0: at the file position.
   * @returns the bytes written if that was all of it; -1 if `resume` must go on; -2 if nothing was tried: use `write`
   */
  writeNow(fd: number, source: WriteSource, pos: number): number {
    const file = this.#files[fd]
    const { k, fs } = this
    if (file === undefined || file === null || !k.plain || source.length === 0) return -2
    const { inode, flags, write: w } = file
    if (flags.direct || flags.sync || !inode.rwsem.tryLock()) return -2
    const refused = this.#prepare(file, source, pos < 0 ? file.pos : pos, flags.append)
    if (refused === null) writePlain(k, fs.strategy, w, file.mapping)
    k.release(inode.rwsem)
    if (refused !== null) return -2
    if (w.done < w.len) return -1
    k.ledger.locks++
    this.#written(inode)
    if (pos < 0) file.pos = w.pos + w.done
    return w.done
  }

  /** Go on with a write that `writeNow` began. */
  *resume(fd: number, moves: boolean): Kernel<number, Errno> {
    const file = yield* this.file(fd)
    const n = yield* this.#perform(file)
    if (moves) file.pos = file.write.pos + n
    return n
  }

  /** O_DIRECT: past the cache where the format can, else through it and written back. */
  *#direct(file: OpenFile): Kernel<number, Errno> {
    const { k, fs } = this
    const { inode, write: w } = file
    if (w.pos % fs.blockSize !== 0 || w.len % fs.blockSize !== 0) return yield* raise('EINVAL', 'EINVAL.direct')
    if (!canWriteDirect(k, fs, inode, w.pos, w.len)) return yield* this.#throughCache(file)
    const bytes = Buffer.allocUnsafeSlow(w.len)
    const readable = yield* w.source.copyFaulting(bytes, 0, 0, w.len)
    if (readable < w.len) return yield* raise('EFAULT', 'EFAULT.direct')
    yield* k.acquire(inode.rwsem)
    // Writes that do without the inode lock are kept away by the other one (bch2_pagecache_block_get).
    const alone = fs.strategy.exclusive !== undefined && fs.journal === null
    if (alone) yield* k.acquire(inode.invalidateLock)
    try {
      if (w.append) w.pos = k.size(inode)
      if (yield* makeWay(k, fs, inode, w.pos, w.len)) return yield* writeDirect(k, fs, inode, w.pos, bytes)
    } finally {
      if (alone) k.release(inode.invalidateLock)
      k.release(inode.rwsem)
    }
    return yield* this.#throughCache(file)
  }

  /** A direct write that cannot go past the cache: through it, and written back. */
  *#throughCache(file: OpenFile): Kernel<number, Errno> {
    const { k, fs } = this
    const { inode, write: w } = file
    const n = yield* this.#buffered(file)
    const errno = yield* fs.writeBack(k, inode, w.pos, w.pos + n)
    return errno === null ? n : yield* raise(errno, `${errno}.through-cache`)
  }

  /** read(2) at the file position, which moves. */
  *read(fd: number, target: ReadTarget): Kernel<number, Errno> {
    const file = yield* this.file(fd)
    const n = yield* this.pread(fd, target, file.pos)
    file.pos += n
    return n
  }

  /** pread(2). */
  *pread(fd: number, target: ReadTarget, pos: number): Kernel<number, Errno> {
    const { inode, flags, readahead } = yield* this.file(fd)
    if (!flags.read) return yield* raise('EBADF', 'EBADF.read')
    if (inode.isDirectory) return yield* raise('EISDIR', 'EISDIR.read')
    if (!flags.direct) return yield* readFile(this.k, this.fs, inode, readahead, pos, target)
    if (pos % this.fs.blockSize !== 0) return yield* raise('EINVAL', 'EINVAL.direct')
    const bytes = Buffer.alloc(Math.ceil(target.length / this.fs.blockSize) * this.fs.blockSize)
    const n = Math.min(yield* readDirect(this.k, this.fs, inode, pos, bytes), target.length)
    return target.copyOut(bytes, 0, 0, n)
  }

  /** lseek(2). Raises ENXIO for hole and data past the end, EINVAL for a negative position. */
  *lseek(fd: number, offset: number, whence: 'set' | 'cur' | 'end' | 'data' | 'hole'): Kernel<number, Errno> {
    const file = yield* this.file(fd)
    const base = whence === 'cur' ? file.pos : whence === 'end' ? this.k.size(file.inode) : 0
    if (base + offset < 0) return yield* raise(whence === 'data' || whence === 'hole' ? 'ENXIO' : 'EINVAL')
    file.pos =
      whence === 'data' || whence === 'hole'
        ? yield* seekHoleData(this.k, this.fs, file.inode, offset, whence)
        : base + offset
    return file.pos
  }

  // --- size and space ------------------------------------------------------------------------------------------------

  *ftruncate(fd: number, size: number): Kernel<void, Errno> {
    const { inode, flags } = yield* this.file(fd)
    if (!flags.write || !inode.isFile) return yield* raise('EINVAL', 'EINVAL.ftruncate')
    yield* this.#truncate(inode, size)
  }

  *truncate(path: string, size: number): Kernel<void, Errno> {
    const inode = yield* walkTo(this.fs, path, true)
    if (inode.isDirectory) return yield* raise('EISDIR', 'EISDIR.truncate')
    if (!inode.isFile) return yield* raise('EINVAL', 'EINVAL.truncate-special')
    yield* this.#truncate(inode, size)
  }

  *#truncate(inode: Inode, size: number): Kernel<void, Errno> {
    if (size < 0) return yield* raise('EINVAL', 'EINVAL.truncate')
    if (size > this.fs.format.maxBytes) return yield* raise('EFBIG', 'EFBIG.truncate')
    yield* this.k.acquire(inode.rwsem)
    try {
      yield* truncate(this.k, this.fs, inode, size)
      inode.mtime = inode.ctime = this.k.now()
    } finally {
      this.k.release(inode.rwsem)
    }
  }

  *fallocate(fd: number, mode: FallocateMode, pos: number, len: number): Kernel<void, Errno> {
    const { inode, flags } = yield* this.file(fd)
    if (pos < 0 || len <= 0) return yield* raise('EINVAL', 'EINVAL.fallocate')
    if (!flags.write) return yield* raise('EBADF', 'EBADF.fallocate')
    yield* this.k.acquire(inode.rwsem)
    try {
      yield* fallocate(this.k, this.fs, inode, mode, pos, len)
      inode.mtime = inode.ctime = this.k.now()
    } finally {
      this.k.release(inode.rwsem)
    }
  }

  // --- mappings --------------------------------------------------------------------------------------------------------

  /** A store through a shared mapping of the file. EFAULT stands for SIGBUS. */
  *mmapStore(fd: number, pos: number, bytes: Buffer): Kernel<number, Errno> {
    const { inode } = yield* this.file(fd)
    return yield* mmapStore(this.k, this.fs, inode, pos, bytes)
  }

  /** A load through a mapping of the file. */
  *mmapLoad(fd: number, pos: number, into: Buffer): Kernel<void, Errno> {
    const { inode } = yield* this.file(fd)
    yield* mmapLoad(this.k, this.fs, inode, pos, into)
  }

  // --- durability ----------------------------------------------------------------------------------------------------

  *fsync(fd: number): Kernel<void, Errno> {
    yield* fsync(this.k, this.fs, yield* this.file(fd))
  }

  *sync(): Kernel<void, 'EIO'> {
    yield* sync(this.k, this.fs)
  }

  // --- answers -------------------------------------------------------------------------------------------------------

  *fstat(fd: number): Kernel<Stat, 'EBADF'> {
    return this.#stat((yield* this.file(fd)).inode)
  }

  /** stat(2), or lstat(2) with `follow` false. */
  *stat(path: string, follow = true): Kernel<Stat, Errno> {
    return this.#stat(yield* walkTo(this.fs, path, follow))
  }

  #stat(i: Inode): Stat {
    const blocks = i.map.realBlocks + i.map.delayedBlocks + this.fs.format.mapBlocks(i)
    return {
      ino: i.ino, mode: i.mode, nlink: i.nlink, uid: i.uid, gid: i.gid, size: this.k.size(i),
      blocks: (blocks * this.fs.blockSize) / 512, atime: i.atime, mtime: i.mtime, ctime: i.ctime,
    }
  }

  statfs(): StatFs {
    const { format, space } = this.fs
    return {
      blockSize: format.blockSize, blocks: format.totalBlocks - format.overheadBlocks, free: space.free,
      available: space.available, files: format.totalInodes, filesFree: format.freeInodes,
    }
  }
}
