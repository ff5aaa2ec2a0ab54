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

/** Bytes of the superblock. */
export const SB_SIZE = 1024
/** Byte of the device at which the superblock begins. */
export const SB_POS = 1024
/** s_magic. */
export const EXT_MAGIC = 0xef53
/** Bytes of a group descriptor (no 64bit). */
export const DESC_SIZE = 32
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
  lastOrphan: 232, hashSeed: 236, hashVersion: 252, mkfsTime: 264, minExtraSize: 348, wantExtraSize: 350, flags: 352,
} as const

/** Large directories may be hashed (dir_index). */
export const COMPAT_DIR_INDEX = 0x20
/** Dirents carry the file type. */
export const INCOMPAT_FILETYPE = 0x2
/** Inodes may have extent trees: what makes it ext4 here. */
export const INCOMPAT_EXTENTS = 0x40
/** Copies of the superblock are only in some groups; see `hasSuper`. */
export const RO_SPARSE_SUPER = 0x1
/** Sizes of files have 64 bits. */
export const RO_LARGE_FILE = 0x2
/** i_blocks has 48 bits. */
export const RO_HUGE_FILE = 0x8
/** Inodes say how many bytes behind the first 128 they use. */
export const RO_EXTRA_ISIZE = 0x40

type Word = 'compat' | 'incompat' | 'roCompat'

/** Features that are understood, by word and bit. */
const UNDERSTOOD: Record<Word, number> = {
  compat: 0x1 | 0x8 | 0x10 | COMPAT_DIR_INDEX | 0x800, // dir_prealloc ext_attr resize_inode dir_index stable_inodes
  incompat: INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | 0x200, // filetype extent flex_bg
  roCompat: RO_SPARSE_SUPER | RO_LARGE_FILE | RO_HUGE_FILE | 0x20 | RO_EXTRA_ISIZE, // and dir_nlink
}

/** Names, as `mke2fs -O` spells them, of features that are refused. */
const REFUSED: Record<Word, Record<number, string>> = {
  compat: {
    0x2: 'imagic_inodes', 0x4: 'has_journal', 0x200: 'sparse_super2', 0x400: 'fast_commit', 0x1000: 'orphan_file',
  },
  incompat: {
    0x1: 'compression', 0x4: 'needs_recovery', 0x8: 'journal_dev', 0x10: 'meta_bg', 0x80: '64bit', 0x100: 'mmp',
    0x400: 'ea_inode', 0x1000: 'dirdata', 0x2000: 'metadata_csum_seed', 0x4000: 'large_dir', 0x8000: 'inline_data',
    0x10000: 'encrypt', 0x20000: 'casefold',
  },
  roCompat: {
    0x4: 'btree_dir', 0x10: 'uninit_bg', 0x80: 'snapshot', 0x100: 'quota', 0x200: 'bigalloc', 0x400: 'metadata_csum',
    0x800: 'replica', 0x1000: 'read-only', 0x2000: 'project', 0x4000: 'shared_blocks', 0x8000: 'verity',
    0x10000: 'orphan_present',
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
  /** Blocks of one copy of the group descriptors. */
  readonly descBlocks: number
  /** Blocks of one group's inode table. */
  readonly tableBlocks: number
  readonly compat: number
  readonly incompat: number
  readonly roCompat: number
}

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
  if (u32('logBlockSize') > 2) {
    const log = 10 + u32('logBlockSize')
    return refuse(`${name}: blocks of 2^${log} bytes; 1024, 2048 and 4096 are supported: mke2fs -b 4096`)
  }
  const unknown = revision === 0 ? [] : unknownFeatures(raw)
  if (unknown.length > 0) {
    const [names, without] = [unknown.join(', '), unknown.map((f) => `^${f}`).join(',')]
    return refuse(`${name}: feature ${names} is not supported; use \`mke2fs -O ${without}\` or perform-write mkfs`)
  }
  return checkGeometry(raw, name, deviceSize, revision)
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
  const bytes = totalBlocks * blockSize
  if (bytes > deviceSize) {
    return refuse(`${name}: image is cut off: the superblock says ${bytes} bytes, the device has ${deviceSize}`)
  }
  const geo: Geometry = {
    blockSize, totalBlocks, firstDataBlock, blocksPerGroup, groupCount, totalInodes, inodesPerGroup, inodeSize,
    firstIno: revision === 0 ? GOOD_OLD_FIRST_INO : u32('firstIno'),
    descBlocks: Math.ceil((groupCount * DESC_SIZE) / blockSize),
    tableBlocks: Math.ceil((inodesPerGroup * inodeSize) / blockSize),
    compat: revision === 0 ? 0 : u32('compat'),
    incompat: revision === 0 ? 0 : u32('incompat'),
    roCompat: revision === 0 ? 0 : u32('roCompat'),
  }
  if (geo.firstIno < GOOD_OLD_FIRST_INO || geo.firstIno > inodesPerGroup) return nonsense(`first inode ${geo.firstIno}`)
  return overhead(geo) < totalBlocks ? right(geo) : nonsense(`no room for data in ${totalBlocks} blocks`)
}
