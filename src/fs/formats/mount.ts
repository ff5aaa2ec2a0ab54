/**
 * mountFormat: from a device to a Format, or one line that says why not.
 *
 * A mount that may write clears the VALID bit, counts itself and writes the superblock at once, so that a crash is seen
 * as one. The descriptors' counters are summed; a superblock whose sums are behind (a crash) is put right silently, as
 * the kernel does.
 */
import { type Either, left, right } from 'fp-ts/lib/Either.js'
import { Bio, submitAndWait } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import { attempt, type Kernel } from '../../kernel/kernel.ts'
import type { Ledger } from '../../kernel/ledger.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { BufferCache } from '../buffer-cache.ts'
import { ExtFormat } from './ext-format.ts'
import { Volume } from './groups.ts'
import {
  DESC_SIZE, type Geometry, groupBlocks, type MountProblem, parseSuperblock, SB, SB_POS, SB_SIZE, STATE_ERROR,
  STATE_VALID,
} from './superblock.ts'

/** What a mount may be told. */
export interface MountOptions {
  /** The clock, in microseconds since the epoch; default: always 0. */
  readonly now?: () => number
  /** Nothing is written; a change of anything is a bug and throws. */
  readonly readOnly?: boolean
  /** Overwrite freed blocks on the device, so that stale data shows. */
  readonly poison?: boolean
  /** Where metadata bios are counted. */
  readonly ledger?: Ledger
  /** Clean metadata blocks that stay in core; default 8192. */
  readonly cacheLimit?: number
}

/** Mount the ext2 or ext4 on `device`. */
export function* mountFormat(device: BlockDevice, options: MountOptions = {}): Kernel<Either<MountProblem, ExtFormat>> {
  const mounted = yield* attempt(() => tryMount(device, options))
  if (mounted._tag === 'Right') return mounted.right
  return left({ errno: 'EIO', message: `${device.name}: reading the superblock or the group descriptors failed` })
}

function* tryMount(device: BlockDevice, options: MountOptions): Kernel<Either<MountProblem, ExtFormat>, 'EIO'> {
  if (device.size < SB_POS + SB_SIZE) {
    const message = `${device.name}: ${device.size} bytes are too few for a superblock; make one with mkfs`
    return left({ errno: 'EINVAL', message })
  }
  const sb = Buffer.alloc(SB_SIZE)
  yield* submitAndWait(device, new Bio('read', SB_POS, PageVec.of(sb)))
  const parsed = parseSuperblock(sb, device.name, device.size)
  if (parsed._tag === 'Left') return parsed
  const geo = parsed.right
  const { ledger, cacheLimit, readOnly = false } = options
  const cache = new BufferCache(device, geo.blockSize, {
    readOnly, ...(ledger && { ledger }), ...(cacheLimit !== undefined && { limit: cacheLimit }),
  })
  const descs = yield* readDescriptors(cache, geo)
  const problem = checkDescriptors(geo, descs)
  if (problem !== null) return left({ errno: 'EUCLEAN', message: `${device.name}: ${problem}; run e2fsck` })
  const volume = new Volume(cache, geo, sb, descs, options.now ?? (() => 0), options.poison)
  const state = sb.readUInt16LE(SB.state)
  const format = new ExtFormat(volume, (state & (STATE_VALID | STATE_ERROR)) === STATE_VALID)
  if (!readOnly) yield* announce(volume)
  return right(format)
}

/** The file system is in use from now on. */
function* announce(volume: Volume): Kernel<void, 'EIO'> {
  const { sb } = volume
  sb.writeUInt16LE(sb.readUInt16LE(SB.state) & ~STATE_VALID, SB.state)
  sb.writeUInt32LE(volume.seconds, SB.mtime)
  sb.writeUInt16LE((sb.readUInt16LE(SB.mountCount) + 1) & 0xffff, SB.mountCount)
  volume.touch()
  yield* volume.sync()
}

function* readDescriptors(cache: BufferCache, geo: Geometry): Kernel<Buffer, 'EIO'> {
  const parts: Buffer[] = []
  for (let i = 0; i < geo.descBlocks; i++) parts.push((yield* cache.get(geo.firstDataBlock + 1 + i)).data)
  return Buffer.concat(parts)
}

/** Does each group say where its bitmaps and its table are, inside the file system, and count no more than it has? */
const checkDescriptors = (geo: Geometry, descs: Buffer): string | null => {
  const inside = (nr: number, n: number): boolean => nr > geo.firstDataBlock && nr + n <= geo.totalBlocks
  for (let g = 0; g < geo.groupCount; g++) {
    const at = g * DESC_SIZE
    const placed = inside(descs.readUInt32LE(at), 1) && inside(descs.readUInt32LE(at + 4), 1) &&
      inside(descs.readUInt32LE(at + 8), geo.tableBlocks)
    if (!placed) return `group ${g}: its descriptor points outside the file system`
    const [blocks, inodes] = [descs.readUInt16LE(at + 12), descs.readUInt16LE(at + 14)]
    if (blocks > groupBlocks(geo, g)) return `group ${g}: its descriptor counts more free blocks than it has`
    if (inodes > geo.inodesPerGroup) return `group ${g}: its descriptor counts more free inodes than it has`
  }
  return null
}
