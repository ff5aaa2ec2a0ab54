import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fillPayload, payload } from './payload.ts'
import { Random } from './random.ts'

test('a payload that is filled in two parts is the payload', () => {
  fc.assert(fc.property(fc.nat(), fc.nat(), fc.nat(100), fc.nat(100), (op, salt, len, cut) => {
    const whole = payload(op, len, salt)
    const parts = new Uint8Array(len)
    const at = Math.min(cut, len)
    fillPayload(parts.subarray(0, at), op, salt)
    fillPayload(parts.subarray(at), op, salt, at)
    expect(parts).toEqual(whole)
  }))
})

test('no two writes share a word at the same place', () => {
  const seen = new Set<number>()
  for (let op = 0; op < 10_000; op++) seen.add(new DataView(payload(op, 4).buffer).getUint32(0))
  expect(seen.size).toBeGreaterThan(9_998)
})

test('a write does not repeat the words of another at another place', () => {
  const words = (op: number): Set<number> => new Set(new Uint32Array(payload(op, 1 << 18).buffer))
  const first = words(0)
  expect(first.size).toBeGreaterThan(65_530)
  expect([...words(1)].filter(word => first.has(word)).length).toBeLessThan(8)
})

test('the payload of another salt is another payload', () => {
  expect(payload(3, 64, 1)).not.toEqual(payload(3, 64))
})

test('the random numbers of a seed never change', () => {
  const random = new Random(42)
  expect([random.bits(), random.bits(), random.bits()]).toMatchInlineSnapshot(`
    [
      660444221,
      3652823732,
      77678286,
    ]
  `)
  expect(random.below(1)).toBe(0)
  fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 0xffffffff }), (seed, n) => {
    const value = new Random(seed).below(n)
    expect(Number.isInteger(value) && value >= 0 && value < n).toBe(true)
  }))
  expect(random.weighted([0, 1, 0])).toBe(1)
})
