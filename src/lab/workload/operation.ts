/**
 * Operations: the vocabulary of a workload.
 *
 * A workload is a header and a list of operations, one system call each, in the order in which they took effect.
 * Recordings, generators and hand-made files speak this one vocabulary, so that any of them can be replayed through any
 * design and through the mounted kernel.
 *
 * Interface:
 * - `fd` is a small number of the workload, not of a process. It names an *open file description* (open(2)): duplicates
 *   made by dup(2) and fork(2) share one file position and are therefore one `fd` here. An `fd` is open from its `open`
 *   to its `close`, and may be given again after that.
 * - `path` is relative to the root of the image: no leading `/`, no `..`, no empty part. The root itself is `.`.
 *   Paths do not lead through symbolic links, and the last part is not followed (as O_NOFOLLOW, lstat(2)).
 * - The data of writes is not in the file. It is `fillPayload` of the operation's index (payload.ts).
 * - Every operation succeeds on a file system that is empty at the start and large enough. A replay that gets an errno
 *   on a small or failing device goes on with the next operation; one on an `fd` whose `open` failed gets `EBADF`.
 *
 * Source: the system calls of Linux, man-pages section 2.
 */

/** Flags of `open` that change what a file system does (open(2)). Others, such as O_CLOEXEC, are left out. */
export const OPEN_FLAGS = [
  'O_RDONLY',
  'O_WRONLY',
  'O_RDWR',
  'O_CREAT',
  'O_EXCL',
  'O_TRUNC',
  'O_APPEND',
  'O_DIRECT',
  'O_SYNC',
  'O_DSYNC',
  'O_DIRECTORY',
] as const

/** One flag of `open`. */
export type OpenFlag = typeof OPEN_FLAGS[number]

/** Modes of lseek(2): from the start, the position, the end; to the next data, the next hole. */
export const WHENCES = ['set', 'cur', 'end', 'data', 'hole'] as const

/** One mode of `lseek`. */
export type Whence = typeof WHENCES[number]

/**
 * Modes of fallocate(2): `allocate` is mode 0, `punch` is PUNCH_HOLE|KEEP_SIZE, `zero` is ZERO_RANGE and
 * `zero-keep-size` is ZERO_RANGE|KEEP_SIZE.
 */
export const FALLOCATE_MODES = ['allocate', 'keep-size', 'punch', 'zero', 'zero-keep-size'] as const

/** One mode of `fallocate`. */
export type FallocateMode = typeof FALLOCATE_MODES[number]

/** What every operation may carry: `t`, microseconds since the start of the recording. */
interface Timed { t?: number }

/** Open `path` (open(2)); `mode` are the permission bits of a file that is made, default 0o644. */
export interface Open extends Timed { op: 'open', fd: number, path: string, flags: OpenFlag[], mode?: number }
/** Close `fd` (close(2)). */
export interface Close extends Timed { op: 'close', fd: number }
/**
 * Write `len` bytes at byte `off`, or at the file position, which then moves (write(2), pwrite(2)). With O_APPEND the
 * bytes go to the end. `sync` makes this one write durable before it returns, as RWF_DSYNC does.
 */
export interface Write extends Timed { op: 'write', fd: number, len: number, off?: number, sync?: boolean }
/** As `write`, gathered from buffers of `lens` bytes each (writev(2), pwritev(2)). */
export interface Writev extends Timed { op: 'writev', fd: number, lens: number[], off?: number }
/** Read up to `len` bytes at byte `off`, or at the file position, which then moves (read(2), pread(2)). */
export interface Read extends Timed { op: 'read', fd: number, len: number, off?: number }
/** Move the file position by or to `off` bytes (lseek(2)). */
export interface Lseek extends Timed { op: 'lseek', fd: number, off: number, whence: Whence }
/** Set the size of a file to `len` bytes (truncate(2)). */
export interface Truncate extends Timed { op: 'truncate', path: string, len: number }
/** Set the size of an open file to `len` bytes (ftruncate(2)). */
export interface Ftruncate extends Timed { op: 'ftruncate', fd: number, len: number }
/** Allocate, punch or zero the bytes `off` .. `off + len` (fallocate(2)). */
export interface Fallocate extends Timed { op: 'fallocate', fd: number, mode: FallocateMode, off: number, len: number }
/** Make a file or a directory durable (fsync(2)). */
export interface Fsync extends Timed { op: 'fsync', fd: number }
/** As `fsync`, without metadata that is not needed to read the data back (fdatasync(2)). */
export interface Fdatasync extends Timed { op: 'fdatasync', fd: number }
/** Make the whole file system durable (sync(2), syncfs(2)). */
export interface Sync extends Timed { op: 'sync' }
/** Remove a name (unlink(2)); the file lives on while it is open or has other names. */
export interface Unlink extends Timed { op: 'unlink', path: string }
/** Rename, replacing what `to` names (rename(2)). */
export interface Rename extends Timed { op: 'rename', from: string, to: string }
/** A further name `to` for the file `from` (link(2)). */
export interface Link extends Timed { op: 'link', from: string, to: string }
/** A symbolic link at `path` that holds the text `target`, of whatever form (symlink(2)). */
export interface Symlink extends Timed { op: 'symlink', target: string, path: string }
/** Make a directory (mkdir(2)), default mode 0o755. */
export interface Mkdir extends Timed { op: 'mkdir', path: string, mode?: number }
/** Remove an empty directory (rmdir(2)). */
export interface Rmdir extends Timed { op: 'rmdir', path: string }
/** Read all entries of a directory (getdents64(2)). */
export interface Readdir extends Timed { op: 'readdir', path: string }
/** Attributes of a file (lstat(2)). */
export interface Stat extends Timed { op: 'stat', path: string }
/** Set the times of access and change, in microseconds since 1970; absent: now (utimensat(2)). */
export interface Utimes extends Timed { op: 'utimes', path: string, atime?: number, mtime?: number }
/** Set the permission bits (chmod(2)). */
export interface Chmod extends Timed { op: 'chmod', path: string, mode: number }
/** A store of `len` bytes at byte `off` through a shared mapping (mmap(2)); it never makes the file longer. */
export interface MmapWrite extends Timed { op: 'mmap-write', fd: number, off: number, len: number }

/** One system call of a workload. */
export type Operation =
  | Open | Close | Write | Writev | Read | Lseek | Truncate | Ftruncate | Fallocate | Fsync | Fdatasync | Sync
  | Unlink | Rename | Link | Symlink | Mkdir | Rmdir | Readdir | Stat | Utimes | Chmod | MmapWrite

/** The name of an operation. */
export type OperationName = Operation['op']

/** The schema number of workload files. */
export const WORKLOAD_SCHEMA = 1

/** The first line of a workload file. */
export interface WorkloadHeader {
  schema: typeof WORKLOAD_SCHEMA
  tool: 'perform-write'
  name: string
  /** Where the operations come from: a command that was recorded, a generator and its seed. */
  source: string
  /** How many files the operations name. */
  files?: number
  /** How many of the first operations only make the state that a recording found at its start. */
  setup?: number
  /** What the recording could not see: stores through mmap, io_uring. A replay misses these. */
  blind?: string[]
  note?: string
}

/** A workload: its header, and operations that may be iterated once or, where they are an array, many times. */
export interface Workload<Operations = Iterable<Operation>> {
  header: WorkloadHeader
  operations: Operations
}
