import { expect, test } from 'vitest'
import type { AnyStrategy } from '../fs/strategy.ts'
import { type Kernel, raise } from '../kernel/kernel.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../strategies/reserve-copy-allocate.ts'
import { groundDevice } from './fault-pass.ts'
import { play } from './play.ts'
import { scene } from './scene.ts'

const device = groundDevice({ format: 'ext4', blockSize: 4096, folioOrder: 9 })
/** What the pass says of a design that differs from a good one by `change`. */
const said = (change: Partial<AnyStrategy>, base: AnyStrategy = reserveAllocate): string | undefined =>
  play(scene('new-file')!, { strategy: { ...base, ...change }, device, maxFolioOrder: 9 }).findings
    .find((f) => f.claim === 'port')?.what

test('a good design is not disturbed', () => {
  expect(said({})).toBeUndefined()
})

test('a hook that throws is named', () => {
  const oops = (): never => {
    throw new TypeError('oops')
  }
  expect(said({ *begin() { oops() } })).toBe('begin: threw TypeError: oops')
  expect(said({ mapped: oops })).toBe('mapped: threw TypeError: oops')
})

test('a hook that returns what its type forbids is named', () => {
  expect(said({ *commit(_k, _w, _m, _from, n) { return n + 1 } }, reserveCopyAllocate))
    .toMatch(/^commit: returned \d+, expected the bytes that stand, 0 to \d+$/)
  expect(said({ mapped: () => 1 as never })).toBe('mapped: returned 1, expected true or false')
  expect(said({ *getFolio() { return undefined as never } })).toBe('getFolio: returned undefined, expected a folio')
  expect(said({ begin: (() => undefined) as never })).toMatch(/^begin: returned undefined, expected a generator/)
})

test('a hook that may not fail and fails is named', () => {
  expect(said({ *end() { yield* raise('EIO') as Kernel<never> } })).toBe('end: raised EIO, but may not fail')
})

test('a hook that yields for ever, or what is no op, is named', () => {
  expect(said({ *begin() { for (;;) yield { label: 'x', ready: () => true } } })).toMatch(/^begin: yielded 10000 times/)
  expect(said({ *begin() { yield 7 as never } })).toBe('begin: yielded 7: did you mean yield*?')
})
