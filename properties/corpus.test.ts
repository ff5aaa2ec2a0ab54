/**
 * The corpus: every difference that a property run ever found, as steps that a correct system passes.
 *
 * An entry is a file of properties/corpus: `claim` (the sentence that was broken), `wrong` (what was seen), `setting`
 * and `steps`. It is played with all checks, on the setting in which it failed, and stays here forever. A setting
 * with a size is that of a small disk, which may be full.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Step } from './arbitraries/steps.ts'
import { imageOf } from './checks.ts'
import { Machine, mayBeFull, type Setting } from './machine.ts'

/** A difference that was found. */
interface Entry {
  readonly claim: string
  readonly wrong: string
  readonly setting: Setting
  readonly steps: readonly Step[]
}

const folder = join(import.meta.dirname, 'corpus')
const names = readdirSync(folder).filter((name) => name.endsWith('.json')).sort()

test.for(names)('%s', (name) => {
  const { claim, wrong, setting, steps } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Entry
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
