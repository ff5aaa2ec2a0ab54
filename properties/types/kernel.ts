/**
 * What the types of Kernel refuse, line by line. Nothing here runs: `npm run typecheck` compiles it, and fails where an
 * expected error does not come. compile.test.ts shows that every expectation is needed.
 */
import type { Either } from 'fp-ts/lib/Either.js'
import { attempt, type Kernel, type Op, raise, run } from '../../src/kernel/kernel.ts'

declare const op: Op
declare const reserve: () => Kernel<number, 'ENOSPC'>
declare const wait: () => Kernel<number>

export function* aFailureIsNotDeclared(): Kernel<number> {
  // @ts-expect-error -- ENOSPC is neither declared nor attempted
  return yield* reserve()
}

export function* anotherErrnoIsDeclared(): Kernel<number, 'EIO'> {
  // @ts-expect-error -- ENOSPC is not EIO
  return yield* reserve()
}

export function* raisedAndNotDeclared(): Kernel<void> {
  // @ts-expect-error -- raises EIO
  yield* raise('EIO')
}

export function* tryDoesNotClear(): Kernel<number> {
  try {
    // @ts-expect-error -- a catch may filter, so the errno stays; only attempt clears it
    return yield* reserve()
  } catch {
    return 0
  }
}

export function* forgottenStar(): Kernel<number, 'ENOSPC'> {
  // @ts-expect-error -- a Kernel is not its value
  const n: number = reserve()
  return n
}

export function* yieldWithoutStar(): Kernel<void> {
  // @ts-expect-error -- a Kernel is not an op to wait for
  yield wait()
}

export function* returnedInsteadOfRun(): Kernel<number> {
  // @ts-expect-error -- returns the Kernel, not its value
  return wait()
}

export const plainFunctionsDoNotWait = (): number =>
  // @ts-expect-error -- a plain function has no way to wait
  wait()

export function* theCodeBelongsToTheErrno(): Kernel<never, 'EIO'> {
  // @ts-expect-error -- an ENOSPC code under EIO
  return yield* raise('EIO', 'ENOSPC.reserve')
}

export function* noSuchErrno(): Kernel<void> {
  // @ts-expect-error -- not an errno that we know
  yield* raise('EWHATEVER')
}

// @ts-expect-error -- the failure of a run is ENOSPC, not EIO
export const wrongLeft: Either<'EIO', number> = run(reserve())

// @ts-expect-error -- attempt takes a thunk: a kernel would be running already
export const notAThunk = attempt(reserve())

export function* allowed(): Kernel<number, 'EIO'> {
  yield op
  const tried = yield* attempt(reserve)
  if (tried._tag === 'Left') return yield* raise('EIO', 'EIO.giving-up')
  const narrower: Kernel<number, 'EIO'> = wait()
  return tried.right + (yield* narrower)
}
