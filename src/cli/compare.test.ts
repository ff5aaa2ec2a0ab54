/** Baselines, exports and the axes of `compare`, through the command line; the tables themselves: main.test.ts. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Comparison } from '../report/document.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
let folder: string
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'perform-write-compare-'))))
afterAll(() => rmSync(folder, { recursive: true }))

const compare = (...args: string[]) => {
  const env = { ...process.env, NO_COLOR: '1' }
  const all = [MAIN, 'compare', '--no-judges', '--workload', 'append', ...args]
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { cwd: folder, encoding: 'utf8', env })
  return { code: status, out: stdout, err: stderr }
}
const text = (name: string) => readFileSync(join(folder, name), 'utf8')
const saved = (name: string) => JSON.parse(text(name)) as Comparison
const write = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value))

const TWO = ['get-block', 'reserve-copy-allocate']

/** A changed copy of a saved comparison. */
const edited = (name: string, edit: (c: Comparison) => void): string => {
  const copy = structuredClone(saved('base.json'))
  edit(copy)
  write(name, copy)
  return name
}

describe('a comparison of two designs, saved', () => {
  beforeAll(() => {
    const { code, out } = compare(...TWO, '--rounds', '3', '--source', 'user', '--source', 'writev', '--save', 'base.json',
      '--csv', 'a.csv', '--markdown', 'a.md', '--latex', 'a.tex')
    expect(code).toBe(0)
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
    expect(out).toContain('append from writev: 1,094 operations')
    expect(out).toMatch(/^get-block +\d+\.\d \[\d+\.\d, \d+\.\d\] +1 +-$/m)
  })

  test('has counts without times, times without counts, and its manifest', () => {
    const c = saved('base.json')
    expect(c).toMatchObject({ schema: 1, tool: 'perform-write', command: 'compare', seed: 1, baseline: 'get-block' })
    expect(c.designs[0]!.runs.map((r) => [r.source, 'ms' in r])).toEqual([['user', false], ['writev', false]])
    expect(c.wall.map((r) => [r.source, r.racers.map((x) => x.ms.length)])).toEqual([['user', [3, 3]], ['writev', [3, 3]]])
    expect(c.manifest.workloads['append']).toMatchObject({ operations: 1094, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) })
    expect(c.manifest.machine.node).toBe(process.version)
    expect(c.manifest.command).toContain('perform-write compare --no-judges')
  })

  test('CSV: one row a number, each with the manifest; a row has a count or a time, never both', () => {
    const [head, ...rows] = text('a.csv').trimEnd().split('\r\n').map((line) => line.split(','))
    const of = (row: string[], field: string) => row[head!.indexOf(field)]
    for (const row of rows) {
      expect(row).toHaveLength(head!.length)
      expect([of(row, 'version'), of(row, 'seed')]).toEqual([saved('base.json').manifest.version, '1'])
      expect(of(row, 'count') === '' || of(row, 'ms_median') === '').toBe(true)
    }
    const copies = rows.find((r) => of(r, 'design') === 'get-block' && of(r, 'source') === 'user' && of(r, 'name') === 'copies')!
    expect(Number(of(copies, 'count'))).toBe(saved('base.json').designs[0]!.runs[0]!.ledger.copies)
    expect(of(copies, 'workload_sha256')).toBe(saved('base.json').manifest.workloads['append']!.sha256)
  })

  test('Markdown and LaTeX: every table has its manifest, and marks a design that broke a claim', () => {
    const [md, tex] = [text('a.md'), text('a.tex')]
    const tables = md.split('\n## ').slice(1)
    expect(tables.length).toBe(1 + 2 + 1 + 2)
    for (const table of tables) expect(table).toMatch(/perform-write 0\.\d+\.\d+ \(code [0-9a-f]{12}\); seed 1;.* node v/)
    expect(md).toContain('| count | get-block | reserve-copy-allocate \\* |')
    expect(tex.match(/\\begin\{table\}/g)).toHaveLength(tables.length)
    expect(tex.match(/\\footnotesize .*seed 1/g)).toHaveLength(tables.length)
    expect(tex).toContain('reserve-copy-allocate {*}')
  })

  test('the same again is the same: exit 0', () => {
    const { code, out } = compare(...TWO, '--rounds', '0', '--against', 'base.json')
    expect(code).toBe(0)
    expect(out).toMatch(/against the baseline: (\d+) of \1 counts are as they were; no wall time could be compared/)
    expect(out).not.toContain('counts that changed')
  })

  test('one count that is another is a change: exit 1, and the line says which', () => {
    const file = edited('count.json', (c) => void (c.designs[0]!.runs[0]!.ledger.copies -= 1))
    const { code, out } = compare('get-block', '--rounds', '0', '--against', file)
    expect(code).toBe(1)
    expect(out).toMatch(/get-block, append: copies 1,530, was 1,529/)
    expect(out).toContain('reserve-copy-allocate on ext4')
    expect(out).toContain('not in this run')
  })

  test('wall time decides nothing, however far it is away', () => {
    const far = { median: 1e6, low: 9e5, high: 2e6 }
    const file = edited('wall.json', (c) => Object.assign(c.wall[0]!.racers[0]!, { time: far }))
    const { code, out } = compare('get-block', '--rounds', '3', '--against', file)
    expect(code).toBe(0)
    expect(out).toContain('wall time whose intervals do not overlap (decides nothing)')
    expect(out).toMatch(/get-block, append: faster/)
  })

  test('another workload of the same name is not compared', () => {
    const file = edited('other.json', (c) => void Object.assign(c.manifest.workloads['append']!, { sha256: '0' }))
    const { code, out } = compare('get-block', '--rounds', '0', '--against', file)
    expect(code).toBe(0)
    expect(out).toContain('get-block, append: the workload itself is another')
  })

  test.each([
    ['no JSON', 'is not JSON', () => writeFileSync(join(folder, 'bad.json'), '{')],
    ['no comparison', 'is no result of compare', () => write('bad.json', { tool: 'perform-write', command: 'undo' })],
    ['of another schema', 'a result of schema 99', () => write('bad.json', { ...saved('base.json'), schema: 99 })],
    ['of other designs', 'none of its designs', () => void edited('bad.json', (c) => Object.assign(c, { designs: [] }))],
  ])('a baseline that is %s is refused in one line, before any work', (_, message, make) => {
    make()
    const { code, out, err } = compare('get-block', '--against', 'bad.json')
    expect([code, out, err.trimEnd().split('\n').length]).toEqual([2, '', 1])
    expect(err).toContain(message)
  })
})

test('several formats, block sizes and folio orders: a ground each', () => {
  const { code, out } = compare('get-block', '--fs', 'ext2', '--block-size', '1024', '--block-size', '4096', '--folio-order', '0',
    '--rounds', '0', '--json', 'g.json')
  expect(code).toBe(0)
  expect(saved('g.json').grounds).toEqual([
    { fs: 'ext2', blockSize: 1024, folioOrder: 0 }, { fs: 'ext2', blockSize: 4096, folioOrder: 0 },
  ])
  expect(out.match(/^1 design on ext2, \d+-byte blocks/gm)).toHaveLength(2)
})

test.each([
  [['--source', 'floppy'], '--source floppy: no such source; known are user, writev, mmap'],
  [['get-block', '--baseline', 'reserve-allocate'], '--baseline reserve-allocate: is not compared here'],
])('%j is a usage error', (args, message) => {
  const { code, err } = compare(...args)
  expect(code).toBe(2)
  expect(err).toContain(message)
})
