/**
 * The superblock of ext2 and ext4: 1024 bytes at byte 1024 of the device.
 *
 * `parseSuperblock` believes nothing: magic, revision, features, geometry and the device's size are checked before
 * anything else is read, and a refusal says in one line what is wrong and what to do. Features in the list below are
 * understood; any other bit is refused (a file system must not be written by who does not know what its bits mean).
 *
 * Source: fs/ext4/ext4.h (struct ext4_super_block), fs/ext4/super.c (ext4_check_geometry), e2fsprogs
 * lib/ext2fs/ext2_fs.h.
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { CRC_START, crc32c } from './crc32c.ts'

/** Bytes of the superblock. */
export const SB_SIZE = 1024
/** Byte of the device at which the superblock begins. */
export const SB_POS = 1024
/** s_magic. */
export const EXT_MAGIC = 0xef53
/** Bytes of a group descriptor without 64bit. */
export const DESC_SIZE = 32
/** Bytes of a group descriptor with 64bit, as mke2fs makes it. */
export const DESC_SIZE_64 = 64
/** s_checksum_type: crc32c, the only one there is. */
export const CHECKSUM_CRC32C = 1
/** The root directory. */
export const ROOT_INO = 2
/** s_state: cleanly unmounted. */
export const STATE_VALID = 1
/** s_state: errors were seen. */
export const STATE_ERROR = 2
/** Fewest inodes that are reserved in every file system: 1 to 10. */
export const GOOD_OLD_FIRST_INO = 11
/** Bytes of an inode in revision 0, and the smallest in revision 1. */
export const GOOD_OLD_INODE_SIZE = 128

/** Byte offsets of the fields of the superblock that perform-write touches. */
export const SB = {
  inodes: 0, blocks: 4, reserved: 8, freeBlocks: 12, freeInodes: 16, firstDataBlock: 20, logBlockSize: 24,
  logClusterSize: 28, blocksPerGroup: 32, clustersPerGroup: 36, inodesPerGroup: 40, mtime: 44, wtime: 48,
  mountCount: 52, maxMountCount: 54, magic: 56, state: 58, errors: 60, lastCheck: 64, creatorOs: 72, revision: 76,
  firstIno: 84, inodeSize: 88, groupNr: 90, compat: 92, incompat: 96, roCompat: 100, uuid: 104, label: 120,
  reservedDescBlocks: 206, journalInum: 224, lastOrphan: 232, hashSeed: 236, hashVersion: 252, journalBackupType: 253,
  descSize: 254, mkfsTime: 264, journalBlocks: 268, blocksHigh: 336, minExtraSize: 348, wantExtraSize: 350, flags: 352,
  checksumType: 373, checksumSeed: 624, checksum: 1020,
} as const

/** There is a journal: inode `journalInum`. */
export const COMPAT_HAS_JOURNAL = 0x4
/** Large directories may be hashed (dir_index). */
export const COMPAT_DIR_INDEX = 0x20
/** Orphans are listed in a file of their own instead of a chain of inodes. */
export const COMPAT_ORPHAN_FILE = 0x1000
/** The journal is in use, or a crash left it with something to replay (needs_recovery). */
export const INCOMPAT_RECOVER = 0x4
/** Dirents carry the file type. */
export const INCOMPAT_FILETYPE = 0x2
/** Inodes may have extent trees: what makes it ext4 here. */
export const INCOMPAT_EXTENTS = 0x40
/** Group descriptors say how large they are, 64 bytes or more. */
export const INCOMPAT_64BIT = 0x80
/** The seed of all checksums is in the superblock, so that the uuid may change. */
export const INCOMPAT_CSUM_SEED = 0x2000
/** Copies of the superblock are only in some groups; see `hasSuper`. */
export const RO_SPARSE_SUPER = 0x1
/** Sizes of files have 64 bits. */
export const RO_LARGE_FILE = 0x2
/** Group descriptors carry a crc16, and say which bitmaps were never written. */
export const RO_UNINIT_BG = 0x10
/** All metadata carries a crc32c; includes what uninit_bg says of groups. */
export const RO_METADATA_CSUM = 0x400
/** The orphan file has entries. */
export const RO_ORPHAN_PRESENT = 0x10000
/** A link count of 1 of a directory: more than can be counted. */
export const RO_DIR_NLINK = 0x20
/** i_blocks has 48 bits. */
export const RO_HUGE_FILE = 0x8
/** Inodes say how many bytes behind the first 128 they use. */
export const RO_EXTRA_ISIZE = 0x40

