/**
 * Splice: claims SPLICE-1 to SPLICE-9 for every design, sources as an axis, and what a donated MiB costs.
 *
 * Continuous integration runs one program in 23; `SPLICE=all` runs all of them.
 */
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { isLeft, right } from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { since, snapshot } from '../src/kernel/ledger.ts'
import { runOnce, STEP_BUDGET, worldFor } from '../src/lab/check/check.ts'
import type { Program } from '../src/lab/check/program.ts'
import { freshSession } from '../src/lab/session.ts'
import { Pipes } from '../src/pipe/pipes.ts'
import { explore } from '../src/sim/explore.ts'
import { FaultPlan } from '../src/sim/fault-plan.ts'
import { RecordingTape } from '../src/sim/tape.ts'
import { getBlock } from '../src/strategies/get-block.ts'
import { strategies } from '../src/strategies/index.ts'
import { invalidateSplice } from '../src/strategies/invalidate-splice.ts'
import { reserveAllocate } from '../src/strategies/reserve-allocate.ts'
import { JUDGES } from './claims/index.ts'
import { apply, diff, MAX_LINES, patchesOf } from './mutants/mutant.ts'
import { SPLICE_CLAIMS, SPLICE_JUDGES } from './splice/claims.ts'
import { SPLICE_EXPECTED } from './splice/expected.ts'
import { ignored } from './splice/ignored.ts'
import { judgeSteps, pipeSteps } from './splice/model.ts'
import { alone, beside, SOURCES, type SourceName, underWriteback } from './splice/programs.ts'
import { schedules, THREADS } from './splice/threads.ts'
import { SPLICE_MUTANTS } from './splice-mutants/index.ts'
import { huntFor } from './splice-mutants/run.ts'

/** One in so many programs. */
const NTH = 23
const ALL = process.env['SPLICE'] === 'all'
const some = (programs: readonly Program[], nth: number): readonly Program[] =>
  ALL ? programs : programs.filter((_, i) => i % NTH === nth % NTH)
const judges = [...SPLICE_JUDGES, ...JUDGES]
const PIPES = SOURCES.filter((s) => !['memory', 'writev', 'mapping'].includes(s))

/** Each fault site once, and once for good. @returns what was broken */
const withFaults = (program: Program, strategy: (typeof strategies)[number]): string[] => {
  const world = worldFor(program, { strategy, judges })
  if (world === null) return []
  const found: string[] = []
  const go = (plan: { fail: readonly number[]; sticky?: boolean }): readonly string[] => {
    const faults = new FaultPlan(plan)
    const { violations } = runOnce(world, new RecordingTape({ fault: faults }))
    found.push(...violations.map((v) => `${v.claim}: ${v.what}; ${JSON.stringify(program)}, failing ${faults.failed.join(' ')}`))
    return faults.reached
  }
  go({ fail: [] }).forEach((_, i) => {
    go({ fail: [i] })
    go({ fail: [i], sticky: true })
  })
  return found
}

describe('every design, from every source, each fault site once and for good', () => {
  const cases = strategies.flatMap((s, i) => SOURCES.map((source, j): readonly [string, SourceName, number] => [s.name, source, i + j]))
  test.each(cases)('%s from %s breaks no claim', (name, source, nth) => {
    const strategy = strategies.find((s) => s.name === name)!
    expect(some(alone(source), nth).flatMap((program) => withFaults(program, strategy))).toEqual([])
  }, 120_000)
})

describe('a splice beside something else, at most one preemption, and one fault', () => {
  const designs = ALL ? strategies : [getBlock, reserveAllocate, invalidateSplice]
  /** What it declares to lose, or may refuse: the same as without a pipe. */
  const OTHERWISE: Readonly<Record<string, readonly string[]>> = { 'invalidate-then-add': ['I23', 'I26'] }
  test.each(designs.map((s, i) => [s.name, s, i] as const))('%s', (name, strategy, nth) => {
    const programs = [...underWriteback, ...['pages', 'held', 'mixed', 'file'].flatMap((s) => some(beside(s as SourceName), nth))]
    const found = programs.flatMap((program) => {
      const world = worldFor(program, { strategy, judges })
      return world === null ? [] : [0, 1].flatMap((fault) => explore(world, {
        budget: { executions: 60, preemptions: 1 }, steps: STEP_BUDGET, collect: true, bounds: { completion: Infinity, short: 2, fault },
      }).findings)
    })
    expect(found.filter((f) => !(OTHERWISE[name] ?? []).includes(f.claim)).map((f) => `${f.claim}: ${f.what}`)).toEqual([])
  }, 120_000)
})

