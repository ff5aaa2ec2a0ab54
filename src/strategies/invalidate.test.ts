/** The two designs that copy into private folios: what happens to the cached one between get and commit. */
import { describe, expect, test } from 'vitest'
import { mmapStore, pinForDma } from '../fs/mmap.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import type { Errno } from '../kernel/errno.ts'
import { Failure, type Kernel } from '../kernel/kernel.ts'
import type { Folio } from '../pagecache/folio.ts'
import { fits, invalidateSplice } from './invalidate-splice.ts'
import { invalidateThenAdd } from './invalidate-then-add.ts'
import { balanced, during, folio, PAGE, readPage, remove, write } from './private.test-util.ts'
import {
  cold, failing, interleave, now, type Props, runs, scheduled, sourceOf, space, stage, type Stage, take,
} from './stage.test-util.ts'

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
