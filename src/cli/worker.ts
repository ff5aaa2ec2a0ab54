/** The worker's side of the pool: one task, one answer; meanwhile progress, and a heartbeat in shared memory. */
import { parentPort, workerData } from 'node:worker_threads'
import { explain } from './errors.ts'
import { evaluate, testSelf } from './evaluate.ts'
import { designFor } from './plugin.ts'
import type { Task } from './pool.ts'
import { race } from './race.ts'

const { task, pulse } = workerData as { readonly task: Task; readonly pulse: SharedArrayBuffer }
const cells = new Int32Array(pulse)
const beat = (hook: number): void => {
  Atomics.add(cells, 0, 1)
  Atomics.store(cells, 1, hook)
}
const say = (doing: string): void => {
  beat(-1)
  parentPort!.postMessage({ say: doing })
}

const work = async (): Promise<unknown> => {
  switch (task.kind) {
    case 'describe': {
      const { name, summary, source, claims } = await designFor(task.design)
      return { name, summary, source, claims }
    }
    case 'evaluate': return evaluate(task.design, task.setting, beat, say)
    case 'self-test': return testSelf(task.fixed)
    case 'race': return race(task.designs, task.setting, beat, say)
  }
}

work().then(
  (value) => parentPort!.postMessage({ value }),
  (e: unknown) => parentPort!.postMessage({ error: { name: e instanceof Error ? e.name : 'Error', ...explain(e) } }),
)
