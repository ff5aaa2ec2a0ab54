import { expect, test } from 'vitest'
import { Overtime, within } from './interruptible.ts'

test('gives back what a call returns, or throws what it throws', () => {
  expect(within(1, () => 7)).toBe(7)
  expect(() => within(1, () => { throw new RangeError('mine') })).toThrow(new RangeError('mine'))
})

test('ends a loop, also one that catches everything', () => {
  const stubborn = (): never => {
    for (;;) {
      try {
        for (;;);
      } catch {
        continue
      }
    }
  }
  expect(() => within(0.2, stubborn)).toThrow(Overtime)
})

test('calls may be inside one another, and the outer one ends first if its time is up', () => {
  expect(within(5, () => within(1, () => 1) + within(1, () => 2))).toBe(3)
  expect(() => within(0.2, () => within(5, () => { for (;;); }))).toThrow(Overtime)
})
