/**
 * What each system call of a recording becomes: a table from names to operations.
 *
 * A call is given to the table only after it succeeded. What its fds and paths are is asked of strace-files.ts.
 *
 * Source: man-pages section 2, for the order of arguments.
 */
import type { FallocateMode, OpenFlag, Whence } from '../operation.ts'
import { OPEN_FLAGS } from '../operation.ts'
import type { Description } from './recorder.ts'
import type { FileCalls } from './strace-files.ts'
import { parseFd, parseNumber, parseText } from './strace-line.ts'
import type { Call } from './strace-line.ts'
import type { Process } from './strace-process.ts'

/** Turns one call that succeeded into operations. */
type Handler = (on: FileCalls, process: Process, call: Call) => void

/** A handler of a call whose first argument is the fd of a file. */
const withFile = (then: (on: FileCalls, file: Description, call: Call) => void): Handler => (on, process, call) => {
  const file = on.file(process, call.args[0])
  if (file !== undefined) then(on, file, call)
}

/** A handler of a call on the path in argument `at`. The argument before it counts if it is a directory fd. */
const withPath =
  (at: number, then: (on: FileCalls, path: string, call: Call) => void): Handler =>
  (on, process, call) => {
    const path = on.path(process, call.args[at - 1], call.args[at])
    if (path !== undefined) then(on, path, call)
  }

const number = (arg: string | undefined): number => parseNumber(arg) ?? 0
const octal = (arg: string | undefined): number => parseInt(arg ?? '', 8) & 0o7777
const flagsOf = (text: string): OpenFlag[] => OPEN_FLAGS.filter(flag => new RegExp(`\\b${flag}\\b`).test(text))

/** open(2): the path is argument `at`, then come the flags and the mode. */
const open = (at: number): Handler => (on, process, call) => {
  const text = call.args[at + 1] ?? ''
  if (/O_TMPFILE|O_PATH/.test(text)) {
    if (text.includes('O_TMPFILE')) on.recorder.blind('files without a name (O_TMPFILE)')
    return on.recorder.ignore('open with O_PATH or O_TMPFILE')
  }
  const path = on.openedPath(process, call, call.args[at - 1], call.args[at])
  if (path === undefined) return
  const flags = flagsOf(text)
  const mode = flags.includes('O_CREAT') ? octal(/mode=(\d+)/.exec(text)?.[1] ?? call.args[at + 2]) : undefined
  process.files.set(call.value, on.recorder.open(path, flags, mode), text.includes('O_CLOEXEC'))
}

function duplicate(process: Process, from: number, to: number, closeOnExec: boolean): void {
  const description = process.files.get(from)
  if (from === to) return
  if (description === undefined) return void process.files.close(to)
  description.holders++
  process.files.set(to, description, closeOnExec)
}

const dup: Handler = (on, process, { args, value }) => {
  duplicate(process, parseFd(args[0])?.fd ?? NaN, value, args[2]?.includes('O_CLOEXEC') === true)
  on.recorder.ignore('dup (followed)')
}

const fcntl: Handler = (on, process, { args: [arg, command = '', flags = ''], value }) => {
  const fd = parseFd(arg)?.fd ?? NaN
  if (command.startsWith('F_DUPFD')) duplicate(process, fd, value, command === 'F_DUPFD_CLOEXEC')
  if (command === 'F_SETFD') process.files.mark(fd, flags.includes('FD_CLOEXEC'))
  on.recorder.ignore('fcntl (followed)')
}

const closeRange: Handler = (_, process, { args: [first, last, flags = ''] }) => {
  for (const fd of process.files.between(number(first), last?.startsWith('~') === true ? Infinity : number(last))) {
    if (flags.includes('CLOSE_RANGE_CLOEXEC')) process.files.mark(fd, true)
    else process.files.close(fd)
  }
}

