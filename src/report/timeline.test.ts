import { expect, test } from 'vitest'
import { bench, leak, leaks, race, unlocked } from '../lab/check/broken.test-util.ts'
import { shrink } from '../lab/check/shrink.ts'
import { timelineOf } from '../lab/check/timeline.ts'
import { counterexampleLines, MOST_LINES, pageLines, timelineLines } from './timeline.ts'
import { WIDTH } from './table.ts'

test('one process: a line a call, the page by owner, the sentence, the command', () => {
  const small = shrink(leak, bench(leaks))!
  const heading = { claim: 'I4', expected: 'Delayed blocks are dirty.', strategy: 'leaks', program: small.program }
  expect(counterexampleLines(heading, timelineOf(small, bench(leaks)), 'perform-write replay leak.json')).toEqual([
    'leaks on ext4, blocks of 2048, folios up to 4 KiB: 0 preemptions, 0 faults',
    '  step  writer 1',
    '─'.repeat(60),
    '   1-6  write 4096 bytes at 0, 2048 of them readable => 2048',
    'page 0 in the cache: 0-2047 write of fiber 1; 2048-4095 fresh memory',
    '  blocks 0 delayed, dirty; 1 delayed, not uptodate; the file has 2048 bytes',
    '✗ I4: block 1 is delayed, has no dirty data over it and belongs to no write under way',
    '  expected: Delayed blocks are dirty.',
    '  replay: perform-write replay leak.json',
  ])
})

test('two processes: a column each, with the place where one was interrupted', () => {
  const small = shrink(race(), bench(unlocked))!
  const { columns, rows } = timelineOf(small, bench(unlocked))
  expect(columns).toEqual(['writer 1', 'truncate 2'])
  expect(rows.map((r) => [r.fiber, r.text])).toEqual([
    [0, 'write 2560 bytes at 4096 ... switch before "copy"'], [1, 'truncate to 512 ... waits for "folio lock of page 1"'],
    [0, '... => 2560'], [1, '... => ok'],
  ])
  expect(rows.map((r) => [r.from, r.to])).toEqual([[1, 3], [4, 7], [8, 8], [9, 10]])
})

test('no line is too wide, and there are at most twelve', () => {
  for (const [c, strategy] of [[leak, leaks], [race(), unlocked]] as const) {
    const lines = timelineLines(timelineOf(c, bench(strategy)))
    expect(lines.length).toBeLessThanOrEqual(MOST_LINES + 2)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(WIDTH)
  }
  const rows = Array.from({ length: 40 }, (_, i) => ({ from: i + 1, to: i + 1, fiber: i % 2, text: `row ${i}`, steps: [] }))
  const long = timelineLines({ ...timelineOf(leak, bench(leaks)), columns: ['a', 'b'], rows })
  expect(long.length).toBe(MOST_LINES + 2)
  expect(long[8]).toBe('        ... 29 lines ...')
})

test('a page of one block', () => {
  const [bytes, blocks] = [[{ from: 8192, to: 8193, what: 'zero' }], [{ from: 2, to: 3, what: 'hole' }]]
  const page = { page: 2, where: 'at rest', bytes, blocks, size: 8193 }
  expect(pageLines(page)).toEqual(['page 2 at rest: 8192 zero', '  block 2 hole; the file has 8193 bytes'])
})
