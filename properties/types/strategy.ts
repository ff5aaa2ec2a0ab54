/**
 * What the port refuses, line by line: Nick Piggin's rule ("operations after the copy not able to fail") as a type, and
 * which hooks may wait or fail. Nothing here runs; compile.test.ts shows that every expectation is needed.
 */
import { type Kernel, type Op, raise } from '../../src/kernel/kernel.ts'
import type { Claims, Strategy } from '../../src/fs/strategy.ts'

declare const op: Op
declare const claims: Claims
declare const fallible: () => Kernel<never, 'ENOSPC'>

const facts = { name: 'x', summary: 'x', source: 'x', unit: 'folio', copy: 'atomic', claims } as const

/** A design that cannot fail after the copy. */
type Early = Strategy<'ENOSPC', never>

export const allowed: Early = {
  ...facts,
  *begin(k, w) {
    yield op
    if (k.size(w.inode) > 0) yield* raise('ENOSPC')
  },
  *commit(_k, _w, _m, _from, n) {
    yield op
    return n
  },
  *end() {
    yield op
  },
}

export const failsInCommit: Early = {
  ...allowed,
  // @ts-expect-error -- commit may fail in Late only, and Late is never
  *commit() {
    return yield* fallible()
  },
}

export const failsInPutFolio: Early = {
  ...allowed,
  // @ts-expect-error -- putFolio cannot fail
  *putFolio() {
    yield* fallible()
  },
}

export const failsInEnd: Early = {
  ...allowed,
  // @ts-expect-error -- end cannot fail
  *end() {
    yield* fallible()
  },
}

export const failsLateAndSaysOtherwise: Strategy<'ENOSPC', 'EIO'> = {
  ...allowed,
  // @ts-expect-error -- ENOSPC after the copy, where only EIO is declared
  *commit() {
    return yield* fallible()
  },
}

export const endFailsEvenInALateDesign: Strategy<'ENOSPC', 'ENOSPC'> = {
  ...allowed,
  // @ts-expect-error -- Late is for commit alone
  *end() {
    yield* fallible()
  },
}

export const undeclaredBegin: Strategy<'EIO', never> = {
  ...facts,
  // @ts-expect-error -- begin raises ENOSPC, declared is EIO
  *begin() {
    yield* fallible()
  },
}

export const waitsInMapped: Early = {
  ...allowed,
  // @ts-expect-error -- mapped is plain
  *mapped() {
    yield op
    return true
  },
}

export const waitsInExclusive: Early = {
  ...allowed,
  // @ts-expect-error -- exclusive is plain
  *exclusive() {
    yield op
    return true
  },
}

export const commitForgetsItsBytes: Early = {
  ...allowed,
  // @ts-expect-error -- commit answers how many bytes stand
  *commit() {
    yield op
  },
}

declare const late: Strategy<'ENOSPC', 'EIO'>
// @ts-expect-error -- a late design where one that cannot fail after the copy is asked
export const lateAsEarly: Early = late
// @ts-expect-error -- nor through a spread
export const spreadAsEarly: Early = { ...late, name: 'y' }
export const earlyAsLate: Strategy<'ENOSPC', 'EIO'> = allowed
