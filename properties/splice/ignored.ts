/**
 * Ignored: SPLICE-6, as two runs of one program: with a design that takes what is offered, and with the same design on verbs that
 * never look at the offer. What the calls return, the bytes of the file and what stays in the pipe must be the same.
 */
import type { AnyStrategy } from '../../src/fs/strategy.ts'
import { Verbs } from '../../src/fs/verbs.ts'
import { straight } from '../../src/kernel/choices.ts'
import type { Look } from '../../src/lab/check/judge.ts'
import { BadProgram } from '../../src/lab/check/place.ts'
import type { Program } from '../../src/lab/check/program.ts'
import { World } from '../../src/lab/check/world.ts'
import type { Folio } from '../../src/pagecache/folio.ts'
import { execute } from '../../src/sim/scheduler.ts'

/** Verbs of a file system that was not changed for splice. */
export class Ignoring extends Verbs {
  override donate(): Folio | null {
    return null
  }
  override donatePrivate(): Folio | null {
    return null
  }
}

interface Outcome {
  readonly results: string
  readonly contents: Buffer | null
}

const outcomeOf = (program: Program, strategy: AnyStrategy, verbs?: typeof Verbs): Outcome => {
  let contents: Buffer | null = null
  const keep = (look: Look): readonly string[] => {
    contents = look.contents
    return []
  }
  const judges = [{ claim: 'SPLICE-6', on: 0, when: ['cold' as const], rest: keep }]
  const world = new World(program, { strategy, judges, ...(verbs && { verbs }) })
  execute(world, straight, { steps: 4000 })
  const results = world.history.records.map((r) => `${r.errno ?? r.n}${r.spliced === null ? '' : ` (${r.spliced.what})`}`)
  return { results: results.join(' '), contents }
}

/** How the two runs differ, or null. */
export const ignored = (program: Program, strategy: AnyStrategy): string | null => {
  try {
    const [taken, copied] = [outcomeOf(program, strategy), outcomeOf(program, strategy, Ignoring)]
    if (taken.results !== copied.results) return `the calls return ${taken.results}; where the offer is ignored: ${copied.results}`
    const same = taken.contents !== null && copied.contents !== null && taken.contents.equals(copied.contents)
    return same ? null : 'the file holds other bytes where the offer is ignored'
  } catch (e) {
    if (e instanceof BadProgram) return null
    throw e
  }
}
