/**
 * mountFormat: from a device to a Format, or one line that says why not.
 *
 * A mount that may write clears the VALID bit, counts itself and writes the superblock at once, so that a crash is seen
 * as one. The descriptors' counters are summed; a superblock whose sums are behind (a crash) is put right silently, as
 * the kernel does.
 *
 * A journal comes first (recover.ts): what it replays may be the superblock. Then, unless the mount may not write, the chain of
 * orphans is cleaned (orphans.ts). RECOVER is off afterwards, unless the mount is to be journalled.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import { Bio, submitAndWait } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import { attempt, type Kernel } from '../../kernel/kernel.ts'
import type { Ledger } from '../../kernel/ledger.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { BufferCache } from '../buffer-cache.ts'
import { Descriptors } from './descriptors.ts'
import { ExtFormat } from './ext-format.ts'
import { Volume } from './groups.ts'
import { cleanOrphans } from './orphans.ts'
import { hasJournal, markRecover, recoverFormat, setRecover } from './recover.ts'
import { SystemZone } from './system-zone.ts'
import { type Geometry, type MountProblem, parseSuperblock, SB, SB_POS, SB_SIZE, STATE_ERROR, STATE_VALID } from './superblock.ts'

/** What a mount may be told. */
export interface MountOptions {
  /** The clock, in microseconds since the epoch; default: always 0. */
  readonly now?: () => number
  /** Nothing is written; a change of anything is a bug and throws. */
  readonly readOnly?: boolean
  /** Overwrite freed blocks on the device, so that stale data shows. */
  readonly poison?: boolean
  /**
   * What a contradiction on the disk is, such as a block that is free twice: `panic` throws, for it must be a bug of ours
   * (default); `raise` fails with EIO: say so for an image that nobody trusts.
   */
  readonly errors?: 'panic' | 'raise'
  /** Where metadata bios are counted. */
  readonly ledger?: Ledger
  /** Clean metadata blocks that stay in core; default 8192. */
  readonly cacheLimit?: number
  /**
   * Whoever mounts runs the journal inside, if there is one: VALID stays set and RECOVER is set for good (`setRecover` drops
   * it at the end), and the chain of orphans is left for a transaction of its own (`cleanOrphans`). Default false: the
   * journal stays empty and unused.
   */
  readonly journalled?: boolean
}

/** Mount the ext2 or ext4 on `device`. */
export function* mountFormat(device: BlockDevice, options: MountOptions = {}): Kernel<Either<MountProblem, ExtFormat>> {
  const mounted = yield* attempt(() => tryMount(device, options))
  if (mounted._tag === 'Right') return mounted.right
  return left({ errno: 'EIO', message: `${device.name}: reading the superblock or the group descriptors failed` })
}

function* tryMount(device: BlockDevice, options: MountOptions): Kernel<Either<MountProblem, ExtFormat>, 'EIO'> {
  const { readOnly = false } = options
  const opened = yield* open(device, options)
  const ready = isLeft(opened) ? opened : yield* withJournal(device, opened.right, options)
  if (isLeft(ready)) return ready
  const format = ready.right
  if (readOnly) return ready
  const journalled = options.journalled === true && format.journalArea !== null
  announce(format.volume, journalled)
  if (journalled) yield* setRecover(format, true)
  else yield* format.volume.sync()
  if (journalled) return ready
  const cleaned = yield* cleanOrphans(format)
  if (isLeft(cleaned)) return left({ errno: 'EUCLEAN', message: `${device.name}: ${cleaned.left}; run e2fsck` })
  yield* format.volume.sync()
  return ready
}

/** Replay the journal, if there is one with something in it, and read everything again. */
function* withJournal(
  device: BlockDevice, first: ExtFormat, options: MountOptions,
): Kernel<Either<MountProblem, ExtFormat>, 'EIO'> {
  if (!hasJournal(first.volume.sb)) return right(first)
  const recovered = yield* recoverFormat(device, first, options.readOnly ?? false)
  if (isLeft(recovered)) return recovered
  const { area, plan, device: replayed } = recovered.right
  const opened = plan === null ? right(first) : yield* open(replayed, options)
  if (isLeft(opened)) return opened
  opened.right.journalArea = area
  markRecover(opened.right.volume.sb, false)
  return opened
}

/** Read superblock and descriptors as they are. */
function* open(device: BlockDevice, options: MountOptions): Kernel<Either<MountProblem, ExtFormat>, 'EIO'> {
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
  const descs = new Descriptors(geo, yield* readDescriptors(cache, geo))
  const problem = descs.problem() ?? (new SystemZone(geo, descs).overlapping ? 'two groups say that the same block is theirs' : null)
  if (problem !== null) return left({ errno: 'EUCLEAN', message: `${device.name}: ${problem}; run e2fsck` })
  const { now = () => 0, poison, errors } = options
  const volume = new Volume(cache, geo, sb, descs, { now, poison, errors })
  const state = sb.readUInt16LE(SB.state)
  return right(new ExtFormat(volume, (state & (STATE_VALID | STATE_ERROR)) === STATE_VALID))
}

/** The file system is in use from now on. A journal brings it back in order, so it stays valid under one. */
const announce = (volume: Volume, journalled: boolean): void => {
  const { sb } = volume
  if (!journalled) sb.writeUInt16LE(sb.readUInt16LE(SB.state) & ~STATE_VALID, SB.state)
  sb.writeUInt32LE(volume.seconds, SB.mtime)
  sb.writeUInt16LE((sb.readUInt16LE(SB.mountCount) + 1) & 0xffff, SB.mountCount)
  volume.touch()
}

function* readDescriptors(cache: BufferCache, geo: Geometry): Kernel<Buffer, 'EIO'> {
  const parts: Buffer[] = []
  for (let i = 0; i < geo.descBlocks; i++) parts.push((yield* cache.get(geo.firstDataBlock + 1 + i)).data)
  return Buffer.concat(parts)
}
