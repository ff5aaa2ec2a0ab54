/**
 * Child processes: run a program to its end and hand back what it said.
 *
 * - A non-zero exit is a value; only a program that cannot be started throws, with one line that names it.
 * - `/sbin` and `/usr/sbin` are searched too: e2fsck, losetup and mkfs live there, outside most users' PATH.
 * - Output is in the C locale, since judges read it.
 */
import { execFile, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What a program said and how it ended. */
export interface Finished {
  /** Exit code; 255 when a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const searchPath = (): string[] =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin']

const environment = (): NodeJS.ProcessEnv =>
  ({ ...process.env, PATH: searchPath().join(delimiter), LC_ALL: 'C' })

/** Bytes of output that a program may print before it is ended: debugfs lists every block of a file. */
const MAX_OUTPUT = 256 * 1024 * 1024

/** True if `program` can be found and executed. */
export const installed = (program: string): boolean =>
  searchPath().some(directory => {
    try {
      accessSync(join(directory || '.', program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/**
 * Run `program` to its end.
 * @throws Error if it cannot be started
 */
export const run = (program: string, args: readonly string[]): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const options = { env: environment(), maxBuffer: MAX_OUTPUT, encoding: 'utf8' } as const
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr })
      if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr })
      if (error.signal) return resolve({ code: 255, stdout, stderr: `${stderr}ended by ${error.signal}\n` })
      reject(new Error(`cannot run ${program}: ${error.message}`))
    })
  })

/** As `run`, without giving up the thread: for clean-up on a signal, and for the child that holds the mounts. */
export const runSync = (program: string, args: readonly string[]): Finished => {
  const done = spawnSync(program, args, { env: environment(), maxBuffer: MAX_OUTPUT, encoding: 'utf8' })
  if (done.error) throw new Error(`cannot run ${program}: ${done.error.message}`)
  return { code: done.status ?? 255, stdout: done.stdout, stderr: done.stderr }
}

/** `run` for programs that must succeed. @throws Error with the command and its last line of complaint */
export const runOrThrow = async (program: string, args: readonly string[]): Promise<string> => {
  const done = await run(program, args)
  if (done.code !== 0) throw new Error(complaint(program, args, done))
  return done.stdout
}

/** One line that says which command failed, how, and what it printed last. */
export const complaint = (program: string, args: readonly string[], done: Finished): string => {
  const said = `${done.stdout}\n${done.stderr}`.trim().split('\n').at(-1) ?? ''
  return `${program} ${args.join(' ')}: exit ${done.code}: ${said}`
}
