/**
 * Isolation probe: what concurrent observers see of writes on a live file system of the running kernel, by threads of this process.
 *
 * One writer and two readers (or two writers and a referee) for a stated time on a file of a fresh, loop-mounted file system; counts
 * are rates of this machine under its load and differ from run to run. Which level holds does not, but for what is rare: a
 * level that was never seen broken may be.
 *
 * Needs root, a loop device and node:ffi (memory that O_DIRECT takes, and mappings). Mounts are taken down on every way out.
 * Source of the method: a C program with one writer and two readers, of which docs/isolation.md has the numbers.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { type Availability, availability } from '../host/availability.ts'
import { KERNEL_FS, type KernelName } from '../host/kernels.ts'
import { mountImage } from '../host/loop-mount.ts'
import { runOrThrow, runSync } from '../host/process.ts'
import { Scratch } from '../host/scratch.ts'
import type { Counted, Role, Task } from './isolation-worker.ts'

/** File systems that can be probed. */
export const PROBED = ['ext4', 'ext2', 'xfs', 'btrfs', 'tmpfs'] as const
/** One of them. */
export type ProbedFs = (typeof PROBED)[number]

/** The two letters that writers put into a file. */
export const LETTERS = [0x41, 0x42] as const

const KIB = 1024

/** One cell: who looks at what. */
export interface ProbeCell {
  readonly id: string
  readonly writer: Role
  readonly reader: Role
  /** Bytes. */
  readonly pos: number
  readonly len: number
  /** The file was written in calls of so many bytes: folios are no larger than that. */
  readonly by: number
}

const reads = (id: string, len: number, by: number, pos = 0, reader: Role = 'read'): ProbeCell =>
  ({ id, writer: 'write', reader, pos, len, by })

/** The cells. */
export const PROBE_CELLS: readonly ProbeCell[] = [
  reads('read 4K', 4 * KIB, 4 * KIB),
  reads('read 4K at 2048', 4 * KIB, 4 * KIB, 2048),
  reads('read 8K', 8 * KIB, 4 * KIB),
  reads('read 64K, small folios', 64 * KIB, 4 * KIB),
  reads('read 64K, large folio', 64 * KIB, 64 * KIB),
  reads('read 1M, small folios', 1024 * KIB, 4 * KIB),
  reads('read 1M, large folio', 1024 * KIB, 1024 * KIB),
  reads('direct read 64K', 64 * KIB, 4 * KIB, 0, 'direct'),
  reads('load 4K', 4 * KIB, 4 * KIB, 0, 'load'),
  reads('load 64K', 64 * KIB, 4 * KIB, 0, 'load'),
  { id: 'i_size, 1M appends', writer: 'append', reader: 'size', pos: 0, len: 1024 * KIB, by: 4 * KIB },
  { id: 'two writers 64K', writer: 'meet', reader: 'referee', pos: 0, len: 64 * KIB, by: 4 * KIB },
]

/** What was counted in one cell. */
export interface ProbedCell extends Counted {
  readonly id: string
}

const IMAGE_BYTES = 300 * KIB * KIB

/** Can this machine probe `fs`? */
export const canProbe = (fs: ProbedFs): Availability => {
  const programs = fs === 'tmpfs' ? {} : { losetup: 'util-linux', [KERNEL_FS[fs].mkfs]: KERNEL_FS[fs].from }
  return availability({ linux: true, root: true, loop: fs !== 'tmpfs', ffi: true, programs: { mount: 'util-linux', ...programs } })
}

/** A fresh file system, mounted. @returns its root @throws Error if the kernel refuses */
const mountFresh = async (scratch: Scratch, fs: ProbedFs): Promise<string> => {
  if (fs === 'tmpfs') {
    const directory = scratch.path('tmpfs')
    mkdirSync(directory)
    await runOrThrow('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'none', directory])
    scratch.defer(() => void runSync('umount', [directory]))
    return directory
  }
  const { mkfs, args, fsType, options } = KERNEL_FS[fs as KernelName]
  const image = scratch.path('image')
  writeFileSync(image, '')
  truncateSync(image, IMAGE_BYTES)
  await runOrThrow(mkfs, [...args(4096, IMAGE_BYTES), image])
  const mounted = await mountImage(scratch, image, fsType, options === '' ? 'rw' : options)
  if ('refused' in mounted) throw new Error(mounted.refused)
  return mounted.directory
}

/** A file of the first letter, written in calls of `by` bytes. */
const prepare = (path: string, { pos, len, by }: ProbeCell): void => {
  const fd = openSync(path, 'w')
  const bytes = Buffer.alloc(by, LETTERS[0])
  for (let at = 0; at < pos + len; at += by) writeSync(fd, bytes, 0, by, at)
  fsyncSync(fd)
  closeSync(fd)
}

// As source the sibling is .ts, in the built package .js.
const MAIN = fileURLToPath(import.meta.url).replace(/isolation-probe\.(ts|js)$/, 'isolation-worker.$1')

const start = (task: Task): Promise<Counted> => new Promise((resolve, reject) => {
  const worker = new Worker(MAIN, { workerData: task })
  worker.once('message', resolve)
  worker.once('error', reject)
})

const sum = (all: readonly Counted[]): Counted => all.reduce((a, b) => ({
  looks: a.looks + b.looks, torn: a.torn + b.torn, at65536: a.at65536 + b.at65536, at4096: a.at4096 + b.at4096,
  at64: a.at64 + b.at64, elsewhere: a.elsewhere + b.elsewhere,
  ...((a.refused ?? b.refused) !== undefined && { refused: a.refused ?? b.refused! }),
}))

const runCell = async (path: string, cell: ProbeCell, seconds: number): Promise<ProbedCell> => {
  prepare(path, cell)
  const shared = new SharedArrayBuffer(16)
  const threads = cell.writer === 'meet'
    ? [{ role: cell.reader, letter: LETTERS[0] }, ...LETTERS.map((letter) => ({ role: cell.writer, letter }))]
    : [cell.reader, cell.reader, cell.writer].map((role) => ({ role, letter: LETTERS[0] }))
  const all = threads.map((t) => start({ ...t, path, pos: cell.pos, len: cell.len, shared }))
  const words = new Int32Array(shared)
  const stop = (): void => void Atomics.store(words, 0, 1)
  // The time of a cell begins when all threads have; one that was refused ends it.
  const counting = Promise.all(all.map((counted) => counted.finally(stop)))
  const timer = setInterval(() => {
    if (Atomics.load(words, 3) < threads.length) return
    clearInterval(timer)
    setTimeout(stop, seconds * 1000)
  }, 5)
  try {
    return { id: cell.id, ...sum(await counting) }
  } finally {
    clearInterval(timer)
    stop()
  }
}

/**
 * Probe a file system, `seconds` a cell.
 * @throws Error in one line, if that is not available or the kernel refuses
 */
export const probe = async (fs: ProbedFs, seconds: number, cells = PROBE_CELLS): Promise<readonly ProbedCell[]> => {
  const can = canProbe(fs)
  if (!can.ok) throw new Error(`probing ${fs} is unavailable: ${can.why}`)
  using scratch = new Scratch('perform-write-isolation')
  const root = await mountFresh(scratch, fs)
  const found: ProbedCell[] = []
  for (const cell of cells) found.push(await runCell(join(root, 'f'), cell, seconds))
  return found
}

/** The strongest level that what was counted lets stand; `page` where every tear is at a page. */
export const probedLevel = ({ torn, at64, elsewhere }: Counted): 'write' | 'page' | 'none' =>
  torn === 0 ? 'write' : at64 + elsewhere === 0 ? 'page' : 'none'
