/**
 * Journal: transactions of one mount, as jbd2 keeps them.
 *
 * Interface:
 * - what changes metadata runs between `start` and `stop` (`transact` of handle.ts does both): all of it reaches the disk in
 *   one transaction. A handle may wait for folios, for I/O and for locks inside it (lock order: rwsem > handle >
 *   invalidateLock > folio > mapLock), never for user memory, and never for a commit;
 * - who has already started something that handles wait for (writeback) joins with `startReserved`, which waits for no commit;
 * - `order` a file: its written blocks are not seen after a crash before their data is on the disk;
 * - `commit` until a transaction is durable; `flush` also brings all of it to its places.
 *
 * Rules: (1) metadata is written to its place only after its transaction is durable. (2) A freed block has no new owner before
 * the freeing is durable. (3) An older version of a freed block is revoked. (4) A journal that could not write is aborted:
 * nothing is accepted from then on, and what was promised before stays.
 * Sources: fs/jbd2/transaction.c, fs/jbd2/commit.c, fs/jbd2/checkpoint.c; fs/ext4/ext4_jbd2.c.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import type { Errno } from '../../kernel/errno.ts'
import { type Kernel, type Op, raise } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import type { BlockCopy, BufferCache } from '../buffer-cache.ts'
import type { Run } from '../format.ts'
import type { Inode } from '../inode.ts'
import { commitRunning } from './commit.ts'
import type { Log } from './log.ts'
import { Transaction } from './transaction.ts'

/**
 * What a journal does with the data of files (data= of mount(8)). `ordered`: it is in its place before the transaction that
 * shows its blocks is. `writeback`: nobody waits. `journal`: it is logged like metadata.
 */
export const DATA_MODES = ['ordered', 'writeback', 'journal'] as const
/** A data mode. */
export type DataMode = (typeof DATA_MODES)[number]

/** What a commit asks of the file system above. */
export interface JournalUser {
  /** Blocks that `encode` would add to the transaction, at most. Plain. */
  pending(): number
  /** No handle is open: write what is in core into the metadata cache. Raises EIO. */
  encode(t: Transaction): Kernel<void, 'EIO'>
  /** Write the data below the written blocks of these files, and wait. @returns the first errno */
  writeOrdered(inodes: Iterable<Inode>): Kernel<Errno | null>
  /** Log the dirty data over the written blocks of these files. Plain. */
  logOrdered(t: Transaction): void
  /** Blocks that were freed since the last call. Plain. */
  takeFreed(): readonly Run[]
  /** Their freeing is durable. */
  release(runs: readonly Run[]): Kernel<void>
}

/** How many handles join before `pending` is asked again. */
const ASK_EVERY = 32
/** Blocks that one handle may change beyond what it said, and what the fixed part of a commit takes. */
const SLACK = 8

/** The journal of one mount. */
export class Journal {
  readonly log: Log
  readonly mode: DataMode
  readonly cache: BufferCache
  running: Transaction
  committing: Transaction | null = null
  /** The newest durable transaction. */
  committed: number
  aborted = false
  /** Somebody commits or checkpoints. */
  busy = false
  /** Durable versions whose places hold older ones. */
  readonly written = new Map<BlockNr, Buffer>()
  /** Blocks of which a version stands in the log, or is about to. */
  readonly logged = new Set<BlockNr>()
  /** Commits that wrote something. */
  commits = 0
  user: JournalUser | null = null
  readonly idle: Op = { label: 'journal commit', ready: () => !this.busy }
  #estimate = 0

  constructor(log: Log, cache: BufferCache, mode: DataMode) {
    this.log = log
    this.mode = mode
    this.cache = cache
    this.running = new Transaction(log.nextTid)
    this.committed = log.nextTid - 1
    cache.onForget = (nr) => this.#forgotten(nr)
  }

  checkpoint(): Restore {
    const { running, committed, aborted, commits } = this
    if (this.busy || running.handles > 0) throw new Error('a journal at work cannot be checkpointed')
    const copies = {
      ordered: [...running.ordered], revoked: [...running.revoked], data: [...running.data], joined: running.joined,
      written: [...this.written], logged: [...this.logged],
    }
    const log = this.log.checkpoint()
    return () => {
      const t = new Transaction(running.tid)
      for (const inode of copies.ordered) t.ordered.add(inode)
      for (const nr of copies.revoked) t.revoked.add(nr)
      for (const [nr, bytes] of copies.data) t.data.set(nr, bytes)
      t.joined = copies.joined
      Object.assign(this, { running: t, committing: null, committed, aborted, commits, busy: false })
      this.written.clear()
      for (const [nr, bytes] of copies.written) this.written.set(nr, bytes)
      this.logged.clear()
      for (const nr of copies.logged) this.logged.add(nr)
      log()
    }
  }

  // --- handles -----------------------------------------------------------------------------------------------------

