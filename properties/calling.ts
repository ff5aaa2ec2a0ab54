/** Calling: which hook of a design runs at this moment, for the message of a watchdog. */
import type { AnyStrategy } from '../src/fs/strategy.ts'
import type { Kernel } from '../src/kernel/kernel.ts'
import { HOOKS, PLAIN_HOOKS } from '../src/lab/watch.ts'

/** The hook that runs, or null. */
export interface Called {
  hook: string | null
}

/** A kernel that says that it runs; what it yields, returns and throws passes through. */
class Telling {
  readonly #kernel: Kernel<unknown>
  readonly #hook: string
  readonly #called: Called
  constructor(kernel: Kernel<unknown>, hook: string, called: Called) {
    this.#kernel = kernel
    this.#hook = hook
    this.#called = called
  }
  next(): IteratorResult<unknown, unknown> {
    return this.#run(() => this.#kernel.next())
  }
  throw(e: unknown): IteratorResult<unknown, unknown> {
    return this.#run(() => this.#kernel.throw(e))
  }
  #run<A>(f: () => A): A {
    this.#called.hook = this.#hook
    try {
      return f()
    } finally {
      this.#called.hook = null
    }
  }
}

/** `s`, which notes in `called` the hook that runs. Where a hook was interrupted from outside its name stays. */
export const calling = (s: AnyStrategy, called: Called): AnyStrategy => {
  const told: Record<string, unknown> = { ...s }
  for (const hook of HOOKS) {
    const f = s[hook] as ((...args: never[]) => unknown) | undefined
    if (typeof f !== 'function') continue
    told[hook] = (...args: never[]): unknown => {
      called.hook = hook
      try {
        const result = f.apply(s, args)
        const tells = !PLAIN_HOOKS.includes(hook) && typeof (result as Kernel<unknown> | null)?.next === 'function'
        return tells ? new Telling(result as Kernel<unknown>, hook, called) : result
      } finally {
        called.hook = null
      }
    }
  }
  return told as unknown as AnyStrategy
}
