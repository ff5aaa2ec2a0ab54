/**
 * The child process that makes system calls: one request in, one answer out, in order.
 *
 * It has a mount namespace of its own and ends when its parent goes away, so its mounts and devices do too. Started by
 * child.ts only.
 */
import { Arm } from './arm.ts'
import type { ArmOptions, Outcome } from './arm.ts'
import { Libc } from './libc.ts'
import { measure } from './measure.ts'
import type { Measured, MeasureOptions } from './measure.ts'
import { isolate } from './memory-disk.ts'
import type { KernelOperation } from './sequence.ts'

/** What the child can be asked, by name: the request's fields and the answer. */
export interface Requests {
  /** Make a kernel file system; first of all and once. */
  open: { ask: ArmOptions, answer: null }
  /** Run a sequence on it. */
  run: {
    ask: { ops: readonly KernelOperation[], payloads: ReadonlyMap<number, Buffer>, image?: string }
    answer: Outcome
  }
  /** Count trace events of a write loop. */
  measure: { ask: MeasureOptions, answer: Measured }
  /** Take everything down. */
  close: { ask: null, answer: null }
}

/** A request as it is sent. */
export type Message = { [K in keyof Requests]: { kind: K, ask: Requests[K]['ask'] } }[keyof Requests]

/** A reply as it is sent: the answer, or the line of the error. */
export type Reply = { answer: unknown } | { error: string }

let arm: Arm | undefined

const serve = (libc: Libc, message: Message): unknown => {
  switch (message.kind) {
    case 'open':
      arm = new Arm(libc, message.ask)
      return null
    case 'run':
      if (arm === undefined) throw new Error('run before open')
      return arm.run(message.ask.ops, message.ask.payloads, message.ask.image)
    case 'measure':
      return measure(libc, message.ask)
    case 'close':
      arm?.close()
      arm = undefined
      return null
  }
}

const main = (): void => {
  const libc = new Libc()
  isolate(libc)
  // Modes in operations are exact; a umask would change them.
  libc.functions.umask(0)
  process.on('disconnect', () => process.exit(0))
  process.on('message', (message: Message) => {
    let reply: Reply
    try {
      reply = { answer: serve(libc, message) }
    } catch (error) {
      reply = { error: (error as Error).message }
    }
    process.send?.(reply)
  })
}

main()
