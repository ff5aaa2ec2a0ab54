/**
 * Ext: what the blocks of an ext2 or ext4 say, read at once and without a mount, as a crash left them.
 *
 * Plain functions of `read`; nothing is believed: what makes no sense is said in one line and ends the look at that structure.
 * Shares the superblock and the directory records with src/fs/formats, and walks maps on its own.
 * Source: Documentation/filesystems/ext4/; fs/ext2/inode.c (ext2_block_to_path).
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { nameOf, slots } from '../../fs/formats/dirents.ts'
import { FL_EXTENTS, INODE, MAP_BYTES } from '../../fs/formats/inode-table.ts'
import {
  COMPAT_HAS_JOURNAL, type Geometry, groupStart, hasSuper, parseSuperblock, SB, SB_POS, SB_SIZE,
} from '../../fs/formats/superblock.ts'
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../fs/inode.ts'

/** Reads one block. */
export type ReadBlock = (nr: number) => Buffer


/** Where things are. Fixed for the life of a file system. */
export interface Layout {
  readonly geo: Geometry
  readonly groups: readonly { readonly blockBitmap: number; readonly inodeBitmap: number; readonly table: number }[]
  /** The inode of the journal; 0: none. */
  readonly journalIno: number
}

/** The layout, or one line that says why there is none. */
export const layoutOf = (read: ReadBlock, blockSize: number, deviceSize: number): Layout | string => {
  const at = SB_POS % blockSize
  const sb = read(Math.floor(SB_POS / blockSize)).subarray(at, at + SB_SIZE)
  const parsed = parseSuperblock(sb, 'the device', deviceSize)
  if (isLeft(parsed)) return parsed.left.message
  const geo = parsed.right
  const { descSize } = geo
  const groups = Array.from({ length: geo.groupCount }, (_, g) => {
    const desc = read(geo.firstDataBlock + 1 + Math.floor((g * descSize) / blockSize))
    const from = (g * descSize) % blockSize
    return { blockBitmap: desc.readUInt32LE(from), inodeBitmap: desc.readUInt32LE(from + 4), table: desc.readUInt32LE(from + 8) }
  })
  const journalIno = (sb.readUInt32LE(SB.compat) & COMPAT_HAS_JOURNAL) !== 0 ? sb.readUInt32LE(SB.journalInum) : 0
  return { geo, groups, journalIno }
}

/** Blocks of one group's own copies and tables, as [start, n) runs. */
export const metadataRuns = ({ geo, groups }: Layout): readonly { readonly start: number; readonly n: number }[] => [
  ...(geo.firstDataBlock === 1 ? [{ start: 0, n: 1 }] : []),
  ...groups.flatMap(({ blockBitmap, inodeBitmap, table }, g) => [
    ...(hasSuper(geo, g) ? [{ start: groupStart(geo, g), n: 1 + geo.descBlocks }] : []),
    { start: blockBitmap, n: 1 }, { start: inodeBitmap, n: 1 }, { start: table, n: geo.tableBlocks },
  ]),
]

/** Where inode `ino` lies. */
export const inodePlace = ({ geo, groups }: Layout, ino: number): { readonly nr: number; readonly at: number } => {
  const pos = ((ino - 1) % geo.inodesPerGroup) * geo.inodeSize
  const { table } = groups[Math.floor((ino - 1) / geo.inodesPerGroup)]!
  return { nr: table + Math.floor(pos / geo.blockSize), at: pos % geo.blockSize }
}

/** An inode as the table has it. */
export interface FoundInode {
  readonly ino: number
  readonly mode: number
  readonly links: number
  /** Bytes. */
  readonly size: number
  readonly generation: number
  readonly dtime: number
  readonly flags: number
  /** i_block. */
  readonly map: Buffer
  readonly acl: number
  readonly isFile: boolean
  readonly isDirectory: boolean
  /** A symlink whose target stands in i_block. */
  readonly isShort: boolean
}

/** The inode at byte `at` of a block of the table. */
export const inodeAt = ({ geo }: Layout, data: Buffer, at: number, ino: number): FoundInode => {
  const mode = data.readUInt16LE(at + INODE.mode)
  const type = mode & S_IFMT
  const acl = data.readUInt32LE(at + INODE.acl)
  const sectors = data.readUInt32LE(at + INODE.blocks)
  const high = type === S_IFREG ? data.readUInt32LE(at + INODE.sizeHigh) * 2 ** 32 : 0
  return {
    ino, mode, links: data.readUInt16LE(at + INODE.links), size: data.readUInt32LE(at + INODE.size) + high,
    generation: data.readUInt32LE(at + INODE.generation), dtime: data.readUInt32LE(at + INODE.dtime),
    flags: data.readUInt32LE(at + INODE.flags), map: data.subarray(at + INODE.map, at + INODE.map + MAP_BYTES), acl,
    isFile: type === S_IFREG, isDirectory: type === S_IFDIR,
    isShort: type === S_IFLNK && sectors === (acl === 0 ? 0 : geo.blockSize / 512),
  }
}

/** Inode `ino`. */
export const inodeOf = (layout: Layout, read: ReadBlock, ino: number): FoundInode => {
  const { nr, at } = inodePlace(layout, ino)
  return inodeAt(layout, read(nr), at, ino)
}

