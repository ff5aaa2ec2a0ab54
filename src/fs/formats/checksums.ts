/**
 * Checksums of metadata_csum: crc32c over each structure, with a seed that binds it to its file system and its owner.
 *
 * | structure          | seed              | over                                    | where                          |
 * |--------------------|-------------------|-----------------------------------------|--------------------------------|
 * | superblock         | ~0                | its first 1020 bytes                    | last 4 bytes                   |
 * | group descriptor   | fs, group         | the descriptor, the field as zeros      | byte 30, low half only         |
 * | bitmaps            | fs                | blocks or inodes of a group / 8 bytes   | the descriptor: 24, 26; 56, 58 |
 * | inode              | inode             | the whole inode, the fields as zeros    | byte 124 low, byte 130 high    |
 * | extent block       | inode             | up to the tail                          | behind the last possible entry |
 * | directory block    | inode             | up to the tail                          | a free record of 12 bytes      |
 * | hashed directory   | inode             | header, entries in use, tail            | behind the last possible entry |
 * | extended attributes| fs, block number  | the block, the field as zeros           | byte 16                        |
 *
 * The seed *fs* is crc32c(~0, uuid), or s_checksum_seed with metadata_csum_seed; *inode* goes on from it with the inode's
 * number and generation. uninit_bg, the elder feature, has a crc16 in the descriptors and nothing else.
 *
 * Source: fs/ext4/{super,bitmap,inode,extents,namei,xattr}.c; Documentation/filesystems/ext4/checksums.rst.
 */
import type { Sealer } from '../buffer-cache.ts'
import { crc16 } from './crc16.ts'
import { crc32c, crc32cOfU32 } from './crc32c.ts'
import { type Geometry, GOOD_OLD_INODE_SIZE } from './superblock.ts'

const nothing = Buffer.alloc(4)

// --- groups --------------------------------------------------------------------------------------------------------

/** Byte of the checksum in a group descriptor. */
const DESC_SUM = 30

/** The 16 bits that descriptor `desc` of group `g` should carry; `geo.groupSum` says by which rule. */
export const descriptorSum = (geo: Geometry, g: number, desc: Buffer): number => {
  const [head, tail] = [desc.subarray(0, DESC_SUM), desc.subarray(DESC_SUM + 2)]
  if (geo.groupSum === 'crc16') {
    const number = Buffer.alloc(4)
    number.writeUInt32LE(g)
    return crc16(crc16(crc16(crc16(0xffff, geo.uuid), number), head), tail)
  }
  const before = crc32c(crc32cOfU32(geo.checksumSeed, g), head)
  return crc32c(crc32c(before, nothing.subarray(0, 2)), tail) & 0xffff
}

/** The checksum of a bitmap that has a bit for each of `bits` blocks or inodes. */
export const bitmapSum = (geo: Geometry, bitmap: Buffer, bits: number): number =>
  crc32c(geo.checksumSeed, bitmap.subarray(0, bits / 8))

// --- inodes --------------------------------------------------------------------------------------------------------

const INODE_SUM_LOW = 124
const INODE_SUM_HIGH = 130
const GENERATION = 100
const EXTRA_SIZE = 128

/** What the checksums of an inode and of the blocks that it owns begin with. */
export const inodeSeed = (geo: Geometry, ino: number, raw: Buffer): number =>
  crc32cOfU32(crc32cOfU32(geo.checksumSeed, ino), raw.readUInt32LE(GENERATION))

const hasHighHalf = (raw: Buffer): boolean =>
  raw.length > GOOD_OLD_INODE_SIZE && raw.readUInt16LE(EXTRA_SIZE) >= INODE_SUM_HIGH + 2 - GOOD_OLD_INODE_SIZE

const inodeSum = (geo: Geometry, ino: number, raw: Buffer): number => {
  const zeros = nothing.subarray(0, 2)
  let sum = crc32c(inodeSeed(geo, ino, raw), raw.subarray(0, INODE_SUM_LOW))
  sum = crc32c(crc32c(sum, zeros), raw.subarray(INODE_SUM_LOW + 2, INODE_SUM_HIGH))
  if (raw.length === GOOD_OLD_INODE_SIZE) return sum
  const high = hasHighHalf(raw) ? zeros : raw.subarray(INODE_SUM_HIGH, INODE_SUM_HIGH + 2)
  return crc32c(crc32c(sum, high), raw.subarray(INODE_SUM_HIGH + 2))
}

