/**
 * Memory disk: a loop device on memory, rewritten and mounted thousands of times.
 *
 * The backing file is a memfd, the loop device detaches itself on its last close, and the mounts live in a mount
 * namespace of this process alone (`isolate`). So nothing outlives the process, however it ends, SIGKILL included.
 *
 * Ordering rule: the backing file may be rewritten only while nothing is mounted; BLKFLSBUF before each mount drops
 * what the device's own page cache still remembers. One mount with umount costs 1 to 2 ms on ext2 and ext4.
 *
 * Needs root and node:ffi. Source: loop(4), memfd_create(2), unshare(2).
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { C, check, errnoName } from './libc.ts'
import type { Libc } from './libc.ts'

/** Bytes at a position of a file or a disk. */
export interface Segment {
  readonly pos: number
  readonly bytes: Buffer
}

/** Zeros are found and left out in units of this many bytes. */
const GRAIN = 4096
const ZEROS = Buffer.alloc(GRAIN)

/**
 * Give this process a mount namespace of its own: mounts are seen by nobody else and end with it.
 * @throws Error if the kernel refuses (not root)
 */
export const isolate = (libc: Libc): void => {
  check('unshare(CLONE_NEWNS)', libc.call('unshare', C.CLONE_NEWNS))
  check('make mounts private', libc.call('mount', 'none', '/', '', BigInt(C.MS_REC | C.MS_PRIVATE), ''))
}

/** The data of an open file between its holes, [from, to) each, by SEEK_DATA and SEEK_HOLE (lseek(2)). */
export const dataRanges = (libc: Libc, fd: number, size: number): { from: number, to: number }[] => {
  const ranges: { from: number, to: number }[] = []
  for (let pos = 0; pos < size;) {
    const from = libc.call('lseek', fd, BigInt(pos), C.SEEK_DATA)
    if (from < 0 || from >= size) break
    const to = Math.min(size, check('SEEK_HOLE', libc.call('lseek', fd, BigInt(from), C.SEEK_HOLE)))
    ranges.push({ from, to })
    pos = to
  }
  return ranges
}

/** Read [from, to) of an open file, whole. */
export const readRange = (fd: number, from: number, to: number): Buffer => {
  const bytes = Buffer.alloc(to - from)
  for (let done = 0; done < bytes.length;) {
    const n = readSync(fd, bytes, done, bytes.length - done, from + done)
    if (n === 0) break
    done += n
  }
  return bytes
}

const writeAll = (fd: number, { pos, bytes }: Segment): void => {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, pos + done)
}

/** The parts of `bytes`, found at `pos`, that are not zero, in grains joined where they touch. Views, not copies. */
export const nonZero = (pos: number, bytes: Buffer): Segment[] => {
  const segments: Segment[] = []
  let start = -1
  for (let at = 0; at <= bytes.length; at += GRAIN) {
    const part = bytes.subarray(at, at + GRAIN)
    const zero = part.length === 0 || part.equals(ZEROS.subarray(0, part.length))
    if (!zero && start < 0) start = at
    if (zero && start >= 0) {
      segments.push({ pos: pos + start, bytes: bytes.subarray(start, at) })
      start = -1
    }
  }
  return start < 0 ? segments : [...segments, { pos: pos + start, bytes: bytes.subarray(start) }]
}

/** A loop device on memory; see the file's contract. */
export class MemoryDisk {
  /** The block device, such as /dev/loop3. */
  readonly device: string
  /** Bytes. */
  readonly size: number
  private readonly libc: Libc
  private readonly memory: number
  private readonly loop: number
  private mapped: Buffer | null = null

  /** @throws Error if no loop device can be had */
  constructor(libc: Libc, size: number) {
    this.libc = libc
    this.size = size
    this.memory = check('memfd_create', libc.call('memfd_create', 'perform-write', 0))
    check('ftruncate', libc.call('ftruncate', this.memory, BigInt(size)))
    ;[this.device, this.loop] = this.attach()
  }

