/**
 * Accounting: who has which block, found by walking every inode. The second source of invariant I1, and the judge of
 * I5.
 *
 * It reads the inode tables and maps through the metadata cache, so it sees what `writeInode` has written, synced or
 * not; an inode that is dirty in core is seen as it was. It believes neither the bitmaps (but for which inodes are in
 * use) nor the counters.
 */
import type { Kernel } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import type { Buf } from '../buffer-cache.ts'
import { isReal } from '../extent-map.ts'
import type { ExtFormat } from './ext-format.ts'
import { isSet } from './bitmap.ts'
import { extOf, INODE } from './inode-table.ts'
import { groupBlocks, groupStart, hasSuper } from './superblock.ts'

/** Blocks by owner. */
export interface Accounting {
  /** Superblocks, descriptors, bitmaps, tables, the journal. */
  readonly metadata: number
  /** Blocks of files: data, maps, extended attributes. */
  readonly files: number
  /** metadata + files. */
  readonly used: number
  /** Clear bits of the bitmaps. */
  readonly free: number
  /** All blocks; equal to used + free if nothing leaks. */
  readonly total: number
  /** At most 20 lines: block mapped twice, mapped and free, or in use and nobody's. */
  readonly problems: readonly string[]
}

const MOST_PROBLEMS = 20

/** Owner of each block: 0 nobody, -1 metadata, else the inode. */
class Owners {
  readonly of: Int32Array
  readonly problems: string[] = []
  constructor(blocks: number) {
    this.of = new Int32Array(blocks)
  }
  say(line: string): void {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(line)
  }
  take(nr: BlockNr, n: number, owner: number): void {
    for (let i = nr; i < nr + n; i++) {
      const before = this.of[i]
      if (before !== 0) this.say(`block ${i}: of ${ownerName(owner)} and of ${ownerName(before!)}`)
      this.of[i] = owner
    }
  }
}

const ownerName = (owner: number): string => (owner < 0 ? 'metadata' : `inode ${owner}`)

/** Walk the file system. */
export function* accountBlocks(format: ExtFormat): Kernel<Accounting, 'EIO'> {
  const owners = new Owners(format.totalBlocks)
  takeMetadata(format, owners)
  const { geo } = format.volume
  const journal = format.journalArea?.ino ?? 0
  let files = 0
  let bits: Buf | null = null
  const attributes = new Set<BlockNr>()
  for (let ino = 1; ino <= geo.totalInodes; ino++) {
    const bit = (ino - 1) % geo.inodesPerGroup
    if (bit === 0) bits = yield* format.volume.inodeBits((ino - 1) / geo.inodesPerGroup)
    if (!isSet(bits!.data, bit)) continue
    const blocks = yield* takeInode(format, owners, attributes, ino)
    if (ino !== journal) files += blocks
    else if (blocks !== format.journalArea!.usedBlocks) {
      owners.say(`the journal has ${blocks} blocks, not ${format.journalArea!.usedBlocks}`)
    }
  }
  yield* compareBitmaps(format, owners)
  const metadata = format.metadataBlocks
  const free = yield* format.countFreeBlocks()
  return { metadata, files, used: metadata + files, free, total: format.totalBlocks, problems: owners.problems }
}

const takeMetadata = ({ volume }: ExtFormat, owners: Owners): void => {
  const { geo } = volume
  if (geo.firstDataBlock === 1) owners.take(0, 1, -1)
  for (let g = 0; g < geo.groupCount; g++) {
    if (hasSuper(geo, g)) owners.take(groupStart(geo, g), 1 + geo.descBlocks, -1)
    owners.take(volume.blockBitmap(g), 1, -1)
    owners.take(volume.inodeBitmap(g), 1, -1)
    owners.take(volume.tableStart(g), geo.tableBlocks, -1)
  }
}

/** @returns blocks of the inode */
function* takeInode(format: ExtFormat, owners: Owners, attributes: Set<BlockNr>, ino: number): Kernel<number, 'EIO'> {
  const inode = yield* format.decode(ino)
  if (inode.mode === 0) return 0
  yield* format.loadMap(inode)
  const ext = extOf(inode)
  for (const e of inode.map.extents) if (isReal(e.state)) owners.take(e.pblk, e.n, ino)
  for (const nr of ext.disk?.blocks() ?? []) owners.take(nr, 1, ino)
  const acl = ext.raw.readUInt32LE(INODE.acl)
  const isNew = acl !== 0 && !attributes.has(acl)
  if (isNew) {
    attributes.add(acl)
    owners.take(acl, 1, ino)
  }
  return inode.map.realBlocks + (ext.disk?.owned ?? 0) + (isNew ? 1 : 0)
}

function* compareBitmaps(format: ExtFormat, owners: Owners): Kernel<void, 'EIO'> {
  const { geo } = format.volume
  for (let g = 0; g < geo.groupCount; g++) {
    const { data } = yield* format.volume.blockBits(g)
    const start = groupStart(geo, g)
    for (let i = 0; i < groupBlocks(geo, g); i++) {
      const owner = owners.of[start + i]!
      const nr = start + i
      if (owner !== 0 && !isSet(data, i)) owners.say(`block ${nr}: of ${ownerName(owner)} and free in the bitmap`)
      if (owner === 0 && isSet(data, i)) owners.say(`block ${nr}: in use in the bitmap and nobody's`)
    }
  }
}
