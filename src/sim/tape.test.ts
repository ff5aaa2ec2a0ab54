/** Tapes and their sources. */
import { describe, expect, test } from 'vitest'
import type { ChoiceKind, Choices } from '../kernel/choices.ts'
import { Odometer, randomChoices } from './sources.ts'
import { lengthOf, nonZeros, ordTape, RecordingTape, ReplayTape, strip, type TapeData } from './tape.ts'

const tape = (schedule: readonly number[], fault: readonly number[] = []): TapeData => ({
  schedule: schedule.map((pick) => ({ n: 3, pick, label: 's' })),
  fault: fault.map((pick) => ({ n: 2, pick, label: 'f' })),
})

const ask = (c: Choices, questions: readonly (readonly [number, ChoiceKind, string])[]): readonly number[] =>
  questions.map(([n, kind, label]) => c.choose(n, kind, label))

describe('recording and replaying', () => {
  const questions = [[3, 'schedule', 'a'], [2, 'fault', 'b'], [3, 'schedule', 'c'], [5, 'tear', 'd']] as const

  test('what was recorded is answered again, kind by kind', () => {
    const recording = new RecordingTape(randomChoices(7))
    const answers = ask(recording, questions)
    const [a, b, c, d] = questions
    const [x, y, z, w] = answers
    expect(ask(new ReplayTape(recording.data), [b, d, a, c])).toEqual([y, w, x, z])
    expect(ask(new ReplayTape(recording.data), questions)).toEqual(answers)
    expect(recording.data.schedule?.map((d) => d.label)).toEqual(['a', 'c'])
  })

  test('a source for one kind leaves the others at 0', () => {
    const recording = new RecordingTape({ fault: { choose: () => 1 } })
    expect(ask(recording, questions)).toEqual([0, 1, 0, 0])
  })

  test('without a fault question the schedule stays where it was', () => {
    const replay = new ReplayTape(tape([2, 1], [1]))
    expect(ask(replay, [[3, 'schedule', 's'], [3, 'schedule', 's']])).toEqual([2, 1])
    expect(replay.divergence).toBe(null)
  })

  test('the first other label is noted, and the run goes on', () => {
    const replay = new ReplayTape(tape([2, 1], [1]))
    expect(ask(replay, [[3, 'schedule', 's'], [3, 'schedule', 'x'], [2, 'fault', 'y']])).toEqual([2, 1, 1])
    expect(replay.divergence).toEqual({ kind: 'schedule', index: 1, expected: 's', found: 'x' })
  })

  test('an impossible answer and the end of the tape are 0', () => {
    expect(ask(new ReplayTape(tape([2])), [[2, 'schedule', 's'], [3, 'schedule', 's']])).toEqual([0, 0])
  })

  test('data does not change while recording goes on, and survives JSON', () => {
    const recording = new RecordingTape(randomChoices(1))
    ask(recording, questions)
    const then = recording.data
    ask(recording, questions)
    expect(lengthOf(then)).toBe(4)
    expect(JSON.parse(JSON.stringify(then))).toEqual(then)
  })
})

describe('order', () => {
  test('zeros at the end do not count', () => {
    expect(strip(tape([1, 0, 2, 0, 0], [0, 0]))).toEqual({ schedule: tape([1, 0, 2]).schedule })
    expect(ordTape.equals(tape([1, 0]), tape([1], [0]))).toBe(true)
  })

  test('shorter, then fewer choices, then smaller ones', () => {
    // The kinds are compared in order: a schedule of length 0 comes before one of length 1.
    const sorted = [
      tape([]), tape([], [1]), tape([1]), tape([2]), tape([0, 1]), tape([1, 1]), tape([1, 2]), tape([2, 1]),
    ]
    sorted.forEach((a, i) => sorted.forEach((b, j) => expect(ordTape.compare(a, b)).toBe(Math.sign(i - j))))
    expect(nonZeros(tape([2, 0, 1], [1]))).toBe(3)
  })
})

describe('sources', () => {
  test('the odometer comes to every tape within the bounds once, the straight one first', () => {
    const odometer = new Odometer({ fault: 1, schedule: Infinity })
    const seen: string[] = []
    do seen.push(ask(odometer, [[2, 'fault', ''], [3, 'schedule', ''], [2, 'fault', ''], [9, 'tear', '']]).join(''))
    while (odometer.next())
    expect(seen[0]).toBe('0000')
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.length).toBe(3 * 3)
  })

  test('chance is the same for the same seed, and takes every course', () => {
    const draw = (seed: number) => {
      const c = randomChoices(seed, { fault: 0.1 })
      return Array.from({ length: 400 }, (_, i) => c.choose(3, i % 2 === 0 ? 'schedule' : 'fault', ''))
    }
    expect(draw(5)).toEqual(draw(5))
    expect(draw(5)).not.toEqual(draw(6))
    const schedule = draw(5).filter((_, i) => i % 2 === 0)
    const fault = draw(5).filter((_, i) => i % 2 === 1)
    expect(new Set(schedule)).toEqual(new Set([0, 1, 2]))
    expect(fault.filter((x) => x !== 0).length).toBeGreaterThan(5)
    expect(fault.filter((x) => x !== 0).length).toBeLessThan(45)
  })
})
