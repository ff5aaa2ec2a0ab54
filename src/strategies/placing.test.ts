/** prepare-copy-*, delalloc-per-block and lock-and-unmap: what is held before the copy, and what a refusal leaves. */
import { describe, expect, test } from 'vitest'
import { MAPPED } from '../fs/extent-map.ts'
import { FileMapping } from '../fs/mmap.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { IovIter } from '../iov/iov-iter.ts'
import { UserMemory } from '../iov/user-memory.ts'
import { PTE_PRESENT, PTE_WRITE } from '../pagecache/folio.ts'
import { delallocPerBlock } from './delalloc-per-block.ts'
import { lockAndUnmap } from './lock-and-unmap.ts'
import { prepareCopyPunch, prepareCopyUnwritten, prepareCopyZero, prepareCopyZeroPage } from './prepare-then-copy.ts'
import {
  cold, failing, interleave, now, type Props, runs, scheduled, sourceOf, space, stage, type Stage, take,
} from './stage.test-util.ts'

const PAGE = 4096
const WAYS = [prepareCopyUnwritten, prepareCopyPunch, prepareCopyZero, prepareCopyZeroPage] as const
const small: Props = { blockSize: 1024 }
const write = (s: Stage, fill: string, len: number, pos = 0, readable = len) =>
  s.posix.pwriteFrom(s.fd, sourceOf(len, fill, readable), pos)
/** Blocks of 1024 from `at` on: data `d` on disk, or holes. */
const laid = (s: Stage, blocks: string, at = 0): Stage => {
  ;[...blocks].forEach((b, i) => b === 'd' && take(write(s, 'd', 1024, (at + i) * 1024)))
  take(s.posix.sync())
  return s
}
/** Fails the allocations whose numbers are given, once `on`. */
const failingAllocations = (numbers: (n: number) => boolean) => {
  const on = { value: false }
  let n = 0
  return { on, choices: failing('ENOSPC.allocate', () => on.value && numbers(n++)) }
}

describe.each(WAYS)('$name', (strategy) => {
  test('places blocks below holes only', () => {
    const s = laid(stage(strategy, small), '.d.dd.')
    const { allocations, mapLookups } = s.ledger
    take(write(s, 'n', 6 * 1024))
    expect([s.ledger.allocations - allocations, space(s)]).toEqual([3, { real: 6, delayed: 0, reserved: 0 }])
    expect(s.ledger.mapLookups - mapLookups).toBe(5)
    expect(runs(cold(s))).toBe('6144n')
  })

  test('goes on where an allocation gave fewer blocks than were asked for', () => {
    const s = stage(strategy, small)
    const { allocate } = s.fs
    s.fs.allocate = (k, inode, m, lblk, _n, state) => allocate.call(s.fs, k, inode, m, lblk, 1, state)
    take(write(s, 'n', 6 * 1024))
    expect(space(s)).toEqual({ real: 6, delayed: 0, reserved: 0 })
    expect(runs(cold(s))).toBe('6144n')
  })

  test.each([0, 8])('a hole that gets no block ends the write before it, wherever it begins (block %i)', (first) => {
    for (const sticky of [false, true]) {
      const { on, choices } = failingAllocations((n) => (sticky ? n >= 1 : n === 1))
      const s = laid(stage(strategy, { ...small, choices }), '.d.d', first)
      on.value = true
      const n = take(write(s, 'n', 4 * 1024 - 100, first * 1024 + 100))
      on.value = false
      expect(n).toBe(sticky ? 2 * 1024 - 100 : 4 * 1024 - 100)
      expect(s.inode.pages!.find(first / 4)!.locked).toBe(false)
      expect(space(s)).toEqual({ real: sticky ? 3 : 4, delayed: 0, reserved: 0 })
      const after = sticky ? '1024.1024d' : ''
      expect(runs(cold(s), first * 1024)).toBe(`100.${n}n${after}`)
    }
  })

  test('the first hole that gets no block is the errno, and the folio is free', () => {
    const { on, choices } = failingAllocations(() => true)
    const s = laid(stage(strategy, { ...small, choices }), '.d.d')
    on.value = true
    expect(write(s, 'n', 4 * 1024)).toMatchObject({ left: 'ENOSPC' })
    expect(s.inode.pages!.find(0)!.locked).toBe(false)
    expect(space(s)).toEqual({ real: 2, delayed: 0, reserved: 0 })
    expect(runs(s)).toBe('1024.1024d1024.1024d')
  })

  test('a mapping that is stale places nothing: somebody else may have', () => {
    let stale = true
    const s = stage({
      ...strategy,
      *getFolio(k, w, m, pos, n) {
        if (stale) {
          stale = false
          yield* w.fs.allocate(k, w.inode, null, 0, 1, MAPPED)
        }
        return yield* strategy.getFolio!(k, w, m, pos, n)
      },
    })
    expect(take(write(s, 'n', PAGE))).toBe(PAGE)
    expect([s.ledger.restarts, s.ledger.allocations]).toEqual([1, 1])
    expect(space(s)).toEqual({ real: 1, delayed: 0, reserved: 0 })
  })

  test('what a short copy leaves lies before its end: neither data behind it nor other memory changes', () => {
    const s = stage(strategy, small)
    take(s.posix.ftruncate(s.fd, 4 * 1024))
    // The page of the hole first, so that the data lies behind it in memory as well.
    take(s.posix.mmapLoad(s.fd, 0, Buffer.alloc(1)))
    laid(s, '....dddd')
    const { unreservesUndone } = s.ledger
    // Accepted are 1024 bytes at first; blocks 1 to 3 are left over, and then filled in part.
    expect(take(write(s, 'n', 4 * 1024, 0, 1_500))).toBe(1_500)
    expect(runs(s)).toBe('1500n2596.4096d')
    expect(runs(cold(s))).toBe('1500n2596.4096d')
    expect(s.ledger.unreservesUndone - unreservesUndone).toBe(0)
    expect(space(s).reserved).toBe(0)
  })
})

