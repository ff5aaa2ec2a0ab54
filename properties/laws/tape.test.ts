/** Tapes: a recorded one gives the same run again, and shrinking one is strictly downhill. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { execute, timeline } from '../../src/sim/scheduler.ts'
import { below, random32, randomChoices } from '../../src/sim/sources.ts'
import { lengthOf, ordTape, RecordingTape, ReplayTape, strip } from '../../src/sim/tape.ts'
import { type Program, randomProgram, Toy } from '../../src/sim/toy.test-util.ts'
import { smaller, tapes } from '../arbitraries/tape.ts'

const lengths = fc.constantFrom([3, 3], [2, 3, 2], [4])
const program: fc.Arbitrary<Program> = fc.tuple(fc.nat(), lengths).map(([seed, list]) => {
  const draw = random32(seed)
  return randomProgram((n) => below(draw, n), list)
})

describe('replaying', () => {
  test('a recorded tape gives the same run, stripped or not, whatever the bound on preemptions was', () => {
    fc.assert(
      fc.property(program, fc.nat(), fc.option(fc.nat(2), { nil: Infinity }), (p, seed, preemptions) => {
        const recording = new RecordingTape(randomChoices(seed))
        const run = execute(new Toy(p), recording, { onward: true, preemptions })
        const lines = timeline(run.machine)
        for (const tape of [recording.data, strip(recording.data)]) {
          const replay = new ReplayTape(tape)
          const again = execute(new Toy(p), replay, { onward: true })
          expect(timeline(again.machine)).toEqual(lines)
          expect(replay.divergence).toBe(null)
        }
      }),
    )
  })

  test('any tape runs on any system', () => {
    fc.assert(
      fc.property(program, tapes(), (p, tape) => {
        const recording = new RecordingTape(new ReplayTape(tape))
        const run = execute(new Toy(p), recording, { onward: true })
        const again = execute(new Toy(p), new ReplayTape(recording.data), { onward: true })
        expect(timeline(again.machine)).toEqual(timeline(run.machine))
      }),
    )
  })
})

describe('the order of tapes', () => {
  const few = tapes({ maxLength: 3, maxCourses: 2 })

  test('is total, and blind to zeros at the end', () => {
    fc.assert(
      fc.property(few, few, tapes(), (a, b, c) => {
        expect(ordTape.compare(a, b) + ordTape.compare(b, a)).toBe(0)
        if (ordTape.compare(a, b) <= 0 && ordTape.compare(b, c) <= 0) {
          expect(ordTape.compare(a, c)).toBeLessThanOrEqual(0)
        }
        const padded = { ...a, tear: [...(a.tear ?? []), { n: 2, pick: 0, label: '' }] }
        expect(ordTape.equals(a, padded)).toBe(true)
        expect(strip(padded)).toEqual(strip(a))
      }),
    )
  })
})

describe('shrinking', () => {
  test('offers stripped tapes that are strictly smaller', () => {
    fc.assert(
      fc.property(tapes(), (tape) => {
        for (const t of smaller(tape)) {
          expect(ordTape.compare(t, tape)).toBe(-1)
          expect(strip(t)).toEqual(t)
        }
      }),
    )
  })

  test('ends, on the way that gives in last too', () => {
    fc.assert(
      fc.property(tapes({ maxLength: 4 }), (tape) => {
        let [at, turns] = [tape, 0]
        for (let next = smaller(at); next.length > 0; next = smaller(at), turns++) at = next.at(-1)!
        expect(lengthOf(at)).toBe(0)
        expect(turns).toBeLessThan(500)
      }),
    )
  })

  test('comes to the simplest tape with the property, through fast-check itself', () => {
    const wanted = fc.property(tapes(), ({ schedule = [], fault = [] }) =>
      schedule.filter((d) => d.pick >= 2).length < 2 || !fault.some((d) => d.pick === 1))
    const { failed, counterexample } = fc.check(wanted, { numRuns: 5000, seed: 3 })
    expect(failed).toBe(true)
    const picks = Object.entries(counterexample![0]).map(([kind, sub]) => [kind, sub.map((d) => d.pick)])
    expect(picks).toEqual([['schedule', [2, 2]], ['fault', [1]]])
  })
})
