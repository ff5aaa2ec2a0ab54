import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { judge, type Mutant, percent, type Reason, type Report } from './judge.ts'

const source = 'const a = b + c\nif (a <\n  d) e()\n'
const mutant = (status: string, line = 1, from = 11, to = 16): Mutant => ({
  mutatorName: 'ArithmeticOperator', replacement: 'b - c', status,
  location: { start: { line, column: from }, end: { line, column: to } },
})
const report = (mutants: readonly Mutant[], text = source): Report =>
  ({ files: { 'src/a.ts': { source: text, mutants } } })
const reason: Reason = {
  file: 'src/a.ts', mutator: 'ArithmeticOperator', original: 'b + c', replacement: 'b - c', line: 'const a = b + c',
  reason: 'c is 0 here',
}
const many = (n: number, status: string): Mutant[] => Array.from({ length: n }, () => mutant(status))

describe('the score', () => {
  test('counts what timed out and what no test covers as alive, and leaves out what does not run', () => {
    const statuses = ['Killed', 'Survived', 'Timeout', 'NoCoverage', 'RuntimeError', 'CompileError', 'Ignored']
    expect(judge(report(statuses.map((s) => mutant(s))), []).total).toEqual({ killed: 1, valid: 4 })
    expect(percent({ killed: 1, valid: 4 })).toBe(25)
  })

  test('under 90 is wrong, 90 is not', () => {
    expect(judge(report([...many(9, 'Killed'), mutant('Survived')]), [reason]).wrong).toEqual([])
    expect(judge(report([...many(8, 'Killed'), mutant('Survived')]), [reason]).wrong)
      .toEqual(['the score is 88.9 %, it must be 90 % or more'])
  })

  test('a report without mutants proves nothing', () => {
    expect(judge(report([]), []).wrong).toEqual(['the report holds no mutant: run npm run mutation'])
  })
})

describe('a survivor', () => {
  const others = many(20, 'Killed').map((m) => ({ ...m, mutatorName: 'BlockStatement' }))

  test('without a reason is wrong, and is shown by its line and texts', () => {
    const { survivors, wrong } = judge(report([...others, mutant('Survived')]), [])
    expect(survivors).toMatchObject([{ at: 'src/a.ts:1', original: 'b + c', replacement: 'b - c', reason: null }])
    expect(wrong).toEqual([expect.stringMatching(/^src\/a\.ts:1: ArithmeticOperator survives without a reason/)])
    expect(judge(report([...others, mutant('Timeout')]), [{ ...reason, reason: ' ' }]).wrong).toHaveLength(1)
  })

  test('keeps its reason when lines move', () => {
    const moved = mutant('Survived', 3)
    expect(judge(report([...others, moved], `\n\n${source}`), [reason]).wrong).toEqual([])
  })

  test('loses it when its line changes: somebody must look again', () => {
    expect(judge(report([...others, mutant('Survived')], 'const a = b + c + d\n'), [reason]).wrong).toHaveLength(2)
  })

  test('over several lines is one line of text', () => {
    const wide = { ...mutant('Survived'), location: { start: { line: 2, column: 5 }, end: { line: 3, column: 4 } } }
    expect(judge(report([...others, wide]), []).survivors[0]).toMatchObject({ original: 'a < d', line: 'if (a <' })
  })
})

test('a reason for a mutant that is killed now, or for a file that is gone, is stale', () => {
  expect(judge(report(many(3, 'Killed')), [reason]).wrong).toEqual([expect.stringContaining('survives no more')])
  expect(judge({ files: {} }, [reason]).stale).toEqual([reason])
})

test('every committed reason is one line of sense about a file that is mutated', () => {
  const reasons = JSON.parse(readFileSync(new URL('./survivors.json', import.meta.url), 'utf8')) as Reason[]
  for (const r of reasons) {
    expect(r.reason, r.line).toMatch(/^[^\n]{15,}$/)
    expect(r.file).toMatch(/^src\/(strategies\/.+|fs\/perform-write)\.ts$/)
  }
  const keys = reasons.map(({ reason: _reason, ...key }) => JSON.stringify(key))
  expect(keys).toEqual([...new Set(keys)])
})
