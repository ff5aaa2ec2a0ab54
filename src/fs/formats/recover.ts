/**
 * recoverFormat: what a mount does with a journal before it believes anything else.
 *
 * - RECOVER is set: the log is replayed (replay.ts). Superblock and descriptors may have been in it, so the caller reads all
 *   of them again. A mount that may not write sees the replayed blocks through an OverlayDevice, and the device stays as it
 *   is; the kernel writes even then, unless the device itself is read-only.
 * - RECOVER is not set and the log is not empty: it is thrown away, as the kernel does (jbd2_journal_wipe): somebody used the
 *   file system without its journal since.
 * - A log with a wrong checksum is refused after what the kernel would still replay was written. The log stays as it is.
 *
 * RECOVER says that the log must not be thrown away: who logs must set it, durably, before the first transaction
 * (`setRecover`).
 *
 * Source: ext4_load_and_init_journal, ext4_mark_recovery_complete (fs/ext4/super.c); jbd2_journal_load (fs/jbd2/journal.c).
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import { Bio, submitAndWait } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import { OverlayDevice } from '../../block/overlay-device.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { type JournalArea, locateJournal } from '../journal/journal-area.ts'
import { type RecoveryPlan, replayedBytes } from '../journal/recovery.ts'
import { emptyJournal, readLog, replayLog } from '../journal/replay.ts'
import type { ExtFormat } from './ext-format.ts'
import { COMPAT_HAS_JOURNAL, INCOMPAT_RECOVER, type MountProblem, SB } from './superblock.ts'

/** What was found and done. */
export interface Recovered {
  readonly area: JournalArea
  /** What to go on with: the device, or what a reader is to see of it. */
  readonly device: BlockDevice
  /** What was replayed; null: nothing, and what was read before is still true. */
  readonly plan: RecoveryPlan | null
}

/** Does the superblock say that there is a journal? */
export const hasJournal = (sb: Buffer): boolean => (sb.readUInt32LE(SB.compat) & COMPAT_HAS_JOURNAL) !== 0

const needsRecovery = (sb: Buffer): boolean => (sb.readUInt32LE(SB.incompat) & INCOMPAT_RECOVER) !== 0

/**
 * Find the journal of what is mounted as `format` for a moment, and replay it where that is to be done. EUCLEAN, with one
 * line, if the journal is damaged; EINVAL if it is of a kind that is not supported.
 */
export function* recoverFormat(
  device: BlockDevice, format: ExtFormat, readOnly: boolean,
): Kernel<Either<MountProblem, Recovered>, 'EIO'> {
  const found = yield* locateJournal(format)
  if (isLeft(found)) return refuse(device, found.left)
  const area = found.right
  const asItIs = right({ area, device, plan: null })
  if (area.super.start === 0) return asItIs
  if (!needsRecovery(format.volume.sb)) {
    if (!readOnly) yield* emptyJournal(device, area, (yield* readLog(device, area)).nextSequence)
    return asItIs
  }
  const plan = yield* readLog(device, area)
  const outside = plan.replays.find(({ nr }) => nr >= format.totalBlocks)
  if (outside !== undefined) return refuse(device, `the journal has a version of block ${outside.nr}, outside the file system`)
  if (!readOnly) yield* replayLog(device, area, plan)
  if (plan.problem !== null) return refuse(device, `the journal is damaged: ${plan.problem}`)
  if (!readOnly) return right({ area, device, plan })
  const blocks = new Map(plan.replays.map((replay) => [replay.nr, replayedBytes(replay)]))
  return right({ area, device: new OverlayDevice(device, format.blockSize, blocks), plan })
}

const refuse = (device: BlockDevice, line: string): Either<MountProblem, never> => {
  const unsupported = line.includes('not supported')
  const message = unsupported ? `${device.name}: ${line}` : `${device.name}: ${line}; run e2fsck`
  return left({ errno: unsupported ? 'EINVAL' : 'EUCLEAN', message })
}

/** Say in the superblock in core whether a crash would leave something to replay. `setRecover` also writes it. */
export const markRecover = (sb: Buffer, on: boolean): void => {
  const bits = sb.readUInt32LE(SB.incompat)
  sb.writeUInt32LE((on ? bits | INCOMPAT_RECOVER : bits & ~INCOMPAT_RECOVER) >>> 0, SB.incompat)
}

/**
 * Set the RECOVER flag, or drop it, on the device and for good: before the first transaction, after the journal was made empty
 * for the last time. Raises EIO.
 */
export function* setRecover(format: ExtFormat, on: boolean): Kernel<void, 'EIO'> {
  const { volume } = format
  markRecover(volume.sb, on)
  volume.touch()
  yield* volume.sync()
  yield* submitAndWait(volume.cache.device, new Bio('flush'))
}
