/**
 * Extended attributes in a block of their own: left as they are, shared or not, and let go of with the inode.
 *
 * Source: struct ext4_xattr_header in fs/ext4/xattr.h; ext4_xattr_release_block.
 */
import { type Kernel, raise } from '../../kernel/kernel.ts'
import { attributesSealer, attributesSum } from './checksums.ts'
import type { Volume } from './groups.ts'
import { INODE } from './inode-table.ts'

const MAGIC = 0xea020000
const HEADER = { magic: 0, references: 4, sum: 16 } as const

/**
 * The inode with these bytes has no attributes any more: its block has one owner less, and is freed with the last.
 * Raises EIO if that is no block of attributes, or its checksum is wrong.
 */
export function* freeAttributes(v: Volume, raw: Buffer): Kernel<void, 'EIO'> {
  const nr = raw.readUInt32LE(INODE.acl)
  if (nr === 0) return
  if (!v.areData(nr, 1)) return yield* raise('EIO', 'EIO.attributes-outside')
  const buf = yield* v.cache.get(nr)
  const { data } = buf
  if (data.readUInt32LE(HEADER.magic) !== MAGIC) return yield* raise('EIO', 'EIO.attributes-magic')
  if (v.geo.checksums && !buf.verified && data.readUInt32LE(HEADER.sum) !== attributesSum(v.geo, nr, data)) {
    return yield* raise('EIO', 'EIO.attributes-checksum')
  }
  const references = data.readUInt32LE(HEADER.references)
  raw.writeUInt32LE(0, INODE.acl)
  if (references <= 1) return yield* v.free({ start: nr, n: 1 })
  data.writeUInt32LE(references - 1, HEADER.references)
  v.cache.markDirty(buf, v.geo.checksums ? attributesSealer(v.geo, nr) : null)
}
