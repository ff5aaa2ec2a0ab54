/**
 * Recovery: what a log says is to be written where. Pure: it reads blocks of the log through a function that it is given, and
 * its answer is a plan; who carries the plan out is replay.ts.
 *
 * The three passes of the kernel, with one walk over the log:
 * - *scan* goes from block `start`, transaction `sequence`, and finds the last complete transaction. It ends at the first
 *   block without the magic, of another transaction, or of an unknown type. A descriptor or revoke block with a wrong checksum
 *   is stale, unless a commit block follows that is not older than the one before: then the log is damaged and nothing is
 *   replayed. A commit block with a wrong checksum ends the log, too, and the mount is refused after what is before it was
 *   replayed: nobody can tell whether it was the last;
 * - *revoke* collects the blocks that were freed: an older or equal transaction's version of them is not replayed;
 * - *replay* takes the rest in the order of the log. A data block with a wrong checksum is left out, all others are still
 *   replayed, and the mount is refused then.
 *
 * `LogReader` remembers what each Buffer decoded to: hand out the same Buffer for the same bytes, and never change one.
 *
 * Source: fs/jbd2/recovery.c (do_one_pass, scan_revoke_records), fs/jbd2/revoke.c (jbd2_journal_test_revoke),
 * jbd2_journal_load of fs/jbd2/journal.c.
 */
import type { BlockNr } from '../../kernel/units.ts'
import { dataChecksum, decodeLogBlock, type LogBlock, type Tag, TAG_ESCAPE } from './layout.ts'
import { JBD2_MAGIC, type JournalSuper, type LogFormat } from './super.ts'

/** Why the walk over a log ended. */
export type LogEnd =
  /** `start` is 0: there is no log. */
  | 'clean'
  /** A block without the magic. */
  | 'no magic'
  /** A block of another transaction than the next. */
  | 'other transaction'
  /** A block of an unknown type. */
  | 'unknown type'
  /** A wrong checksum in a transaction whose commit block is older than the one before: left over from an older log. */
  | 'stale'
  /** A commit block with a wrong checksum. */
  | 'commit checksum'
  /** A descriptor or revoke block with a wrong checksum, in a transaction that was committed. */
  | 'descriptor checksum'
  /** The log goes round without an end. */
  | 'endless'

/** A block to write. */
export interface Replay {
  /** Where it belongs. */
  readonly nr: BlockNr
  /** Where it lies in the log, in blocks of the journal. */
  readonly logBlock: number
  /** Its first word is the magic, and zero in the log. */
  readonly escaped: boolean
  /** The block as it lies in the log. */
  readonly data: Buffer
}

/** What is to be done. */
export interface RecoveryPlan {
  /** Complete transactions in the log. */
  readonly transactions: number
  /** Number of the last complete transaction; `sequence` - 1 if there is none. */
  readonly lastTid: number
  /** What `sequence` of the superblock is to be afterwards. */
  readonly nextSequence: number
  /** The newest version of each block, in the order of the log. */
  readonly replays: readonly Replay[]
  /** Versions that the kernel would write, older ones of the same block included. */
  readonly blocksReplayed: number
  /** Versions that were not replayed because the block was revoked. */
  readonly blocksRevoked: number
  readonly ended: LogEnd
  /** Why a mount is refused after `replays` were written, or null. */
  readonly problem: string | null
}

/** Decoded blocks of logs of one format. May serve many states of one journal. */
export class LogReader {
  readonly format: LogFormat
  readonly #blocks = new WeakMap<Buffer, LogBlock>()
  readonly #sums = new WeakMap<Buffer, { readonly tid: number, readonly sum: number }>()

  constructor(format: LogFormat) {
    this.format = format
  }

  /** Is a log of this format read in the same way? */
  serves({ blockSize, checksum, wide, seed }: LogFormat): boolean {
    const f = this.format
    return f.blockSize === blockSize && f.checksum === checksum && f.wide === wide && f.seed === seed
  }
  /** What the block claims to be. */
  block(bytes: Buffer): LogBlock {
    let block = this.#blocks.get(bytes)
    if (block === undefined) this.#blocks.set(bytes, (block = decodeLogBlock(this.format, bytes)))
    return block
  }
  /** Does the data block have the checksum that its tag says? */
  matches(tid: number, tag: Tag, bytes: Buffer): boolean {
    if (this.format.checksum === 'none') return true
    let known = this.#sums.get(bytes)
    if (known?.tid !== tid) this.#sums.set(bytes, (known = { tid, sum: dataChecksum(this.format, tid, bytes) }))
    return known.sum === tag.checksum
  }
}

/** tid `a` is not older than `b`; numbers of transactions wrap. */
export const tidGeq = (a: number, b: number): boolean => ((a - b) | 0) >= 0

/** A tag and the block of the log that it is about. */
interface Located {
  readonly tid: number
  readonly tag: Tag
  readonly logBlock: number
}

/**
 * The scan, block by block: while `next` is not null, `feed` the block of the log that it names. Then `plan`.
 *
 * The passes of the kernel walk the same way three times; here the walk is remembered.
 */
export class LogScan {
  /** The block that is wanted, or null at the end. */
  next: number | null
  ended: LogEnd
  readonly #js: JournalSuper
  readonly #reader: LogReader
  readonly #tags: Located[] = []
  readonly #revokes: { readonly tid: number, readonly revoked: readonly BlockNr[] | null }[] = []
  #tid: number
  /** The first transaction that does not count, once a commit block was wrong. */
  #endTid: number | null = null
  /** A wrong checksum was seen: the next commit block says what it means. */
  #doubt = false
  #lastTime = 0
  #fed = 0

