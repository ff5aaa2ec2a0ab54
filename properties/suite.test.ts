/** The suite as a stranger's runner sees it, with designs that behave, break a claim, or do not behave at all. */
import { describe, expect, test } from 'vitest'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import { reserveAllocate as good } from '../src/strategies/reserve-allocate.ts'
import { CLAIMS } from './claims/index.ts'
import { type SuiteOptions, writePathSuite } from './suite.ts'

/** Run the suite with a runner that writes down: names of tests, and what those that failed said. */
const suite = (strategy: unknown, options: SuiteOptions = { executions: 60 }) => {
  const failed: Record<string, string> = {}
  const names: string[] = []
  const title: string[] = []
  const verdicts = writePathSuite({
    describe: (name, body) => {
      title.push(name)
      body()
    },
    test: (name, body) => {
      names.push(name)
      try {
        body()
      } catch (e) {
        failed[name] = String(e)
      }
    },
  }, strategy as AnyStrategy, options)
  return { failed, names, title, verdicts }
}

const mine = (hooks: object): unknown => ({ ...good, name: 'mine', ...hooks })
const of = (failed: Record<string, string>, claim: string): string | undefined =>
  Object.entries(failed).find(([name]) => name.startsWith(`${claim} `))?.[1]

describe('a design that behaves', () => {
  const { failed, names, title, verdicts } = suite(good)

  test('gets one test a claim, its id first, and none fails', () => {
    expect(failed).toEqual({})
    expect(title).toEqual(['reserve-allocate, checked with budget smoke and seed 1'])
    for (const c of CLAIMS) expect(names.filter((n) => n.startsWith(`${c.id} ${c.short}`)), c.id).toHaveLength(1)
    expect(verdicts.map((v) => v.claim)).toEqual([...CLAIMS.map((c) => c.id), 'port'])
  })

  test('what gets no tick says so in its name', () => {
    expect(names).toContain('I7 shared blocks never change [n.a.: neither ext2 nor ext4 shares blocks between files]')
    const why = 'a check loses no power; perform-write crash does'
    expect(names.find((n) => n.startsWith('I28'))).toBe(`I28 a crash shows old, new or zero [not checked here: ${why}]`)
    for (const v of verdicts.filter((x) => x.status !== 'pass')) {
      expect(names.find((n) => n.startsWith(`${v.claim} `))).toContain(`[${v.status}: ${v.reason}]`)
    }
  })

  test('the same seed gives the same verdicts', () => {
    const timeless = (all: typeof verdicts) => all.map(({ seconds: _, ...v }) => v)
    expect(timeless(suite(good).verdicts)).toEqual(timeless(verdicts))
  })
})

describe('a design that does not behave is named, and nobody falls', () => {
  test('it throws', () => {
    const { failed } = suite(mine({ *begin() { throw new TypeError('oops') } }))
    expect(of(failed, 'port')).toContain('begin: threw TypeError: oops')
  })

  test('it throws only where something failed before', () => {
    const { failed } = suite(mine({ *end() { throw new RangeError('late') } }))
    expect(of(failed, 'port')).toContain('end: threw RangeError: late')
  })

  test('it never returns', () => {
    const { failed, verdicts } = suite(mine({ *begin() { for (;;); } }), { executions: 60, patience: 1 })
    expect(of(failed, 'I15')).toContain('the hook begin did not return within 1 s: an endless loop, in ext')
    expect(verdicts.filter((v) => v.status === 'pass')).toEqual([])
    expect(verdicts.find((v) => v.claim === 'I11')).toMatchObject({ status: 'untested' })
  })

  test('it waits for ever', () => {
    const { failed } = suite(mine({ *begin() { for (;;) yield { label: 'nothing', ready: () => true } } }))
    expect(Object.values(failed).join()).toMatch(/begin: yielded 10000 times and did not return|no end after/)
  })

  test('it yields nonsense', () => {
    const { failed } = suite(mine({ *begin() { yield 7 } }))
    expect(of(failed, 'port')).toContain('begin: yielded 7: did you mean yield*?')
  })

  test('it breaks the contract: more bytes stand than were copied', () => {
    const { failed } = suite(mine({ *commit(_k: unknown, _w: unknown, _m: unknown, _from: number, n: number) { return n + 1 } }))
    expect(of(failed, 'port')).toContain('commit: returned')
  })

  test('it is no design', () => {
    const { failed, names } = suite({ name: 'mine' })
    expect(of(failed, 'port')).toContain('"summary" must be a text that is not empty, found nothing')
    expect(names.filter((n) => !n.includes('[not checked here'))).toEqual(['port the contract of the port is kept'])
  })
})

test('a claim that is broken fails its test, with what it takes to break it', () => {
  const leaks = mine({ *end() {} })
  const { failed, verdicts } = suite(leaks, { executions: 300 })
  expect(of(failed, 'I4')).toMatch(/block \d is delayed, has no dirty data over it and belongs to no write under way/)
  const c = verdicts.find((v) => v.claim === 'I4')!.counterexample!
  expect(c.program.fibers).toHaveLength(1)
  expect(c.program.fibers.flat().length + c.program.before.length).toBeLessThanOrEqual(2)
})

test('a budget or claim that does not exist is refused', () => {
  expect(() => suite(good, { budget: 'huge' as 'ci' })).toThrow('no budget "huge"; known are smoke, ci, deep')
  expect(() => suite(good, { claim: 'I99' })).toThrow('no claim "I99"; known are I1,')
})
