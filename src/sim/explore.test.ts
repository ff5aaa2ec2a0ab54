/** The explorers: what they find, how they stop, and how a search is shared out. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Kernel, Op } from '../kernel/kernel.ts'
import { Digest } from './digest.ts'
import { Dpor, dpor } from './dpor.ts'
import { explore, type ExploreOptions, prefixes } from './explore.ts'
import { exploreByPreemptions } from './preemptions.ts'
import { execute } from './scheduler.ts'
import { isExhausted, mergeSearch, riskOf, type Search } from './search.ts'
import { StateTable } from './state-table.ts'
import { Footprint, type System } from './system.ts'
import { nonZeros, ReplayTape } from './tape.ts'
import { type Instruction, Toy } from './toy.test-util.ts'

const toy = (...fibers: readonly Instruction[][]): Toy => new Toy({ fibers })
const POINT: Instruction = { op: 'point' }
const claims = (s: Search): readonly string[] => s.findings.map((f) => f.claim)

/** Two fibers that add one without a lock; at rest the sum must not be 1. */
const add: Instruction[] = [{ op: 'read', o: 0 }, { op: 'write', o: 0, add: 1 }]
class LostUpdate extends Toy {
  override ended() {
    return this.variables[0] === 1 ? [{ claim: 'SUM', what: 'one addition is lost' }] : []
  }
}
const lostUpdate = (): Toy => new LostUpdate({ fibers: [add, add] })
/** Both locks, and back. */
const both = (first: number, second: number): Instruction[] =>
  [{ op: 'lock', o: first }, { op: 'lock', o: second }, { op: 'unlock', o: second }, { op: 'unlock', o: first }]

describe('what is counted', () => {
  test('two fibers of three steps have 20 interleavings in 15 states', () => {
    const s = explore(toy([POINT, POINT], [POINT, POINT]))
    expect(s).toMatchObject({ interleavings: 20, states: 15, findings: [], cut: [], interrupted: [], deepest: 6 })
    expect(isExhausted(s)).toBe(true)
    expect(s.complete + s.pruned).toBe(s.executions)
    expect(explore(toy([POINT, POINT], [POINT, POINT]), { prune: false }).executions).toBe(20)
    expect(dpor(toy([POINT, POINT], [POINT, POINT]))).toMatchObject({ interleavings: 20, executions: 1 })
  })

  test('writers of 21 steps in all: a million interleavings in some hundred states', () => {
    const writer: Instruction[] = [
      { op: 'increment', o: 0 }, { op: 'lock', o: 0 }, { op: 'read', o: 1 }, { op: 'write', o: 1, add: 1 },
      { op: 'unlock', o: 0 }, { op: 'increment', o: 2 },
    ]
    const visited = explore(toy(writer, writer, writer), { collect: true })
    const reduced = dpor(toy(writer, writer, writer), { collect: true })
    expect(visited.interleavings).toBe(1_139_760)
    expect(reduced.interleavings).toBe(1_139_760)
    expect(reduced.endStates).toEqual(visited.endStates)
    expect(visited.executions).toBeLessThan(2000)
    expect(reduced.executions).toBeLessThan(400)
    expect(riskOf(visited)).toBeLessThan(1e-9)
  })
})

describe('findings', () => {
  test.each([['explore', explore], ['dpor', dpor]] as const)('%s: the tape shows it again', (_, search) => {
    const s = search(lostUpdate())
    expect(s).toMatchObject({ interrupted: ['finding'], interleavings: null })
    expect(claims(s)).toEqual(['SUM'])
    const replay = new ReplayTape(s.findings[0]!.tape)
    const { outcome } = execute(lostUpdate(), replay)
    expect(outcome).toEqual({ kind: 'violation', violations: [{ claim: 'SUM', what: 'one addition is lost' }] })
    expect(replay.divergence).toBe(null)
  })

  test.each([['explore', explore], ['dpor', dpor]] as const)('%s: one for each claim, runs going on', (_, search) => {
    const deny = (claim: number, value: number): Instruction => ({ op: 'deny', claim, value })
    const reader: Instruction[] = [{ op: 'read', o: 0 }, deny(1, 0), deny(2, 5)]
    const system = toy(reader, [{ op: 'write', o: 0, add: 5 }, ...both(0, 1)], both(1, 0))
    const s = search(system, { collect: true })
    expect(claims(s)).toEqual(['C1', 'C2', 'deadlock'])
    expect(s.findings[2]!.what).toBe('fiber 1 waits for lock 1, fiber 2 waits for lock 0')
    for (const f of s.findings) {
      const { outcome, violations } = execute(system, new ReplayTape(f.tape), { onward: true })
      expect([outcome.kind, ...violations.map((v) => v.claim)]).toContain(f.claim)
    }
  })

  test('a plugin that throws is one, and hides what follows from it', () => {
    const [lock, unlock]: Instruction[] = [{ op: 'lock', o: 0 }, { op: 'unlock', o: 0 }]
    const s = explore(toy([lock!, { op: 'throw' }], [lock!, unlock!]), { collect: true })
    expect(claims(s)).toEqual(['threw'])
    expect(s.findings[0]!.what).toBe('fiber 0: Error: a plugin that throws')
    expect(isExhausted(s)).toBe(true)
  })

  test('a run without end is one, and the search does not count as exhausted', () => {
    const s = explore(waiter(() => true), { steps: 50, collect: true })
    expect(claims(s)).toEqual(['loop'])
    expect(s.interrupted).toEqual(['steps'])
    expect(s.findings[0]!.what).toContain('no end after 50 steps; at the end: waiter: flag')
  })

  test('the first one has the fewest preemptions', () => {
    const found = exploreByPreemptions(lostUpdate())
    expect(found).toMatchObject({ preemptions: 1, unbounded: false })
    expect(found.search.findings[0]!.preemptions).toBe(1)
    expect(nonZeros(found.search.findings[0]!.tape)).toBe(1)
    const none = exploreByPreemptions(toy(add, add))
    expect(none).toMatchObject({ unbounded: true, search: { findings: [], interleavings: 20 } })
  })
})

