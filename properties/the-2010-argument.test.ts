/** The document on the 2010 argument says what a new run says; and the run does what was expected before any was made. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { debated } from '../src/strategies/index.ts'
import { EXPECTED_INJECTIONS } from './claims/expected.ts'
import { DOCUMENT, INJECTIONS, renewed, type Results, runArgument } from './the-2010-argument.ts'
import { SENTENCES } from './the-2010-sentences.ts'

const DESIGNS = debated.map((s) => s.name)
let results: Results
beforeAll(() => {
  results = runArgument()
}, 300_000)

const broken = (injection: string, claim: string): readonly string[] =>
  DESIGNS.filter((s) => results.cells[injection]![s]!.broken[claim] !== undefined)

test('its generated parts are up to date: node properties/the-2010-argument.ts renews them', () => {
  const document = readFileSync(DOCUMENT, 'utf8')
  expect(renewed(document, results)).toBe(document)
})

test('every cell covers all schedules, with no bound', () => {
  for (const { id } of INJECTIONS) for (const s of DESIGNS) expect(results.cells[id]![s]!.schedules, `${id} ${s}`).toBeGreaterThan(1)
})

describe('as the mails have it', () => {
  test('a late failure leaves bytes in the order of 2010 alone', () => {
    expect(broken('a', 'I12')).toEqual(Object.keys(EXPECTED_INJECTIONS.late))
  })

  test('a store in between is lost by invalidating alone', () => {
    expect(broken('b', 'I23')).toEqual(Object.keys(EXPECTED_INJECTIONS.store))
  })

  test('a pinned page is refused by invalidating alone, and stable nowhere', () => {
    expect(broken('c', 'I26')).toEqual(['invalidate-then-add'])
    expect(broken('g', 'I21')).toEqual(DESIGNS)
  })

  test('half a page is seen wherever pages are changed in place', () => {
    expect(broken('d', 'I20').toSorted()).toEqual(Object.keys(EXPECTED_INJECTIONS.reader).toSorted())
  })
})

test('each sentence is there once, and what is said of it ends in no full stop', () => {
  expect(new Set(SENTENCES.map((s) => s.quote)).size).toBe(SENTENCES.length)
  for (const s of SENTENCES) expect(s.judge(results).because, s.quote).toMatch(/^.{20,}[^.]$/)
})
