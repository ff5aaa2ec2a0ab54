/** Units and errnos: small arithmetic that everything rests on. */
import { constants } from 'node:os'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { straight } from './choices.ts'
import { ERRNO, isErrno } from './errno.ts'
import { PAGE, PAGE_SHIFT, roundDown, roundUp, unitsTouched } from './units.ts'

const bytes = fc.integer({ min: 0, max: 2 ** 50 })
const unit = fc.oneof(fc.constantFrom(512, 1024, 4096, 2 ** 21), fc.integer({ min: 1, max: 10_000 }))

describe('units', () => {
  test('a page is 2^PAGE_SHIFT bytes', () => {
    expect(2 ** PAGE_SHIFT).toBe(PAGE)
  })

  test('roundDown and roundUp are the nearest multiples, and leave multiples alone', () => {
    fc.assert(
      fc.property(bytes, unit, (n, u) => {
        const down = roundDown(n, u)
        const up = roundUp(n, u)
        expect([down % u, up % u]).toEqual([0, 0])
        expect(down <= n && n <= up).toBe(true)
        expect(up - down).toBe(n % u === 0 ? 0 : u)
      }),
    )
  })

  test('unitsTouched counts the units that hold at least one of the bytes', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(50), fc.integer({ min: 1, max: 20 }), (pos, len, u) => {
        const touched = new Set(Array.from({ length: len }, (_, i) => Math.floor((pos + i) / u)))
        expect(unitsTouched(pos, len, u)).toBe(touched.size)
      }),
    )
  })
})

describe('errnos', () => {
  test('have the numbers of Linux', () => {
    const here: Readonly<Record<string, number>> = process.platform === 'linux' ? constants.errno : ERRNO
    const known = Object.entries(ERRNO).filter(([name]) => name in here)
    expect(known.length).toBeGreaterThan(20)
    for (const [name, number] of known) expect(here[name], name).toBe(number)
  })

  test('are known by name, inherited names are not', () => {
    expect(['EIO', 'ENOSPC'].every(isErrno)).toBe(true)
    expect(['EWHAT', 'toString', ''].some(isErrno)).toBe(false)
  })
})

test('the straight run takes the simplest course everywhere', () => {
  expect([1, 2, 9].map((n) => straight.choose(n, 'fault', 'x'))).toEqual([0, 0, 0])
})
