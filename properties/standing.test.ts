/**
 * Counterexamples that stand: claims that a design breaks as its source does, and that are let stand for that reason. Each file
 * shows today what it says, and its cell is among the deviations.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DEVIATIONS } from './claims/deviations.ts'
import { brokenToday } from './corpus.ts'

const FOLDER = join(import.meta.dirname, 'standing')

test.for(readdirSync(FOLDER).sort())('%s', (name) => {
  const text = readFileSync(join(FOLDER, name), 'utf8')
  const { claim, strategy } = JSON.parse(text) as { readonly claim: string; readonly strategy: { readonly name: string } }
  expect(brokenToday({ name, text })[0]).toMatch(new RegExp(`^${claim}: `))
  expect(DEVIATIONS.find((d) => d.design === strategy.name && d.claim === claim)?.found).toBe('fail')
})
