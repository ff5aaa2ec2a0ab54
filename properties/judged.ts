/**
 * judged: a property of a setting, run by fast-check, with a failure that can be pasted.
 *
 * How many runs: `PROPERTY_RUNS` (a multiple of what continuous integration does; default 1). Which: `PROPERTY_SEED`.
 */
import * as fc from 'fast-check'
import { steps } from './arbitraries/operations.ts'
import type { Step } from './arbitraries/steps.ts'
import { describe, type Setting } from './machine.ts'

/** How many times as many runs as usual. */
export const DEEPER = Math.max(1, Number(process.env['PROPERTY_RUNS'] ?? 1))
const SEED = Number(process.env['PROPERTY_SEED'] ?? 1)

/** What a property is to be told. */
export interface Judged {
  /** Runs in continuous integration. */
  readonly runs: number
  /** Most steps of a run. */
  readonly steps: number
  /** Positions of many GiB too. */
  readonly far?: boolean
}

/** `judge` finds nothing wrong with any sequence of steps. @throws Error with the smallest one that it refuses */
export const judged = (setting: Setting, options: Judged, judge: (steps: readonly Step[]) => string | null): void => {
  const drawn = steps({ blockSize: setting.blockSize, far: options.far ?? true }, options.steps)
  const property = fc.property(drawn, (sequence) => {
    const wrong = judge(sequence)
    if (wrong !== null) throw new Error(`${wrong}\n${describe(setting, sequence)}`)
  })
  fc.assert(property, { numRuns: options.runs * DEEPER, seed: SEED })
}
