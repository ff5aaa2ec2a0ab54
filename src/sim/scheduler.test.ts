/** The scheduler: who runs when, and how a run ends. */
import { describe, expect, test } from 'vitest'
import { straight, type Choices } from '../kernel/choices.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { Pct, pctProbability } from './pct.ts'
import { execute, Machine, timeline } from './scheduler.ts'
import { randomChoices } from './sources.ts'
import { RecordingTape, ReplayTape } from './tape.ts'
import { type Fiber, Footprint, type System } from './system.ts'
import { type Instruction, Toy } from './toy.test-util.ts'

const toy = (...fibers: readonly Instruction[][]): Toy => new Toy({ fibers })
const POINT: Instruction = { op: 'point' }
const order = (m: Machine): string => m.trace.fibers.slice(0, m.steps).join('')

/** Answers from a list, then 0; `asked` collects the questions. */
const answers = (...list: readonly number[]): Choices & { readonly asked: string[] } => {
  const asked: string[] = []
  return { asked, choose: (n, kind, label) => (asked.push(`${kind} ${n} ${label}`), list[asked.length - 1] ?? 0) }
}

describe('who runs', () => {
  test('0 stays; when the current fiber has ended, the first one in order runs', () => {
    const run = execute(toy([POINT], [POINT], [POINT]), straight)
    expect(run.outcome).toEqual({ kind: 'finished' })
    expect(order(run.machine)).toBe('001122')
    expect(run.preemptions).toBe(0)
  })

  test('another number is another enabled fiber, and leaving an enabled one is a preemption', () => {
    const choices = answers(2, 1, 0)
    const run = execute(toy([POINT], [POINT], [POINT]), choices)
    // 2 from the start, where nobody is left; then from 2 to 0.
    expect(order(run.machine)).toBe('200112')
    expect(run.preemptions).toBe(1)
    expect(choices.asked.slice(0, 2)).toEqual(['schedule 3 begin', 'schedule 3 point'])
  })

  test('nobody is asked when only one fiber can go on', () => {
    const choices = answers()
    execute(toy([POINT, POINT]), choices)
    expect(choices.asked).toEqual([])
  })

  test('a used-up bound leaves one course, and the tape keeps its place', () => {
    const bounded = new RecordingTape(randomChoices(3))
    const run = execute(toy([POINT, POINT], [POINT, POINT], [POINT, POINT]), bounded, { preemptions: 1 })
    expect(run.preemptions).toBe(1)
    const replay = new ReplayTape(bounded.data)
    const again = execute(toy([POINT, POINT], [POINT, POINT], [POINT, POINT]), replay)
    expect(order(again.machine)).toBe(order(run.machine))
    expect(replay.divergence).toBe(null)
  })

  test('a fiber that waits for a lock is not asked about', () => {
    const section: Instruction[] = [{ op: 'lock', o: 0 }, POINT, { op: 'unlock', o: 0 }]
    const run = execute(toy(section, section), answers(0, 0, 1, 1))
    expect(timeline(run.machine)).toEqual([
      'fiber 0: begin', 'fiber 0: lock 0', 'fiber 1: begin', 'fiber 0: point', 'fiber 0: unlock', 'fiber 1: lock 0',
      'fiber 1: point', 'fiber 1: unlock',
    ])
  })
})