  // Another process may take the free device between the two calls: then ask for the next one.
  private attach(): [string, number] {
    const control = openSync('/dev/loop-control', 'r+')
    try {
      for (let tries = 0; tries < 100; tries++) {
        const n = check('LOOP_CTL_GET_FREE', this.libc.call('ioctl', control, BigInt(C.LOOP_CTL_GET_FREE), 0n))
        const device = `/dev/loop${n}`
        const fd = openSync(device, 'r+')
        const config = Buffer.alloc(304)            // struct loop_config
        config.writeUInt32LE(this.memory, 0)        // fd
        config.writeUInt32LE(C.LO_FLAGS_AUTOCLEAR, 8 + 52) // info.lo_flags
        const done = this.libc.call('ioctl', fd, BigInt(C.LOOP_CONFIGURE), config)
        if (done === 0) return [device, fd]
        closeSync(fd)
        if (errnoName(-done) !== 'EBUSY') throw new Error(`LOOP_CONFIGURE ${device}: ${errnoName(-done)}`)
      }
    } finally {
      closeSync(control)
    }
    throw new Error('no free loop device after 100 tries: detach some with losetup -d')
  }

  private flush(): void {
    check('BLKFLSBUF', this.libc.call('ioctl', this.loop, BigInt(C.BLKFLSBUF), 0n))
  }

  /** Everything on the disk that is not zero. Nothing may be mounted. */
  capture(): Segment[] {
    check('fsync', this.libc.call('fsync', this.loop))
    return dataRanges(this.libc, this.memory, this.size)
      .flatMap(({ from, to }) => nonZero(from, readRange(this.memory, from, to)))
  }

  /** Make the disk hold exactly `segments`, zeros elsewhere. Nothing may be mounted. */
  restore(segments: readonly Segment[]): void {
    this.flush()
    const mode = C.FALLOC_FL_PUNCH_HOLE | C.FALLOC_FL_KEEP_SIZE
    check('punch', this.libc.call('fallocate', this.memory, mode, 0n, BigInt(this.size)))
    for (const segment of segments) writeAll(this.memory, segment)
  }

  /** Change only these bytes. Nothing may be mounted. */
  patch(segments: readonly Segment[]): void {
    for (const segment of segments) writeAll(this.memory, segment)
  }

  /**
   * The bytes of the disk as they are, seen through a mapping: no copy is made. Look while nothing is mounted (an unmount has
   * brought all of it here); never after `close`.
   */
  view(): Buffer {
    this.mapped ??= this.libc.view(this.libc.mmap(this.size, C.PROT_READ, C.MAP_SHARED, this.memory), this.size)
    return this.mapped
  }

  /** As `restore`, from an image file. @throws Error if the image is larger than the disk */
  restoreFile(path: string): void {
    const fd = openSync(path, 'r')
    try {
      const size = fstatSync(fd).size
      if (size > this.size) throw new Error(`${path}: ${size} bytes do not fit on a disk of ${this.size}`)
      this.restore(dataRanges(this.libc, fd, size).flatMap(({ from, to }) => nonZero(from, readRange(fd, from, to))))
    } finally {
      closeSync(fd)
    }
  }

  /** Mount the disk. @param data options of the file system, comma separated @returns 0, or minus the errno */
  mount(directory: string, fsType: string, data: string): number {
    this.flush()
    return this.libc.call('mount', this.device, directory, fsType, 0n, data)
  }

  /** Mount the disk so that the mount writes nothing. @returns 0, or minus the errno */
  mountReadOnly(directory: string, fsType: string): number {
    this.flush()
    return this.libc.call('mount', this.device, directory, fsType, BigInt(C.MS_RDONLY), '')
  }

  /** Unmount. @throws Error if it is busy: a file is still open */
  unmount(directory: string): void {
    check(`umount ${directory}`, this.libc.call('umount2', directory, 0))
  }

  /** Detach the loop device and give the memory back. */
  close(): void {
    closeSync(this.loop)
    closeSync(this.memory)
  }
}
