/**
 * fds and paths of the calls of a recording, as the workload knows them.
 *
 * Paths are made absolute with the directory fd or the working directory, stripped of the root, and led through the
 * symbolic links that are known. fds are looked up in the table of the process; one that is not there but that `-y`
 * shows to be a file below the root was opened before the recording, and is opened here where it is first used.
 */
import type { OpenFlag, Operation } from '../operation.ts'
import { normalise } from './namespace.ts'
import type { Node } from './namespace.ts'
import type { Description, Recorder } from './recorder.ts'
import { parseFd, parseText } from './strace-line.ts'
import type { Call } from './strace-line.ts'
import type { Process } from './strace-process.ts'

const OUTSIDE = 'outside the root'
const UNKNOWN = 'relative paths while the working directory is not known (give it, or record with -y)'

/** fds and paths of calls, as the workload knows them. */
export class FileCalls {
  readonly recorder: Recorder
  private readonly root: string

  constructor(recorder: Recorder, root: string) {
    this.recorder = recorder
    this.root = normalise(root) ?? '.'
  }

  /** The path that a directory fd and a text argument name, below the root; undefined (and counted) if outside. */
  path(process: Process, at: string | undefined, text: string | undefined): string | undefined {
    const whole = this.absolute(process, at, parseText(text))
    const path = this.inside(whole)
    if (path === undefined) this.recorder.ignore(whole === undefined ? UNKNOWN : OUTSIDE)
    return path
  }

  /** The file of an fd argument; undefined (and counted) if it is not below the root. */
  file(process: Process, arg: string | undefined, flags: OpenFlag[] = ['O_RDWR']): Description | undefined {
    const fd = parseFd(arg)
    const known = fd === undefined ? undefined : process.files.get(fd.fd)
    const shown = this.inside(fd?.path)
    if (known !== undefined && (fd?.path === undefined ? !fd?.other : shown !== undefined)) return known
    if (fd === undefined || shown === undefined || fd.deleted) {
      this.recorder.ignore(fd?.other === true ? 'pipes, sockets and terminals' : OUTSIDE)
      return undefined
    }
    const description = this.recorder.open(shown, flags)
    this.recorder.warn(`fd ${fd.fd} (${shown}) was open before the recording began; its file position is taken to be 0`)
    process.files.set(fd.fd, description, false)
    return description
  }

  /** The path of an open file: as `-y` shows it, else as it was opened. */
  pathOf(process: Process, arg: string | undefined): string | undefined {
    const fd = parseFd(arg)
    const path = fd?.deleted === true ? undefined : this.inside(fd?.path) ?? process.files.get(fd?.fd ?? NaN)?.path
    if (path === undefined) this.recorder.ignore(fd?.deleted === true ? 'attributes of deleted files' : OUTSIDE)
    return path
  }

  /** The path that was opened: with `-y` the fd that is returned shows it, symbolic links followed. */
  openedPath(process: Process, call: Call, at: string | undefined, text: string | undefined): string | undefined {
    if (call.path === undefined) return this.path(process, at, text)
    const path = this.inside(call.path)
    if (path === undefined) this.recorder.ignore(OUTSIDE)
    return path
  }

  /** close(2), where it begins. */
  close(process: Process, args: string): void {
    const fd = parseFd(args.replace(/\)\s*$/, '').trim())
    if (fd === undefined || !process.files.close(fd.fd)) this.recorder.ignore(OUTSIDE)
  }

  /** Take the working directory that `-y` shows behind AT_FDCWD, also in calls that failed. */
  learn(process: Process, { args }: Call): void {
    const shown = args.find(arg => arg.startsWith('AT_FDCWD<'))
    if (shown !== undefined) process.cwd.path = parseFd(shown)?.path ?? process.cwd.path
  }

  /** chdir(2) and fchdir(2). */
  chdir(process: Process, { name, args: [arg] }: Call): void {
    const path = name === 'chdir' ? this.absolute(process, undefined, parseText(arg)) : parseFd(arg)?.path
    process.cwd.path = path === undefined ? undefined : `/${normalise(path) ?? ''}`
    this.recorder.ignore(`${name} (followed)`)
  }

  /** An operation on a path that is there. */
  onPath(path: string | undefined, operation: (path: string) => Operation): Node | undefined {
    if (path === undefined) return undefined
    const node = this.recorder.names.touch(path)
    this.recorder.emit(operation(path))
    return node
  }

  /** `path` was moved from `from`; where one of them is outside the root, the other appears or goes. */
  rename(from: string | undefined, to: string | undefined): void {
    const { names } = this.recorder
    if (from !== undefined && to !== undefined) {
      names.rename(from, to)
      return this.recorder.emit({ op: 'rename', from, to })
    }
    if (to !== undefined && names.get(to) === undefined) this.recorder.blind('files moved into the root')
    if (from === undefined) return
    const directory = names.touch(from).kind === 'directory'
    if (directory) return this.recorder.blind('directories moved out of the root')
    names.remove(from, 'file')
    this.recorder.emit({ op: 'unlink', path: from })
  }

  private absolute(process: Process, at: string | undefined, text: string | undefined): string | undefined {
    if (text === undefined || text.startsWith('/')) return text
    const shown = parseFd(at)
    const base =
      shown === undefined || Number.isNaN(shown.fd) ? process.cwd.path : (shown.path ?? this.opened(process, shown.fd))
    return base === undefined ? undefined : `${base}/${text}`
  }

  /** The absolute path of an open directory, for recordings without `-y`. */
  private opened(process: Process, fd: number): string | undefined {
    const path = process.files.get(fd)?.path
    return path === undefined ? undefined : `/${this.root}/${path}`
  }

  private inside(path: string | undefined): string | undefined {
    const whole = path?.startsWith('/') === true ? normalise(path) : undefined
    if (whole === undefined || this.root === '.')
      return whole === undefined ? undefined : this.recorder.names.resolve(whole)
    if (whole === this.root) return '.'
    return whole.startsWith(`${this.root}/`)
      ? this.recorder.names.resolve(whole.slice(this.root.length + 1))
      : undefined
  }
}