/** read(2) and its kin; argument `at`, if any, holds the offset. -1 there means the file position (preadv2(2)). */
const read = (at?: number): Handler => withFile((on, file, { name, args, value }) => {
  const off = at === undefined ? undefined : parseNumber(args[at])
  const asked = name.includes('v') ? value : number(args[2])
  on.recorder.read(file, asked, value, off === -1 ? undefined : off)
})

/** write(2) and its kin. */
const write = (at?: number): Handler => withFile((on, file, { name, args, value }) => {
  const off = at === undefined ? undefined : parseNumber(args[at])
  const sync = args.at(-1)?.match(/RWF_D?SYNC/) ? { sync: true as const } : {}
  const lens = name.includes('v') && sync.sync === undefined ? { lens: lengths(args[1] ?? '', value) } : {}
  on.recorder.write(file, value, off === -1 ? undefined : off, { ...sync, ...lens })
})

/** The lengths of an iovec, as far as they were written. strace may show fewer than there are. */
function lengths(iovec: string, written: number): number[] {
  const lens: number[] = []
  let left = written
  for (const [, len] of iovec.matchAll(/iov_len=(\d+)/g)) {
    if (left === 0) break
    lens.push(Math.min(left, Number(len)))
    left -= lens.at(-1) as number
  }
  return left > 0 ? [...lens, left] : lens
}

const WHENCE: Record<string, Whence> = {
  SEEK_SET: 'set',
  SEEK_CUR: 'cur',
  SEEK_END: 'end',
  SEEK_DATA: 'data',
  SEEK_HOLE: 'hole',
}

const lseek = withFile((on, file, { args, value }) => {
  const off = number(args[1])
  const whence = WHENCE[args[2] ?? '']
  if (whence === undefined) return on.recorder.ignore('lseek with an unknown whence')
  if (whence === 'end') on.recorder.names.sized(file.node, value - off, true)
  file.pos = value
  if (file.node.kind === 'directory') return on.recorder.ignore('lseek of directories')
  on.recorder.emit({ op: 'lseek', fd: file.fd, off, whence })
})

const truncate = withPath(0, (on, path, { args }) => {
  const node = on.onPath(path, at => ({ op: 'truncate', path: at, len: number(args[1]) }))
  if (node !== undefined) node.changed = true
})

const ftruncate = withFile((on, { fd, node }, { args }) => {
  on.recorder.emit({ op: 'ftruncate', fd, len: number(args[1]) })
  node.changed = true
})

/** The modes of fallocate(2), by their flags in alphabetical order. */
const FALLOCATE: Record<string, FallocateMode> = {
  '0': 'allocate',
  FALLOC_FL_KEEP_SIZE: 'keep-size',
  'FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE': 'punch',
  FALLOC_FL_ZERO_RANGE: 'zero',
  'FALLOC_FL_KEEP_SIZE|FALLOC_FL_ZERO_RANGE': 'zero-keep-size',
}

const fallocate = withFile((on, { fd, node }, { args: [, flags = '', off, len] }) => {
  const mode = FALLOCATE[flags.split('|').sort().join('|')]
  node.changed = true
  if (mode === undefined) return on.recorder.blind(`fallocate with ${flags}`)
  on.recorder.emit({ op: 'fallocate', fd, mode, off: number(off), len: number(len) })
})

/** A copy inside the kernel becomes a read and a write; one that moves 0 bytes is left out. */
const copy =
  (from: number, fromOff: number, to: number, toOff?: number): Handler =>
  (on, process, { args, value: len }) => {
    if (len === 0) return on.recorder.ignore('copies of 0 bytes')
    const source = on.file(process, args[from], ['O_RDONLY'])
    if (source !== undefined) on.recorder.read(source, len, len, parseNumber(args[fromOff]))
    const target = on.file(process, args[to])
    if (target !== undefined) on.recorder.write(target, len, toOff === undefined ? undefined : parseNumber(args[toOff]))
  }

