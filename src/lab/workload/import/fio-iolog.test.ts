import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { shapeOf } from '../shape.ts'
import { importFile, importFioIolog } from './index.ts'
import type { Imported } from './index.ts'

const fixture = (name: string): Promise<Imported> =>
  importFile('fio-iolog', fileURLToPath(new URL(`fixtures/${name}`, import.meta.url)), { name: 'w' })
const imported = (...lines: string[]): Imported => importFioIolog(lines, { name: 'w', file: 'w.iolog', root: '/d' })

test('version 3: what fio wrote, with its times', async () => {
  const { operations, warnings } = await fixture('fio-v3.iolog')
  expect(operations.slice(0, 4)).toEqual([
    { op: 'open', fd: 0, path: 'a.0.0', flags: ['O_RDWR', 'O_CREAT'], t: 0 },
    { op: 'write', fd: 0, len: 4096, off: 0, t: 4 },
    { op: 'write', fd: 0, len: 4096, off: 45056, t: 2054 },
    { op: 'fsync', fd: 0, t: 4087 },
  ])
  expect(operations.filter(({ op }) => op === 'write').length).toBe(5)
  expect(shapeOf(operations).sizes()).toEqual({ 'a.0.0': 57344 })
  expect(warnings).toEqual([])
})

test('version 2: the same without times, where waits count', async () => {
  const { operations } = await fixture('fio-v2.iolog')
  const untimed = operations.map(({ t: _, ...rest }) => rest)
  expect(untimed).toEqual((await fixture('fio-v3.iolog')).operations.map(({ t: _, ...rest }) => rest))
  expect(operations[2]?.t).toBe(2000)
})

test('a file that is read where the job did not write was there before', async () => {
  const { operations, header } = await fixture('fio-randrw.iolog')
  expect(header.setup).toBe(4)
  expect(operations[1]).toEqual({ op: 'write', fd: 1, len: 57344, off: 0 })
})

test('fsync of another file than was written is warned of', async () => {
  const { warnings } = await fixture('fio-nrfiles.iolog')
  expect(warnings[0]).toMatch(
    /fio-nrfiles\.iolog:7: sync of a\.0\.1, while a\.0\.0 holds the writes: .* \(axboe\/fio#1904\)/,
  )
})

test('trim punches, paths lose the root, what is outside is left out', () => {
  const { operations, ignored } = imported(
    'fio version 2 iolog',
    '/d/x add',
    '/d/x open',
    '/e/y open',
    '/d/x trim 4096 4096',
    '/d/x datasync 0 0',
    '/d/x close',
  )
  expect(operations.map(({ t: _, ...rest }) => rest)).toEqual([
    { op: 'open', fd: 0, path: 'x', flags: ['O_RDWR', 'O_CREAT'] },
    { op: 'fallocate', fd: 0, mode: 'punch', off: 4096, len: 4096 },
    { op: 'fdatasync', fd: 0 },
    { op: 'close', fd: 0 },
  ])
  expect(ignored).toMatchObject({ 'outside the root': 1 })
})

test('every line that is wrong is named', () => {
  expect(() => imported('fio version 1 iolog')).toThrow('w.iolog:1: an iolog begins with "fio version 2 iolog" or')
  expect(() => imported('fio version 2 iolog', 'a write 0 4096')).toThrow(
    'w.iolog:2: a is not open; its "open" line must come before "write"',
  )
  expect(() => imported('fio version 3 iolog', 'a open')).toThrow(
    'w.iolog:2: the time must be a number >= 0, found "a" in "a open"',
  )
  expect(() => imported('fio version 2 iolog', 'a open', 'a write 0 4k')).toThrow(
    'w.iolog:3: the length must be a number >= 0, found "4k" in "a write 0 4k"',
  )
  expect(() => imported('fio version 2 iolog', 'a erase 0 1')).toThrow('w.iolog:2: expected FILE add|open|close|')
})
