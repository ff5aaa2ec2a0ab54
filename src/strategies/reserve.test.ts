/** reserve-allocate and reserve-copy-allocate: what is counted before the copy, and what commit makes of it after. */
import { describe, expect, test } from 'vitest'
import type { AnyStrategy } from '../fs/strategy.ts'
import { UPTODATE, WRITE_FAILED } from '../pagecache/folio.ts'
import { reserveAllocate } from './reserve-allocate.ts'
import { reserveCopyAllocate } from './reserve-copy-allocate.ts'
import { invalidateSplice } from './invalidate-splice.ts'
import {
  cold, failing, interleave, now, type Props, runs, scheduled, sourceOf, space, stage, type Stage, take,
} from './stage.test-util.ts'

const write = (s: Stage, fill: string, len: number, pos = 0) => s.posix.pwriteFrom(s.fd, sourceOf(len, fill), pos)
const asking = (base: AnyStrategy): AnyStrategy => ({ ...base, mapped: () => false })

describe.each([reserveAllocate, reserveCopyAllocate])('$name', (strategy) => {
  test('reserves for holes only, even where nobody asked the map before', () => {
    const s = stage(asking(strategy))
    take(write(s, 'a', 4096, 4096))
    expect(s.ledger.reservedBlocks).toBe(1)
    take(write(s, 'b', 4096, 4096))
    expect(s.ledger.reservedBlocks).toBe(1)
    take(write(s, 'c', 12_288))
    expect(s.ledger.reservedBlocks).toBe(3)
    expect(space(s)).toEqual({ real: 0, delayed: 3, reserved: 0 })
    expect(runs(s)).toBe('12288c')
  })

  test('counts the map blocks that the end of the range may need: the 13th block of an ext2 file needs one', () => {
    const room = (blocks: number, pos: number, len: number) => {
      const s = stage(strategy, { format: 'ext2', blockSize: 1024 })
      s.fs.space.reserved += s.fs.space.available - blocks
      const { available } = s.fs.space
      return [available, write(s, 'a', len, pos)._tag]
    }
    expect(room(2, 10 * 1024, 2048)).toEqual([2, 'Right'])
    expect(room(2, 11 * 1024, 2048)).toEqual([2, 'Left'])
    expect(room(3, 11 * 1024, 2048)).toEqual([3, 'Right'])
  })

  test('waits for the map lock', () => {
    const s = stage(strategy)
    s.inode.mapLock.tryLock()
    expect(() => write(s, 'a', 10)).toThrow(/map/)
    const t = stage(strategy, { choices: scheduled })
    t.inode.mapLock.tryLock()
    const free = () => t.inode.mapLock.unlock()
    expect(take(interleave(t.posix.sys.pwrite(t.fd, sourceOf(10, 'a'), 0), /map/i, free))).toBe(10)
  })
})

describe('reserve-allocate', () => {
  test('maps at most 4 MiB at a time', () => {
    const s = stage(reserveAllocate, { limitPages: 8192 })
    take(write(s, 'a', 5 << 20))
    expect([s.ledger.begins, s.ledger.reservedBlocks, s.ledger.records]).toEqual([2, 1280, 2])
  })

  test('a mapped extent is written as far as it reaches', () => {
    const s = stage(reserveAllocate)
    take(write(s, 'a', 8192, 4096))
    const { begins } = s.ledger
    take(write(s, 'b', 8000, 4100))
    expect(s.ledger.begins).toBe(begins)
    take(write(s, 'c', 8200, 4096))
    expect(s.ledger.begins).toBe(begins + 1)
    expect(runs(s)).toBe('4096.8200c')
  })
})