const stat =
  (pathArg: (on: FileCalls, process: Process, call: Call) => string | undefined): Handler =>
  (on, process, call) => {
    const path = pathArg(on, process, call)
    if (path === undefined) return
    const text = call.args.join(' ')
    const type = /stx?_mode=S_IF(\w+)/.exec(text)?.[1]
    const size = /stx?_size=(\d+)/.exec(text)?.[1]
    const kind = type === 'DIR' ? 'directory' : type === 'LNK' ? 'symlink' : 'file'
    if (type !== undefined && !['DIR', 'LNK', 'REG'].includes(type))
      return on.recorder.ignore('attributes of special files')
    const known = on.recorder.names.get(path)
    if (known === undefined && kind === 'symlink') return on.recorder.ignore('symbolic links of before the recording')
    const node = on.recorder.names.touch(path, kind)
    if (node.initial !== undefined && node.initial !== '.' && type !== undefined) node.kind = kind
    if (size !== undefined && node.kind === kind) on.recorder.names.sized(node, Number(size), true)
    on.recorder.emit({ op: 'stat', path })
  }

/** fstatat(2) with an empty path asks for the directory fd itself. */
const statAt = stat((on, process, { args }) =>
  parseText(args[1]) === '' ? on.pathOf(process, args[0]) : on.path(process, args[0], args[1]))

const utimesAt: Handler = (on, process, { args }) => {
  const path = parseText(args[1]) === undefined ? on.pathOf(process, args[0]) : on.path(process, args[0], args[1])
  const [atime, mtime] = [...(args[2] ?? '').matchAll(/tv_sec=(\d+), tv_nsec=(\d+)/g)]
    .map(([, seconds, nanos]) => Number(seconds) * 1_000_000 + Math.floor(Number(nanos) / 1000))
  const times = atime === undefined || mtime === undefined ? {} : { atime, mtime }
  on.onPath(path, at => ({ op: 'utimes', path: at, ...times }))
}

const unlink = withPath(0, (on, path) => remove(on, path, 'unlink'))

function remove(on: FileCalls, path: string, op: 'unlink' | 'rmdir'): void {
  on.recorder.names.remove(path, op === 'rmdir' ? 'directory' : 'file')
  on.recorder.emit({ op, path })
}

function mkdir(on: FileCalls, path: string, mode: string | undefined): void {
  on.recorder.names.make(path, 'directory')
  on.recorder.emit({ op: 'mkdir', path, mode: octal(mode) })
}

/** A handler of a call on two paths; each is argument `from` or `to`, its directory fd (if any) the one before. */
const withPaths = (
  from: number, to: number, then: (on: FileCalls, from: string | undefined, to: string | undefined, call: Call) => void,
): Handler => (on, process, call) => {
  const path = (at: number): string | undefined => on.path(process, call.args[at - 1], call.args[at])
  then(on, path(from), path(to), call)
}

const rename = (on: FileCalls, from: string | undefined, to: string | undefined, { args }: Call): void => {
  if (args[4]?.includes('RENAME_EXCHANGE') === true)
    return on.recorder.blind('exchanges of two names (RENAME_EXCHANGE)')
  on.rename(from, to)
}

const link = (on: FileCalls, from: string | undefined, to: string | undefined): void => {
  if (from === undefined || to === undefined) return
  on.recorder.names.link(from, to)
  on.recorder.emit({ op: 'link', from, to })
}

const symlink = (at: number): Handler => withPath(at, (on, path, { args }) => {
  const target = parseText(args[0]) ?? '.'
  on.recorder.names.make(path, 'symlink').target = target
  on.recorder.emit({ op: 'symlink', target, path })
})

/** A directory is read to its end: one readdir. The calls before the end are parts of it. */
const getdents: Handler = (on, process, { args, value }) => {
  const file = on.file(process, args[0], ['O_RDONLY', 'O_DIRECTORY'])
  if (file === undefined) return
  if (file.node.initial !== undefined) file.node.kind = 'directory'
  if (value > 0) return on.recorder.ignore('parts of reading a directory')
  on.onPath(on.pathOf(process, args[0]), path => ({ op: 'readdir', path }))
}

