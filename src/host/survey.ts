/**
 * Survey: what is below a mounted directory now: names, attributes, bytes, holes, free space.
 *
 * Runs in the child process only. Names come in sorted order, depth first; `lost+found` is not listed.
 */
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { PAGE, roundDown, roundUp } from '../kernel/units.ts'
import type { Libc } from './libc.ts'
import { dataRanges, nonZero, readRange } from './memory-disk.ts'
import type { Segment } from './memory-disk.ts'
import type { Attributes } from './sequence.ts'

/** Bytes up to which a file is read whole, its holes included; a larger one is read where SEEK_DATA finds data. */
const READ_WHOLE = 16 * 1024 * 1024

/** The bytes [from, to) of a file. */
export interface FromTo { readonly from: number, readonly to: number }

/** One file, directory or symbolic link. */
export interface Surveyed extends Attributes {
  /** Relative to the root. */
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink'
  /** A file's data by SEEK_DATA and SEEK_HOLE, [from, to) in bytes; the rest are holes. */
  readonly data?: readonly FromTo[]
  /** A file's bytes, in runs of pages that are not all zero; the rest are zeros. */
  readonly contents?: readonly Segment[]
  /** A symbolic link's target. */
  readonly target?: string
}

/** Free space by statfs(2). `bfree` and `blocks` count blocks of `bsize` bytes. */
export interface Space {
  readonly bsize: number
  readonly blocks: number
  readonly bfree: number
  readonly ffree: number
}

/** statfs of a mounted directory. */
export const space = (directory: string): Space => {
  const { bsize, blocks, bfree, ffree } = statfsSync(directory)
  return { bsize, blocks, bfree, ffree }
}

// Ranges grown to whole pages and joined, so that equal bytes give equal segments however the data is laid out.
const wholePages = (data: readonly FromTo[], size: number): FromTo[] => {
  const pages: { from: number, to: number }[] = []
  for (const range of data) {
    const [from, to] = [roundDown(range.from, PAGE), Math.min(size, roundUp(range.to, PAGE))]
    const last = pages.at(-1)
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to)
    else pages.push({ from, to })
  }
  return pages
}

const file = (libc: Libc, path: string, size: number): Pick<Surveyed, 'data' | 'contents'> => {
  const fd = openSync(path, 'r')
  try {
    const data = dataRanges(libc, fd, size)
    const read = size <= READ_WHOLE ? [{ from: 0, to: size }] : wholePages(data, size)
    return { data, contents: read.flatMap(({ from, to }) => nonZero(from, readRange(fd, from, to))) }
  } finally {
    closeSync(fd)
  }
}

/** Everything below `root`, itself not included. */
export const survey = (libc: Libc, root: string, below = ''): Surveyed[] =>
  readdirSync(join(root, below)).sort().flatMap((name): Surveyed[] => {
    const path = below === '' ? name : `${below}/${name}`
    if (path === 'lost+found') return []
    const full = join(root, path)
    const stat = lstatSync(full)
    const common = { path, mode: stat.mode, nlink: stat.nlink, size: stat.size, blocks: stat.blocks }
    if (stat.isDirectory()) return [{ ...common, type: 'directory' }, ...survey(libc, root, path)]
    if (stat.isSymbolicLink()) return [{ ...common, type: 'symlink', target: readlinkSync(full) }]
    return [{ ...common, type: 'file', ...file(libc, full, stat.size) }]
  })
