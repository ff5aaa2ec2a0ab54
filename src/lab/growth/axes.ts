/**
 * Axes of growth: one thing is made larger, everything else is held fixed, one write and its fsync are counted.
 *
 * Every axis makes its file system with no design involved where it can (fallocate, truncate), so that all designs meet the same
 * map. What is counted begins after that: the ledger of the write and of the fsync behind it. Nothing here is timed.
 */
import { MemoryDevice } from '../../block/memory-device.ts'
import type { Posix } from '../../fs/posix.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { Syscalls } from '../../fs/syscalls.ts'
import { MemorySource } from '../../iov/source.ts'
import type { Choices } from '../../kernel/choices.ts'
import type { Errno } from '../../kernel/errno.ts'
import type { Kernel, Op } from '../../kernel/kernel.ts'
import { type Ledger, since, snapshot } from '../../kernel/ledger.ts'
import { PAGE } from '../../kernel/units.ts'
import { reserveAllocate } from '../../strategies/reserve-allocate.ts'
import { make, mount, type MountOptions, type Session } from '../session.ts'

/** Something that grows. */
export interface Axis {
  readonly id: string
  /** What x counts. */
  readonly x: string
  readonly what: string
  /** Values of x, rising. */
  readonly full: readonly number[]
  /** Those that are quick enough for every test run. */
  readonly quick: readonly number[]
  /** What one write and its fsync cost at `x`. @throws Error if a call fails: there is room, and nothing is made to fail */
  count(strategy: AnyStrategy, x: number): Ledger
}

const MIB = 2 ** 20


type Answer<A> = { readonly _tag: 'Left'; readonly left: unknown } | { readonly _tag: 'Right'; readonly right: A }

const must = <A>(answer: Answer<A>): A => {
  if (answer._tag === 'Left') throw new Error(`growth: ${JSON.stringify(answer.left)} where there is room and nothing fails`)
  return answer.right
}

const emptyDevice = (size: number): MemoryDevice => {
  const device = new MemoryDevice(size)
  must(make(device, { format: 'ext4' }))
  return device
}

const mounted = (device: MemoryDevice, strategy: AnyStrategy, options: Partial<MountOptions> = {}): Session =>
  must(mount(device, { strategy, ...options }))

const openFile = ({ posix }: Session): number => must(posix.open('f', ['O_RDWR', 'O_CREAT']))

/** What `act` and an fsync cost. */
const costOf = ({ posix, ledger }: Session, fd: number, act: () => void): Ledger => {
  const before = snapshot(ledger)
  act()
  must(posix.fsync(fd))
  return since(before, snapshot(ledger))
}

const writeAt = (posix: Posix, fd: number, pos: number, len: number): void => {
  if (must(posix.pwrite(fd, Buffer.alloc(len, 0x5a), pos)) !== len) throw new Error('growth: a short write where there is room')
}

/** A device with something on it that no design made: unmounted, to be forked. */
const prepared = (size: number, prepare: (posix: Posix, fd: number) => void): MemoryDevice => {
  const device = emptyDevice(size)
  const session = mounted(device, reserveAllocate)
  const fd = openFile(session)
  prepare(session.posix, fd)
  must(session.posix.close(fd))
  must(session.posix.unmount())
  return device
}

/** Devices by axis and x: designs share the one that was prepared. */
const kept = new Map<string, MemoryDevice>()

const keep = (key: string, make: () => MemoryDevice): MemoryDevice => {
  const found = kept.get(key)
  if (found !== undefined) return found.fork()
  const device = make()
  // One at a time: a device of a million extents is large.
  kept.clear()
  kept.set(key, device)
  return device.fork()
}

const size: Axis = {
  id: 'size', x: 'file size, MiB', full: [1, 16, 256, 4096, 65536], quick: [1, 64, 4096, 65536],
  what: 'A write of 64 KiB and 200 bytes, on no boundary, in the middle of a file that is one hole.',
  count(strategy, x) {
    const session = mounted(emptyDevice(256 * MIB), strategy)
    const fd = openFile(session)
    must(session.posix.ftruncate(fd, x * MIB))
    must(session.posix.sync())
    return costOf(session, fd, () => writeAt(session.posix, fd, Math.floor(x / 2) * MIB + 100, 64 * 1024 + 200))
  },
}

