/**
 * Scratch: a temporary directory, and the promise that nothing outlives it.
 *
 * Interface:
 * - `defer(undo)` registers a clean-up; clean-ups run in reverse order, each once, when the scratch closes. They are
 *   synchronous, so that they also run on SIGINT, SIGTERM, SIGHUP and on exit.
 * - `defer` returns the clean-up itself: calling it early runs it and takes it off the list.
 * - A clean-up that throws does not keep the others from running; `close` then throws the first failure.
 *
 * Only SIGKILL leaves something behind.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const open = new Set<Scratch>()
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const closeAll = (): void => {
  for (const scratch of [...open].reverse()) {
    try {
      scratch.close()
    } catch (error) {
      process.stderr.write(`clean-up: ${(error as Error).message}\n`)
    }
  }
}

// After the clean-up the signal is sent again, to the default action or to whoever else listens.
const onSignal = (signal: NodeJS.Signals): void => {
  closeAll()
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
}

const watch = (): void => {
  for (const signal of SIGNALS) process.once(signal, onSignal)
  process.once('exit', closeAll)
}

const unwatch = (): void => {
  for (const signal of SIGNALS) process.removeListener(signal, onSignal)
  process.removeListener('exit', closeAll)
}

/** A temporary directory with a list of clean-ups; see the file's contract. */
export class Scratch {
  /** The directory, empty at first. */
  readonly directory: string
  private readonly undos: (() => void)[] = []

  constructor(name = 'perform-write') {
    this.directory = mkdtempSync(join(tmpdir(), `${name}-`))
    if (open.size === 0) watch()
    open.add(this)
  }

  /** A path in the directory. */
  path(name: string): string {
    return join(this.directory, name)
  }

  /** Register a clean-up. @returns a function that runs it now, at most once */
  defer(undo: () => void): () => void {
    let done = false
    const once = (): void => {
      if (done) return
      done = true
      undo()
    }
    this.undos.push(once)
    return once
  }

  /**
   * Run the clean-ups in reverse order and remove the directory. A second call does nothing.
   * @throws Error the first failure
   */
  close(): void {
    if (!open.delete(this)) return
    if (open.size === 0) unwatch()
    const failures: unknown[] = []
    for (const undo of this.undos.splice(0).reverse()) {
      try {
        undo()
      } catch (error) {
        failures.push(error)
      }
    }
    // A mount that could not be undone must not be emptied file by file.
    if (failures.length > 0) throw failures[0]
    rmSync(this.directory, { recursive: true, force: true })
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
