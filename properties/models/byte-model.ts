/**
 * ByteModel: what a correct system answers to each operation, and which bytes its files then hold.
 *
 * It shares no code with the system: no blocks, no pages, no cache; a file is a size and its bytes. `apply` is told
 * what the system did and says in one line what is wrong with that, or null. What may legally vary it takes from the
 * answer: the length of a short write, and an errno, each only if `mayFail` allows it; and where SEEK_HOLE and
 * SEEK_DATA stop, which must agree with the bytes but not with any allocation.
 *
 * Rules: a call that fails changes nothing, but for calls that may stop half-way (fallocate that zeroes, a store over
 * several pages): then `doubt` names the bytes that may be either, and the caller resolves it by reading them.
 * Sources: man-pages section 2; claims I11, I12, I13, I18, I19.
 */
import type { FallocateMode, OpenFlag, Operation } from '../../src/lab/workload/operation.ts'
import { isInside, type Node, node, type Place, walk } from './name-tree.ts'

/** What the system did: a number, or an errno; and the bytes of a read. */
export interface Actual {
  readonly n: number
  readonly errno: string | null
  readonly bytes: Buffer
}

/** What the model is told of the system. */
export interface ModelOptions {
  /** Bytes; the alignment of O_DIRECT. */
  readonly blockSize: number
  /** Can it fallocate anything but holes? */
  readonly unwritten: boolean
  /** Bytes of the largest file. */
  readonly maxBytes: number
  /** The bytes that operation `index` writes, `len` of them. */
  readonly payload: (index: number, len: number) => Uint8Array
  /** May this operation fail so, or (errno null) write short? Default: never. */
  readonly mayFail?: (op: Operation, errno: string | null) => boolean
}

/** An open file description. */
interface Descriptor {
  readonly node: Node
  readonly flags: ReadonlySet<OpenFlag>
  readonly read: boolean
  readonly write: boolean
  pos: number
}

/** Bytes from `pos` on, each of which may be as it was or as in `may`, after a call that stopped half-way. */
export interface Doubt {
  readonly fd: number
  readonly pos: number
  readonly may: Buffer
}

/** The number of entries that a new file system has in its root: `.`, `..` and lost+found. */
const ROOT_ENTRIES = 3

/** A correct system, as bytes and names. */
export class ByteModel {
  readonly root: Node = node('directory')
  /** What the last operation left open; null mostly. */
  doubt: Doubt | null = null
  readonly #options: ModelOptions
  readonly #fds = new Map<number, Descriptor>()

  constructor(options: ModelOptions) {
    this.#options = options
  }

