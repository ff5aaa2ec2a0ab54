import { describe, expect, test } from 'vitest'
import { lockAllFolios } from './lock-all-folios.ts'
import { cold, cost, failing, interleave, runs, scheduled, sourceOf, space, stage, type Stage, take } from './stage.test-util.ts'

const BLOCK = 4096
const write = (s: Stage, fill: string, pos: number, len: number): number => take(s.posix.pwriteFrom(s.fd, sourceOf(len, fill), pos))
const filled = (props: Parameters<typeof stage>[1] = {}): Stage => {
  const s = stage(lockAllFolios, props)
  write(s, 'a', 0, 4 * BLOCK)
  return s
}

describe('the inode lock', () => {
  /** Is the inode lock held while the write copies for the first time? All of its folios are. */
  const whileCopying = (pos: number, len: number): readonly boolean[] => {
    const s = filled({ choices: scheduled })
    const seen: boolean[] = []
    take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(len, 'b'), pos), /^copy$/, () => {
      seen.push(s.inode.rwsem.exclusive, ...[0, 1].map((i) => s.inode.pages!.find(i)!.locked))
    }))
    return seen
  }

  test('is not taken by a write inside the file, and is by one that extends it', () => {
    expect(whileCopying(0, 2 * BLOCK)).toEqual([false, true, true])
    expect(whileCopying(0, 5 * BLOCK)).toEqual([true, true, true])
  })

  test('is taken by a write of more than is locked together: nothing of it is written twice', () => {
    const most = 512 * BLOCK
    for (const [len, locks] of [[most, 0], [most + BLOCK, 1]] as const) {
      const s = stage(lockAllFolios, { limitPages: 4096, maxFolioOrder: 9 })
      take(s.posix.ftruncate(s.fd, 2 * most))
      const held: boolean[] = []
      const { copyNow } = s.fs.verbs
      s.fs.verbs.copyNow = (...args) => (held.push(s.inode.rwsem.exclusive), copyNow.apply(s.fs.verbs, args))
      expect(write(s, 'b', 0, len)).toBe(len)
      expect([new Set(held), s.ledger.copiedBytes]).toEqual([new Set([locks === 1]), len])
    }
  })

  test.each([0, 1, 7])('is taken if the file was cut short before the invalidate lock was had; of map number %i', (seq) => {
    const s = filled({ choices: scheduled })
    const cut = (): void => {
      take(s.posix.ftruncate(s.fd, 100))
      s.inode.map.seq = seq
    }
    expect(take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(BLOCK, 'b'), BLOCK), /invalidate lock/, cut))).toBe(BLOCK)
    expect(s.ledger.restarts).toBe(1)
    expect(runs(s)).toBe(`100a${BLOCK - 100}.${BLOCK}b`)
    expect(s.inode.invalidateLock.shared).toBe(0)
  })
})

describe('again from the start, under the inode lock', () => {
  test('after a short copy', () => {
    const s = filled()
    const absent = sourceOf(3 * BLOCK, 'b', 3 * BLOCK, true)
    const copyAtomic = absent.copyAtomic.bind(absent)
    let copies = 0
    absent.copyAtomic = (...args) => (++copies === 2 ? 0 : copyAtomic(...args))
    expect(take(s.posix.pwriteFrom(s.fd, absent, 0))).toBe(3 * BLOCK)
    expect(copies).toBe(2 + 3)
    expect(runs(cold(s))).toBe(`${3 * BLOCK}b${BLOCK}a`)
  })

  test('where not all folios could be had; if it fails then, it returns what stood before', () => {
    const s = stage(lockAllFolios, { choices: failing('ENOMEM.folio', (n) => n >= 4) })
    write(s, 'a', 0, BLOCK)
    take(s.posix.ftruncate(s.fd, 4 * BLOCK))
    expect(take(s.posix.pwriteFrom(s.fd, sourceOf(4 * BLOCK, 'b'), 0))).toBe(3 * BLOCK)
    expect(space(s).reserved).toBe(0)
    expect(runs(s, 0, 3 * BLOCK)).toBe(`${3 * BLOCK}b`)
  })
})

test('a promise may be partial: the write ends with the last block that there was', () => {
  const s = stage(lockAllFolios)
  take(s.posix.ftruncate(s.fd, 40 * BLOCK))
  const other = take(s.posix.open('other', ['O_RDWR', 'O_CREAT']))
  take(s.posix.fallocate(other, 'allocate', 0, (s.fs.space.available - 6) * BLOCK))
  const free = s.fs.space.available
  // One of them is for the map: 20 promises of one block each may become as many extents.
  expect(write(s, 'a', 0, 20 * BLOCK)).toBe((free - 1) * BLOCK)
  expect(s.posix.fsync(s.fd)._tag).toBe('Right')
})

describe('a promise counts the map blocks that its end may need', () => {
  /** Blocks that were free beside those of the data, and whether a write to blocks 11 and 12, or 10 and 11, of an ext2 file fits. */
  const room = (free: number, first: number, maxFolioOrder = 0, len = 2048): string => {
    const s = stage(lockAllFolios, { format: 'ext2', blockSize: 1024, maxFolioOrder })
    take(s.posix.ftruncate(s.fd, 64 * 1024))
    s.fs.space.reserved += s.fs.space.available - free
    const n = s.posix.pwriteFrom(s.fd, sourceOf(len, 'a'), first * 1024)
    return n._tag === 'Left' ? n.left : `${n.right}`
  }

  test('for all of a hole, or else for its first block', () => {
    for (const order of [0, 1]) {
      expect(room(2, 10, order)).toBe('2048')
      expect(room(2, 11, order)).toBe('1024')
      expect(room(3, 11, order)).toBe('2048')
      expect(room(1, 11, order)).toBe('1024')
      expect(room(1, 12, order)).toBe('ENOSPC')
      expect(room(8, 8, order, 8192)).toBe('7168')
    }
  })
})

test('one look-up for all, one lock a folio', () => {
  const s = filled({ maxFolioOrder: 2 })
  expect(cost(s, () => write(s, 'b', 0, 4 * BLOCK))).toMatch(/iterations 1 begins 1 .*mapLookups 1/)
})
