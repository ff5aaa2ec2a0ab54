/**
 * Determinism: a run is a function of its steps. The same steps twice give the same bytes on the device, every one of
 * them, and the same ledger, counter by counter; nothing depends on a clock, on chance, or on what ran before.
 *
 * This is what replays, shrinking, comparisons of cost and every certificate stand on. Source: the design, sections 1
 * and 6.
 */
import { describe, expect, test } from 'vitest'
import { type Ledger, snapshot } from '../src/kernel/ledger.ts'
import { FaultPlan } from '../src/sim/fault-plan.ts'
import { SETTINGS } from './arbitraries/operations.ts'
import type { Step } from './arbitraries/steps.ts'
import { imageOf } from './checks.ts'
import { Machine, type Setting } from './machine.ts'
import { drawCase } from './soak.ts'

const SIZE = 16 * 1024 * 1024
const MOST = 120

const run = (
  setting: Setting, steps: readonly Step[], fail: readonly number[] | null,
): { image: Buffer; ledger: Ledger } => {
  const machine = new Machine({ ...setting, size: SIZE }, {
    mayFail: () => fail !== null, ...(fail !== null && { choices: new FaultPlan({ fail }) }),
  })
  for (const step of steps) machine.step(step)
  machine.replayer.closeAll()
  machine.session.posix.unmount()
  return { image: imageOf(machine.session), ledger: snapshot(machine.session.ledger) }
}

describe.each(SETTINGS.filter((s) => s.maxFolioOrder !== 2))(
  '$strategy on $format, blocks of $blockSize, folios up to order $maxFolioOrder',
  (setting) => {
    const { steps } = drawCase(setting.blockSize + setting.maxFolioOrder, setting.strategy, setting.format)

    test.each([['without faults', null], ['with faults', [7, 40, 41, 200]]] as const)('%s', (_, fail) => {
      const once = run(setting, steps.slice(0, MOST), fail)
      const twice = run(setting, steps.slice(0, MOST), fail)
      expect(twice.ledger).toEqual(once.ledger)
      expect(twice.image.equals(once.image)).toBe(true)
    })
  },
)

test('another step gives another image', () => {
  const setting = SETTINGS[0]!
  const step = (len: number): Step[] =>
    [{ op: 'open', fd: 0, path: 'a', flags: ['O_RDWR', 'O_CREAT'] }, { op: 'write', fd: 0, len, off: 0 }]
  const one = run(setting, step(5000), null)
  const other = run(setting, step(5001), null)
  expect(other.image.equals(one.image)).toBe(false)
  expect(other.ledger).not.toEqual(one.ledger)
})
