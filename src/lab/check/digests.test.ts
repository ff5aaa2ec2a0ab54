/** What a repeated step changed, and what was judged before, is taken from earlier runs: a search must not notice. */
import { expect, test } from 'vitest'
import type { Footprint, System } from '../../sim/system.ts'
import { explore } from '../../sim/explore.ts'
import { randomChoices } from '../../sim/sources.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { reserveAllocate } from '../../strategies/reserve-allocate.ts'
import { strategies } from '../../strategies/index.ts'
import { JUDGES } from '../../../properties/claims/index.ts'
import { crowd, type Family, others, pair, three } from './generate.ts'
import { runOnce, worldFor } from './check.ts'
import { World } from './world.ts'

/** A world that is never told that a step was made before, so that all digests are worked out after each. */
class Untold implements System {
  readonly footprint: Footprint
  readonly #world: World
  constructor(world: World) {
    this.#world = world
    this.footprint = world.footprint
  }
  begin(...args: Parameters<System['begin']>): ReturnType<System['begin']> {
    return this.#world.begin(...args)
  }
  digest(object: number): number {
    return this.#world.digest(object)
  }
  stepped(fiber: number): ReturnType<System['stepped']> {
    return this.#world.stepped(fiber, false)
  }
  ended(): ReturnType<System['ended']> {
    return this.#world.ended()
  }
}

const FAMILIES: Readonly<Record<string, Family>> = { pair, others, three }

test.each(Object.keys(FAMILIES))('programs of family %s: the same states, ends and findings', (name) => {
  let states = 0
  for (const strategy of strategies) {
    const programs = FAMILIES[name]!(7)
    for (let i = 0; i < 4; i++) {
      const world = worldFor(programs.next().value!, { strategy, judges: JUDGES })
      if (world === null) continue
      const options = { budget: { executions: 60 }, collect: true, bounds: { completion: Infinity, fault: 1, short: 1 } } as const
      const told = explore(world, options)
      expect(told, `${strategy.name}, program ${i}`).toEqual(explore(new Untold(world), options))
      states += told.states
    }
  }
  expect(states).toBeGreaterThan(1000)
})

/** Now and then a byte of what was written is another one, and nothing else is: no bit, no size, no result. */
const spoils: AnyStrategy = {
  ...reserveAllocate, name: 'spoils',
  *putFolio(k, _w, _m, f) {
    if (k.fault('EIO.spoil')) f.slab.bytes[f.base] = 0xdb
    k.unlockFolio(f)
  },
}

test('a world that has run before finds what a new one finds', () => {
  const programs = crowd(3)
  let found = 0
  for (let i = 0; i < 12; i++) {
    const program = programs.next().value!
    const old = worldFor(program, { strategy: spoils, judges: JUDGES })
    if (old === null) continue
    for (let seed = 0; seed < 12; seed++) {
      const run = (world: World) => runOnce(world, randomChoices(seed, { schedule: 0.2, fault: 0.1 })).violations
      const fresh = run(new World(program, { strategy: spoils, judges: JUDGES }))
      expect(run(old), `program ${i}, seed ${seed}`).toEqual(fresh)
      found += fresh.length
    }
  }
  expect(found).toBeGreaterThan(0)
})
