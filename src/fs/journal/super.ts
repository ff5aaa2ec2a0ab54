/**
 * JournalSuper: the superblock of a jbd2 journal, block 0 of the journal's inode. Big-endian, 1024 bytes.
 *
 * `decodeJournalSuper` believes a field only after its check, in the order of the kernel, and a refusal is one line.
 * A journal is *clean* when `start` is 0; the next transaction then is `sequence` + 1, as the kernel counts. Else the
 * log begins at block `start` with transaction `sequence`.
 *
 * Refused: fast commits and asynchronous commits (their recovery is another one), checksums of version 1 (superseded
 * in 2012, never on by default). Unknown bytes survive: `encodeJournalSuper` writes over the block that was read.
 *
 * Source: journal_superblock_t of include/linux/jbd2.h; journal_load_superblock of fs/jbd2/journal.c;
 * Documentation/filesystems/ext4/journal.rst.
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { CRC_START, crc32c } from '../formats/crc32c.ts'

/** First word of the superblock and of every descriptor, revoke and commit block. */
export const JBD2_MAGIC = 0xc03b3998
/** Bytes of the superblock. */
export const JSB_SIZE = 1024
/** JBD2_MIN_JOURNAL_BLOCKS: fewest blocks of a journal. */
export const MIN_JOURNAL_BLOCKS = 1024

/** s_feature_incompat: revoke blocks are understood. */
export const J_REVOKE = 0x1
/** s_feature_incompat: block numbers have 64 bits. */
export const J_64BIT = 0x2
/** s_feature_incompat: the commit block is written without waiting for the log. Refused. */
export const J_ASYNC_COMMIT = 0x4
/** s_feature_incompat: checksums of version 2, 16 bits in a tag. */
export const J_CSUM_V2 = 0x8
/** s_feature_incompat: checksums of version 3, 32 bits in a tag. */
export const J_CSUM_V3 = 0x10
/** s_feature_incompat: fast commits. Refused. */
export const J_FAST_COMMIT = 0x20

const CRC32C_TYPE = 4
const SUPER_V1 = 3
const SUPER_V2 = 4

/** Byte offsets in the superblock. */
const JSB = {
  magic: 0, blockType: 4, headerSequence: 8, blockSize: 12, maxlen: 16, first: 20, sequence: 24, start: 28, errno: 32,
  compat: 36, incompat: 40, roCompat: 44, uuid: 48, nrUsers: 64, checksumType: 80, checksum: 252,
} as const

/** Which checksums the blocks of a log carry. */
export type JournalChecksum = 'none' | 'v2' | 'v3'

/** What one must know to read or write a block of the log. */
export interface LogFormat {
  /** Bytes of a block. */
  readonly blockSize: number
  readonly checksum: JournalChecksum
  /** Block numbers have 64 bits. */
  readonly wide: boolean
  /** crc32c of the journal's uuid, with which every checksum begins. */
  readonly seed: number
}

/** The superblock of a journal. Blocks are blocks of the journal, counted from its superblock. */
export interface JournalSuper extends LogFormat {
  readonly version: 1 | 2
  /** Blocks of the journal, its superblock included. */
  readonly maxlen: number
  /** First block of the log. */
  readonly first: number
  /** The first transaction that is expected in the log. */
  readonly sequence: number
  /** Block at which the log begins; 0 when the journal is clean. */
  readonly start: number
  /** What an aborted journal left behind: a negative errno, or 0. */
  readonly errno: number
  readonly compat: number
  readonly incompat: number
  readonly roCompat: number
  /** 16 bytes. */
  readonly uuid: Buffer
  /** The block as it was read: what is not named above. */
  readonly raw: Buffer
}

const checksumOf = (incompat: number): JournalChecksum =>
  (incompat & J_CSUM_V3) !== 0 ? 'v3' : (incompat & J_CSUM_V2) !== 0 ? 'v2' : 'none'

/** The same journal with other incompatible features, from now on: what the kernel sets when it mounts. */
export const withFeatures = (js: JournalSuper, incompat: number): JournalSuper => ({
  ...js, version: 2, incompat, checksum: checksumOf(incompat), wide: (incompat & J_64BIT) !== 0,
})

/** A new, clean journal of `maxlen` blocks of `blockSize` bytes. */
export const newJournalSuper = (blockSize: number, maxlen: number, uuid: Buffer, incompat: number): JournalSuper => ({
  blockSize, maxlen, incompat, version: 2, first: 1, sequence: 1, start: 0, errno: 0, compat: 0, roCompat: 0,
  uuid: Buffer.from(uuid), checksum: checksumOf(incompat), wide: (incompat & J_64BIT) !== 0,
  seed: crc32c(CRC_START, uuid), raw: Buffer.alloc(blockSize),
})

