/**
 * JournalArea: where the journal of a file system lies, and what its superblock says.
 *
 * An internal journal is the data of one inode, number 8 by custom. `locateJournal` reads its map with the code of every other
 * file and believes nothing: no holes, every block inside the file system, none of them twice or of the metadata that mkfs
 * placed. The superblock of the file system keeps a copy of the inode's map (`encodeBackup`), for e2fsck: a mount does not
 * look at it, as the kernel does not.
 *
 * Source: ext4_get_journal_inode, ext4_open_inode_journal (fs/ext4/super.c); jbd2_journal_init_inode (fs/jbd2/journal.c);
 * add_journal of e2fsprogs lib/ext2fs/mkjournal.c for the copy.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { Kernel } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import { MAPPED } from '../extent-map.ts'
import type { ExtFormat } from '../formats/ext-format.ts'
import type { Volume } from '../formats/groups.ts'
import { extOf, INODE, MAP_BYTES } from '../formats/inode-table.ts'
import { groupStart, hasSuper, SB } from '../formats/superblock.ts'
import type { Inode } from '../inode.ts'
import { decodeJournalSuper, type JournalSuper } from './super.ts'

/** The inode of a journal, by custom (EXT4_JOURNAL_INO). */
export const JOURNAL_INO = 8

/** A journal inside its file system. */
export interface JournalArea {
  readonly ino: number
  /** The block on the device of each block of the journal; its superblock is 0. */
  readonly blocks: Uint32Array
  /** Blocks in use for it, its map included: they are nobody's files. */
  readonly usedBlocks: number
  /** As on the disk now. */
  super: JournalSuper
}

/** Find the journal of the file system that `format` was mounted from; a line without the device's name if it is no good. */
export function* locateJournal(format: ExtFormat): Kernel<Either<string, JournalArea>, 'EIO'> {
  const { volume } = format
  const ino = volume.sb.readUInt32LE(SB.journalInum)
  if (ino === 0) return left('the journal lies on another device, which is not supported')
  if (ino > volume.geo.totalInodes) return left(`the journal is inode ${ino} of ${volume.geo.totalInodes}`)
  const inode = yield* format.decode(ino)
  if (!inode.isFile || inode.nlink === 0) return left(`the journal, inode ${ino}, is no file`)
  yield* format.loadMap(inode)
  const blocks = mapOf(inode, volume)
  if (isLeft(blocks)) return blocks
  const { data } = yield* volume.cache.get(blocks.right[0]!)
  const parsed = decodeJournalSuper(data, volume.geo.blockSize, blocks.right.length)
  if (isLeft(parsed)) return parsed
  return right({ ino, blocks: blocks.right, usedBlocks: inode.map.realBlocks + format.mapBlocks(inode), super: parsed.right })
}

/** The blocks of the journal in their order, checked. */
const mapOf = (inode: Inode, volume: Volume): Either<string, Uint32Array> => {
  const length = inode.size / volume.geo.blockSize
  const { extents } = inode.map
  if (!Number.isInteger(length) || length === 0) return left(`the journal has ${inode.size} bytes: no whole blocks`)
  if (length > volume.geo.totalBlocks) return left(`the journal has ${length} blocks, more than the file system`)
  const blocks = new Uint32Array(length)
  let end = 0
  for (const e of extents) {
    if (e.lblk !== end || e.state !== MAPPED) break
    for (let i = 0; i < e.n && end < length; i++) blocks[end++] = e.pblk + i
  }
  if (end < length) return left(`the journal has a hole at its block ${end}`)
  const taken = new Set(blocks)
  if (taken.size < length) return left('the journal has a block twice')
  const bad = metadataOf(volume).find((nr) => taken.has(nr))
  return bad === undefined ? right(blocks) : left(`the journal has block ${bad}, which is metadata`)
}

/** Blocks that mkfs placed, the bodies of the inode tables included. */
const metadataOf = (volume: Volume): BlockNr[] => {
  const { geo } = volume
  const nrs: BlockNr[] = []
  const add = (start: BlockNr, n: number): void => {
    for (let i = 0; i < n; i++) nrs.push(start + i)
  }
  for (let g = 0; g < geo.groupCount; g++) {
    if (hasSuper(geo, g)) add(groupStart(geo, g), 1 + geo.descBlocks)
    add(volume.blockBitmap(g), 1)
    add(volume.inodeBitmap(g), 1)
    add(volume.tableStart(g), geo.tableBlocks)
  }
  return nrs
}

/** s_jnl_backup_type: the copy is one of i_block and of the size. */
const BACKUP_BLOCKS = 1

/** Write the copy of the journal's map, its inode stored already, and where the journal is into a superblock. */
export const encodeBackup = (sb: Buffer, inode: Inode): void => {
  const { raw } = extOf(inode)
  sb.writeUInt32LE(inode.ino, SB.journalInum)
  sb[SB.journalBackupType] = BACKUP_BLOCKS
  raw.copy(sb, SB.journalBlocks, INODE.map, INODE.map + MAP_BYTES)
  sb.writeUInt32LE(raw.readUInt32LE(INODE.sizeHigh), SB.journalBlocks + MAP_BYTES)
  sb.writeUInt32LE(raw.readUInt32LE(INODE.size), SB.journalBlocks + MAP_BYTES + 4)
}
