/**
 * Interruptible: call a function that may not come back, in this very thread.
 *
 * A design is somebody's code, and JavaScript has no way to stop a loop from outside but one: node:vm ends a script that runs
 * too long, together with everything that it called. What was interrupted is in pieces and must not be used again.
 */
import { Script } from 'node:vm'

const SLOT = Symbol.for('perform-write.interruptible')
const script = new Script(`globalThis[Symbol.for('perform-write.interruptible')]()`)

/** The call took too long and was ended. */
export class Overtime extends Error {
  override readonly name = 'Overtime'
}

/** What `f` returns or throws. @throws Overtime after `seconds` of wall time */
export const within = <A>(seconds: number, f: () => A): A => {
  const slots = globalThis as unknown as Record<symbol, (() => A) | undefined>
  const outer = slots[SLOT]
  slots[SLOT] = f
  try {
    return script.runInThisContext({ timeout: Math.max(1, Math.round(seconds * 1000)) }) as A
  } catch (e) {
    throw (e as NodeJS.ErrnoException)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' ? new Overtime(`no answer within ${seconds} s`) : e
  } finally {
    slots[SLOT] = outer
  }
}