  /** Join the running transaction with room for `credits` blocks. Raises EIO if the journal is aborted. */
  *start(credits: number): Kernel<void, 'EIO'> {
    for (;;) {
      if (this.aborted) return yield* raise('EIO', 'EIO.journal-aborted')
      const t = this.running
      if (t.state !== 'open') {
        yield t.unlocked
        continue
      }
      if (t.joined > 0 && this.#size(t) + credits > this.log.mostBlocks) {
        yield* this.commit()
        continue
      }
      this.#join(t, credits)
      return
    }
  }

  /** Join although a commit waits for handles: what they wait for must not wait for them. Cannot fail. */
  *startReserved(credits: number): Kernel<void> {
    while (this.running.state === 'switching') yield this.running.switched
    this.#join(this.running, credits)
  }

  /** Plain: join if nothing has to be waited for. */
  tryStart(credits: number): boolean {
    const t = this.running
    if (this.aborted || t.state !== 'open' || (t.joined > 0 && this.#size(t) + credits > this.log.mostBlocks)) return false
    this.#join(t, credits)
    return true
  }

  /** The handle that was started with so many credits ends. */
  stop(credits: number): void {
    const t = this.running
    if (t.handles === 0) throw new Error('stop of a handle that nobody started')
    t.handles--
    t.credits -= credits
  }

  /** @throws Error if no handle is open: metadata would change between transactions */
  mustHandle(what: string): void {
    if (this.running.handles === 0) throw new Error(`${what} outside a transaction`)
  }

  #join(t: Transaction, credits: number): void {
    if (t.joined % ASK_EVERY === 0) this.#estimate = this.user!.pending()
    t.joined++
    t.handles++
    t.credits += credits
  }

  /** Blocks that the running transaction may come to, at most. */
  #size(t: Transaction): number {
    return this.cache.dirtyBlocks + t.data.size + t.credits + this.#estimate + (t.joined % ASK_EVERY) * SLACK
  }

  /** Blocks of file data that one transaction takes, where data is logged. */
  get dataBlocks(): number {
    return Math.floor(this.log.mostBlocks / 2)
  }

  // --- what belongs to the transaction -------------------------------------------------------------------------------

  /**
   * Blocks of this file became written, or bytes past its end zeros: its size is published with them, and its data goes first where
   * the mode says so. Without the size e2fsck finds written blocks past the end (ext4_write_end moves i_disksize in every mode).
   */
  order(inode: Inode): void {
    this.running.ordered.add(inode)
  }

  /** Log a block of file data; the bytes are copied. */
  logData(nr: BlockNr, bytes: Buffer): void {
    this.mustHandle('data is logged')
    this.running.data.set(nr, bytes)
  }

  /** The newest version of block `nr` that its place may not hold, or null. */
  newest(nr: BlockNr): Buffer | null {
    return this.running.data.get(nr) ?? this.committing?.data.get(nr) ?? this.written.get(nr) ?? null
  }

  #forgotten(nr: BlockNr): void {
    this.running.data.delete(nr)
    if (this.logged.has(nr)) this.running.revoked.add(nr)
  }

  // --- making it durable ----------------------------------------------------------------------------------------------

  /**
   * Make transaction `tid` durable, and those before it; by default the running one. Nothing is written if it is empty.
   * Raises EIO, and the journal is aborted then.
   */
  *commit(tid = this.running.tid): Kernel<void, 'EIO'> {
    while (this.committed < tid) {
      if (this.aborted) return yield* raise('EIO', 'EIO.journal-aborted')
      if (this.busy) {
        yield this.idle
        continue
      }
      if (!(yield* this.#alone(() => commitRunning(this)))) return
    }
  }

  /** Bring every durable version to its place, and empty the log. Raises EIO. */
  *flush(): Kernel<void, 'EIO'> {
    yield* this.commit()
    while (this.busy) yield this.idle
    yield* this.#alone(() => this.writeInPlace([]))
  }

  /** One at a time. A failure aborts the journal. */
  *#alone<A>(work: () => Kernel<A, 'EIO'>): Kernel<A, 'EIO'> {
    this.busy = true
    let done = false
    try {
      const result = yield* work()
      done = true
      return result
    } finally {
      this.busy = false
      if (!done) this.#abort()
    }
  }

  /** Nobody waits for this journal any more. */
  #abort(): void {
    this.aborted = true
    if (this.running.state === 'locked' || this.running.state === 'switching') this.running.state = 'open'
  }

  /**
   * Checkpoint: write the durable versions to their places and free the log. The copies in `keep` are of a transaction that
   * is about to be logged: their blocks stay in core.
   */
  *writeInPlace(keep: readonly BlockCopy[]): Kernel<void, 'EIO'> {
    const blocks = [...this.written].map(([nr, data]) => ({ nr, data })).sort((a, b) => a.nr - b.nr)
    yield* this.log.writeInPlace(blocks)
    this.logged.clear()
    for (const { nr } of keep) this.logged.add(nr)
    this.cache.settle(blocks.map((b) => b.nr).filter((nr) => !this.logged.has(nr)))
    this.written.clear()
    // What does not stand in the log any more needs no revoking.
    for (const t of [this.running, this.committing]) {
      for (const nr of t?.revoked ?? []) if (!this.logged.has(nr)) t!.revoked.delete(nr)
    }
  }
}
