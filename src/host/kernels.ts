/**
 * Kernels: the file systems of the running kernel, and how a fresh one is made and mounted.
 *
 * Options keep a run repeatable: no lazy initialisation in the background, no discard, no reserved blocks.
 * With CONFIG_EXT4_USE_FOR_EXT2 the type `ext2` is served by the ext4 driver, nodelalloc, with a block map.
 */

/** A file system of the kernel, with its mount option where that changes the design. */
export const KERNELS = ['ext2', 'ext4', 'ext4,nodelalloc', 'xfs', 'btrfs'] as const

/** One of them. */
export type KernelName = typeof KERNELS[number]

/** How to make and mount one. */
export interface KernelFs {
  /** As for mount(2). */
  readonly fsType: string
  /** Mount data, comma separated. */
  readonly options: string
  /** The program that makes it, its Debian package, and its arguments before the device. */
  readonly mkfs: string
  readonly from: string
  readonly args: (blockSize: number, bytes: number) => readonly string[]
  /** The smallest device, bytes, that mkfs takes. */
  readonly minBytes: number
}

const MIB = 1024 * 1024

const ext = (fsType: 'ext2' | 'ext4', options: string): KernelFs => ({
  fsType,
  options,
  mkfs: 'mke2fs',
  from: 'e2fsprogs',
  args: blockSize => [
    '-q', '-F', '-t', fsType, '-b', `${blockSize}`, '-m', '0', '-E', 'lazy_itable_init=0,lazy_journal_init=0,nodiscard',
  ],
  minBytes: MIB,
})

/** Each kernel file system by name. */
export const KERNEL_FS: Readonly<Record<KernelName, KernelFs>> = {
  'ext2': ext('ext2', ''),
  'ext4': ext('ext4', 'noinit_itable'),
  'ext4,nodelalloc': ext('ext4', 'nodelalloc,noinit_itable'),
  'xfs': {
    fsType: 'xfs',
    options: 'nouuid',
    mkfs: 'mkfs.xfs',
    from: 'xfsprogs',
    args: blockSize => ['-q', '-f', '-K', '-b', `size=${blockSize}`],
    minBytes: 300 * MIB,
  },
  'btrfs': {
    fsType: 'btrfs',
    options: 'nodiscard',
    mkfs: 'mkfs.btrfs',
    from: 'btrfs-progs',
    // A small one mixes data and metadata in its block groups; a plain one starts at 109 MiB.
    args: (blockSize, bytes) => ['-q', '-f', '-K', '-s', `${blockSize}`, ...(bytes < 128 * MIB ? ['-M'] : [])],
    minBytes: 16 * MIB,
  },
}