/** Write the checksum of inode `ino` into its bytes. */
export const sealInode = (geo: Geometry, ino: number, raw: Buffer): void => {
  const sum = inodeSum(geo, ino, raw)
  raw.writeUInt16LE(sum & 0xffff, INODE_SUM_LOW)
  if (hasHighHalf(raw)) raw.writeUInt16LE(sum >>> 16, INODE_SUM_HIGH)
}

/** Does inode `ino` carry its checksum? One without room for the high half is asked for the low one only. */
export const inodeIsGood = (geo: Geometry, ino: number, raw: Buffer): boolean => {
  const sum = inodeSum(geo, ino, raw)
  if (raw.readUInt16LE(INODE_SUM_LOW) !== (sum & 0xffff)) return false
  return !hasHighHalf(raw) || raw.readUInt16LE(INODE_SUM_HIGH) === sum >>> 16
}

// --- extent blocks -------------------------------------------------------------------------------------------------

const extentTail = (data: Buffer): number => 12 + 12 * data.readUInt16LE(4)

/** Writes the checksum of an extent block whose owner has this seed. */
export const extentSealer = (seed: number): Sealer => (data) => {
  const at = extentTail(data)
  data.writeUInt32LE(crc32c(seed, data.subarray(0, at)), at)
}

/** Does an extent block carry its checksum? */
export const extentsAreGood = (seed: number, data: Buffer): boolean => {
  const at = extentTail(data)
  return at + 4 <= data.length && data.readUInt32LE(at) === crc32c(seed, data.subarray(0, at))
}

// --- directory blocks ----------------------------------------------------------------------------------------------

/** Bytes of the tail of a directory block. */
export const DIR_TAIL = 12
const TAIL_TYPE = 0xde

/** Does the block end in a tail? One that does not is part of the hash tree, or was made without checksums. */
export const hasDirTail = (data: Buffer): boolean => {
  const at = data.length - DIR_TAIL
  return data.readUInt32LE(at) === 0 && data.readUInt16LE(at + 4) === DIR_TAIL && data.readUInt16LE(at + 6) === TAIL_TYPE << 8
}

/** Write an empty tail. */
export const putDirTail = (data: Buffer): void => {
  const at = data.length - DIR_TAIL
  data.fill(0, at)
  data.writeUInt16LE(DIR_TAIL, at + 4)
  data[at + 7] = TAIL_TYPE
}

/** Writes the checksum of a directory block whose owner has this seed, and which has a tail. */
export const dirSealer = (seed: number): Sealer => (data) => {
  data.writeUInt32LE(crc32c(seed, data.subarray(0, data.length - DIR_TAIL)), data.length - 4)
}

/** Does a directory block with a tail carry its checksum? */
export const dirIsGood = (seed: number, data: Buffer): boolean =>
  data.readUInt32LE(data.length - 4) === crc32c(seed, data.subarray(0, data.length - DIR_TAIL))

/** Byte of the count and limit of a block of a hash tree, 0 if this is none: get_dx_countlimit. */
const hashEntries = (data: Buffer): number => {
  if (data.readUInt16LE(4) === data.length) return 8
  const isRoot = data.readUInt16LE(4) === 12 && data.readUInt16LE(12 + 4) === data.length - 12
  return isRoot && data.readUInt32LE(24) === 0 && data[29] === 8 ? 32 : 0
}

/** Is this a block of a hash tree, the root or a node, with its checksum? */
export const hashNodeIsGood = (seed: number, data: Buffer): boolean => {
  const first = hashEntries(data)
  if (first === 0) return false
  const [limit, count] = [data.readUInt16LE(first), data.readUInt16LE(first + 2)]
  const tail = first + 8 * limit
  if (count > limit || tail + 8 > data.length) return false
  const sum = crc32c(crc32c(seed, data.subarray(0, first + 8 * count)), data.subarray(tail, tail + 4))
  return data.readUInt32LE(tail + 4) === crc32c(sum, nothing)
}

// --- extended attributes -------------------------------------------------------------------------------------------

const XATTR_SUM = 16

/** The checksum that block `nr` of extended attributes should carry, at byte 16. */
export const attributesSum = (geo: Geometry, nr: number, data: Buffer): number => {
  const seed = crc32c(crc32cOfU32(geo.checksumSeed, nr), nothing)
  return crc32c(crc32c(crc32c(seed, data.subarray(0, XATTR_SUM)), nothing), data.subarray(XATTR_SUM + 4))
}

/** Writes the checksum of block `nr` of extended attributes. */
export const attributesSealer = (geo: Geometry, nr: number): Sealer => (data) => {
  data.writeUInt32LE(attributesSum(geo, nr, data), XATTR_SUM)
}
