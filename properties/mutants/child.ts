/** The thread's side of `load.ts`: install the mutant, import the module, run it, answer. */
import { parentPort, workerData } from 'node:worker_threads'
import { install, unpatched } from './hook.ts'
import type { Order, Outcome } from './load.ts'

const { id, entry, data } = workerData as Order

const work = async (): Promise<Outcome> => {
  if (id !== null) install(id)
  const module = (await import(entry)) as { readonly run?: (data: unknown) => unknown }
  if (module.run === undefined) throw new Error(`${entry} exports no function run`)
  const value = await module.run(data)
  const left = unpatched()
  if (left.length > 0) throw new Error(`${id}: ${left.join(', ')} was never loaded, so nothing was tried`)
  return { status: 'done', value }
}

const say = (e: unknown): string => (e instanceof Error ? (e.stack ?? e.message) : String(e))

work().then(
  (outcome) => parentPort!.postMessage(outcome),
  (e: unknown) => parentPort!.postMessage({ status: 'threw', message: say(e) } satisfies Outcome),
)
