/** The hard residents of a page cache: mappings, pins, stable pages, O_DIRECT, O_DSYNC, write errors, memory limits. */
import { isLeft } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import type { Bio } from '../block/bio.ts'
import type { BlockDevice } from '../block/device.ts'
import { MemoryDevice } from '../block/memory-device.ts'
import { ProtectedDevice } from '../block/t10.ts'
import { IovIter } from '../iov/iov-iter.ts'
import { UserMemory } from '../iov/user-memory.ts'
import { run } from '../kernel/kernel.ts'
import { freshSession, make, mount, type Session } from '../lab/session.ts'
import { strategies } from '../strategies/index.ts'
import { invalidateSplice } from '../strategies/invalidate-splice.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { FileMapping, pinForDma } from './mmap.ts'
import type { OpenFlag } from './syscalls.ts'

const ok = <A>(e: { _tag: string; right?: A; left?: unknown }): A => {
  expect(e).toHaveProperty('_tag', 'Right')
  return e.right as A
}
const open = (s: Session, flags: readonly OpenFlag[] = []): number => ok(s.posix.open('f', ['O_RDWR', 'O_CREAT', ...flags]))
const inodeOf = (s: Session, fd: number) => ok(run(s.posix.sys.file(fd))).inode
const bytes = (s: Session, fd: number, pos: number, n: number): Buffer => {
  const into = Buffer.alloc(n)
  return into.subarray(0, ok(s.posix.pread(fd, into, pos)))
}

