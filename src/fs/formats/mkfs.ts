/**
 * mkfs: a new ext2 or ext4 on a device.
 *
 * Revision 1 with filetype, sparse_super and large_file; ext4 adds extents and 256-byte inodes (extra_isize). A journal
 * (mkfs-journal.ts), checksums and 64-byte descriptors if they are asked for; no flex groups: each group holds, in this
 * order, the copy of the superblock and the descriptors if it has one, its block bitmap, inode bitmap, inode table, data.
 * The root and lost+found are made. Every bitmap is written, and every table counts as zeroed. Nothing is random: without
 * a uuid, one is derived from `seed`.
 *
 * Inode tables are not written but for the first inodes, so an image of many GiB is cheap on a device that reads as
 * zeros; on any other say `zeroTables`. Free data blocks are never written.
 *
 * Source: mke2fs(8), e2fsprogs lib/ext2fs/initialize.c; kernel Documentation/filesystems/ext4/.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import { Bio, submitAndWait } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import { type Kernel, raise } from '../../kernel/kernel.ts'
import { PageVec, type Segment } from '../../kernel/page-vec.ts'
import { BufferCache } from '../buffer-cache.ts'
import { type Inode, S_IFDIR } from '../inode.ts'
import { fillBits } from './bitmap.ts'
import { Descriptors, TABLE_ZEROED } from './descriptors.ts'
import { ExtFormat } from './ext-format.ts'
import { Volume } from './groups.ts'
import { inodeFeatures } from './inode-table.ts'
import { journalBlocksOf, makeJournal } from './mkfs-journal.ts'
import {
  CHECKSUM_CRC32C, COMPAT_HAS_JOURNAL, DESC_SIZE, DESC_SIZE_64, EXT_MAGIC, type Geometry, GOOD_OLD_FIRST_INO, GOOD_OLD_INODE_SIZE,
  groupBlocks, groupStart, hasSuper, INCOMPAT_64BIT, INCOMPAT_EXTENTS, INCOMPAT_FILETYPE, RO_LARGE_FILE, RO_METADATA_CSUM,
  RO_SPARSE_SUPER, ROOT_INO, SB, SB_SIZE, STATE_VALID, sumsOf, superblockSum,
} from './superblock.ts'

/** What mkfs may be told. */
export interface MkfsOptions {
  readonly format: 'ext2' | 'ext4'
  /** Bytes: 1024, 2048 or 4096 (default). */
  readonly blockSize?: number
  /** At most 16 bytes. */
  readonly label?: string
  /** 16 bytes; default: derived from `seed`. */
  readonly uuid?: Uint8Array
  /** Default 0. */
  readonly seed?: number
  /** Bytes of the device for each inode; default 16384, or 4096 below 512 MiB, as mke2fs. */
  readonly inodeRatio?: number
  /** At least so many inodes, instead of `inodeRatio`. */
  readonly inodes?: number
  /** Blocks that only the superuser may use, as written to the superblock; default 0. */
  readonly reservedBlocks?: number
  /** Blocks of the journal, at least 1024; `auto`: as many as mke2fs would give it. Default 0: no journal. */
  readonly journalBlocks?: number | 'auto'
  /** Checksums over all metadata (mke2fs -O metadata_csum); ext4 only. Default false. */
  readonly metadataCsum?: boolean
  /** Group descriptors of 64 bytes (mke2fs -O 64bit); ext4 only. Default false. */
  readonly bits64?: boolean
  /** Write zeros over the inode tables and the journal: for devices whose fresh space does not read as zeros. Default false. */
  readonly zeroTables?: boolean
  /** The time of all that is made, in microseconds since the epoch; default 0. */
  readonly now?: number
}

/** Bytes below which mke2fs gives one inode per 4 KiB. */
const SMALL = 512 * 2 ** 20
/** A last group with less room for data than this is left out, as mke2fs does. */
const LEAST_DATA = 50

