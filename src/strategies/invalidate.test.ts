/** The two designs that copy into private folios: what happens to the cached one between get and commit. */
import { describe, expect, test } from 'vitest'
import { mmapStore, pinForDma } from '../fs/mmap.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import type { Errno } from '../kernel/errno.ts'
import { Failure, type Kernel } from '../kernel/kernel.ts'
import { type Folio, UPTODATE } from '../pagecache/folio.ts'
import { fits, invalidateSplice } from './invalidate-splice.ts'
import { invalidateThenAdd } from './invalidate-then-add.ts'
import {
  cold, failing, interleave, now, type Props, runs, scheduled, sourceOf, space, stage, type Stage, take,
} from './stage.test-util.ts'

const PAGE = 4096
const write = (s: Stage, fill: string, len: number, pos = 0) => s.posix.pwriteFrom(s.fd, sourceOf(len, fill), pos)
const folio = (s: Stage, page = 0): Folio => s.inode.pages!.find(page)!
/** Everything that the cache hands out is in the file: no private folio, no pin, no lock is left. */
const balanced = (s: Stage): boolean => {
  const all = s.inode.pages!.inRange(0, 1 << 20)
  const cached = s.fs.cachedInodes().flatMap((i) => i.pages?.inRange(0, 1 << 20) ?? [])
  const quiet = (f: Folio) => !f.locked && f.pins === 0 && f.old === null && f.dirty === f.dirtySlot >= 0
  return s.cache.usedPages === cached.reduce((n, f) => n + f.pages, 0) && all.every(quiet)
}
/** Read a page into the cache, and no other. */
const readPage = (s: Stage, page: number) => take(s.posix.mmapLoad(s.fd, page * PAGE, Buffer.alloc(1)))
/** Throw a folio out of the cache, as truncation does. */
const remove = (s: Stage, page: number) => s.fs.verbs.removeFolio(folio(s, page))

/** One page of `o` and then some, synced; `len` bytes of `n` at `pos` are written, and `act` is done at a copy step. */
const during = (
  base: AnyStrategy, [pos, len]: readonly [number, number], act: (s: Stage) => void,
  props: Props & { at?: RegExp; size?: number } = {},
) => {
  const { at = /^copy$/, size = 2 * PAGE, ...rest } = props
  const s = stage(base, { choices: scheduled, ...rest })
  if (size > 0) take(write(s, 'o', size))
  take(s.posix.sync())
  const seen: string[] = []
  const outcome = interleave(s.posix.sys.pwrite(s.fd, sourceOf(len, 'n'), pos), at, () => act(s), 1, seen)
  return { s, outcome, seen }
}

