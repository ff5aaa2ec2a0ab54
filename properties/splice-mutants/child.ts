/** The thread's side of `run.ts`: let one splice mutant live, hunt, answer. */
import { parentPort, workerData } from 'node:worker_threads'
import { patchWith, unpatched } from '../mutants/hook.ts'
import type { Outcome, Order } from '../mutants/load.ts'
import { SPLICE_MUTANTS } from './index.ts'

const { id, entry, data } = workerData as Order
if (id !== null) patchWith(SPLICE_MUTANTS.find((m) => m.id === id)!)
const { run } = (await import(entry)) as { readonly run: (data: unknown) => unknown }
const value = run(data)
const left = unpatched()
if (left.length > 0) throw new Error(`${id}: ${left.join(', ')} was never loaded, so nothing was tried`)
parentPort!.postMessage({ status: 'done', value } satisfies Outcome)