/** What mkfs would make of a device of `size` bytes, or one line that says why it cannot. */
export const planMkfs = (size: number, options: MkfsOptions): Either<string, Geometry> => {
  const { blockSize = 4096, format, inodes, label = '', uuid } = options
  if (![1024, 2048, 4096].includes(blockSize)) return left(`mkfs: block size ${blockSize}: choose 1024, 2048 or 4096`)
  if (Buffer.byteLength(label) > 16) return left(`mkfs: label '${label}' has more than 16 bytes`)
  if (uuid !== undefined && uuid.length !== 16) return left(`mkfs: uuid of ${uuid.length} bytes: give 16`)
  const wanted = inodes ?? Math.floor(size / (options.inodeRatio ?? (size < SMALL ? 4096 : 16384)))
  if (!(wanted > 0) || !Number.isFinite(wanted)) return left(`mkfs: ${wanted} inodes: give a positive number`)
  const totalBlocks = Math.floor(size / blockSize)
  if (totalBlocks >= 2 ** 32) return left(`mkfs: ${totalBlocks} blocks: at most 2^32 - 1 are supported; use larger blocks`)
  if (format === 'ext2' && (options.metadataCsum === true || options.bits64 === true)) {
    return left('mkfs: ext2 has neither checksums nor 64-byte descriptors; choose ext4')
  }
  const geo = layOut(totalBlocks, blockSize, options, wanted)
  const small = `mkfs: ${size} bytes are too few for ${format} with blocks of ${blockSize}`
  if (geo === null) return left(`${small}: give a larger device or fewer inodes`)
  if (isLeft(geo)) return geo
  const journal = journalBlocksOf(geo.right, options.journalBlocks ?? 0)
  if (isLeft(journal)) return journal
  return journal.right === 0 ? geo : right({ ...geo.right, compat: geo.right.compat | COMPAT_HAS_JOURNAL })
}

/** Choose groups and inodes; a last group that is too small is left out. Null if nothing fits. */
const layOut = (
  total: number, blockSize: number, options: MkfsOptions, inodes: number,
): Either<string, Geometry> | null => {
  const { format, bits64 = false, metadataCsum = false } = options
  const firstDataBlock = blockSize === 1024 ? 1 : 0
  const blocksPerGroup = 8 * blockSize
  const inodeSize = format === 'ext4' ? 256 : GOOD_OLD_INODE_SIZE
  const perBlock = blockSize / inodeSize
  const descSize = bits64 ? DESC_SIZE_64 : DESC_SIZE
  const incompat = INCOMPAT_FILETYPE | (format === 'ext4' ? INCOMPAT_EXTENTS : 0) | (bits64 ? INCOMPAT_64BIT : 0)
  const roCompat = RO_SPARSE_SUPER | RO_LARGE_FILE | inodeFeatures(inodeSize) | (metadataCsum ? RO_METADATA_CSUM : 0)
  for (let totalBlocks = total; totalBlocks > firstDataBlock; ) {
    const groupCount = Math.ceil((totalBlocks - firstDataBlock) / blocksPerGroup)
    const unit = Math.max(8, perBlock)
    const wanted = Math.max(Math.ceil(inodes / groupCount), GOOD_OLD_FIRST_INO + 1)
    const inodesPerGroup = Math.ceil(wanted / unit) * unit
    if (inodesPerGroup > 8 * blockSize) {
      return left(`mkfs: ${inodes} inodes: at most ${8 * blockSize} in each of ${groupCount} groups`)
    }
    const geo: Geometry = {
      blockSize, totalBlocks, firstDataBlock, blocksPerGroup, groupCount, inodesPerGroup, inodeSize,
      totalInodes: inodesPerGroup * groupCount,
      firstIno: GOOD_OLD_FIRST_INO,
      descSize,
      descBlocks: Math.ceil((groupCount * descSize) / blockSize),
      reservedDescBlocks: 0,
      tableBlocks: Math.ceil((inodesPerGroup * inodeSize) / blockSize),
      compat: 0,
      incompat, roCompat,
      ...sumsOf(incompat, roCompat, Buffer.from(options.uuid ?? seededUuid(options.seed ?? 0)), 0),
    }
    const last = groupCount - 1
    if (groupBlocks(geo, last) >= overheadOf(geo, last) + (last === 0 ? 4 : LEAST_DATA)) return right(geo)
    totalBlocks = last === 0 ? 0 : groupStart(geo, last)
  }
  return null
}