/** A fiber that waits for a flag for ever, and one that sets it. Only one of them tells what it does. */
const waiter = (ready: () => boolean, note = true): System => {
  let flag = false
  const footprint = new Footprint()
  const set: Op = { label: 'flag', ready: () => flag || ready() }
  const point: Op = { label: 'point', ready: () => true }
  function* waits(): Kernel<void> {
    do {
      yield set
      if (note) footprint.see(0)
    } while (!flag)
  }
  function* sets(): Kernel<void> {
    yield point
    if (!note) flag = true
    footprint.touch(0)
  }
  return {
    footprint,
    begin: () => ((flag = false), [{ name: 'waiter', kernel: waits() }, { name: 'setter', kernel: sets() }]),
    digest: () => Number(flag),
    stepped: () => null,
    ended: () => [],
  }
}

describe('obligations of a system', () => {
  test('DPOR says when a wait depends on something that is not noted', () => {
    const s = dpor(waiter(() => false, false))
    expect(claims(s)).toEqual(['footprint'])
    expect(s.findings[0]!.what).toContain("a step of setter decided whether waiter may go on behind 'flag'")
  })

  test('a run that goes another way when it is repeated ends the search', () => {
    let leak = 0
    class Leaky extends Toy {
      override begin(...a: Parameters<Toy['begin']>) {
        const fibers = super.begin(...a)
        this.variables[1] = leak++
        return fibers
      }
    }
    const s = explore(new Leaky({ fibers: [[{ op: 'read', o: 1 }, { op: 'write', o: 0, add: 1 }], add] }))
    expect(claims(s)).toEqual(['indeterminate'])
    expect(s.interrupted).toEqual(['indeterminate'])
    expect(s.findings[0]!.what).toContain('the same choices led to another state than before')
  })

  test('more fibers than DPOR takes are refused', () => {
    expect(() => new Dpor(toy(...Array.from({ length: 32 }, () => [POINT]))).search()).toThrow('31 at most')
  })
})

describe('other choices', () => {
  const system = (): Toy => toy([{ op: 'choose', n: 3 }, { op: 'deny', claim: 1, value: 2 }], [{ op: 'choose', n: 2 }])

  test('are not made without a bound, and then something is cut off', () => {
    const s = explore(system(), { collect: true })
    expect(s).toMatchObject({ findings: [], cut: ['fault'], interleavings: 10 })
    expect(dpor(system()).cut).toEqual(['fault'])
  })

  test('all of them: every schedule with every choice', () => {
    const all: ExploreOptions = { collect: true, bounds: { fault: Infinity } }
    const [visited, brute] = [explore(system(), all), explore(system(), { ...all, prune: false })]
    expect(visited.interleavings).toBe(10 * 3 * 2)
    expect(brute.executions).toBe(10 * 3 * 2)
    expect(visited.endStates).toEqual(brute.endStates)
    expect(claims(visited)).toEqual(['C1'])
    const replay = new ReplayTape(visited.findings[0]!.tape)
    expect(execute(system(), replay).outcome.kind).toBe('violation')
  })

  test('at most one of a run: the used-up bound belongs to the state', () => {
    const one: ExploreOptions = { collect: true, bounds: { fault: 1 } }
    const [visited, brute] = [explore(system(), one), explore(system(), { ...one, prune: false })]
    expect(brute.executions).toBe(10 * (1 + 2 + 1))
    expect(visited.endStates).toEqual(brute.endStates)
    expect(visited.cut).toEqual(['fault'])
  })
})

