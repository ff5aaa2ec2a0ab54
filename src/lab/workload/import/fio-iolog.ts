/**
 * Importer of fio iologs, version 2 and 3: what `fio JOB --ioengine=null --write_iolog=FILE` writes.
 *
 * A line is `FILE add|open|close`, `FILE read|write|sync|datasync|trim OFFSET LENGTH` or `FILE wait MICROSECONDS 0`, in
 * version 3 with the time in microseconds before it. A file that is read where the job has not written was laid out by
 * fio before the job: the workload makes it as long as the reads reach.
 *
 * Source: fio's HOWTO, "Trace file format v2" and "v3".
 */
import { isPath, WorkloadError } from '../schema.ts'
import { normalise } from './namespace.ts'
import { importLines, Recorder } from './recorder.ts'
import type { Description, Imported, Importer, ImportOptions } from './recorder.ts'

const ACTIONS = ['add', 'open', 'close', 'read', 'write', 'sync', 'datasync', 'trim', 'wait'] as const
type Action = typeof ACTIONS[number]

/** The size of one transfer in an iolog is never absent, except for these. */
const WITHOUT_RANGE: readonly Action[] = ['add', 'open', 'close']

/** Takes an iolog line by line. */
export class FioIologImporter implements Importer {
  private readonly recorder: Recorder
  private readonly open = new Map<string, Description>()
  /** How far each file was written by the job itself, in bytes. */
  private readonly written = new Map<string, number>()
  /** Files that were written since they were last made durable. */
  private readonly unsynced = new Set<string>()
  private readonly file: string
  private readonly root: string
  private version = 0
  private line = 0
  private waited = 0

  constructor(options: ImportOptions) {
    this.recorder = new Recorder(options)
    this.file = options.file ?? 'iolog'
    this.root = normalise(options.root ?? '/') ?? '.'
  }

  push(text: string): void {
    this.line++
    if (text.trim() === '') return
    if (this.version === 0) {
      const version = /^fio version ([23]) iolog$/.exec(text.trim())?.[1]
      if (version === undefined)
        this.refuse(`an iolog begins with "fio version 2 iolog" or "fio version 3 iolog", found "${text.slice(0, 60)}"`)
      this.version = Number(version)
      return
    }
    const fields = text.trim().split(/\s+/)
    const time = this.version === 3 ? this.number(fields.shift(), 'the time', text) : this.waited
    this.recorder.line(time)
    const [name = '', action = '', offset, length] = fields
    if (!(ACTIONS as readonly string[]).includes(action)) {
      this.refuse(
        `expected ${this.version === 3 ? 'TIME ' : ''}FILE ${ACTIONS.join('|')}, found "${text.slice(0, 60)}"`,
      )
    }
    const whole = WITHOUT_RANGE.includes(action as Action)
    const off = whole ? 0 : this.number(offset, 'the offset', text)
    const len = whole || (length === undefined && action === 'wait') ? 0 : this.number(length, 'the length', text)
    this.take(name, action as Action, off, len)
  }

  finish(): Imported {
    for (const file of this.open.values()) this.recorder.release(file)
    return this.recorder.finish()
  }

  private take(name: string, action: Action, off: number, len: number): void {
    if (action === 'wait') return this.wait(off)
    const path = this.path(name)
    if (path === undefined) return this.recorder.ignore('outside the root')
    if (action === 'add') return this.recorder.ignore('add (the file is made by its open)')
    if (action === 'open') return this.opened(name, path)
    const file = this.open.get(name) ?? this.refuse(`${name} is not open; its "open" line must come before "${action}"`)
    const { fd } = file
    if (action === 'close') {
      this.open.delete(name)
      return this.recorder.release(file)
    }
    if (action === 'sync' || action === 'datasync') return this.synced(name, fd, action)
    const written = this.written.get(name) ?? 0
    if (action === 'read') {
      if (off + len > written) file.node.changed = false
      return this.recorder.read(file, len, len, off)
    }
    this.unsynced.add(name)
    if (action === 'write') {
      this.written.set(name, Math.max(written, off + len))
      return this.recorder.write(file, len, off)
    }
    if (len === 0) return this.recorder.ignore('trim of 0 bytes')
    this.recorder.emit({ op: 'fallocate', fd, mode: 'punch', off, len })
  }

  private wait(micros: number): void {
    this.waited += micros
    this.recorder.ignore('wait (kept as the time of what follows)')
  }

  private opened(name: string, path: string): void {
    if (this.open.has(name)) return this.recorder.ignore('open of a file that is open')
    this.open.set(name, this.recorder.open(path, ['O_RDWR', 'O_CREAT']))
  }

  /** The name in the log, below the root; undefined if it is outside. */
  private path(name: string): string | undefined {
    const path = normalise(name)
    if (path === undefined || !isPath(path)) return this.refuse(`"${name}" is no path below the root`)
    if (!name.startsWith('/') || this.root === '.') return path
    return path.startsWith(`${this.root}/`) ? path.slice(this.root.length + 1) : undefined
  }

  private synced(name: string, fd: number, action: 'sync' | 'datasync'): void {
    if (!this.unsynced.has(name) && this.unsynced.size > 0) {
      this.recorder.warn(
        `${this.file}:${this.line}: ${action} of ${name}, while ${[...this.unsynced].sort().join(', ')} holds the ` +
          'writes: with nrfiles > 1 fio syncs another file than it wrote (axboe/fio#1904); use one file a job',
      )
    }
    this.unsynced.delete(name)
    this.recorder.emit({ op: action === 'sync' ? 'fsync' : 'fdatasync', fd })
  }

  private number(text: string | undefined, what: string, line: string): number {
    const value = Number(text)
    if (text === undefined || !Number.isSafeInteger(value) || value < 0) {
      return this.refuse(`${what} must be a number >= 0, found "${text ?? 'nothing'}" in "${line.slice(0, 60)}"`)
    }
    return value
  }

  private refuse(problem: string): never {
    throw new WorkloadError(this.file, this.line, problem)
  }
}

/**
 * A workload from the lines of an iolog.
 * @throws WorkloadError at the first line that is malformed
 */
export const importFioIolog = (lines: Iterable<string>, options: ImportOptions): Imported =>
  importLines(new FioIologImporter(options), lines)