/** Blocks of metadata in group `g`. */
const overheadOf = (geo: Geometry, g: number): number =>
  (hasSuper(geo, g) ? 1 + geo.descBlocks : 0) + 2 + geo.tableBlocks

/** Make the file system. Raises EINVAL if `planMkfs` says why not. */
export function* mkfs(device: BlockDevice, options: MkfsOptions): Kernel<void, 'EIO' | 'EINVAL'> {
  const plan = planMkfs(device.size, options)
  if (isLeft(plan)) return yield* raise('EINVAL', 'EINVAL.mkfs')
  const geo = plan.right
  const now = options.now ?? 0
  const cache = new BufferCache(device, geo.blockSize)
  const descs = new Descriptors(geo, Buffer.alloc(geo.descBlocks * geo.blockSize))
  const sealDescriptors = (): void => descs.seal((nr) => cache.peek(nr)!.data)
  for (let g = 0; g < geo.groupCount; g++) {
    makeGroup(cache, geo, descs, g)
    if (options.zeroTables === true) yield* zeroTable(device, geo, descs, g)
    if (g % 64 !== 63) continue
    sealDescriptors()
    yield* cache.flush()
  }
  makeFirstInodes(cache, geo, descs)
  const volume = new Volume(cache, geo, superblock(geo, options), descs, { now: () => now })
  const format = new ExtFormat(volume, true)
  yield* makeRoot(format) as Kernel<void, 'EIO'>
  const journal = journalBlocksOf(geo, options.journalBlocks ?? 0)
  if (journal._tag === 'Right' && journal.right > 0) {
    yield* makeJournal(format, journal.right, options.zeroTables ?? false) as Kernel<void, 'EIO'>
  }
  volume.touch()
  yield* volume.sync()
  writeCopies(cache, volume)
  yield* cache.flush()
}

/** Bitmaps and descriptor of group `g`; bits behind its last block and its last inode are set. */
const makeGroup = (cache: BufferCache, geo: Geometry, descs: Descriptors, g: number): void => {
  const used = overheadOf(geo, g)
  const bits = 8 * geo.blockSize
  const start = groupStart(geo, g)
  const bitmap = start + used - geo.tableBlocks - 2
  const blocks = cache.fresh(bitmap).data
  fillBits(blocks, 0, used, 1)
  fillBits(blocks, groupBlocks(geo, g), bits - groupBlocks(geo, g), 1)
  const inodes = cache.fresh(bitmap + 1).data
  const reserved = g === 0 ? geo.firstIno - 1 : 0
  fillBits(inodes, 0, reserved, 1)
  fillBits(inodes, geo.inodesPerGroup, bits - geo.inodesPerGroup, 1)
  descs.place(g, bitmap)
  descs.add(g, 'freeBlocks', groupBlocks(geo, g) - used)
  descs.add(g, 'freeInodes', geo.inodesPerGroup - reserved)
  if (geo.groupSum !== 'none') descs.setFlags(g, TABLE_ZEROED)
  descs.bitmapChanged(g, 'blocks')
  descs.bitmapChanged(g, 'inodes')
}

function* zeroTable(device: BlockDevice, geo: Geometry, descs: Descriptors, g: number): Kernel<void, 'EIO'> {
  const bytes = Buffer.alloc(geo.blockSize)
  const segment: Segment = { bytes, start: 0, len: bytes.length, provenance: 'anonymous' }
  const most = (1 << 20) / geo.blockSize
  for (let i = 0; i < geo.tableBlocks; i += most) {
    const vec = Array.from({ length: Math.min(most, geo.tableBlocks - i) }, () => segment)
    const pos = (descs.table(g) + i) * geo.blockSize
    yield* submitAndWait(device, new Bio('write', pos, new PageVec(vec)))
  }
}

/** Zero the table blocks of the reserved inodes and the one after them, and the place of superblock and descriptors. */
const makeFirstInodes = (cache: BufferCache, geo: Geometry, descs: Descriptors): void => {
  const table = descs.table(0)
  const blocks = Math.ceil((geo.firstIno * geo.inodeSize) / geo.blockSize)
  for (let i = 0; i < blocks; i++) cache.fresh(table + i)
  for (let i = 0; i <= geo.descBlocks + geo.firstDataBlock; i++) cache.fresh(i)
}

