/**
 * The blocks of a jbd2 log: descriptors, revoke blocks and commit blocks, and the data between them. Pure: bytes in,
 * bytes out. Big-endian.
 *
 * A transaction in the log: revoke blocks; descriptors, each followed by the data blocks of its tags; one commit block.
 * A data block that begins with the magic of the journal is *escaped*: its first word is zero in the log, and the tag
 * says so. Its checksum is that of the bytes in the log. What each kind of checksum covers:
 * - descriptor and revoke block: the whole block, with the tail (its last word) as zero;
 * - commit block: the whole block, with the checksum's word as zero;
 * - data block: the transaction's number and the block. Version 2 keeps the low 16 bits, version 3 all.
 *
 * `decodeLogBlock` says what a block claims to be and whether its checksum holds (`intact`); what follows from that is
 * the business of recovery.ts.
 *
 * Source: include/linux/jbd2.h; fs/jbd2/commit.c, revoke.c, recovery.c; Documentation/filesystems/ext4/journal.rst.
 */
import { crc32c } from '../formats/crc32c.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { checksumAround, JBD2_MAGIC, type JournalSuper, type LogFormat } from './super.ts'

/** Bytes of the header: magic, type, number of the transaction. */
const HEADER = 12
/** Bytes of the checksum at the end of a descriptor or a revoke block. */
const TAIL = 4
/** Bytes of the uuid behind a tag without SAME_UUID. */
const UUID = 16
/** Where the records of a revoke block begin; before them the count of bytes that are in use. */
const RECORDS = 16
/** Bytes of a commit block that mean something. */
const COMMIT_HEADER = 60

const DESCRIPTOR_TYPE = 1
const COMMIT_TYPE = 2
const REVOKE_TYPE = 5

const COMMIT = { checksum: 16, seconds: 48, nanoseconds: 56 } as const

/** t_flags: the first word of the data block is the magic, and zero in the log. */
export const TAG_ESCAPE = 1
/** t_flags: no uuid follows. */
export const TAG_SAME_UUID = 2
/** t_flags: the block was deleted by this transaction. Nobody ever wrote it. */
export const TAG_DELETED = 4
/** t_flags: the last tag of its descriptor. */
export const TAG_LAST = 8

/** One block of the file system that a transaction changes. */
export interface LoggedBlock {
  readonly nr: BlockNr
  /** The whole block. Leave it alone until the log is written: it is not copied. */
  readonly data: Buffer
}

/** When a transaction was committed, since the epoch. */
export interface CommitTime {
  readonly seconds: number
  readonly nanoseconds: number
}

/** A transaction as blocks of the log. */
export interface EncodedTransaction {
  /** Revoke blocks, then descriptors, each followed by its data blocks, in the order of the log. */
  readonly log: Buffer[]
  /** Makes it a transaction: written after all of `log` is durable. */
  readonly commit: Buffer
}

/** A tag of a descriptor: the next data block belongs at `nr`. */
export interface Tag {
  readonly nr: BlockNr
  readonly flags: number
  /** As stored: 32 bits, 16, or 0 without checksums. */
  readonly checksum: number
}

/** What a block of the log claims to be. `intact`: its checksum holds, or there is none. */
export type LogBlock =
  | { readonly kind: 'descriptor', readonly sequence: number, readonly intact: boolean, readonly tags: readonly Tag[] }
  /** `revoked` is null if the count is nonsense. */
  | { readonly kind: 'revoke', readonly sequence: number, readonly intact: boolean, readonly revoked: readonly BlockNr[] | null }
  | { readonly kind: 'commit', readonly sequence: number, readonly intact: boolean, readonly time: CommitTime }
  /** The magic, and a type that nobody knows. */
  | { readonly kind: 'unknown', readonly sequence: number }
  /** No magic. */
  | { readonly kind: 'none' }

/** Bytes of a tag (journal_tag_bytes). */
export const tagBytes = ({ checksum, wide }: LogFormat): number =>
  checksum === 'v3' ? 16 : 8 + (checksum === 'v2' ? 2 : 0) + (wide ? 4 : 0)

const tailBytes = ({ checksum }: LogFormat): number => (checksum === 'none' ? 0 : TAIL)