describe.each([invalidateSplice, invalidateThenAdd])('$name', (strategy) => {
  test('a whole page that is not cached is written without an old one', () => {
    const s = stage(strategy)
    take(write(s, 'a', PAGE))
    expect([s.ledger.pagesAllocated, s.ledger.foliosAdded, s.ledger.innerBytes]).toEqual([1, 1, 0])
    take(write(s, 'b', PAGE - 1, PAGE))
    expect([s.ledger.pagesAllocated, s.ledger.innerBytes]).toEqual([3, 1])
    take(write(s, 'c', PAGE - 1, 2 * PAGE + 1))
    expect([s.ledger.pagesAllocated, s.ledger.innerBytes]).toEqual([5, 2])
    expect(balanced(s)).toBe(true)
    expect(runs(s)).toBe(`${PAGE}a${PAGE - 1}b2.${PAGE - 1}c`)
  })

  test('a folio under writeback may be copied from, and is waited for before it is replaced', () => {
    const s = stage(strategy, { choices: scheduled })
    take(write(s, 'o', PAGE))
    take(s.posix.sync())
    folio(s).writeback = true
    const seen: string[] = []
    const done = () => void (folio(s).writeback = false)
    take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(100, 'n'), 50), /^writeback/, done, 1, seen))
    expect(seen.indexOf('copy')).toBeGreaterThanOrEqual(0)
    expect(seen.indexOf('copy')).toBeLessThan(seen.findIndex((l) => l.startsWith('writeback')))
    expect(runs(s)).toBe('50o100n3946o')
  })

  test('memory that runs out for the private folio is ENOMEM, and the old one is let go', () => {
    for (const [pos, len, instance] of [[50, 100, 0], [0, PAGE, 0], [50, 2 * PAGE, 1]] as const) {
      let visits = -1
      const on = { value: false }
      const s = stage(strategy, { choices: failing('ENOMEM.private', () => on.value && ++visits >= instance) })
      take(write(s, 'o', 3 * PAGE))
      on.value = true
      const outcome = write(s, 'n', len, pos)
      if (instance === 0) expect(outcome).toMatchObject({ left: 'ENOMEM' })
      else expect(take(outcome)).toBe(PAGE - pos)
      expect(balanced(s)).toBe(true)
    }
  })

  test('memory that runs out where no folio was cached is ENOMEM as well', () => {
    const s = stage(strategy, { choices: failing('ENOMEM.private') })
    expect(write(s, 'n', PAGE)).toMatchObject({ left: 'ENOMEM' })
    expect(balanced(s)).toBe(true)
  })

  test('an old folio that cannot be read is EIO, and nothing is left', () => {
    const s = stage(strategy, { choices: failing('EIO.read') })
    take(write(s, 'o', PAGE))
    const t = cold(s)
    expect(write(t, 'n', 100, 50)).toMatchObject({ left: 'EIO' })
    expect(balanced(t)).toBe(true)
  })

  test('with a mapping that is stale already, no block is read by it: it may be somebody else\'s by now', () => {
    let stale = true
    const s = stage({
      ...strategy,
      *getFolio(k, w, m, pos, n) {
        if (stale && w.inode.size > 0) {
          stale = false
          yield* w.fs.punch(k, w.inode, 0, 1)
        }
        return yield* strategy.getFolio!(k, w, m, pos, n)
      },
    })
    stale = false
    take(write(s, 'o', PAGE))
    const t = cold(s)
    stale = true
    expect(take(write(t, 'n', 100, 50))).toBe(100)
    expect(t.ledger.restarts).toBe(1)
    expect(runs(t)).toBe('50.100n3946.')
  })

  test('what was recorded short is taken short, inside a folio too', () => {
    let asked = 0
    const on = { value: false }
    const choices = failing('ENOMEM.record', () => on.value && ++asked > 1)
    const s = stage(strategy, { blockSize: 1024, choices })
    take(write(s, 'o', 1024, 5 * 1024))
    take(s.posix.ftruncate(s.fd, 2 * PAGE))
    take(s.posix.sync())
    runs(s)
    on.value = true
    // Blocks 0 to 4 are recorded, 5 is there, 6 and 7 are not.
    expect(take(write(s, 'n', 2 * PAGE - 100))).toBe(6 * 1024)
    on.value = false
    expect(balanced(s)).toBe(true)
    expect(space(s)).toMatchObject({ delayed: 5, reserved: 0 })
    expect(runs(s)).toBe('6144n2048.')
    expect(runs(cold(s))).toBe('6144n2048.')
  })
})

describe('invalidate-splice, between get and commit', () => {
  const done = ({ s, outcome }: ReturnType<typeof during>, bytes: string) => {
    take(outcome)
    expect(runs(s)).toBe(bytes)
    expect(balanced(s)).toBe(true)
    expect(runs(cold(s))).toBe(bytes)
  }

  test('the old folio is pinned, so that it is not reclaimed', () => {
    let pins = 0
    done(during(invalidateSplice, [50, 100], (s) => void (pins = folio(s).pins)), '50o100n8042o')
    expect(pins).toBe(1)
  })

  test('a store through a mapping beside the written bytes is not lost', () => {
    const play = during(invalidateSplice, [50, 100], (s) => {
      now(mmapStore(s.fs.verbs, s.fs, s.inode, 10, Buffer.from('m')))
    })
    done(play, '10o1m39o100n8042o')
  })

  test('a device that pins the page meanwhile keeps it: the bytes are copied in place', () => {
    let old: Folio | null = null
    const play = during(invalidateSplice, [50, 100], (s) => {
      now(pinForDma(s.fs.verbs, s.fs, s.inode, 0))
      old = folio(s)
    })
    take(play.outcome)
    expect(folio(play.s) === old).toBe(true)
    expect([folio(play.s).pins, folio(play.s).locked]).toEqual([1, false])
    folio(play.s).pins--
    done(play, '50o100n8042o')
  })

  test('another folio that took the place of the one that supplied the edges: all of it is done again', () => {
    const play = during(invalidateSplice, [50, 100], (s) => {
      remove(s, 0)
      readPage(s, 0)
    })
    expect(play.s.ledger.begins).toBe(1 + 2)
    done(play, '50o100n8042o')
  })

  test('no folio any more in its place: done again, as its edges may be old', () => {
    const play = during(invalidateSplice, [50, 100], (s) => remove(s, 0))
    expect(play.s.ledger.begins).toBe(1 + 2)
    done(play, '50o100n8042o')
  })

  test('no folio any more, but the whole page is written: it is put in', () => {
    const play = during(invalidateSplice, [0, PAGE], (s) => remove(s, 0))
    expect(play.s.ledger.begins).toBe(1 + 1)
    take(play.outcome)
    expect(runs(play.s)).toBe(`${PAGE}n${PAGE}o`)
  })
})