describe('SPLICE-6: a design that ignores the offer', () => {
  test.each(strategies.map((s, i) => [s.name, s, i] as const))('%s: the same results, bytes and rest', (_, strategy, nth) => {
    const programs = PIPES.flatMap((source, j) => some(alone(source), nth + j))
    expect(programs.map((program) => ignored(program, strategy)).filter((x) => x !== null)).toEqual([])
  }, 60_000)
})

describe('pipes', () => {
  test('hold what their model holds, and so does the file', () => {
    fc.assert(fc.property(pipeSteps(40), (steps) => {
      expect(judgeSteps(reserveAllocate, steps)).toBeNull()
    }), { numRuns: ALL ? 2000 : 100, seed: 1 })
  }, 60_000)

  test.each(THREADS.map((t) => [t.name, t] as const))('%s: every schedule with at most two preemptions', (_, t) => {
    const { exhausted, found, edges } = schedules(t, 2, 5000)
    expect([exhausted, found]).toEqual([true, []])
    expect(edges.filter((e) => /lock.* -> pipe/.test(e) && !/^pipe/.test(e))).toEqual([])
  })
})

describe('what it costs', () => {
  const MIB = 1 << 20
  const splice = (strategy: (typeof strategies)[number], move: boolean) => {
    const { posix, ledger } = freshSession({ format: 'ext4', strategy, size: 8 << 20 })
    const pipes = new Pipes(posix)
    const fd = posix.open('f', ['O_RDWR', 'O_CREAT'])
    if (isLeft(fd)) throw new Error(fd.left)
    const bytes = Buffer.from(Array.from({ length: MIB }, (_, i) => (i * 7 + (i >> 12)) & 255))
    const pipe = pipes.pipe(256)
    expect(pipes.write(pipe, bytes)).toEqual(right(MIB))
    const before = snapshot(ledger)
    expect(pipes.toFile(pipe, fd.right, 0, MIB, move ? ['SPLICE_F_MOVE'] : [])).toEqual(right(MIB))
    const cost = since(before, ledger)
    const into = Buffer.alloc(MIB)
    posix.pread(fd.right, into, 0)
    expect(into.equals(bytes)).toBe(true)
    return cost
  }

  test.each(strategies.map((s) => [s.name, s] as const))('%s: 1 MiB from a pipe into a new file, nothing is copied', (_, strategy) => {
    const given = splice(strategy, true)
    if (strategy.offers === 'ignored') return expect([given.copiedBytes, given.refusedIgnored, given.pagesStolen]).toEqual([MIB, 1, 0])
    expect([given.copiedBytes, given.innerBytes, given.pagesAllocated]).toEqual([0, 0, 0])
    expect([given.inPlaceBytes, given.pagesStolen, given.pagesReturned]).toEqual([MIB, 256, 0])
    expect(splice(strategy, false).copiedBytes).toBe(MIB)
  })
})

describe('the claims', () => {
  test('are nine, each with what is expected of it and a mutant that names it', () => {
    const ids = SPLICE_CLAIMS.map((c) => c.id)
    expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `SPLICE-${n}`))
    expect(SPLICE_EXPECTED.map((e) => e.claim)).toEqual(ids)
    expect(new Set(SPLICE_MUTANTS.map((m) => m.claim))).toEqual(new Set(ids))
  })
})

describe('mutants', () => {
  const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

  test.each(SPLICE_MUTANTS.map((m) => [m.id, m] as const))('%s applies, is small, and can be loaded', (_, m) => {
    for (const { file } of patchesOf(m)) expect(() => stripTypeScriptTypes(apply(m, file, read(file)))).not.toThrow()
    expect(diff(m, read).length).toBeLessThanOrEqual(MAX_LINES)
  })

  const quick = SPLICE_MUTANTS.filter((m) => ALL || ['S1', 'S6', 'S8'].includes(m.id))
  test.each(quick.map((m) => [m.id, m] as const))('%s is killed by its claim', async (id, m) => {
    expect(Object.keys((await huntFor(id, { strategy: m.strategy, claim: m.claim })).broken)).toContain(m.claim)
  }, 300_000)
})
