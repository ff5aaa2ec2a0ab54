/**
 * Exit codes, and the errors that a command may end with.
 *
 * 0 pass, 1 a property failed, 2 usage, 3 infrastructure. An error of one of these classes is one line that names the place
 * and says what to do; anything else that is thrown is a bug of perform-write, and is printed as one, with its stack.
 */

/** Exit codes. */
export const EXIT = { pass: 0, failed: 1, usage: 2, infrastructure: 3 } as const

/** The command line, or a file that it names, is not what it should be: exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The machine, an image or a program stands in the way: exit 3. */
export class InfrastructureError extends Error {
  override readonly name = 'InfrastructureError'
}

/** Errors of the code below that are worded for users, by name, with their exit codes. */
const WORDED: Readonly<Record<string, number>> = {
  UsageError: EXIT.usage,
  WorkloadError: EXIT.usage,
  UnknownWorkloadError: EXIT.usage,
  InfrastructureError: EXIT.infrastructure,
  ImageError: EXIT.infrastructure,
}

/** Errors of node:fs: the file that the user named cannot be had. */
const isHostError = (e: unknown): e is NodeJS.ErrnoException =>
  e instanceof Error && typeof (e as NodeJS.ErrnoException).syscall === 'string'

/** What to print for an error, and the exit code. */
export const explain = (e: unknown): { readonly message: string; readonly code: number } => {
  if (e instanceof Error && Object.hasOwn(WORDED, e.name)) return { message: e.message, code: WORDED[e.name]! }
  if (isHostError(e)) return { message: `${e.path ?? e.syscall}: ${sayErrno(e)}`, code: EXIT.infrastructure }
  const stack = e instanceof Error ? (e.stack ?? e.message) : String(e)
  const message = `this is a bug of perform-write, not of your input; please report it with these lines:\n${stack}`
  return { message, code: EXIT.infrastructure }
}

const sayErrno = (e: NodeJS.ErrnoException): string => {
  switch (e.code) {
    case 'ENOENT': return 'there is no such file or directory; check the path'
    case 'EACCES':
    case 'EPERM': return 'permission denied; check the owner and mode of the file'
    case 'EISDIR': return 'is a directory; give a file'
    case 'ENOSPC': return 'no space left on the host; free some or choose another place'
    default: return e.message
  }
}