/** A whole folio is written over a hole that is not cached; meanwhile somebody reads. */
const overHole = (act: (s: Stage) => void, maxFolioOrder = 0, at = /^copy$/) => {
  const s = stage(invalidateSplice, { choices: scheduled, maxFolioOrder })
  take(s.posix.ftruncate(s.fd, 4 * PAGE))
  const seen: string[] = []
  const kernel = s.posix.sys.pwrite(s.fd, sourceOf(PAGE << maxFolioOrder, 'n'), 0)
  const outcome = interleave(kernel, at, () => act(s), 1, seen)
  return { s, outcome, seen }
}

describe('invalidate-splice, over a hole that somebody reads meanwhile', () => {
  test('the folio of the same size is replaced', () => {
    const { s, outcome } = overHole((t) => readPage(t, 0))
    take(outcome)
    expect([s.ledger.begins, s.ledger.foliosReplaced]).toEqual([1, 1])
    expect(balanced(s)).toBe(true)
    expect(runs(s)).toBe(`${PAGE}n${3 * PAGE}.`)
  })

  test('one that is pinned is copied into', () => {
    let kept: Folio | null = null
    const { s, outcome } = overHole((t) => {
      readPage(t, 0)
      kept = folio(t)
      kept.pins++
    })
    take(outcome)
    expect(folio(s) === kept).toBe(true)
    expect(s.ledger.foliosReplaced).toBe(0)
    folio(s).pins--
    expect(balanced(s)).toBe(true)
    expect(runs(s)).toBe(`${PAGE}n${3 * PAGE}.`)
    expect(runs(cold(s))).toBe(`${PAGE}n${3 * PAGE}.`)
  })

  test.each([0, 1])('a smaller one, of page %i of two, is in the way: all of it is done again', (page) => {
    const { s, outcome } = overHole((t) => readPage(t, page), 1)
    take(outcome)
    expect(s.ledger.begins).toBe(2)
    expect(balanced(s)).toBe(true)
    expect(runs(s)).toBe(`${2 * PAGE}n${2 * PAGE}.`)
  })

  test('a folio that leaves the cache although it is pinned, as nothing can make it, is let go and freed', () => {
    let old: Folio | null = null
    const s = stage(invalidateSplice, { choices: scheduled })
    take(s.posix.ftruncate(s.fd, 4 * PAGE))
    readPage(s, 0)
    take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(PAGE, 'n'), 0), /^copy$/, () => {
      old = folio(s)
      s.fs.verbs.removeFolio(old)
      expect([old.pins, old.home]).toEqual([1, null])
    }))
    expect([old!.pins, s.cache.usedPages]).toEqual([0, 1])
    expect(balanced(s)).toBe(true)
    expect(runs(s)).toBe(`${PAGE}n${3 * PAGE}.`)
  })

  test.each([null, 0, 2])(
    'one that is gone when its lock is free is not touched: its place is looked up again (page %o is read meanwhile)',
    (again) => {
      let locked: Folio | null = null
      const s = stage(invalidateSplice, { choices: scheduled })
      take(s.posix.ftruncate(s.fd, 4 * PAGE))
      // The reader's folio is locked at the copy, and leaves the cache while commit waits for it.
      const kernel = s.posix.sys.pwrite(s.fd, sourceOf(PAGE, 'n'), 0)
      const outer = interleave(kernel, /^copy$/, () => {
        readPage(s, 0)
        locked = folio(s)
        const { lockOp } = locked
        const ready = lockOp.ready
        locked.locked = true
        let looked = false
        lockOp.ready = () => {
          if (!looked) {
            looked = true
            s.fs.verbs.removeFolio(locked!)
            if (again !== null) {
              readPage(s, again)
              // Who waits for the lock keeps the memory.
              expect(folio(s, again) === locked).toBe(false)
            }
          }
          return ready()
        }
      })
      take(outer)
      expect(s.ledger.begins).toBe(1)
      expect(balanced(s)).toBe(true)
      expect(runs(s)).toBe(`${PAGE}n${3 * PAGE}.`)
    })
})

