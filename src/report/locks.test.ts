import { expect, test } from 'vitest'
import { cycleLines, cycleOf, locksTable, type ObservedOrder } from './locks.ts'

const order = (strategy: string, edges: Record<string, number>): ObservedOrder => ({ strategy, executions: 1, edges })
const good = order('good', { 'inode lock -> folio lock': 3, 'folio lock -> folio lock (ascending)': 2, 'folio lock -> map lock': 5 })
const bad = order('bad', { 'folio lock -> map lock': 1, 'map lock -> folio lock': 1 })

test('one row an edge, a dot where a design never went', () => {
  const lines = locksTable([good, bad]).trimEnd().split('\n')
  expect(lines).toHaveLength(2 + 4)
  expect(lines.find((l) => l.startsWith('map lock -> folio lock'))).toMatch(/· +1$/)
  expect(lines.find((l) => l.startsWith('folio lock -> map lock'))).toMatch(/5 +1$/)
})

test('both orders are a cycle, ascending folios are none', () => {
  expect(cycleOf(good)).toBeNull()
  expect(cycleOf(bad)).toBe('folio lock -> map lock -> folio lock')
  expect(cycleLines([good])).toMatch(/^no cycle/)
  expect(cycleLines([good, bad])).toContain('bad takes locks in both orders')
})
