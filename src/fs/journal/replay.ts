/**
 * Replay: the recovery of a journal on a device.
 *
 * In the order of the kernel: read the log; write every block in place; flush; then the superblock of the journal, with FUA,
 * says that nothing is left to replay and which transaction is next. Only after that may the file system drop its RECOVER
 * flag, for a mount without the flag throws the log away. A machine that stops in between replays again: the same blocks with
 * the same bytes.
 *
 * Source: jbd2_journal_recover (fs/jbd2/recovery.c), jbd2_journal_load and jbd2_mark_journal_empty (fs/jbd2/journal.c).
 */
import { Bio, submitAndWait } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import type { Kernel } from '../../kernel/kernel.ts'
import { PageVec, type Segment } from '../../kernel/page-vec.ts'
import type { JournalArea } from './journal-area.ts'
import { LogReader, LogScan, type RecoveryPlan, type Replay, replayedBytes } from './recovery.ts'
import { encodeJournalSuper } from './super.ts'

/** Most bytes of one bio. */
const BIO_BYTES = 1 << 20

/** What the log of `area` says. Raises EIO. */
export function* readLog(device: BlockDevice, area: JournalArea): Kernel<RecoveryPlan, 'EIO'> {
  const blocks = new Map<number, Buffer>()
  const scan = new LogScan(area.super, new LogReader(area.super))
  const read = function* (logBlock: number): Kernel<Buffer, 'EIO'> {
    if (!blocks.has(logBlock)) yield* readRun(device, area, logBlock, blocks)
    return blocks.get(logBlock)!
  }
  while (scan.next !== null) scan.feed(yield* read(scan.next))
  for (const logBlock of scan.dataBlocks()) yield* read(logBlock)
  return scan.plan((logBlock) => blocks.get(logBlock)!)
}

/** Read `logBlock` and what lies behind it, in the log and on the device, into `blocks`. */
function* readRun(device: BlockDevice, area: JournalArea, logBlock: number, blocks: Map<number, Buffer>): Kernel<void, 'EIO'> {
  const { blocks: places, super: { blockSize, maxlen } } = area
  const first = places[logBlock]!
  let n = 1
  while (n < BIO_BYTES / blockSize && logBlock + n < maxlen && places[logBlock + n] === first + n && !blocks.has(logBlock + n)) n++
  const bytes = Buffer.alloc(n * blockSize)
  yield* submitAndWait(device, new Bio('read', first * blockSize, PageVec.of(bytes)))
  for (let i = 0; i < n; i++) blocks.set(logBlock + i, bytes.subarray(i * blockSize, (i + 1) * blockSize))
}

/**
 * Write what the plan says in place and flush. Then, unless the plan has a problem, make the journal empty. Raises EIO.
 */
export function* replayLog(device: BlockDevice, area: JournalArea, plan: RecoveryPlan): Kernel<void, 'EIO'> {
  const { blockSize } = area.super
  const replays = [...plan.replays].sort((a, b) => a.nr - b.nr)
  for (let i = 0; i < replays.length; ) {
    let n = 1
    while (n < BIO_BYTES / blockSize && replays[i + n]?.nr === replays[i]!.nr + n) n++
    const data = new PageVec(replays.slice(i, i + n).map(segment))
    yield* submitAndWait(device, new Bio('write', replays[i]!.nr * blockSize, data))
    i += n
  }
  yield* submitAndWait(device, new Bio('flush'))
  if (plan.problem === null) yield* emptyJournal(device, area, plan.nextSequence)
}

const segment = (replay: Replay): Segment => {
  const bytes = replayedBytes(replay)
  return { bytes, start: 0, len: bytes.length, provenance: 'anonymous' }
}

/** The superblock of the journal says: nothing to replay, `sequence` is next. Durable on return. Raises EIO. */
export function* emptyJournal(device: BlockDevice, area: JournalArea, sequence: number): Kernel<void, 'EIO'> {
  area.super = { ...area.super, start: 0, sequence }
  const raw = encodeJournalSuper(area.super)
  yield* submitAndWait(device, new Bio('write', area.blocks[0]! * area.super.blockSize, PageVec.of(raw), true))
}
