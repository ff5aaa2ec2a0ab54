import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FALLOCATE_MODES, OPEN_FLAGS, WHENCES } from './operation.ts'
import type { Operation, Workload, WorkloadHeader } from './operation.ts'
import { loadWorkload, parseWorkload, readWorkload } from './reader.ts'
import { OPERATION_NAMES } from './schema.ts'
import { formatWorkload, saveWorkload } from './writer.ts'

const HEADER = '{"schema":1,"tool":"perform-write","name":"w","source":"by hand"}'
const OPEN = '{"op":"open","fd":3,"path":"a","flags":["O_RDWR","O_CREAT"]}'
const refusal = (...lines: string[]): string => {
  try {
    parseWorkload(lines.join('\n'), 'w.jsonl')
  } catch (cause) {
    return (cause as Error).message
  }
  return 'accepted'
}

async function collect<A>(from: AsyncIterable<A>): Promise<A[]> {
  const all: A[] = []
  for await (const each of from) all.push(each)
  return all
}

let folder: string
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'workload-'))))
afterAll(() => rmSync(folder, { recursive: true }))

test('every line that is wrong is named, with what was expected', () => {
  expect(refusal('')).toMatch(/^w\.jsonl:1: the first line must be a header such as/)
  expect(refusal(OPEN)).toMatch(/^w\.jsonl:1: the first line must be a header/)
  expect(refusal(HEADER.replace('1', '2'))).toBe('w.jsonl:1: schema 2 is not known here; this version reads schema 1')
  expect(refusal(HEADER.replace('perform-write', 'fio'))).toBe('w.jsonl:1: "tool" must be "perform-write", found "fio"')
  expect(refusal(HEADER.replace('"w"', '""'))).toBe('w.jsonl:1: "name" must be a text that is not empty, found ""')
  expect(refusal(HEADER, OPEN, '{"op":"write","fd":3,"len":"4k"}')).toBe(
    'w.jsonl:3: "len" must be a number of bytes >= 0, found "4k"',
  )
  expect(refusal(HEADER, OPEN, '{"op":"write","fd":3,"len":1.5}')).toMatch(
    /"len" must be a number of bytes >= 0, found 1.5/,
  )
  expect(refusal(HEADER, OPEN, '{"op":"write","fd":3}')).toMatch(/"len" must be a number of bytes >= 0, found nothing/)
  expect(refusal(HEADER, OPEN, '{"op":"write","fd":3,"len":1,"offset":0}')).toBe(
    'w.jsonl:3: "write" has no field "offset"; its fields are fd, len, off, sync, t',
  )
  expect(refusal(HEADER, '', '{"op":"wrote"}')).toMatch(
    /^w\.jsonl:3: unknown operation "wrote"; known are open, close, write,/,
  )
  expect(refusal(HEADER, '{"op":"sync"')).toBe('w.jsonl:2: not a line of JSON: {"op":"sync"')
  expect(refusal(HEADER, '[]')).toBe('w.jsonl:2: an operation must be an object such as {"op":"sync"}, found []')
  expect(refusal(HEADER, '{"op":"stat","path":"../etc"}')).toMatch(/"path" must be a path relative to the root/)
  expect(refusal(HEADER, '{"op":"stat","path":"/etc"}')).toMatch(/"path" must be a path relative to the root/)
  expect(refusal(HEADER, OPEN.replace('O_RDWR', 'O_RW'))).toMatch(/^w\.jsonl:2: "flags" must be a list of O_RDONLY,/)
})

test('an fd is open from its open to its close', () => {
  expect(refusal(HEADER, '{"op":"fsync","fd":4}')).toBe('w.jsonl:2: "fsync" on fd 4, which is not open')
  expect(refusal(HEADER, OPEN, '{"op":"close","fd":3}', '{"op":"read","fd":3,"len":1}'))
    .toBe('w.jsonl:4: "read" on fd 3, which is not open')
  expect(refusal(HEADER, OPEN, OPEN)).toBe('w.jsonl:3: "open" gives fd 3, which is still open (a); close it first')
  expect(refusal(HEADER, OPEN, '{"op":"close","fd":3}', OPEN)).toBe('accepted')
})

const bytes = fc.maxSafeNat()
const path = fc
  .array(fc.stringMatching(/^[^./\0][^/\0]{0,5}$/), { minLength: 1, maxLength: 3 })
  .map(parts => parts.join('/'))
const optional = <A, K extends string>(key: K, value: fc.Arbitrary<A>): fc.Arbitrary<{ [k in K]?: A }> =>
  fc.option(value).map(a => a === null ? {} : { [key]: a } as { [k in K]?: A })
const with2 = <A, B>(a: fc.Arbitrary<A>, b: fc.Arbitrary<B>): fc.Arbitrary<A & B> =>
  fc.tuple(a, b).map(([x, y]) => ({ ...x, ...y }))
const fields = { fd: fc.constant(0), off: bytes, len: bytes, path, from: path, to: path }
const pick = <K extends keyof typeof fields>(...keys: K[]): Pick<typeof fields, K> =>
  Object.fromEntries(keys.map(key => [key, fields[key]])) as Pick<typeof fields, K>