describe('each cause of an errno has its own code', () => {
  /** The codes of what the hooks raise. */
  const codes = (strategy: AnyStrategy, props: Props, act: (s: Stage) => void): readonly string[] => {
    const said: string[] = []
    const noting = (hook: 'getFolio' | 'commit') =>
      function* (...args: never[]): Kernel<unknown, Errno> {
        try {
          return yield* (strategy[hook] as (...args: never[]) => Kernel<unknown, Errno>)(...args)
        } catch (e) {
          if (e instanceof Failure) said.push(`${e.errno} by ${e.code}`)
          throw e
        }
      }
    act(stage({ ...strategy, getFolio: noting('getFolio'), commit: noting('commit') } as AnyStrategy, props))
    return said
  }
  const noPrivate = (on: { value: boolean }): Props => ({ choices: failing('ENOMEM.private', () => on.value) })

  test.each([invalidateSplice, invalidateThenAdd])('$name: memory', (strategy) => {
    const on = { value: true }
    expect(codes(strategy, noPrivate(on), (s) => void write(s, 'a', PAGE))).toEqual(['ENOMEM by ENOMEM.private'])
    expect(codes(strategy, noPrivate(on), (s) => {
      on.value = false
      take(write(s, 'a', PAGE))
      on.value = true
      write(s, 'b', 10)
    })).toEqual(['ENOMEM by ENOMEM.private'])
  })

  test('invalidate-then-add: refused, and somebody else was first', () => {
    expect(codes(invalidateThenAdd, {}, (s) => {
      take(write(s, 'a', PAGE))
      folio(s).pins++
      write(s, 'b', PAGE)
    })).toEqual(['EBUSY by EBUSY.invalidate'])
    expect(codes(invalidateThenAdd, { choices: scheduled }, (s) => {
      take(write(s, 'a', PAGE))
      take(s.posix.sync())
      const kernel = s.posix.sys.pwrite(s.fd, sourceOf(PAGE, 'b'), 0)
      interleave(kernel, /between invalidate and add/, () => readPage(s, 0))
    })).toEqual(['EBUSY by EBUSY.exists'])
  })
})

describe('which folio may be replaced', () => {
  const at = (index: number, order: number, old: object | null = null) =>
    ({ index, order, old, size: PAGE << order }) as unknown as Folio

  test('the one that supplied the edges, for a write of any length', () => {
    const old = at(0, 0)
    expect(fits(at(0, 0, old), old, 1)).toBe(true)
    expect(fits(at(0, 0), null, 1)).toBe(true)
  })

  test('another one for a write of the whole folio only, at the same place and of the same size', () => {
    expect(fits(at(4, 1), at(4, 1), 2 * PAGE)).toBe(true)
    expect(fits(at(4, 1), at(4, 1), 2 * PAGE - 1)).toBe(false)
    expect(fits(at(4, 1), at(5, 1), 2 * PAGE)).toBe(false)
    expect(fits(at(4, 1), at(4, 0), 2 * PAGE)).toBe(false)
    expect(fits(at(4, 1, at(4, 1)), at(4, 1), 100)).toBe(false)
  })

  test('none: for a write of the whole folio, whatever was there', () => {
    expect(fits(at(4, 1, at(4, 1)), null, 2 * PAGE)).toBe(true)
    expect(fits(at(4, 1, at(4, 1)), null, 2 * PAGE - 1)).toBe(false)
  })
})

