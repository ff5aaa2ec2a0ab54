/**
 * Mutants: the catalogue is what it says. Each change applies to today's sources, is small, can be loaded, and, unless it is
 * sequential, is invisible to one process with nothing failing.
 *
 * `MUTANTS=all` asks every entry for the last; a run of continuous integration asks a few, others each day.
 */
import { stripTypeScriptTypes } from 'node:module'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { strategies } from '../src/strategies/index.ts'
import type { Program } from '../src/lab/check/program.ts'
import { JUDGES } from './claims/index.ts'
import { factsOf } from './mutants/facts.ts'
import { MUTANTS, mutant } from './mutants/index.ts'
import { runWithMutant } from './mutants/load.ts'
import { apply, diff, MAX_LINES, type Mutant, patchesOf } from './mutants/mutant.ts'
import { inSequence, read } from './mutants/table.ts'
import { type Facts, missing, VOCABULARY } from './mutants/trigger.ts'

/** Claims of the project's list. */
const CLAIM = /^(I([1-9]|[12]\d|3[0-2])|port)$/
const FOLDERS = /^src\/(strategies|fs|pagecache|iov)\//
const ENTRY = new URL('./mutants/quick.ts', import.meta.url)

describe.each(MUTANTS.map((m) => [m.id, m] as const))('%s', (_, m) => {
  test('its text to find stands once in each file, and what comes out can be stripped of types', () => {
    for (const { file } of patchesOf(m)) {
      expect(file).toMatch(FOLDERS)
      const good = read(file)
      const broken = apply(m, file, good)
      expect(broken).not.toBe(good)
      expect(stripTypeScriptTypes(broken).length).toBe(broken.length)
    }
  })

  test(`its change has at most ${MAX_LINES} lines`, () => {
    expect(diff(m, read).length, diff(m, read).join('\n')).toBeLessThanOrEqual(MAX_LINES)
  })

  test('it names a commit or mail, a claim, a design, and words that there are', () => {
    expect(m.source).not.toBe('')
    expect(m.claim).toMatch(CLAIM)
    expect(strategies.map((s) => s.name)).toContain(m.strategy)
    for (const word of m.trigger) expect(VOCABULARY).toContain(word)
  })
})

