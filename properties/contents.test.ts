/**
 * Contents: whatever is written, read, cut, punched, zeroed, stored, renamed or dropped from the cache, files hold what
 * the model says, under every design, format, size of block and size of folio.
 *
 * - I8  an uptodate block inside i_size holds the file's bytes
 * - I9  a clean and uptodate block is what the disk says
 * - I11 a write that returns n changes n bytes, and the size as far as it must, and nothing else
 * - I12 a call that is refused changes nothing
 * - I13 positions move by what was returned; O_APPEND never repeats
 * - I14 no later call takes away what an earlier one wrote
 * - I18 a reader that sees the size can read up to it
 * - I19 bytes past the end read as zeros after any extension
 * Source: reference claims, section 3; man-pages section 2. Failures print a setting and steps for properties/corpus.
 */
import { describe, expect, test } from 'vitest'
import { SETTINGS } from './arbitraries/operations.ts'
import type { Step } from './arbitraries/steps.ts'
import { judged } from './judged.ts'
import { Machine, type Setting } from './machine.ts'

const SIZE = 16 * 1024 * 1024
const SOME = { format: 'ext4', blockSize: 1024, maxFolioOrder: 2 } as const

const contents = (setting: Setting, steps: readonly Step[]): string | null => {
  const machine = new Machine({ ...setting, size: SIZE }, { cache: true })
  return machine.play(steps) ?? machine.finish()
}

describe.each(SETTINGS)('$strategy on $format, blocks of $blockSize, folios up to order $maxFolioOrder', (setting) => {
  test('files hold what the model says, in the cache, on disk and after a mount with another design', () => {
    judged(setting, { runs: 5, steps: 40 }, (steps) => contents(setting, steps))
  })
})

const SMALLEST = SETTINGS.filter((s) => s.blockSize === 1024 && s.maxFolioOrder === 2)

describe('through the generator, as under a scheduler', () => {
  test.each(SMALLEST)('$strategy on $format', (setting) => {
    judged(setting, { runs: 4, steps: 60 }, (steps) => contents({ ...setting, waiting: true }, steps))
  })
})

describe('with hardly any memory', () => {
  test.each(SMALLEST)('$strategy on $format', (setting) => {
    judged(setting, { runs: 4, steps: 60, far: false }, (steps) => contents({ ...setting, limitPages: 160 }, steps))
  })
})

describe('the judge can fail', () => {
  const machine = new Machine({ ...SOME, strategy: 'get-block', size: SIZE })

  test('a file that changed behind the model is a difference', () => {
    expect(machine.play([
      { op: 'open', fd: 0, path: 'a', flags: ['O_RDWR', 'O_CREAT'] },
      { op: 'write', fd: 0, len: 5000, off: 0 },
    ])).toBeNull()
    machine.session.posix.truncate('a', 4999)
    expect(machine.compare()).toBe('a: size 4999, expected 5000')
    expect(machine.step({ op: 'read', fd: 0, len: 5000, off: 0 })).toBe('read returned 4999, expected 5000')
  })
})