type Word = 'compat' | 'incompat' | 'roCompat'

/** Features that are understood, by word and bit. */
const UNDERSTOOD: Record<Word, number> = {
  // and dir_prealloc, ext_attr, resize_inode, stable_inodes
  compat: 0x1 | COMPAT_HAS_JOURNAL | 0x8 | 0x10 | COMPAT_DIR_INDEX | 0x800 | COMPAT_ORPHAN_FILE,
  incompat: INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_64BIT | 0x200 | INCOMPAT_CSUM_SEED | INCOMPAT_RECOVER, // flex_bg
  roCompat: RO_SPARSE_SUPER | RO_LARGE_FILE | RO_HUGE_FILE | RO_UNINIT_BG | RO_DIR_NLINK | RO_EXTRA_ISIZE | RO_METADATA_CSUM,
}

/** Names, as `mke2fs -O` spells them, of features that are refused. */
const REFUSED: Record<Word, Record<number, string>> = {
  compat: {
    0x2: 'imagic_inodes', 0x200: 'sparse_super2', 0x400: 'fast_commit',
  },
  incompat: {
    0x1: 'compression', 0x8: 'journal_dev', 0x10: 'meta_bg', 0x100: 'mmp',
    0x400: 'ea_inode', 0x1000: 'dirdata', 0x4000: 'large_dir', 0x8000: 'inline_data',
    0x10000: 'encrypt', 0x20000: 'casefold',
  },
  roCompat: {
    0x4: 'btree_dir', 0x80: 'snapshot', 0x100: 'quota', 0x200: 'bigalloc', 0x800: 'replica', 0x1000: 'read-only',
    0x2000: 'project', 0x4000: 'shared_blocks', 0x8000: 'verity',
  },
}

/** What a mount was refused for: the errno of mount(2) and one line for people. */
export interface MountProblem {
  readonly errno: 'EIO' | 'EINVAL' | 'EUCLEAN'
  readonly message: string
}

/** The fixed facts of one file system. Blocks are counted in `blockSize` bytes. */
export interface Geometry {
  readonly blockSize: number
  readonly totalBlocks: number
  readonly firstDataBlock: number
  readonly blocksPerGroup: number
  readonly groupCount: number
  readonly totalInodes: number
  readonly inodesPerGroup: number
  /** Bytes of an inode on disk. */
  readonly inodeSize: number
  readonly firstIno: number
  /** Bytes of a group descriptor. */
  readonly descSize: number
  /** Blocks that are kept behind each copy of the descriptors; they belong to the resize inode. */
  readonly reservedDescBlocks: number
  /** Blocks of one copy of the group descriptors. */
  readonly descBlocks: number
  /** Blocks of one group's inode table. */
  readonly tableBlocks: number
  readonly compat: number
  readonly incompat: number
  readonly roCompat: number
  /** 16 bytes. */
  readonly uuid: Buffer
  /** metadata_csum: every block of metadata carries a crc32c. */
  readonly checksums: boolean
  /** What the crc32c of all but the superblock begins with; 0 without `checksums`. */
  readonly checksumSeed: number
  /** What descriptors carry. Only with one of the sums do their flags count. */
  readonly groupSum: 'none' | 'crc16' | 'crc32c'
}

/** What the features and the uuid say of checksums. */
export const sumsOf = (
  incompat: number, roCompat: number, uuid: Buffer, seed: number,
): Pick<Geometry, 'uuid' | 'checksums' | 'checksumSeed' | 'groupSum'> => {
  const checksums = (roCompat & RO_METADATA_CSUM) !== 0
  const checksumSeed = !checksums ? 0 : (incompat & INCOMPAT_CSUM_SEED) !== 0 ? seed : crc32c(CRC_START, uuid)
  return { uuid, checksums, checksumSeed, groupSum: checksums ? 'crc32c' : (roCompat & RO_UNINIT_BG) !== 0 ? 'crc16' : 'none' }
}

/** The checksum that a superblock should have. */
export const superblockSum = (sb: Buffer): number => crc32c(CRC_START, sb.subarray(0, SB.checksum))

/**
 * Does group `g` hold a copy of the superblock and the descriptors? All do without sparse_super; else 0, 1 and powers
 * of 3, 5, 7.
 */
