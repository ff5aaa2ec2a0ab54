/** Verdicts: which of the five things is said, and that no other way leads to a tick. */
import { describe, expect, test } from 'vitest'
import type { Checked, Verdict } from '../src/lab/check/verdict.ts'
import { certificateText, failure, verdictLine, verdictTable } from '../src/report/verdicts.ts'
import { reserveAllocate } from '../src/strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../src/strategies/reserve-copy-allocate.ts'
import { type Ask, BOUNDS, conclude, ELSEWHERE, ROWS, runShare, type Share, SHARES } from './check.ts'
import type { Kill } from './kills.ts'

const ask: Ask = { seed: 1, budget: 'smoke', executions: 120 }
const shares = (a: Ask = ask, strategy: Parameters<typeof runShare>[0] = reserveAllocate): Share[] =>
  Array.from({ length: SHARES }, (_, i) => runShare(strategy, a, i))
const kill = (claim: string, killed: boolean, id = 'Z99'): Kill =>
  ({ id, source: 's', claim, strategy: 'reserve-allocate', killed, executions: 1, seconds: 1, lines: 1, operations: 1 })
const of = (c: Checked, claim: string): Verdict => c.verdicts.find((v) => v.claim === claim)!
const both = shares()

describe('a verdict', () => {
  test('is a tick only where a mutant of the claim was killed', () => {
    expect(of(conclude(reserveAllocate, ask, both, []), 'I2'))
      .toMatchObject({ status: 'untested', reason: expect.stringContaining('no mutant') })
    expect(of(conclude(reserveAllocate, ask, both, [kill('I2', false)]), 'I2').status).toBe('untested')
    expect(of(conclude(reserveAllocate, ask, both, [kill('I3', true)]), 'I2').status).toBe('untested')
    expect(of(conclude(reserveAllocate, ask, both, [kill('I2', true), kill('I2', true, 'Z98')]), 'I2'))
      .toMatchObject({ status: 'pass', reason: 'killed Z99, Z98' })
  })

  test('is no tick where nothing looked, nor where the check ended early', () => {
    const kills = ROWS.map((r) => kill(r.id, true))
    const blind = { ...ask, without: 'I2' }
    expect(of(conclude(reserveAllocate, blind, shares(blind), kills), 'I2')).toMatchObject({ status: 'untested', evaluations: 0 })
    const cut = [{ ...both[0]!, ended: { claim: 'I15' as const, what: 'the hook begin did not return' } }, both[1]!]
    const checked = conclude(reserveAllocate, ask, cut, kills)
    expect(of(checked, 'I15')).toMatchObject({ status: 'fail', reason: 'the hook begin did not return' })
    expect(checked.verdicts.filter((v) => v.status === 'pass')).toEqual([])
  })

  test('is n.a. where nothing can break it, declared where the design does not claim it', () => {
    const kills = ROWS.map((r) => kill(r.id, true))
    expect(of(conclude(reserveAllocate, ask, both, kills), 'I7').status).toBe('n.a.')
    expect(of(conclude(reserveCopyAllocate, ask, both, kills), 'I12')).toMatchObject({ status: 'declared' })
  })

  test('of a claim that is broken names what broke it, declared or not', () => {
    const program = { config: { format: 'ext4', blockSize: 1024, folioOrder: 0 }, before: [], fibers: [[]] } as const
    const shown = { claim: 'I12', what: 'gone', program, tape: {}, preemptions: 0, lines: ['a line'] }
    const broken = [{ ...both[0]!, shown: { I12: shown } }, both[1]!]
    expect(of(conclude(reserveAllocate, ask, broken, [kill('I12', true)]), 'I12'))
      .toMatchObject({ status: 'fail', reason: 'gone', counterexample: shown })
    expect(of(conclude(reserveCopyAllocate, ask, broken, []), 'I12').status).toBe('declared')
    expect(failure(of(conclude(reserveAllocate, ask, broken, []), 'I12'), 'again')).toContain('a line\n  replay: again\n')
  })
})

describe('a check', () => {
  test('of one claim gives one verdict', () => {
    const one = { ...ask, claim: 'I2' }
    expect(conclude(reserveAllocate, one, shares(one)).verdicts.map((v) => v.claim)).toEqual(['I2'])
  })

  test('is the same every time, and shares are different parts of it', () => {
    const timeless = ({ seconds: _, ...s }: Share) => s
    expect(shares().map(timeless)).toEqual(both.map(timeless))
    expect(both[0]!.report.lanes).not.toEqual(both[1]!.report.lanes)
  })

  test('certifies each lane with its bounds, and adds up', () => {
    const { certificate: c } = conclude(reserveAllocate, ask, both)
    for (const l of c.lanes) expect(BOUNDS, l.lane).toHaveProperty([l.lane])
    expect(c.executions).toBe(c.lanes.reduce((n, l) => n + l.executions, 0))
    expect(c.cross).toMatchObject({ programs: 2, differences: [] })
  })

  test('has a row or a reason for each claim of the list', () => {
    const all = [...ROWS.map((r) => r.id), ...ELSEWHERE.map((e) => e.id)]
    expect(new Set(all).size).toBe(all.length)
    for (let n = 1; n <= 32; n++) expect(all).toContain(`I${n}`)
  })
})

describe('its report', () => {
  const checked = conclude(reserveAllocate, ask, both, [kill('I2', true)])
  const text = verdictTable(checked) + certificateText(checked, 'smoke') + verdictLine(checked)

  test('shows a tick for a pass and for nothing else, within 100 columns', () => {
    expect(text.match(/✓/g)).toHaveLength(1)
    expect(text).toMatch(/I2 +reserved = owed \+ held, at every step +✓ +[\d,]+ +1\n/)
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100)
  })

  test('says when the explorer contradicts itself', () => {
    const cross = { ...checked.certificate.cross, differences: ['ext4: 3 ends, without pruning 4'] }
    const text = certificateText({ ...checked, certificate: { ...checked.certificate, cross } }, 'smoke')
    expect(text).toContain('✗ the explorer contradicts itself: ext4')
  })
})
