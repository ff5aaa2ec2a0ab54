/** Completion: the monoid of prefixes. */
import fc from 'fast-check'
import { concatAll } from 'fp-ts/lib/Monoid.js'
import { describe, expect, test } from 'vitest'
import { type Completion, eqCompletion, monoidCompletion } from '../../src/kernel/completion.ts'
import type { Errno } from '../../src/kernel/errno.ts'
import { eqLaws, monoidLaws } from './laws.test-util.ts'

const errno = fc.constantFrom<Errno | null>(null, null, 'EIO', 'ENOSPC')
const completion: fc.Arbitrary<Completion> = fc.record({ bytes: fc.nat(9000), errno })

describe('Completion', () => {
  monoidLaws(monoidCompletion, completion)
  eqLaws(eqCompletion, completion)

  test('the first error stops the count: its own bytes are the last that count', () => {
    fc.assert(
      fc.property(fc.array(completion), (parts) => {
        const stop = parts.findIndex((p) => p.errno !== null)
        const counted = stop < 0 ? parts : parts.slice(0, stop + 1)
        expect(concatAll(monoidCompletion)(parts)).toEqual({
          bytes: counted.reduce((sum, p) => sum + p.bytes, 0),
          errno: stop < 0 ? null : parts[stop]!.errno,
        })
      }),
    )
  })

  test('it does not commute: an error first hides the bytes that follow', () => {
    const failed: Completion = { bytes: 0, errno: 'EIO' }
    const done: Completion = { bytes: 512, errno: null }
    expect(monoidCompletion.concat(failed, done)).toEqual({ bytes: 0, errno: 'EIO' })
    expect(monoidCompletion.concat(done, failed)).toEqual({ bytes: 512, errno: 'EIO' })
  })
})