describe('commit', () => {
  /** Blocks of 1024: `d` is data, `.` a hole; all of them are written, and `act` is done at the n-th copy step. */
  const during = (blocks: string, act: (s: Stage) => void, base: AnyStrategy = reserveCopyAllocate) => {
    const s = stage(asking(base), { blockSize: 1024, choices: scheduled })
    ;[...blocks].forEach((b, i) => b === 'd' && take(write(s, 'd', 1024, i * 1024)))
    const { begins } = s.ledger
    const kernel = s.posix.sys.pwrite(s.fd, sourceOf(blocks.length * 1024, 'n'), 0)
    const n = take(interleave(kernel, /^copy$/, () => act(s)))
    return { s, n, begins: s.ledger.begins - begins }
  }
  const punch = (s: Stage, block: number) => now(s.fs.punch(s.fs.verbs, s.inode, block, 1))

  test('looks again where the map changed under it, though nothing was reserved', () => {
    const { s, n, begins } = during('dddd', (t) => punch(t, 2))
    expect([n, begins]).toEqual([4096, 2])
    expect(space(s).delayed).toBe(4)
  })

  test('records what was reserved and no more: the rest is asked for again', () => {
    const { s, n, begins } = during('d.dd', (t) => punch(t, 3))
    expect([n, begins]).toEqual([4096, 2])
    expect(space(s)).toMatchObject({ delayed: 4, reserved: 0 })
    expect(s.ledger.records).toBe(3 + 2)
  })

  test('takes data that is there for granted, with nothing reserved any more', () => {
    const { s, begins } = during('.ddd', (t) => void (t.inode.map.seq++))
    expect(begins).toBe(1)
    expect(s.ledger.records).toBe(3 + 1)
  })

  test('costs nothing where all is mapped and nothing changed', () => {
    const s = stage(asking(reserveCopyAllocate))
    take(write(s, 'a', 8192))
    const { locks, mapLookups } = s.ledger
    take(write(s, 'b', 8192))
    // Inode, map in begin, two folios.
    expect([s.ledger.locks - locks, s.ledger.mapLookups - mapLookups]).toEqual([4, 1])
  })
})

describe.each([reserveCopyAllocate, invalidateSplice])('$name: a record that fails late', (strategy) => {
  const props: Props = { blockSize: 1024 }
  /** `.....d..` of 1024 bytes from `first` on: two records, of which some fail. */
  const recording = (fails: (n: number) => boolean, first = 0) => {
    const on = { value: false }
    let seen = 0
    const s = stage(strategy, { ...props, choices: failing('ENOMEM.record', () => on.value && fails(++seen)) })
    take(write(s, 'd', 1024, (first + 5) * 1024))
    take(s.posix.sync())
    on.value = true
    const outcome = write(s, 'n', 8192 - 100, first * 1024 + 100)
    on.value = false
    return { s, outcome, seen }
  }

  test('after progress ends the batch there, and the rest is tried again', () => {
    for (const first of [0, 4]) {
      const { s, outcome, seen } = recording((n) => n === 2, first)
      expect([take(outcome), seen]).toEqual([8092, 3])
      expect(space(s)).toMatchObject({ delayed: 7, reserved: 0 })
      expect(runs(s, first * 1024)).toBe('100.8092n')
    }
  })

  test('for good is a short write that ends with the last block that has its place', () => {
    for (const first of [0, 4]) {
      const { s, outcome } = recording((n) => n >= 2, first)
      expect(take(outcome)).toBe(6 * 1024 - 100)
      expect(space(s)).toMatchObject({ real: 1, delayed: 5, reserved: 0 })
      expect(runs(s, first * 1024)).toBe('100.6044n')
      expect(runs(cold(s), first * 1024)).toBe('100.6044n')
    }
  })

  test('at once is ENOMEM, with nothing left behind', () => {
    const { s, outcome } = recording(() => true)
    expect(outcome).toMatchObject({ left: 'ENOMEM' })
    expect(space(s)).toMatchObject({ real: 1, delayed: 0, reserved: 0 })
    expect(s.cache.dirtyPages).toBe(0)
    expect(runs(cold(s))).toBe('5120.1024d')
  })

  test('with something that is no failure is a bug, and passes through', () => {
    const s = stage(strategy, props)
    take(write(s, 'd', 1024, 2048))
    const { record } = s.fs
    let calls = 0
    s.fs.record = function* (...args) {
      if (++calls === 2) throw new Error('bug')
      yield* record.apply(s.fs, args)
    }
    expect(() => write(s, 'n', 5_000)).toThrow('bug')
    expect(s.inode.mapLock.held).toBe(false)
  })
})

