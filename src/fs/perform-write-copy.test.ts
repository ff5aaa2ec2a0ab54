/** The pipeline and what it copies: a source that cannot be read, mappings and folios that go away meanwhile, the plain prefix. */
import { describe, expect, test } from 'vitest'
import { UserMemory } from '../iov/user-memory.ts'
import { IovIter } from '../iov/iov-iter.ts'
import { type Kernel, run } from '../kernel/kernel.ts'
import { COUNTERS } from '../kernel/ledger.ts'
import { getBlock } from '../strategies/get-block.ts'
import { invalidateSplice } from '../strategies/invalidate-splice.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../strategies/reserve-copy-allocate.ts'
import { BoundedVerbs, interleave, runs, scheduled, sourceOf, stage, type Stage, take } from '../strategies/stage.test-util.ts'
import type { AnyStrategy } from './strategy.ts'
import { Write } from './write.ts'
import { writePlain } from './perform-write.ts'
import { noted, PAGE, PatientVerbs, slow, write } from './perform-write.test-util.ts'

describe('a short copy', () => {
  test('is tried again, shorter, until what is readable is written', () => {
    const { log, s } = noted(reserveAllocate)
    expect(take(write(s, 'a', 12_000, 0, 5_000))).toBe(5_000)
    expect(log.filter((l) => /begin|end/.test(l))).toEqual([
      'begin 0+12000 alone', 'end 4096 of 12000', 'begin 4096+7904 alone', 'end 0 of 7904',
      'begin 4096+904 alone', 'end 904 of 904',
    ])
    expect(runs(s)).toBe('5000a')
  })

  test('in uptodate blocks counts byte by byte, and nothing is copied twice', () => {
    const { log, s } = noted(reserveAllocate)
    take(write(s, 'a', 12_000))
    log.length = 0
    const { copiedBytes } = s.ledger
    expect(take(write(s, 'b', 12_000, 0, 5_000))).toBe(5_000)
    expect(s.ledger.copiedBytes - copiedBytes).toBe(5_000)
    expect(log.filter((l) => l.startsWith('put'))).toEqual(['put 0: 4096 of 0+4096', 'put 1: 904 of 0+4096'])
    expect(runs(s)).toBe('5000b7000a')
  })

  test('leaves the folios after it alone', () => {
    const { log, s } = noted(reserveCopyAllocate)
    expect(take(write(s, 'a', 12_000, 0, 2_000))).toBe(2_000)
    expect(log.filter((l) => /put|commit/.test(l))).toEqual([
      'put 0: 0 of 0+4096', 'put 1: 0 of 0+4096', 'put 2: 0 of 0+3808', 'commit 0+2000', 'put 0: 2000 of 0+2000',
    ])
    expect(s.ledger.iterations).toBe(2)
  })

  test('counts its whole blocks where the folio holds several', () => {
    const { log, s } = noted(reserveAllocate, { blockSize: 1024 })
    expect(take(write(s, 'a', 4_000, 0, 2_500))).toBe(2_500)
    expect(log.filter((l) => l.startsWith('put')))
      .toEqual(['put 0: 2048 of 0+4000', 'put 0: 0 of 2048+1952', 'put 0: 452 of 2048+452'])
  })
})

