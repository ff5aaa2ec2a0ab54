/** The journal under the pipeline: what a crash leaves, block by block and as a whole, on real images. */
import { isLeft } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { Bio } from '../../block/bio.ts'
import { MemoryDevice } from '../../block/memory-device.ts'
import { VolatileCache } from '../../block/volatile-cache.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { run } from '../../kernel/kernel.ts'
import { make, mount, type MountOptions, type Session } from '../../lab/session.ts'
import { getBlock } from '../../strategies/get-block.ts'
import { reserveAllocate } from '../../strategies/reserve-allocate.ts'
import type { AnyStrategy } from '../strategy.ts'
import { accountBlocks } from '../formats/accounting.ts'
import type { ExtFormat } from '../formats/ext-format.ts'
import { DATA_MODES } from './journal.ts'

const SIZE = 16 << 20
const BLOCK = 4096

const ok = <A>(e: { _tag: string; right?: A; left?: unknown }): A => {
  expect(e).toHaveProperty('_tag', 'Right')
  return e.right as A
}

/** A mounted file system with a journal, on a drive whose cache a crash loses. */
const start = (strategy: AnyStrategy, more: Partial<MountOptions> = {}) => {
  const drive = new VolatileCache(new MemoryDevice(SIZE), { unit: BLOCK })
  ok(make(drive, { format: 'ext4', journalBlocks: 1024, metadataCsum: true }))
  drive.submit(new Bio('flush'))
  const s = ok(mount(drive, { strategy, ...more }))
  return { drive, s }
}

/** What a mount finds after a crash that kept each volatile write with this chance, `random` in [0, 1). */
const crash = (drive: VolatileCache, keep: number, random: () => number = () => 0.5): Session => {
  const image = drive.crashImage((w) => (random() < keep ? w.len : 0))
  const device = new MemoryDevice(SIZE)
  device.submit(new Bio('write', 0, PageVec.of(image)))
  const s = ok(mount(device, { strategy: reserveAllocate }))
  const accounting = ok(run(accountBlocks(s.fs.format as ExtFormat)))
  expect(accounting.problems).toEqual([])
  return s
}

const read = (s: Session, name: string): string | null => {
  const fd = s.posix.open(name, ['O_RDONLY'])
  if (isLeft(fd)) return null
  const into = Buffer.alloc(1 << 20)
  return into.toString('latin1', 0, ok(s.posix.pread(fd.right, into, 0)))
}

const write = (s: Session, name: string, text: string, pos = 0): number => {
  const fd = ok(s.posix.open(name, ['O_RDWR', 'O_CREAT']))
  ok(s.posix.pwrite(fd, Buffer.from(text), pos))
  return fd
}

describe.each(DATA_MODES)('data=%s', (journal) => {
  test.each([getBlock, reserveAllocate])('what fsync promised is there, whatever the drive lost: $name', (strategy) => {
    for (const keep of [0, 1]) {
      const { drive, s } = start(strategy, { journal })
      const fd = write(s, 'f', 'x'.repeat(10_000))
      ok(s.posix.fsync(fd))
      write(s, 'g', 'never synced')
      expect(read(crash(drive, keep), 'f')).toBe('x'.repeat(10_000))
    }
  })

  test('an overwrite without any change of metadata is durable after fsync', () => {
    const { drive, s } = start(reserveAllocate, { journal })
    const fd = write(s, 'f', 'a'.repeat(8192))
    ok(s.posix.fsync(fd))
    ok(s.posix.pwrite(fd, Buffer.from('b'.repeat(8192)), 0))
    ok(s.posix.fsync(fd))
    expect(read(crash(drive, 0), 'f')).toBe('b'.repeat(8192))
  })

  test('more than the log holds: checkpoints make room, and every crash in between finds whole calls', () => {
    const { drive, s } = start(getBlock, { journal })
    const text = (i: number): string => String.fromCharCode(97 + (i % 26)).repeat(4096 * 3)
    for (let i = 0; i < 400; i++) {
      const fd = write(s, `f${i % 40}`, text(i))
      ok(s.posix.fsync(fd))
      ok(s.posix.close(fd))
      if (i % 97 !== 0) continue
      const after = crash(drive, i % 2)
      for (let j = Math.max(0, i - 39); j <= i; j++) expect(read(after, `f${j % 40}`)).toBe(text(j))
    }
    expect(s.fs.journal!.commits).toBeGreaterThan(300)
  })

  test('a clean unmount leaves an empty log', () => {
    const { drive, s } = start(reserveAllocate, { journal })
    ok(s.posix.close(write(s, 'f', 'hello')))
    ok(s.posix.unmount())
    expect(drive.writes.length).toBe(0)
    const again = ok(mount(drive, { strategy: getBlock, journal: 'none' }))
    expect((again.fs.format as ExtFormat).wasClean).toBe(true)
    expect(read(again, 'f')).toBe('hello')
  })
})

