/**
 * Recorder: the half of an importer that does not know the format it imports.
 *
 * It gives out the fds of the workload, keeps the operations, the namespace and the counts of what was left out, and at
 * the end puts the setup in front: operations that make the files that the recording found. That is why operations
 * are held until `finish`; the lines of the recording are not.
 */
import type { Operation, OpenFlag, Workload, WorkloadHeader } from '../operation.ts'
import { WORKLOAD_SCHEMA } from '../operation.ts'
import { Namespace } from './namespace.ts'
import type { Node } from './namespace.ts'

/** What an importer is told. */
export interface ImportOptions {
  /** Name of the workload. */
  name: string
  /** Where it comes from, such as the command that was recorded. */
  source?: string
  /** What messages call the file. */
  file?: string
  /** Absolute path of the directory that becomes the root of the image; what is outside is left out. Default `/`. */
  root?: string
  /** Absolute path of the directory in which the command was started, for recordings without `-y`. */
  cwd?: string
}

/** A recording that was imported. */
export interface Imported extends Workload<Operation[]> {
  /** Lines read. */
  lines: number
  /** How many lines were left out, by reason. */
  ignored: Record<string, number>
  /** What the user should know before trusting the workload. */
  warnings: string[]
}

/** An importer: lines in, a workload out. */
export interface Importer {
  /** Take the next line, without its end. @throws WorkloadError if it is malformed */
  push(line: string): void
  /** The workload, once all lines were taken. */
  finish(): Imported
}

/** An open file description of the recording. */
export interface Description {
  /** Its fd in the workload. */
  readonly fd: number
  readonly node: Node
  /** The path with which it was opened. */
  readonly path: string
  readonly append: boolean
  /** The file position in bytes, as far as it is known. */
  pos: number
  /** How many fds of the recording share it. */
  holders: number
}

/** Setup writes files in pieces of this many bytes. */
const PIECE = 1 << 20

/** Something that must be made on the spot, by what was not recorded. */
interface Appeared { appeared: Node, path: string }

/** Collects a workload. */
export class Recorder {
  readonly names = new Namespace((path, appeared) => {
    this.operations.push({ appeared, path })
    this.warn(
      `${path} was made by something that the recording did not see; the workload makes it where it first shows`,
    )
  })
  private readonly operations: (Operation | Appeared)[] = []
  private readonly fds = new Set<number>()
  private readonly ignored = new Map<string, number>()
  private readonly blindness = new Set<string>()
  private readonly warnings = new Set<string>()
  private readonly options: ImportOptions
  private fdEnd = 0
  private lines = 0
  private start: number | undefined
  private now: number | undefined

  constructor(options: ImportOptions) {
    this.options = options
  }

  /** A line begins, `time` microseconds after some fixed moment. */
  line(time?: number): void {
    this.lines++
    if (time !== undefined) this.now = Math.max(this.now ?? time, time)
  }

  /** A line was left out. */
  ignore(reason: string): void {
    this.ignored.set(reason, (this.ignored.get(reason) ?? 0) + 1)
  }

  /** Something happened that the recording cannot show. */
  blind(what: string): void {
    this.blindness.add(what)
  }

  /** Something that the user should know. */
  warn(text: string): void {
    this.warnings.add(text)
  }

  /** Add an operation that takes effect now. */
  emit(operation: Operation): void {
    if (this.now === undefined) return void this.operations.push(operation)
    this.start ??= this.now
    this.operations.push({ ...operation, t: this.now - this.start })
  }

  /** `path` was opened. */
  open(path: string, flags: OpenFlag[], mode?: number): Description {
    const known = this.names.get(path)
    const made = flags.includes('O_CREAT') && known === undefined
    const node = made
      ? this.names.make(path, 'file', !flags.includes('O_EXCL'))
      : this.names.touch(path, flags.includes('O_DIRECTORY') ? 'directory' : 'file')
    node.opened = true
    if (flags.includes('O_TRUNC')) node.changed = true
    let fd = 0
    while (this.fds.has(fd)) fd++
    this.fds.add(fd)
    this.fdEnd = Math.max(this.fdEnd, fd + 1)
    this.emit({ op: 'open', fd, path, flags, ...(mode === undefined ? {} : { mode }) })
    return { fd, node, path, append: flags.includes('O_APPEND'), pos: 0, holders: 1 }
  }