describe('the source', () => {
  test('of which nothing can be read is EFAULT, before any hook', () => {
    const { log, s } = noted(reserveAllocate)
    expect(write(s, 'a', 5_000, 0, 0)).toMatchObject({ left: 'EFAULT' })
    expect(log).toEqual([])
  })

  test('must be readable as a whole where the design claims so', () => {
    const all = { ...reserveAllocate, claims: { ...reserveAllocate.claims, faultIn: 'all' } } as const
    const { log, s } = noted(all)
    expect(write(s, 'a', 5_000, 0, 4_999)).toMatchObject({ left: 'EFAULT' })
    expect(log).toEqual([])
    expect(take(s.posix.pwriteFrom(s.fd, sourceOf(5_000, 'a', 5_000, true), 0))).toBe(5_000)
    expect(runs(s)).toBe('5000a')
  })

  test('may be absent over cached and mapped pages: it is brought in first', () => {
    const s = stage(reserveAllocate)
    take(write(s, 'a', 5_000))
    expect(take(s.posix.pwriteFrom(s.fd, sourceOf(5_000, 'b', 5_000, true), 0))).toBe(5_000)
    expect(runs(s)).toBe('5000b')
  })

  test('that is taken away again and again ends the write, not the world', () => {
    const s = stage(reserveAllocate)
    const memory = new UserMemory(Buffer.alloc(3 * PAGE, 'a'), { choices: { choose: () => 1 }, takeAways: 3 })
    memory.mark(0, memory.size, 'absent')
    expect(take(s.posix.pwriteFrom(s.fd, new IovIter(memory, [{ addr: 0, len: 3 * PAGE }]), 0))).toBe(3 * PAGE)
    expect(runs(s)).toBe(`${3 * PAGE}a`)
  })

  test('is copied by page faults only where the design says so', () => {
    let faulting = 0
    class Counts extends BoundedVerbs {
      override *copy(...args: Parameters<BoundedVerbs['copy']>): Kernel<number> {
        if (args[5]) faulting++
        return yield* super.copy(...args)
      }
    }
    const absent = (base: AnyStrategy, source = sourceOf(5_000, 'a', 5_000, true), choices = slow) => {
      faulting = 0
      const s = stage(base, { verbs: Counts, choices })
      expect(take(s.posix.pwriteFrom(s.fd, source, 0))).toBe(5_000)
      return faulting
    }
    expect(absent(invalidateSplice)).toBe(2)
    expect(absent(reserveAllocate)).toBe(0)
    expect(absent(invalidateSplice, sourceOf(5_000, 'a'))).toBe(0)
    expect(absent(reserveAllocate, sourceOf(5_000, 'a'), scheduled)).toBe(0)
    expect(absent(invalidateSplice, sourceOf(5_000, 'a'), scheduled)).toBe(2)
  })

  test('under a scheduler is copied in steps between which others run', () => {
    for (const base of [reserveAllocate, invalidateSplice]) {
      const s = stage(base, { choices: scheduled })
      let seen = 0
      take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(PAGE, 'a'), 0), /^copy$/, () => seen++, 2))
      expect(seen).toBe(1)
    }
  })
})

describe('a mapping that went stale', () => {
  const disturbed = (times: number, base: AnyStrategy = reserveAllocate, verbs = BoundedVerbs) => {
    const { log, s } = noted(base)
    const inner = s.fs.strategy
    let left = times
    const outer = stage({
      ...inner,
      *getFolio(k, w, m, pos, n) {
        const f = yield* inner.getFolio!(k, w, m, pos, n)
        if (pos >= PAGE && left-- > 0) w.inode.map.seq++
        return f
      },
    }, { verbs })
    return { log, s: outer }
  }

  test('ends with what was written, and is asked again', () => {
    const { log, s } = disturbed(1)
    expect(take(write(s, 'a', 12_000))).toBe(12_000)
    expect(s.ledger.restarts).toBe(1)
    expect(log).toEqual([
      'begin 0+12000 alone', 'get 0+12000', 'commit 0+4096', 'put 0: 4096 of 0+4096',
      'get 4096+7904', 'put 1: 0 of 0+4096', 'end 4096 of 12000',
      'begin 4096+7904 alone', 'get 4096+7904', 'commit 4096+4096', 'put 1: 4096 of 0+4096',
      'get 8192+3808', 'commit 8192+3808', 'put 2: 3808 of 0+3808', 'end 7904 of 7904',
    ])
    expect(runs(s)).toBe('12000a')
  })

  test('for ever is a livelock, and a bug that throws', () => {
    const { s } = disturbed(Infinity, reserveAllocate, PatientVerbs)
    expect(() => write(s, 'a', 12_000)).toThrow(/^livelock: .* stays at 4096 after 1001 turns/)
  })
})

describe('a cached folio by which `mapped` said yes, and that is reclaimed before it is locked', () => {
  test.each([[getBlock, 1], [reserveAllocate, 0]] as const)(
    '$name: its edges are read; where nothing was looked up the design is asked first',
    (strategy, restarts) => {
      const s = stage(strategy, { choices: scheduled })
      take(write(s, 'o', PAGE))
      take(s.posix.sync())
      const reclaim = () => s.fs.verbs.removeFolio(s.inode.pages!.find(0)!)
      take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(100, 'n'), 50), /^folio lock/, reclaim))
      expect(s.ledger.restarts).toBe(restarts)
      expect(runs(s)).toBe('50o100n3946o')
    })
})

