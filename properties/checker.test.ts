/**
 * The checker itself: what it prunes, it may prune. Three ways through the same programs (every run, each state once, one run
 * of each class of equal runs) reach the same ends and break the same claims; for every design, for designs that are broken
 * on purpose, and for random small programs. And what a check may not do: differ from one time to the next, or miss state.
 */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Verbs } from '../src/fs/verbs.ts'
import type { Kernel } from '../src/kernel/kernel.ts'
import { checkAll } from '../src/lab/check/check.ts'
import { GROUNDS, OTHERS, WRITES } from '../src/lab/check/generate.ts'
import { noteMembers } from '../src/lab/check/objects.ts'
import { BadProgram } from '../src/lab/check/place.ts'
import type { Action, Program } from '../src/lab/check/program.ts'
import { World, type WorldOptions } from '../src/lab/check/world.ts'
import { MUTANTS } from '../src/lab/self-test/mutants.ts'
import { type Folio, UPTODATE } from '../src/pagecache/folio.ts'
import type { AddressSpace } from '../src/pagecache/address-space.ts'
import { dpor } from '../src/sim/dpor.ts'
import { explore } from '../src/sim/explore.ts'
import type { Search } from '../src/sim/search.ts'
import { strategies } from '../src/strategies/index.ts'
import { reserveAllocate } from '../src/strategies/reserve-allocate.ts'
import { JUDGES } from './claims/index.ts'

/** Runs after which a program is too large to see every run of it here. */
const MOST = 6000

const claims = (s: Search): readonly string[] => [...new Set(s.findings.map((f) => f.claim))].sort()

/** All three ways; null if the program has too many runs. */
const threeWays = (program: Program, options: Omit<WorldOptions, 'judges'>): { brute: Search; pruned: Search; reduced: Search } | null => {
  const world = new World(program, { ...options, judges: JUDGES })
  const brute = explore(world, { prune: false, collect: true, steps: 4000, budget: { executions: MOST } })
  if (brute.interrupted.length > 0) return null
  return {
    brute, pruned: explore(world, { collect: true, steps: 4000 }),
    reduced: dpor(world, { collect: true, steps: 4000, budget: { executions: MOST } }),
  }
}

const agree = (ways: ReturnType<typeof threeWays>): number => {
  if (ways === null) return 0
  const { brute, pruned, reduced } = ways
  expect(pruned.endStates).toEqual(brute.endStates)
  expect(claims(pruned)).toEqual(claims(brute))
  expect(reduced.endStates).toEqual(brute.endStates)
  expect(claims(reduced)).toEqual(claims(brute))
  return brute.executions
}

const small = (...fibers: Action[][]): Program => ({
  config: { format: 'ext4', blockSize: 1024, folioOrder: 0 }, before: [{ op: 'write', pos: 0, len: 6000 }, { op: 'sync' }], fibers,
})
const PROGRAMS: readonly Program[] = [
  small([{ op: 'write', pos: 0, len: 2048 }], [{ op: 'read', pos: 0, len: 2048 }]),
  small([{ op: 'write', pos: 1000, len: 500 }], [{ op: 'store', pos: 100, len: 200 }]),
  small([{ op: 'write', pos: 6000, len: 200 }], [{ op: 'truncate', size: 500 }]),
  small([{ op: 'write', pos: 0, len: 100 }], [{ op: 'reclaim' }], [{ op: 'stat' }]),
]

describe('pruned and reduced searches see what all runs show', () => {
  for (const strategy of strategies) {
    test(`for ${strategy.name}`, () => {
      const runs = PROGRAMS.map((p) => agree(threeWays(p, { strategy, slowDevice: false })))
      expect(Math.max(...runs)).toBeGreaterThan(10)
    })
  }

  test('for designs that are broken on purpose', () => {
    for (const { id, strategy, verbs } of MUTANTS) {
      for (const p of PROGRAMS.slice(0, 3)) {
        // One of them breaks down before the fibers begin.
        if (id !== 'commit') agree(threeWays(p, { strategy, slowDevice: false, ...(verbs && { verbs }) }))
      }
    }
  })

  test('for random programs', () => {
    const action = fc.constantFrom(...WRITES, ...OTHERS)
    const ground = fc.constantFrom(...GROUNDS.filter((g) => g.format === 'ext4' && g.blockSize === 1024))
    let seen = 0
    fc.assert(fc.property(ground, action, action, (config, a, b) => {
      try {
        const program: Program = { config, before: [{ op: 'write', pos: 0, len: 3000 }], fibers: [[a], [b]] }
        seen += agree(threeWays(program, { strategy: reserveAllocate, slowDevice: false }))
      } catch (e) {
        if (!(e instanceof BadProgram)) throw e
      }
    }), { numRuns: 25 })
    expect(seen).toBeGreaterThan(100)
  })
})

describe('a check', () => {
  /** A folio is uptodate before anything is in it: the libfs leak of 2007 (Z08). */
  class EarlyUptodate extends Verbs {
    override *grabFolio(space: AddressSpace, index: number, bytes: number, stable: boolean): Kernel<Folio, 'ENOMEM'> {
      const f = yield* super.grabFolio(space, index, bytes, stable)
      f.change(0, f.size, UPTODATE, 0)
      return f
    }
  }

  test('runs the same executions and finds the same things each time', () => {
    const options = { strategy: reserveAllocate, verbs: EarlyUptodate, judges: JUDGES, seed: 7, executions: 800 }
    const [a, b] = [checkAll(options), checkAll(options)]
    expect(b).toEqual(a)
    expect(Object.keys(a.found)).toContain('I10')
  })

  test('finds nothing wrong with a good design', () => {
    expect(checkAll({ strategy: reserveAllocate, judges: JUDGES, seed: 7, executions: 1500 }).found).toEqual({})
  })

  test('refuses to run over state that belongs to no object', () => {
    class Forgotten {
      known = 1
      forgotten = 2
    }
    expect(() => noteMembers(new Forgotten(), { known: 0 }, () => {})).toThrow('Forgotten.forgotten belongs to no object')
  })
})
