/**
 * Availability: can this machine do what a judge needs?
 *
 * Every judge and arm on the real machine says first whether it can work here, and if not, why in one line that names
 * what to do. A caller prints that line; nothing is skipped silently.
 */
import { existsSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { installed } from './process.ts'

/** Whether something can be used here, and if not, why. */
export type Availability = { readonly ok: true } | { readonly ok: false, readonly why: string }

/** What is needed. All are checked in the order given here, and the first that is missing is named. */
export interface Needs {
  /** Linux: everything in src/host speaks its system calls. */
  readonly linux?: boolean
  /** Effective user 0, for mount(2) and loop devices. */
  readonly root?: boolean
  /** /dev/loop-control, loop(4). */
  readonly loop?: boolean
  /** node:ffi, on by default since Node 26.10. */
  readonly ffi?: boolean
  /** Programs, each with the Debian package that brings it. */
  readonly programs?: Readonly<Record<string, string>>
  /** tracefs, for counts of trace events. */
  readonly tracefs?: boolean
}

const no = (why: string): Availability => ({ ok: false, why })

/** Arguments for a Node process that is to use node:ffi without a warning on each start. */
export const FFI_ARGS: readonly string[] = [
  ...(process.allowedNodeEnvironmentFlags.has('--experimental-ffi') ? ['--experimental-ffi'] : []),
  '--disable-warning=ExperimentalWarning',
]

/** True if this Node has node:ffi. */
export const hasFfi = (): boolean => isBuiltin('node:ffi')

/** The first need that this machine does not meet, or ok. */
export const availability = (needs: Needs): Availability => {
  if (needs.linux && process.platform !== 'linux') return no(`not Linux but ${process.platform}: run this on Linux`)
  if (needs.root && process.geteuid?.() !== 0) return no('not root: mounting needs it; run this as root')
  if (needs.loop && !existsSync('/dev/loop-control')) return no('no /dev/loop-control: load the loop module')
  if (needs.ffi && !hasFfi()) return no(`Node ${process.version} has no node:ffi: use Node 26.10 or newer`)
  for (const [program, from] of Object.entries(needs.programs ?? {})) {
    if (!installed(program)) return no(`${program} is not installed: apt-get install ${from}`)
  }
  if (needs.tracefs && !existsSync('/sys/kernel/tracing')) return no('no /sys/kernel/tracing: a kernel without tracefs')
  return { ok: true }
}
