/** What a repeated step changed is taken from the run before: a search must not notice. */
import { expect, test } from 'vitest'
import type { Footprint, System } from '../../sim/system.ts'
import { explore } from '../../sim/explore.ts'
import { strategies } from '../../strategies/index.ts'
import { JUDGES } from '../../../properties/claims/index.ts'
import { type Family, others, pair, three } from './generate.ts'
import { worldFor } from './check.ts'
import type { World } from './world.ts'

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
