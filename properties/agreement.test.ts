/**
 * Agreement: designs differ in what they cost and in how they fail, never in what they do.
 *
 * - I32 on one format, without a fault, with room for all, the same operations under any two strategies return the
 *   same numbers and errnos and leave the same names, sizes and bytes, in the cache and on disk
 * Where SEEK_HOLE and SEEK_DATA stop is no part of it: allocation is the design's own. Source: reference claims,
 * section 3.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { Replayer } from '../src/lab/replay.ts'
import type { Session } from '../src/lab/session.ts'
import { strategies } from '../src/strategies/index.ts'
import { SETTINGS } from './arbitraries/operations.ts'
import { isEvent, type Step } from './arbitraries/steps.ts'
import { judged } from './judged.ts'
import { freshDevice, mountAs, type Setting } from './machine.ts'
import { firstDifference } from './models/byte-model.ts'

const SIZE = 16 * 1024 * 1024
const PATHS = ['a', 'b', 'c', 'd/x', 'd/y', 'e/x', 'e/y']

/** What the steps returned, and what they left. */
interface Left {
  readonly outcomes: readonly string[]
  readonly files: readonly (readonly [path: string, bytes: Buffer | null])[]
}

const play = (setting: Setting, steps: readonly Step[]): Left => {
  const session = mountAs(freshDevice(setting), setting)
  const replayer = new Replayer(session.posix)
  const outcomes = steps.map((step, i) => {
    if (isEvent(step)) return step.op === 'drop-caches' ? String(session.posix.dropCaches()._tag) : ''
    if (step.op === 'lseek' && (step.whence === 'data' || step.whence === 'hole')) return ''
    const outcome = replayer.step(step, i)
    return isLeft(outcome) ? outcome.left : String(outcome.right)
  })
  replayer.closeAll()
  session.posix.dropCaches()
  return { outcomes, files: PATHS.map((path) => [path, read(session, path)] as const) }
}

const read = ({ posix }: Session, path: string): Buffer | null => {
  const stat = posix.stat(path, false)
  const fd = posix.open(path, ['O_RDONLY', 'O_NOFOLLOW'])
  if (isLeft(stat) || isLeft(fd)) return null
  const bytes = Buffer.alloc(stat.right.size)
  const n = posix.pread(fd.right, bytes, 0)
  posix.close(fd.right)
  return isLeft(n) ? null : bytes.subarray(0, n.right)
}

const differ = (one: Left, other: Left): string | null => {
  for (const [i, outcome] of one.outcomes.entries()) {
    if (outcome !== other.outcomes[i]) return `step ${i} returned ${outcome} and ${other.outcomes[i]}`
  }
  for (const [i, [path, bytes]] of one.files.entries()) {
    const found = other.files[i]![1]
    if ((bytes === null) !== (found === null)) return `${path} is there once only`
    const wrong = bytes === null ? null : firstDifference(bytes, found!, 0)
    if (wrong !== null) return `${path}: ${wrong}`
  }
  return null
}

const [first, ...others] = strategies.map((s) => s.name)
const PLACES = SETTINGS.filter((s) => s.strategy === first)

describe.each(PLACES)('$format, blocks of $blockSize, folios up to order $maxFolioOrder', (setting) => {
  test('all designs return and leave the same', () => {
    judged(setting, { runs: 4, steps: 40, far: false }, (steps) => {
      const one = play({ ...setting, size: SIZE }, steps)
      for (const strategy of others) {
        const wrong = differ(one, play({ ...setting, size: SIZE, strategy }, steps))
        if (wrong !== null) return `${first} and ${strategy}: ${wrong}`
      }
      return null
    })
  })
})

test('a difference would be seen', () => {
  const setting = { ...PLACES[0]!, size: SIZE }
  const steps = (len: number): Step[] =>
    [{ op: 'open', fd: 0, path: 'a', flags: ['O_RDWR', 'O_CREAT'] }, { op: 'write', fd: 0, len, off: 0 }]
  expect(differ(play(setting, steps(10)), play(setting, steps(10)))).toBeNull()
  expect(differ(play(setting, steps(10)), play(setting, steps(11)))).toBe('step 1 returned 10 and 11')
})
