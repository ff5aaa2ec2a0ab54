/**
 * Declared: what a crash may do to a file system, by format and mode. What is declared is counted and shown; it is no failure.
 *
 * Of data that was promised (fsync, sync, O_DSYNC) and not touched since, nothing may be lost anywhere: no mode declares that.
 */

/** File systems and modes that a crash is judged for. */
export const CRASH_MODES = ['ext2', 'ext4,no-journal', 'ext4,data=ordered', 'ext4,data=writeback', 'ext4,data=journal'] as const
/** One of them. */
export type CrashMode = (typeof CRASH_MODES)[number]

/** What a mode lets a crash do. */
export interface Declared {
  /** Bitmaps, counts, links and names may disagree until e2fsck has repaired them. */
  readonly structure: boolean
  /** fsync of a file promises its data and size by inode; its name only where the directory was synced, too. */
  readonly nameless: boolean
  /** Blocks that no fsync covered may show what they held before: nothing orders data before the map that points to it. */
  readonly stale: boolean
  /** A size that no fsync covered may come before the data below it: zeros or old bytes at the end. */
  readonly unordered: boolean
  /** A file whose extent tree has blocks of its own may lose it when the tree changes: the root that another fsync writes out
   *  with its block of the table may point to nodes that nobody has written yet. */
  readonly rewritten: boolean
  /** Where that is said. */
  readonly source: string
}

const NO_JOURNAL: Omit<Declared, 'source'> = { structure: true, nameless: true, stale: true, unordered: true, rewritten: false }

/** By mode. */
export const declared: Readonly<Record<CrashMode, Declared>> = {
  'ext2': { ...NO_JOURNAL, source: 'Documentation/filesystems/ext2.rst, "Metadata": no ordering but by fsync; e2fsck repairs' },
  'ext4,no-journal': { ...NO_JOURNAL, rewritten: true, source: 'fs/ext4/fsync.c, ext4_fsync_nojournal: as ext2' },
  'ext4,data=ordered': {
    structure: false, nameless: false, stale: false, unordered: false, rewritten: false,
    source: 'ext4(5), data=ordered: "All data is forced directly out to the main file system prior to its metadata being committed"',
  },
  'ext4,data=writeback': {
    structure: false, nameless: false, stale: true, unordered: true, rewritten: false,
    source: 'ext4(5), data=writeback: "it can allow old data to appear in files after a crash and journal recovery"',
  },
  'ext4,data=journal': {
    structure: false, nameless: false, stale: false, unordered: false, rewritten: false,
    source: 'ext4(5), data=journal: "All data is committed into the journal prior to being written into the main filesystem"',
  },
}
