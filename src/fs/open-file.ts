/**
 * OpenFile: one open(2): an inode, a position, flags, and the scratch of its reads and writes (struct file).
 *
 * One call at a time: the scratch belongs to the call that runs. Fibers that write at once open the file once each; there is no
 * f_pos_lock that would keep two calls of one descriptor apart.
 */
import { MemorySource } from '../iov/source.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { Mapping } from './mapping.ts'
import { Readahead } from './read.ts'
import { Write } from './write.ts'

/** Flags of open(2), as strings in recordings and as this record here. */
export interface OpenFlags {
  readonly read: boolean
  readonly write: boolean
  readonly append: boolean
  readonly direct: boolean
  /** O_DSYNC and O_SYNC: each write is followed by fdatasync of its range. */
  readonly sync: boolean
}

/** One open file. */
export class OpenFile {
  readonly inode: Inode
  readonly flags: OpenFlags
  /** The file position. */
  pos = 0
  readonly readahead = new Readahead()
  /** Errors up to here were reported to this file. */
  errorsSeen: number
  readonly write: Write
  readonly mapping = new Mapping()
  readonly source = new MemorySource()

  constructor(fs: FileSystem, inode: Inode, flags: OpenFlags) {
    this.inode = inode
    this.flags = flags
    this.errorsSeen = inode.pages!.errors.sample()
    this.write = new Write(fs, inode, inode.pages!)
  }
}
