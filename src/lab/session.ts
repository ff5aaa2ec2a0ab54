/**
 * Session: a mounted file system with everything around it, from one record of options. What the commands, the properties and
 * the bench all start from.
 *
 * Deterministic: the same options and the same calls give the same bytes on the device and the same ledger.
 */
import { type Either, isLeft, left, right } from 'fp-ts/lib/Either.js'
import type { BlockDevice } from '../block/device.ts'
import { MemoryDevice } from '../block/memory-device.ts'
import { FileSystem } from '../fs/file-system.ts'
import type { ExtFormat } from '../fs/formats/ext-format.ts'
import { mkfs } from '../fs/formats/mkfs.ts'
import { mountFormat } from '../fs/formats/mount.ts'
import { Posix } from '../fs/posix.ts'
import { cleanOrphans } from '../fs/formats/orphans.ts'
import { transact } from '../fs/journal/handle.ts'
import { type DataMode, Journal } from '../fs/journal/journal.ts'
import { Log } from '../fs/journal/log.ts'
import { Quota, quotaCheck } from '../fs/quota.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { Verbs } from '../fs/verbs.ts'
import { type Choices, straight } from '../kernel/choices.ts'
import type { Errno } from '../kernel/errno.ts'
import { run } from '../kernel/kernel.ts'
import { Ledger } from '../kernel/ledger.ts'
import type { MakeFolio } from '../pagecache/page-allocator.ts'
import { PageCache } from '../pagecache/page-cache.ts'
import { virtualClock } from '../sim/clock.ts'

/** Formats by name. */
export const FORMATS = ['ext2', 'ext4'] as const
/** A format's name. */
export type FormatName = (typeof FORMATS)[number]

/** What to make a file system of. */
export interface MakeOptions {
  readonly format: FormatName
  /** Bytes: 1024, 2048 or 4096; default 4096. */
  readonly blockSize?: number
  /** Bytes of the device; default 64 MiB. Ignored where a device is given. */
  readonly size?: number
  /** Write zeros over the inode tables: for a device that does not read as zeros. Default false. */
  readonly zeroTables?: boolean
  /** Checksums over all metadata; default false. */
  readonly metadataCsum?: boolean
  /** Group descriptors of 64 bytes; default false. */
  readonly bits64?: boolean
  /** Blocks of the journal, or `auto`: as many as mke2fs would give it. Default 0: none. */
  readonly journalBlocks?: number | 'auto'
}

/** How to mount one. */
export interface MountOptions {
  readonly strategy: AnyStrategy
  readonly readOnly?: boolean
  /** The largest folio as an order, 0 to 9; default 9. */
  readonly maxFolioOrder?: number
  /** Most pages of page cache; default 65536. */
  readonly limitPages?: number
  /** Who decides faults; default nobody. */
  readonly choices?: Choices
  /** Show uninitialised memory and freed blocks; default false. */
  readonly poison?: boolean
  readonly now?: () => number
  /**
   * What a contradiction on the disk is: a bug of ours, which throws (`panic`, the default), or EIO (`raise`), for an image
   * that nobody trusts.
   */
  readonly errors?: 'panic' | 'raise'
  /** Bios carry T10 protection information; default false. */
  readonly protection?: boolean
  /** How a slot of the page cache is made; default `new Folio`. */
  readonly makeFolio?: MakeFolio
  /** Pages of a slab of the page cache; default 512. */
  readonly slabPages?: number
  /** Count blocks by owner, and refuse more than this many (by user id) with EDQUOT; `{}` only counts. Default: no quota. */
  readonly quota?: Readonly<Record<number, number>>
  /**
   * How the journal is used, if the image has one: a data mode, or `none` to leave it empty. Default `ordered`. Without a
   * journal this says nothing.
   */
  readonly journal?: DataMode | 'none'
  /** Default: the verbs as they are. A mutant brings its own. */
  readonly verbs?: new (cache: PageCache, ledger: Ledger, choices: Choices, now: () => number) => Verbs
}

