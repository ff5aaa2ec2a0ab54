/** Load: look for a crash mutant in a thread of its own, in which it is alive. */
import { Worker } from 'node:worker_threads'

/** What the thread is told. */
export interface CrashOrder {
  readonly id: string
  /** False: the good sources, with the same workload. */
  readonly alive: boolean
  readonly states: number
}

/** What was found. */
export interface Hunted {
  readonly states: number
  readonly seconds: number
  /** Violations that no mode declares, made small. `lost`: blocks that the state has not in their newest version. */
  readonly broken: readonly { readonly claim: string; readonly what: string; readonly actions: number; readonly lost: number }[]
}

/** Run it. @throws Error if the thread does, or takes longer than `seconds` */
export const huntInThread = (order: CrashOrder, seconds = 120): Promise<Hunted> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./child.ts', import.meta.url), {
      workerData: order, execArgv: [], env: { ...process.env, MUTANT: '' },
    })
    const end = (f: () => void): void => {
      clearTimeout(timer)
      worker.removeAllListeners()
      void worker.terminate().then(f)
    }
    const timer = setTimeout(() => end(() => reject(new Error(`${order.id}: no answer after ${seconds} s`))), seconds * 1000)
    worker.on('message', (value: Hunted) => end(() => resolve(value)))
    worker.on('error', (e: unknown) => end(() => reject(e instanceof Error ? e : new Error(String(e)))))
    worker.on('exit', (code) => end(() => reject(new Error(`${order.id}: the thread ended with code ${code}`))))
  })
