/** Search: the results of parts of a search add up to the result of the whole, in any grouping. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Finding, mergeSearch, type Search } from '../../src/sim/search.ts'
import { KINDS } from '../../src/sim/tape.ts'
import { tapes } from '../arbitraries/tape.ts'
import { monoidLaws } from './laws.test-util.ts'

const sorted = <A extends string | number>(value: fc.Arbitrary<A>): fc.Arbitrary<readonly A[]> =>
  fc.uniqueArray(value, { maxLength: 4 }).map((list) => list.sort((a, b) => (a < b ? -1 : 1)))

const findings: fc.Arbitrary<readonly Finding[]> = sorted(fc.constantFrom('I1', 'I2', 'deadlock')).chain((claims) =>
  fc.tuple(...claims.map((claim) => fc.record({
    claim: fc.constant(claim), what: fc.constantFrom('a', 'b'), tape: tapes(), preemptions: fc.nat(2), steps: fc.nat(2),
  }))))

const search: fc.Arbitrary<Search> = fc.record({
  executions: fc.nat(99), complete: fc.nat(99), pruned: fc.nat(99), steps: fc.nat(99), states: fc.nat(99),
  deepest: fc.nat(99),
  interleavings: fc.option(fc.nat(99)),
  endStates: sorted(fc.nat(9)),
  findings,
  interrupted: sorted(fc.constantFrom('executions', 'states', 'steps', 'finding', 'caller', 'indeterminate')),
  cut: fc.subarray([...KINDS]),
})

describe('mergeSearch', () => {
  monoidLaws(mergeSearch, search)

  test('everything that one of the parts found is there, once for each claim', () => {
    fc.assert(
      fc.property(search, search, (a, b) => {
        const merged = mergeSearch.concat(a, b).findings.map((f) => f.claim)
        expect(merged).toEqual([...new Set([...a.findings, ...b.findings].map((f) => f.claim))].sort())
      }),
    )
  })

  test('the order of the parts matters to nothing but the labels of equal tapes', () => {
    const bare = (s: Search) =>
      ({ ...s, findings: s.findings.map(({ claim, what, steps }) => ({ claim, what, steps })) })
    fc.assert(
      fc.property(search, search, (a, b) => {
        expect(bare(mergeSearch.concat(a, b))).toEqual(bare(mergeSearch.concat(b, a)))
      }),
    )
  })
})
