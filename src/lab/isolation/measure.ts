/**
 * Measure: what each observer of a design saw, over many schedules.
 *
 * Of every scene: all schedules that depart from the straight one at most once (by a switch that nobody asked for), or twice where the
 * scene says so, with one bio out of order; then a fixed number by chance, half by coins and half by priorities (PCT).
 * Deterministic: the same design, seed and budget make the same observations on any machine. What was not seen is no proof: a level
 * is what held in these runs.
 */
import type { AnyStrategy } from '../../fs/strategy.ts'
import type { Choices } from '../../kernel/choices.ts'
import { Pct } from '../../sim/pct.ts'
import { execute, Machine } from '../../sim/scheduler.ts'
import { Odometer, randomChoices } from '../../sim/sources.ts'
import { type Level, LEVELS, weaker } from './level.ts'
import { type Observer, type Scene, scenesOf } from './programs.ts'
import { Stage } from './stage.ts'

/** Steps after which a run does not end. */
const STEPS = 4000

/** How much is looked at. */
export interface Budget {
  readonly seed: number
  /** Runs by chance, of each scene. */
  readonly chance: number
}

/** What was seen of one scene. */
export interface Found {
  readonly scene: Scene
  readonly runs: number
  /** By level: how many observations held no stronger one. */
  readonly counts: Readonly<Record<Level, number>>
  readonly level: Level
  /** The first observation of the weakest level, if that is not `write`. */
  readonly example: string | null
  /** Runs that did not end as they should: deadlocks, errnos. */
  readonly odd: readonly string[]
}

/** Collects what the runs of one scene show. */
class Collected {
  runs = 0
  level: Level = 'write'
  example: string | null = null
  readonly counts: Record<Level, number> = { write: 0, folio: 0, page: 0, none: 0 }
  readonly odd = new Set<string>()

  take(stage: Stage, ended: string): void {
    this.runs++
    if (ended !== 'finished') this.odd.add(ended)
    if (stage.failed !== null) this.odd.add(stage.failed)
    if (ended !== 'finished' || stage.failed !== null) return
    for (const { level, say } of stage.observed) {
      this.counts[level]++
      if (LEVELS.indexOf(level) > LEVELS.indexOf(this.level)) {
        this.level = level
        this.example = say()
      }
    }
  }
}

/** Observe one scene. */
export const observe = (scene: Scene, strategy: AnyStrategy, { seed, chance }: Budget): Found => {
  const stage = new Stage(scene, strategy)
  const machine = new Machine(stage)
  const all = new Collected()
  let steps = 1
  const once = (choices: Choices): void => {
    const { outcome, steps: n } = execute(stage, choices, { steps: STEPS, machine })
    steps = Math.max(steps, n)
    all.take(stage, outcome.kind === 'threw' ? `threw ${String(outcome.error)}` : outcome.kind)
  }
  const odometer = new Odometer({ schedule: scene.departures, completion: 1 })
  do once(odometer)
  while (odometer.next())
  for (let i = 0; i < chance; i++) {
    const own = seed * 7919 + i
    once(i % 2 === 0
      ? randomChoices(own, { schedule: i % 4 === 0 ? 0.15 : 0.35, fault: 0, short: 0 })
      : new Pct(machine, { seed: own, depth: 2 + Math.floor(i / 2) % 2, steps }))
  }
  const { runs, counts, level, example, odd } = all
  return { scene, runs, counts, level, example, odd: [...odd] }
}

/** All scenes of one observer on one design. */
export const observeAll = (observer: Observer, strategy: AnyStrategy, budget: Budget): readonly Found[] =>
  scenesOf(observer).map((scene) => observe(scene, strategy, budget))

/** The weakest level of many. */
export const weakest = (all: readonly Found[]): Level => all.reduce<Level>((level, f) => weaker(level, f.level), 'write')