describe('invalidate-then-add', () => {
  const gap = /between invalidate and add/

  test('a reader in the gap brings the old bytes back: EBUSY', () => {
    const { s, outcome } = during(invalidateThenAdd, [0, PAGE], (t) => readPage(t, 0), { at: gap })
    expect(outcome).toMatchObject({ left: 'EBUSY' })
    expect(runs(s)).toBe(`${2 * PAGE}o`)
    expect(balanced(s)).toBe(true)
  })

  test('a reader in the second gap: what was put in before it counts, and the rest is tried again', () => {
    const s = stage(invalidateThenAdd, { choices: scheduled })
    take(write(s, 'o', 2 * PAGE))
    take(s.posix.sync())
    const kernel = s.posix.sys.pwrite(s.fd, sourceOf(2 * PAGE, 'n'), 0)
    expect(take(interleave(kernel, gap, () => readPage(s, 1), 2))).toBe(2 * PAGE)
    expect(s.ledger.begins).toBe(1 + 2)
    expect(runs(s)).toBe(`${2 * PAGE}n`)
    expect(balanced(s)).toBe(true)
  })

  test('in the gap the old bytes are on the disk, and nothing is in the cache', () => {
    let seen: unknown = null
    const s = stage(invalidateThenAdd, { choices: scheduled })
    take(write(s, 'o', PAGE))
    const kernel = s.posix.sys.pwrite(s.fd, sourceOf(100, 'n'), 50)
    take(interleave(kernel, gap, () => void (seen = [s.inode.pages!.find(0), s.cache.dirtyPages])))
    expect(seen).toEqual([null, 0])
    expect(runs(s)).toBe('50o100n3946o')
  })

  test('a pinned page is EBUSY; after progress a short write', () => {
    for (const page of [0, 1]) {
      const s = stage(invalidateThenAdd)
      take(write(s, 'o', 2 * PAGE))
      folio(s, page).pins++
      const outcome = write(s, 'n', 2 * PAGE)
      folio(s, page).pins--
      if (page === 0) expect(outcome).toMatchObject({ left: 'EBUSY' })
      else expect(take(outcome)).toBe(PAGE)
      expect(s.ledger.invalidateRefused).toBeGreaterThan(0)
      expect(balanced(s)).toBe(true)
      expect(runs(s)).toBe(page === 0 ? `${2 * PAGE}o` : `${PAGE}n${PAGE}o`)
    }
  })

  test('old data that cannot be written back is EIO; after progress it is tried again, and is lost by then', () => {
    for (const page of [0, 1]) {
      const on = { value: false }
      const s = stage(invalidateThenAdd, { choices: failing('EIO.write', () => on.value) })
      take(write(s, 'o', 2 * PAGE))
      take(s.posix.sync())
      take(write(s, 'p', 10, page * PAGE))
      on.value = true
      const outcome = write(s, 'n', 2 * PAGE)
      on.value = false
      if (page === 0) expect(outcome).toMatchObject({ left: 'EIO' })
      else expect([take(outcome), s.ledger.begins]).toEqual([2 * PAGE, 2 + 2])
      expect(balanced(s)).toBe(true)
    }
  })

  test('page tables of the old folio are torn down: the next load sees the new bytes', () => {
    const s = stage(invalidateThenAdd)
    take(write(s, 'o', PAGE))
    take(s.posix.mmapLoad(s.fd, 0, Buffer.alloc(1)))
    const { unmaps } = s.ledger
    folio(s).pins++
    expect(write(s, 'x', PAGE)).toMatchObject({ left: 'EBUSY' })
    // Before it is asked whether the folio may go.
    expect(s.ledger.unmaps).toBe(unmaps + 1)
    folio(s).pins--
    take(s.posix.mmapLoad(s.fd, 0, Buffer.alloc(1)))
    take(write(s, 'n', PAGE))
    expect(s.ledger.unmaps).toBe(unmaps + 2)
    const into = Buffer.alloc(1)
    take(s.posix.mmapLoad(s.fd, 0, into))
    expect(into.toString()).toBe('n')
  })

  test('of the new folio only what was written is dirty: the rest was written back before it', () => {
    const s = stage(invalidateThenAdd, { blockSize: 1024 })
    take(write(s, 'o', PAGE))
    take(write(s, 'n', 100, 1100))
    expect([folio(s).dirtyBlocks, folio(s).uptodateBlocks]).toEqual([1, 4])
    const { dataBytes } = s.ledger
    take(s.posix.sync())
    expect(s.ledger.dataBytes - dataBytes).toBe(1024)
    expect(runs(cold(s))).toBe('1100o100n2896o')
  })

  test('a record that fails late leaves what was not asked for uptodate', () => {
    const on = { value: false }
    let asked = 0
    const s = stage(invalidateThenAdd, {
      blockSize: 1024, choices: failing('ENOMEM.record', () => on.value && ++asked > 1),
    })
    take(s.posix.ftruncate(s.fd, PAGE))
    for (const block of [1, 3]) take(write(s, 'd', 1024, block * 1024))
    take(s.posix.sync())
    runs(s)
    on.value = true
    // Block 0 is recorded, 1 is there, 2 is not.
    expect(take(write(s, 'n', 3 * 1024))).toBe(2 * 1024)
    expect([0, 1, 2, 3].map((b) => folio(s).bits(b * 1024) & UPTODATE)).toEqual([UPTODATE, UPTODATE, 0, UPTODATE])
    expect(runs(s)).toBe('2048n1024.1024d')
  })
})
