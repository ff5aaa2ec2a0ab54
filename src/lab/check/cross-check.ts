/**
 * Cross-check: small programs searched by other routes, which must reach the same ends.
 *
 * The explorer gives up a run where another one has been before, and trusts digests to say so. A mistake in either would lose
 * runs in silence. So some programs of the check are searched again without pruning, and again with the fibers in the other
 * order; the sets of digests of the world at the ends must be equal.
 */
import { explore } from '../../sim/explore.ts'
import type { Search } from '../../sim/search.ts'
import type { Choices } from '../../kernel/choices.ts'
import type { Fiber, Footprint, System, Violation } from '../../sim/system.ts'
import { STEP_BUDGET, worldFor, type CheckOptions } from './check.ts'
import { pair } from './generate.ts'
import { sayAction, sayConfig } from './program.ts'
import type { CrossCheck } from './verdict.ts'
import type { World } from './world.ts'

/** A program is small if its search ends within so many executions, and within so many without pruning. */
const SMALL = { pruned: 120, unpruned: 1600 } as const
/** Programs that are tried for each that is wanted. */
const TRIES = 12

/** The same world with its fibers the other way round; `stepped` is told the number that the world knows. */
class Reversed implements System {
  readonly footprint: Footprint
  readonly #world: System
  #n = 0
  constructor(world: System) {
    this.#world = world
    this.footprint = world.footprint
  }
  begin(choices: Choices): readonly Fiber[] {
    const fibers = this.#world.begin(choices)
    this.#n = fibers.length
    return [...fibers].reverse()
  }
  digest(object: number): number {
    return this.#world.digest(object)
  }
  stepped(fiber: number, judged?: boolean): Violation | null {
    return this.#world.stepped(this.#n - 1 - fiber, judged)
  }
  ended(): readonly Violation[] {
    return this.#world.ended()
  }
}

const search = (system: System, prune: boolean, executions: number): Search =>
  explore(system, { budget: { executions }, steps: STEP_BUDGET, collect: true, prune, bounds: { completion: Infinity } })

const same = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((x, i) => x === b[i])

/** Search up to `programs` small programs of the seed by all routes; yields after each program that was looked at. */
export function* crossCheck(
  options: Pick<CheckOptions, 'strategy' | 'seed' | 'format'>, programs: number,
): Generator<void, CrossCheck> {
  const total = { programs: 0, endStates: 0, executions: 0, unpruned: 0, reversed: 0, differences: [] as string[] }
  const all = pair(options.seed)
  for (let tries = TRIES * programs; tries > 0 && total.programs < programs; tries--) {
    const next = all.next()
    if (next.done === true) break
    if (options.format !== undefined && next.value.config.format !== options.format) continue
    const world = worldFor(next.value, { strategy: options.strategy, judges: [] })
    if (world !== null) compare(world, total)
    yield
  }
  return total
}

const compare = (world: World, total: { -readonly [K in keyof CrossCheck]: CrossCheck[K] }): void => {
  const pruned = search(world, true, SMALL.pruned)
  if (pruned.interrupted.includes('executions')) return
  const unpruned = search(world, false, SMALL.unpruned)
  if (unpruned.interrupted.includes('executions')) return
  const reversed = search(new Reversed(world), true, SMALL.unpruned)
  total.programs++
  total.endStates += pruned.endStates.length
  total.executions += pruned.executions
  total.unpruned += unpruned.executions
  total.reversed += reversed.executions
  const { config, fibers } = world.program
  const differ = (how: string): void => {
    const program = fibers.map((f) => f.map(sayAction).join('; ')).join(' | ')
    total.differences = [...total.differences, `${sayConfig(config)}: ${program}: ${how}`]
  }
  const routes = { pruned, 'without pruning': unpruned, 'with the fibers the other way round': reversed }
  for (const [route, s] of Object.entries(routes)) {
    if (s.interrupted.includes('indeterminate')) differ(`${route}, the same choices led to another state`)
    else if (!same(pruned.endStates, s.endStates)) differ(`${pruned.endStates.length} ends, ${route} ${s.endStates.length}`)
  }
}