  constructor(js: JournalSuper, reader: LogReader) {
    if (!reader.serves(js)) throw new Error('a LogReader of another format')
    this.#js = js
    this.#reader = reader
    this.#tid = js.sequence
    this.next = js.start === 0 ? null : js.start
    this.ended = 'clean'
  }

  /** Take the block that `next` named. */
  feed(bytes: Buffer): void {
    const block = this.#reader.block(bytes)
    if (block.kind === 'none') return this.#end('no magic')
    if (block.sequence !== this.#tid) return this.#end('other transaction')
    if (block.kind === 'unknown') return this.#end('unknown type')
    if (this.#fed++ > this.#js.maxlen) return this.#end('endless')
    const at = this.#wrap(this.next! + 1)
    this.next = at
    if (block.kind === 'commit') return this.#commit(block)
    if (!block.intact) this.#doubt = true
    if (block.kind === 'revoke') return void this.#revokes.push({ tid: this.#tid, revoked: block.revoked })
    const { tags } = block
    for (let i = 0; i < tags.length; i++) this.#tags.push({ tid: this.#tid, tag: tags[i]!, logBlock: this.#wrap(at + i) })
    this.next = this.#wrap(at + tags.length)
  }

  #commit({ intact, time }: LogBlock & { kind: 'commit' }): void {
    const older = time.seconds < this.#lastTime
    if (this.#doubt) return this.#end(older ? 'stale' : 'descriptor checksum')
    if (!intact) {
      if (older) return this.#end('stale')
      // The kernel goes on here, one transaction behind what it expects: it ends at the next block that is not this one's.
      this.#endTid = this.#tid
      this.ended = 'commit checksum'
      return
    }
    this.#lastTime = time.seconds
    this.#tid = (this.#tid + 1) >>> 0
  }

  #wrap(block: number): number {
    const { first, maxlen } = this.#js
    return block >= maxlen ? block - (maxlen - first) : block
  }

  #end(why: LogEnd): void {
    if (this.#endTid === null || why === 'descriptor checksum' || why === 'endless') this.ended = why
    this.next = null
  }

  /** Blocks of the log that `plan` may ask for. */
  dataBlocks(): readonly number[] {
    return this.#tags.map(({ logBlock }) => logBlock)
  }

  /** The second and the third pass. `read` gives any block of the log; it is called for data blocks only. */
  plan(read: (logBlock: number) => Buffer): RecoveryPlan {
    const { sequence } = this.#js
    const end = this.#endTid ?? this.#tid
    const counts = { transactions: (end - sequence) >>> 0, lastTid: (end - 1) >>> 0, nextSequence: (end + 1) >>> 0 }
    const nothing = { ...counts, replays: [], blocksReplayed: 0, blocksRevoked: 0, ended: this.ended }
    if (this.ended === 'clean') return { ...nothing, nextSequence: sequence, problem: null }
    if (this.ended === 'descriptor checksum') return { ...nothing, problem: `transaction ${this.#tid} has a wrong checksum` }
    if (this.ended === 'endless') return { ...nothing, problem: 'the log goes round without an end' }
    const revoked = this.#revokeTable(end)
    if (revoked === null) return { ...nothing, problem: 'a revoke block counts more bytes than it has' }
    return { ...counts, ...this.#replay(end, revoked, read), ended: this.ended }
  }

  /** The newest transaction that revoked each block; null if a revoke block is nonsense. */
  #revokeTable(end: number): Map<BlockNr, number> | null {
    const table = new Map<BlockNr, number>()
    for (const { tid, revoked } of this.#revokes) {
      if (tidGeq(tid, end)) break
      if (revoked === null) return null
      for (const nr of revoked) table.set(nr, tid)
    }
    return table
  }

  #replay(
    end: number, revoked: ReadonlyMap<BlockNr, number>, read: (logBlock: number) => Buffer,
  ): Pick<RecoveryPlan, 'replays' | 'blocksReplayed' | 'blocksRevoked' | 'problem'> {
    const newest = new Map<BlockNr, Replay>()
    let [blocksReplayed, blocksRevoked] = [0, 0]
    let problem = this.ended === 'commit checksum' ? `the commit block of transaction ${end} has a wrong checksum` : null
    for (const { tid, tag, logBlock } of this.#tags) {
      if (tidGeq(tid, end)) break
      const { nr } = tag
      const since = revoked.get(nr)
      if (since !== undefined && tidGeq(since, tid)) {
        blocksRevoked++
        continue
      }
      const data = read(logBlock)
      if (!this.#reader.matches(tid, tag, data)) {
        problem = `block ${nr} of transaction ${tid}, at block ${logBlock} of the journal, has a wrong checksum`
        continue
      }
      blocksReplayed++
      newest.delete(nr)
      newest.set(nr, { nr, logBlock, escaped: (tag.flags & TAG_ESCAPE) !== 0, data })
    }
    return { replays: [...newest.values()], blocksReplayed, blocksRevoked, problem }
  }
}

/** Read a log from front to end. `read` gives each block of the journal by its number; the journal's superblock is 0. */
export const planRecovery = (
  js: JournalSuper, read: (logBlock: number) => Buffer, reader: LogReader = new LogReader(js),
): RecoveryPlan => {
  const scan = new LogScan(js, reader)
  while (scan.next !== null) scan.feed(read(scan.next))
  return scan.plan(read)
}

/** The bytes that belong at `nr`: the block of the log itself, or a copy that begins with the magic. */
export const replayedBytes = ({ escaped, data }: Replay): Buffer => {
  if (!escaped) return data
  const out = Buffer.from(data)
  out.writeUInt32BE(JBD2_MAGIC, 0)
  return out
}
