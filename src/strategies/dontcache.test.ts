import { expect, test } from 'vitest'
import { dontcache, uncached } from './dontcache.ts'
import { getBlock } from './get-block.ts'
import { invalidateSplice } from './invalidate-splice.ts'
import { reserveAllocate } from './reserve-allocate.ts'
import { cold, failing, interleave, now, runs, scheduled, sourceOf, space, stage, type Stage, take } from './stage.test-util.ts'

const write = (s: Stage, fill: string, pos: number, len: number): number => take(s.posix.pwriteFrom(s.fd, sourceOf(len, fill), pos))

const OVER = [dontcache, uncached(getBlock), uncached(invalidateSplice)]

test.each(OVER)('what it wrote is on the disk, and not in the cache ($summary)', (design) => {
  const s = stage(design, { maxFolioOrder: 2 })
  write(s, 'a', 0, 20_000)
  expect(s.inode.pages!.pages).toBe(0)
  expect(space(s)).toEqual({ real: 5, delayed: 0, reserved: 0 })
  expect(runs(s)).toBe('20000a')
})

test.each(OVER)('a folio that was cached before stays, clean ($summary)', (design) => {
  const s = stage(design)
  write(s, 'a', 0, 8192)
  expect(runs(s, 0, 4096)).toBe('4096a')
  take(s.posix.pread(s.fd, Buffer.alloc(8192), 0))
  write(s, 'b', 4000, 200)
  expect(s.inode.pages!.pages).toBe(2)
  expect(s.inode.pages!.dirty).toEqual([])
  expect(runs(cold(s))).toBe('4000a200b3992a')
})

test('a write that comes back to its own folio still drops it', () => {
  const s = stage(dontcache, { format: 'ext2', blockSize: 1024 })
  write(s, 'a', 0, 1024)
  write(s, 'b', 2048, 1024)
  // Mapped and hole by turns: four mappings in one page, each of which looks it up again.
  write(s, 'c', 0, 4096)
  expect(s.inode.pages!.pages).toBe(0)
  expect(runs(s)).toBe('4096c')
})

test('a store through a mapping while it is being written keeps the folio, and its bytes', () => {
  const s = stage(dontcache, { choices: scheduled })
  const writing = s.posix.sys.pwrite(s.fd, sourceOf(4096, 'a'), 0)
  take(interleave(writing, /map lock/, () => take(s.posix.mmapStore(s.fd, 10, Buffer.from('ss'))), 3))
  expect(s.inode.pages!.dirty.length).toBe(1)
  expect(runs(s)).toBe('10a2s4084a')
})

test('writeback that fails is no failure of the write: fsync says it, once', () => {
  const s = stage(dontcache, { choices: failing('EIO.write') })
  expect(write(s, 'a', 0, 4096)).toBe(4096)
  expect(runs(s)).toBe('4096a')
  expect(s.posix.fsync(s.fd)).toEqual({ _tag: 'Left', left: 'EIO' })
  expect(s.posix.fsync(s.fd)._tag).toBe('Right')
})

test('a write that must not wait leaves its folios to the next writeback', () => {
  const s = stage(dontcache)
  now(s.posix.sys.pwritev2(s.fd, sourceOf(4096, 'a'), 0, ['RWF_NOWAIT']))
  expect(s.inode.pages!.dirty.length).toBe(1)
  take(s.posix.fsync(s.fd))
  expect(s.inode.pages!.pages).toBe(0)
})

test('what the design below does after a write comes first, while the folios are there', () => {
  const seen: number[] = []
  const s = stage(uncached({
    ...reserveAllocate,
    *after(_k, w, n) {
      seen.push(n, w.pages.dirty.length)
    },
  }))
  write(s, 'a', 0, 8192)
  expect(seen).toEqual([8192, 2])
  expect(s.inode.pages!.pages).toBe(0)
})

test('where nothing was marked, writeback drops nothing', () => {
  const s = stage(reserveAllocate)
  write(s, 'a', 0, 8192)
  take(s.posix.fsync(s.fd))
  expect(s.inode.pages!.pages).toBe(2)
})
