import { expect, test } from 'vitest'
import { reserveAllocate } from '../../strategies/reserve-allocate.ts'
import { ordTape } from '../../sim/tape.ts'
import { bench, leak, leaks, race, unlocked } from './broken.test-util.ts'
import { rerun } from './rerun.ts'
import { shrink, weigh } from './shrink.ts'

test('a leak => one write, cut short, on the plainest ground', () => {
  expect(shrink(leak, bench(leaks))).toMatchObject({
    claim: 'I4', preemptions: 0, faults: 0, tape: {},
    program: {
      config: { format: 'ext4', blockSize: 2048, folioOrder: 0 }, before: [],
      fibers: [[{ op: 'write', pos: 0, len: 4096, readable: 2048 }]],
    },
  })
})

test('a race => two fibers, one preemption, one call each', () => {
  const found = race()
  const small = shrink(found, bench(unlocked))!
  expect(small.program.fibers.map((f) => f.map((a) => a.op))).toEqual([['write'], ['truncate']])
  expect(small.preemptions).toBe(1)
  // A file with something in it: without the inode lock a write that begins in a hole starts again under it.
  expect(small.program.before.map((a) => a.op)).toEqual(['write'])
  expect(small.program.config).toEqual({ format: 'ext4', blockSize: 4096, folioOrder: 0 })
  expect(small.executions).toBeLessThanOrEqual(2500)
})

test('what comes out shows the same claim when it is run again, and with the same words', () => {
  for (const [c, strategy] of [[leak, leaks], [race(), unlocked]] as const) {
    const small = shrink(c, bench(strategy))!
    expect(rerun(small, bench(strategy))).toMatchObject({ shown: small.what, strayed: null, unused: 0, tape: small.tape })
  }
})

test('it comes to an end: shrinking again changes nothing, and doing it twice gives the same', () => {
  const small = shrink(race(), bench(unlocked))!
  const again = shrink(small, bench(unlocked))!
  expect(again.program).toEqual(small.program)
  expect(ordTape.equals(again.tape, small.tape)).toBe(true)
  const { executions: _, ...same } = shrink(race(), bench(unlocked))!
  expect(small).toMatchObject(same)
})

test('within few executions it is not smaller than it could be, but never larger', () => {
  const found = race()
  const run = rerun(found, bench(unlocked))
  const before = weigh(found.program, run.preemptions, run.tape)
  for (const executions of [1, 10, 40]) {
    const small = shrink(found, { ...bench(unlocked), executions })!
    expect(small.executions).toBeLessThanOrEqual(executions + 1)
    const after = weigh(small.program, small.preemptions, small.tape)
    const at = after.findIndex((x, i) => x !== before[i])
    expect(at < 0 || after[at]! < before[at]!).toBe(true)
  }
})

test('what does not show its claim => null', () => {
  expect(shrink(leak, bench(reserveAllocate))).toBeNull()
  const { config, fibers } = leak.program
  const impossible = { config, fibers, before: [{ op: 'allocate', pos: 0, len: 4096 } as const] }
  expect(shrink({ ...leak, program: impossible }, bench(leaks))).toBeNull()
})
