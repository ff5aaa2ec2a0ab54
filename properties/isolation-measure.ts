/**
 * Isolation of designs, measured: per design and observer the weakest level that any look held, with one look that shows it.
 * The table of docs/isolation.md, and what its test measures again.
 */
import type { AnyStrategy } from '../src/fs/strategy.ts'
import type { Level } from '../src/lab/isolation/level.ts'
import { type Budget, type Found, observe, weakest } from '../src/lab/isolation/measure.ts'
import { type Observer, OBSERVERS, type Scene, sayScene, scenesOf } from '../src/lab/isolation/programs.ts'
import { reserveAllocate } from '../src/strategies/reserve-allocate.ts'

/** The budget of the document. */
export const BUDGET: Budget = { seed: 1, chance: 24 }

/** Not a design of its own: what the knob `readLock: 'shared'` makes of one, as XFS reads. */
export const SHARED_READS: AnyStrategy = {
  ...reserveAllocate,
  name: 'reserve-allocate, readLock shared',
  claims: { ...reserveAllocate.claims, readLock: 'shared', isolation: 'write' },
}

/** What one observer saw of one design. */
export interface Cell {
  readonly level: Level
  readonly observations: number
  /** Those that were not whole writes. */
  readonly torn: number
  /** A look of the weakest level; null where all were whole. */
  readonly example: { readonly scene: string; readonly say: string } | null
  /** By shape and largest folio: `8 KiB, 4 KiB folios`. */
  readonly byShape: Readonly<Record<string, Level>>
  /** Errnos and endings of runs that showed nothing. */
  readonly odd: readonly string[]
}

/** One row of the table. */
export interface MeasuredDesign {
  readonly design: string
  readonly declared: string
  readonly cells: Readonly<Record<Observer, Cell>>
}

/** A column of the table of shapes. */
export const shapeOf = ({ shape, config }: Scene): string => `${shape}, folios of ${4 << config.folioOrder} KiB`

const cellOf = (all: readonly Found[]): Cell => {
  const level = weakest(all)
  const first = level === 'write' ? undefined : all.find((f) => f.level === level)
  const shapes = [...new Set(all.map((f) => shapeOf(f.scene)))]
  return {
    level,
    observations: all.reduce((n, { counts: c }) => n + c.write + c.folio + c.page + c.none, 0),
    torn: all.reduce((n, { counts: c }) => n + c.folio + c.page + c.none, 0),
    example: first === undefined ? null : { scene: sayScene(first.scene), say: first.example! },
    byShape: Object.fromEntries(shapes.map((s) => [s, weakest(all.filter((f) => shapeOf(f.scene) === s))])),
    odd: [...new Set(all.flatMap((f) => f.odd))],
  }
}

/** Measure one design. `scenes` picks some; default all. */
export const measureDesign = (strategy: AnyStrategy, budget: Budget, scenes: (s: Scene) => boolean = () => true): MeasuredDesign => {
  const cell = (o: Observer): Cell => cellOf(scenesOf(o).filter(scenes).map((s) => observe(s, strategy, budget)))
  return {
    design: strategy.name, declared: strategy.claims.isolation,
    cells: Object.fromEntries(OBSERVERS.map((o) => [o, cell(o)])) as Record<Observer, Cell>,
  }
}
