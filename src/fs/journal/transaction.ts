/**
 * Transaction: what reaches the disk together or not at all.
 *
 * Life: open (handles join) -> locked (a commit waits until no handle is open; only a reserved handle may still join) ->
 * switching (what is in core is encoded; nobody changes it) -> committing (its blocks are copies; the next transaction is open).
 * Source: transaction_t and its states in include/linux/jbd2.h.
 */
import type { Op } from '../../kernel/kernel.ts'
import type { BlockNr } from '../../kernel/units.ts'
import type { Run } from '../format.ts'
import type { Inode } from '../inode.ts'

/** One transaction of a journal. */
export class Transaction {
  /** Its sequence number on disk; they ascend by one. */
  readonly tid: number
  state: 'open' | 'locked' | 'switching' | 'committing' = 'open'
  /** Open handles. */
  handles = 0
  /** Blocks that the open handles may still change. */
  credits = 0
  /** Handles that ever joined. */
  joined = 0
  /** Files of which blocks became written: their sizes go with the commit and, in two of three modes, their data before it. */
  readonly ordered = new Set<Inode>()
  /** Blocks that were freed, and of which an older version stands in the log: replay must leave them alone. */
  readonly revoked = new Set<BlockNr>()
  /** Blocks of file data that are logged (data=journal), newest version. */
  readonly data = new Map<BlockNr, Buffer>()
  /** Blocks that were freed: nobody may have them before the freeing is on the disk. */
  freed: readonly Run[] = []
  /** Ready when no handle is open. */
  readonly quiet: Op
  /** Ready when a new handle may join. */
  readonly unlocked: Op
  /** Ready when a reserved handle may join. */
  readonly switched: Op

  constructor(tid: number) {
    this.tid = tid
    this.quiet = { label: `handles of transaction ${tid}`, ready: () => this.handles === 0 }
    this.unlocked = { label: `transaction ${tid} locked`, ready: () => this.state === 'open' || this.state === 'committing' }
    this.switched = { label: `transaction ${tid} switching`, ready: () => this.state !== 'switching' }
  }
}
