import { expect, test } from 'vitest'
import { bytes, count, perUnit, plural } from './format.ts'
import { broken, table, WIDTH, wrap } from './table.ts'

test('a table has one light rule, its first column to the left and its numbers to the right', () => {
  expect(table(['', 'get-\nblock', 'mine'], [['copies', '7', '1,024'], 'space', ['locks', '12', '3']])).toBe([
    '         get-',
    '        block   mine',
    '────────────────────',
    'copies      7  1,024',
    'space',
    'locks      12      3',
    '',
  ].join('\n'))
})

test('columns for which there is no room go into a table below, with the first column', () => {
  const names = Array.from({ length: 8 }, (_, i) => `a-design-${i}`)
  const text = table(['what', ...names], [['copies', ...names.map(() => '1')], 'space'])
  const lines = text.split('\n')
  expect(Math.max(...lines.map((l) => l.length))).toBeLessThanOrEqual(WIDTH)
  expect(lines.filter((l) => l.startsWith('copies'))).toHaveLength(2)
  expect(names.filter((name) => text.includes(name))).toEqual(names)
})

test('a long name breaks at its hyphens only', () => {
  expect(broken('reserve-copy-allocate')).toBe('reserve-\ncopy-\nallocate')
  expect(broken('get-block')).toBe('get-block')
  expect(broken('unhyphenatedname')).toBe('unhyphenatedname')
})

test('wrapped text keeps its words, its first indent and the width', () => {
  const text = `  ${Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ')}`
  const lines = wrap(text, 4).split('\n')
  expect(lines[0]).toMatch(/^ {2}word0/)
  expect(lines[1]).toMatch(/^ {4}word/)
  expect(Math.max(...lines.map((l) => l.length))).toBeLessThanOrEqual(WIDTH)
  expect(lines.join(' ').split(/ +/).filter(Boolean)).toEqual(text.trim().split(' '))
})

test('numbers are as long as they need to be', () => {
  expect([0, 0.001, 0.5, 2, 9.994, 33.49, 718.2, 12345.6].map(perUnit))
    .toEqual(['0', '<0.01', '0.5', '2', '9.99', '33.5', '718', '12,346'])
  expect([1, 1024, 1_258_291, 2 ** 30].map(bytes)).toEqual(['1 B', '1 KiB', '1.2 MiB', '1 GiB'])
  expect([999, 1000, 1234567].map(count)).toEqual(['999', '1,000', '1,234,567'])
  expect([plural(1, 'image'), plural(2, 'image')]).toEqual(['1 image', '2 images'])
})
