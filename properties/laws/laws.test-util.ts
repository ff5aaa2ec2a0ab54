/**
 * Laws: what an instance promises, as fast-check properties.
 *
 * Each function states the laws of one fp-ts class for one instance; a test calls it with an arbitrary of the values.
 */
import fc from 'fast-check'
import type { Eq } from 'fp-ts/lib/Eq.js'
import type { Monoid } from 'fp-ts/lib/Monoid.js'
import { expect, test } from 'vitest'

/** Reflexive, symmetric, transitive. */
export const eqLaws = <A>(eq: Eq<A>, value: fc.Arbitrary<A>): void => {
  test('equality is reflexive, symmetric and transitive', () => {
    fc.assert(
      fc.property(value, value, value, (a, b, c) => {
        expect(eq.equals(a, a)).toBe(true)
        expect(eq.equals(a, b)).toBe(eq.equals(b, a))
        if (eq.equals(a, b) && eq.equals(b, c)) expect(eq.equals(a, c)).toBe(true)
      }),
    )
  })
}

/** Associative, with a neutral element on both sides; values are compared deeply. */
export const monoidLaws = <A>(m: Monoid<A>, value: fc.Arbitrary<A>): void => {
  test('concat is associative', () => {
    fc.assert(
      fc.property(value, value, value, (a, b, c) => {
        expect(m.concat(m.concat(a, b), c)).toEqual(m.concat(a, m.concat(b, c)))
      }),
    )
  })
  test('empty is neutral on both sides', () => {
    fc.assert(
      fc.property(value, (a) => {
        expect(m.concat(m.empty, a)).toEqual(a)
        expect(m.concat(a, m.empty)).toEqual(a)
      }),
    )
  })
}

/** The order of two does not matter. */
export const commutes = <A>(m: Monoid<A>, value: fc.Arbitrary<A>): void => {
  test('concat commutes', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(m.concat(a, b)).toEqual(m.concat(b, a))
      }),
    )
  })
}
