import { expect, test } from 'vitest'
import { JUDGES } from '../../../properties/claims/index.ts'
import { strategies } from '../../strategies/index.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { witnessColumns } from '../../report/witness.ts'
import type { Action, Program } from './program.ts'
import { actionsOf, firstDifference, heldTo, type Witness, witness, witnessRun, type WitnessSearch } from './witness.ts'

const named = (name: string): AnyStrategy => strategies.find((s) => s.name === name)!
const write = (pos: number, len: number): Action => ({ op: 'write', pos, len })
const config = { format: 'ext4', blockSize: 4096, folioOrder: 0 } as const

/** A page that is dirty, and a hole before it: the late failure of 2010. */
const late: Program = { config, before: [write(4096, 4096)], fibers: [[write(0, 8192)]] }
const harmless: Program = { config, before: [], fibers: [[write(0, 4096)]] }
const store: Program = { config, before: [write(0, 4096)], fibers: [[write(100, 300)], [{ op: 'store', pos: 3000, len: 200 }]] }

const search = (a: string, b: string, programs: readonly Program[], claim?: string): WitnessSearch => {
  const families = [function* () { yield* programs }]
  const options = { a: named(a), b: named(b), judges: JUDGES, seed: 1, executions: 20_000, families, ...(claim !== undefined && { claim }) }
  const steps = witness(options)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

test('the order of 2010 leaves the bytes of a failed write, what upstream became does not', () => {
  const { found, cut } = search('reserve-copy-allocate', 'reserve-allocate', [harmless, store, late], 'I12')
  expect(found).toMatchObject({ claim: 'I12', program: late, size: { actions: 2, faults: 1, preemptions: 0 } })
  expect(found!.kept).toBeGreaterThan(1)
  expect(cut).toEqual([])
})

test('what breaks with fewer actions and no fault comes first', () => {
  const { found } = search('invalidate-then-add', 'invalidate-splice', [late, store], 'I23')
  expect(found).toMatchObject({ claim: 'I23', program: store, size: { actions: 3, faults: 0 } })
})

test('nothing is found where the second design breaks as well, or the first does not', () => {
  expect(search('reserve-copy-allocate', 'reserve-copy-allocate', [late], 'I12').found).toBeNull()
  expect(search('reserve-allocate', 'reserve-copy-allocate', [late, store]).found).toBeNull()
})

test('a design is held to what the other promises', () => {
  const held = heldTo(named('reserve-allocate'), named('invalidate-splice')).claims
  expect(held).toMatchObject({ isolation: 'folio', rollback: true, mayRefuse: false })
  expect(held.stablePages).toBe(false)
})

test('actions are counted with those before', () => {
  expect([late, harmless, store].map(actionsOf)).toEqual([2, 1, 3])
})

test('side by side, one column breaks and the other holds, with the first difference marked once', () => {
  const [a, b] = [named('reserve-copy-allocate'), named('reserve-allocate')]
  const found: Witness = search(a.name, b.name, [late], 'I12').found!
  const runs = [witnessRun(heldTo(a, b), found, JUDGES), witnessRun(b, found, JUDGES)] as const
  expect(runs[0].broken).toMatch(/ENOMEM/)
  expect(runs[1].broken).toBeNull()
  expect(firstDifference(...runs)).toBeLessThan(Math.min(runs[0].steps.length, runs[1].steps.length))
  const text = witnessColumns(...runs)
  expect(text.split('\n').filter((line) => line.includes(' ≠ '))).toHaveLength(1)
  expect(text).toContain('ENOMEM.record fails')
  expect(text).toContain('✓ the claim holds')
})
