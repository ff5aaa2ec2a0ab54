/**
 * Load: run a module in a thread of its own, with one mutant alive in it.
 *
 * Interface: the module exports `run(data)`; what it returns, or what the promise that it returns holds, is the value. Data
 * and value must be cloneable. A thread that takes too long is ended: an endless loop that never waits is an outcome, too.
 */
import { Worker } from 'node:worker_threads'

/** How a run ended. */
export type Outcome =
  | { readonly status: 'done'; readonly value: unknown }
  | { readonly status: 'threw'; readonly message: string }
  | { readonly status: 'timeout'; readonly seconds: number }

/** What the thread is told. */
export interface Order {
  /** A mutant, or null: the good sources. */
  readonly id: string | null
  readonly entry: string
  readonly data: unknown
}

const CHILD = new URL('./child.ts', import.meta.url)

/**
 * Run `entry` (a URL) with the mutant `id` alive; with null, as it is.
 * @param seconds until it is ended; default 60
 * @param child the thread's side, of the catalogue that `id` is from
 */
export const runWithMutant = (
  id: string | null, entry: URL | string, data: unknown, seconds = 60, child: URL = CHILD,
): Promise<Outcome> =>
  new Promise((resolve) => {
    const order: Order = { id, entry: String(entry), data }
    const worker = new Worker(child, { workerData: order, execArgv: [], env: { ...process.env, MUTANT: '' } })
    const end = (outcome: Outcome): void => {
      clearTimeout(timer)
      worker.removeAllListeners()
      void worker.terminate().then(() => resolve(outcome))
    }
    const timer = setTimeout(() => end({ status: 'timeout', seconds }), seconds * 1000)
    worker.on('message', end)
    worker.on('error', (e: unknown) => end({ status: 'threw', message: String(e) }))
    worker.on('exit', (code) => end({ status: 'threw', message: `the thread ended with code ${code}` }))
  })

/** Do `task` for each of `items`, `lanes` at a time; results in the order of the items. */
export const inLanes = async <A, B>(items: readonly A[], lanes: number, task: (item: A) => Promise<B>): Promise<B[]> => {
  const results: B[] = new Array<B>(items.length)
  let next = 0
  const lane = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await task(items[i]!)
  }
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane))
  return results
}
