/**
 * Shape: what a workload leaves behind, by name and size, without any data.
 *
 * The smallest model of a file system that can replay a workload: names, links, sizes, open files and their positions.
 * It is the judge of the importers (the shape of a recording must be the real directory that the recorded command
 * left), it follows the file positions for anybody who needs offsets, and it says before a run how large a device must
 * be. It allocates per operation and knows nothing of blocks.
 */
import type { Lseek, Open, Operation } from './operation.ts'

/** What a name can stand for. */
export type NodeKind = 'file' | 'directory' | 'symlink'

/** A file, a directory or a symbolic link, which may have several names. */
interface Node { kind: NodeKind, size: number }

/** An open file description. */
interface OpenFile { node: Node, pos: number, append: boolean }

/** Names and sizes, and what is open. Operations must succeed: an error is a bug of the workload, and throws. */
export class Shape {
  /** By path: what it names. The root `.` is not in it. */
  private readonly names = new Map<string, Node>()
  private readonly open = new Map<number, OpenFile>()
  private readonly root: Node = { kind: 'directory', size: 0 }
  /** Bytes that were written by write and writev. */
  bytesWritten = 0

  /** The sizes of all regular files in bytes, by path, in the order of their paths. */
  sizes(): Record<string, number> {
    const files = [...this.names].filter(([, node]) => node.kind === 'file')
    return Object.fromEntries(
      files.map(([path, node]) => [path, node.size] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
    )
  }

  /** The file position of an open `fd`, in bytes. */
  position(fd: number): number {
    return this.file(fd).pos
  }

  /** The size of an open `fd`, in bytes. */
  size(fd: number): number {
    return this.file(fd).node.size
  }

  /** All paths that name such a node, in their order. */
  paths(kind: NodeKind): string[] {
    return [...this.names].filter(([, node]) => node.kind === kind).map(([path]) => path).sort()
  }

  /** What `path` names, or undefined. */
  kind(path: string): NodeKind | undefined {
    return path === '.' ? 'directory' : this.names.get(path)?.kind
  }

  /** Carry out one operation. @throws Error if it cannot succeed on a file system of this shape */
  apply(operation: Operation): void {
    switch (operation.op) {
      case 'open': return this.opened(operation)
      case 'close': return void this.open.delete((this.file(operation.fd), operation.fd))
      case 'write': return this.write(operation.fd, operation.len, operation.off)
      case 'writev': return this.write(operation.fd, operation.lens.reduce((sum, len) => sum + len, 0), operation.off)
      case 'read': return this.read(operation.fd, operation.len, operation.off)
      case 'lseek': return this.seek(operation)
      case 'truncate': return void (this.look(operation.path).size = operation.len)
      case 'ftruncate': return void (this.file(operation.fd).node.size = operation.len)
      case 'fallocate': {
        const { node } = this.file(operation.fd)
        const grows = operation.mode === 'allocate' || operation.mode === 'zero'
        return void (node.size = Math.max(node.size, grows ? operation.off + operation.len : 0))
      }
      case 'fsync': case 'fdatasync': case 'mmap-write': return void this.file(operation.fd)
      case 'sync': return undefined
      case 'unlink': return this.remove(operation.path, false)
      case 'rmdir': return this.remove(operation.path, true)
      case 'rename': return this.rename(operation.from, operation.to)
      case 'link': return this.add(operation.to, this.look(operation.from))
      case 'symlink': return this.add(operation.path, { kind: 'symlink', size: operation.target.length })
      case 'mkdir': return this.add(operation.path, { kind: 'directory', size: 0 })
      case 'readdir': case 'stat': case 'utimes': case 'chmod': return void this.look(operation.path)
      default: return operation satisfies never
    }
  }

  private file(fd: number): OpenFile {
    return this.open.get(fd) ?? fail(`fd ${fd} is not open`)
  }

  private look(path: string): Node {
    return path === '.' ? this.root : this.names.get(path) ?? fail(`${path} does not exist`)
  }

  private add(path: string, node: Node): void {
    if (this.names.has(path) || path === '.') fail(`${path} exists`)
    const slash = path.lastIndexOf('/')
    if (slash > 0 && this.look(path.slice(0, slash)).kind !== 'directory') fail(`${path} is not below a directory`)
    this.names.set(path, node)
  }

  private opened({ fd, path, flags }: Open): void {
    if (flags.includes('O_CREAT') && !this.names.has(path)) this.add(path, { kind: 'file', size: 0 })
    else if (flags.includes('O_EXCL')) fail(`${path} exists`)
    const node = this.look(path)
    if (flags.includes('O_TRUNC')) node.size = 0
    this.open.set(fd, { node, pos: 0, append: flags.includes('O_APPEND') })
  }

  private write(fd: number, len: number, off: number | undefined): void {
    const file = this.file(fd)
    const start = file.append ? file.node.size : off ?? file.pos
    if (len > 0) file.node.size = Math.max(file.node.size, start + len)
    if (off === undefined) file.pos = start + len
    this.bytesWritten += len
  }

  private read(fd: number, len: number, off: number | undefined): void {
    const file = this.file(fd)
    if (off === undefined) file.pos += Math.max(0, Math.min(len, file.node.size - file.pos))
  }

  /** A shape has no holes: the next data is here, the next hole at the end. */
  private seek({ fd, off, whence }: Lseek): void {
    const file = this.file(fd)
    const base = { set: 0, data: 0, cur: file.pos, end: file.node.size, hole: file.node.size - off }
    file.pos = base[whence] + off
    if (file.pos < 0) fail(`lseek to ${file.pos}`)
  }

  private remove(path: string, directory: boolean): void {
    if ((this.look(path).kind === 'directory') !== directory) fail(`${path} is ${directory ? 'no' : 'a'} directory`)
    if (directory && this.below(path).length > 0) fail(`${path} is not empty`)
    this.names.delete(path)
  }

  private below(path: string): string[] {
    return [...this.names.keys()].filter(name => name.startsWith(`${path}/`))
  }

  private rename(from: string, to: string): void {
    const node = this.look(from)
    const old = this.names.get(to)
    if (node === old) return
    if (old !== undefined) this.remove(to, node.kind === 'directory')
    this.names.delete(from)
    this.add(to, node)
    if (node.kind !== 'directory') return
    for (const path of this.below(from)) {
      this.names.set(to + path.slice(from.length), this.names.get(path) as Node)
      this.names.delete(path)
    }
  }
}

function fail(problem: string): never {
  throw new Error(problem)
}

/**
 * The shape that operations leave. @throws Error with the index of the first operation that cannot succeed
 */
export function shapeOf(operations: Iterable<Operation>): Shape {
  const shape = new Shape()
  let index = 0
  for (const operation of operations) {
    try {
      shape.apply(operation)
    } catch (cause) {
      throw new Error(`operation ${index} (${operation.op}): ${(cause as Error).message}`, { cause })
    }
    index++
  }
  return shape
}
