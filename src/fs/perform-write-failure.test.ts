/** The pipeline where a hook fails, where `commit` lets less stand, and what becomes of the folios. */
import { describe, expect, test } from 'vitest'
import type { Errno } from '../kernel/errno.ts'
import { type Kernel, raise, run } from '../kernel/kernel.ts'
import { getBlock } from '../strategies/get-block.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../strategies/reserve-copy-allocate.ts'
import { cold, failing, runs, space, stage, type Stage, take } from '../strategies/stage.test-util.ts'
import type { AnyStrategy } from './strategy.ts'
import { noted, PAGE, write } from './perform-write.test-util.ts'

describe('a failure', () => {
  const breaking = (
    hook: 'begin' | 'getFolio' | 'commit', at: number, errno: Errno | Error, base: AnyStrategy = reserveAllocate,
  ) => {
    const { log, s } = noted(base)
    const inner = s.fs.strategy
    let calls = 0
    const outer = stage({
      ...inner,
      *[hook](...args: never[]): Kernel<unknown, Errno> {
        if (++calls !== at) return yield* (inner[hook] as (...args: never[]) => Kernel<unknown, Errno>)(...args)
        if (errno instanceof Error) throw errno
        return yield* raise(errno)
      },
    } as AnyStrategy)
    return { log, s: outer }
  }

  test('of begin has its end, and no folio', () => {
    const { log, s } = breaking('begin', 1, 'ENOSPC')
    expect(write(s, 'a', 5_000)).toMatchObject({ left: 'ENOSPC' })
    expect(log).toEqual(['end 0 of 5000'])
    expect(s.inode.rwsem.exclusive).toBe(false)
  })

  test('after progress is a short write', () => {
    const { log, s } = breaking('getFolio', 2, 'ENOMEM')
    expect(take(write(s, 'a', 5_000))).toBe(4_096)
    expect(log.at(-1)).toBe('end 4096 of 5000')
    expect(runs(s)).toBe('4096a')
  })

  test('of the second folio of a batch shortens it; the rest is the next one', () => {
    const { log, s } = breaking('getFolio', 3, 'ENOMEM', reserveCopyAllocate)
    expect(take(write(s, 'a', 12_000, 100))).toBe(12_000)
    expect(log).toEqual([
      'begin 100+12000 alone', 'get 100+12000', 'get 4096+8004', 'commit 100+8092', 'put 0: 3996 of 100+3996',
      'put 1: 4096 of 0+4096', 'end 8092 of 8092',
      'begin 8192+3908 alone', 'get 8192+3908', 'commit 8192+3908', 'put 2: 3908 of 0+3908', 'end 3908 of 3908',
    ])
  })

  test('of the second folio gives back what begin made for the others', () => {
    const choices = failing('ENOMEM.folio', (n) => n > 1)
    const s = stage({ ...reserveAllocate, unit: 'write', mapped: () => false }, { choices })
    expect(take(write(s, 'a', 3 * PAGE))).toBe(PAGE)
    expect(space(s)).toEqual({ real: 0, delayed: 1, reserved: 0 })
  })

  test('of the first one does not', () => {
    const { log, s } = breaking('getFolio', 1, 'ENOMEM', reserveCopyAllocate)
    expect(write(s, 'a', 12_000)).toMatchObject({ left: 'ENOMEM' })
    expect(log).toEqual(['begin 0+12000 alone', 'end 0 of 12000'])
  })

  test('of commit gives every folio back with nothing taken', () => {
    const { log, s } = breaking('commit', 1, 'ENOMEM', reserveCopyAllocate)
    expect(write(s, 'a', 5_000)).toMatchObject({ left: 'ENOMEM' })
    expect(log).toEqual([
      'begin 0+5000 alone', 'get 0+5000', 'get 4096+904', 'put 0: 0 of 0+4096', 'put 1: 0 of 0+904', 'end 0 of 5000',
    ])
    expect(s.inode.size).toBe(0)
  })

  test('that is a bug passes through, from any hook', () => {
    const bug = new Error('bug')
    expect(() => write(breaking('begin', 1, bug).s, 'a', 5_000)).toThrow(bug)
    expect(() => write(breaking('getFolio', 2, bug, reserveCopyAllocate).s, 'a', 5_000)).toThrow(bug)
    expect(() => write(breaking('commit', 1, bug).s, 'a', 5_000)).toThrow(bug)
  })

  test('that interrupts comes before the next mapping, and the bytes before it count', () => {
    const { s } = noted(reserveCopyAllocate, { choices: failing('EINTR.fatal', (n) => n === 2) })
    expect(take(write(s, 'a', 600 * PAGE))).toBe(512 * PAGE)
    const first = noted(reserveAllocate, { choices: failing('EINTR.fatal') })
    expect(write(first.s, 'a', 10)).toMatchObject({ left: 'EINTR' })
    expect(first.log).toEqual([])
  })
})