export const hasSuper = (geo: Geometry, g: number): boolean =>
  (geo.roCompat & RO_SPARSE_SUPER) === 0 || g <= 1 || [3, 5, 7].some((base) => isPower(g, base))

const isPower = (n: number, base: number): boolean => {
  let m = n
  while (m > 1 && m % base === 0) m /= base
  return m === 1
}

/** First block of group `g`. */
export const groupStart = (geo: Geometry, g: number): number => geo.firstDataBlock + g * geo.blocksPerGroup

/** Blocks of group `g`; the last may be short. */
export const groupBlocks = (geo: Geometry, g: number): number =>
  Math.min(geo.blocksPerGroup, geo.totalBlocks - groupStart(geo, g))

/**
 * Blocks of superblocks, descriptors, bitmaps and inode tables, and the unused block 0 of a file system of 1 KiB
 * blocks. Descriptor blocks kept for growth belong to the resize inode, so they are not counted here.
 */
export const overhead = (geo: Geometry): number => {
  let copies = 0
  for (let g = 0; g < geo.groupCount; g++) if (hasSuper(geo, g)) copies++
  return geo.firstDataBlock + copies * (1 + geo.descBlocks) + geo.groupCount * (2 + geo.tableBlocks)
}

const refuse = (message: string, errno: MountProblem['errno'] = 'EINVAL') => left<MountProblem>({ errno, message })

/** Features on disk that perform-write does not understand, by name. */
const unknownFeatures = (raw: Buffer): string[] => {
  const names: string[] = []
  for (const word of ['compat', 'incompat', 'roCompat'] as const) {
    const bits = (raw.readUInt32LE(SB[word]) & ~UNDERSTOOD[word]) >>> 0
    for (let b = 0; b < 32; b++) {
      const bit = (1 << b) >>> 0
      if ((bits & bit) !== 0) names.push(REFUSED[word][bit] ?? `${word} bit 0x${bit.toString(16)}`)
    }
  }
  return names
}

const isPowerOfTwo = (n: number): boolean => n > 0 && Number.isInteger(Math.log2(n))

/** Check the 1024 bytes of a superblock against a device of `deviceSize` bytes. */
export const parseSuperblock = (raw: Buffer, name: string, deviceSize: number): Either<MountProblem, Geometry> => {
  const u32 = (field: keyof typeof SB): number => raw.readUInt32LE(SB[field])
  const magic = raw.readUInt16LE(SB.magic)
  if (magic !== EXT_MAGIC) {
    const found = `magic 0x${magic.toString(16)} at byte 1080, not 0xef53`
    return refuse(`${name}: no ext2 or ext4 here (${found}); make one with mkfs`)
  }
  const revision = u32('revision')
  if (revision > 1) return refuse(`${name}: superblock revision ${revision} is unknown; 0 and 1 are supported`)
  const sum = revision === 0 ? null : checkSum(raw)
  if (sum !== null) return refuse(`${name}: superblock is damaged: ${sum}; run e2fsck`, 'EUCLEAN')
  if (u32('logBlockSize') > 2) {
    const log = 10 + u32('logBlockSize')
    return refuse(`${name}: blocks of 2^${log} bytes; 1024, 2048 and 4096 are supported: mke2fs -b 4096`)
  }
  if (revision > 0 && (u32('roCompat') & RO_ORPHAN_PRESENT) !== 0) {
    return refuse(`${name}: its orphan file is not empty (orphan_present): run e2fsck, or mount and unmount it with Linux`)
  }
  const unknown = revision === 0 ? [] : unknownFeatures(raw)
  if (unknown.length > 0) {
    const [names, without] = [unknown.join(', '), unknown.map((f) => `^${f}`).join(',')]
    return refuse(`${name}: feature ${names} is not supported; use \`mke2fs -O ${without}\` or perform-write mkfs`)
  }
  return checkGeometry(raw, name, deviceSize, revision)
}

/** What is wrong with the checksum, or null. */
const checkSum = (raw: Buffer): string | null => {
  if ((raw.readUInt32LE(SB.roCompat) & RO_METADATA_CSUM) === 0) return null
  if (raw[SB.checksumType] !== CHECKSUM_CRC32C) return `checksum type ${raw[SB.checksumType]}, not ${CHECKSUM_CRC32C}`
  const [found, right] = [raw.readUInt32LE(SB.checksum), superblockSum(raw)]
  return found === right ? null : `checksum 0x${found.toString(16)}, not 0x${right.toString(16)}`
}