const extents: Axis = {
  id: 'extents', x: 'extents of the file', full: [2 ** 5, 2 ** 8, 2 ** 11, 2 ** 14, 2 ** 17, 2 ** 20],
  quick: [2 ** 5, 2 ** 8, 2 ** 11, 2 ** 13],
  what: 'A write of 8 pages in the middle of a file of so many unwritten extents of one block, a hole behind each.',
  count(strategy, x) {
    const device = keep(`extents ${x}`, () => prepared(Math.max(256 * MIB, 2 ** Math.ceil(Math.log2(x * 2 * PAGE))), (posix, fd) => {
      for (let i = 0; i < x; i++) must(posix.fallocate(fd, 'allocate', i * 2 * PAGE, PAGE))
    }))
    const session = mounted(device, strategy)
    const fd = openFile(session)
    // The map is read at its first use: that is not what is counted.
    must(session.posix.pread(fd, Buffer.alloc(1), 0))
    return costOf(session, fd, () => writeAt(session.posix, fd, Math.floor(x / 2) * 2 * PAGE, 8 * PAGE))
  },
}

const ORDERS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] as const

const order: Axis = {
  id: 'order', x: 'pages of the largest folio', full: ORDERS, quick: [1, 8, 64, 512],
  what: 'A write of 2 MiB, aligned, into an empty file.',
  count(strategy, x) {
    const session = mounted(emptyDevice(64 * MIB), strategy, { maxFolioOrder: Math.log2(x) })
    const fd = openFile(session)
    return costOf(session, fd, () => writeAt(session.posix, fd, 0, 2 * MIB))
  },
}

const patch: Axis = {
  id: 'patch', x: 'pages of the folio', full: ORDERS, quick: [1, 8, 64, 512],
  what: 'A write of 100 bytes over cached, clean data that lies in one folio of this size.',
  count(strategy, x) {
    const session = mounted(emptyDevice(64 * MIB), strategy, { maxFolioOrder: Math.log2(x) })
    const fd = openFile(session)
    writeAt(session.posix, fd, 0, 2 * MIB)
    must(session.posix.fsync(fd))
    return costOf(session, fd, () => writeAt(session.posix, fd, MIB + 50, 100))
  },
}

const fragmentation: Axis = {
  id: 'fragmentation', x: 'extents under the write', full: [1, 2, 4, 8, 16, 32, 64, 128, 256], quick: [1, 4, 16, 64, 256],
  what: 'A write of 2 MiB over so many unwritten extents, equal holes between them.',
  count(strategy, x) {
    const piece = (2 * MIB) / x / 2
    const device = keep(`fragmentation ${x}`, () => prepared(64 * MIB, (posix, fd) => {
      for (let i = 0; i < x; i++) must(posix.fallocate(fd, 'allocate', i * 2 * piece, piece))
    }))
    const session = mounted(device, strategy)
    const fd = openFile(session)
    must(session.posix.pread(fd, Buffer.alloc(1), 0))
    return costOf(session, fd, () => writeAt(session.posix, fd, 0, 2 * MIB))
  },
}

/** All fibers exist, nothing fails: waits are waits. */
const scheduled: Choices = { scheduled: true, choose: () => 0 }

/** Run kernels in turns, a step each, until all have ended. @throws Error if nobody can go on */
const inTurns = (kernels: readonly Kernel<number, Errno>[]): void => {
  let living = kernels.map((kernel): { readonly kernel: Kernel<number, Errno>; wait: Op | null } => ({ kernel, wait: null }))
  while (living.length > 0) {
    let moved = false
    living = living.filter((fiber) => {
      if (fiber.wait !== null && !fiber.wait.ready()) return true
      moved = true
      const step = fiber.kernel.next()
      if (step.done !== true) fiber.wait = step.value as Op
      return step.done !== true
    })
    if (!moved) throw new Error('growth: writers wait for each other')
  }
}

const writers: Axis = {
  id: 'writers', x: 'writers', full: [1, 2, 4, 8, 16, 32, 64], quick: [2, 8, 32],
  what: 'So many fibers write 4 pages each, taking turns, next to each other into one file; one fsync in the end.',
  count(strategy, x) {
    const session = mounted(emptyDevice(64 * MIB), strategy, { choices: scheduled, maxFolioOrder: 0 })
    const fd = openFile(session)
    return costOf(session, fd, () => inTurns(Array.from({ length: x }, (_, i) => {
      const sys = new Syscalls(session.fs)
      return (function* () {
        const own = yield* sys.open('f', ['O_RDWR'])
        return yield* sys.pwrite(own, new MemorySource(Buffer.alloc(4 * PAGE, i)), i * 4 * PAGE)
      })()
    })))
  },
}

/** All axes, in the order of the report. */
export const AXES: readonly Axis[] = [size, extents, order, patch, fragmentation, writers]
