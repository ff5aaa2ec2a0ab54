/**
 * Measure: how often the kernel does each step of a write, counted on a mounted file system.
 *
 * Two phases, each armed on its own: the write loop (this thread's events) and the fsync after it (anyone's events on
 * this device, since writeback may run elsewhere). Divided by the MiB written, the counts have the keys of the
 * calibration table, so that they are compared with a `Ledger` of the same workload.
 *
 * Steps without a trace event (the folio lock, the copy) are by the source one each per write_begin, and not counted.
 * Runs in the child process only.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { KERNEL_FS } from './kernels.ts'
import type { KernelName } from './kernels.ts'
import type { Libc } from './libc.ts'
import { MemoryDisk } from './memory-disk.ts'
import { complaint, runSync } from './process.ts'
import { Scratch } from './scratch.ts'
import { countEvents, TraceInstance } from './tracefs.ts'
import type { EventCounts } from './tracefs.ts'

/**
 * A write loop. `append` extends an empty file. `overwrite` writes once more what was written in calls of 1 MiB,
 * synced, and is cached, in large folios where the file system has them.
 */
export interface MeasureOptions {
  readonly fs: KernelName
  readonly workload: 'append' | 'overwrite'
  /** Bytes of one write(2). */
  readonly size: number
  /** Bytes of the whole loop; rounded down to a multiple of `size`. */
  readonly totalBytes: number
  /** Bytes of a block; 4096 if absent. */
  readonly blockSize?: number
}

/**
 * Counts of the two phases. They repeat exactly but for `jstart`, `mkdirty` and `f:rq`: mtime moves once per tick of
 * the clock, and requests merge as the device gets to them.
 *
 * `perMib` holds them per MiB under the calibration table's keys.
 */
export interface Measured {
  readonly bytes: number
  readonly perMib: Readonly<Record<string, number>>
  readonly write: EventCounts
  readonly fsync: EventCounts
}

/**
 * The calibration table's keys, and the trace events that each one sums over all file systems.
 * `sysc` system calls; `begin` write_begin, or steps of iomap_iter (two per iteration); `folio+` folios added;
 * `lookup` extent look-ups; `mapblk` maps of blocks, a probe and a create counted apart; `alloc` allocations;
 * `resv` reservations; `bresv` btrfs reservations; `jstart` journal handles; `mkdirty` inodes dirtied; `bhdirty`
 * buffers dirtied; `fdirty` folios dirtied; `rdbio` bios queued.
 */
export const WRITE_KEYS: Readonly<Record<string, readonly string[]>> = {
  'sysc': ['syscalls:sys_enter_pwrite64'],
  'begin': ['ext4:ext4_write_begin', 'ext4:ext4_da_write_begin', 'iomap:iomap_iter'],
  'folio+': ['filemap:mm_filemap_add_to_page_cache'],
  'lookup': ['ext4:ext4_es_lookup_extent_enter', 'xfs:xfs_iomap_found'],
  'mapblk': ['ext4:ext4_ext_map_blocks_enter', 'ext4:ext4_ind_map_blocks_enter'],
  'alloc': ['ext4:ext4_allocate_blocks', 'xfs:xfs_alloc_vextent_finish'],
  'resv': ['ext4:ext4_da_reserve_space', 'xfs:xfs_iomap_alloc'],
  'bresv': ['btrfs:btrfs_space_reservation'],
  'jstart': ['jbd2:jbd2_handle_start', 'xfs:xfs_trans_alloc'],
  'mkdirty': ['ext4:ext4_mark_inode_dirty'],
  'bhdirty': ['block:block_dirty_buffer'],
  'fdirty': ['writeback:writeback_dirty_folio'],
  'rdbio': ['block:block_bio_queue'],
}

