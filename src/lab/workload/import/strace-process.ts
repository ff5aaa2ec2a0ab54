/**
 * Processes of a recording: which fd of which process is which open file description, and where it stands.
 *
 * The rules are those of clone(2) and execve(2): CLONE_FILES shares the table of fds (threads), without it the table is
 * copied and the descriptions stay shared; CLONE_FS shares the working directory; execve closes what is close-on-exec
 * and ends the sharing; the last process of a table closes all that is in it.
 */
import type { Description } from './recorder.ts'

/** An entry of a table of fds. */
interface Entry { description: Description, closeOnExec: boolean }

/** A table of fds, shared by the threads of a process. */
export class FdTable {
  /** How many processes share the table. */
  sharers = 1
  private readonly entries = new Map<number, Entry>()
  private readonly release: (description: Description) => void

  constructor(release: (description: Description) => void) {
    this.release = release
  }

  /** The description behind `fd`, if it is a file below the root. */
  get(fd: number): Description | undefined {
    return this.entries.get(fd)?.description
  }

  /** `fd` now stands for `description`, which counts one holder more if it was there before. */
  set(fd: number, description: Description, closeOnExec: boolean): void {
    this.close(fd)
    this.entries.set(fd, { description, closeOnExec })
  }

  /** Set or clear close-on-exec of `fd`. */
  mark(fd: number, closeOnExec: boolean): void {
    const entry = this.entries.get(fd)
    if (entry !== undefined) entry.closeOnExec = closeOnExec
  }

  /** `fd` is closed; true if it was a file below the root. */
  close(fd: number): boolean {
    const entry = this.entries.get(fd)
    if (entry === undefined) return false
    this.entries.delete(fd)
    this.release(entry.description)
    return true
  }

  /** The fds from `first` to `last`, both included, that are files below the root. */
  between(first: number, last: number): number[] {
    return [...this.entries.keys()].filter(fd => fd >= first && fd <= last)
  }

  /** The table of a child that does not share it. */
  copy(): FdTable {
    const copy = new FdTable(this.release)
    for (const [fd, { description, closeOnExec }] of this.entries) {
      description.holders++
      copy.entries.set(fd, { description, closeOnExec })
    }
    return copy
  }

  /** One process less shares the table; the last one closes all of it. */
  leave(): void {
    if (--this.sharers === 0) for (const fd of [...this.entries.keys()]) this.close(fd)
  }

  /** What execve does. */
  exec(): void {
    for (const [fd, { closeOnExec }] of [...this.entries]) if (closeOnExec) this.close(fd)
  }
}

/** A working directory, absolute, shared by the threads of a process. */
export interface Cwd { path: string | undefined }

/** A process or a thread. */
export interface Process {
  files: FdTable
  cwd: Cwd
  /** The beginning of a call that has not returned, and whether a child of it was seen. */
  pending: { text: string, adopted: boolean } | undefined
}

/** The child that a call such as `clone(..., flags=CLONE_VM|CLONE_FILES, ...)` makes. */
export function child(parent: Process, call: string): Process {
  const shares = (flag: string): boolean => new RegExp(`\\b${flag}\\b`).test(call)
  const files = shares('CLONE_FILES') ? parent.files : parent.files.copy()
  if (files === parent.files) files.sharers++
  return { files, cwd: shares('CLONE_FS') ? parent.cwd : { ...parent.cwd }, pending: undefined }
}

/** What execve does to a process: the table is its own from now on, without what is close-on-exec. */
export function exec(process: Process): void {
  if (process.files.sharers > 1) {
    const own = process.files.copy()
    process.files.leave()
    process.files = own
  }
  process.files.exec()
}
