/** Write: one write(2) on its way through the pipeline; what every hook is told. Made once a file and used again. */
import type { WriteSource } from '../iov/source.ts'
import type { AddressSpace } from '../pagecache/address-space.ts'
import type { Folio } from '../pagecache/folio.ts'
import type { Donor } from './donor.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'

/** One write(2). */
export class Write {
  readonly fs: FileSystem
  readonly inode: Inode
  readonly pages: AddressSpace
  /** First byte in the file. */
  pos = 0
  /** Bytes asked for. */
  len = 0
  source!: WriteSource
  /** The source again, if it gives pages away; null: everything is copied. */
  donor: Donor | null = null
  /** A given page would have been cut: the rest of this write is copied. */
  declined = false
  /** Pages of this batch that were given and are not accepted yet. */
  readonly given: Folio[] = []
  /** The last position for which a design looked at the offer. */
  offered = -1
  /** O_APPEND: the position is i_size once the inode lock is held. */
  append = false
  /** Wait for writeback before changing a folio. */
  stable = false
  /** RWF_NOWAIT: nothing is waited for (nowait.ts). */
  nowait = false
  /** The folio of this batch whose partly covered blocks stay as they are on the disk, and are not read; see streaming.ts. */
  streaming: Folio | null = null
  /** The inode lock is held for it. */
  exclusive = false
  /** The source is kernel memory by now. */
  bounced = false
  /** Bytes accepted so far; what write(2) returns in the end. */
  done = 0
  /** Turns of the loop since `done` last moved, and where it was then; for `Verbs.turn`. */
  turns = 0
  turnDone = -1
  /** The folios of the batch, in order, all locked. */
  readonly batch: Folio[] = []
  /** Bytes accepted into each folio of the batch. */
  readonly took: number[] = []

  constructor(fs: FileSystem, inode: Inode, pages: AddressSpace) {
    this.fs = fs
    this.inode = inode
    this.pages = pages
  }

  /** Begin a new write(2). */
  reset(pos: number, len: number, source: WriteSource, append: boolean, stable: boolean): this {
    this.pos = pos
    this.len = len
    this.source = source
    this.append = append
    this.stable = stable
    this.nowait = false
    this.donor = null
    this.declined = false
    this.offered = -1
    this.bounced = false
    this.done = 0
    this.turns = 0
    this.turnDone = -1
    return this
  }
}