  /** Is `fd` open? */
  isOpen(fd: number): boolean {
    return this.#fds.has(fd)
  }
  /** The fds that are open, ascending. */
  get open(): readonly number[] {
    return [...this.#fds.keys()].sort((a, b) => a - b)
  }
  /** The file behind an open fd; undefined for a directory and for one that is not open. */
  fileOf(fd: number): Node | undefined {
    const d = this.#fds.get(fd)
    return d?.node.kind === 'file' ? d.node : undefined
  }
  /** The position of an open fd. */
  positionOf(fd: number): number | undefined {
    return this.#fds.get(fd)?.pos
  }

  /** Judge what the system did, and do the same. @returns null, or one line that says what is wrong */
  apply(op: Operation, index: number, actual: Actual): string | null {
    this.doubt = null
    switch (op.op) {
      case 'open': return this.#open(op.fd, op.path, new Set(op.flags), actual)
      case 'close': return this.#onFd(op, actual, () => this.#is(op, actual, 0, () => this.#fds.delete(op.fd)))
      case 'write': return this.#onFd(op, actual, (d) => this.#write(op, d, op.len, op.off, index, actual))
      case 'writev': {
        const len = op.lens.reduce((a, b) => a + b, 0)
        return this.#onFd(op, actual, (d) => this.#write(op, d, len, op.off, index, actual))
      }
      case 'read': return this.#onFd(op, actual, (d) => this.#read(op, d, op.len, op.off, actual))
      case 'lseek': return this.#onFd(op, actual, (d) => this.#lseek(op, d, actual))
      case 'ftruncate': return this.#onFd(op, actual, (d) => this.#ftruncate(op, d, actual))
      case 'fallocate': return this.#onFd(op, actual, (d) => this.#fallocate(op, d, actual))
      case 'mmap-write': return this.#onFd(op, actual, (d) => this.#store(op, d, index, actual))
      case 'fsync':
      case 'fdatasync': return this.#onFd(op, actual, () => this.#is(op, actual, 0))
      case 'sync': return this.#is(op, actual, 0)
      default: return this.#name(op, actual)
    }
  }

  /** The bytes of a doubt, read again: each is as it was or as it may be. @returns null, or one line */
  resolve({ fd, pos, may }: Doubt, bytes: Buffer): string | null {
    const { bytes: file } = this.fileOf(fd)!
    const old = file.read(pos, may.length)
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] === old[i] || bytes[i] === may[i]) continue
      return `byte ${pos + i} is ${bytes[i]}: neither ${old[i]} nor ${may[i]}`
    }
    const { size } = file
    file.write(pos, bytes)
    file.truncate(size)
    return null
  }

  // --- verdicts ------------------------------------------------------------------------------------------------------

  /** It must be `n`; then do `effect`. An errno is taken if it may be. */
  #is(op: Operation, actual: Actual, n: number, effect?: () => unknown): string | null {
    if (actual.errno !== null) return this.#mayFail(op, actual.errno) ? null : `${op.op} failed with ${actual.errno}`
    if (actual.n !== n) return `${op.op} returned ${actual.n}, expected ${n}`
    effect?.()
    return null
  }
  /** It must fail with `errno`. */
  #fails(op: Operation, actual: Actual, errno: string): string | null {
    if (actual.errno === errno) return null
    return `${op.op} returned ${actual.errno ?? actual.n}, expected ${errno}`
  }
  #mayFail(op: Operation, errno: string | null): boolean {
    return this.#options.mayFail?.(op, errno) === true
  }
  #onFd(op: Operation & { fd: number }, actual: Actual, then: (d: Descriptor) => string | null): string | null {
    const d = this.#fds.get(op.fd)
    return d === undefined ? this.#fails(op, actual, 'EBADF') : then(d)
  }

  // --- open files ----------------------------------------------------------------------------------------------------

  #open(fd: number, path: string, flags: ReadonlySet<OpenFlag>, actual: Actual): string | null {
    const op: Operation = { op: 'open', fd, path, flags: [...flags] }
    const write = flags.has('O_WRONLY') || flags.has('O_RDWR')
    const create = flags.has('O_CREAT')
    const place = walk(this.root, path, false)
    if (typeof place === 'string') return this.#fails(op, actual, place)
    const { found } = place
    if (found === null && !create) return this.#fails(op, actual, 'ENOENT')
    if (found !== null) {
      if (create && flags.has('O_EXCL')) return this.#fails(op, actual, 'EEXIST')
      if (found.kind === 'symlink') return this.#fails(op, actual, 'ELOOP')
      if (found.kind === 'directory' && (write || create)) return this.#fails(op, actual, 'EISDIR')
      if (found.kind !== 'directory' && flags.has('O_DIRECTORY')) return this.#fails(op, actual, 'ENOTDIR')
    }
    return this.#is(op, actual, 0, () => {
      const file = found ?? this.#add(place, node('file'))
      if (flags.has('O_TRUNC') && write) file.bytes.truncate(0)
      this.#fds.set(fd, { node: file, flags, read: !flags.has('O_WRONLY'), write, pos: 0 })
    })
  }

  #write(
    op: Operation, d: Descriptor, asked: number, off: number | undefined, index: number, actual: Actual,
  ): string | null {
    if (!d.write) return this.#fails(op, actual, 'EBADF')
    if (asked === 0) return this.#is(op, actual, 0)
    const pos = d.flags.has('O_APPEND') ? d.node.bytes.size : (off ?? d.pos)
    const len = Math.min(asked, this.#options.maxBytes - pos)
    if (len <= 0) return this.#fails(op, actual, 'EFBIG')
    if (d.flags.has('O_DIRECT') && (pos % this.#options.blockSize !== 0 || len % this.#options.blockSize !== 0)) {
      return this.#fails(op, actual, 'EINVAL')
    }
    const short = actual.errno === null && actual.n > 0 && actual.n < len && this.#mayFail(op, null)
    return this.#is(op, actual, short ? actual.n : len, () => {
      d.node.bytes.write(pos, this.#options.payload(index, asked).subarray(0, actual.n))
      if (off === undefined) d.pos = pos + actual.n
    })
  }

  #read(op: Operation, d: Descriptor, asked: number, off: number | undefined, actual: Actual): string | null {
    if (!d.read) return this.#fails(op, actual, 'EBADF')
    if (d.node.kind === 'directory') return this.#fails(op, actual, 'EISDIR')
    const pos = off ?? d.pos
    if (d.flags.has('O_DIRECT') && pos % this.#options.blockSize !== 0) return this.#fails(op, actual, 'EINVAL')
    const len = Math.max(0, Math.min(asked, d.node.bytes.size - pos))
    const wrong = this.#is(op, actual, len)
    if (wrong !== null || actual.errno !== null) return wrong
    if (off === undefined) d.pos += len
    return firstDifference(d.node.bytes.read(pos, len), actual.bytes, pos)
  }

  #lseek(op: Operation & { op: 'lseek' }, d: Descriptor, actual: Actual): string | null {
    if (op.whence === 'data' || op.whence === 'hole') return this.#seek(op, d, actual)
    const to = op.off + (op.whence === 'cur' ? d.pos : op.whence === 'end' ? d.node.bytes.size : 0)
    return to < 0 ? this.#fails(op, actual, 'EINVAL') : this.#is(op, actual, to, () => (d.pos = to))
  }

  /** Any answer that the bytes allow: no data is skipped, and what is called a hole reads as zeros. */
  #seek(op: Operation & { op: 'lseek' }, d: Descriptor, actual: Actual): string | null {
    const { bytes } = d.node
    const { off, whence } = op
    if (off < 0 || off >= bytes.size) return this.#fails(op, actual, 'ENXIO')
    if (actual.errno === 'ENXIO' && whence === 'data') {
      return bytes.isZero(off, bytes.size - off) ? null : `SEEK_DATA from ${off}: ENXIO, and there is data`
    }
    const { n } = actual
    const inside = actual.errno === null && n >= off && (whence === 'hole' ? n <= bytes.size : n < bytes.size)
    if (!inside) return `SEEK_${whence} from ${off} returned ${actual.errno ?? n} in a file of ${bytes.size} bytes`
    if (whence === 'data' && !bytes.isZero(off, n - off)) return `SEEK_DATA from ${off} skipped data before ${n}`
    const { blockSize } = this.#options
    const hole = Math.min(bytes.size, n - (n % blockSize) + blockSize) - n
    if (whence === 'hole' && !bytes.isZero(n, hole)) return `SEEK_HOLE from ${off} found ${n}, where there is data`
    d.pos = n
    return null
  }

  // --- size and space ------------------------------------------------------------------------------------------------

  #ftruncate(op: Operation & { op: 'ftruncate' }, d: Descriptor, actual: Actual): string | null {
    if (!d.write || d.node.kind !== 'file') return this.#fails(op, actual, 'EINVAL')
    return this.#truncate(op, d.node, op.len, actual)
  }

  #truncate(op: Operation, file: Node, size: number, actual: Actual): string | null {
    if (size < 0) return this.#fails(op, actual, 'EINVAL')
    if (size > this.#options.maxBytes) return this.#fails(op, actual, 'EFBIG')
    return this.#is(op, actual, 0, () => file.bytes.truncate(size))
  }

  #fallocate(op: Operation & { op: 'fallocate' }, d: Descriptor, actual: Actual): string | null {
    if (op.off < 0 || op.len <= 0) return this.#fails(op, actual, 'EINVAL')
    if (!d.write) return this.#fails(op, actual, 'EBADF')
    if (op.mode !== 'punch' && !this.#options.unwritten) return this.#fails(op, actual, 'EOPNOTSUPP')
    if (op.off + op.len > this.#options.maxBytes) return this.#fails(op, actual, 'EFBIG')
    const { bytes } = d.node
    const zeroed = Math.max(0, Math.min(op.len, bytes.size - op.off))
    if (actual.errno !== null && zeroes(op.mode) && zeroed > 0) {
      this.doubt = { fd: op.fd, pos: op.off, may: Buffer.alloc(zeroed) }
    }
    return this.#is(op, actual, 0, () => {
      if (zeroes(op.mode)) bytes.zero(op.off, zeroed)
      if (op.mode === 'allocate' || op.mode === 'zero') bytes.size = Math.max(bytes.size, op.off + op.len)
    })
  }

  /** A store through a mapping: what lies past the end of the file is left out. */
  #store(op: Operation & { op: 'mmap-write' }, d: Descriptor, index: number, actual: Actual): string | null {
    const n = Math.max(0, Math.min(op.len, d.node.bytes.size - op.off))
    if (actual.errno !== null) {
      this.doubt = { fd: op.fd, pos: op.off, may: Buffer.from(this.#options.payload(index, n)) }
    }
    return this.#is(op, actual, n, () => {
      if (n > 0) d.node.bytes.write(op.off, this.#options.payload(index, n))
    })
  }

  // --- names ---------------------------------------------------------------------------------------------------------

  #name(op: Exclude<Operation, { fd: number } | { op: 'sync' }>, actual: Actual): string | null {
    switch (op.op) {
      case 'link': return this.#link(op, actual)
      case 'rename': return this.#rename(op, actual)
      case 'symlink': return this.#make(op, op.path, node('symlink', op.target), actual)
      case 'mkdir': return this.#make(op, op.path, node('directory'), actual)
      default: {
        const follow = op.op !== 'unlink' && op.op !== 'rmdir' && op.op !== 'stat'
        const place = walk(this.root, op.path, follow)
        if (typeof place === 'string') return this.#fails(op, actual, place)
        if (place.found === null) return this.#fails(op, actual, 'ENOENT')
        return this.#at(op, place, place.found, actual)
      }
    }
  }

  /** The calls on one path where something is. */
  #at(
    op: Operation & { op: 'truncate' | 'unlink' | 'rmdir' | 'readdir' | 'stat' | 'utimes' | 'chmod' },
    place: Place, found: Node, actual: Actual,
  ): string | null {
    const directory = found.kind === 'directory'
    switch (op.op) {
      case 'truncate': return directory ? this.#fails(op, actual, 'EISDIR') : this.#truncate(op, found, op.len, actual)
      case 'unlink':
        return directory ? this.#fails(op, actual, 'EISDIR') : this.#is(op, actual, 0, () => this.#remove(place))
      case 'rmdir':
        if (!directory) return this.#fails(op, actual, 'ENOTDIR')
        if (place.name === '') return this.#fails(op, actual, 'EBUSY')
        if (found.entries.size > 0) return this.#fails(op, actual, 'ENOTEMPTY')
        return this.#is(op, actual, 0, () => this.#remove(place))
      case 'readdir': {
        if (!directory) return this.#fails(op, actual, 'ENOTDIR')
        return this.#is(op, actual, found.entries.size + (found === this.root ? ROOT_ENTRIES : ROOT_ENTRIES - 1))
      }
      case 'stat':
        if (directory) return actual.errno === null && actual.n % this.#options.blockSize === 0 ? null : 'stat of a directory'
        return this.#is(op, actual, found.kind === 'symlink' ? Buffer.byteLength(found.target) : found.bytes.size)
      default: return this.#is(op, actual, 0)
    }
  }

  #make(op: Operation, path: string, made: Node, actual: Actual): string | null {
    const place = walk(this.root, path, false)
    if (typeof place === 'string') return this.#fails(op, actual, place)
    if (place.found !== null) return this.#fails(op, actual, 'EEXIST')
    return this.#is(op, actual, 0, () => this.#add(place, made))
  }

  #link(op: Operation & { op: 'link' }, actual: Actual): string | null {
    const from = walk(this.root, op.from, false)
    if (typeof from === 'string') return this.#fails(op, actual, from)
    const { found } = from
    if (found === null) return this.#fails(op, actual, 'ENOENT')
    if (found.kind === 'directory') return this.#fails(op, actual, 'EPERM')
    return this.#make(op, op.to, found, actual)
  }

  #rename(op: Operation & { op: 'rename' }, actual: Actual): string | null {
    const from = walk(this.root, op.from, false)
    const to = walk(this.root, op.to, false)
    if (typeof from === 'string') return this.#fails(op, actual, from)
    if (typeof to === 'string') return this.#fails(op, actual, to)
    const { found } = from
    if (found === null) return this.#fails(op, actual, 'ENOENT')
    if (from.name === '' || to.name === '') return this.#fails(op, actual, 'EBUSY')
    if (found === to.found) return this.#is(op, actual, 0)
    if (found.kind === 'directory' && isInside(to.directory, found)) return this.#fails(op, actual, 'EINVAL')
    if (to.found !== null) {
      const over = to.found.kind === 'directory'
      if (found.kind === 'directory' && !over) return this.#fails(op, actual, 'ENOTDIR')
      if (found.kind !== 'directory' && over) return this.#fails(op, actual, 'EISDIR')
      if (over && to.found.entries.size > 0) return this.#fails(op, actual, 'ENOTEMPTY')
    }
    return this.#is(op, actual, 0, () => {
      if (to.found !== null) this.#remove(to)
      this.#remove(from)
      this.#add({ ...to, found: null }, found)
    })
  }

  #add({ directory, name }: Place, made: Node): Node {
    directory.entries.set(name, made)
    made.links++
    return made
  }

  #remove({ directory, name, found }: Place): void {
    directory.entries.delete(name)
    found!.links--
  }
}

const zeroes = (mode: FallocateMode): boolean => mode === 'punch' || mode === 'zero' || mode === 'zero-keep-size'

/** Where two runs of bytes at `pos` differ, as one line; null if nowhere. */
export const firstDifference = (want: Buffer, got: Buffer, pos: number): string | null => {
  if (want.equals(got)) return null
  if (want.length !== got.length) return `${got.length} bytes at ${pos}, expected ${want.length}`
  let i = 0
  while (want[i] === got[i]) i++
  let n = 1
  for (let j = i + 1; j < want.length; j++) if (want[j] !== got[j]) n = j - i + 1
  return `byte ${pos + i} is ${got[i]}, expected ${want[i]} (${n} bytes from there on differ)`
}
