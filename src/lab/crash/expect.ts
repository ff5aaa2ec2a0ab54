/**
 * Expect: what is asked of a crash state, by the judge, of whoever knows what was promised.
 *
 * An oracle answers for one *point* of a log: the power goes there. A promise is what a call that returned has promised: fsync
 * the data and size of its file (and its name, where the mode says so), sync everything, O_DSYNC its own bytes. What was not
 * promised may be old or new, block by block, and nothing else but for what the mode declares.
 */

import type { Epoch } from './epochs.ts'

/** A claim that a crash state breaks. */
export interface Finding {
  /** I10, I18, I19 or I28; I5 for structure. */
  readonly claim: string
  readonly what: string
  /** The mode declares that a crash may do this. */
  readonly declared: boolean
}

/** What is expected of one file. Two of the same `key` expect the same. */
export interface FileAt {
  readonly key: string
  /** As people know it. */
  readonly name: string
  readonly ino: number
  /** Tells it from an earlier file with its inode number; null: there was none. */
  readonly generation: number | null
  /** Promises about it: that it is there with its data, and its size; 0: none. */
  readonly promises: number
  /** Nothing has changed its map since it was promised. */
  readonly isSettled: boolean
  /** What is wrong if it is not there; null: it need not be. */
  readonly missing: Finding | null
  /** A map that cannot be walked. */
  broken(what: string): Finding
  /** @param size bytes */
  size(size: number): Finding | null
  /**
   * Block `lblk` of the file. `digest` is that of its bytes; `size` that of the file; `bytes` null: a hole, or unwritten.
   */
  block(lblk: number, digest: number, bytes: Buffer | null, size: number): Finding | null
}

/** What is expected of one directory. */
export interface NamesAt {
  readonly key: string
  readonly name: string
  readonly ino: number
  readonly promises: number
  /** What is wrong with these names (name to inode number); null: the directory cannot be read. */
  check(found: ReadonlyMap<string, number> | null): readonly Finding[]
}

/** Everything that is expected at one point. */
export interface ExpectedAt {
  /** Two points with the same key expect the same. */
  readonly key: string
  readonly files: readonly FileAt[]
  readonly directories: readonly NamesAt[]
}

/** Knows what was promised. */
export interface Oracle {
  /** Positions of the log within an epoch at which promises are strongest; its `last` is the last of them. */
  points(epoch: Epoch): readonly number[]
  at(epoch: Epoch, point: number): ExpectedAt
}
