/**
 * Program: what a check runs: a small file system, what was done before, and fibers that run at once. Plain data.
 *
 * A program is about one file, `f`. Each action that puts bytes into it has a *tag*: its number among all actions of the
 * program, from 1, those before first. Byte p that action t wrote is `t << 4 | sector of p`, so that a byte says who wrote
 * it and where. Zero is nobody's, 0xAA a free block of the disk, 0xDB fresh memory.
 */
import type { FormatName } from '../session.ts'

/** The ground of a program. */
export interface Config {
  readonly format: FormatName
  /** Bytes. */
  readonly blockSize: 1024 | 2048 | 4096
  /** The largest folio, as an order. */
  readonly folioOrder: number
  /** Fill the disk before the fibers begin, but for this many blocks; absent: there is room. */
  readonly leave?: number
  /** Block quota of the file's owner, in blocks beyond what stands before the fibers begin; absent: none. */
  readonly quota?: number
}

/** What is in the pipe that a write takes its bytes from. */
export const PIPE_KINDS = ['pages', 'gift', 'held', 'tee', 'mixed', 'file'] as const
/** One of them. */
export type PipeKind = (typeof PIPE_KINDS)[number]

/** One action on the file. Positions and lengths in bytes. */
export type Action =
  | {
    readonly op: 'write'
    readonly pos: number
    readonly len: number
    /** Only so many bytes of the source can be read; default all. */
    readonly readable?: number
    /** O_APPEND: `pos` says nothing. */
    readonly append?: true
    /** The pages of the source are not present: they are faulted in, and may be taken away again. */
    readonly absent?: true
    /** The source is a mapping of the file itself, from this page on. */
    readonly self?: number
    /** RWF_NOWAIT. */
    readonly nowait?: true
    /** write(2) at the file position of the fiber's own open file, which moves; `pos` says where that is. */
    readonly cursor?: true
    /** writev(2): the source is three pieces, of which the second is empty. */
    readonly pieces?: true
    /** splice(2) out of a pipe that holds the bytes; see spliced.ts. `file`: pages of the file itself, from page `self` on. */
    readonly pipe?: PipeKind
    /** O_DIRECT. */
    readonly direct?: true
    /** O_DSYNC. */
    readonly sync?: true
  }
  | { readonly op: 'read'; readonly pos: number; readonly len: number; readonly direct?: true }
  | { readonly op: 'load' | 'store' | 'punch' | 'zero'; readonly pos: number; readonly len: number }
  | { readonly op: 'allocate'; readonly pos: number; readonly len: number; readonly keep?: true }
  | { readonly op: 'truncate'; readonly size: number }
  /** The device gets the page of `pos`, writes `len` bytes there, and gives it back: three steps. */
  | { readonly op: 'dma'; readonly pos: number; readonly len: number }
  | { readonly op: 'fsync' | 'writeback' | 'reclaim' | 'sync' | 'drop' | 'stat' }

/** What a program does at once. */
export type Actions = readonly Action[]

/** A program. */
export interface Program {
  readonly config: Config
  /** Done one after the other, with nothing failing, before the fibers begin. */
  readonly before: Actions
  readonly fibers: readonly Actions[]
}

/** Actions that put bytes of their own into the file. */
export const hasBytes = (a: Action): a is Extract<Action, { pos: number }> =>
  a.op === 'write' || a.op === 'store' || a.op === 'dma'

/** High nibbles that are nobody's: 0 = zero, 0xA = stale disk, 0xD = fresh memory. */
const TAGS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0xb, 0xc, 0xe, 0xf] as const
/** Most actions with bytes in one program. */
export const MOST_TAGS = TAGS.length
/** Bytes that share a low nibble. */
export const TAG_SECTOR = 512

/** Byte that action number `n` (from 0 among those with bytes) puts at file position `p`. Appends pass p = 0. */
export const tagByte = (n: number, p: number): number => (TAGS[n]! << 4) | (Math.floor(p / TAG_SECTOR) & 15)

/** The action, from 0 among those with bytes, that byte `b` is of; -1 zero, -2 none. */
export const tagOf = (b: number): number => (b === 0 ? -1 : TAG_OF[b >>> 4]!)

/** By high nibble: the place in TAGS, -2 if it stands nowhere. */
const TAG_OF = Int8Array.from({ length: 16 }, (_, nibble) => {
  const at = TAGS.indexOf(nibble as 1)
  return at < 0 ? -2 : at
})

/** Every action with its number among those with bytes, -1 for others; those before first, then fiber by fiber. */
export const numbered = (p: Program): { action: Action; fiber: number; tag: number }[] => {
  let next = 0
  return [p.before, ...p.fibers].flatMap((actions, i) =>
    actions.map((action) => ({ action, fiber: i - 1, tag: hasBytes(action) ? next++ : -1 })))
}

/** `write 4096 bytes at 100, 10 of them readable`. */
export const sayAction = (a: Action): string => {
  switch (a.op) {
    case 'write': {
      const how = [
        a.readable === undefined ? '' : `${a.readable} of them readable`, a.absent === true ? 'not in memory' : '',
        a.self === undefined ? '' : `from ${a.pipe === 'file' ? '' : 'a mapping of '}page ${a.self} of the file itself`,
        a.pipe === undefined ? '' : `out of a pipe (${a.pipe})`, a.nowait === true ? 'RWF_NOWAIT' : '',
        a.cursor === true ? 'by the file position' : '', a.pieces === true ? 'in three pieces, one of them empty' : '',
        a.direct === true ? 'O_DIRECT' : '', a.sync === true ? 'O_DSYNC' : '',
      ].filter((s) => s !== '')
      return `${a.append === true ? 'append' : 'write'} ${a.len} bytes${a.append === true ? '' : ` at ${a.pos}`}` +
        how.map((s) => `, ${s}`).join('')
    }
    case 'read': return `read ${a.len} bytes at ${a.pos}${a.direct === true ? ', O_DIRECT' : ''}`
    case 'load': return `load ${a.len} bytes at ${a.pos} through a mapping`
    case 'store': return `store ${a.len} bytes at ${a.pos} through a mapping`
    case 'punch': return `punch ${a.len} bytes at ${a.pos}`
    case 'zero': return `zero ${a.len} bytes at ${a.pos}`
    case 'allocate': return `fallocate ${a.len} bytes at ${a.pos}${a.keep === true ? ', keeping the size' : ''}`
    case 'truncate': return `truncate to ${a.size}`
    case 'dma': return `DMA of ${a.len} bytes into the page at ${a.pos}`
    case 'drop': return 'drop the clean page cache'
    case 'stat': return 'stat'
    default: return a.op
  }
}

/** `ext4, blocks of 1024, folios up to 16 KiB, 3 blocks free`. */
export const sayConfig = (c: Config): string =>
  `${c.format}, blocks of ${c.blockSize}, folios up to ${4 << c.folioOrder} KiB` +
  (c.leave === undefined ? '' : `, ${c.leave} blocks free`) + (c.quota === undefined ? '' : `, quota ${c.quota} blocks`)