/** The superblock as a block, its checksum set. */
export const encodeJournalSuper = (js: JournalSuper): Buffer => {
  const out = Buffer.from(js.raw)
  const put = (field: keyof typeof JSB, value: number): void => void out.writeUInt32BE(value >>> 0, JSB[field])
  put('magic', JBD2_MAGIC)
  put('blockType', js.version === 1 ? SUPER_V1 : SUPER_V2)
  put('blockSize', js.blockSize)
  put('maxlen', js.maxlen)
  put('first', js.first)
  put('sequence', js.sequence)
  put('start', js.start)
  put('errno', js.errno)
  if (js.version === 1) return out
  put('compat', js.compat)
  put('incompat', js.incompat)
  put('roCompat', js.roCompat)
  js.uuid.copy(out, JSB.uuid)
  if (out.readUInt32BE(JSB.nrUsers) === 0) put('nrUsers', 1)
  out[JSB.checksumType] = js.checksum === 'none' ? 0 : CRC32C_TYPE
  put('checksum', js.checksum === 'none' ? 0 : checksumAround(CRC_START, out.subarray(0, JSB_SIZE), JSB.checksum))
  return out
}

const noWord = Buffer.alloc(4)

/** crc32c of `block` as if the four bytes at `at`, where the checksum itself lies, were zeros. */
export const checksumAround = (seed: number, block: Buffer, at: number): number => {
  const before = crc32c(crc32c(seed, block.subarray(0, at)), noWord)
  return at + 4 === block.length ? before : crc32c(before, block.subarray(at + 4))
}

/**
 * Read the superblock from block 0 of a journal, whose inode has `available` blocks of `blockSize` bytes. A refusal
 * says what is wrong, without the name of the device.
 */
export const decodeJournalSuper = (raw: Buffer, blockSize: number, available: number): Either<string, JournalSuper> => {
  const u32 = (field: keyof typeof JSB): number => raw.readUInt32BE(JSB[field])
  const [magic, type] = [u32('magic'), u32('blockType')]
  if (magic !== JBD2_MAGIC) return left(`the journal has magic 0x${magic.toString(16)}, not 0x${JBD2_MAGIC.toString(16)}`)
  if (type !== SUPER_V1 && type !== SUPER_V2) return left(`the journal's superblock has the unknown type ${type}`)
  if (u32('blockSize') !== blockSize) return left(`the journal has blocks of ${u32('blockSize')} bytes, not ${blockSize}`)
  const [maxlen, first, start] = [u32('maxlen'), u32('first'), u32('start')]
  if (maxlen > available) return left(`the journal says ${maxlen} blocks, its inode has ${available}`)
  if (first === 0 || first >= maxlen) return left(`the journal's log begins at block ${first} of ${maxlen}`)
  const version = type === SUPER_V1 ? 1 : 2
  const refused = version === 1 ? null : featureProblem(raw)
  if (refused !== null) return left(refused)
  if (first + MIN_JOURNAL_BLOCKS > maxlen + 1) {
    return left(`the journal has ${maxlen} blocks; at least ${MIN_JOURNAL_BLOCKS} are needed`)
  }
  if (start !== 0 && (start < first || start >= maxlen)) return left(`the journal starts at block ${start}, outside its log`)
  const uuid = Buffer.from(raw.subarray(JSB.uuid, JSB.uuid + 16))
  const incompat = version === 1 ? 0 : u32('incompat')
  return right({
    blockSize, version, maxlen, first, start, sequence: u32('sequence'), errno: u32('errno') | 0, incompat, uuid,
    compat: version === 1 ? 0 : u32('compat'), roCompat: version === 1 ? 0 : u32('roCompat'),
    checksum: checksumOf(incompat), wide: (incompat & J_64BIT) !== 0,
    seed: crc32c(CRC_START, uuid), raw: Buffer.from(raw.subarray(0, blockSize)),
  })
}

const UNDERSTOOD = J_REVOKE | J_64BIT | J_CSUM_V2 | J_CSUM_V3
const hint = 'mount and unmount it with the kernel, or make the file system anew'

/** The features and the checksum: what is wrong, or null. */
const featureProblem = (raw: Buffer): string | null => {
  const [compat, incompat, ro] = [raw.readUInt32BE(JSB.compat), raw.readUInt32BE(JSB.incompat), raw.readUInt32BE(JSB.roCompat)]
  if ((incompat & J_FAST_COMMIT) !== 0) return `the journal has fast commits, which are not supported: ${hint}`
  if ((incompat & J_ASYNC_COMMIT) !== 0) return `the journal has asynchronous commits, which are not supported: ${hint}`
  if (compat === 1) return `the journal has checksums of version 1, which are not supported: ${hint}`
  if (compat !== 0 || ro !== 0 || (incompat & ~UNDERSTOOD) !== 0) {
    return `the journal has unknown features (compat ${compat}, incompat ${incompat}, ro_compat ${ro})`
  }
  const kind = checksumOf(incompat)
  if (kind === 'none') return null
  if ((incompat & J_CSUM_V2) !== 0 && kind === 'v3') return 'the journal has checksums of version 2 and of version 3'
  const type = raw[JSB.checksumType]!
  if (type !== CRC32C_TYPE) return `the journal has checksums of the unknown type ${type}`
  const right = checksumAround(CRC_START, raw.subarray(0, JSB_SIZE), JSB.checksum)
  return right === raw.readUInt32BE(JSB.checksum) ? null : "the journal's superblock has a wrong checksum"
}
