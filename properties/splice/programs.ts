/**
 * Programs whose writes come out of pipes: grounds x states of the file x what is in the pipe x where it goes, and who else
 * runs meanwhile. And the same writes from the other sources, so that each design meets each source.
 */
import type { Action, Actions, Config, Program } from '../../src/lab/check/program.ts'

type Write = Extract<Action, { op: 'write' }>

const write = (pos: number, len: number, more: Partial<Write> = {}): Write => ({ op: 'write', pos, len, ...more })
const sync: Action = { op: 'sync' }
const drop: Action = { op: 'drop' }

/** Grounds: blocks of a page and smaller ones, with and without unwritten extents, and a disk that is nearly full. */
export const GROUNDS: readonly Config[] = [
  { format: 'ext4', blockSize: 4096, folioOrder: 0 },
  { format: 'ext4', blockSize: 1024, folioOrder: 2 },
  { format: 'ext2', blockSize: 1024, folioOrder: 0 },
  { format: 'ext4', blockSize: 1024, folioOrder: 0, leave: 6 },
  { format: 'ext2', blockSize: 4096, folioOrder: 0, leave: 1 },
]

/** States of the file: empty, dirty in the cache, cold, sparse. */
export const BEFORES: readonly Actions[] = [
  [],
  [write(0, 8192)],
  [write(0, 12288), sync, drop],
  [write(0, 1000), { op: 'truncate', size: 20000 }, sync, drop],
]

/** Where the bytes of a write come from. The first three are what every check has; the others are pipes. */
export const SOURCES = ['memory', 'writev', 'mapping', 'pages', 'gift', 'held', 'tee', 'mixed', 'file'] as const
/** One of them. */
export type SourceName = (typeof SOURCES)[number]

/** A write of `len` bytes at `pos` from this source. Where it is the file itself, from its first page on. */
export const writeFrom = (source: SourceName, pos: number, len: number): Write => {
  switch (source) {
    case 'memory': return write(pos, len)
    case 'writev': return write(pos, len, { pieces: true })
    case 'mapping': return write(pos, len, { self: 0 })
    case 'file': return write(pos, len, { self: 0, pipe: 'file' })
    default: return write(pos, len, { pipe: source })
  }
}

/** Positions and lengths: whole pages, over what is cached and past it; not at a page boundary; not whole. */
const PLACES: readonly (readonly [pos: number, len: number])[] = [[0, 12288], [4096, 8192], [100, 8192], [8192, 5000]]

/** One fiber: every source at every place of every file. */
export const alone = (source: SourceName): readonly Program[] =>
  GROUNDS.flatMap((config) => BEFORES.slice(source === 'file' ? 1 : 0).flatMap((before) => PLACES.map(([pos, len]): Program =>
    ({ config, before, fibers: [[writeFrom(source, pos, len), { op: 'read', pos: 0, len: 16384 }]] }))))

/** Who runs beside a splice. */
const OTHERS: readonly Actions[] = [
  [{ op: 'read', pos: 0, len: 8192 }], [{ op: 'load', pos: 4096, len: 4096 }], [{ op: 'store', pos: 0, len: 512 }],
  [{ op: 'writeback' }], [{ op: 'truncate', size: 3000 }], [{ op: 'punch', pos: 0, len: 8192 }], [{ op: 'reclaim' }],
]

/** Two fibers: a splice, and something else. */
export const beside = (source: SourceName): readonly Program[] =>
  GROUNDS.slice(0, 3).flatMap((config) => BEFORES.slice(1, 3).flatMap((before) => OTHERS.map((other): Program =>
    ({ config, before, fibers: [[writeFrom(source, source === 'file' ? 8192 : 4096, 8192)], other] }))))

/** A page of the file is stored to and written back while another process splices it elsewhere. */
export const underWriteback: readonly Program[] = GROUNDS.slice(0, 3).map((config): Program => ({
  config, before: [write(0, 4096)],
  fibers: [[writeFrom('file', 8192, 4096)], [{ op: 'writeback' }]],
}))
