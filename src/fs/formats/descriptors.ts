/**
 * The group descriptors: 32 bytes for each group, or 64 with the high halves of all fields (64bit).
 *
 * The high halves of block numbers and counts are zero in every file system that is mounted here: fewer than 2^32 blocks,
 * and no group has more than 2^15. With a checksum (metadata_csum, uninit_bg) the flags count: a bitmap that was never
 * written is computed by its reader, and `unusedInodes` at the end of a table were never written either. What was changed
 * is remembered by group, and `seal` computes the checksums of those only.
 *
 * Source: struct ext4_group_desc in fs/ext4/ext4.h; Documentation/filesystems/ext4/group_descr.rst.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { bitmapSum, descriptorSum } from './checksums.ts'
import { DESC_SIZE_64, type Geometry, groupBlocks } from './superblock.ts'

const DESC = {
  blockBitmap: 0, inodeBitmap: 4, table: 8, freeBlocks: 12, freeInodes: 14, usedDirs: 16, flags: 18, blockSum: 24, inodeSum: 26,
  unused: 28, sum: 30,
} as const

/** Bytes at which the high halves of places and of counts begin, and end. */
const HIGH = { blockBitmap: 32, inodeBitmap: 36, table: 40, freeBlocks: 44, end: 52 } as const
/** The high halves of the checksums of the bitmaps. */
const SUM_HIGH = { blockSum: 56, inodeSum: 58 } as const

/** Flag of a group: no inode was ever in use, the inode bitmap was never written. */
export const INODE_UNINIT = 1
/** Flag of a group: the block bitmap was never written. */
export const BLOCK_UNINIT = 2
/** Flag of a group: the inode table holds zeros where nothing else is. */
export const TABLE_ZEROED = 4

/** A counter of a descriptor. */
export type GroupCount = 'freeBlocks' | 'freeInodes' | 'usedDirs'
/** Which bitmap of a group. */
export type Bitmap = 'blocks' | 'inodes'

const CHANGED = { blocks: 1, inodes: 2, fields: 4 } as const

/** All group descriptors of a file system. */
export class Descriptors {
  readonly #geo: Geometry
  readonly #bytes: Buffer
  /** By group: what must get its checksum. */
  readonly #changed: Uint8Array
  #anyChanged = false

  /** @param bytes the descriptors as they lie on the device */
  constructor(geo: Geometry, bytes: Buffer) {
    this.#geo = geo
    this.#bytes = bytes
    this.#changed = new Uint8Array(geo.groupCount)
  }