/** A run of a file. */
export interface FoundRun {
  readonly lblk: number
  readonly n: number
  readonly pblk: number
  /** It reads as zeros. */
  readonly unwritten: boolean
}

/** The map of a file. */
export interface FoundMap {
  readonly runs: readonly FoundRun[]
  /** Blocks of the map itself. */
  readonly own: readonly number[]
  /** Why the look ended early, or null. */
  readonly problem: string | null
}

/** What is being read of one map. */
interface Walk {
  readonly layout: Layout
  readonly read: ReadBlock
  readonly runs: FoundRun[]
  readonly own: number[]
  problem: string | null
}

/** The map of an inode that has one. What makes no sense is left out, and the first such place is the problem. */
export const mapOf = (layout: Layout, read: ReadBlock, inode: FoundInode): FoundMap => {
  const w: Walk = { layout, read, runs: [], own: [], problem: null }
  if ((inode.flags & FL_EXTENTS) !== 0) extents(w, inode.map, inode.map.readUInt16LE(6), 4)
  else pointers(w, inode.map)
  return w
}

const inside = ({ geo }: Layout, nr: number, n = 1): boolean => nr > geo.firstDataBlock && nr + n <= geo.totalBlocks

const extents = (w: Walk, node: Buffer, depth: number, capacity: number): void => {
  const entries = node.readUInt16LE(2)
  if (node.readUInt16LE(0) !== 0xf30a || node.readUInt16LE(6) !== depth || entries > capacity || depth > 5) {
    w.problem ??= 'a node of the extent tree has no good header'
    return
  }
  for (let at = 12; at < 12 * (entries + 1); at += 12) {
    const lblk = node.readUInt32LE(at)
    if (depth > 0) {
      const nr = node.readUInt32LE(at + 4)
      if (inside(w.layout, nr) && !w.own.includes(nr)) {
        w.own.push(nr)
        extents(w, w.read(nr), depth - 1, Math.floor((w.layout.geo.blockSize - 12) / 12))
      } else w.problem ??= `the extent tree points to block ${nr}`
      continue
    }
    const len = node.readUInt16LE(at + 4)
    const [n, pblk] = [len > 32768 ? len - 32768 : len, node.readUInt32LE(at + 8)]
    const last = w.runs.at(-1)
    if (n === 0 || !inside(w.layout, pblk, n) || (last !== undefined && lblk < last.lblk + last.n)) {
      w.problem ??= `the extent at block ${lblk} makes no sense`
    } else w.runs.push({ lblk, n, pblk, unwritten: len > 32768 })
  }
}

const pointers = (w: Walk, map: Buffer): void => {
  const p = w.layout.geo.blockSize / 4
  const leaf = (lblk: number, pblk: number): void => {
    if (pblk === 0) return
    if (!inside(w.layout, pblk)) {
      w.problem ??= `block ${lblk} of the file is mapped to ${pblk}`
      return
    }
    const last = w.runs.at(-1)
    const joins = last !== undefined && last.lblk + last.n === lblk && last.pblk + last.n === pblk
    if (joins) w.runs[w.runs.length - 1] = { ...last, n: last.n + 1 }
    else w.runs.push({ lblk, n: 1, pblk, unwritten: false })
  }
  const descend = (level: number, first: number, nr: number): void => {
    if (nr === 0) return
    if (!inside(w.layout, nr) || w.own.includes(nr)) {
      w.problem ??= `an indirect block is at ${nr}`
      return
    }
    w.own.push(nr)
    const data = w.read(nr)
    for (let i = 0; i < p; i++) {
      const pblk = data.readUInt32LE(i * 4)
      if (pblk === 0) continue
      if (level === 1) leaf(first + i, pblk)
      else descend(level - 1, first + i * p ** (level - 1), pblk)
    }
  }
  for (let i = 0; i < 12; i++) leaf(i, map.readUInt32LE(i * 4))
  for (let level = 1, first = 12; level <= 3; first += p ** level, level++) descend(level, first, map.readUInt32LE((11 + level) * 4))
}

/** One name. */
export interface FoundName {
  readonly name: string
  readonly ino: number
}

/** The names in a directory; a text: what is wrong with it. */
export const namesOf = (layout: Layout, read: ReadBlock, dir: FoundInode): readonly FoundName[] | string => {
  const { runs, problem } = mapOf(layout, read, dir)
  if (problem !== null) return problem
  const names: FoundName[] = []
  const blocks = dir.size / layout.geo.blockSize
  for (const { lblk, n, pblk, unwritten } of runs) {
    for (let i = 0; i < n && lblk + i < blocks; i++) {
      if (unwritten) return `block ${lblk + i} of a directory is unwritten`
      const data = read(pblk + i)
      const found = namesIn(data)
      if (found === null) return `block ${lblk + i} of the directory holds no directory entries`
      names.push(...found)
    }
  }
  return names
}

const parsedNames = new WeakMap<Buffer, readonly FoundName[] | null>()

/** Names of one block, worked out once for each version of it. */
const namesIn = (data: Buffer): readonly FoundName[] | null => {
  let found = parsedNames.get(data)
  if (found === undefined) {
    const records = slots(data)
    found = records === null ? null : records.filter((s) => s.ino !== 0).map((s) => ({ name: nameOf(data, s), ino: s.ino }))
    parsedNames.set(data, found)
  }
  return found
}