describe('reserve-copy-allocate, where commit records nothing from a hole on', () => {
  /** Eight blocks of 1024 in one folio, data but for holes `.`, on disk and cached; then blocks 2 to 6 are written. */
  const overwritten = (blocks: string, clean = true, before: (s: Stage) => RegExp | void = () => undefined) => {
    const on = { value: false }
    const s = stage(asking(reserveCopyAllocate), {
      blockSize: 1024, maxFolioOrder: 1, choices: failing('ENOMEM.record', () => on.value),
    })
    take(write(s, 'd', 8192))
    ;[...blocks].forEach((b, i) => b === '.' && take(s.posix.fallocate(s.fd, 'punch', i * 1024, 1024)))
    if (clean) take(s.posix.sync())
    else [...blocks].forEach((b, i) => b === 'd' && take(write(s, 'd', 1024, i * 1024)))
    runs(s)
    expect([s.inode.pages!.find(0)!.pages, uptodate(s)]).toEqual([2, 'uuuuuuuu'])
    on.value = true
    const waits = before(s)
    if (waits === undefined) return { s, outcome: write(s, 'n', 5 * 1024, 2048) }
    const done = (): void => void (s.inode.pages!.find(0)!.writeback = false)
    return { s, outcome: interleave(s.posix.sys.pwrite(s.fd, sourceOf(5 * 1024, 'n'), 2048), waits, done) }
  }
  const uptodate = (s: Stage) =>
    [0, 1, 2, 3, 4, 5, 6, 7]
      .map((b) => ((s.inode.pages!.find(0)!.bits(b * 1024) & UPTODATE) === 0 ? '.' : 'u')).join('')

  test('the next reader asks the disk about what was clean: it shows the old bytes', () => {
    const { s, outcome } = overwritten('dd.ddddd')
    expect(outcome).toMatchObject({ left: 'ENOMEM' })
    expect(uptodate(s)).toBe('uu.....u')
    expect(runs(s)).toBe('2048d1024.5120d')
  })

  test('what was dirty keeps the new bytes: the design declares it', () => {
    const { s, outcome } = overwritten('dd.ddddd', false)
    expect(outcome).toMatchObject({ left: 'ENOMEM' })
    expect(runs(s)).toBe('2048d1024.4096n1024d')
  })

  test('what is on its way to the disk is waited for, and then asked for there', () => {
    const { s, outcome } = overwritten('dd.ddddd', true, (t) => {
      const f = t.inode.pages!.find(0)!
      f.writeback = true
      return /writeback of page/
    })
    expect(outcome).toMatchObject({ left: 'ENOMEM' })
    expect(uptodate(s)).toBe('uu.....u')
    expect(runs(s)).toBe('2048d1024.5120d')
  })

  test('what could not be written is nowhere else: it keeps the new bytes', () => {
    const { s, outcome } = overwritten('dd.ddddd', true, (t) => void t.inode.pages!.find(0)!.change(0, 8192, WRITE_FAILED, 0))
    expect(outcome).toMatchObject({ left: 'ENOMEM' })
    expect(uptodate(s)).toBe('uuuuuuuu')
    expect(runs(s)).toBe('2048d5120n1024d')
  })

  test('a page that stands is not waited for; the next one shows the hole that it is', () => {
    const on = { value: false }
    const s = stage(asking(reserveCopyAllocate), { choices: failing('ENOMEM.record', () => on.value) })
    take(write(s, 'd', 4096))
    take(s.posix.ftruncate(s.fd, 8192))
    take(s.posix.sync())
    runs(s)
    on.value = true
    s.inode.pages!.find(0)!.writeback = true
    expect(take(write(s, 'n', 8192))).toBe(4096)
    s.inode.pages!.find(0)!.writeback = false
    expect(runs(s)).toBe('4096n4096.')
  })

  test('what stands, and what was not asked for, stays uptodate', () => {
    const { s, outcome } = overwritten('ddd.dddd')
    expect(take(outcome)).toBe(1024)
    expect(uptodate(s)).toBe('uuu....u')
    expect(runs(s)).toBe('2048d1024n1024.4096d')
  })
})