  checkpoint(): Restore {
    const [bytes, changed, any] = [Buffer.from(this.#bytes), this.#changed.slice(), this.#anyChanged]
    return () => {
      bytes.copy(this.#bytes)
      this.#changed.set(changed)
      this.#anyChanged = any
    }
  }

  #at(g: number): number {
    return g * this.#geo.descSize
  }
  #touch(g: number, what: keyof typeof CHANGED): void {
    if (this.#geo.groupSum === 'none') return
    this.#changed[g]! |= CHANGED[what] | CHANGED.fields
    this.#anyChanged = true
  }

  /** The bytes of descriptor block `i`. */
  block(i: number): Buffer {
    return this.#bytes.subarray(i * this.#geo.blockSize, (i + 1) * this.#geo.blockSize)
  }
  /** The block that holds the block bitmap of group `g`. */
  blockBitmap(g: number): BlockNr {
    return this.#bytes.readUInt32LE(this.#at(g) + DESC.blockBitmap)
  }
  /** The block that holds the inode bitmap of group `g`. */
  inodeBitmap(g: number): BlockNr {
    return this.#bytes.readUInt32LE(this.#at(g) + DESC.inodeBitmap)
  }
  /** First block of the inode table of group `g`. */
  table(g: number): BlockNr {
    return this.#bytes.readUInt32LE(this.#at(g) + DESC.table)
  }
  /** Write where a new group has its bitmaps and, behind them, its table. */
  place(g: number, bitmaps: BlockNr): void {
    for (const [i, field] of [DESC.blockBitmap, DESC.inodeBitmap, DESC.table].entries()) {
      this.#bytes.writeUInt32LE(bitmaps + i, this.#at(g) + field)
    }
    this.#touch(g, 'fields')
  }

  count(g: number, field: GroupCount): number {
    return this.#bytes.readUInt16LE(this.#at(g) + DESC[field])
  }
  /** @throws RangeError if the sum is no count: a bug */
  add(g: number, field: GroupCount, n: number): void {
    this.#bytes.writeUInt16LE(this.count(g, field) + n, this.#at(g) + DESC[field])
    this.#touch(g, 'fields')
  }

  /** Is a flag of group `g` set, and does it count? */
  has(g: number, flag: number): boolean {
    return this.#geo.groupSum !== 'none' && (this.#bytes.readUInt16LE(this.#at(g) + DESC.flags) & flag) !== 0
  }
  setFlags(g: number, flags: number): void {
    this.#bytes.writeUInt16LE(flags, this.#at(g) + DESC.flags)
    this.#touch(g, 'fields')
  }
  /** Group `g` is as written as any other. */
  clear(g: number, flags: number): void {
    if (this.has(g, flags)) this.setFlags(g, this.#bytes.readUInt16LE(this.#at(g) + DESC.flags) & ~flags)
  }
  /** Inodes at the end of the table of group `g` that were never in use. */
  unusedInodes(g: number): number {
    return this.#geo.groupSum === 'none' ? 0 : this.#bytes.readUInt16LE(this.#at(g) + DESC.unused)
  }
  setUnusedInodes(g: number, n: number): void {
    this.#bytes.writeUInt16LE(n, this.#at(g) + DESC.unused)
    this.#touch(g, 'fields')
  }

  // --- checksums ---------------------------------------------------------------------------------------------------

  /** A bitmap of group `g` was changed. */
  bitmapChanged(g: number, which: Bitmap): void {
    this.#touch(g, which)
  }

  #bits(which: Bitmap): number {
    return which === 'blocks' ? this.#geo.blocksPerGroup : this.#geo.inodesPerGroup
  }
  #wide(): boolean {
    return this.#geo.descSize >= DESC_SIZE_64
  }

  /** Does a bitmap as it was read carry its checksum? */
  bitmapIsGood(g: number, which: Bitmap, bitmap: Buffer): boolean {
    if (!this.#geo.checksums) return true
    const sum = bitmapSum(this.#geo, bitmap, this.#bits(which))
    const field = which === 'blocks' ? 'blockSum' : 'inodeSum'
    const low = this.#bytes.readUInt16LE(this.#at(g) + DESC[field]) === (sum & 0xffff)
    return low && (!this.#wide() || this.#bytes.readUInt16LE(this.#at(g) + SUM_HIGH[field]) === sum >>> 16)
  }

  #sealBitmap(g: number, which: Bitmap, bitmap: Buffer): void {
    const sum = bitmapSum(this.#geo, bitmap, this.#bits(which))
    const field = which === 'blocks' ? 'blockSum' : 'inodeSum'
    this.#bytes.writeUInt16LE(sum & 0xffff, this.#at(g) + DESC[field])
    if (this.#wide()) this.#bytes.writeUInt16LE(sum >>> 16, this.#at(g) + SUM_HIGH[field])
  }

  /**
   * Compute the checksums of all that was changed.
   * @param bitmapOf the bytes of a block in core: a changed bitmap does not leave it before this was called
   */
  seal(bitmapOf: (nr: BlockNr) => Buffer): void {
    if (!this.#anyChanged) return
    this.#anyChanged = false
    const { groupCount, checksums } = this.#geo
    for (let g = 0; g < groupCount; g++) {
      const changed = this.#changed[g]!
      if (changed === 0) continue
      this.#changed[g] = 0
      if (checksums && (changed & CHANGED.blocks) !== 0) this.#sealBitmap(g, 'blocks', bitmapOf(this.blockBitmap(g)))
      if (checksums && (changed & CHANGED.inodes) !== 0) this.#sealBitmap(g, 'inodes', bitmapOf(this.inodeBitmap(g)))
      this.#bytes.writeUInt16LE(descriptorSum(this.#geo, g, this.#one(g)), this.#at(g) + DESC.sum)
    }
  }

  #one(g: number): Buffer {
    return this.#bytes.subarray(this.#at(g), this.#at(g) + this.#geo.descSize)
  }

  // --- distrust ----------------------------------------------------------------------------------------------------

  /**
   * What is wrong with the descriptors as they were read, or null: each must carry its checksum, say where its bitmaps and
   * its table are, inside the file system, and count no more than it has.
   */
  problem(): string | null {
    for (let g = 0; g < this.#geo.groupCount; g++) {
      const wrong = this.#problemOf(g)
      if (wrong !== null) return `group ${g}: its descriptor ${wrong}`
    }
    return null
  }

  #problemOf(g: number): string | null {
    const { firstDataBlock, totalBlocks, tableBlocks, inodesPerGroup, groupSum } = this.#geo
    const desc = this.#one(g)
    if (groupSum !== 'none') {
      const [found, right] = [desc.readUInt16LE(DESC.sum), descriptorSum(this.#geo, g, desc)]
      if (found !== right) return `has checksum 0x${found.toString(16)}, not 0x${right.toString(16)}`
    }
    const inside = (nr: number, n: number): boolean => nr > firstDataBlock && nr + n <= totalBlocks
    const placed = inside(this.blockBitmap(g), 1) && inside(this.inodeBitmap(g), 1) && inside(this.table(g), tableBlocks)
    if (!placed || this.#highHalf(desc, HIGH.blockBitmap, HIGH.freeBlocks)) return 'points outside the file system'
    if (this.count(g, 'freeBlocks') > groupBlocks(this.#geo, g) || this.#highHalf(desc, HIGH.freeBlocks, HIGH.end)) {
      return 'counts more free blocks than it has'
    }
    if (this.count(g, 'freeInodes') > inodesPerGroup) return 'counts more free inodes than it has'
    if (this.count(g, 'usedDirs') > inodesPerGroup) return 'counts more directories than inodes'
    return this.unusedInodes(g) > inodesPerGroup ? 'counts more unused inodes than it has' : null
  }

  /** Is any bit set between two bytes of the upper half? */
  #highHalf(desc: Buffer, from: number, to: number): boolean {
    return this.#wide() && desc.subarray(from, to).some((byte) => byte !== 0)
  }
}
