/** Designs that map block by block: what they look up, what a cached block remembers, what a short copy leaves. */
import { describe, expect, test } from 'vitest'
import { run } from '../kernel/kernel.ts'
import { DELALLOC, HOLE, MAPPED, UNWRITTEN } from '../fs/extent-map.ts'
import { BLOCK_DELAY, BLOCK_MAPPED, BLOCK_PLACE, BLOCK_UNWRITTEN, DIRTY } from '../pagecache/folio.ts'
import { getBlock, getBlockDesign } from './get-block.ts'
import { placeOf } from './per-block.ts'
import { cold, failing, runs, sourceOf, space, stage, type Props, type Stage, take } from './stage.test-util.ts'

const small: Props = { format: 'ext2', blockSize: 1024 }
const write = (s: Stage, fill: string, len: number, pos = 0, readable = len) =>
  s.posix.pwriteFrom(s.fd, sourceOf(len, fill, readable), pos)
const read = (s: Stage) => runs(s)

/** What `act` adds to begins, look-ups and allocations. */
const counted = ({ ledger }: Stage, act: () => unknown) => {
  const { begins, mapLookups, allocations } = ledger
  act()
  return [ledger.begins - begins, ledger.mapLookups - mapLookups, ledger.allocations - allocations]
}

/** One page whose blocks are data `d`, or holes `.` that a reader has cached. */
const page = (blocks: string): Stage => {
  const s = stage(getBlock, small)
  ;[...blocks].forEach((b, i) => b === 'd' && take(write(s, 'd', 1024, i * 1024)))
  take(s.posix.ftruncate(s.fd, 4096))
  read(s)
  return s
}

describe('a cached page', () => {
  test('of which all blocks have their place is written without a question', () => {
    expect(counted(page('dddd'), () => {})).toEqual([0, 0, 0])
    const s = page('dddd')
    expect(counted(s, () => take(write(s, 'x', 2_000, 100)))).toEqual([0, 0, 0])
  })

  test.each([
    ['.ddd', 0, 1024], ['dd.d', 0, 4096], ['d..d', 500, 3000], ['d.dd', 500, 1024], ['ddd.', 3000, 200],
  ])('%s with a hole under [%i, +%i) is asked about that one', (blocks, pos, len) => {
    const s = page(blocks)
    const holes = [...blocks].filter((b, i) => b === '.' && i * 1024 < pos + len && (i + 1) * 1024 > pos).length
    expect(counted(s, () => take(write(s, 'x', len, pos)))).toEqual([1, holes, holes])
    expect(read(s).replace(/[d.]/g, '').includes(`${len}x`)).toBe(true)
  })

  test.each([['d...', 0, 1024], ['.d..', 1024, 1024], ['.dd.', 1100, 1948], ['..dd', 2048, 2048]])(
    '%s is not asked about a hole that [%i, +%i) does not touch', (blocks, pos, len) => {
      const s = page(blocks)
      expect(counted(s, () => take(write(s, 'x', len, pos)))).toEqual([0, 0, 0])
      expect(space(s).real).toBe([...blocks].filter((b) => b === 'd').length)
    })

  test.each([[1100, 1972, 1], [1024, 1476, 1], [1100, 1400, 2], [1024, 2048, 0], [1200, 300, 1]])(
    'whose blocks are not uptodate: [%i, +%i) looks up the blocks that it covers in part, for their edges',
    (pos, len, lookups) => {
      const s = page('dddd')
      take(s.posix.sync())
      s.fs.verbs.forgetClean(s.inode.pages!.find(0)!, 0, 4096)
      expect(counted(s, () => take(write(s, 'x', len, pos)))).toEqual([lookups > 0 ? 1 : 0, lookups, 0])
      expect(read(s)).toBe(`${pos}d${len}x${4096 - pos - len}d`)
    })

  test('that is partly uptodate: a part of an uptodate block is no reason to look', () => {
    const s = page('d.dd')
    expect(counted(s, () => take(write(s, 'x', 2_000, 100)))).toEqual([1, 1, 1])
    const t = page('dd.d')
    expect(counted(t, () => take(write(t, 'x', 1_500, 2_100)))).toEqual([1, 1, 1])
  })

  /** The pages of `f` lie in memory among those of another file, all of which are data. */
  const amongOthers = (): Stage => {
    const s = stage(getBlock)
    const g = take(s.posix.open('g', ['O_RDWR', 'O_CREAT']))
    for (let i = 0; i < 16; i++) take(s.posix.pwrite(g, Buffer.alloc(4096, 'g'), i * 4096))
    take(s.posix.sync())
    const other = take(run(s.posix.sys.file(g))).inode.pages!
    for (const page of [4, 8]) s.fs.verbs.removeFolio(other.find(page)!)
    return s
  }

  test('answers for itself only, not for what lies behind it in memory', () => {
    const s = amongOthers()
    take(write(s, 'f', 4096))
    take(s.posix.ftruncate(s.fd, 8192))
    read(s)
    expect(counted(s, () => take(write(s, 'x', 4_100, 100)))).toEqual([1, 1, 1])
    expect(space(s).real).toBe(2)
  })

  test('is asked about by its own place in memory', () => {
    const s = amongOthers()
    take(s.posix.ftruncate(s.fd, 8192))
    expect(counted(s, () => take(write(s, 'x', 4_000, 4_096)))).toEqual([1, 1, 1])
    expect(space(s).real).toBe(1)
    expect(runs(s)).toBe('4096.4000x96.')
  })

  test('is found by its own number', () => {
    const s = stage(getBlock)
    const far = 4096 * 4096 * 4096
    take(write(s, 'z', 4096, far))
    expect(take(write(s, 'b', 4096, 4096))).toBe(4096)
    const into = Buffer.alloc(4096)
    take(s.posix.pread(s.fd, into, far))
    expect(into.equals(Buffer.alloc(4096, 'z'))).toBe(true)
    expect(runs(s, 4096, 4096)).toBe('4096b')
  })
})