/** Any operation but open, on fd 0 where it has one. */
const operation: fc.Arbitrary<Operation> = with2(
  fc.oneof(
    with2(
      fc.record({ op: fc.constant('write' as const), ...pick('fd', 'len') }),
      with2(optional('off', bytes), optional('sync', fc.boolean())),
    ),
    with2(
      fc.record({ op: fc.constant('writev' as const), lens: fc.array(bytes), ...pick('fd') }),
      optional('off', bytes),
    ),
    with2(fc.record({ op: fc.constant('read' as const), ...pick('fd', 'len') }), optional('off', bytes)),
    fc.record({
      op: fc.constant('lseek' as const),
      fd: fc.constant(0),
      off: fc.integer(),
      whence: fc.constantFrom(...WHENCES),
    }),
    fc.record({ op: fc.constant('truncate' as const), ...pick('path', 'len') }),
    fc.record({ op: fc.constant('ftruncate' as const), ...pick('fd', 'len') }),
    fc.record({
      op: fc.constant('fallocate' as const),
      mode: fc.constantFrom(...FALLOCATE_MODES),
      ...pick('fd', 'off', 'len'),
    }),
    fc.record({ op: fc.constantFrom('fsync' as const, 'fdatasync' as const), ...pick('fd') }),
    fc.record({ op: fc.constant('sync' as const) }),
    fc.record({
      op: fc.constantFrom('unlink' as const, 'rmdir' as const, 'readdir' as const, 'stat' as const),
      ...pick('path'),
    }),
    fc.record({ op: fc.constantFrom('rename' as const, 'link' as const), ...pick('from', 'to') }),
    fc.record({ op: fc.constant('symlink' as const), target: path, ...pick('path') }),
    with2(fc.record({ op: fc.constant('mkdir' as const), ...pick('path') }), optional('mode', fc.nat(0o7777))),
    fc.record({ op: fc.constant('chmod' as const), mode: fc.nat(0o7777), ...pick('path') }),
    with2(fc.record({ op: fc.constant('utimes' as const), ...pick('path') }), optional('mtime', fc.maxSafeInteger())),
    fc.record({ op: fc.constant('mmap-write' as const), ...pick('fd', 'off', 'len') }),
  ),
  optional('t', bytes),
)

const workload: fc.Arbitrary<Workload<Operation[]>> = fc.record({
  header: with2(
    fc.record({
      schema: fc.constant(1 as const),
      tool: fc.constant('perform-write' as const),
      name: path,
      source: path,
    }),
    with2(optional('files', fc.nat()), with2(optional('blind', fc.array(path)), optional('note', path))),
  ) as fc.Arbitrary<WorkloadHeader>,
  operations: fc
    .tuple(path, fc.subarray([...OPEN_FLAGS]), fc.array(operation))
    .map(([name, flags, rest]): Operation[] => [
      { op: 'open', fd: 0, path: name, flags },
      ...rest,
      { op: 'close', fd: 0 },
    ]),
})

test('what is written is read back, by parse, by load and as a stream, plain and packed', async () => {
  fc.assert(fc.property(workload, given => {
    expect(parseWorkload([...formatWorkload(given)].join('\n'))).toEqual(given)
  }))
  for (const given of fc.sample(workload, { numRuns: 4, seed: 1 })) {
    for (const name of ['w.jsonl', 'w.jsonl.gz']) {
      const file = join(folder, name)
      saveWorkload(file, given)
      expect(loadWorkload(file)).toEqual(given)
      const { header, operations } = await readWorkload(file)
      expect({ header, operations: await collect(operations) }).toEqual(given)
    }
  }
})

test('the sample above speaks the whole vocabulary', () => {
  const seen = new Set(
    fc.sample(workload, { numRuns: 200, seed: 2 }).flatMap(each => each.operations.map(({ op }) => op)),
  )
  expect([...seen].sort()).toEqual([...OPERATION_NAMES].sort())
})

test('gzip data that is cut off is told from a workload that ends early', async () => {
  const text = [
    HEADER,
    OPEN,
    ...Array.from({ length: 9000 }, (_, i) => `{"op":"write","fd":3,"len":${(i * 7919) % 8191}}`),
  ].join('\n')
  const whole = gzipSync(text)
  const file = join(folder, 'cut.jsonl.gz')
  writeFileSync(file, whole.subarray(0, whole.length >> 1))
  const message =
    /cut\.jsonl\.gz:(\d+): the gzip data is cut off or damaged \(unexpected end of file\); get the file again/
  expect(() => loadWorkload(file)).toThrow(message)
  const line = Number(message.exec(await readWorkload(file)
    .then(({ operations }) => collect(operations)).then(() => '', cause => String(cause)))?.[1])
  expect(line).toBeGreaterThan(1000)
  expect(line).toBeLessThan(9000)
})

test('a stream stops at the line that is wrong', async () => {
  const file = join(folder, 'late.jsonl')
  writeFileSync(file, [HEADER, OPEN, '{"op":"fsync","fd":9}'].join('\n'))
  const { header, operations } = await readWorkload(file)
  expect(header.name).toBe('w')
  await expect(collect(operations)).rejects.toThrow('late.jsonl:3: "fsync" on fd 9, which is not open')
  writeFileSync(file, 'nonsense')
  await expect(readWorkload(file)).rejects.toThrow('late.jsonl:1: not a line of JSON: nonsense')
  await expect(readWorkload(join(folder, 'none.jsonl'))).rejects.toThrow('ENOENT')
})
