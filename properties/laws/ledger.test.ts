/** Ledger: counters add up, the peak is a maximum. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { COUNTERS, Ledger, monoidLedger, since, snapshot } from '../../src/kernel/ledger.ts'
import { commutes, monoidLaws } from './laws.test-util.ts'

const ledger: fc.Arbitrary<Ledger> = fc
  .array(fc.nat(1000), { minLength: COUNTERS.length, maxLength: COUNTERS.length })
  .map((counts) => Object.assign(new Ledger(), Object.fromEntries(COUNTERS.map((c, i) => [c, counts[i]]))))

describe('Ledger', () => {
  monoidLaws(monoidLedger, ledger)
  commutes(monoidLedger, ledger)

  test('what was counted since, added to what was counted before, is what is counted now', () => {
    fc.assert(
      fc.property(ledger, ledger, (before, more) => {
        const now = monoidLedger.concat(before, more)
        expect(monoidLedger.concat(before, since(before, now))).toEqual(now)
      }),
    )
  })

  test('a snapshot stays as it is while counting goes on', () => {
    const l = new Ledger()
    l.copies = 1
    const then = snapshot(l)
    l.copies++
    expect(then.copies).toBe(1)
    expect(since(then, l).copies).toBe(1)
  })

  test('the neutral element cannot be spoilt by concat', () => {
    const sum = monoidLedger.concat(monoidLedger.empty, new Ledger())
    sum.copies = 7
    expect(monoidLedger.empty).toEqual(new Ledger())
  })
})
