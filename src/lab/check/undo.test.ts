import { expect, test } from 'vitest'
import { JUDGES } from '../../../properties/claims/index.ts'
import { strategies } from '../../strategies/index.ts'
import { SHORT_COPY, singles, UNDO_PROGRAMS, undoAll, UNDO_VERBS, type UndoReport } from './undo.ts'

const undoOf = (name: string, programs = 30): UndoReport =>
  undoAll({ strategy: strategies.find((s) => s.name === name)!, judges: JUDGES, programs: UNDO_PROGRAMS.slice(0, programs) })

const total = (r: UndoReport, of: (s: UndoReport['sites'][number]) => number): number => r.sites.reduce((n, s) => n + of(s), 0)

test('up to the copy the order of 2010 decrements counters, and nothing there can fail', () => {
  const r = undoOf('reserve-copy-allocate')
  expect(total(r, (s) => s.verbs.blocksUnreserved)).toBeGreaterThan(0)
  expect(total(r, (s) => s.verbs.blocksPunched)).toBe(0)
  expect(total(r, (s) => s.verbs.locksUndone)).toBe(0)
  expect(total(r, (s) => s.pairs)).toBe(0)
})

test('a design that placed real blocks must free them, under locks, and the bitmap may be unreadable just then', () => {
  const r = undoOf('get-block')
  expect(total(r, (s) => s.verbs.blocksPunched)).toBeGreaterThan(0)
  expect(total(r, (s) => s.verbs.locksUndone)).toBeGreaterThan(0)
  const both = r.sites.filter((s) => s.inUndo['EIO.free'] !== undefined)
  expect(both.length).toBeGreaterThan(0)
  expect(total(r, (s) => s.lost)).toBeGreaterThan(0)
})

test('a short copy undoes without any fault, and is a site of its own', () => {
  const short = undoOf('get-block', 30).sites.find((s) => s.site === SHORT_COPY)!
  expect(short.failed).toBe(short.undone)
  expect(UNDO_VERBS.some((v) => short.verbs[v] > 0)).toBe(true)
})

test('the same design and the same programs give the same table', () => {
  expect(undoOf('delalloc-per-block', 12)).toEqual(undoOf('delalloc-per-block', 12))
})

test('programs that a check draws will do as well, in the order of the seed', () => {
  expect([...singles(5, 1)]).toHaveLength(5)
  expect([...singles(5, 1)]).toEqual([...singles(5, 1)])
  expect([...singles(5, 2)]).not.toEqual([...singles(5, 1)])
})