/** Why a mount was refused: an errno, and one line that says what to do. */
export interface Refused {
  readonly errno: Errno
  readonly message: string
}

/** A mounted file system. */
export interface Session {
  readonly posix: Posix
  readonly fs: FileSystem
  readonly device: BlockDevice
  readonly ledger: Ledger
  readonly cache: PageCache
}

/** Write an empty file system onto `device`. */
export const make = (device: BlockDevice, options: MakeOptions): Either<Refused, void> => {
  const { format, blockSize = 4096, zeroTables = false, journalBlocks = 0, metadataCsum = false, bits64 = false } = options
  const made = run(mkfs(device, { format, blockSize, zeroTables, journalBlocks, metadataCsum, bits64 }))
  return isLeft(made) ? left({ errno: made.left, message: `${device.name}: mkfs failed with ${made.left}` }) : made
}

/** Mount what is on `device`. */
export const mount = (device: BlockDevice, options: MountOptions): Either<Refused, Session> => {
  const ledger = new Ledger()
  const now = options.now ?? virtualClock()
  const mounted = run(
    mountFormat(device, {
      readOnly: options.readOnly ?? false, now, ledger, poison: options.poison ?? false, journalled: options.journal !== 'none',
      ...(options.errors && { errors: options.errors }),
    }),
  )
  if (isLeft(mounted)) return left({ errno: mounted.left, message: `${device.name}: ${mounted.left} while reading it` })
  if (isLeft(mounted.right)) return mounted.right
  const format = mounted.right.right
  const cache = new PageCache(
    {
      blockSize: format.blockSize,
      limitPages: options.limitPages ?? 65536,
      maxFolioOrder: options.maxFolioOrder ?? 9,
      poison: options.poison ?? false,
      ...(options.makeFolio && { makeFolio: options.makeFolio }),
      ...(options.slabPages !== undefined && { slabPages: options.slabPages }),
    },
    ledger,
  )
  const verbs = new (options.verbs ?? Verbs)(cache, ledger, options.choices ?? straight, now)
  const { strategy, protection = false } = options
  const quota = options.quota === undefined ? null : new Quota(options.quota)
  const counted = quota === null ? right(undefined) : run(quotaCheck(format, new Map(), (i, n) => quota.settle(i, n)))
  if (isLeft(counted)) return left({ errno: counted.left, message: `${device.name}: ${counted.left} while counting the quota` })
  const journal = journalOf(format, device, options, ledger, now)
  const fs = new FileSystem({ format, device, verbs, strategy, protection, quota, journal })
  const recovered = journal === null ? right(right(undefined)) : run(transact(fs, () => cleanOrphans(format)))
  if (isLeft(recovered)) return left({ errno: recovered.left, message: `${device.name}: ${recovered.left} while cleaning orphans` })
  if (isLeft(recovered.right)) return left({ errno: 'EUCLEAN', message: `${device.name}: ${recovered.right.left}; run e2fsck` })
  return right({ posix: new Posix(fs), fs, device, ledger, cache })
}

/** The journal of a mount that writes through one. */
const journalOf = (
  format: ExtFormat, device: BlockDevice, options: MountOptions, ledger: Ledger, now: () => number,
): Journal | null => {
  const { journal = 'ordered', readOnly = false } = options
  if (format.journalArea === null || readOnly || journal === 'none') return null
  format.volume.deferFrees = true
  return new Journal(new Log(device, format.journalArea, ledger, now), format.volume.cache, journal)
}

/** A fresh file system on a memory device, mounted. @throws Error if that fails: a bug */
export const freshSession = (options: MakeOptions & MountOptions): Session => {
  const device = new MemoryDevice(options.size ?? 64 * 1024 * 1024)
  const made = make(device, options)
  if (isLeft(made)) throw new Error(made.left.message)
  const session = mount(device, options)
  if (isLeft(session)) throw new Error(session.left.message)
  return session.right
}
