/**
 * Isolation of live file systems: what the probe measured (docs/isolation-kernel.json), the design that each is set beside, and why
 * the two differ where they do.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { Level } from '../src/lab/isolation/level.ts'
import type { Observer } from '../src/lab/isolation/programs.ts'
import { type ProbedCell, type ProbedFs, probedLevel } from '../src/oracle/isolation-probe.ts'

/** Where the measurements are. */
export const KERNEL_JSON = new URL('../docs/isolation-kernel.json', import.meta.url)

/** One run of the probe on one file system. */
export interface ProbedSystem {
  /** `Linux 6.18.44`. */
  readonly kernel: string
  readonly machine: string
  /** Of each cell. */
  readonly seconds: number
  readonly cells: readonly ProbedCell[]
}

/** The file. */
export interface KernelDocument {
  readonly schema: 1
  readonly tool: 'perform-write'
  readonly command: 'isolation'
  readonly systems: Readonly<Partial<Record<ProbedFs, ProbedSystem>>>
}

/** What was measured; nothing where the file is not there yet. */
export const readKernelDocument = (): KernelDocument =>
  existsSync(KERNEL_JSON)
    ? JSON.parse(readFileSync(KERNEL_JSON, 'utf8')) as KernelDocument
    : { schema: 1, tool: 'perform-write', command: 'isolation', systems: {} }

/** The row of the model's table that a file system is set beside (docs/calibration.md has the reasons). */
export const NEAREST: Readonly<Record<ProbedFs, string>> = {
  ext4: 'delalloc-per-block', ext2: 'get-block', xfs: 'reserve-allocate, readLock shared', btrfs: 'reserve-allocate', tmpfs: 'get-block',
}

/** Observers that the probe has, and the cells of each by the beginning of their names. */
export const PROBED_OBSERVERS: Readonly<Partial<Record<Observer, string>>> = {
  read: 'read ', direct: 'direct ', load: 'load ', size: 'i_size', writer: 'two writers',
}

/** The cell with the weakest level, and of those the one with the most torn looks. */
export const weakestCell = ({ cells }: ProbedSystem, observer: Observer): ProbedCell => {
  const rank = (c: ProbedCell): number => ['write', 'page', 'none'].indexOf(probedLevel(c)) + c.torn / Math.max(1, c.looks)
  return cells.filter((c) => c.id.startsWith(PROBED_OBSERVERS[observer]!)).reduce((a, b) => (rank(b) > rank(a) ? b : a))
}

/** Do the two say the same? The probe cannot tell a folio from a page. */
export const agrees = (model: Level, real: 'write' | 'page' | 'none'): boolean => model === real || (model === 'folio' && real === 'page')

const ONE_FOLIO = 'i_size moves once a folio here, too; but the 1 MiB append is one folio of 1 MiB in the kernel, and the model\'s ' +
  'largest folio in these scenes is 16 KiB'

/** Why a kernel's level is another than the model's. What agrees now and is known to vary stands here as well. */
export const KERNEL_DIFFERS: Readonly<Partial<Record<ProbedFs, Readonly<Partial<Record<Observer, string>>>>>> = {
  ext4: { size: ONE_FOLIO },
  ext2: { size: ONE_FOLIO },
  tmpfs: {
    direct: 'tmpfs has no direct I/O: O_DIRECT goes through the cache as read(2) does, and tears inside a page there too, but seldom in ' +
      'reads of 64 KiB (seen in some runs, not in others)',
  },
}
