import { expect, test } from 'vitest'
import { COUNTERS } from '../kernel/ledger.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { getBlock } from '../strategies/get-block.ts'
import { invalidateSplice } from '../strategies/invalidate-splice.ts'
import { strategies } from '../strategies/index.ts'
import { replay } from './cost.ts'
import { freshSession, type Session } from './session.ts'
import type { Operation } from './workload/operation.ts'
import { generate } from './workload/generate.ts'
import { SOURCES, type SourceName } from './write-source.ts'

const names = Object.keys(SOURCES) as SourceName[]

const contents = ({ posix }: Session, path: string): Buffer => {
  const fd = posix.open(path, ['O_RDONLY']) as { right: number }
  const into = Buffer.alloc(1 << 20)
  const n = posix.pread(fd.right, into, 0) as { right: number }
  return into.subarray(0, n.right)
}

const run = (operations: Iterable<Operation>, source: SourceName, strategy: AnyStrategy = getBlock) => {
  const session = freshSession({ format: 'ext4', size: 64 << 20, strategy })
  const header = { schema: 1, tool: 'perform-write', name: 'x', source: 'x' } as const
  return { session, ...replay(session, { header, operations }, { source }) }
}

const over: readonly Operation[] = [
  { op: 'open', fd: 0, path: 'f', flags: ['O_RDWR', 'O_CREAT'] },
  { op: 'write', fd: 0, len: 30_000, off: 0 },
  { op: 'write', fd: 0, len: 20_000, off: 5_000 },
  { op: 'write', fd: 0, len: 9_000, off: 27_000 },
  { op: 'lseek', fd: 0, off: 100, whence: 'set' },
  { op: 'write', fd: 0, len: 50 },
  { op: 'open', fd: 1, path: 'f', flags: ['O_WRONLY', 'O_APPEND'] },
  { op: 'write', fd: 1, len: 5_000 },
]

test.each(strategies.map((s) => [s.name, s] as const))('%s: the bytes are the same, whatever the source', (_, strategy) => {
  const [plain, ...others] = names.map((source) => run(over, source, strategy))
  expect(plain!.problem).toBeNull()
  for (const other of others) {
    expect(other.failures).toEqual({})
    expect(contents(other.session, 'f').equals(contents(plain!.session, 'f'))).toBe(true)
    expect(other.bytesWritten).toBe(plain!.bytesWritten)
  }
})

test('pieces cost what one piece costs, but for the copies themselves', () => {
  const [plain, pieces] = [run(over, 'user'), run(over, 'writev')]
  for (const c of COUNTERS) expect([c, pieces.ledger[c]]).toEqual([c, plain.ledger[c]])
})

test('a mapping of the bytes themselves: what the stores cost is not counted', () => {
  const made = run(over, 'mmap', invalidateSplice)
  expect(made.ledger.copiedBytes).toBe(made.bytesWritten)
  for (const c of COUNTERS) expect([c, made.ledger[c] >= 0]).toEqual([c, true])
})

test('a pipe whose pages may be taken: a write of whole pages copies nothing, one on no boundary all', () => {
  const whole: readonly Operation[] = [
    { op: 'open', fd: 0, path: 'f', flags: ['O_RDWR', 'O_CREAT'] }, { op: 'write', fd: 0, len: 1 << 20, off: 0 },
  ]
  const taken = run(whole, 'pipe')
  expect([taken.ledger.copiedBytes, taken.ledger.pagesStolen, taken.bytesWritten]).toEqual([0, 256, 1 << 20])
  const copied = run(whole, 'pipe-copy')
  expect([copied.ledger.copiedBytes, copied.ledger.pagesStolen]).toEqual([1 << 20, 0])
  const askew = run([whole[0]!, { op: 'write', fd: 0, len: 8192, off: 100 }], 'pipe')
  expect([askew.ledger.copiedBytes, askew.ledger.pagesStolen]).toEqual([8192, 0])
})

test('a workload that opens without writing, or on nothing, is not disturbed', () => {
  const broken: readonly Operation[] = [{ op: 'write', fd: 7, len: 5 }]
  for (const source of names) expect(run(broken, source).failures).toEqual({ 'write EBADF': 1 })
  for (const source of names) expect(run(generate('append', 1, { bytes: 20_000 }), source).failures).toEqual({})
})
