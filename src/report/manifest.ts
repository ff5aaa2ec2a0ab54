/** The manifest of a result: versions, workloads and machine, so that a table says by itself how to get it again. */
import { createHash, type Hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'
import { openWorkload } from '../lab/workload/registry.ts'
import { formatWorkload } from '../lab/workload/writer.ts'
import type { Manifest } from './document.ts'

/** Folders that a count can depend on. */
const COUNTED = ['kernel', 'block', 'iov', 'pipe', 'pagecache', 'sim', 'fs', 'strategies', 'lab']

const sha256 = (): Hash => createHash('sha256')

/** sha256 of our own code as it runs here: sources or dist, without tests. */
const codeHash = (): string => {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const hash = sha256()
  const there = new Set(readdirSync(root))
  for (const folder of COUNTED.filter((f) => there.has(f))) {
    const files = readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    for (const file of files.filter((f) => /(?<!\.d|\.test|\.test-util)\.[tj]s$/.test(f)).sort()) {
      hash.update(`${folder}/${file}\0`).update(readFileSync(`${root}${folder}/${file}`))
    }
  }
  return hash.digest('hex')
}

/** Where a workload comes from, how many operations it has, and their sha256: that of its lines, unpacked. */
const workloadOf = (name: string, seed: number): Manifest['workloads'][string] => {
  const workload = openWorkload(name, seed)
  const hash = sha256()
  let lines = -1
  for (const line of formatWorkload(workload)) {
    hash.update(`${line}\n`)
    lines++
  }
  return { source: workload.header.source, operations: lines, sha256: hash.digest('hex') }
}

/** What a manifest is made of, besides the machine. */
export interface Subject {
  /** Of perform-write. */
  readonly version: string
  /** What the user typed, from the command on. */
  readonly command: string
  readonly seed: number
  readonly workloads: readonly string[]
  /** By name: the file of a design. */
  readonly plugins: Readonly<Record<string, string>>
}

/** The manifest of a run that begins now on this machine. */
export const manifestOf = ({ version, command, seed, workloads, plugins }: Subject): Manifest => ({
  version,
  code: codeHash(),
  command,
  seed,
  workloads: Object.fromEntries(workloads.map((w) => [w, workloadOf(w, seed)])),
  plugins: Object.fromEntries(
    Object.entries(plugins).map(([name, file]) => [name, sha256().update(readFileSync(file)).digest('hex')])),
  machine: {
    node: process.version,
    system: `${type()} ${release()} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown cpu',
    cpus: availableParallelism(),
    memory: totalmem(),
  },
  date: new Date().toISOString(),
})
