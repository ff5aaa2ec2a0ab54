/**
 * Log: what a device was told, in the order in which it did it: writes by block, flushes, and marks of the caller.
 *
 * Interface:
 * - `RecordingDevice` passes everything on to the device below, which completes at once, and writes it down as it completes;
 *   a queue belongs above it, so that the log is in the order of completion;
 * - a write is kept by whole blocks of the file system, each as it stands after the write: a crash keeps or loses a block of a
 *   write as a whole (tears are made of two versions, later);
 * - `length` is the position in the log; who records promises notes it beside them.
 *
 * A write that was on its way when the power went is seen as one that completed: it may have reached the medium as well.
 * Source: xfstests dm-log-writes; Documentation/block/writeback_cache_control.rst.
 */
import { Bio } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import { PageVec } from '../../kernel/page-vec.ts'

/** One block as a write left it. The bytes are never changed again. */
export interface LoggedBlock {
  readonly nr: number
  readonly bytes: Buffer
}

/** One thing that the device did. */
export type Entry =
  | { readonly kind: 'write'; readonly blocks: readonly LoggedBlock[]; readonly fua: boolean }
  | { readonly kind: 'flush' }

/** What happened to a device since it was fresh. */
export class CrashLog {
  readonly entries: Entry[] = []
  /** Bytes of a block. */
  readonly blockSize: number

  constructor(blockSize: number) {
    this.blockSize = blockSize
  }

  /** Position behind the last entry. */
  get length(): number {
    return this.entries.length
  }

  /** `device` has completed `bio`, which is no read. */
  note(device: BlockDevice, bio: Bio): void {
    if (bio.op === 'flush') this.entries.push({ kind: 'flush' })
    else if (bio.data.length > 0) this.entries.push({ kind: 'write', blocks: this.#blocks(device, bio), fua: bio.fua })
  }

  #blocks(device: BlockDevice, { pos, data }: Bio): readonly LoggedBlock[] {
    const { blockSize } = this
    const first = Math.floor(pos / blockSize)
    const n = Math.min(Math.ceil((pos + data.length) / blockSize), Math.floor(device.size / blockSize)) - first
    const bytes = Buffer.allocUnsafeSlow(n * blockSize)
    device.submit(new Bio('read', first * blockSize, PageVec.of(bytes)))
    return Array.from({ length: n }, (_, i) => ({ nr: first + i, bytes: bytes.subarray(i * blockSize, (i + 1) * blockSize) }))
  }
}

/** A device that writes down what the one below it has done. */
export class RecordingDevice implements BlockDevice {
  readonly name: string
  readonly size: number
  readonly log: CrashLog
  readonly #device: BlockDevice

  /** @param blockSize of the file system, in bytes */
  constructor(device: BlockDevice, blockSize: number) {
    this.#device = device
    this.name = `recorded ${device.name}`
    this.size = device.size
    this.log = new CrashLog(blockSize)
  }

  submit(bio: Bio): void {
    this.#device.submit(bio)
    if (bio.op !== 'read' && bio.completion?.errno === null) this.log.note(this.#device, bio)
  }
}
