/** The thread's side of `load.ts`: patch what is loaded with one crash mutant, look for it, answer. */
import { registerHooks } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { apply, patchesOf } from '../mutants/mutant.ts'
import { CRASH_MUTANTS } from './index.ts'
import type { CrashOrder } from './load.ts'

const ROOT = new URL('../../', import.meta.url).href
const order = workerData as CrashOrder
const found = CRASH_MUTANTS.find((m) => m.id === order.id)
if (found === undefined) throw new Error(`no crash mutant ${order.id}`)

const waiting = new Set(order.alive ? patchesOf(found as never).map((p) => p.file) : [])
if (order.alive) {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const file = url.startsWith(ROOT) ? url.slice(ROOT.length).replace(/[?#].*$/, '') : ''
      if (!waiting.delete(file)) return loaded
      const source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString()
      return { ...loaded, source: apply(found as never, file, source) }
    },
  })
}

const { hunt } = await import('./hunt.ts')
if (waiting.size > 0) throw new Error(`${order.id}: ${[...waiting].join(', ')} was never loaded, so nothing was tried`)
parentPort!.postMessage(hunt(found, order))