describe('what a block remembers', () => {
  test('is the state of the map below it', () => {
    expect(([HOLE, DELALLOC, UNWRITTEN, MAPPED] as const).map((state) => placeOf({ lblk: 0, n: 1, state, pblk: 0 })))
      .toEqual([0, BLOCK_DELAY, BLOCK_UNWRITTEN, BLOCK_MAPPED])
  })

  test('is there after the first write, whoever made the block', () => {
    const placed = (s: Stage) => s.inode.pages!.find(0)!.bits(0) & BLOCK_PLACE
    const onExt2 = stage(getBlock, small)
    take(write(onExt2, 'a', 10))
    expect(placed(onExt2)).toBe(BLOCK_MAPPED)
    const onExt4 = stage(getBlock)
    take(write(onExt4, 'a', 10))
    expect(placed(onExt4)).toBe(BLOCK_UNWRITTEN)
    const stored = stage(getBlock)
    take(stored.posix.ftruncate(stored.fd, 4096))
    take(stored.posix.mmapStore(stored.fd, 0, Buffer.from('x')))
    expect(placed(stored)).toBe(0)
    take(write(stored, 'a', 10))
    expect(placed(stored)).toBe(BLOCK_DELAY)
    expect(stored.ledger.allocations).toBe(0)
    const known = cold(onExt2)
    take(write(known, 'b', 10))
    expect(placed(known)).toBe(BLOCK_MAPPED)
  })
})

describe('a short copy', () => {
  const dirtyBlocks = (s: Stage, page = 0) =>
    [0, 1024, 2048, 3072].map((off) => ((s.inode.pages!.find(page)!.bits(off) & DIRTY) === 0 ? '.' : 'd')).join('')

  test('into a hole inside the file leaves zeros that will reach the disk, and no block past what it made', () => {
    const s = stage(getBlock, small)
    take(s.posix.ftruncate(s.fd, 8192))
    expect(take(write(s, 'a', 4_000, 100, 1_500))).toBe(1_500)
    expect(s.ledger.blocksZeroedUndone).toBe(3)
    expect(dirtyBlocks(s)).toBe('dddd')
    expect(space(s).real).toBe(4)
    expect(runs(cold(s))).toBe('100.1500a6592.')
  })

  test('past the end leaves nothing there', () => {
    const s = stage(getBlock, small)
    expect(take(write(s, 'a', 4_000, 100, 1_500))).toBe(1_500)
    expect(s.ledger.blocksZeroedUndone).toBe(0)
    expect(dirtyBlocks(s)).toBe('dd..')
    expect(space(s).real).toBe(2)
    // Three of four for the copy that counts its first block, and three again for the one that is refused.
    expect(s.ledger.blocksPunched).toBe(6)
  })

  test('over old blocks zeroes none of them, and has nothing to punch', () => {
    const s = stage(getBlock, small)
    take(write(s, 'o', 4096))
    expect(take(write(s, 'a', 4_000, 50, 1_500))).toBe(1_500)
    expect(s.ledger.blocksZeroedUndone).toBe(0)
    expect(runs(s)).toBe('50o1500a2546o')
    const notCached = cold(s)
    expect(take(write(notCached, 'b', 4_000, 50, 10))).toBe(10)
    expect(notCached.ledger.blocksPunched).toBe(0)
    expect(runs(notCached)).toBe('50o10b1490a2546o')
  })

  test('in the second page counts from that page', () => {
    const s = stage(getBlock, small)
    take(s.posix.ftruncate(s.fd, 16_384))
    expect(take(write(s, 'a', 10_000, 1_000, 4_500))).toBe(4_500)
    expect(s.ledger.blocksZeroedUndone).toBe(3)
    expect([dirtyBlocks(s), dirtyBlocks(s, 1)]).toEqual(['dddd', 'dddd'])
    expect(runs(cold(s))).toBe('1000.4500a10884.')
  })

  test('of a failed allocation gives back what was made before it', () => {
    const s = stage(getBlock, { ...small, choices: failing('ENOSPC.allocate', (n) => n > 2) })
    take(s.posix.ftruncate(s.fd, 8192))
    expect(write(s, 'a', 2_500, 4_200)).toMatchObject({ left: 'ENOSPC' })
    expect(s.ledger.blocksZeroedUndone).toBe(2)
    expect(dirtyBlocks(s, 1)).toBe('dd..')
    expect(s.inode.pages!.find(1)!.locked).toBe(false)
    expect(runs(cold(s))).toBe('8192.')
  })
})

describe('get-block', () => {
  test('looks a block up once, and as ext4 twice: without and then with create', () => {
    for (const [probe, lookups] of [['once', 5], ['ext4', 10]] as const) {
      const s = stage(getBlockDesign(probe))
      expect(counted(s, () => take(write(s, 'a', 20_000)))).toEqual([5, lookups, 5])
    }
    const s = stage(getBlock)
    expect(counted(s, () => take(write(s, 'a', 4096)))).toEqual([1, 1, 1])
  })

  test('places unwritten blocks where the format has them', () => {
    const states = (format: 'ext2' | 'ext4') => {
      const s = stage(getBlock, { format })
      take(write(s, 'a', 10))
      return s.inode.map.extents.map((e) => e.state)
    }
    expect([states('ext2'), states('ext4')]).toEqual([[MAPPED], [UNWRITTEN]])
  })
})

