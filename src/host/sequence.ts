/**
 * Sequence: run operations on a mounted file system of this machine, one system call each, with exact results.
 *
 * - An operation's answer is what the kernel answered: `ret` >= 0, or -1 and the errno. Nothing throws for a failing
 *   call; a replay goes on. An operation on an `fd` whose `open` failed answers EBADF, as workload/operation.ts asks.
 * - The source of a write is memory that this process has touched, so that no copy is short by accident. With
 *   `readable: k` it ends k bytes before a page with PROT_NONE: a write of len > k meets EFAULT at exactly byte k.
 * - A store through a shared mapping is made with process_vm_writev(2) on this very process: the same page fault and
 *   page_mkwrite, but a full disk answers EFAULT where a plain store would end the process with SIGBUS.
 *
 * Runs in the child process only (child-main.ts).
 */
import { constants, fstatSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ERRNO } from '../kernel/errno.ts'
import { PAGE, roundUp } from '../kernel/units.ts'
import type { FallocateMode, Operation, Whence, Write } from '../lab/workload/operation.ts'
import { C, errnoName } from './libc.ts'
import type { Libc } from './libc.ts'

/**
 * An operation of a workload, or a write whose source can be read for `readable` bytes only and then faults. The
 * kernel answers `readable` or fewer bytes, or EFAULT where that is none.
 */
export type KernelOperation = Operation | (Write & { readonly readable: number })

/** What stat reports, as far as two implementations must agree on it. `blocks` counts 512 B. */
export interface Attributes {
  readonly mode: number
  readonly nlink: number
  readonly size: number
  readonly blocks: number
}

/** The answer to one operation. */
export interface Answer {
  /** What the system call returned: a count, an offset, 0; -1 on failure. `open` answers 0. */
  readonly ret: number
  /** The errno by name, when `ret` is -1. */
  readonly errno?: string
  /** What `read` read. */
  readonly data?: Buffer
  /** What `readdir` listed, sorted, without `.` and `..` */
  readonly names?: readonly string[]
  /** What `stat` reported. */
  readonly attributes?: Attributes
}

const WHENCE: Record<Whence, number> =
  { set: C.SEEK_SET, cur: C.SEEK_CUR, end: C.SEEK_END, data: C.SEEK_DATA, hole: C.SEEK_HOLE }

const MODE: Record<FallocateMode, number> = {
  'allocate': 0,
  'keep-size': C.FALLOC_FL_KEEP_SIZE,
  'punch': C.FALLOC_FL_PUNCH_HOLE | C.FALLOC_FL_KEEP_SIZE,
  'zero': C.FALLOC_FL_ZERO_RANGE,
  'zero-keep-size': C.FALLOC_FL_ZERO_RANGE | C.FALLOC_FL_KEEP_SIZE,
}

/** The answer that stands for a kernel result: a count, or minus an errno. */
const answer = (result: number): Answer => result < 0 ? { ret: -1, errno: errnoName(-result) } : { ret: result }

// A failing fs.*Sync call carries the errno's name as its code.
const viaFs = (call: () => Answer): Answer => {
  try {
    return call()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === undefined) throw error
    return { ret: -1, errno: code }
  }
}

/** Memory of which the second half cannot be read: the source of writes. Grows on demand. */
class Arena {
  private readonly libc: Libc
  private address = 0n
  private half = 0
  private bytes: Buffer = Buffer.alloc(0)

  constructor(libc: Libc) {
    this.libc = libc
  }

  /** At least `len` bytes in each half. */
  private reserve(len: number): void {
    if (len <= this.half) return
    this.close()
    this.half = roundUp(Math.max(len, 1 << 20), PAGE)
    this.address = this.libc.mmap(2 * this.half, C.PROT_NONE, C.MAP_PRIVATE | C.MAP_ANONYMOUS)
    const done = this.libc.call('mprotect', this.address, BigInt(this.half), C.PROT_READ | C.PROT_WRITE)
    if (done < 0) throw new Error(`mprotect: ${errnoName(-done)}`)
    this.bytes = this.libc.view(this.address, this.half)
  }

  /** The address of `payload`, of which the first `readable` bytes are there and the next one faults. */
  source(payload: Buffer, readable: number): bigint {
    this.reserve(payload.length)
    // A source that is whole starts at a page, as a buffer from malloc would for O_DIRECT.
    const at = readable < payload.length ? this.half - readable : 0
    payload.copy(this.bytes, at, 0, readable)
    return this.address + BigInt(at)
  }