describe('what commit lets stand', () => {
  const letting = (stands: (from: number, n: number) => number) => {
    const { log, s } = noted(reserveCopyAllocate)
    const inner = s.fs.strategy
    const outer = stage({
      ...inner,
      *commit(k, w, m, from, n) {
        return Math.min(yield* inner.commit!(k, w, m, from, n), stands(from, n))
      },
    })
    return { log, s: outer }
  }

  test('is what each folio took, what the file grows by, and where the next mapping begins', () => {
    const { log, s } = letting((from) => (from === 0 ? 5_000 : Infinity))
    expect(take(write(s, 'a', 12_000))).toBe(12_000)
    expect(log).toEqual([
      'begin 0+12000 alone', 'get 0+12000', 'get 4096+7904', 'get 8192+3808', 'commit 0+12000',
      'put 0: 4096 of 0+4096', 'put 1: 904 of 0+4096', 'put 2: 0 of 0+3808', 'end 5000 of 12000',
      'begin 5000+7000 alone', 'get 5000+7000', 'get 8192+3808', 'commit 5000+7000',
      'put 1: 3192 of 904+3192', 'put 2: 3808 of 0+3808', 'end 7000 of 7000',
    ])
    expect(runs(s)).toBe('12000a')
  })

  test('if it is nothing, nothing is dirty and the file does not grow', () => {
    let tries = 0
    const { s } = letting(() => (tries++ === 0 ? 0 : Infinity))
    const inner = s.fs.strategy
    const sizes: number[] = []
    const outer = stage({
      ...inner,
      *end(k, w, m) {
        sizes.push(k.size(w.inode))
        expect(m.written > 0 || k.cache.dirtyPages === 0).toBe(true)
        yield* inner.end!(k, w, m)
      },
    })
    expect(take(write(outer, 'a', 5_000, 10_000))).toBe(5_000)
    expect(sizes).toEqual([0, 15_000])
  })

  test('is not asked of a copy of nothing', () => {
    const { log, s } = noted(reserveAllocate)
    take(write(s, 'a', 5_000, 0, 2_000))
    expect(log.filter((l) => l.startsWith('commit'))).toEqual(['commit 0+2000'])
  })

  test('as durable is uptodate and clean', () => {
    const s = stage({
      ...getBlock,
      mapped: () => false,
      *commit(_k, _w, m, _from, n) {
        m.durable = true
        return n
      },
    })
    take(write(s, 'a', PAGE))
    const f = s.inode.pages!.find(0)!
    expect([f.uptodate, f.dirty]).toEqual([true, false])
  })
})