describe.each(strategies)('$name', (strategy) => {
  test('source page = destination page: a write from a mapping of the very page', () => {
    const s = freshSession({ format: 'ext4', strategy })
    const fd = open(s)
    ok(s.posix.pwrite(fd, Buffer.from('abcdefgh'.repeat(512)), 0))
    const memory = new UserMemory(8192)
    memory.map(0, 1, new FileMapping(s.fs.verbs, s.fs, inodeOf(s, fd)))
    expect(ok(s.posix.pwriteFrom(fd, new IovIter(memory, [{ addr: 0, len: 4 }]), 4))).toBe(4)
    expect(bytes(s, fd, 0, 10).toString()).toBe('abcdabcdab')
  })

  test('a read into a mapping of another file faults the page in', () => {
    const s = freshSession({ format: 'ext4', strategy })
    const fd = open(s)
    ok(s.posix.pwrite(fd, Buffer.alloc(4096, 'x'), 0))
    const other = ok(s.posix.open('g', ['O_RDWR', 'O_CREAT']))
    ok(s.posix.ftruncate(other, 4096))
    const memory = new UserMemory(4096)
    memory.map(0, 1, new FileMapping(s.fs.verbs, s.fs, inodeOf(s, other)))
    expect(ok(s.posix.preadInto(fd, new IovIter(memory, [{ addr: 0, len: 100 }]), 0))).toBe(100)
    expect(bytes(s, other, 0, 101).toString('latin1')).toBe(`${'x'.repeat(100)}\0`)
  })

  test('a store through a mapping survives a write beside it, fsync and eviction', () => {
    const s = freshSession({ format: 'ext4', strategy })
    const fd = open(s)
    ok(s.posix.pwrite(fd, Buffer.alloc(8192, 'a'), 0))
    ok(s.posix.mmapStore(fd, 10, Buffer.from('MAP')))
    ok(s.posix.pwrite(fd, Buffer.from('WRITE'), 100))
    ok(s.posix.fsync(fd))
    ok(s.posix.mmapStore(fd, 4090, Buffer.from('ACROSS')))
    ok(s.posix.fsync(fd))
    ok(s.posix.close(fd))
    ok(s.posix.dropCaches())
    const again = open(s)
    expect(bytes(s, again, 10, 3).toString()).toBe('MAP')
    expect(bytes(s, again, 100, 5).toString()).toBe('WRITE')
    expect(bytes(s, again, 4090, 6).toString()).toBe('ACROSS')
  })

  test('a device that writes through a pin loses nothing to a write beside it', () => {
    const s = freshSession({ format: 'ext4', strategy, maxFolioOrder: 0 })
    const fd = open(s)
    ok(s.posix.pwrite(fd, Buffer.alloc(4096, 'a'), 0))
    const pin = ok(run(pinForDma(s.fs.verbs, s.fs, inodeOf(s, fd), 0)))
    const n = s.posix.pwrite(fd, Buffer.from('write'), 100)
    pin.dma(10, Buffer.from('DMA'))
    ok(run(pin.release(s.fs.verbs, s.fs)))
    expect(bytes(s, fd, 10, 3).toString()).toBe('DMA')
    if (strategy.name === 'invalidate-then-add') expect(n).toMatchObject({ left: 'EBUSY' })
    else expect(bytes(s, fd, 100, 5).toString()).toBe('write')
    ok(s.posix.close(fd))
    ok(s.posix.unmount())
  })

  test('O_DIRECT and the cache agree; O_DSYNC needs no fsync', () => {
    for (const format of ['ext2', 'ext4'] as const) {
      const s = freshSession({ format, strategy })
      const cached = open(s)
      ok(s.posix.pwrite(cached, Buffer.alloc(8192, 'c'), 0))
      const direct = open(s, ['O_DIRECT'])
      ok(s.posix.pwrite(direct, Buffer.alloc(4096, 'd'), 4096))
      ok(s.posix.pwrite(direct, Buffer.alloc(4096, 'h'), 16384))
      expect(s.posix.pwrite(direct, Buffer.alloc(4096), 100)).toMatchObject({ left: 'EINVAL' })
      expect(bytes(s, cached, 0, 20480).toString('latin1', 4095, 4097)).toBe('cd')
      expect(bytes(s, cached, 16383, 2).toString('latin1')).toBe('\0h')
      const synced = open(s, ['O_DSYNC'])
      const flushes = s.ledger.flushes
      ok(s.posix.pwrite(synced, Buffer.from('durable'), 0))
      expect([s.ledger.flushes - flushes, s.cache.dirtyPages]).toEqual([1, 0])
    }
  })

  test('the cache obeys its limit, and what was evicted comes back', () => {
    const s = freshSession({ format: 'ext4', strategy, limitPages: 256, maxFolioOrder: 4 })
    const fd = open(s)
    for (let i = 0; i < 64; i++) {
      ok(s.posix.pwrite(fd, Buffer.alloc(65536, i + 1), i * 65536))
      expect(s.cache.usedPages).toBeLessThanOrEqual(256)
    }
    for (let i = 0; i < 64; i++) expect(bytes(s, fd, i * 65536, 65536).every((b) => b === i + 1)).toBe(true)
    expect(s.ledger.foliosReclaimed).toBeGreaterThan(0)
  })
})

/** Fails data writes while `broken`. */
class BreakableDevice implements BlockDevice {
  readonly name = 'breakable'
  readonly size: number
  broken = false
  readonly #below: MemoryDevice
  constructor(below: MemoryDevice) {
    this.#below = below
    this.size = below.size
  }
  submit(bio: Bio): void {
    if (this.broken && bio.op === 'write') bio.complete({ bytes: 0, errno: 'EIO' })
    else this.#below.submit(bio)
  }
}

describe('write errors', () => {
  test('each open file gets the error once; the folio stays readable (I25, Z36, Z37)', () => {
    const memory = new MemoryDevice(16 << 20)
    ok(make(memory, { format: 'ext4' }))
    const device = new BreakableDevice(memory)
    const s = ok(mount(device, { strategy: reserveAllocate }))
    const [a, b] = [open(s), open(s)]
    ok(s.posix.pwrite(a, Buffer.from('data'), 0))
    device.broken = true
    expect(s.posix.fsync(a)).toMatchObject({ left: 'EIO' })
    device.broken = false
    expect(bytes(s, a, 0, 4).toString()).toBe('data')
    ok(s.posix.fsync(a))
    expect(s.posix.fsync(b)).toMatchObject({ left: 'EIO' })
    ok(s.posix.fsync(b))
    ok(s.posix.fsync(open(s)))
  })
})

