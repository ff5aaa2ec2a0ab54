/**
 * Pool: tasks in worker threads, as many at a time as the machine has processors, answers in the order of the tasks.
 *
 * A design is somebody's code: it may loop. Each hook call and each operation is a heartbeat in shared memory; a worker
 * whose heart stands still for `patience` seconds is ended, and its task ends with a `Hang` that names the hook.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Fixed } from '../lab/fault-pass.ts'
import { HOOKS } from '../lab/watch.ts'
import { InfrastructureError, UsageError } from './errors.ts'
import type { Setting } from './evaluate.ts'
import type { RaceSetting } from './race.ts'

/** What a worker can do. */
export type Task =
  | { readonly kind: 'describe'; readonly design: string }
  | { readonly kind: 'evaluate'; readonly design: string; readonly setting: Setting }
  | { readonly kind: 'self-test'; readonly fixed: Fixed }
  | { readonly kind: 'race'; readonly designs: readonly string[]; readonly setting: RaceSetting }

/** Seconds without a heartbeat after which a worker is ended; a judge of a large image takes less. */
export const PATIENCE = 20

/** A design did not come back. */
export class Hang extends Error {
  override readonly name = 'Hang'
}

type Message = { say: string } | { value: unknown } | { error: { name: string; message: string; code: number } }

/** Run one task. `say` is told what the worker is doing. @throws Hang, UsageError or an Error as the task ended */
export const runTask = (task: Task, say: (doing: string) => void, patience = PATIENCE): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const pulse = new SharedArrayBuffer(8)
    const cells = new Int32Array(pulse)
    Atomics.store(cells, 1, -1)
    const url = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)
    const worker = new Worker(url, { workerData: { task, pulse } })
    let [last, since] = [0, Date.now()]
    const watchdog = setInterval(() => {
      const now = Atomics.load(cells, 0)
      if (now !== last) [last, since] = [now, Date.now()]
      else if (task.kind !== 'self-test' && Date.now() - since > patience * 1000) {
        const hook = Atomics.load(cells, 1)
        end(() => reject(hang(hook, patience)))
      }
    }, 500)
    const end = (then: () => void): void => {
      clearInterval(watchdog)
      worker.removeAllListeners('exit')
      void worker.terminate().then(then)
    }
    worker.on('message', (m: Message) => {
      if ('say' in m) say(m.say)
      else if ('value' in m) end(() => resolve(m.value))
      else end(() => reject(failed(m.error)))
    })
    worker.on('error', (e) => end(() => reject(e)))
    worker.on('exit', (code) => {
      end(() => reject(new InfrastructureError(`a worker ended with code ${code}; is there enough memory?`)))
    })
  })

const hang = (hook: number, patience: number): Hang =>
  new Hang(`${hook >= 0 ? `the hook ${HOOKS[hook]}` : 'it'} did not return within ${patience} s: an endless loop`)

const failed = ({ name, message, code }: { name: string; message: string; code: number }): Error =>
  name === 'UsageError' || code === 2 ? new UsageError(message) : new InfrastructureError(message)

/** Run tasks, at most `most` at a time; the i-th answer, or the error that ended it, is the i-th task's. */
export const runAll = async (
  tasks: readonly Task[], say: (doing: string) => void, patience = PATIENCE, most = availableParallelism(),
): Promise<PromiseSettledResult<unknown>[]> => {
  const results: PromiseSettledResult<unknown>[] = new Array(tasks.length)
  let next = 0
  const lane = async (): Promise<void> => {
    for (let i = next++; i < tasks.length; i = next++) {
      results[i] = await runTask(tasks[i]!, say, patience).then(
        (value) => ({ status: 'fulfilled' as const, value }),
        (reason: unknown) => ({ status: 'rejected' as const, reason }),
      )
    }
  }
  await Promise.all(Array.from({ length: Math.min(tasks.length, most) }, lane))
  return results
}
