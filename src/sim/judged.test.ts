/**
 * Steps that a search repeats are not judged again (System.stepped). Each that is passed over must have been looked at before, behind
 * the very same steps and choices, and nothing may have been wrong.
 */
import { describe, expect, test } from 'vitest'
import type { Choices } from '../kernel/choices.ts'
import { dpor } from './dpor.ts'
import { explore } from './explore.ts'
import type { Search } from './search.ts'
import { below, random32 } from './sources.ts'
import { type Program, randomProgram, Toy } from './toy.test-util.ts'
import type { Fiber, System, Violation } from './system.ts'

/** A toy that notes which steps were judged, by all that came before them. */
class Watched implements System {
  readonly #toy: Toy
  readonly footprint: Toy['footprint']
  readonly good = new Set<string>()
  /** Steps that were passed over; those of them that nobody had judged, or that were wrong. */
  skipped = 0
  readonly unjudged: string[] = []
  #path = ''

  constructor(program: Program) {
    this.#toy = new Toy(program)
    this.footprint = this.#toy.footprint
  }

  begin(choices: Choices): readonly Fiber[] {
    this.#path = ''
    return this.#toy.begin({
      choose: (n, kind, label) => {
        const pick = choices.choose(n, kind, label)
        this.#path += `(${pick})`
        return pick
      },
    })
  }

  digest(object: number): number {
    return this.#toy.digest(object)
  }

  stepped(fiber: number, judged = false): Violation | null {
    this.#path += fiber
    const wrong = this.#toy.stepped(fiber)
    if (judged) {
      this.skipped++
      if (!this.good.has(this.#path)) this.unjudged.push(this.#path)
    } else if (wrong === null) this.good.add(this.#path)
    return judged ? null : wrong
  }

  ended(): readonly Violation[] {
    return this.#toy.ended()
  }
}

const SEARCHES: Readonly<Record<string, (system: System) => Search>> = {
  'brute force': (s) => explore(s, { collect: true, prune: false }),
  'by states': (s) => explore(s, { collect: true }),
  'with choices': (s) => explore(s, { collect: true, bounds: { fault: 1, short: 1 } }),
  'until the first finding': (s) => explore(s),
  'with one preemption': (s) => explore(s, { collect: true, budget: { preemptions: 1 } }),
  'source-DPOR': (s) => dpor(s, { collect: true }),
}

describe('a step that is passed over was judged before, and nothing was wrong', () => {
  test.each(Object.keys(SEARCHES))('%s', (name) => {
    const draw = random32(5)
    let skipped = 0
    for (let i = 0; i < 300; i++) {
      const program = randomProgram((n) => below(draw, n), [[3, 4], [2, 2, 2], [4, 4]][i % 3]!, i % 5 === 0 ? 1 : 0)
      const watched = new Watched(program)
      const search = SEARCHES[name]!(watched)
      expect(watched.unjudged, JSON.stringify(program)).toEqual([])
      const plain = SEARCHES[name]!(new Toy(program))
      expect({ ...search, steps: 0 }, JSON.stringify(program)).toEqual({ ...plain, steps: 0 })
      skipped += watched.skipped
    }
    expect(skipped).toBeGreaterThan(0)
  })
})
