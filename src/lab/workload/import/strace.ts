/**
 * Importer of strace output: what `strace -f -y -ttt -T -s 0 -e trace=%desc,%file,%process -o FILE COMMAND` writes.
 *
 * This file joins the halves of interrupted calls, follows the processes, and hands finished calls to the table in
 * strace-calls.ts.
 *
 * - A call takes effect where it ends: an unfinished call where it is resumed. `close` alone takes effect where it
 *   begins, for its fd may be given to another thread before it is seen to return.
 * - A child may be heard of before the clone that made it has returned. If one clone is under way, it is its child; if
 *   there are several, its lines wait until one of them returns its pid.
 * - Calls that failed, that name nothing below the root, or that are not in the vocabulary are left out and counted.
 *
 * Source: strace(1), clone(2); the rules were learnt by replaying recordings of sqlite, git and npm until the sizes of
 * all files came out right.
 */
import { WorkloadError } from '../schema.ts'
import { importLines, Recorder } from './recorder.ts'
import type { Imported, Importer, ImportOptions } from './recorder.ts'
import { CALLS } from './strace-calls.ts'
import { FileCalls } from './strace-files.ts'
import { parseCall, parseStraceLine } from './strace-line.ts'
import type { Call, StraceLine } from './strace-line.ts'
import { child, exec, FdTable } from './strace-process.ts'
import type { Process } from './strace-process.ts'

const HOW = 'record with: strace -f -y -ttt -T -s 0 -e trace=%desc,%file,%process -o FILE COMMAND'
const CLONES = /^(?:clone|clone3|fork|vfork)\(/

/** Takes strace output line by line. */
export class StraceImporter implements Importer {
  private readonly recorder: Recorder
  private readonly calls: FileCalls
  private readonly processes = new Map<number, Process>()
  /** Lines of children whose parent is not known yet. */
  private readonly held = new Map<number, StraceLine[]>()
  private readonly file: string
  private readonly cwd: string | undefined
  private line = 0
  /** A line that cannot be read: an error, unless it is the last one, cut off when strace ended. */
  private malformed: WorkloadError | undefined

  constructor(options: ImportOptions) {
    this.recorder = new Recorder(options)
    this.calls = new FileCalls(this.recorder, options.root ?? '/')
    this.file = options.file ?? 'strace output'
    this.cwd = options.cwd
  }

  push(text: string): void {
    if (this.malformed !== undefined) throw this.malformed
    this.line++
    if (text.trim() === '') return
    const line = parseStraceLine(text)
    if (line === undefined) this.refuse(text)
    else this.take(line, text)
  }

  finish(): Imported {
    if (this.malformed !== undefined) this.recorder.ignore('last line cut off')
    for (const [pid, lines] of [...this.held]) this.release(pid, this.fresh(), lines)
    for (const { pending } of this.processes.values())
      if (pending !== undefined) this.recorder.ignore('calls that never returned')
    return this.recorder.finish()
  }

  private refuse(text: string): void {
    const found = text.length > 80 ? `${text.slice(0, 77)}...` : text
    this.malformed = new WorkloadError(this.file, this.line, `not a line of strace: "${found}"; ${HOW}`)
  }

  private fresh(): Process {
    return { files: new FdTable(file => this.recorder.release(file)), cwd: { path: this.cwd }, pending: undefined }
  }

  /** Find the process of a line, and carry the line out. */
  private take(line: StraceLine, text: string): void {
    this.recorder.line('time' in line ? line.time : undefined)
    const held = this.held.get(line.pid)
    if (held !== undefined) return void held.push(line)
    const process = this.processes.get(line.pid) ?? this.adopt(line)
    if (process === undefined) return void this.held.set(line.pid, [line])
    this.carryOut(process, line, text)
  }

  /** The process of a pid that was not heard of before; undefined if its parent cannot be told yet. */
  private adopt({ pid }: StraceLine): Process | undefined {
    const cloning = [...this.processes.values()].filter(({ pending }) =>
      pending !== undefined && !pending.adopted && CLONES.test(pending.text))
    if (cloning.length > 1) return undefined
    const [parent] = cloning
    if (parent?.pending !== undefined) parent.pending.adopted = true
    const process = parent === undefined ? this.fresh() : child(parent, (parent.pending as { text: string }).text)
    this.processes.set(pid, process)
    return process
  }

  private release(pid: number, process: Process, lines: StraceLine[]): void {
    this.held.delete(pid)
    this.processes.set(pid, process)
    for (const line of lines) this.carryOut(this.processes.get(pid) ?? process, line, 'text' in line ? line.text : '')
  }

  private carryOut(process: Process, line: StraceLine, text: string): void {
    switch (line.kind) {
      case 'signal': return this.recorder.ignore('signals')
      case 'exit': return this.exit(line.pid, process)
      case 'superseded': return this.supersede(line.pid, line.by, process)
      case 'call': return this.call(process, line.text, text, true)
      case 'unfinished': {
        process.pending = { text: line.text, adopted: false }
        if (line.text.startsWith('close(')) this.calls.close(process, line.text.slice('close('.length))
        return undefined
      }
      case 'resumed': {
        if (process.pending === undefined) return this.recorder.ignore('ends of calls that began before the recording')
        const start = process.pending.text
        return this.call(process, start + line.text, text, !start.startsWith('close('))
      }
    }
  }

  /** A call has returned. `process.pending` still tells whether its child was seen. */
  private call(process: Process, joined: string, text: string, effect: boolean): void {
    const call = parseCall(joined.replace(/ <unfinished \.\.\.>\)/, ')'))
    const adopted = process.pending?.adopted === true
    process.pending = undefined
    if (call === undefined) return this.refuse(text)
    this.calls.learn(process, call)
    if (Number.isNaN(call.value)) return this.recorder.ignore('calls without a result')
    if (call.value === -1) return this.recorder.ignore('failed calls')
    if (CLONES.test(joined)) return this.cloned(process, call, joined, adopted)
    if (call.name === 'execve' || call.name === 'execveat') return exec(process)
    if (call.name === 'chdir' || call.name === 'fchdir') return this.calls.chdir(process, call)
    const handler = CALLS[call.name]
    if (handler === undefined) return this.recorder.ignore(`${call.name} (changes no file)`)
    if (effect) handler(this.calls, process, call)
  }

  private cloned(parent: Process, call: Call, text: string, adopted: boolean): void {
    const lines = this.held.get(call.value)
    if (lines !== undefined) return this.release(call.value, child(parent, text), lines)
    if (!adopted) this.processes.set(call.value, child(parent, text))
  }

  private exit(pid: number, process: Process): void {
    this.processes.delete(pid)
    process.files.leave()
  }

  /** The thread `by` called execve and goes on under the pid of its process. */
  private supersede(pid: number, by: number, process: Process): void {
    const thread = this.processes.get(by)
    process.files.leave()
    this.processes.delete(by)
    if (thread === undefined) this.processes.delete(pid)
    else this.processes.set(pid, thread)
  }
}

/**
 * A workload from the lines of strace output.
 * @throws WorkloadError at the first line that is malformed
 */
export const importStrace = (lines: Iterable<string>, options: ImportOptions): Imported =>
  importLines(new StraceImporter(options), lines)
