/**
 * The workloads that come with perform-write, and how a name or a file becomes one.
 *
 * Recordings are files in the folder `workloads/` of the package; generators are code. A name that is neither is taken
 * for a file if it looks like one.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { GENERATORS, generate } from './generate.ts'
import type { GeneratorName } from './generate.ts'
import { WORKLOAD_SCHEMA } from './operation.ts'
import type { Workload } from './operation.ts'
import { loadWorkload } from './reader.ts'

/** One line of `perform-write list`. */
export interface WorkloadEntry {
  name: string
  kind: 'recording' | 'generator'
  description: string
}

/** The recordings, by name; how each was made is told in workloads/README.md. */
const RECORDINGS = {
  'sqlite-rollback': 'sqlite3: 200 inserts, each a transaction, with the rollback journal',
  'sqlite-wal': 'sqlite3: the same inserts with the write-ahead log',
  'git-clone': 'git: a local clone of a repository of 300 files',
  'npm-install': 'npm: the install of one package, zod',
} as const

/** The name of a packaged recording. */
export type RecordingName = keyof typeof RECORDINGS

const isRecording = (name: string): name is RecordingName => Object.hasOwn(RECORDINGS, name)
const isGenerator = (name: string): name is GeneratorName => Object.hasOwn(GENERATORS, name)

/** All workloads that have a name: recordings first, then generators. */
export function workloads(): WorkloadEntry[] {
  return [
    ...Object.entries(RECORDINGS).map(([name, description]) => ({ name, kind: 'recording' as const, description })),
    ...Object.entries(GENERATORS).map(([name, { description }]) => ({ name, kind: 'generator' as const, description })),
  ]
}

/** The file of a packaged recording: the folder is as far from here in `dist` as it is in `src`. */
export const recordingFile = (name: RecordingName): string =>
  fileURLToPath(new URL(`../../../workloads/${name}.jsonl.gz`, import.meta.url))

/** A name that is no workload, and no file either. */
export class UnknownWorkloadError extends Error {
  override readonly name = 'UnknownWorkloadError'
}

const looksLikeFile = (text: string): boolean => /[/\\]|\.jsonl$|\.gz$/.test(text)

/**
 * A workload by name or file. Its operations may be iterated many times; those of a file are held in memory
 * (`readWorkload` is for files that are too large for that).
 * @param seed of generators; recordings and files have none
 * @throws UnknownWorkloadError if there is neither; WorkloadError if the file is not a workload
 */
export function openWorkload(nameOrFile: string, seed = 1): Workload {
  if (isGenerator(nameOrFile)) {
    return {
      header: {
        schema: WORKLOAD_SCHEMA,
        tool: 'perform-write',
        name: nameOrFile,
        source: `generator ${nameOrFile}, seed ${seed}`,
      },
      operations: generate(nameOrFile, seed),
    }
  }
  if (isRecording(nameOrFile)) return loadWorkload(recordingFile(nameOrFile))
  if (existsSync(nameOrFile)) return loadWorkload(nameOrFile)
  if (looksLikeFile(nameOrFile)) throw new UnknownWorkloadError(`there is no workload file ${nameOrFile}`)
  const known = workloads()
    .map(({ name }) => name)
    .join(', ')
  throw new UnknownWorkloadError(
    `no workload is named "${nameOrFile}"; known are ${known}, or give a file (.jsonl, .jsonl.gz)`,
  )
}
