/**
 * The explorers against each other: on random small programs brute force, the visited set and DPOR must come to the
 * same ends and the same findings. And teeth: explorers that are wrong on purpose are told apart.
 */
import { describe, expect, test } from 'vitest'
import { WorldDigest } from './digest.ts'
import { Dpor, dpor } from './dpor.ts'
import { Explorer, type ExploreOptions } from './explore.ts'
import type { Search } from './search.ts'
import { below, random32 } from './sources.ts'
import { type Program, randomProgram, Toy } from './toy.test-util.ts'

/** What all explorers must agree on. */
const verdict = (s: Search) => ({
  ends: s.endStates,
  claims: s.findings.map((f) => f.claim),
  interleavings: s.interleavings,
  interrupted: s.interrupted,
})

const collect = { collect: true } as const
const visited = (p: Program, options: ExploreOptions = collect): Search => new Explorer(new Toy(p), options).search()
/** Every interleaving; kept, since several tests ask for the same programs. */
const brute = (p: Program): Search => {
  const key = JSON.stringify(p)
  const known = kept.get(key) ?? visited(p, { ...collect, prune: false })
  kept.set(key, known)
  return known
}
const kept = new Map<string, Search>()

/** Lengths of fibers, such that brute force has at most some 1,700 runs. */
const LENGTHS = [[3, 4], [2, 2, 2], [5, 4], [3, 2, 1], [4, 4], [1, 3, 2]] as const

/** Random programs of 2 or 3 fibers, the same every time. */
const programs = (count: number, seed: number, daemons = 0): readonly Program[] => {
  const draw = random32(seed)
  return Array.from({ length: count }, (_, i) =>
    randomProgram((n) => below(draw, n), LENGTHS[i % LENGTHS.length]!, daemons))
}

describe('visited set against brute force', () => {
  test('same ends, same findings, same number of interleavings', () => {
    let saved = 0
    for (const p of programs(400, 4)) {
      const [b, v] = [brute(p), visited(p)]
      expect(verdict(v), JSON.stringify(p)).toEqual(verdict(b))
      expect(b.interleavings).toBe(b.executions)
      saved += b.executions - v.executions
    }
    expect(saved).toBeGreaterThan(0)
  })

  test('with daemons too', () => {
    for (const p of programs(150, 2, 1)) expect(verdict(visited(p)), JSON.stringify(p)).toEqual(verdict(brute(p)))
  })

  test('with a bound on preemptions too, but for the number of interleavings', () => {
    for (const p of programs(150, 3)) {
      for (const preemptions of [0, 1, 2]) {
        const budget = { preemptions }
        const [b, v] = [visited(p, { collect: true, prune: false, budget }), visited(p, { collect: true, budget })]
        expect({ ...verdict(v), interleavings: 0 }, JSON.stringify(p)).toEqual({ ...verdict(b), interleavings: 0 })
        // Where the bound cut nothing off that had not been seen, the search stands for all schedules.
        if (v.cut.length === 0) expect(v.interleavings).toBe(brute(p).interleavings)
        else expect(b.cut).toEqual(v.cut)
      }
    }
  })

  test('a digest without the number of steps is told apart', () => {
    class Forgetful extends WorldDigest {
      protected override noteFiber(fiber: number, objects: readonly number[]): void {
        if (objects.length > 0) super.noteFiber(fiber, objects)
      }
    }
    expect(wrong(programs(400, 4), (p) => {
      const toy = new Toy(p)
      return new Explorer(toy, collect, new Forgetful(toy)).search()
    })).toBeGreaterThan(100)
  })
})

describe('DPOR against brute force', () => {
  test('same ends, same findings, same number of interleavings', () => {
    let saved = 0
    for (const p of programs(400, 4)) {
      const [b, d] = [brute(p), dpor(new Toy(p), collect)]
      expect(verdict(d), JSON.stringify(p)).toEqual(verdict(b))
      saved += b.executions - d.executions
    }
    expect(saved).toBeGreaterThan(0)
  })

  test('with daemons too', () => {
    for (const p of [...programs(150, 2, 1), ...programs(50, 5, 2)]) {
      expect(verdict(dpor(new Toy(p), collect)), JSON.stringify(p)).toEqual(verdict(brute(p)))
    }
  })

  test('one that tries the racing fiber itself, asleep or not, is told apart', () => {
    class Naive extends Dpor {
      protected override sources(_initials: number, p: number, enabled: number): number {
        return (enabled & (1 << p)) === 0 ? enabled : 1 << p
      }
    }
    expect(wrong(programs(400, 4), (p) => new Naive(new Toy(p), collect).search())).toBeGreaterThan(0)
  })
})

/** How many programs an explorer gets wrong. */
const wrong = (list: readonly Program[], search: (p: Program) => Search): number =>
  list.filter((p) => JSON.stringify(verdict(search(p))) !== JSON.stringify(verdict(brute(p)))).length