describe('the plain prefix', () => {
  /** The same writes with and without the prefix: bytes, and all counts but look-ups. */
  const both = (strategy: AnyStrategy, act: (s: Stage) => void, props: Parameters<typeof stage>[1] = {}) => {
    const said = [undefined, slow].map((choices) => {
      const s = stage(strategy, { ...props, ...(choices && { choices }) })
      act(s)
      const counts = COUNTERS.filter((c) => c !== 'mapLookups').map((c) => `${c} ${s.ledger[c]}`)
      return [runs(s), ...counts, `size ${s.inode.size}`, `dirty ${s.cache.dirtyPages}`]
    })
    expect(said[0]).toEqual(said[1])
    return said[0]![0]
  }

  test.each([reserveAllocate, getBlock, reserveCopyAllocate])('of $name is the generator, without one', (strategy) => {
    for (const props of [{}, { blockSize: 1024 }, { maxFolioOrder: 3 }]) {
      const bytes = both(strategy, (s) => {
        take(write(s, 'a', 20_000))
        expect(take(write(s, 'b', 9_000, 3_000))).toBe(9_000)
        take(write(s, 'c', 10, 4_091))
        expect(take(write(s, 'd', 9_000, 15_000))).toBe(9_000)
        take(write(s, 'e', 50, 24_100))
        take(s.posix.ftruncate(s.fd, 70_000))
        take(write(s, 'f', 300, 20_000))
      }, props)
      expect(bytes).toBe('3000a1091b10c7899b3000a5000d300f3700d100.50e45850.')
    }
  })

  test('ends at the first page that is not cached, and the generator goes on', () => {
    expect(both(reserveAllocate, (s) => {
      take(write(s, 'a', 6 * PAGE))
      take(s.posix.fallocate(s.fd, 'allocate', 0, 12 * PAGE))
      take(write(s, 'b', 9 * PAGE, PAGE))
    })).toBe(`${PAGE}a${9 * PAGE}b${2 * PAGE}.`)
  })

  test('leaves a partly covered block that is not uptodate to the generator, uncounted', () => {
    const cutOff = (s: Stage) => {
      take(write(s, 'a', 3 * PAGE))
      take(s.posix.sync())
      const f = s.inode.pages!.find(1)!
      s.fs.verbs.forgetClean(f, 0, PAGE)
      take(write(s, 'b', PAGE + 100))
    }
    expect(both(reserveAllocate, cutOff)).toBe(`${PAGE + 100}b${2 * PAGE - 100}a`)
  })

  const prepared = (strategy: AnyStrategy, len: number, done = 0): { s: Stage; w: Write; go: () => void } => {
    const s = stage(strategy)
    take(write(s, 'a', 3 * PAGE))
    const w = new Write(s.fs, s.inode, s.inode.pages!).reset(0, len, sourceOf(len, 'b'), false, false)
    w.done = done
    const { mapping } = take(run(s.posix.sys.file(s.fd)))
    return { s, w, go: () => writePlain(s.fs.verbs, strategy, w, mapping) }
  }

  test('stops at a locked folio: its owner is not waited for', () => {
    const { s, w, go } = prepared(reserveAllocate, 3 * PAGE)
    const f = s.inode.pages!.find(1)!
    f.locked = true
    go()
    expect(w.done).toBe(PAGE)
    f.locked = false
    expect(runs(s)).toBe(`${PAGE}b${2 * PAGE}a`)
  })

  test('is nothing for a design without `mapped`, for one that says no, and for a source that may fault', () => {
    const { mapped: _mapped, ...without } = reserveAllocate
    for (const strategy of [without as AnyStrategy, { ...reserveAllocate, mapped: () => false }]) {
      const { s, w, go } = prepared(strategy, PAGE)
      go()
      expect([w.done, runs(s)]).toEqual([0, `${3 * PAGE}a`])
    }
    const { s, w, go } = prepared(reserveAllocate, PAGE)
    w.source = sourceOf(PAGE, 'b', PAGE, true)
    go()
    expect([w.done, runs(s)]).toEqual([0, `${3 * PAGE}a`])
  })

  test('leaves all folios unlocked and moves i_size only where the write ends past it', () => {
    const { s, go } = prepared(reserveAllocate, PAGE)
    go()
    expect(s.inode.size).toBe(3 * PAGE)
    expect(s.inode.pages!.inRange(0, 9).map((f) => f.locked)).toEqual([false, false, false])
  })
})
