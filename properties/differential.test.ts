/**
 * The small end of `npm run differential`: brute force, states and source-DPOR agree for every design, with the device as a
 * fiber, without, and with faults; and on mutants that a thread loads. What the three count is compared, too.
 */
import { describe, expect, test } from 'vitest'
import type { Program } from '../src/lab/check/program.ts'
import { strategies } from '../src/strategies/index.ts'
import { JUDGES } from './claims/index.ts'
import { mutant } from './mutants/index.ts'
import { runWithMutant } from './mutants/load.ts'
import { Comparison, differenceOf, scenario, type Ways } from './three-ways.ts'
import { type Order, type Row, run } from './ways.ts'

/** Sizes that take a second. */
const order = (design: string, from: number): Order =>
  ({ design, from, least: 200, most: 1500, wanted: 1, tries: 60, seek: 4, only: null, mayBreakDown: false, patience: 20 })

const expectAgreement = (rows: readonly Row[]): void => {
  expect(rows.length).toBeGreaterThan(0)
  for (const r of rows) expect(r.difference, r.scenario).toBeNull()
}

describe('brute force, states and source-DPOR agree', () => {
  test.each(strategies.map(({ name }, i) => [name, i] as const))('on %s', (name, i) => {
    const rows = run(order(name, 3 * i))
    expectAgreement(rows)
    expect(rows.some((r) => r.byDpor !== null) && rows.some((r) => r.byDpor === null)).toBe(true)
  })

  test.each(['Z14', 'Z48', 'Z93'])('on %s', async (id) => {
    const what: Order = { ...order(mutant(id).strategy, 20), mayBreakDown: true }
    const outcome = await runWithMutant(id, new URL('./ways.ts', import.meta.url), what)
    expect(outcome).toMatchObject({ status: 'done' })
    if (outcome.status === 'done') expectAgreement(outcome.value as readonly Row[])
  })

  test('where a fiber waits for the device, which is a fiber itself', () => {
    const program: Program = {
      config: { format: 'ext2', blockSize: 4096, folioOrder: 1 },
      before: [{ op: 'write', pos: 0, len: 3000 }, { op: 'sync' }, { op: 'drop' }],
      fibers: [[{ op: 'read', pos: 500, len: 3000 }], [{ op: 'reclaim' }]],
    }
    const c = new Comparison({ program, slowDevice: true, faults: false }, { strategy: strategies[0]!, judges: JUDGES }, 2000)
    const ways = c.compare()
    expect(differenceOf(ways)).toBeNull()
    expect(ways.dpor!.interleavings).toBe(ways.brute.executions)
  })
})

describe('a disagreement is told', () => {
  const ways = (): Ways => new Comparison(scenario('pair:1:fast'), { strategy: strategies[0]!, judges: JUDGES }, 2000).compare()

  test('of ends', () => {
    const { states, ...rest } = ways()
    expect(differenceOf({ ...rest, states: { ...states, endStates: states.endStates.slice(1) } })).toMatch(/ends by brute force, by states/)
  })

  test('of claims', () => {
    const { brute, ...rest } = ways()
    const findings = [{ claim: 'I9', what: 'zeros', tape: {}, preemptions: 0, steps: 1 }]
    expect(differenceOf({ ...rest, brute: { ...brute, findings } })).toBe('brute force breaks I9, the search by states nothing')
  })

  test('of counts', () => {
    const { dpor, ...rest } = ways()
    expect(differenceOf({ ...rest, dpor: { ...dpor!, interleavings: 1 } })).toMatch(/interleavings, by source-DPOR 1/)
  })

  test('no scenario has a name that says nothing', () => {
    expect(() => scenario('pair:x:slow')).toThrow('no scenario pair:x:slow')
  })
})
