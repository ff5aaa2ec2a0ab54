/** The thread's side of `check`: put the mutant in place, if there is one, then work. What a design prints goes to stderr. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Ask } from '../../properties/check.ts'
import { explain } from './errors.ts'

/** What a thread is given. */
export interface Order {
  readonly design: string
  readonly ask: Ask
  readonly share: number
  /** A mutant to live in this thread. */
  readonly mutant: string | null
}

const { design, ask, share, mutant } = workerData as Order

const work = async (): Promise<unknown> => {
  if (mutant !== null) {
    // The catalogue patches sources: it is there only where they are, so no import that the compiler would follow.
    const hook = (await import(new URL('../../properties/mutants/hook.ts', import.meta.url).href)) as { install(id: string): void }
    hook.install(mutant)
  }
  const { runTask } = await import('./check-task.ts')
  return runTask(design, ask, share, (loaded) => parentPort!.postMessage({ loaded }), (p) => parentPort!.postMessage({ say: p }))
}

work().then(
  (value) => parentPort!.postMessage({ value }),
  (e: unknown) => parentPort!.postMessage({ error: { name: e instanceof Error ? e.name : 'Error', ...explain(e) } }),
)