describe('how a run ends', () => {
  test('a failure ends its fiber as any other end does', () => {
    expect(execute(toy([{ op: 'fail' }], [POINT]), straight).outcome).toEqual({ kind: 'finished' })
  })

  test('daemons do not keep it alive, but they may help others on', () => {
    const daemon: Instruction[] = [{ op: 'write', o: 0, add: 1 }, { op: 'await', o: 1 }]
    const run = execute(new Toy({ fibers: [[{ op: 'await', o: 0 }], daemon], daemons: 1 }), straight)
    expect(run.outcome).toEqual({ kind: 'finished' })
    expect(order(run.machine)).toBe('0110')
  })

  test('a violation stops it, or is collected on request', () => {
    const wrong: Instruction[] = [{ op: 'deny', claim: 1, value: 0 }, { op: 'deny', claim: 2, value: 0 }]
    const stopped = execute(toy(wrong), straight)
    expect(stopped.outcome).toEqual({ kind: 'violation', violations: [{ claim: 'C1', what: 'the register is 0' }] })
    const onward = execute(toy(wrong), straight, { onward: true }).outcome
    expect(onward.kind === 'violation' && onward.violations.map((v) => v.claim)).toEqual(['C1', 'C2'])
  })

  test('what is wrong at rest is a violation too', () => {
    const outcome = execute(toy([{ op: 'write', o: 0, add: 3 }]), straight).outcome
    expect(outcome.kind === 'violation' && outcome.violations[0]!.claim).toBe('REST')
  })

  test('a deadlock names everybody and what they wait for', () => {
    const [ab, ba] = [[0, 1], [1, 0]].map((os) => os.map((o): Instruction => ({ op: 'lock', o })))
    const run = execute(toy(ab!, ba!), answers(0, 0, 1, 0, 1))
    expect(run.outcome).toEqual({
      kind: 'deadlock',
      waiting: [{ fiber: 0, name: 'fiber 0', label: 'lock 1' }, { fiber: 1, name: 'fiber 1', label: 'lock 0' }],
    })
  })

  test('whatever else is thrown is a finding, with its fiber', () => {
    const outcome = execute(toy([POINT, { op: 'throw' }]), straight).outcome
    expect(outcome).toMatchObject({ kind: 'threw', fiber: 0, error: new Error('a plugin that throws') })
  })

  test('a callback stops it', () => {
    const run = execute(toy([POINT, POINT, POINT]), straight, { after: (_, m) => m.steps === 2 })
    expect([run.outcome.kind, run.steps]).toEqual(['stopped', 2])
  })
})

/** A system of one kernel. */
const single = (make: () => Kernel<void>, stepped: System['stepped'] = () => null): System => ({
  footprint: new Footprint(),
  begin: (): readonly Fiber[] => [{ name: 'odd', kernel: make() }],
  digest: () => 0,
  stepped,
  ended: () => [],
})
const op = (label: string, ready = (): boolean => true) => ({ label, ready })

describe('bad plugins', () => {
  test('one that never ends is a loop, with the steps that repeat', () => {
    const forever = single(function* () {
      yield op('once')
      for (;;) for (const l of ['ping', 'pong']) yield op(l)
    })
    const { outcome } = execute(forever, straight, { steps: 500 })
    expect(outcome).toEqual({ kind: 'loop', tail: ['odd: ping', 'odd: pong'] })
  })

  test('one that yields something else than an op', () => {
    const { outcome } = execute(single(function* () { yield 7 as never }), straight)
    expect(outcome.kind === 'threw' && String(outcome.error)).toContain('odd yielded something that is no op')
  })

  test('one whose op throws when it is asked', () => {
    const refuses = (): boolean => { throw new Error('do not ask') }
    const { outcome } = execute(single(function* () { yield op('x', refuses) }), straight)
    expect(outcome).toMatchObject({ kind: 'threw', fiber: 0 })
  })

  test('one that spoils the world so far that the judges throw', () => {
    const system = single(function* () { yield op('x') }, () => { throw new Error('no tree left') })
    expect(execute(system, straight).outcome).toMatchObject({ kind: 'threw', fiber: 0 })
  })
})

describe('PCT', () => {
  // A bug of depth 2 among 3 fibers: fiber 1 reads between two writes of fiber 0.
  const fibers: Instruction[][] = [
    [{ op: 'write', o: 0, add: 1 }, { op: 'write', o: 0, add: 2 }],
    [{ op: 'read', o: 0 }, { op: 'deny', claim: 1, value: 1 }],
    [POINT, POINT, POINT],
  ]

  test('finds a bug of its depth at least as often as it says', () => {
    const system = new Toy({ fibers })
    const machine = new Machine(system)
    const options = { depth: 2, steps: 10 }
    let found = 0
    for (let seed = 0; seed < 2000; seed++) {
      const pct = new Pct(machine, { ...options, seed })
      if (execute(system, pct, { machine }).outcome.kind === 'violation') found++
    }
    expect(pctProbability(3, 10, 2)).toBe(1 / 30)
    expect(found / 2000).toBeGreaterThan(pctProbability(3, options.steps, options.depth))
  })

  test('same seed, same schedule', () => {
    const system = new Toy({ fibers })
    const machine = new Machine(system)
    const schedule = (seed: number): string =>
      (execute(system, new Pct(machine, { seed, depth: 3, steps: 10 }), { machine }), order(machine))
    expect(schedule(4)).toBe(schedule(4))
    expect(new Set(Array.from({ length: 50 }, (_, seed) => schedule(seed))).size).toBeGreaterThan(5)
  })
})