/** A drive whose transfer takes a while: `during` runs between submit and the end of DMA. */
class SlowDrive implements BlockDevice {
  readonly name = 'slow'
  readonly size: number
  during: () => void = () => {}
  readonly #below: BlockDevice
  constructor(below: BlockDevice) {
    this.#below = below
    this.size = below.size
  }
  submit(bio: Bio): void {
    if (bio.op === 'write') this.during()
    this.#below.submit(bio)
  }
}

describe('T10 protection', () => {
  const protectedSession = (strategy: typeof reserveAllocate | typeof invalidateSplice) => {
    const drive = new SlowDrive(new ProtectedDevice(new MemoryDevice(16 << 20)))
    ok(make(drive, { format: 'ext4' }))
    const s = ok(mount(drive, { strategy, protection: true, maxFolioOrder: 0 }))
    const fd = open(s)
    ok(s.posix.pwrite(fd, Buffer.alloc(4096, 'a'), 0))
    return { drive, s, fd, pin: ok(run(pinForDma(s.fs.verbs, s.fs, inodeOf(s, fd), 0))) }
  }

  test('a page that changes during DMA becomes an I/O error', () => {
    const { drive, s, fd, pin } = protectedSession(reserveAllocate)
    drive.during = () => pin.dma(100, Buffer.from('unstable'))
    expect(isLeft(s.posix.fsync(fd))).toBe(true)
    drive.during = () => {}
    ok(run(pin.release(s.fs.verbs, s.fs)))
    ok(s.posix.fsync(fd))
  })

  test('a change between copy-in and submit is found only where the guard is taken at copy-in', () => {
    for (const [strategy, found] of [[reserveAllocate, false], [invalidateSplice, true]] as const) {
      const { s, fd, pin } = protectedSession(strategy)
      ok(s.posix.fsync(fd))
      ok(s.posix.pwrite(fd, Buffer.alloc(4096, 'b'), 0))
      pin.dma(100, Buffer.from('stray'))
      expect(isLeft(s.posix.fsync(fd))).toBe(found)
    }
  })
})

describe('sparse files', () => {
  test.each(['ext2', 'ext4'] as const)('%s: a 4 GiB file costs no more than what was written', (format) => {
    const device = new MemoryDevice(16 * 2 ** 30)
    ok(make(device, { format }))
    const empty = device.bytesStored
    const s = ok(mount(device, { strategy: reserveAllocate }))
    const fd = open(s)
    const free = s.posix.statfs().free
    for (let gib = 0; gib <= 4; gib++) ok(s.posix.pwrite(fd, Buffer.alloc(4096, gib + 1), gib * 2 ** 30))
    ok(s.posix.fsync(fd))
    const stat = ok(s.posix.fstat(fd))
    expect(stat.size).toBe(4 * 2 ** 30 + 4096)
    expect(free - s.posix.statfs().free).toBe(stat.blocks / 8)
    // Five data blocks, and at most three indirect blocks for each of them.
    expect(stat.blocks / 8).toBeLessThanOrEqual(20)
    expect(s.cache.usedPages).toBeLessThanOrEqual(5)
    expect(bytes(s, fd, 3 * 2 ** 30 + 4095, 2)).toEqual(Buffer.from([4, 0]))
    expect(ok(s.posix.lseek(fd, 1, 'hole'))).toBe(4096)
    expect(ok(s.posix.lseek(fd, 4097, 'data'))).toBe(2 ** 30)
    ok(s.posix.close(fd))
    ok(s.posix.unmount())
    expect(device.bytesStored - empty).toBeLessThan(64 * 65536)
  })
})
