import { isLeft, isRight } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { strip } from '../../sim/tape.ts'
import { leak, race } from './broken.test-util.ts'
import { type CounterexampleFile, parseCounterexample, printCounterexample } from './counterexample.ts'

const HASH = `sha256:${'0'.repeat(64)}`
const file = (more: Partial<CounterexampleFile> = {}): CounterexampleFile => ({
  claim: 'I4', expected: 'Every delayed block has a dirty block over it.', actual: 'block 3 is delayed',
  strategy: { name: 'leaks', file: './leaks.ts', hash: HASH },
  program: leak.program, tape: {}, seed: 7, version: '0.1.0', node: 'v26.10.0', timeline: ['  step  writer 1'], ...more,
})
const parsed = (text: string): unknown => {
  const result = parseCounterexample(text)
  return isRight(result) ? result.right : result.left
}
/** The file with one field changed, from its JSON. */
const changed = (change: (f: any) => void): unknown => {
  const value = JSON.parse(printCounterexample(file({ tape: race().tape }))) as unknown
  change(value)
  return parsed(JSON.stringify(value))
}

test('print, parse => the same; print again => the same text', () => {
  const mutant = file({ strategy: { name: 'x', file: 'y.ts', hash: HASH, mutant: { id: 'Z04b', hash: HASH } } })
  for (const f of [file(), file({ tape: race().tape, note: 'the bug', seed: null }), mutant]) {
    const text = printCounterexample(f)
    expect(parsed(text)).toEqual({ ...f, tape: strip(f.tape) })
    expect(text.endsWith('}\n')).toBe(true)
    expect(printCounterexample(parsed(text) as CounterexampleFile)).toBe(text)
  }
})

test('every action is a line of its own, and so is every decision', () => {
  const text = printCounterexample(file({ tape: { fault: [{ n: 2, pick: 1, label: 'EIO.read' }] } }))
  expect(text).toContain('\n        {"op":"write","pos":4096,"len":8192,"readable":2500},\n')
  expect(text).toContain('\n      {"n":2,"pick":1,"label":"EIO.read"}\n')
})

describe('what is no counterexample is refused in one line', () => {
  test('a file that breaks off, wherever it does', () => {
    const text = printCounterexample(file({ tape: race().tape }))
    for (let n = 0; n < text.length - 2; n += 37) {
      const result = parseCounterexample(text.slice(0, n))
      expect(isLeft(result) && result.left).toMatch(/^(the file is empty|line \d+.*JSON)/)
      expect(isLeft(result) && result.left).not.toContain('\n')
    }
  })

  test.each([
    ['{"schema":1}', 'this is no counterexample of perform-write: "tool" and "kind" say otherwise'],
    ['[1]', 'the file: must be an object, found [1]'],
    ['null', 'the file: must be an object, found null'],
    ['hello', /^line 1.*JSON/],
  ])('%s', (text, message) => {
    expect(parsed(text)).toEqual(typeof message === 'string' ? message : expect.stringMatching(message))
  })

  test.each<[string, (f: any) => void]>([
    ['schema: this perform-write reads 1, found 2; use the version that wrote it', (f) => (f.schema = 2)],
    ['claim: must be a claim such as I4, found "X"', (f) => (f.claim = 'X')],
    ['strategy.hash: must be sha256: and 64 hexadecimal digits, found "x"', (f) => (f.strategy.hash = 'x')],
    ['strategy.mutant.id: must be a number such as Z55, found "../x"', (f) => (f.strategy.mutant = { id: '../x', hash: HASH })],
    ['program.config.blockSize: must be one of 1024, 2048, 4096, found 512', (f) => (f.program.config.blockSize = 512)],
    ['program.config.format: must be one of ext2, ext4, found "xfs"', (f) => (f.program.config.format = 'xfs')],
    ['program.before[0].op: must be one of write, read, load, store, punch, zero, allocate, dma, truncate, fsync, writeback, ' +
      'reclaim, sync, drop, stat, found "erase"', (f) => (f.program.before[0].op = 'erase')],
    ['program.fibers[0][0].pos: must be a whole number from 0 to 98304, found -1', (f) => (f.program.fibers[0][0].pos = -1)],
    ['program.fibers[0][0].len: must be a whole number from 0 to 94208, found 1000000', (f) => (f.program.fibers[0][0].len = 1e6)],
    ['program.fibers[0][0].readable: must be a whole number from 0 to 8192, found 9000', (f) => (f.program.fibers[0][0].readable = 9000)],
    ['program.fibers[0][0].sink: is no field of this; known are ' +
      'op, pos, len, append, absent, nowait, direct, sync, cursor, pieces, readable, self, pipe',
      (f) => (f.program.fibers[0][0].sink = 1)],
    ['program.fibers: must be 1 to 4 lists, found 0', (f) => (f.program.fibers = [])],
    ['program.fibers[0]: must be 1 to 7 actions, found 0', (f) => (f.program.fibers = [[]])],
    ['tape.schedule[0].pick: must be a whole number from 0 to 2, found 9', (f) => (f.tape.schedule[0] = { n: 3, pick: 9, label: 'begin' })],
    ['tape.when: is no field of this; known are schedule, fault, short, completion, crash, tear', (f) => (f.tape.when = [])],
    ['seed: must be a whole number from 0 to 9007199254740991, found "x"', (f) => (f.seed = 'x')],
    ['the file.more: is no field of this; known are schema, tool, kind, claim, expected, actual, note, strategy, seed, version, node, ' +
      'operations, program, tape, timeline', (f) => (f.more = 1)],
  ])('%s', (message, change) => {
    expect(changed(change)).toBe(message)
  })
})
