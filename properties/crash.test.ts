/** The power goes: every design in every mode, and mistakes that only a power cut shows. A bounded part of `npm run crash`. */
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { describe, expect, test } from 'vitest'
import { CRASH_MODES } from '../src/lab/crash/declared.ts'
import { crashWorkload, type RunOptions } from '../src/lab/crash/run.ts'
import { openWorkload } from '../src/lab/workload/registry.ts'
import { CrashKernelJudge } from '../src/oracle/crash-kernel.ts'
import { FsckJudge } from '../src/oracle/crash-fsck.ts'
import { strategies } from '../src/strategies/index.ts'
import { CRASH_BUDGETS, crashByImages, crashByOurs } from './crash.ts'
import { CRASH_MUTANTS } from './crash-mutants/index.ts'
import { huntInThread } from './crash-mutants/load.ts'
import { apply, patchesOf } from './mutants/mutant.ts'

const design = (name: string) => strategies.find((s) => s.name === name)!
const reserve = design('reserve-allocate')

test.each(strategies.map((s) => s.name))('%s keeps what it promised in every mode, whatever a power cut leaves', (name) => {
  for (const mode of CRASH_MODES) {
    for (const row of crashByOurs(design(name), mode, CRASH_BUDGETS.smoke)) {
      expect([mode, row.workload, row.broken]).toEqual([mode, row.workload, []])
    }
  }
})

describe('a drive that says it has flushed, and has not', () => {
  test.each(CRASH_MODES)('is found on %s, and made small', (mode) => {
    const o: RunOptions = { strategy: reserve, mode, states: 300, seed: 1, torn: false, flushes: false, tries: 120 }
    const { shrunk } = crashWorkload(o, [...openWorkload('append').operations].slice(0, 120))
    const small = shrunk.find((c) => c.claim === 'I28')
    expect(small).toBeDefined()
    expect(small!.scenario.operations!.length).toBeLessThan(6)
  })
})

describe('mistakes in the sources', () => {
  const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
  test.each(CRASH_MUTANTS.map((m) => [m.id, m] as const))('%s applies, and can be loaded', (_, m) => {
    for (const { file } of patchesOf(m)) expect(() => stripTypeScriptTypes(apply(m, file, read(file)))).not.toThrow()
  })

  // The others take their time: npm run crash:mutants.
  const quick = CRASH_MUTANTS.filter((m) => ['C01', 'C02', 'C03', 'C05', 'C06', 'C09', 'C10', 'Z28', 'Z29', 'Z54'].includes(m.id))
  test.each(quick.map((m) => [m.id, m.title] as const))('%s: %s', async (id) => {
    const m = quick.find((x) => x.id === id)!
    const { broken } = await huntInThread({ id, alive: true, states: 1500 })
    expect(broken.some((b) => b.claim === m.claim || m.also?.includes(b.claim))).toBe(true)
  })
})

describe('judges of others', () => {
  const kernel = CrashKernelJudge.available()
  test.runIf(kernel.ok).each(['ext4,data=ordered', 'ext4,data=journal', 'ext2'] as const)(
    'the kernel mounts crash states of %s unrepaired', async (mode) => {
    const { states, broken } = await crashByImages(reserve, mode, 'kernel', 40)
    expect([broken, states > 10]).toEqual([[], true])
  })
  test.runIf(FsckJudge.available().ok)('e2fsck finds nothing after a replay', async () => {
    const { states, broken } = await crashByImages(reserve, 'ext4,data=ordered', 'fsck', 25)
    expect([broken, states > 10]).toEqual([[], true])
  })
})
