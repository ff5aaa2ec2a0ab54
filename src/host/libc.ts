/**
 * Libc: system calls with exact errnos, through node:ffi.
 *
 * Node's own `fs` hides what conformance needs: preadv/pwritev2 flags, SEEK_HOLE, fallocate, mount, memory with a page
 * that cannot be read. Every call here returns what the kernel returned: a count >= 0, or minus the errno.
 *
 * - The errno is read right after a call that returned -1, in the same thread, with no JavaScript call between.
 * - A pointer is a bigint, or a Buffer, which then lives until the call returns; never take a Buffer's address, since
 *   it may be collected before the call.
 * - Constants are those of Linux on all architectures that Node runs on, except the open(2) flags, which come from
 *   `fs.constants`.
 * - Only for Linux, and only where `hasFfi()`.
 *
 * Source: man-pages section 2; include/uapi/linux/{loop,fs,mman,falloc}.h.
 */
import { constants } from 'node:os'
import { ERRNO } from '../kernel/errno.ts'

const SIGNATURES = {
  __errno_location: { arguments: [], return: 'pointer' },
  open: { arguments: ['string', 'i32', 'u32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  read: { arguments: ['i32', 'pointer', 'u64'], return: 'i64' },
  pread: { arguments: ['i32', 'pointer', 'u64', 'i64'], return: 'i64' },
  write: { arguments: ['i32', 'pointer', 'u64'], return: 'i64' },
  pwrite: { arguments: ['i32', 'pointer', 'u64', 'i64'], return: 'i64' },
  writev: { arguments: ['i32', 'pointer', 'i32'], return: 'i64' },
  pwritev: { arguments: ['i32', 'pointer', 'i32', 'i64'], return: 'i64' },
  pwritev2: { arguments: ['i32', 'pointer', 'i32', 'i64', 'i32'], return: 'i64' },
  getdents64: { arguments: ['i32', 'pointer', 'u64'], return: 'i64' },
  lseek: { arguments: ['i32', 'i64', 'i32'], return: 'i64' },
  truncate: { arguments: ['string', 'i64'], return: 'i32' },
  ftruncate: { arguments: ['i32', 'i64'], return: 'i32' },
  fallocate: { arguments: ['i32', 'i32', 'i64', 'i64'], return: 'i32' },
  fsync: { arguments: ['i32'], return: 'i32' },
  fdatasync: { arguments: ['i32'], return: 'i32' },
  syncfs: { arguments: ['i32'], return: 'i32' },
  unlink: { arguments: ['string'], return: 'i32' },
  rename: { arguments: ['string', 'string'], return: 'i32' },
  link: { arguments: ['string', 'string'], return: 'i32' },
  symlink: { arguments: ['string', 'string'], return: 'i32' },
  mkdir: { arguments: ['string', 'u32'], return: 'i32' },
  rmdir: { arguments: ['string'], return: 'i32' },
  chmod: { arguments: ['string', 'u32'], return: 'i32' },
  umask: { arguments: ['u32'], return: 'u32' },
  utimensat: { arguments: ['i32', 'string', 'pointer', 'i32'], return: 'i32' },
  mmap: { arguments: ['pointer', 'u64', 'i32', 'i32', 'i32', 'i64'], return: 'pointer' },
  munmap: { arguments: ['pointer', 'u64'], return: 'i32' },
  mprotect: { arguments: ['pointer', 'u64', 'i32'], return: 'i32' },
  process_vm_writev: { arguments: ['i32', 'pointer', 'u64', 'pointer', 'u64', 'u64'], return: 'i64' },
  memfd_create: { arguments: ['string', 'u32'], return: 'i32' },
  ioctl: { arguments: ['i32', 'u64', 'pointer'], return: 'i32' },
  unshare: { arguments: ['i32'], return: 'i32' },
  mount: { arguments: ['string', 'string', 'string', 'u64', 'string'], return: 'i32' },
  umount2: { arguments: ['string', 'i32'], return: 'i32' },
} as const

/** Constants of the calls below, by their C names. */
export const C = {
  SEEK_SET: 0, SEEK_CUR: 1, SEEK_END: 2, SEEK_DATA: 3, SEEK_HOLE: 4,
  FALLOC_FL_KEEP_SIZE: 1, FALLOC_FL_PUNCH_HOLE: 2, FALLOC_FL_ZERO_RANGE: 16,
  RWF_DSYNC: 2,
  PROT_NONE: 0, PROT_READ: 1, PROT_WRITE: 2, MAP_SHARED: 1, MAP_PRIVATE: 2, MAP_ANONYMOUS: 0x20,
  AT_FDCWD: -100, AT_SYMLINK_NOFOLLOW: 0x100, UTIME_NOW: 0x3fffffff,
  CLONE_NEWNS: 0x20000, MS_RDONLY: 1, MS_REC: 0x4000, MS_PRIVATE: 0x40000, MNT_DETACH: 2,
  LOOP_CTL_GET_FREE: 0x4c82, LOOP_CONFIGURE: 0x4c0a, LOOP_CLR_FD: 0x4c01, LO_FLAGS_AUTOCLEAR: 4, BLKFLSBUF: 0x1261,
} as const

const NAMES = new Map<number, string>([
  ...Object.entries(constants.errno).map(([name, n]) => [n, name] as const),
  // Names that perform-write uses win over their twins (EOPNOTSUPP over ENOTSUP, EAGAIN over EWOULDBLOCK).
  ...Object.entries(ERRNO).map(([name, n]) => [n, name] as const),
])

/** The name of an errno number, `E<n>` for one that has none. */
export const errnoName = (n: number): string => NAMES.get(n) ?? `E${n}`

/** For calls that must succeed. @returns the result @throws Error naming the call and its errno */
export const check = (what: string, result: number): number => {
  if (result < 0) throw new Error(`${what}: ${errnoName(-result)}`)
  return result
}

const load = () => {
  const ffi = process.getBuiltinModule('node:ffi')
  const { functions } = ffi.dlopen(null, SIGNATURES)
  return { ffi, functions }
}

type Functions = ReturnType<typeof load>['functions']
/** Names of the calls that return a count, or -1 with an errno. */
export type CallName = Exclude<keyof Functions, '__errno_location' | 'mmap' | 'umask'>

/** The loaded C library. */
export class Libc {
  private readonly ffi: ReturnType<typeof load>['ffi']
  /** The raw functions, for the few that do not fail with -1. */
  readonly functions: Functions

  /** @throws Error if this Node has no node:ffi; ask `availability` first */
  constructor() {
    const loaded = load()
    this.ffi = loaded.ffi
    this.functions = loaded.functions
  }

  private result(value: number | bigint): number {
    const n = Number(value)
    return n === -1 ? -this.ffi.getInt32(this.functions.__errno_location()) : n
  }

  /** Make a call. @returns its result, or minus the errno */
  call<N extends CallName>(name: N, ...args: Parameters<Functions[N]>): number {
    const f = this.functions[name] as unknown as (...args: readonly unknown[]) => number | bigint
    return this.result(f(...args))
  }

  /** Map memory (mmap(2)). @returns its address @throws Error if the kernel refuses */
  mmap(len: number, prot: number, flags: number, fd = -1, off = 0): bigint {
    const address = this.functions.mmap(0n, BigInt(len), prot, flags, fd, BigInt(off))
    if (BigInt.asIntN(64, address) === -1n) throw new Error(`mmap: ${errnoName(-this.result(-1))}`)
    return address
  }

  /** A Buffer on memory that stays where it is; storing into it stores into that memory. */
  view(address: bigint, len: number): Buffer {
    return this.ffi.toBuffer(address, len, false)
  }
}