  /** One holder of a description gave it up; the last one closes it. */
  release(description: Description): void {
    if (--description.holders > 0) return
    this.fds.delete(description.fd)
    this.emit({ op: 'close', fd: description.fd })
  }

  /** `len` bytes were written, at `off` or at the position. */
  write(file: Description, len: number, off: number | undefined, rest: { sync?: true, lens?: number[] } = {}): void {
    const { fd } = file
    const at = off === undefined ? {} : { off }
    const sync = rest.sync === undefined ? {} : { sync: true }
    this.emit(
      rest.lens === undefined ? { op: 'write', fd, len, ...at, ...sync } : { op: 'writev', fd, lens: rest.lens, ...at },
    )
    file.node.changed = true
    if (off === undefined) file.pos += len
  }

  /** `asked` bytes were to be read at `off` or at the position, and `len` were. Shows how long the file is. */
  read(file: Description, asked: number, len: number, off: number | undefined): void {
    const { fd } = file
    this.emit({ op: 'read', fd, len: len === 0 ? asked : len, ...(off === undefined ? {} : { off }) })
    const end = (off ?? file.pos) + len
    this.names.sized(file.node, end, len > 0 ? len < asked : asked > 0 && end === file.node.size)
    if (off === undefined) file.pos = end
  }

  /** The workload. */
  finish(): Imported {
    const setup = this.names.found.flatMap(node => [...this.creation(node, node.initial as string)])
    if (setup.length > 0) setup.push({ op: 'sync' })
    const recorded = this.operations.flatMap(each =>
      'appeared' in each ? [...this.creation(each.appeared, each.path)] : [each],
    )
    if (recorded.length === 0)
      this.warn(`nothing in the recording is below the root ${this.options.root ?? '/'}; is it the real path?`)
    const header: WorkloadHeader = {
      schema: WORKLOAD_SCHEMA, tool: 'perform-write', name: this.options.name,
      source: this.options.source ?? this.options.file ?? 'recording', files: this.names.files,
      ...(setup.length === 0 ? {} : { setup: setup.length }),
      ...(this.blindness.size === 0 ? {} : { blind: [...this.blindness] }),
    }
    return {
      header, operations: [...setup, ...recorded], lines: this.lines,
      ignored: Object.fromEntries([...this.ignored].sort(([, a], [, b]) => b - a)), warnings: [...this.warnings],
    }
  }

  /** What makes a file that the recording found: with data if it was opened, else only as long as it was. */
  private* creation({ kind, size, opened, exact, target }: Node, path: string): Generator<Operation> {
    if (kind === 'directory') return yield { op: 'mkdir', path }
    if (kind === 'symlink') return yield { op: 'symlink', target: target === '' ? '.' : target, path }
    if (opened && !exact && size > 0)
      this.warn(`${path} is taken to be ${size} bytes long at the start, the end of what was read of it`)
    const fd = this.fdEnd
    yield { op: 'open', fd, path, flags: ['O_WRONLY', 'O_CREAT'] }
    if (!opened && size > 0) yield { op: 'ftruncate', fd, len: size }
    for (let off = 0; opened && off < size; off += PIECE)
      yield { op: 'write', fd, len: Math.min(PIECE, size - off), off }
    yield { op: 'close', fd }
  }
}

/** Run an importer over lines that are at hand. */
export function importLines(importer: Importer, lines: Iterable<string>): Imported {
  for (const line of lines) importer.push(line)
  return importer.finish()
}

/** Run an importer over lines as they arrive. */
export async function importStream(importer: Importer, lines: AsyncIterable<string>): Promise<Imported> {
  for await (const line of lines) importer.push(line)
  return importer.finish()
}
