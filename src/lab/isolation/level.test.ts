/** Levels: a row of bytes says what was torn. */
import { describe, expect, test } from 'vitest'
import { PAGE } from '../../kernel/units.ts'
import { levelOfBytes, levelOfSize, sayRuns, type Seen, weaker } from './level.ts'

const FOLIO = 4 * PAGE
const folioEnd = (pos: number): number => pos - (pos % FOLIO) + FOLIO

/** Bytes by runs: `[1, 100], [0, 50]` = 100 of the write, then 50 older. */
const seen = (pos: number, runs: readonly (readonly [0 | 1, number])[], ordered = false): Seen =>
  ({ pos, own: Uint8Array.from(runs.flatMap(([own, n]) => new Array<number>(n).fill(own))), ordered })
const level = (...args: Parameters<typeof seen>) => levelOfBytes(seen(...args), folioEnd)

describe('a read', () => {
  test('all of the write, or none of it => write', () => {
    expect(level(0, [[1, 5 * PAGE]])).toBe('write')
    expect(level(0, [[0, 5 * PAGE]])).toBe('write')
    expect(level(0, [])).toBe('write')
  })
  test('torn where a folio ends => folio', () => expect(level(0, [[1, FOLIO], [0, PAGE]])).toBe('folio'))
  test('torn where a page ends => page', () => expect(level(0, [[1, PAGE], [0, PAGE]])).toBe('page'))
  test('torn inside a page => none', () => expect(level(2048, [[0, 1024], [1, 3072]])).toBe('none'))
  test('a write at 2048, torn where the page ends => page', () => expect(level(2048, [[1, 2048], [0, 2048]])).toBe('page'))
})

describe('loads', () => {
  test('older, then of the write: it happened in between', () => expect(level(0, [[0, 100], [1, 100]], true)).toBe('write'))
  test('of the write, then older: it was under way', () => expect(level(0, [[1, 100], [0, 100]], true)).toBe('none'))
})

test('a size on the way: at the end of a folio, of a page, of neither', () => {
  expect(levelOfSize(PAGE, PAGE, 9 * PAGE, folioEnd)).toBe('write')
  expect(levelOfSize(9 * PAGE, PAGE, 9 * PAGE, folioEnd)).toBe('write')
  expect(levelOfSize(FOLIO, PAGE, 9 * PAGE, folioEnd)).toBe('folio')
  expect(levelOfSize(3 * PAGE, PAGE, 9 * PAGE, folioEnd)).toBe('page')
  expect(levelOfSize(3 * PAGE + 1, PAGE, 9 * PAGE, folioEnd)).toBe('none')
})

test('the weaker of two', () => {
  expect(weaker('write', 'page')).toBe('page')
  expect(weaker('none', 'folio')).toBe('none')
})

test('what was seen, in words', () =>
  expect(sayRuns(seen(2048, [[1, 2048], [0, 2048]]))).toBe('bytes 2048-4095 of the write, 4096-6143 older'))