test('data=journal: data is read from where its newest version is', () => {
  const { s } = start(reserveAllocate, { journal: 'journal' })
  const fd = write(s, 'f', 'a'.repeat(BLOCK))
  ok(s.posix.fsync(fd))
  ok(s.posix.close(fd))
  expect(ok(s.posix.dropCaches())).toBeGreaterThan(0)
  expect(read(s, 'f')).toBe('a'.repeat(BLOCK))
})

test('an unlinked file that is still open is gone after a crash, and its blocks are free', () => {
  const { drive, s } = start(reserveAllocate)
  const free = s.fs.format.freeBlocks
  const fd = write(s, 'f', 'x'.repeat(100_000))
  ok(s.posix.unlink('f'))
  ok(s.posix.sync())
  const after = crash(drive, 0)
  expect(read(after, 'f')).toBeNull()
  expect(after.fs.format.freeBlocks).toBe(free)
  ok(s.posix.close(fd))
})

test('a truncation of many extents takes several transactions; a crash between them is finished by recovery', () => {
  const { drive, s } = start(getBlock)
  const fd = ok(s.posix.open('f', ['O_RDWR', 'O_CREAT']))
  for (let i = 0; i < 700; i++) ok(s.posix.pwrite(fd, Buffer.from([1]), i * 2 * BLOCK))
  ok(s.posix.fsync(fd))
  const free = s.fs.format.freeBlocks
  const { commit } = s.fs.journal!
  // Stop the machine after the first of its transactions.
  const journal = s.fs.journal!
  let left = 1
  journal.stop = (credits) => {
    Object.getPrototypeOf(journal).stop.call(journal, credits)
    if (--left === 0) ok(run(commit.call(journal)))
  }
  ok(s.posix.truncate('f', BLOCK))
  expect((s.fs.format as ExtFormat).orphans).toEqual([])
  const after = crash(drive, 0)
  expect(read(after, 'f')!.length).toBe(BLOCK)
  expect(after.fs.format.freeBlocks).toBeGreaterThan(free + 600)
})

test('a freed block has no new owner before its freeing is durable', () => {
  const { s } = start(getBlock)
  const fd = write(s, 'f', 'x'.repeat(BLOCK))
  ok(s.posix.fsync(fd))
  const inode = ok(run(s.posix.sys.file(fd))).inode
  const { pblk } = inode.map.extents[0]!
  ok(s.posix.ftruncate(fd, 0))
  const other = write(s, 'g', 'y'.repeat(BLOCK))
  expect(ok(run(s.posix.sys.file(other))).inode.map.extents[0]!.pblk).not.toBe(pblk)
  expect(s.fs.freedWaits).toBe(true)
  ok(s.posix.sync())
  expect(s.fs.freedWaits).toBe(false)
})

test('a full disk whose freed blocks wait for a commit has room after it', () => {
  const { s } = start(reserveAllocate)
  const fd = ok(s.posix.open('f', ['O_RDWR', 'O_CREAT']))
  let n = 0
  while (s.posix.pwrite(fd, Buffer.alloc(1 << 16, 1), n)._tag === 'Right') n += 1 << 16
  ok(s.posix.sync())
  ok(s.posix.ftruncate(fd, 0))
  const other = write(s, 'g', 'y'.repeat(1 << 20))
  ok(s.posix.fsync(other))
  expect(read(s, 'g')).toBe('y'.repeat(1 << 20))
})

test('a journal that cannot be written is aborted: EIO from then on, and what was promised stays', () => {
  const { drive, s } = start(reserveAllocate)
  const fd = write(s, 'f', 'kept')
  ok(s.posix.fsync(fd))
  const { submit } = drive
  const log = new Set((s.fs.format as ExtFormat).journalArea!.blocks)
  drive.submit = (bio) =>
    bio.op === 'write' && log.has(bio.pos / BLOCK) ? bio.complete({ bytes: 0, errno: 'EIO' }) : submit.call(drive, bio)
  ok(s.posix.pwrite(fd, Buffer.from('lost'), 100_000))
  expect(s.posix.fsync(fd)).toEqual({ _tag: 'Left', left: 'EIO' })
  expect(s.posix.open('new', ['O_RDWR', 'O_CREAT'])).toEqual({ _tag: 'Left', left: 'EIO' })
  drive.submit = submit
  expect(read(crash(drive, 1), 'f')!.slice(0, 4)).toBe('kept')
})
