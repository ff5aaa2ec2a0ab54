/**
 * Child: the parent's handle on the process that makes system calls (child-main.ts).
 *
 * One request at a time is on its way; the others wait in order. A child that ends before its time fails all of them
 * with what it last said.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { FFI_ARGS } from './availability.ts'
import type { Reply, Requests } from './child-main.ts'

// As source the sibling is .ts, in the built package .js.
const MAIN = fileURLToPath(import.meta.url).replace(/child\.(ts|js)$/, 'child-main.$1')

/** Milliseconds. */
const LAST_WORDS = 20

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** The process that makes system calls. */
export class Child {
  private readonly process: ChildProcess
  private readonly waiting: Waiting[] = []
  private said = ''
  private ended: Error | undefined

  /** Starts the process with the Node that runs this one. */
  constructor() {
    this.process = fork(MAIN, [], {
      execPath: process.execPath,
      execArgv: [...FFI_ARGS],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.process.stderr?.on('data', (text: Buffer) => { this.said = (this.said + text.toString()).slice(-2000) })
    this.process.on('message', (reply: Reply) => this.receive(reply))
    // Its last words may arrive after its end.
    this.process.on('exit', (code, signal) => setTimeout(() => this.fail(signal ?? `exit ${code}`), LAST_WORDS))
    this.process.on('error', error => this.fail(error.message))
  }

  private receive(reply: Reply): void {
    const next = this.waiting.shift()
    if ('error' in reply) next?.reject(new Error(reply.error))
    else next?.resolve(reply.answer)
  }

  private fail(how: string): void {
    const said = this.said.trim() || 'it said nothing'
    this.ended ??= new Error(`the child that makes system calls ended (${how}): ${said}`)
    for (const { reject } of this.waiting.splice(0)) reject(this.ended)
  }

  /** Its process id. */
  get pid(): number {
    return this.process.pid ?? 0
  }

  /** Ask, and wait for the answer. @throws Error if the child refuses or has ended */
  ask<K extends keyof Requests>(kind: K, ask: Requests[K]['ask']): Promise<Requests[K]['answer']> {
    if (this.ended) return Promise.reject(this.ended)
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve: answer => resolve(answer as Requests[K]['answer']), reject })
      this.process.send({ kind, ask })
    })
  }

  /** Let the child take everything down, and wait for its end. */
  async close(): Promise<void> {
    if (this.ended) return
    await this.ask('close', null)
    const ended = new Promise(resolve => this.process.once('exit', resolve))
    this.process.disconnect()
    await ended
  }
}
