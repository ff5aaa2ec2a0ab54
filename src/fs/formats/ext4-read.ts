/**
 * Reading an extent tree from the disk, with the suspicion that is due to what somebody else wrote: depth, header, order, lengths,
 * places and checksums are looked at, and no block is read twice.
 *
 * Source: __ext4_ext_check, ext4_valid_extent_entries (fs/ext4/extents.c); Documentation/filesystems/ext4/ifork.rst.
 */
import { type Kernel, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { type Extent, MAPPED, UNWRITTEN } from '../extent-map.ts'
import { extentsAreGood } from './checksums.ts'
import { ENTRY, WRITTEN_MAX } from './ext4-entries.ts'
import { ROOT_ENTRIES, type TreeNodes } from './ext4-nodes.ts'
import type { Volume } from './groups.ts'

/** eh_magic of a node. */
export const TREE_MAGIC = 0xf30a
const MAX_DEPTH = 5

/** What reading a tree takes along. */
interface Reading {
  readonly v: Volume
  readonly seed: number
  readonly nodes: TreeNodes
  readonly out: Extent[]
  /** Blocks of the tree: none may come twice. */
  readonly seen: Set<BlockNr>
}

/** A copy of tree block `nr`. Raises EIO if its checksum is wrong. */
function* nodeAt({ v, seed }: Reading, nr: BlockNr): Kernel<Buffer, 'EIO'> {
  const buf = yield* v.cache.get(nr)
  if (v.geo.checksums && !buf.verified && !extentsAreGood(seed, buf.data)) return yield* raise('EIO', 'EIO.extent-checksum')
  buf.verified = true
  return Buffer.from(buf.data)
}

/** Read the tree below the root `root` into `nodes`. Raises EIO if it is none. @returns its extents, in order */
export function* readTree(v: Volume, root: Buffer, seed: number, nodes: TreeNodes): Kernel<Extent[], 'EIO'> {
  const out: Extent[] = []
  const depth = root.readUInt16LE(6)
  if (depth > MAX_DEPTH) return yield* raise('EIO', 'EIO.extent-depth')
  nodes.levels = Array.from({ length: depth }, () => ({ nrs: [], kids: [] }))
  nodes.keys = []
  yield* readNode({ v, seed, nodes, out, seen: new Set() }, root, depth, ROOT_ENTRIES, 0)
  if (out.reduce((blocks, e) => blocks + e.n, 0) > v.geo.totalBlocks) return yield* raise('EIO', 'EIO.extents-larger-than-device')
  return out
}

/** An index node without entries is none (__ext4_ext_check). */
function* readNode(reading: Reading, node: Buffer, depth: number, capacity: number, from: number): Kernel<void, 'EIO'> {
  const { v, out, seen, nodes } = reading
  const entries = node.readUInt16LE(2)
  const sane = node.readUInt16LE(0) === TREE_MAGIC && node.readUInt16LE(6) === depth &&
    entries <= node.readUInt16LE(4) && node.readUInt16LE(4) <= capacity && (entries > 0 || depth === 0)
  if (!sane) return yield* raise('EIO', 'EIO.extent-header')
  let least = from
  for (let i = 0; i < entries; i++) {
    const at = ENTRY * (i + 1)
    const lblk = node.readUInt32LE(at)
    if (lblk < least) return yield* raise('EIO', 'EIO.extent-order')
    if (depth === 0) least = yield* readEntry(v, out, node, at)
    else {
      const nr = node.readUInt32LE(at + 4)
      if (!v.areData(nr, 1) || node.readUInt16LE(at + 8) !== 0) return yield* raise('EIO', 'EIO.extent-index-outside')
      if (seen.has(nr)) return yield* raise('EIO', 'EIO.extent-block-twice')
      seen.add(nr)
      const below = yield* nodeAt(reading, nr)
      const { nrs, kids } = nodes.levels[depth - 1]!
      nrs.push(nr)
      kids.push(below.readUInt16LE(2))
      if (depth === 1) nodes.keys.push(lblk)
      yield* readNode(reading, below, depth - 1, nodes.capacity, lblk)
      const last = out.at(-1)
      least = last === undefined ? lblk : last.lblk + last.n
    }
  }
}

/** Read the extent at byte `at` of a leaf. @returns the first file block behind it */
function* readEntry(v: Volume, out: Extent[], node: Buffer, at: number): Kernel<number, 'EIO'> {
  const lblk = node.readUInt32LE(at)
  const len = node.readUInt16LE(at + 4)
  const pblk = node.readUInt32LE(at + 8)
  const unwritten = len > WRITTEN_MAX
  const n = unwritten ? len - WRITTEN_MAX : len
  if (n === 0) return yield* raise('EIO', 'EIO.extent-empty')
  if (node.readUInt16LE(at + 6) !== 0 || !v.areData(pblk, n)) return yield* raise('EIO', 'EIO.extent-outside')
  out.push({ lblk, n, state: unwritten ? UNWRITTEN : MAPPED, pblk })
  return lblk + n
}
