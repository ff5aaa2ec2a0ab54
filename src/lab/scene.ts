/**
 * Scenes: small situations, each with one write that is judged, once with every fault that it can meet.
 *
 * A scene is plain data about one file `f` on an empty file system: what was done before, with no fault, and the write.
 * Bytes of a step are `fillPayload` of its number, so that a wrong byte says which step it came from.
 * Each scene is the smallest form of a situation in which a kernel once went wrong; `from` names it.
 */

/** One step on the file. Positions and lengths in bytes. */
export type Step =
  /** write(2); of the source only the first `readable` bytes can be read (default: all). */
  | { readonly op: 'write'; readonly pos: number; readonly len: number; readonly readable?: number }
  /** A store through a shared mapping; past the end of file, but in its last page, the bytes are nobody's. */
  | { readonly op: 'store'; readonly pos: number; readonly len: number }
  | { readonly op: 'truncate'; readonly size: number }
  | { readonly op: 'fallocate'; readonly pos: number; readonly len: number }
  | { readonly op: 'sync' }
  /** Drop clean folios of the page cache; needs a sync before it. */
  | { readonly op: 'drop' }
  /** get_user_pages on the page of `pos`; given back after the write. */
  | { readonly op: 'pin'; readonly pos: number }
  /** Write a second file until `leave` blocks are free. */
  | { readonly op: 'fill'; readonly leave: number }

/** A write step. */
export type WriteStep = Extract<Step, { op: 'write' }>

/** A situation. */
export interface Scene {
  readonly name: string
  /** What it shows, and the bug or thread it comes from. */
  readonly from: string
  readonly before: readonly Step[]
  readonly write: WriteStep
}

const write = (pos: number, len: number, readable?: number): WriteStep =>
  readable === undefined ? { op: 'write', pos, len } : { op: 'write', pos, len, readable }
const sync: Step = { op: 'sync' }
const drop: Step = { op: 'drop' }

/** All scenes, in the order in which they are played. */
export const SCENES: readonly Scene[] = [
  { name: 'new-file', from: 'five pages into an empty file', before: [], write: write(0, 20_000) },
  { name: 'unaligned', from: 'head and tail inside blocks of a hole', before: [], write: write(1_234, 9_000) },
  {
    name: 'grow', from: 'over the end of a file, half over dirty data',
    before: [write(0, 10_000)], write: write(9_000, 30_000),
  },
  { name: 'overwrite-cached', from: 'over dirty, cached data', before: [write(0, 50_000)], write: write(5_000, 9_000) },
  {
    name: 'overwrite-cold', from: 'edges must be read from the disk',
    before: [write(0, 50_000), sync, drop], write: write(5_001, 9_000),
  },
  {
    name: 'holes', from: 'over cached data and holes in turn: a late failure has overwritten by then (Piggin, 2010)',
    before: [write(0, 5_000), write(40_000, 5_000), sync], write: write(3_000, 50_000),
  },
  {
    name: 'holes-dirty', from: 'a hole before dirty data: a late failure finds it overwritten (Piggin, 2010)',
    before: [write(40_000, 5_000)], write: write(0, 50_000),
  },
  {
    name: 'short-new', from: 'the source ends in an unreadable page: new blocks',
    before: [], write: write(0, 60_000, 7_000),
  },
  {
    name: 'short-cold', from: 'a short copy into a folio that is not uptodate: 5b41e74ad1b0 (Z09)',
    before: [write(0, 40_000), sync, drop], write: write(4_096, 24_000, 10_000),
  },
  {
    name: 'short-tail', from: 'a short append leaves blocks past the end: 0f64415d4276 (Z48), ext4 delalloc (Z55)',
    before: [write(0, 3_000)], write: write(3_000, 100_000, 500),
  },
  {
    name: 'short-again', from: 'a short rewrite of an earlier delayed block: f65e6fad293b (Z22, LTP write03)',
    before: [write(0, 9_000)], write: write(100, 30_000, 10),
  },
  {
    name: 'short-hole', from: 'a short copy into a hole inside the file: what was placed must not be read (Piggin, Chinner, 2010)',
    before: [{ op: 'truncate', size: 60_000 }], write: write(5_000, 40_000, 9_000),
  },
  {
    name: 'efault', from: 'not one byte of the source is readable',
    before: [write(0, 9_000)], write: write(4_000, 20_000, 0),
  },
  {
    name: 'unwritten', from: 'a part of a block that fallocate made: 2cd8bdb5efc1 (Z15)',
    before: [{ op: 'fallocate', pos: 0, len: 40_000 }, sync, drop], write: write(5_000, 6_000),
  },
  {
    name: 'store-past-end', from: 'a store past the end, then an extension: 52aecaee1c26 (Z30)',
    before: [write(0, 1_000), { op: 'store', pos: 2_000, len: 500 }], write: write(6_000, 100),
  },
  {
    name: 'store-then-write', from: 'a store through a mapping next to the written bytes',
    before: [write(0, 9_000), { op: 'store', pos: 200, len: 300 }], write: write(1_000, 3_000),
  },
  {
    name: 'store-after-sync', from: 'a store after writeback must fault again: 79352894b285 (Z39)',
    before: [write(0, 9_000), { op: 'store', pos: 5_000, len: 300 }, sync, { op: 'store', pos: 5_400, len: 300 }],
    write: write(1_000, 2_000),
  },
  {
    name: 'pinned', from: 'over a page that a device writes to: writable mappings and get_user_pages (Piggin, 2010)',
    before: [write(0, 9_000), sync, { op: 'pin', pos: 0 }], write: write(1_000, 7_000),
  },
  {
    name: 'full', from: 'fewer blocks are free than the write needs',
    before: [write(0, 4_096), { op: 'fill', leave: 6 }], write: write(2_000, 60_000),
  },
]

/** The scene with this name, or undefined. */
export const scene = (name: string): Scene | undefined => SCENES.find((s) => s.name === name)

/** One line about a step: `write 9000 bytes at 1234`. */
export const sayStep = (s: Step): string => {
  switch (s.op) {
    case 'write':
      return `write ${s.len} bytes at ${s.pos}${s.readable === undefined ? '' : `, ${s.readable} of them readable`}`
    case 'store': return `store ${s.len} bytes at ${s.pos} through a mapping`
    case 'truncate': return `truncate to ${s.size}`
    case 'fallocate': return `fallocate ${s.len} bytes at ${s.pos}`
    case 'fill': return `fill the file system but for ${s.leave} blocks`
    case 'pin': return `pin the page of byte ${s.pos} for DMA`
    case 'sync': return 'sync'
    case 'drop': return 'drop the clean page cache'
  }
}
