/**
 * watch: a strategy whose hooks are held to the contract of the port while they run.
 *
 * A hook that throws what is no errno, that returns what its type forbids, or that yields for ever is named: the error that
 * comes out is a `Breach` with the name of the hook. What a hook does right passes through unchanged.
 */
import type { AnyStrategy } from '../fs/strategy.ts'
import { Failure, type Kernel, type Op, SelfDeadlock } from '../kernel/kernel.ts'

/** Hooks of the port, in the order in which they are called. */
export const HOOKS = ['exclusive', 'mapped', 'begin', 'getFolio', 'commit', 'putFolio', 'end'] as const
/** The name of a hook. */
export type Hook = (typeof HOOKS)[number]
/** Hooks that are plain functions; the others are generators. */
export const PLAIN_HOOKS: readonly Hook[] = ['exclusive', 'mapped']
/** Hooks that may not fail. */
const INFALLIBLE: readonly Hook[] = ['putFolio', 'end']

/** A hook broke the contract of the port. */
export class Breach extends Error {
  override readonly name = 'Breach'
  readonly hook: Hook
  constructor(hook: Hook, problem: string, cause?: unknown) {
    super(`${hook}: ${problem}`, { cause })
    this.hook = hook
  }
}

/** More waits than any hook of a correct design makes in one call on the straight run. */
const MOST_WAITS = 10_000

const say = (e: unknown): string => (e instanceof Error ? `threw ${e.name}: ${e.message}` : `threw ${String(e)}`)

/** Errors that the pipeline and the verbs raise themselves keep their name. */
const passes = (e: unknown): boolean => e instanceof Breach || e instanceof SelfDeadlock

/** Called before each hook, with its place in HOOKS; for a watchdog. */
export type Heartbeat = (hook: number) => void

/** `s`, watched. */
export const watch = (s: AnyStrategy, beat: Heartbeat = () => {}): AnyStrategy => {
  const plain = (hook: Hook, f: (...args: never[]) => unknown) => (...args: never[]): unknown => {
    beat(HOOKS.indexOf(hook))
    let result: unknown
    try {
      result = f.apply(s, args)
    } catch (e) {
      throw passes(e) ? e : new Breach(hook, say(e), e)
    }
    if (typeof result !== 'boolean') throw new Breach(hook, `returned ${String(result)}, expected true or false`)
    return result
  }
  const generator = (hook: Hook, f: (...args: never[]) => Kernel<unknown, never>) =>
    function* (...args: never[]): Kernel<unknown> {
      beat(HOOKS.indexOf(hook))
      try {
        const kernel = f.apply(s, args)
        if (typeof kernel?.next !== 'function') {
          throw new Breach(hook, `returned ${String(kernel)}, expected a generator: write *${hook}(...) {...}`)
        }
        return check(hook, args, yield* bounded(hook, kernel))
      } catch (e) {
        if (e instanceof Failure && !INFALLIBLE.includes(hook)) throw e
        if (e instanceof Failure) throw new Breach(hook, `raised ${e.errno}, but may not fail`, e)
        throw passes(e) ? e : new Breach(hook, say(e), e)
      }
    }
  const watched: Record<string, unknown> = { ...s }
  for (const hook of HOOKS) {
    const f = s[hook] as ((...args: never[]) => never) | undefined
    if (f !== undefined) watched[hook] = PLAIN_HOOKS.includes(hook) ? plain(hook, f) : generator(hook, f)
  }
  return watched as unknown as AnyStrategy
}

/** Pass on what `kernel` yields; what is no op, and too many of them, is a breach. */
function* bounded(hook: Hook, kernel: Kernel<unknown, never>): Kernel<unknown> {
  for (let waits = 0; ; waits++) {
    const step = kernel.next()
    if (step.done === true) return step.value
    const op = step.value as Op | undefined
    if (typeof op?.ready !== 'function') throw new Breach(hook, `yielded ${String(op)}: did you mean yield*?`)
    if (waits >= MOST_WAITS) throw new Breach(hook, `yielded ${MOST_WAITS} times and did not return`)
    try {
      yield op
    } catch (e) {
      kernel.throw(e)
      throw e
    }
  }
}

/** Is what a hook returned what it may return? */
const check = (hook: Hook, args: readonly unknown[], result: unknown): unknown => {
  if (hook === 'commit') {
    const n = args[4] as number
    if (!Number.isInteger(result) || (result as number) < 0 || (result as number) > n) {
      throw new Breach(hook, `returned ${String(result)}, expected the bytes that stand, 0 to ${n}`)
    }
  }
  if (hook === 'getFolio') {
    const f = result as { locked?: unknown; size?: unknown } | undefined
    if (typeof f?.size !== 'number') throw new Breach(hook, `returned ${String(result)}, expected a folio`)
    if (f.locked !== true) throw new Breach(hook, 'returned a folio that is not locked')
  }
  return result
}
