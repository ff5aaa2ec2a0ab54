/**
 * Tracefs: counts of the kernel's static trace events, in a private tracing instance.
 *
 * - The instance has its own buffers, events and pid filter: nobody else's tracing is disturbed.
 * - `arm` before and `disarm` after the work to be counted; the counts are of exactly what lies between.
 * - A buffer that overran is an error, never a smaller count.
 * - An instance is a directory that the process must remove: the `Scratch` does it. One left by a killed process is
 *   removed by the next `TraceInstance`, which knows it by the process id in its name.
 *
 * Function tracing is not used: kernels under lockdown refuse it, and they allow events. Needs root.
 * Source: Documentation/trace/events.rst, Documentation/trace/ftrace.rst ("Instances").
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { C, check } from './libc.ts'
import type { Libc } from './libc.ts'
import type { Scratch } from './scratch.ts'

/** Counts by event, such as `ext4:ext4_write_begin`; an event that never fired counts 0. */
export type EventCounts = Readonly<Record<string, number>>

/** What is counted. */
export interface Armed {
  /** Events as `system:name`. */
  readonly events: readonly string[]
  /** Count what this thread does only; absent: what anyone does. */
  readonly pid?: number
  /** A filter expression for all events that have its field, as `dev == 7340036`. */
  readonly filter?: string
}

const PREFIX = 'perform-write-'
/** KiB per CPU. 16 MiB in 512 B writes with ten events each fit. */
const BUFFER_KIB = 64 * 1024

const remove = (instance: string): void => {
  writeFileSync(join(instance, 'tracing_on'), '0')
  rmdirSync(instance)
}

// How an event begins its line in `trace`. A system call's entry prints as a call: `sys_pwrite64(fd: 3, ...)`.
const printedName = (event: string): string => {
  const name = event.slice(event.indexOf(':') + 1)
  return name.startsWith('sys_enter_') ? `${name.replace('sys_enter_', 'sys_')}(` : `${name}:`
}

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`)

/** A private tracing instance; see the file's contract. */
export class TraceInstance {
  private readonly directory: string

  /** Mounts tracefs in its own mount namespace (`isolate` first) and makes an instance that ends with `scratch`. */
  constructor(libc: Libc, scratch: Scratch) {
    const root = scratch.path('tracefs')
    mkdirSync(root)
    check('mount tracefs', libc.call('mount', 'tracefs', root, 'tracefs', 0n, ''))
    scratch.defer(() => libc.call('umount2', root, C.MNT_DETACH))
    const instances = join(root, 'instances')
    for (const name of readdirSync(instances)) {
      if (name.startsWith(PREFIX) && !alive(Number(name.slice(PREFIX.length)))) remove(join(instances, name))
    }
    this.directory = join(instances, `${PREFIX}${process.pid}`)
    mkdirSync(this.directory)
    scratch.defer(() => remove(this.directory))
    this.put('tracing_on', '0')
    this.put('buffer_size_kb', `${BUFFER_KIB}`)
  }

  private put(name: string, text: string): void {
    writeFileSync(join(this.directory, name), text)
  }

  private get(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8')
  }

  /** True if this kernel has the event `system:name`. */
  has(event: string): boolean {
    return existsSync(join(this.directory, 'events', event.replace(':', '/')))
  }

  /** Forget what was counted and count from now on. @throws Error if the kernel has no such event */
  arm({ events, pid, filter }: Armed): void {
    this.put('set_event', '')
    this.put('trace', '')
    this.put('set_event_pid', pid === undefined ? '' : `${pid}`)
    for (const event of events) {
      const directory = join('events', event.replace(':', '/'))
      const format = this.get(join(directory, 'format'))
      const field = filter?.split(' ')[0]
      const fits = field !== undefined && new RegExp(` ${field};`).test(format)
      this.put(join(directory, 'filter'), fits ? filter ?? '0' : '0')
      this.put(join(directory, 'enable'), '1')
    }
    this.put('tracing_on', '1')
  }

  /** Stop counting; `disarm` does it too. */
  stop(): void {
    this.put('tracing_on', '0')
  }

  /** Stop counting. @returns the counts since `arm` @throws Error if events were lost */
  disarm(events: readonly string[]): EventCounts {
    this.stop()
    const counts = new Map(events.map(event => [printedName(event), 0]))
    // Lines: `task-pid [cpu] flags time: event: fields`, after a header of lines with `#`.
    for (const [, name] of this.get('trace').matchAll(/^(?!#).*?\d+\.\d+: (\w+[:(])/gm)) {
      const known = counts.get(name ?? '')
      if (name !== undefined && known !== undefined) counts.set(name, known + 1)
    }
    this.refuseLoss()
    this.put('set_event', '')
    return Object.fromEntries(events.map(event => [event, counts.get(printedName(event)) ?? 0]))
  }

  private refuseLoss(): void {
    for (const cpu of readdirSync(join(this.directory, 'per_cpu'))) {
      const lost = /^overrun: (\d+)/m.exec(this.get(join('per_cpu', cpu, 'stats')))?.[1]
      if (lost !== '0') throw new Error(`tracefs lost ${lost} events on ${cpu}: count less work at a time`)
    }
  }
}

/** Run `work` with `events` armed around it alone, for this thread. @returns how often each fired */
export const countEvents = (trace: TraceInstance, events: readonly string[], work: () => void): EventCounts => {
  trace.arm({ events, pid: process.pid })
  try {
    work()
  } finally {
    trace.stop()
  }
  return trace.disarm(events)
}
