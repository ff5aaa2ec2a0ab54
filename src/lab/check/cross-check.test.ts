/** The explorer, asked by other routes: it must agree with itself, and a difference must show. */
import { expect, test } from 'vitest'
import { raise } from '../../kernel/kernel.ts'
import { reserveAllocate } from '../../strategies/reserve-allocate.ts'
import { invalidateSplice } from '../../strategies/invalidate-splice.ts'
import { crossCheck } from './cross-check.ts'
import type { CrossCheck } from './verdict.ts'

const all = (...[options, programs]: Parameters<typeof crossCheck>): CrossCheck => {
  const steps = crossCheck(options, programs)
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

test.each([reserveAllocate, invalidateSplice])('$name: pruned, unpruned and reversed searches come to the same ends', (strategy) => {
  const found = all({ strategy, seed: 1 }, 3)
  expect(found.differences).toEqual([])
  expect(found.programs).toBe(3)
  expect(found.endStates).toBeGreaterThanOrEqual(3)
  expect(found.unpruned).toBeGreaterThan(found.executions)
  expect(all({ strategy, seed: 1 }, 3)).toEqual(found)
})

test('a design that does not do the same again is seen', () => {
  let calls = 0
  const fickle = { ...reserveAllocate, *begin(...args: Parameters<typeof reserveAllocate.begin>) {
    if (++calls % 61 === 0) return yield* raise('ENOSPC')
    yield* reserveAllocate.begin(...args)
  } }
  const { differences } = all({ strategy: fickle as never, seed: 1 }, 3)
  expect(differences.join()).toMatch(/\d+ ends, (without pruning|with the fibers the other way round) \d+|led to another state/)
})