/** Tags of a full descriptor, as the kernel fills it: it stops when a tag with a uuid would no longer fit. */
export const tagsPerDescriptor = (format: LogFormat): number => {
  const tag = tagBytes(format)
  return 1 + Math.floor((format.blockSize - HEADER - UUID - (tag + UUID + tailBytes(format))) / tag)
}

const recordBytes = ({ wide }: LogFormat): number => (wide ? 8 : 4)

/** Records of a full revoke block. */
export const revokesPerBlock = (format: LogFormat): number =>
  Math.floor((format.blockSize - RECORDS - tailBytes(format)) / recordBytes(format))

/** Blocks of the log that a transaction of so many blocks and so many revoked ones takes, the commit block included. */
export const logBlocksFor = (format: LogFormat, blocks: number, revoked: number): number =>
  Math.ceil(revoked / revokesPerBlock(format)) + blocks + Math.ceil(blocks / tagsPerDescriptor(format)) + 1

// --- writing -------------------------------------------------------------------------------------------------------

/**
 * A transaction as it is written to the log.
 * @throws RangeError if a block is not one block long: a bug
 */
export const encodeTransaction = (
  js: JournalSuper, tid: number, blocks: readonly LoggedBlock[], revoked: readonly BlockNr[], commitTime: CommitTime,
): EncodedTransaction => {
  const log: Buffer[] = []
  const records = revokesPerBlock(js)
  for (let i = 0; i < revoked.length; i += records) log.push(encodeRevoke(js, tid, revoked.slice(i, i + records)))
  const tags = tagsPerDescriptor(js)
  for (let i = 0; i < blocks.length; i += tags) encodeDescriptor(js, tid, blocks.slice(i, i + tags), log)
  return { log, commit: encodeCommit(js, tid, commitTime) }
}

const encodeHeader = (format: LogFormat, type: number, tid: number): Buffer => {
  const out = Buffer.alloc(format.blockSize)
  out.writeUInt32BE(JBD2_MAGIC, 0)
  out.writeUInt32BE(type, 4)
  out.writeUInt32BE(tid >>> 0, 8)
  return out
}

const sealTail = (format: LogFormat, block: Buffer): Buffer => {
  const at = format.blockSize - TAIL
  if (format.checksum !== 'none') block.writeUInt32BE(checksumAround(format.seed, block, at), at)
  return block
}

const encodeRevoke = (format: LogFormat, tid: number, nrs: readonly BlockNr[]): Buffer => {
  const out = encodeHeader(format, REVOKE_TYPE, tid)
  const size = recordBytes(format)
  out.writeUInt32BE(RECORDS + nrs.length * size, HEADER)
  // The high word of a block number is zero: there are no larger file systems here.
  nrs.forEach((nr, i) => out.writeUInt32BE(nr, RECORDS + i * size + size - 4))
  return sealTail(format, out)
}

/** Append a descriptor and its data blocks to `log`. */
const encodeDescriptor = (format: LogFormat, tid: number, blocks: readonly LoggedBlock[], log: Buffer[]): void => {
  const out = encodeHeader(format, DESCRIPTOR_TYPE, tid)
  log.push(out)
  let at = HEADER
  for (const [i, { nr, data }] of blocks.entries()) {
    if (data.length !== format.blockSize) throw new RangeError(`block ${nr}: ${data.length} bytes for the log`)
    const escaped = data.readUInt32BE(0) === JBD2_MAGIC
    const logged = escaped ? Buffer.from(data) : data
    if (escaped) logged.writeUInt32BE(0, 0)
    log.push(logged)
    const flags = (escaped ? TAG_ESCAPE : 0) | (i > 0 ? TAG_SAME_UUID : 0) | (i === blocks.length - 1 ? TAG_LAST : 0)
    writeTag(format, out, at, { nr, flags, checksum: dataChecksum(format, tid, logged) })
    at += tagBytes(format) + (i > 0 ? 0 : UUID)
  }
  sealTail(format, out)
}

const writeTag = ({ checksum: kind }: LogFormat, out: Buffer, at: number, { nr, flags, checksum }: Tag): void => {
  out.writeUInt32BE(nr, at)
  out.writeUInt16BE(flags, at + 6)
  if (kind === 'v2') out.writeUInt16BE(checksum, at + 4)
  if (kind === 'v3') out.writeUInt32BE(checksum, at + 12)
}

