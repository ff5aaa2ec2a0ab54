/**
 * perform-write: design, check and compare file system write paths before you write kernel C.
 *
 * What a program or a plugin may rely on. A design is a `Strategy` (docs/writing-a-strategy.md); a file system is made on a
 * device with `make`, mounted with `mount`, used through `Posix`; every call answers `Either<Errno, A>` of fp-ts; what it
 * cost stands in the `Ledger`.
 *
 * @example
 * ```ts
 * import { freshSession, reserveAllocate } from 'perform-write'
 *
 * const { posix, ledger } = freshSession({ format: 'ext4', strategy: reserveAllocate })
 * const fd = posix.open('hello', ['O_RDWR', 'O_CREAT'])
 * if (fd._tag === 'Right') posix.write(fd.right, Buffer.from('hello'))
 * console.log(ledger.copies, ledger.reservations)
 * ```
 */

// --- designs
export { delallocPerBlock } from './strategies/delalloc-per-block.ts'
export { dontcache, uncached } from './strategies/dontcache.ts'
export { getBlock } from './strategies/get-block.ts'
export { dispute, strategies } from './strategies/index.ts'
export { invalidateSplice } from './strategies/invalidate-splice.ts'
export { invalidateThenAdd } from './strategies/invalidate-then-add.ts'
export { lockAllFolios } from './strategies/lock-all-folios.ts'
export { lockAndUnmap } from './strategies/lock-and-unmap.ts'
export {
  prepareCopyPunch, prepareCopyUnwritten, prepareCopyZero, prepareCopyZeroPage,
} from './strategies/prepare-then-copy.ts'
export { reserveAllocate } from './strategies/reserve-allocate.ts'
export { reserveCopyAllocate } from './strategies/reserve-copy-allocate.ts'
export { streaming } from './strategies/streaming.ts'
export { writeThrough, writeThroughAtomic } from './strategies/write-through.ts'

// --- the port: what a design is written against
export type { AnyStrategy, Claims, Strategy } from './fs/strategy.ts'
export { performWrite } from './fs/perform-write.ts'
export { punchMade, settle } from './fs/settle.ts'
export { Mapping, type Made } from './fs/mapping.ts'
export { Write } from './fs/write.ts'
export { Verbs } from './fs/verbs.ts'
export { FileSystem } from './fs/file-system.ts'
export type { SpaceError } from './fs/space.ts'
export { type Account, Quota } from './fs/quota.ts'
export type { Inode } from './fs/inode.ts'
export { DELALLOC, type Extent, type ExtentState, HOLE, MAPPED, UNWRITTEN } from './fs/extent-map.ts'
export type { Folio } from './pagecache/folio.ts'

// --- waiting, failing, deciding, counting
export { ERRNO, type Errno, isErrno } from './kernel/errno.ts'
export { attempt, Failure, type Kernel, type Op, raise, run, SelfDeadlock } from './kernel/kernel.ts'
export { type ChoiceKind, type Choices, straight } from './kernel/choices.ts'
export { type Completion, monoidCompletion } from './kernel/completion.ts'
export { type Counter, COUNTERS, Ledger, monoidLedger, since, snapshot } from './kernel/ledger.ts'
export { FaultPlan, type Plan } from './sim/fault-plan.ts'
export { virtualClock } from './sim/clock.ts'

// --- file systems and devices
export {
  FORMATS, type FormatName, freshSession, make, type MakeOptions, mount, type MountOptions, type Refused, type Session,
} from './lab/session.ts'
export { Posix } from './fs/posix.ts'
export type { OpenFlag, RwFlag, Stat, StatFs } from './fs/syscalls.ts'
export type { Dirent } from './fs/format.ts'
export type { BlockDevice } from './block/device.ts'
export { ImageDevice, ImageError } from './block/image-device.ts'
export { MemoryDevice } from './block/memory-device.ts'
export { VolatileCache } from './block/volatile-cache.ts'
export { ChoppySource, type ChoppyOptions } from './iov/choppy-source.ts'
export { MemorySource, type WriteSource } from './iov/source.ts'
export { IovIter } from './iov/iov-iter.ts'
export { UserMemory } from './iov/user-memory.ts'

// --- pipes, and pages that are given away
export type { Donor, Refusal, Undo } from './fs/donor.ts'
export { Pipe, PIPE_SLOTS } from './pipe/pipe.ts'
export { type BufferOps, CAN_MERGE, GIFT, type PageOrigin, PipeBuffer, STOLEN } from './pipe/pipe-buffer.ts'
export { pipeRead, pipeWrite, setPipeSlots, waitForData, waitForSpace } from './pipe/pipe-io.ts'
export { PipeSource } from './pipe/pipe-source.ts'
export { Pipes } from './pipe/pipes.ts'
export {
  SPLICE_FLAGS, type SpliceFlag, spliceFromFile, splicePipes, spliceToFile, tee, vmsplice,
} from './pipe/splice.ts'
export { mapPages, UserPages } from './pipe/user-pages.ts'

// --- workloads
export { type Operation, type Workload, type WorkloadHeader, WORKLOAD_SCHEMA } from './lab/workload/operation.ts'
export { openWorkload, workloads } from './lab/workload/registry.ts'
export { loadWorkload, parseWorkload, readWorkload } from './lab/workload/reader.ts'
export { saveWorkload } from './lab/workload/writer.ts'
export { fillPayload, payload } from './lab/workload/payload.ts'
export { type Outcome, Replayer } from './lab/replay.ts'

// --- the lab
export { type Claim, CLAIMS } from './lab/claims.ts'
export { type Checker, replay, type Replayed } from './lab/cost.ts'
export { type Scene, SCENES } from './lab/scene.ts'
export { type Finding, play, type Play } from './lab/play.ts'
export { type FaultPass, faultPass, groundDevice, selfTest, type Verdict, verdicts } from './lab/fault-pass.ts'
export { Breach, watch } from './lab/watch.ts'