  /** Give the memory back. */
  close(): void {
    if (this.half > 0) this.libc.call('munmap', this.address, BigInt(2 * this.half))
    this.half = 0
  }

  /** Room for `len` bytes that a read may fill. */
  target(len: number): { address: bigint, bytes: Buffer } {
    this.reserve(len)
    return { address: this.address, bytes: this.bytes }
  }
}

// struct iovec array over one stretch of memory, cut at `lens`.
const iovecs = (address: bigint, lens: readonly number[]): Buffer => {
  const table = Buffer.alloc(16 * Math.max(1, lens.length))
  let at = address
  lens.forEach((len, i) => {
    table.writeBigUInt64LE(at, 16 * i)
    table.writeBigUInt64LE(BigInt(len), 16 * i + 8)
    at += BigInt(len)
  })
  return table
}

/** Runs operations below one directory; holds the files that they opened. */
export class Sequence {
  private readonly libc: Libc
  private readonly root: string
  private readonly arena: Arena
  private readonly fds = new Map<number, number>()
  private readonly rootFd: number

  /** @param root a mounted directory @throws Error if it cannot be opened */
  constructor(libc: Libc, root: string) {
    this.libc = libc
    this.root = root
    this.arena = new Arena(libc)
    this.rootFd = libc.call('open', root, constants.O_RDONLY | constants.O_DIRECTORY, 0)
    if (this.rootFd < 0) throw new Error(`${root}: ${errnoName(-this.rootFd)}`)
  }

  private path(path: string): string {
    return path === '.' ? this.root : join(this.root, path)
  }

  /** Run one operation; `payload` are the bytes of a write, of at least its length. */
  run(op: KernelOperation, payload: Buffer): Answer {
    switch (op.op) {
      case 'readdir':
        return viaFs(() => ({ ret: 0, names: readdirSync(this.path(op.path)).filter(n => n !== 'lost+found').sort() }))
      case 'stat': return viaFs(() => this.stat(op.path))
      case 'utimes': return answer(this.utimes(op.path, op.atime, op.mtime))
      case 'open': return answer(this.open(op.fd, op.path, op.flags, op.mode ?? 0o644))
      case 'sync': return answer(this.libc.call('syncfs', this.rootFd))
      case 'truncate': return answer(this.libc.call('truncate', this.path(op.path), BigInt(op.len)))
      case 'unlink': return answer(this.libc.call('unlink', this.path(op.path)))
      case 'rename': return answer(this.libc.call('rename', this.path(op.from), this.path(op.to)))
      case 'link': return answer(this.libc.call('link', this.path(op.from), this.path(op.to)))
      case 'symlink': return answer(this.libc.call('symlink', op.target, this.path(op.path)))
      case 'mkdir': return answer(this.libc.call('mkdir', this.path(op.path), op.mode ?? 0o755))
      case 'rmdir': return answer(this.libc.call('rmdir', this.path(op.path)))
      case 'chmod': return answer(this.libc.call('chmod', this.path(op.path), op.mode))
      default: return this.onFd(op, payload)
    }
  }

  private onFd(op: Extract<KernelOperation, { fd: number }>, payload: Buffer): Answer {
    const fd = this.fds.get(op.fd)
    if (fd === undefined) return { ret: -1, errno: 'EBADF' }
    switch (op.op) {
      case 'close':
        this.fds.delete(op.fd)
        return answer(this.libc.call('close', fd))
      case 'write': {
        const readable = 'readable' in op ? Math.min(op.readable, op.len) : op.len
        return answer(this.write(fd, payload, op, readable))
      }
      case 'writev': return answer(this.writev(fd, payload, op.lens, op.off))
      case 'read': return this.read(fd, op.len, op.off)
      case 'lseek': return answer(this.libc.call('lseek', fd, BigInt(op.off), WHENCE[op.whence]))
      case 'ftruncate': return answer(this.libc.call('ftruncate', fd, BigInt(op.len)))
      case 'fallocate': return answer(this.libc.call('fallocate', fd, MODE[op.mode], BigInt(op.off), BigInt(op.len)))
      case 'fsync': return answer(this.libc.call('fsync', fd))
      case 'fdatasync': return answer(this.libc.call('fdatasync', fd))
      case 'mmap-write': return answer(this.mmapWrite(fd, payload, op.off, op.len))
      default: throw new Error(`no such operation: ${op.op}`)
    }
  }