describe('budgets', () => {
  const many = (): Toy => toy([POINT, POINT, POINT], [POINT, POINT, POINT], [POINT, POINT, POINT])

  test('executions, states, and a caller who has had enough', () => {
    const stop = (options: ExploreOptions): readonly unknown[] => {
      const s = explore(many(), { ...options, collect: true })
      return [s.interrupted, s.interleavings]
    }
    expect(stop({ budget: { executions: 10 } })).toEqual([['executions'], null])
    expect(stop({ budget: { states: 40 } })).toEqual([['states'], null])
    expect(stop({ prune: false, progress: (p) => p.executions >= 2048 })).toEqual([['caller'], null])
    expect(dpor(toy(add, add, add), { collect: true, budget: { executions: 3 } }).executions).toBe(3)
  })
})

describe('sharing a search out', () => {
  const system = (): Toy => toy([...both(0, 1)], [{ op: 'read', o: 0 }, ...both(1, 0)], [{ op: 'write', o: 0, add: 1 }])
  const options: ExploreOptions = { collect: true }

  test('every run begins like exactly one prefix', () => {
    const whole = explore(system(), { ...options, prune: false })
    for (const depth of [0, 1, 3]) {
      const parts = prefixes(system(), depth, options)
      const runs = parts.map((p) => explore(system(), { ...options, prune: false, prefixes: [p] }).executions)
      expect(new Set(parts.map(String)).size).toBe(parts.length)
      expect(runs.reduce((a, b) => a + b, 0)).toBe(whole.executions)
    }
  })

  test('two halves added up say what the whole says', () => {
    const whole = explore(system(), options)
    const parts = prefixes(system(), 4, options)
    const share = (half: number) => parts.filter((_, i) => i % 2 === half)
    const halves = [0, 1].map((half) => explore(system(), { ...options, prefixes: share(half) }))
    expect(halves.map((h) => h.findings.length)).not.toContain(0)
    const merged = halves.reduce(mergeSearch.concat, mergeSearch.empty)
    const same = ({ interleavings, endStates, cut, interrupted, deepest }: Search) =>
      ({ interleavings, endStates, cut, interrupted, deepest })
    expect(same(merged)).toEqual(same(whole))
    expect(claims(merged)).toEqual(claims(whole))
    expect(structuredClone(merged)).toEqual(merged)
  })

  test('the states on the way to a prefix do not count as seen', () => {
    // All parts in one search, whose table is shared.
    const parts = prefixes(system(), 5, options)
    const s = explore(system(), { ...options, prefixes: parts })
    expect(s.endStates).toEqual(explore(system(), options).endStates)
    expect(s.interleavings).toBe(explore(system(), options).interleavings)
  })
})

describe('StateTable', () => {
  test('finds what was added, and nothing else', () => {
    const key = fc.oneof(fc.nat(40), fc.maxSafeNat())
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 60 }), key, (keys, other) => {
        const table = new StateTable(4)
        keys.forEach((k, i) => {
          expect(table.find(k)).toBe(-1)
          expect(table.add(k)).toBe(i)
          table.setPaths(i, k)
          table.setLeft(i, i)
        })
        keys.forEach((k, i) => expect([table.find(k), table.paths(i), table.left(i)]).toEqual([i, k, i]))
        expect(table.find(other)).toBe(keys.indexOf(other))
        expect(table.size).toBe(keys.length)
      }),
    )
  })
})

describe('Digest', () => {
  test('is an integer of 53 bits that depends on every number, on all its bits, and on the order', () => {
    const of = (...n: readonly number[]): number => n.reduce((d, x) => d.add(x), new Digest()).value
    const list = [of(), of(0), of(0, 0), of(1), of(1, 2), of(2, 1), of(2 ** 32), of(2 ** 52), of(-1), of(2 ** 32 - 1)]
    expect(new Set(list).size).toBe(list.length)
    for (const d of list) expect(Number.isSafeInteger(d) && d >= 0).toBe(true)
    expect(new Digest().add(5).clear().add(1).value).toBe(of(1))
  })

  test('small numbers spread over both lanes: no two of 200,000 are the same', () => {
    const d = new Digest()
    const of = (i: number): number => d.clear().add(i % 500).add(Math.floor(i / 500)).value
    const seen = new Set(Array.from({ length: 200_000 }, (_, i) => of(i)))
    expect(seen.size).toBe(200_000)
  })
})
