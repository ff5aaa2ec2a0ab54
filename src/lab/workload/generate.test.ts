import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GENERATORS, generate } from './generate.ts'
import type { GeneratorName } from './generate.ts'
import { FALLOCATE_MODES, WHENCES } from './operation.ts'
import type { Operation } from './operation.ts'
import { FdCheck, OPERATION_NAMES, operationProblem } from './schema.ts'
import { shapeOf } from './shape.ts'

const NAMES = Object.keys(GENERATORS) as GeneratorName[]
const small = { files: 3, bytes: 40_000, writeSize: 3000 }

test.each(NAMES)('%s: every operation is well formed and succeeds, and the bytes are as asked', name => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.record({
        files: fc.integer({ min: 1, max: 5 }),
        bytes: fc.integer({ min: 1, max: 60_000 }),
        writeSize: fc.integer({ min: 1, max: 9000 }),
      }),
      (seed, sizes) => {
        const options = { ...sizes, writeSize: Math.max(sizes.writeSize, Math.ceil(sizes.bytes / 300)) }
        const operations = [...generate(name, seed, options)]
        const fds = new FdCheck()
        for (const operation of operations)
          expect([operationProblem(operation), fds.problem(operation)]).toEqual([undefined, undefined])
        const { bytesWritten } = shapeOf(operations)
        expect(bytesWritten).toBe(options.bytes)
      },
    ),
    { numRuns: 60 },
  )
})

test.each(NAMES)('%s: the same seed gives the same operations, each time that they are iterated', name => {
  const operations = generate(name, 7, small)
  expect([...operations]).toEqual([...operations])
  expect([...generate(name, 7, small)]).toEqual([...operations])
})

test.each(NAMES.filter(name => name !== 'seq'))('%s: another seed gives other operations', name => {
  expect([...generate(name, 8, small)]).not.toEqual([...generate(name, 7, small)])
})

test.each(NAMES)('%s: the defaults are a few MiB and a few thousand operations', name => {
  const operations = [...generate(name, 1)]
  expect(operations.length).toBeLessThan(4000)
  expect(shapeOf(operations).bytesWritten).toBeLessThan(5 << 20)
})

test('mixed speaks the whole vocabulary, with every whence and every mode', () => {
  const operations: Operation[] = [...generate('mixed', 1)]
  expect([...new Set(operations.map(({ op }) => op))].sort()).toEqual([...OPERATION_NAMES].sort())
  expect(new Set(operations.flatMap(each => (each.op === 'lseek' ? [each.whence] : [])))).toEqual(new Set(WHENCES))
  expect(new Set(operations.flatMap(each => (each.op === 'fallocate' ? [each.mode] : [])))).toEqual(
    new Set(FALLOCATE_MODES),
  )
})

test('sizes that make no sense are refused', () => {
  expect(() => generate('seq', 1, { bytes: 0 })).toThrow('bytes must be a whole number > 0, found 0')
})