/** As `WRITE_KEYS`, for the fsync: allocations, journal handles, btrfs ordered extents, requests issued. */
export const FSYNC_KEYS: Readonly<Record<string, readonly string[]>> = {
  'f:alloc': ['ext4:ext4_allocate_blocks', 'xfs:xfs_alloc_vextent_finish'],
  'f:jst': ['jbd2:jbd2_handle_start', 'xfs:xfs_trans_alloc'],
  'f:oe': ['btrfs:btrfs_ordered_extent_add'],
  'f:rq': ['block:block_rq_issue'],
}

const MIB = 1024 * 1024

const eventsOf = (trace: TraceInstance, keys: Readonly<Record<string, readonly string[]>>): string[] =>
  [...new Set(Object.values(keys).flat())].filter(event => trace.has(event))

const perMib = (keys: Readonly<Record<string, readonly string[]>>, counts: EventCounts, bytes: number) =>
  Object.entries(keys).map(([key, events]) =>
    [key, events.reduce((sum, event) => sum + (counts[event] ?? 0), 0) * MIB / bytes] as const)

const writeLoop = (fd: number, buffer: Buffer, bytes: number): void => {
  for (let pos = 0; pos < bytes; pos += buffer.length) {
    const n = writeSync(fd, buffer, 0, buffer.length, pos)
    if (n !== buffer.length) throw new Error(`a write of ${buffer.length} bytes wrote ${n}: the disk is too small`)
  }
}

// dev_t as in trace events: major << 20 | minor. A mount's st_dev is its block device, except on btrfs.
const traceDev = (device: string): number => {
  const rdev = statSync(device).rdev
  return (((rdev >> 8) & 0xfff) << 20) | (rdev & 0xff) | ((rdev >> 12) & 0xfff00)
}

const measureFile = (trace: TraceInstance, path: string, device: string, options: MeasureOptions): Measured => {
  const bytes = options.totalBytes - options.totalBytes % options.size
  const buffer = Buffer.alloc(options.size, 'perform-write')
  const fd = openSync(path, 'w+')
  try {
    if (options.workload === 'overwrite') {
      const before = Buffer.alloc(MIB, 'before')
      for (let pos = 0; pos < bytes; pos += MIB) writeSync(fd, before, 0, Math.min(MIB, bytes - pos), pos)
      fsyncSync(fd)
    }
    const write = countEvents(trace, eventsOf(trace, WRITE_KEYS), () => writeLoop(fd, buffer, bytes))
    const events = eventsOf(trace, FSYNC_KEYS)
    trace.arm({ events, filter: `dev == ${traceDev(device)}` })
    fsyncSync(fd)
    const fsync = trace.disarm(events)
    const rates = [...perMib(WRITE_KEYS, write, bytes), ...perMib(FSYNC_KEYS, fsync, bytes)]
    return { bytes, perMib: Object.fromEntries(rates), write, fsync }
  } finally {
    closeSync(fd)
  }
}

/** Make a file system on a fresh memory disk, write one file on it, and count. @throws Error if anything is refused */
export const measure = (libc: Libc, options: MeasureOptions): Measured => {
  using scratch = new Scratch('perform-write-measure')
  const fs = KERNEL_FS[options.fs]
  const size = Math.max(fs.minBytes, 256 * MIB, 4 * options.totalBytes)
  const disk = new MemoryDisk(libc, size)
  scratch.defer(() => disk.close())
  const args = [...fs.args(options.blockSize ?? 4096, size), disk.device]
  const made = runSync(fs.mkfs, args)
  if (made.code !== 0) throw new Error(complaint(fs.mkfs, args, made))
  const trace = new TraceInstance(libc, scratch)
  const directory = scratch.path('mnt')
  mkdirSync(directory)
  const mounted = disk.mount(directory, fs.fsType, fs.options)
  if (mounted < 0) throw new Error(`mount ${options.fs}: errno ${-mounted}`)
  scratch.defer(() => disk.unmount(directory))
  return measureFile(trace, join(directory, 'file'), disk.device, options)
}
