/**
 * Completion: how much was done, and what stopped it.
 *
 * The one conservation law of the project: consumed = accepted = reported; on an error everything past `bytes` is as it
 * was, and every page, block and reservation is back with its owner. A short write, a short bio, an RERROR and a send
 * checkpoint are all this value.
 *
 * Source: Stephen Tweedie, kiobuf discussion 2001 (seed 004): "completion needs to pass upwards (a) bytes-transferred,
 * and (b) errno, to satisfy the caller: everything else ... can be hooked by the caller".
 */
import type { Eq } from 'fp-ts/lib/Eq.js'
import type { Monoid } from 'fp-ts/lib/Monoid.js'
import type { Errno } from './errno.ts'

/** `bytes` were done; `errno` says what stopped the rest, null if nothing did. */
export interface Completion {
  readonly bytes: number
  readonly errno: Errno | null
}

/**
 * Completions in file order. The first error stops the count: bytes after it do not count, as a caller may only rely
 * on a prefix. Associative, neutral element `{0, null}`; not commutative.
 */
export const monoidCompletion: Monoid<Completion> = {
  empty: { bytes: 0, errno: null },
  concat: (a, b) => (a.errno !== null ? a : { bytes: a.bytes + b.bytes, errno: b.errno }),
}

/** Equality of completions. */
export const eqCompletion: Eq<Completion> = { equals: (a, b) => a.bytes === b.bytes && a.errno === b.errno }