/** Root and lost+found, made through the format itself. */
function* makeRoot(format: ExtFormat): Kernel<void, 'EIO' | 'ENOSPC'> {
  const root = format.rootInode(0o40755)
  yield* format.initDirectory(root, ROOT_INO)
  const lost: Inode = yield* format.allocateInode(root, S_IFDIR | 0o700)
  yield* format.initDirectory(lost, ROOT_INO)
  lost.nlink = 2
  root.nlink = 3
  yield* format.addName(root, 'lost+found', lost.ino, lost.mode)
  yield* format.writeInode(lost)
  yield* format.writeInode(root)
}

const superblock = (geo: Geometry, options: MkfsOptions): Buffer => {
  const sb = Buffer.alloc(SB_SIZE)
  const seconds = Math.floor((options.now ?? 0) / 1e6)
  const put = (field: keyof typeof SB, value: number): void => void sb.writeUInt32LE(value, SB[field])
  const half = (field: keyof typeof SB, value: number): void => void sb.writeUInt16LE(value, SB[field])
  const log = Math.log2(geo.blockSize) - 10
  put('inodes', geo.totalInodes)
  put('blocks', geo.totalBlocks)
  put('reserved', options.reservedBlocks ?? 0)
  put('firstDataBlock', geo.firstDataBlock)
  put('logBlockSize', log)
  put('logClusterSize', log)
  put('blocksPerGroup', geo.blocksPerGroup)
  put('clustersPerGroup', geo.blocksPerGroup)
  put('inodesPerGroup', geo.inodesPerGroup)
  half('maxMountCount', 0xffff)
  half('magic', EXT_MAGIC)
  half('state', STATE_VALID)
  half('errors', 1)
  put('lastCheck', seconds)
  put('mkfsTime', seconds)
  put('revision', 1)
  put('firstIno', geo.firstIno)
  half('inodeSize', geo.inodeSize)
  put('compat', geo.compat)
  put('incompat', geo.incompat)
  put('roCompat', geo.roCompat)
  sb.set(geo.uuid, SB.uuid)
  if (geo.descSize !== DESC_SIZE) half('descSize', geo.descSize)
  if (geo.checksums) sb[SB.checksumType] = CHECKSUM_CRC32C
  sb.write(options.label ?? '', SB.label)
  sb.set(seededUuid((options.seed ?? 0) + 1), SB.hashSeed)
  sb[SB.hashVersion] = 1
  put('flags', 1)
  if (geo.inodeSize > GOOD_OLD_INODE_SIZE) {
    half('minExtraSize', 32)
    half('wantExtraSize', 32)
  }
  return sb
}

/** 16 bytes in the shape of a version 4 uuid, from a seed (splitmix32). */
export const seededUuid = (seed: number): Buffer => {
  const out = Buffer.alloc(16)
  let state = seed | 0
  for (let i = 0; i < 16; i += 4) {
    state = (state + 0x9e3779b9) | 0
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    out.writeInt32LE(z ^ (z >>> 15), i)
  }
  out[6] = (out[6]! & 0x0f) | 0x40
  out[8] = (out[8]! & 0x3f) | 0x80
  return out
}

/** The copies of superblock and descriptors. They are written once: only e2fsck reads them. */
const writeCopies = (cache: BufferCache, { geo, sb, descs }: Volume): void => {
  for (let g = 1; g < geo.groupCount; g++) {
    if (!hasSuper(geo, g)) continue
    const copy = Buffer.from(sb)
    copy.writeUInt16LE(g, SB.groupNr)
    if (geo.checksums) copy.writeUInt32LE(superblockSum(copy), SB.checksum)
    const start = groupStart(geo, g)
    copy.copy(cache.fresh(start).data)
    for (let i = 0; i < geo.descBlocks; i++) {
      descs.block(i).copy(cache.fresh(start + 1 + i).data)
    }
  }
}