describe('folios', () => {
  test('are as large as the write and the limit allow, from the page on in which it begins', () => {
    const s = stage(reserveAllocate, { maxFolioOrder: 2 })
    take(write(s, 'a', 4 * PAGE - 50, 50))
    expect(s.inode.pages!.inRange(0, 9).map((f) => f.pages)).toEqual([4])
  })

  test('are found by their own number', () => {
    const s = stage({ ...reserveAllocate, mapped: () => false })
    const far = PAGE * PAGE * PAGE
    take(write(s, 'z', PAGE, far))
    expect(take(write(s, 'b', PAGE, PAGE))).toBe(PAGE)
    const into = Buffer.alloc(PAGE)
    take(s.posix.pread(s.fd, into, far))
    expect(into.equals(Buffer.alloc(PAGE, 'z'))).toBe(true)
    expect(runs(s, PAGE, PAGE)).toBe(`${PAGE}b`)
  })

  test('are asked about by their own place in memory, among those of another file', () => {
    const s = stage(reserveAllocate)
    take(write(s, 'o', 2 * PAGE))
    const t = cold(s)
    const g = take(t.posix.open('g', ['O_RDWR', 'O_CREAT']))
    for (let i = 0; i < 16; i++) take(t.posix.pwrite(g, Buffer.alloc(PAGE, 'g'), i * PAGE))
    take(t.posix.sync())
    t.fs.verbs.removeFolio(take(run(t.posix.sys.file(g))).inode.pages!.find(4)!)
    expect(take(write(t, 'n', 100, PAGE + 50))).toBe(100)
    expect(runs(t)).toBe(`${PAGE + 50}o100n${PAGE - 150}o`)
  })

  test('under writeback are waited for where pages are stable, and only there', () => {
    for (const [stable, mapped] of [[true, false], [true, true], [false, false], [false, true]]) {
      const claims = { ...reserveAllocate.claims, stablePages: stable! }
      const s = stage({ ...reserveAllocate, claims, ...(!mapped! && { mapped: () => false }) })
      take(write(s, 'a', PAGE))
      s.inode.pages!.find(0)!.writeback = true
      if (stable!) expect(() => write(s, 'b', 10)).toThrow(/writeback of page/)
      else expect(take(write(s, 'b', 10))).toBe(10)
    }
  })

  test('that are only partly covered are completed from the disk, each block once', () => {
    const s = cold(filled())
    expect(take(write(s, 'b', 9_000, 5_000))).toBe(9_000)
    expect(runs(s)).toBe('5000a9000b6000a')
    expect(s.ledger.zeroedBlocks).toBe(1)
  })

  const filled = (): Stage => {
    const s = stage(reserveCopyAllocate)
    take(write(s, 'a', 20_000))
    return s
  }
})

describe('dirty throttling', () => {
  // Of 100 pages 40 may be dirty; writeback goes down to 20.
  const small = (strategy: AnyStrategy, dirty: number): Stage => {
    const s = stage(strategy, { limitPages: 100, maxFolioOrder: 0 })
    for (let i = 0; i < dirty; i++) take(write(s, 'a', PAGE, i * PAGE))
    return s
  }

  test('does nothing up to the limit', () => {
    const s = small(reserveAllocate, 40)
    expect(s.ledger.dataBios).toBe(0)
    take(write(s, 'b', PAGE, 0))
    expect(s.ledger.dataBios).toBe(0)
  })

  test('writes back before the first mapping over it', () => {
    const s = small(reserveAllocate, 42)
    expect(s.ledger.dataBios).toBeGreaterThan(0)
    expect(s.cache.dirtyPages).toBeLessThanOrEqual(21)
  })

  test('stops the plain prefix as well', () => {
    const s = stage(getBlock, { limitPages: 100 })
    for (let i = 0; i < 60; i++) take(write(s, 'a', PAGE, i * PAGE))
    take(s.posix.sync())
    const { dataBios } = s.ledger
    take(write(s, 'b', 60 * PAGE))
    expect(s.ledger.dataBios).toBeGreaterThan(dataBios)
    expect(s.cache.dirtyPages).toBeLessThanOrEqual(41)
  })
})
