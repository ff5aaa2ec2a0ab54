/**
 * The plain prefix and the generator are one pipeline: the same operations with and without it give the same outcomes, the same
 * device and the same ledger. Only `mapLookups` may differ, by one for each mapping inside which the prefix stopped.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import type { MemoryDevice } from '../src/block/memory-device.ts'
import { type Choices, straight } from '../src/kernel/choices.ts'
import { COUNTERS } from '../src/kernel/ledger.ts'
import { Replayer } from '../src/lab/replay.ts'
import { freshSession } from '../src/lab/session.ts'
import { generate, type GeneratorName } from '../src/lab/workload/generate.ts'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import { strategies } from '../src/strategies/index.ts'

/** Decides as the straight run does, but is not it: every plain half is left out. */
const slow: Choices = { choose: () => 0 }

const runAll = (choices: Choices, strategy: AnyStrategy, name: GeneratorName, seed: number, maxFolioOrder: number) => {
  const session = freshSession({ format: 'ext4', size: 64 << 20, strategy, choices, maxFolioOrder })
  const replayer = new Replayer(session.posix)
  const outcomes: string[] = []
  let index = 0
  for (const op of generate(name, seed)) {
    const outcome = replayer.step(op, index++)
    outcomes.push(isLeft(outcome) ? outcome.left : String(outcome.right))
  }
  replayer.closeAll()
  expect(isLeft(session.posix.unmount())).toBe(false)
  return { outcomes, ledger: session.ledger, image: (session.device as MemoryDevice).image() }
}

const cases = strategies.flatMap((strategy) =>
  (['mixed', 'random', 'append'] as const).flatMap((name) => [0, 9].map((order) => ({ strategy, name, order }))),
)

test.each(cases)('$strategy.name, $name, folios up to order $order', ({ strategy, name, order }) => {
  const fast = runAll(straight, strategy, name, 7, order)
  const generator = runAll(slow, strategy, name, 7, order)
  expect(fast.outcomes).toEqual(generator.outcomes)
  expect(fast.image.equals(generator.image)).toBe(true)
  for (const counter of COUNTERS.filter((c) => c !== 'mapLookups')) {
    expect([counter, fast.ledger[counter]]).toEqual([counter, generator.ledger[counter]])
  }
})