/** Bytes of a descriptor, or null if the superblock says nonsense. */
const descSizeOf = (raw: Buffer, incompat: number): number | null => {
  if ((incompat & INCOMPAT_64BIT) === 0) return DESC_SIZE
  const size = raw.readUInt16LE(SB.descSize)
  return isPowerOfTwo(size) && size >= DESC_SIZE_64 && size <= 1024 ? size : null
}

const checkGeometry = (
  raw: Buffer, name: string, deviceSize: number, revision: number,
): Either<MountProblem, Geometry> => {
  const u32 = (field: keyof typeof SB): number => raw.readUInt32LE(SB[field])
  const nonsense = (what: string) => refuse(`${name}: superblock is damaged: ${what}; run e2fsck`, 'EUCLEAN')
  const blockSize = 1024 << u32('logBlockSize')
  const bits = 8 * blockSize
  const inodeSize = revision === 0 ? GOOD_OLD_INODE_SIZE : raw.readUInt16LE(SB.inodeSize)
  const [blocksPerGroup, inodesPerGroup] = [u32('blocksPerGroup'), u32('inodesPerGroup')]
  const [totalBlocks, totalInodes, firstDataBlock] = [u32('blocks'), u32('inodes'), u32('firstDataBlock')]
  if (!isPowerOfTwo(inodeSize) || inodeSize < GOOD_OLD_INODE_SIZE || inodeSize > blockSize) {
    return nonsense(`inodes of ${inodeSize} bytes`)
  }
  if (firstDataBlock !== (blockSize === 1024 ? 1 : 0)) return nonsense(`first data block ${firstDataBlock}`)
  const fits = (perGroup: number): boolean => perGroup > 0 && perGroup <= bits && perGroup % 8 === 0
  if (!fits(blocksPerGroup)) return nonsense(`${blocksPerGroup} blocks per group`)
  if (totalBlocks <= firstDataBlock) return nonsense(`${totalBlocks} blocks`)
  const groupCount = Math.ceil((totalBlocks - firstDataBlock) / blocksPerGroup)
  if (!fits(inodesPerGroup) || inodesPerGroup * groupCount !== totalInodes) {
    return nonsense(`${totalInodes} inodes in ${groupCount} groups of ${inodesPerGroup}`)
  }
  const [incompat, roCompat] = revision === 0 ? [0, 0] : [u32('incompat'), u32('roCompat')]
  const descSize = descSizeOf(raw, incompat)
  if (descSize === null) return nonsense(`group descriptors of ${raw.readUInt16LE(SB.descSize)} bytes`)
  if ((incompat & INCOMPAT_64BIT) !== 0 && u32('blocksHigh') !== 0) {
    return refuse(`${name}: ${u32('blocksHigh') * 2 ** 32 + totalBlocks} blocks; at most 2^32 - 1 are supported: use a smaller one`)
  }
  const bytes = totalBlocks * blockSize
  if (bytes > deviceSize) {
    return refuse(`${name}: image is cut off: the superblock says ${bytes} bytes, the device has ${deviceSize}`)
  }
  const geo: Geometry = {
    blockSize, totalBlocks, firstDataBlock, blocksPerGroup, groupCount, totalInodes, inodesPerGroup, inodeSize,
    firstIno: revision === 0 ? GOOD_OLD_FIRST_INO : u32('firstIno'),
    descSize,
    descBlocks: Math.ceil((groupCount * descSize) / blockSize),
    reservedDescBlocks: raw.readUInt16LE(SB.reservedDescBlocks),
    tableBlocks: Math.ceil((inodesPerGroup * inodeSize) / blockSize),
    compat: revision === 0 ? 0 : u32('compat'),
    incompat, roCompat,
    ...sumsOf(incompat, roCompat, Buffer.from(raw.subarray(SB.uuid, SB.uuid + 16)), u32('checksumSeed')),
  }
  if (geo.firstIno < GOOD_OLD_FIRST_INO || geo.firstIno > inodesPerGroup) return nonsense(`first inode ${geo.firstIno}`)
  return overhead(geo) < totalBlocks ? right(geo) : nonsense(`no room for data in ${totalBlocks} blocks`)
}