describe('the catalogue', () => {
  test('has at least 36 entries, each once, Z55 among them', () => {
    const ids = MUTANTS.map((m) => m.id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBeGreaterThanOrEqual(36)
    expect(ids).toContain('Z55')
  })

  test('what cannot be expressed is in no entry', () => {
    const left = readFileSync(new URL('./mutants/not-expressible.md', import.meta.url), 'utf8').split('## ')[0]!
    const ids = [...left.matchAll(/^\| (Z\d\d) /gm)].map((found) => found[1]!)
    expect(ids.length).toBeGreaterThan(0)
    for (const id of ids) expect(MUTANTS.map((m) => m.id)).not.toContain(id)
  })

  test('a printed change is one that patch(1) understands', () => {
    expect(diff(mutant('Z39'), read)).toEqual([
      '--- a/src/fs/writeback.ts', '+++ b/src/fs/writeback.ts',
      expect.stringMatching(/^@@ -\d+,1 \+\d+,0 @@$/), '-    k.writeProtect(f)',
      expect.stringMatching(/^@@ -\d+,0 \+\d+,1 @@$/), '+  k.writeProtect(f)',
    ])
  })

  test('a change that no longer applies says so', () => {
    const rotten: Mutant = { ...mutant('Z55'), patch: { file: 'src/fs/settle.ts', find: 'no such text', replace: '' } }
    expect(() => apply(rotten, 'src/fs/settle.ts', read('src/fs/settle.ts'))).toThrow('found 0 times in src/fs/settle.ts')
  })
})

describe('a run with a mutant', () => {
  test('is a run of the patched sources, and of nothing else', async () => {
    const fixed = [{ format: 'ext4', blockSize: 1024, folioOrder: 2 }]
    const data = { strategy: 'delalloc-per-block', claim: 'I4', fixed, scenes: ['short-new'] }
    const by = async (id: string | null) => (await runWithMutant(id, ENTRY, data) as { value: { by: unknown } }).value.by
    expect(await by('Z55')).toBe('ext4/1024/2 short-new')
    expect(await by(null)).toBeNull()
  })

  test('ends with what was thrown', async () => {
    const message = expect.stringContaining('no mutant Z00')
    expect(await runWithMutant('Z00', ENTRY, {})).toMatchObject({ status: 'threw', message })
  })

  test('that does not end is ended', async () => {
    const loop = 'data:text/javascript,export const run = () => { for (;;); }'
    expect(await runWithMutant(null, loop, {}, 1)).toEqual({ status: 'timeout', seconds: 1 })
  })

  test('in which the patched file was never loaded, is no run', async () => {
    const nothing = 'data:text/javascript,export const run = () => 1'
    const message = expect.stringContaining('never loaded')
    expect(await runWithMutant('Z55', nothing, {})).toMatchObject({ status: 'threw', message })
  })
})

describe('one process, readable memory, room, and nothing failing', () => {
  const silent = MUTANTS.filter((m) => !m.sequential)
  const day = Math.floor(Date.now() / 86_400_000)
  const all = process.env['MUTANTS'] === 'all'
  const asked = all ? silent : [0, 1, 2].map((i) => silent[(3 * day + i) % silent.length]!)

  test.each(asked.map((m) => [m.id, m] as const))('sees nothing of %s', async (_, m) => {
    expect(await inSequence(m, all ? 3000 : 400, day)).toBeNull()
  })

  test('but sees what is sequential', async () => {
    expect(await inSequence(mutant('Z46'), 400, 1)).toMatch(/size \d+, expected \d+/)
  })
})

describe('triggers', () => {
  const facts: Facts = {
    format: 'ext4', blockSize: 1024, folioOrder: 0, faults: ['EIO.read'], errnos: ['EIO'], shortCopies: 1, openFiles: 1, crashed: false,
    ops: [
      { op: 'store', fiber: -1, pos: 0, len: 100, sizeBefore: 500, sizeAfter: 500, below: ['delayed', 'dirty'] },
      { op: 'append', fiber: 0, pos: 500, len: 100, sizeBefore: 500, sizeAfter: 600, below: ['hole'], source: 'memory' },
      { op: 'fsync', fiber: 1, pos: 0, len: 0, sizeBefore: 600, sizeAfter: 600, below: [] },
    ],
  }

  test('are words about a counterexample, and name what it lacks', () => {
    expect(missing(['block smaller than page', 'append', 'concurrent', 'mmap store', 'short copy', 'EIO', 'hole'], facts)).toEqual([])
    expect(missing(['reclaim', 'append', 'crash', 'fsync twice', 'large folio', 'ENOSPC'], facts))
      .toEqual(['reclaim', 'crash', 'fsync twice', 'large folio', 'ENOSPC'])
  })

  test('are found in a counterexample of the checker by making its run again', () => {
    const write = { op: 'write', pos: 1000, len: 3000, readable: 500 } as const
    const program: Program = {
      config: { format: 'ext4', blockSize: 1024, folioOrder: 0 }, before: [{ op: 'write', pos: 0, len: 1000 }],
      fibers: [[write], [{ op: 'store', pos: 0, len: 512 }]],
    }
    const bench = { strategy: strategies.find((x) => x.name === 'reserve-allocate')!, judges: JUDGES }
    const found = factsOf({ claim: 'I4', program, tape: {} }, bench)
    expect(missing(['concurrent', 'append', 'short copy', 'mmap store', 'block smaller than page', 'hole', 'delayed'], found)).toEqual([])
    expect(missing(['EIO', 'reclaim', 'punch', 'source is a mapping of the file'], found)).toHaveLength(4)
  })
})
