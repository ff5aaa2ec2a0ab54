/**
 * Kernel<A, E>: waiting and failing, in the type.
 *
 * - A plain function can neither wait nor fail. `Kernel<A>` may wait. `Kernel<A, 'ENOSPC'>` may also fail in that way.
 * - Waiting is `yield op`: the op says by `ready()` whether its fiber may go on. On the straight run an op that is not
 *   ready is a self-deadlock; in a scheduler, no fiber ready is a deadlock.
 * - Failing is `yield* raise(errno)`: it throws a preallocated Failure and leaves its errno as a phantom in the yield
 *   type, so the compiler refuses a caller that neither declares nor attempts it.
 * - `attempt(() => kernel)` turns a possible failure into an fp-ts Either. A plain try/catch cannot clear an errno.
 * - Rule: pipe for data, `yield*` for time.
 *
 * A failure is thrown, not yielded: a yielded one breaks when a `finally` has to wait (docs/adr/0002).
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import type { Errno } from './errno.ts'

/** Something that a fiber waits for: a lock, a bio, the next step of a scheduler. */
export interface Op {
  /** What is waited for, as it appears in a timeline: `folio 3 lock`. */
  readonly label: string
  /** May the fiber that yielded this op go on now? Pure: it changes nothing. */
  ready(): boolean
}

declare const raised: unique symbol
/** A phantom: the errnos that a Kernel may raise. Never yielded at run time. */
export interface Raise<E extends Errno> {
  readonly [raised]: E
}

/** A computation that may wait and, if E is not never, fail with one of E. */
export type Kernel<A, E extends Errno = never> = Generator<Op | Raise<E>, A, void>

/** What `raise` throws: an errno and the private fault code of the one place that raised it. Only bugs throw anything else. */
export class Failure {
  readonly errno: Errno
  /** Private cause, such as `ENOSPC.reserve`. */
  readonly code: string
  constructor(errno: Errno, code: string) {
    this.errno = errno
    this.code = code
  }
}

const failures = new Map<string, Failure>()

/** The one Failure with this fault code; made at its first use and kept. @throws Error if the code was used with another errno: a bug */
export const failure = (errno: Errno, code: string): Failure => {
  let f = failures.get(code)
  if (f === undefined) failures.set(code, (f = new Failure(errno, code)))
  if (f.errno !== errno) throw new Error(`fault code ${code} stands for ${f.errno}, not for ${errno}`)
  return f
}

/**
 * Fail with `errno`. Use as `return yield* raise('ENOSPC', 'ENOSPC.reserve')`.
 * @param code the fault code: the errno, a dot, and a word that names this place and no other
 */
// It never yields: the yield type is a phantom.
export function* raise<E extends Errno>(errno: E, code: `${E}.${string}` | E = errno): Kernel<never, E> {
  throw failure(errno, code)
}

/** Run `thunk` and return its failure as a Left. Anything thrown that is not a Failure is a bug and passes through. */
export function* attempt<A, E extends Errno>(thunk: () => Kernel<A, E>): Kernel<Either<E, A>> {
  try {
    return right(yield* thunk() as Kernel<A>)
  } catch (e) {
    if (e instanceof Failure) return left(e.errno as E)
    throw e
  }
}

/** A fiber waited for something that only itself could provide. */
export class SelfDeadlock extends Error {
  override readonly name = 'SelfDeadlock'
  constructor(label: string) {
    super(`self-deadlock: the only fiber waits for ${label}`)
  }
}

/**
 * The straight runner: one fiber, full speed. Returns the failure as Left.
 * @throws SelfDeadlock when the kernel yields an op that is not ready: nobody else could make it so
 */
export const run = <A, E extends Errno>(kernel: Kernel<A, E>): Either<E, A> => {
  try {
    for (;;) {
      const step = kernel.next()
      if (step.done === true) return right(step.value)
      const op = step.value as Op
      if (!op.ready()) {
        kernel.throw(new SelfDeadlock(op.label))
        throw new SelfDeadlock(op.label)
      }
    }
  } catch (e) {
    if (e instanceof Failure) return left(e.errno as E)
    throw e
  }
}
