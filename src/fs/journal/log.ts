/**
 * Log: where transactions stand on the device, one behind the other in a ring of blocks.
 *
 * `write` puts one transaction behind the last; `writeInPlace` brings blocks to their places and makes the ring empty. The
 * superblock of the journal says where replay begins, and with which sequence; it is written with FUA, before the first
 * transaction is logged that replay must find, and after the blocks that it need not find any more are durable in place.
 * Source: jbd2_journal_get_log_tail, jbd2_journal_update_sb_log_tail, journal_submit_commit_record (fs/jbd2).
 */
import { Bio, submitAndWait } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import type { Restore } from '../../kernel/checkpoint.ts'
import { type Kernel, raise } from '../../kernel/kernel.ts'
import type { Ledger } from '../../kernel/ledger.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import type { BlockNr } from '../../kernel/units.ts'
import type { BlockCopy } from '../buffer-cache.ts'
import { encodeTransaction, logBlocksFor } from './layout.ts'
import { encodeJournalSuper, type JournalSuper } from './super.ts'

/** Most bytes of one bio. */
const BIO_BYTES = 1 << 20

/** Where a journal lies. */
export interface LogPlace {
  readonly super: JournalSuper
  /** The block on the device of each block of the journal. */
  readonly blocks: ArrayLike<BlockNr>
}

/** The ring of one journal. Positions are blocks of the journal, from `super.first` to its end. */
export class Log {
  readonly #device: BlockDevice
  readonly #area: LogPlace
  readonly #ledger: Ledger
  /** The clock, in microseconds since the epoch. */
  readonly #now: () => number
  /** Where the next transaction goes. */
  #head: number
  #used = 0
  /** As on the disk: where replay begins; 0: there is nothing to replay. */
  #start = 0
  /** Sequence of the next transaction. */
  nextTid: number

  /** The journal is empty: recovery ran. */
  constructor(device: BlockDevice, area: LogPlace, ledger: Ledger, now: () => number) {
    this.#device = device
    this.#area = area
    this.#ledger = ledger
    this.#now = now
    this.#head = area.super.first
    this.nextTid = area.super.sequence
  }

  checkpoint(): Restore {
    const [head, used, start, nextTid] = [this.#head, this.#used, this.#start, this.nextTid]
    return () => {
      this.#head = head
      this.#used = used
      this.#start = start
      this.nextTid = nextTid
    }
  }

  get super(): JournalSuper {
    return this.#area.super
  }
  /** Blocks of the ring. */
  get length(): number {
    return this.super.maxlen - this.super.first
  }
  /** Blocks that a transaction may still take. */
  get freeBlocks(): number {
    return this.length - this.#used - 1
  }
  /** Most blocks of one transaction, so that there is always room for one more (j_max_transaction_buffers). */
  get mostBlocks(): number {
    return Math.floor(this.length / 4)
  }
  /** Blocks that a transaction of so many blocks and revoked blocks takes. */
  blocksFor(blocks: number, revoked: number): number {
    return logBlocksFor(this.super, blocks, revoked)
  }

  /** Log one transaction and make it durable. Raises EIO; its commit block is not written then. */
  *write(tid: number, blocks: readonly BlockCopy[], revoked: readonly BlockNr[]): Kernel<void, 'EIO'> {
    const us = this.#now()
    const time = { seconds: Math.floor(us / 1e6), nanoseconds: (us % 1e6) * 1000 }
    const { log, commit } = encodeTransaction(this.super, tid, blocks, revoked, time)
    if (log.length + 1 > this.freeBlocks) throw new Error(`transaction of ${log.length} blocks, room for ${this.freeBlocks}`)
    if (this.#start === 0) yield* this.#writeSuper(this.#head, tid)
    yield* this.#writeAll(log.map((data, i) => ({ nr: this.#place(i), data })))
    yield* this.#flush()
    yield* this.#submitAndWait(new Bio('write', this.#place(log.length) * this.super.blockSize, PageVec.of(commit), true))
    this.#head = this.#logical(log.length + 1)
    this.#used += log.length + 1
    this.nextTid = tid + 1
  }

  /** Bring these blocks, ascending, to their places, and then say that nothing has to be replayed. Raises EIO. */
  *writeInPlace(blocks: readonly BlockCopy[]): Kernel<void, 'EIO'> {
    if (this.#start === 0) return
    yield* this.#writeAll(blocks)
    yield* this.#flush()
    yield* this.#writeSuper(0, this.nextTid)
    this.#used = 0
  }

  /** Position `i` blocks behind the head. */
  #logical(i: number): number {
    const { first } = this.super
    return first + ((this.#head - first + i) % this.length)
  }
  /** Its block on the device. */
  #place(i: number): BlockNr {
    return this.#area.blocks[this.#logical(i)]!
  }

  *#writeSuper(start: number, sequence: number): Kernel<void, 'EIO'> {
    const raw = encodeJournalSuper({ ...this.super, start, sequence })
    yield* this.#submitAndWait(new Bio('write', this.#area.blocks[0]! * this.super.blockSize, PageVec.of(raw), true))
    this.#start = start
  }

  /** Write blocks, neighbours as one bio, all at once; then wait for all. */
  *#writeAll(blocks: readonly BlockCopy[]): Kernel<void, 'EIO'> {
    const { blockSize } = this.super
    const bios: Bio[] = []
    for (let i = 0; i < blocks.length; ) {
      let n = 1
      while (i + n < blocks.length && n < BIO_BYTES / blockSize && blocks[i + n]!.nr === blocks[i]!.nr + n) n++
      const segments = blocks.slice(i, i + n).map(({ data }) => ({ bytes: data, start: 0, len: blockSize, provenance: 'cache' as const }))
      bios.push(new Bio('write', blocks[i]!.nr * blockSize, new PageVec(segments)))
      i += n
    }
    for (const bio of bios) {
      this.#count(bio)
      this.#device.submit(bio)
    }
    let failed = false
    for (const bio of bios) {
      if (bio.completion === null) yield bio.done
      failed ||= bio.completion!.errno !== null || bio.completion!.bytes < bio.data.length
    }
    if (failed) return yield* raise('EIO', 'EIO.journal')
  }

  *#flush(): Kernel<void, 'EIO'> {
    this.#ledger.flushes++
    yield* submitAndWait(this.#device, new Bio('flush'))
  }

  *#submitAndWait(bio: Bio): Kernel<void, 'EIO'> {
    this.#count(bio)
    yield* submitAndWait(this.#device, bio)
  }

  #count(bio: Bio): void {
    this.#ledger.metaBios++
    this.#ledger.metaBytes += bio.data.length
  }
}
