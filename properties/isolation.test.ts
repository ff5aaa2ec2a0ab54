/** Isolation: the document covers every design and says what is measured; each difference is explained, here and in the kernel. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { LEVELS } from '../src/lab/isolation/level.ts'
import { OBSERVERS, type Scene } from '../src/lab/isolation/programs.ts'
import { canProbe, probe, PROBE_CELLS, PROBED, probedLevel } from '../src/oracle/isolation-probe.ts'
import { strategies } from '../src/strategies/index.ts'
import { DESIGNS } from './claims/expected.ts'
import { LEVELS as CLAIMED } from './claims/isolation.ts'
import { ISOLATION_DEVIATIONS } from './isolation-deviations.ts'
import { EXPECTED_ISOLATION, OBSERVERS as EXPECTED } from './isolation-expected.ts'
import { agrees, KERNEL_DIFFERS, NEAREST, PROBED_OBSERVERS, readKernelDocument, weakestCell } from './isolation-kernel.ts'
import { measureDesign, SHARED_READS } from './isolation-measure.ts'

const document = readFileSync(new URL('../docs/isolation.md', import.meta.url), 'utf8')

/** Levels of the document's first table, by design: `declared`, then one an observer. */
const written = new Map(document.slice(document.indexOf('| design | declared |'), document.indexOf('Runs that showed nothing'))
  .split('\n').slice(2).filter((line) => line.startsWith('| '))
  .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim().split(' ')))
  .map(([design, ...cells]) => [design!.join(' '), cells.map((c) => c[0]!)] as const))

test('the words are those of claim I20', () => {
  expect(LEVELS).toEqual(CLAIMED)
  expect(OBSERVERS).toEqual(EXPECTED)
})

test('the table has every design, with what it declares: else npm run isolation -- --write', () => {
  expect([...written.keys()]).toEqual([...strategies, SHARED_READS].map((s) => s.name))
  for (const s of strategies) expect(written.get(s.name)![0], s.name).toBe(s.claims.isolation)
})

test('no design reads less than it declares', () => {
  for (const [name, [declared, read]] of written) {
    expect(LEVELS.indexOf(read as 'write'), name).toBeLessThanOrEqual(LEVELS.indexOf(declared as 'write'))
  }
})

test('what differs from what was expected stands among the deviations, and nothing else does', () => {
  const differing = DESIGNS.flatMap((d) => OBSERVERS.flatMap((o, i) => {
    const measured = written.get(d)![i + 1]!
    return measured === EXPECTED_ISOLATION[d][o] ? [] : [`${d} ${o} ${measured}`]
  }))
  expect(ISOLATION_DEVIATIONS.map((d) => `${d.design} ${d.observer} ${d.measured}`).sort()).toEqual(differing.sort())
  for (const { why } of ISOLATION_DEVIATIONS) expect(document).toContain(why)
})

describe('a small run says what the document says', () => {
  const small = (s: Scene): boolean => s.config.folioOrder === 0 && s.shape !== '32 KiB' && s.state !== 'cold'
  test.each(strategies.filter((s) => ['reserve-allocate', 'invalidate-splice'].includes(s.name)).map((s) => [s.name, s] as const))(
    '%s', (name, strategy) => {
      const { cells } = measureDesign(strategy, { seed: 1, chance: 4 }, small)
      expect(OBSERVERS.map((o) => cells[o].level)).toEqual(written.get(name)!.slice(1))
    })
})

describe('live file systems', () => {
  const { systems } = readKernelDocument()

  test.each(PROBED)('%s: every cell was measured, and a level that is not the model\'s is explained', (fs) => {
    const system = systems[fs]!
    expect(system.cells.map((c) => c.id)).toEqual(PROBE_CELLS.map((c) => c.id))
    const model = written.get(NEAREST[fs])!
    OBSERVERS.forEach((o, i) => {
      if (PROBED_OBSERVERS[o] === undefined) return
      const same = agrees(model[i + 1] as 'write', probedLevel(weakestCell(system, o)))
      expect(same || KERNEL_DIFFERS[fs]?.[o] !== undefined, `${fs} ${o}`).toBe(true)
    })
  })

  test.skipIf(!canProbe('ext4').ok)('the probe looks, with every kind of observer', async () => {
    const kinds = PROBE_CELLS.filter((c) => /4K$|appends|two writers|direct/.test(c.id))
    for (const cell of await probe('ext4', 0.1, kinds)) {
      expect(cell.refused, cell.id).toBeUndefined()
      expect(cell.looks, cell.id).toBeGreaterThan(0)
    }
  })
})
