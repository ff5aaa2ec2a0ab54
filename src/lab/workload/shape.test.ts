import { expect, test } from 'vitest'
import type { Operation } from './operation.ts'
import { shapeOf } from './shape.ts'

const open = (fd: number, path: string, ...flags: ('O_APPEND' | 'O_TRUNC' | 'O_EXCL')[]): Operation =>
  ({ op: 'open', fd, path, flags: ['O_RDWR', 'O_CREAT', ...flags] })

test('positions follow write, read and lseek', () => {
  const shape = shapeOf([
    open(0, 'a'), { op: 'write', fd: 0, len: 100 }, { op: 'write', fd: 0, len: 10, off: 500 },
    { op: 'lseek', fd: 0, off: -20, whence: 'cur' }, { op: 'read', fd: 0, len: 1000 },
    { op: 'lseek', fd: 0, off: 90, whence: 'end' }, { op: 'writev', fd: 0, lens: [1, 2] },
    open(1, 'b', 'O_APPEND'), { op: 'write', fd: 1, len: 5 }, { op: 'lseek', fd: 1, off: 0, whence: 'set' },
    { op: 'write', fd: 1, len: 5 },
  ])
  expect(shape.sizes()).toEqual({ a: 603, b: 10 })
  expect(shape.position(0)).toBe(603)
})

test('names come and go, files stay while they are open', () => {
  const shape = shapeOf([
    { op: 'mkdir', path: 'd' }, open(0, 'd/a'), { op: 'link', from: 'd/a', to: 'l' }, { op: 'unlink', path: 'd/a' },
    { op: 'fallocate', fd: 0, mode: 'allocate', off: 10, len: 10 },
    { op: 'fallocate', fd: 0, mode: 'keep-size', off: 90, len: 10 },
    open(1, 'd/x'),
    { op: 'ftruncate', fd: 1, len: 7 },
    { op: 'rename', from: 'd', to: 'e' },
    { op: 'symlink', target: 'd/x', path: 's' },
    open(2, 'gone'),
    { op: 'unlink', path: 'gone' },
    { op: 'write', fd: 2, len: 9 },
    { op: 'readdir', path: '.' },
  ])
  expect(shape.sizes()).toEqual({ l: 20, 'e/x': 7 })
  expect(shape.bytesWritten).toBe(9)
  expect(shape.kind('s')).toBe('symlink')
})

test('an operation that cannot succeed is named', () => {
  expect(() => shapeOf([open(0, 'a'), { op: 'unlink', path: 'b' }])).toThrow('operation 1 (unlink): b does not exist')
  expect(() => shapeOf([open(0, 'd/a')])).toThrow('operation 0 (open): d does not exist')
  expect(() => shapeOf([open(0, 'a'), open(1, 'a', 'O_EXCL')])).toThrow('operation 1 (open): a exists')
  expect(() => shapeOf([{ op: 'fsync', fd: 1 }])).toThrow('operation 0 (fsync): fd 1 is not open')
  expect(() => shapeOf([{ op: 'mkdir', path: 'd' }, open(0, 'd/a'), { op: 'rmdir', path: 'd' }])).toThrow(
    'd is not empty',
  )
})