const mmap: Handler = (on, process, { args: [, , prot = '', flags = '', fd] }) => {
  const writable = /MAP_SHARED/.test(flags) && prot.includes('PROT_WRITE')
  const path = writable ? on.pathOf(process, fd) : undefined
  if (path === undefined) return on.recorder.ignore('mmap (private, read-only or no file)')
  on.recorder.blind(`stores through a shared mapping of ${path}`)
}

const sync: Handler = on => on.recorder.emit({ op: 'sync' })
const fsync = withFile((on, { fd }) => on.recorder.emit({ op: 'fsync', fd }))
const fdatasync = withFile((on, { fd }) => on.recorder.emit({ op: 'fdatasync', fd }))
const syncfs = withFile(on => on.recorder.emit({ op: 'sync' }))
const chmod = (on: FileCalls, path: string | undefined, mode: string | undefined): void =>
  void on.onPath(path, at => ({ op: 'chmod', path: at, mode: octal(mode) }))
const ioUring: Handler = on => on.recorder.blind('operations through io_uring')

const ioctl: Handler = (on, process, { args: [fd, request = ''] }) => {
  if (!/^FICLONE|^FIDEDUPE|^BTRFS_IOC_CLONE/.test(request)) return on.recorder.ignore('ioctl (changes no file)')
  if (on.pathOf(process, fd) !== undefined) on.recorder.blind(`shared extents (ioctl ${request})`)
}

/** What each call becomes. A call that is not here changes no file, or nothing that a workload could say. */
export const CALLS: Readonly<Record<string, Handler>> = {
  open: open(0), openat: open(1), openat2: open(1),
  creat: (on, process, call) =>
    open(0)(on, process, { ...call, args: [call.args[0] ?? '', 'O_WRONLY|O_CREAT|O_TRUNC', call.args[1] ?? ''] }),
  close: (on, process, { args }) => on.close(process, args[0] ?? ''),
  close_range: closeRange,
  dup, dup2: dup, dup3: dup, fcntl, fcntl64: fcntl,
  read: read(), readv: read(), pread64: read(3), preadv: read(3), preadv2: read(3),
  write: write(), writev: write(), pwrite64: write(3), pwritev: write(3), pwritev2: write(3),
  lseek, truncate, ftruncate, fallocate, fsync, fdatasync, sync, syncfs,
  copy_file_range: copy(0, 1, 2, 3), sendfile: copy(1, 2, 0), splice: copy(0, 1, 2, 3),
  stat: stat((on, process, { args }) => on.path(process, undefined, args[0])),
  lstat: stat((on, process, { args }) => on.path(process, undefined, args[0])),
  fstat: stat((on, process, { args }) => on.pathOf(process, args[0])),
  newfstatat: statAt, fstatat64: statAt, statx: statAt,
  utimensat: utimesAt,
  utimes: withPath(0, (on, path) => void on.onPath(path, at => ({ op: 'utimes', path: at }))),
  chmod: withPath(0, (on, path, { args }) => chmod(on, path, args[1])),
  fchmod: (on, process, { args }) => chmod(on, on.pathOf(process, args[0]), args[1]),
  fchmodat: withPath(1, (on, path, { args }) => chmod(on, path, args[2])),
  unlink,
  unlinkat: withPath(1, (on, path, { args }) =>
    remove(on, path, args[2]?.includes('AT_REMOVEDIR') === true ? 'rmdir' : 'unlink'),
  ),
  rmdir: withPath(0, (on, path) => remove(on, path, 'rmdir')),
  mkdir: withPath(0, (on, path, { args }) => mkdir(on, path, args[1])),
  mkdirat: withPath(1, (on, path, { args }) => mkdir(on, path, args[2])),
  rename: withPaths(0, 1, rename), renameat: withPaths(1, 3, rename), renameat2: withPaths(1, 3, rename),
  link: withPaths(0, 1, link), linkat: withPaths(1, 3, link),
  symlink: symlink(1), symlinkat: symlink(2),
  getdents64: getdents, getdents,
  mmap, mmap2: mmap, ioctl,
  io_uring_setup: ioUring, io_uring_enter: ioUring,
}
