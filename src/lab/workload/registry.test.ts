import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { openWorkload, recordingFile, workloads } from './registry.ts'
import type { RecordingName } from './registry.ts'
import { shapeOf } from './shape.ts'

const RECORDINGS = workloads().filter(({ kind }) => kind === 'recording').map(({ name }) => name as RecordingName)

test.each(RECORDINGS)('%s: replayed, it leaves every file with the size that the recorded program left', name => {
  const { header, operations } = openWorkload(name)
  const sizes = JSON.parse(
    gunzipSync(readFileSync(recordingFile(name).replace('.jsonl.gz', '.sizes.json.gz'))).toString(),
  ) as object
  expect(header.name).toBe(name)
  expect(shapeOf(operations).sizes()).toEqual(sizes)
})

test('all workloads have a name, and open', () => {
  expect(workloads().map(({ name }) => name)).toEqual([
    'sqlite-rollback', 'sqlite-wal', 'git-clone', 'npm-install', 'seq', 'append', 'random', 'sparse', 'mixed',
  ])
  for (const { name } of workloads()) expect([...openWorkload(name, 3).operations].length).toBeGreaterThan(50)
  expect(openWorkload('mixed', 3).header.source).toBe('generator mixed, seed 3')
  expect([...openWorkload('mixed', 3).operations]).not.toEqual([...openWorkload('mixed', 4).operations])
})

test('a file is opened by its path, a name that is nothing is refused', () => {
  expect(openWorkload(recordingFile('sqlite-wal')).header.blind).toEqual([
    'stores through a shared mapping of t.db-shm',
  ])
  expect(() => openWorkload('postgres')).toThrow(
    'no workload is named "postgres"; known are sqlite-rollback, sqlite-wal, git-clone, npm-install, seq, append, ' +
    'random, sparse, mixed, or give a file (.jsonl, .jsonl.gz)')
  expect(() => openWorkload('none/w.jsonl')).toThrow('there is no workload file none/w.jsonl')
})