describe('room for a punch', () => {
  /** Map blocks that `begin` holds for a write over these blocks. */
  const held = (strategy: AnyStrategy, blocks: string) => {
    const seen: number[] = []
    const s = laid(stage({
      ...strategy,
      mapped: () => false,
      *begin(k, w, m) {
        yield* strategy.begin(k, w, m)
        seen.push(m.reservedMap)
      },
    }, small), blocks)
    seen.length = 0
    const { unreservesUndone } = s.ledger
    take(write(s, 'n', blocks.length * 1024))
    const whole = s.ledger.unreservesUndone - unreservesUndone
    expect(space(s).reserved).toBe(0)
    return [...seen, whole]
  }

  test('is held for each hole, as each may become two extents more; for no other way out, and for no data', () => {
    // Four extents stand in the inode itself, the fifth needs a map block.
    expect(held(prepareCopyPunch, '.d.')).toEqual([1, 0])
    expect(held(prepareCopyPunch, '.d')).toEqual([0, 0])
    expect(held(prepareCopyPunch, 'ddd')).toEqual([0, 0])
    for (const strategy of [prepareCopyUnwritten, prepareCopyZero, prepareCopyZeroPage]) {
      expect([strategy.name, ...held(strategy, '.d.')]).toEqual([strategy.name, 0, 0])
    }
  })

  test('is given back as undo where the write was short, and only there', () => {
    const s = laid(stage(prepareCopyPunch, small), '.d.d....')
    expect(take(write(s, 'n', 8 * 1024, 0, 5_000))).toBe(5_000)
    expect(s.ledger.unreservesUndone).toBeGreaterThan(0)
    expect(space(s)).toEqual({ real: 5, delayed: 0, reserved: 0 })
    expect(runs(cold(s))).toBe('5000n')
  })
})

describe('delalloc-per-block', () => {
  /** Allocations, records and look-ups of one block, with so many blocks promised. */
  const placed = (reserved: (free: number) => number, free?: (free: number) => boolean) => {
    const s = stage(delallocPerBlock, small)
    const other = take(s.posix.open('other', ['O_RDWR', 'O_CREAT']))
    for (let i = 0; free !== undefined && !free(s.fs.space.free); i++) {
      take(s.posix.pwrite(other, Buffer.alloc(1024), i * 1024))
      take(s.posix.sync())
    }
    s.fs.space.reserved += reserved(s.fs.space.free)
    const { allocations, records, mapLookups } = s.ledger
    take(write(s, 'a', 1024))
    return [s.ledger.allocations - allocations, s.ledger.records - records, s.ledger.mapLookups - mapLookups]
  }

  test('promises while twice what is free is three times what is promised, and places from there on', () => {
    const divisible = (free: number) => free % 3 === 0
    expect(placed((free) => (2 * free) / 3, divisible)).toEqual([0, 1, 2])
    expect(placed((free) => (2 * free) / 3 + 1, divisible)).toEqual([1, 0, 2])
  })

  test('places a block that it promised to nobody with two look-ups, as ext4 does', () => {
    expect(placed((free) => free - 2)).toEqual([1, 0, 2])
  })

  test('holds map blocks for the block that it records: the 13th of an ext2 file needs one', () => {
    const held: number[] = []
    const s = stage(delallocPerBlock, { format: 'ext2', blockSize: 1024 })
    const { record } = s.fs
    s.fs.record = function* (k, inode, m, lblk, n) {
      held.push(m.reservedMap)
      yield* record.call(s.fs, k, inode, m, lblk, n)
    }
    take(write(s, 'a', 1024, 11 * 1024))
    take(write(s, 'b', 1024, 12 * 1024))
    expect(held).toEqual([0, 1])
  })
})