  private open(n: number, path: string, flags: readonly (keyof typeof constants)[], mode: number): number {
    const bits = flags.reduce((sum, flag) => sum | constants[flag], constants.O_NOFOLLOW)
    const fd = this.libc.call('open', this.path(path), bits, mode)
    if (fd < 0) return fd
    const former = this.fds.get(n)
    if (former !== undefined) this.libc.call('close', former)
    this.fds.set(n, fd)
    return 0
  }

  private write(fd: number, payload: Buffer, op: Write, readable: number): number {
    const { len, off } = op
    const address = this.arena.source(payload.subarray(0, len), readable)
    if (op.sync === true) {
      return this.libc.call('pwritev2', fd, iovecs(address, [len]), 1, BigInt(off ?? -1), C.RWF_DSYNC)
    }
    return off === undefined
      ? this.libc.call('write', fd, address, BigInt(len))
      : this.libc.call('pwrite', fd, address, BigInt(len), BigInt(off))
  }

  private writev(fd: number, payload: Buffer, lens: readonly number[], off: number | undefined): number {
    const len = lens.reduce((sum, n) => sum + n, 0)
    const table = iovecs(this.arena.source(payload.subarray(0, len), len), lens)
    return off === undefined
      ? this.libc.call('writev', fd, table, lens.length)
      : this.libc.call('pwritev', fd, table, lens.length, BigInt(off))
  }

  private read(fd: number, len: number, off: number | undefined): Answer {
    const { address, bytes } = this.arena.target(len)
    const n = off === undefined
      ? this.libc.call('read', fd, address, BigInt(len))
      : this.libc.call('pread', fd, address, BigInt(len), BigInt(off))
    return n < 0 ? answer(n) : { ret: n, data: Buffer.from(bytes.subarray(0, n)) }
  }

  // Clipped to i_size: a store past it is lost, one past its page is SIGBUS.
  private mmapWrite(fd: number, payload: Buffer, off: number, wanted: number): number {
    const len = Math.min(wanted, fstatSync(fd).size - off)
    if (len <= 0) return 0
    const from = off - off % PAGE
    const span = roundUp(off + len, PAGE) - from
    const prot = C.PROT_READ | C.PROT_WRITE
    const mapped = this.libc.functions.mmap(0n, BigInt(span), prot, C.MAP_SHARED, fd, BigInt(from))
    // MAP_FAILED: the only cause here is a file that is not open for writing and reading.
    if (BigInt.asIntN(64, mapped) === -1n) return -ERRNO.EACCES
    const local = iovecs(this.arena.source(payload.subarray(0, len), len), [len])
    const remote = iovecs(mapped + BigInt(off - from), [len])
    const done = this.libc.call('process_vm_writev', process.pid, local, 1n, remote, 1n, 0n)
    this.libc.call('munmap', mapped, BigInt(span))
    return done
  }

  private stat(path: string): Answer {
    const s = lstatSync(this.path(path))
    return { ret: 0, attributes: { mode: s.mode, nlink: s.nlink, size: s.size, blocks: s.blocks } }
  }

  private utimes(path: string, atime: number | undefined, mtime: number | undefined): number {
    const times = Buffer.alloc(32)
    ;[atime, mtime].forEach((t, i) => {
      times.writeBigInt64LE(BigInt(t === undefined ? 0 : Math.floor(t / 1e6)), 16 * i)
      times.writeBigInt64LE(BigInt(t === undefined ? C.UTIME_NOW : (t - Math.floor(t / 1e6) * 1e6) * 1000), 16 * i + 8)
    })
    return this.libc.call('utimensat', C.AT_FDCWD, this.path(path), times, C.AT_SYMLINK_NOFOLLOW)
  }

  /** Make everything durable and go on with the files open. @returns 0, or minus the errno */
  sync(): number {
    return this.libc.call('syncfs', this.rootFd)
  }

  /** Close all files that operations opened. */
  closeFiles(): void {
    for (const fd of this.fds.values()) this.libc.call('close', fd)
    this.fds.clear()
  }

  /** Close everything, so that the file system can be unmounted. */
  close(): void {
    this.closeFiles()
    this.arena.close()
    this.libc.call('close', this.rootFd)
  }
}
