/** What checks find is what was expected, or stands among the deviations; the document says both. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { checkAll } from '../src/lab/check/check.ts'
import { strategies } from '../src/strategies/index.ts'
import { DEVIATIONS } from './claims/deviations.ts'
import { DESIGNS, expected, EXPECTED_CLAIMS } from './claims/expected.ts'
import { JUDGES } from './claims/index.ts'
import { renewedVerdicts, VERDICTS } from './verdicts.ts'

test('the document is up to date: node properties/verdicts.ts renews it', () => {
  const document = readFileSync(VERDICTS, 'utf8')
  expect(renewedVerdicts(document)).toBe(document)
})

test('something is expected of every design and claim, and of no other', () => {
  expect(DESIGNS).toEqual(strategies.map((s) => s.name))
  for (const s of DESIGNS) for (const id of EXPECTED_CLAIMS) expect(expected(s, id).why, `${s} ${id}`).toMatch(/^\S.{10,}[^.]$/)
})

test('a deviation differs from what was expected, and says why', () => {
  for (const { design, claim, found, why } of DEVIATIONS) {
    expect(expected(design, claim).status, `${design} ${claim}`).not.toBe(found)
    expect(why.length).toBeGreaterThan(20)
  }
})

describe('a small check breaks nothing that is not known', () => {
  test.each(strategies.map((s) => [s.name, s] as const))('%s', (name, strategy) => {
    const design = DESIGNS.find((d) => d === name)!
    const known = (claim: string): boolean =>
      (EXPECTED_CLAIMS.includes(claim) && ['fail', 'declared'].includes(expected(design, claim).status)) ||
      DEVIATIONS.some((d) => d.design === name && d.claim === claim && d.found === 'fail')
    const { found } = checkAll({ strategy, judges: JUDGES, seed: 1, executions: 300 })
    for (const [claim, { what }] of Object.entries(found)) expect(known(claim), `${name} ${claim}: ${what}`).toBe(true)
  })
})
