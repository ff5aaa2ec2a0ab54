/**
 * The corpus: every difference that was ever found and fixed, as a run that a correct system passes. Stays forever, runs first.
 *
 * What a property run found is a file with `claim` (the sentence that was broken), `wrong` (what was seen), `setting` and
 * `steps`; it is played with all checks, on the setting in which it failed. A setting with a size is that of a small disk,
 * which may be full. What a check found is a counterexample: its run is made again under the eyes of all claims; of a crash, its
 * state is recovered again.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Step } from './arbitraries/steps.ts'
import { imageOf } from './checks.ts'
import { brokenToday, counterexampleEntries, stepEntries } from './corpus.ts'
import { Machine, mayBeFull, type Setting } from './machine.ts'

/** A difference that was found. */
interface Steps {
  readonly claim: string
  readonly wrong: string
  readonly setting: Setting
  readonly steps: readonly Step[]
}

test.for(counterexampleEntries().map((e) => [e.name, e] as const))('%s', ([, entry]) => {
  expect(brokenToday(entry)).toEqual([])
})

test('there are entries of both kinds', () => {
  expect(counterexampleEntries().length).toBeGreaterThan(0)
  expect(stepEntries().length).toBeGreaterThan(0)
})

test('an entry whose bug is back says so', () => {
  const [entry] = counterexampleEntries()
  const gone = { name: 'gone', text: entry!.text.replace(/"strategy": \{"name":"[^"]*"/, '"strategy": {"name":"gone"') }
  expect(brokenToday(gone)).toEqual(['no design is named gone any more: give the entry another'])
})

test.for(stepEntries().map((e) => [e.name, e.text] as const))('%s', ([, text]) => {
  const { claim, wrong, setting, steps } = JSON.parse(text) as Steps
  expect(claim).toMatch(/^I\d+$/)
  expect(wrong.length).toBeGreaterThan(10)
  const full = setting.size === undefined ? {} : { mayFail: mayBeFull }
  const machine = new Machine(setting, { cache: true, space: true, ...full })
  expect(machine.play(steps)).toBeNull()
  expect(machine.finish()).toBeNull()
  const scratch = mkdtempSync(join(tmpdir(), 'corpus-'))
  try {
    writeFileSync(join(scratch, 'image'), imageOf(machine.session))
    execFileSync('e2fsck', ['-fn', join(scratch, 'image')], { stdio: 'pipe' })
  } finally {
    rmSync(scratch, { recursive: true })
  }
})
