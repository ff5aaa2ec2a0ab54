/**
 * Orphans: inodes that lost their last name while somebody held them, or whose truncation was not finished, when the machine
 * stopped. A chain on disk: s_last_orphan, then i_dtime of each.
 *
 * After the log was replayed and before anybody uses the file system, each is freed with its blocks (no links left), or
 * truncated to its size (links left). Nothing is believed: a chain that goes round, leaves the inode table or names a free or
 * reserved inode changes nothing. The kernel forgets such a chain and marks the file system as damaged.
 *
 * `cleanOrphans` only changes what is in core: whoever calls it says when, and in how many transactions, that is written.
 *
 * Source: ext4_orphan_cleanup, ext4_process_orphan (fs/ext4/orphan.c); ext4_orphan_get (fs/ext4/ialloc.c).
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import { Bio, submitAndWait } from '../../block/bio.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { type Extent, HOLE, isReal, MAPPED } from '../extent-map.ts'
import type { Inode } from '../inode.ts'
import type { ExtFormat } from './ext-format.ts'
import { extOf, INODE } from './inode-table.ts'
import { SB } from './superblock.ts'

/** What was done to how many inodes. */
export interface OrphansCleaned {
  readonly deleted: number
  readonly truncated: number
}

/** The inodes of the chain, the last orphan first; or what is wrong with it. */
export function* readOrphans(format: ExtFormat): Kernel<Either<string, readonly Inode[]>, 'EIO'> {
  const { volume } = format
  const inodes: Inode[] = []
  const seen = new Set<number>()
  for (let ino = volume.sb.readUInt32LE(SB.lastOrphan); ino !== 0; ) {
    if (seen.has(ino)) return left(`the chain of orphans goes round at inode ${ino}`)
    seen.add(ino)
    const sane = ino >= volume.geo.firstIno && ino <= volume.geo.totalInodes && (yield* volume.inoInUse(ino))
    if (!sane) return left(`the chain of orphans has inode ${ino}, which is not in use`)
    const inode = yield* format.decode(ino)
    if (inode.nlink > 0 && extOf(inode).disk === null) return left(`the chain of orphans has inode ${ino}, which cannot be truncated`)
    inodes.push(inode)
    ino = extOf(inode).raw.readUInt32LE(INODE.dtime)
  }
  return right(inodes)
}

/** Free or truncate every orphan, in core. The superblock's chain is empty then. */
export function* cleanOrphans(format: ExtFormat): Kernel<Either<string, OrphansCleaned>, 'EIO'> {
  const chain = yield* readOrphans(format)
  if (isLeft(chain)) return chain
  let [deleted, truncated] = [0, 0]
  for (const inode of chain.right) {
    // The rest of the chain, so that each step leaves one that is whole.
    format.volume.sb.writeUInt32LE(extOf(inode).raw.readUInt32LE(INODE.dtime), SB.lastOrphan)
    format.volume.touch()
    yield* format.loadMap(inode)
    if (inode.nlink > 0) {
      yield* truncateOrphan(format, inode)
      truncated++
    } else {
      yield* freeFrom(format, inode, 0)
      yield* format.freeInode(inode)
      deleted++
    }
  }
  return right({ deleted, truncated })
}

function* truncateOrphan(format: ExtFormat, inode: Inode): Kernel<void, 'EIO'> {
  yield* freeFrom(format, inode, Math.ceil(inode.size / format.blockSize))
  yield* zeroTail(format, inode)
  extOf(inode).raw.writeUInt32LE(0, INODE.dtime)
  yield* format.writeInode(inode)
}

/** Free the blocks of `inode` from file block `from` on. */
function* freeFrom(format: ExtFormat, inode: Inode, from: number): Kernel<void, 'EIO'> {
  for (const e of inode.map.extents.filter(({ lblk, n }) => lblk + n > from)) {
    const skip = Math.max(0, from - e.lblk)
    if (isReal(e.state)) yield* format.free({ start: e.pblk + skip, n: e.n - skip })
    inode.map.set(e.lblk + skip, e.n - skip, HOLE)
  }
  yield* format.shrinkMap(inode)
}

/** Zero what lies behind the end in the last block (ext4_block_truncate_page). */
function* zeroTail(format: ExtFormat, inode: Inode): Kernel<void, 'EIO'> {
  const { blockSize, volume: { cache: { device } } } = format
  const used = inode.size % blockSize
  const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
  if (used === 0 || inode.map.lookup(Math.floor(inode.size / blockSize), 1, e).state !== MAPPED) return
  const bytes = Buffer.alloc(blockSize)
  yield* submitAndWait(device, new Bio('read', e.pblk * blockSize, PageVec.of(bytes)))
  yield* submitAndWait(device, new Bio('write', e.pblk * blockSize, PageVec.of(bytes.fill(0, used))))
}