describe('what delalloc-per-block holds when its mapping ends', () => {
  /** Blocks of 1024 on ext2, each a write; what the mapping held last: data blocks and map blocks. */
  const ended = (blocks: readonly number[], choices = failing('', () => false)) => {
    let held: readonly number[] = []
    const s = stage({
      ...delallocPerBlock,
      *end(k, w, m) {
        held = [m.reserved, m.reservedMap]
        yield* delallocPerBlock.end!(k, w, m)
      },
    }, { format: 'ext2', blockSize: 1024, choices })
    for (const b of blocks) write(s, 'a', 1024, b * 1024)
    return { s, held }
  }
  const undone = ({ ledger }: Stage) => [ledger.unreservesUndone, ledger.blocksUnreserved]

  test('is room for the map of one more extent, where the block joined one: given back, which is no undo', () => {
    const { s, held } = ended([300, 301, 302, 299, 5000, 5001])
    expect(held[0]).toBe(0)
    expect(held[1]).toBeGreaterThan(0)
    expect(space(s)).toEqual({ real: 0, delayed: 6, reserved: 0 })
    expect(undone(s)).toEqual([0, 0])
  })

  test('is the block that could not be recorded: it is given back as undo', () => {
    const { s, held } = ended([0, 2], failing('ENOMEM.record', (n) => n === 2))
    expect(held).toEqual([1, 0])
    expect(space(s)).toEqual({ real: 0, delayed: 1, reserved: 0 })
    expect(undone(s)).toEqual([1, 1])
  })

  test('is nothing after a short copy: nothing is given back', () => {
    const { s } = ended([])
    expect(take(write(s, 'a', 8192, 0, 2_000))).toBe(2_000)
    expect(undone(s)).toEqual([0, 0])
  })
})

describe('lock-and-unmap', () => {
  const entry = (s: Stage) => {
    const f = s.inode.pages!.find(0)!
    return f.slab.pte[f.page]! & (PTE_PRESENT | PTE_WRITE)
  }

  test('while it copies the page is mapped nowhere', () => {
    const s = stage(lockAndUnmap, { choices: scheduled })
    take(write(s, 'o', PAGE))
    take(s.posix.mmapLoad(s.fd, 0, Buffer.alloc(1)))
    let seen = -1
    take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(100, 'n'), 0), /^copy$/, () => void (seen = entry(s))))
    expect(seen).toBe(0)
  })

  test('a write from a mapping of the very page is tried again with the page mapped, but not writable', () => {
    const s = stage(lockAndUnmap)
    take(write(s, 'o', PAGE))
    take(s.posix.mmapStore(s.fd, 0, Buffer.from('abcd')))
    const memory = new UserMemory(PAGE)
    memory.map(0, 1, new FileMapping(s.fs.verbs, s.fs, s.inode))
    const entries: number[] = []
    const { copyNow } = s.fs.verbs
    s.fs.verbs.copyNow = (w, f, off, at, n) => {
      entries.push(entry(s))
      return copyNow.call(s.fs.verbs, w, f, off, at, n)
    }
    take(s.posix.mmapStore(s.fd, 8, Buffer.from('x')))
    expect(take(s.posix.pwriteFrom(s.fd, new IovIter(memory, [{ addr: 0, len: 4 }]), 4))).toBe(4)
    expect(entries).toEqual([0, PTE_PRESENT])
    expect(runs(s, 0, 9)).toBe('1a1b1c1d1a1b1c1d1x')
    expect(s.ledger.begins).toBe(1 + 2)
  })

  test('a store that comes in between the two is not lost', () => {
    const s = stage(lockAndUnmap)
    take(write(s, 'o', PAGE))
    const memory = new UserMemory(PAGE)
    memory.map(0, 1, new FileMapping(s.fs.verbs, s.fs, s.inode))
    let turns = 0
    const { faultIn } = s.fs.verbs
    s.fs.verbs.faultIn = function* (w, at, n) {
      const readable = yield* faultIn.call(s.fs.verbs, w, at, n)
      // The page is faulted in for reading, and another thread stores to it.
      if (++turns === 2) now(s.posix.sys.mmapStore(s.fd, 100, Buffer.from('s')))
      return readable
    }
    expect(take(s.posix.pwriteFrom(s.fd, new IovIter(memory, [{ addr: 0, len: 4 }]), 4))).toBe(4)
    expect([turns, entry(s)]).toEqual([2, PTE_PRESENT])
    expect(runs(s, 0, 101)).toBe('100o1s')
  })
})