const encodeCommit = (format: LogFormat, tid: number, { seconds, nanoseconds }: CommitTime): Buffer => {
  const out = encodeHeader(format, COMMIT_TYPE, tid)
  out.writeBigUInt64BE(BigInt(seconds), COMMIT.seconds)
  out.writeUInt32BE(nanoseconds, COMMIT.nanoseconds)
  if (format.checksum !== 'none') out.writeUInt32BE(checksumAround(format.seed, out, COMMIT.checksum), COMMIT.checksum)
  return out
}

const word = Buffer.alloc(4)

/** What the tag of `block`, as it lies in the log, must say; 0 without checksums. */
export const dataChecksum = (format: LogFormat, tid: number, block: Buffer): number => {
  if (format.checksum === 'none') return 0
  word.writeUInt32BE(tid >>> 0)
  const sum = crc32c(crc32c(format.seed, word), block)
  return format.checksum === 'v3' ? sum : sum & 0xffff
}

// --- reading -------------------------------------------------------------------------------------------------------

/** What a block of the log claims to be. */
export const decodeLogBlock = (format: LogFormat, block: Buffer): LogBlock => {
  if (block.readUInt32BE(0) !== JBD2_MAGIC) return { kind: 'none' }
  const sequence = block.readUInt32BE(8)
  switch (block.readUInt32BE(4)) {
    case DESCRIPTOR_TYPE: return { kind: 'descriptor', sequence, intact: hasGoodTail(format, block), tags: decodeTags(format, block) }
    case REVOKE_TYPE: return { kind: 'revoke', sequence, intact: hasGoodTail(format, block), revoked: decodeRevoked(format, block) }
    case COMMIT_TYPE: return { kind: 'commit', sequence, intact: isGoodCommit(format, block), time: decodeTime(block) }
    default: return { kind: 'unknown', sequence }
  }
}

const hasGoodTail = (format: LogFormat, block: Buffer): boolean => {
  const at = format.blockSize - TAIL
  return format.checksum === 'none' || block.readUInt32BE(at) === checksumAround(format.seed, block, at)
}

const zeros = Buffer.alloc(65536)

/** The whole block, or its header if what is behind that never reached the disk (commit_block_csum_verify_partial). */
const isGoodCommit = (format: LogFormat, block: Buffer): boolean => {
  if (format.checksum === 'none') return true
  const { seed, blockSize } = format
  const stored = block.readUInt32BE(COMMIT.checksum)
  if (stored === checksumAround(seed, block, COMMIT.checksum)) return true
  const header = checksumAround(seed, block.subarray(0, COMMIT_HEADER), COMMIT.checksum)
  return stored === crc32c(header, zeros.subarray(0, blockSize - COMMIT_HEADER))
}

const decodeTime = (block: Buffer): CommitTime => ({
  seconds: Number(block.readBigUInt64BE(COMMIT.seconds)), nanoseconds: block.readUInt32BE(COMMIT.nanoseconds),
})

/** Tags up to the one that says it is the last, or as many as fit. */
const decodeTags = (format: LogFormat, block: Buffer): Tag[] => {
  const { checksum: kind, wide } = format
  const [size, end] = [tagBytes(format), format.blockSize - tailBytes(format)]
  const tags: Tag[] = []
  for (let at = HEADER; at + size <= end; ) {
    const flags = block.readUInt16BE(at + 6)
    const high = wide ? block.readUInt32BE(at + 8) : 0
    const checksum = kind === 'v3' ? block.readUInt32BE(at + 12) : kind === 'v2' ? block.readUInt16BE(at + 4) : 0
    tags.push({ nr: high * 2 ** 32 + block.readUInt32BE(at), flags, checksum })
    if ((flags & TAG_LAST) !== 0) break
    at += size + ((flags & TAG_SAME_UUID) !== 0 ? 0 : UUID)
  }
  return tags
}

const decodeRevoked = (format: LogFormat, block: Buffer): BlockNr[] | null => {
  const used = block.readUInt32BE(HEADER)
  if (used > format.blockSize - tailBytes(format)) return null
  const size = recordBytes(format)
  const nrs: BlockNr[] = []
  for (let at = RECORDS; at + size <= used; at += size) {
    const high = size === 8 ? block.readUInt32BE(at) : 0
    nrs.push(high * 2 ** 32 + block.readUInt32BE(at + size - 4))
  }
  return nrs
}
