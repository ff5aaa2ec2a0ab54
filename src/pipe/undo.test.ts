/** Pages out of a pipe into a file, and a write that fails or ends early: what stands is the file's, the rest is in the pipe again. */
import { right } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import type { AnyStrategy } from '../fs/strategy.ts'
import { PAGE } from '../kernel/units.ts'
import { strategies } from '../strategies/index.ts'
import { uncached } from '../strategies/dontcache.ts'
import { getBlock } from '../strategies/get-block.ts'
import { invalidateSplice } from '../strategies/invalidate-splice.ts'
import { lockAllFolios } from '../strategies/lock-all-folios.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../strategies/reserve-copy-allocate.ts'
import {
  cold, cost, failing, interleave, type Props, runs, scheduled, space, stage, type Stage, take,
} from '../strategies/stage.test-util.ts'
import type { Pipe } from './pipe.ts'
import { STOLEN } from './pipe-buffer.ts'
import { Pipes } from './pipes.ts'
import { spliceToFile } from './splice.ts'

/** A stage, and a pipe that holds a page of each of these letters. */
const piped = (strategy: AnyStrategy, letters: string, props: Props = {}): { s: Stage; pipes: Pipes; pipe: Pipe } => {
  const s = stage(strategy, props)
  const pipes = new Pipes(s.posix)
  const pipe = pipes.pipe()
  for (const letter of letters) take(pipes.write(pipe, Buffer.alloc(PAGE, letter)))
  return { s, pipes, pipe }
}

/** What is left in the pipe: a letter a page. */
const left = (pipes: Pipes, pipe: Pipe): string => {
  const into = Buffer.alloc(pipe.bytes)
  if (into.length > 0) take(pipes.read(pipe, into))
  return into.toString().replace(/(.)\1*/g, (run, letter: string) => (run.length === PAGE ? letter : `${run.length}${letter}`))
}

describe('the second of two pages has no folio', () => {
  test('the first one stands, and is no page of the pipe any more', () => {
    const { s, pipes, pipe } = piped(getBlock, 'ab', { choices: failing('ENOSPC.allocate', (n) => n === 2) })
    expect(pipes.toFile(pipe, s.fd, 0, 2 * PAGE)).toEqual(right(PAGE))
    expect(left(pipes, pipe)).toBe('b')
    expect(runs(s)).toBe(`${PAGE}a`)
    expect(runs(cold(s))).toBe(`${PAGE}a`)
  })

  test('the first one stands where all are locked together, too', () => {
    const { s, pipes, pipe } = piped(lockAllFolios, 'ab', { choices: failing('ENOSPC.reserve', (n) => n > 1) })
    expect(pipes.toFile(pipe, s.fd, 0, 2 * PAGE)).toEqual(right(PAGE))
    expect(left(pipes, pipe)).toBe('b')
    expect(runs(cold(s))).toBe(`${PAGE}a`)
  })

  test.each([lockAllFolios, reserveCopyAllocate])('it is in the pipe again, and nothing of it in the file: $name', (strategy) => {
    const { s, pipes, pipe } = piped(strategy, 'ab', { choices: failing('ENOSPC.reserve') })
    take(s.posix.ftruncate(s.fd, 2 * PAGE))
    expect(pipes.toFile(pipe, s.fd, 0, 2 * PAGE)).toMatchObject({ left: 'ENOSPC' })
    expect([s.inode.pages!.pages, space(s)]).toEqual([0, { real: 0, delayed: 0, reserved: 0 }])
    expect(left(pipes, pipe)).toBe('ab')
    expect(s.ledger.pagesReturned).toBe(s.ledger.pagesStolen)
  })
})

describe('a commit that fails', () => {
  test.each([reserveCopyAllocate, invalidateSplice])('at once: all pages are in the pipe, and not in the file ($name)', (strategy) => {
    const { s, pipes, pipe } = piped(strategy, 'abc', { choices: failing('ENOMEM.record') })
    expect(pipes.toFile(pipe, s.fd, 0, 3 * PAGE)).toMatchObject({ left: 'ENOMEM' })
    expect([s.inode.pages!.pages, s.inode.size, space(s)]).toEqual([0, 0, { real: 0, delayed: 0, reserved: 0 }])
    expect(left(pipes, pipe)).toBe('abc')
  })

  test.each([reserveCopyAllocate, invalidateSplice])('after the first page: that one stands ($name)', (strategy) => {
    const on = { value: false }
    let n = 0
    const { s, pipes, pipe } = piped(strategy, 'abc', { choices: failing('ENOMEM.record', () => on.value && ++n > 1) })
    // Data in the middle, and out of the cache again: two records, and the second one fails.
    take(s.posix.pwrite(s.fd, Buffer.alloc(PAGE, 'x'), PAGE))
    const t = cold(s)
    on.value = true
    expect(pipes.toFile(pipe, t.fd, 0, 3 * PAGE)).toEqual(right(2 * PAGE))
    expect(left(pipes, pipe)).toBe('c')
    expect(runs(t)).toBe(`${PAGE}a${PAGE}b`)
    expect(runs(cold(t))).toBe(`${PAGE}a${PAGE}b`)
  })
})

describe('a commit that ends within a page', () => {
  /** `commit` lets `bytes` stand, once; counted in blocks of 1024. */
  const cutting = (bytes: number): AnyStrategy => {
    let cuts = 0
    return {
      ...reserveAllocate, unit: 'write',
      *commit(_k, _w, _m, _from, n) {
        return cuts++ === 0 ? Math.min(n, bytes) : n
      },
    }
  }

  test('that page goes back and is taken at the next try: the file never holds a half of it', () => {
    const { s, pipes, pipe } = piped(cutting(PAGE + 1024), 'ab', { blockSize: 1024 })
    expect(pipes.toFile(pipe, s.fd, 0, 2 * PAGE)).toEqual(right(2 * PAGE))
    expect(runs(s)).toBe(`${PAGE}a${PAGE}b`)
    expect([s.ledger.pagesStolen, s.ledger.pagesReturned, pipe.bytes]).toEqual([3, 1, 0])
  })

  test('if nothing stands before it, the write is copied: it must come further', () => {
    const { s, pipes, pipe } = piped(cutting(1024), 'ab', { blockSize: 1024 })
    expect(pipes.toFile(pipe, s.fd, 0, 2 * PAGE)).toEqual(right(2 * PAGE))
    expect(runs(s)).toBe(`${PAGE}a${PAGE}b`)
    expect([s.ledger.pagesReturned, s.ledger.refusedUndo]).toEqual([2, 2])
  })
})

describe('past the end', () => {
  test.each(strategies.filter((s) => s.offers !== 'ignored'))('pages are taken and nothing is copied: $name', (strategy) => {
    for (const blockSize of strategy.name.startsWith('prepare-copy') ? [4096] : [1024, 4096]) {
      const { s, pipes, pipe } = piped(strategy, 'ab', { blockSize })
      const moved = cost(s, () => take(pipes.toFile(pipe, s.fd, 0, 2 * PAGE)))
      expect(moved).toMatch(/pagesStolen 2/)
      expect(moved).not.toMatch(/copies|pagesReturned|refused/)
      expect(runs(cold(s))).toBe(`${PAGE}a${PAGE}b`)
    }
  })
})

test.each(strategies)('a write into a page that was taken before is a write like any other: $name', (strategy) => {
  const { s, pipes, pipe } = piped(strategy, 'ab')
  take(pipes.toFile(pipe, s.fd, 0, 2 * PAGE))
  expect(take(s.posix.pwrite(s.fd, Buffer.alloc(PAGE, 'x'), 100))).toBe(PAGE)
  expect(runs(cold(s))).toBe(`100a${PAGE}x${PAGE - 100}b`)
})

describe('below a hole inside the file', () => {
  test.each([reserveCopyAllocate, lockAllFolios, uncached(reserveCopyAllocate)])(
    'a page is taken where the undo is one of the map: $name, $summary', (strategy) => {
      const { s, pipes, pipe } = piped(strategy, 'ab')
      take(s.posix.ftruncate(s.fd, 2 * PAGE))
      expect(cost(s, () => take(pipes.toFile(pipe, s.fd, 0, 2 * PAGE)))).toMatch(/pagesStolen 2/)
      expect(runs(cold(s))).toBe(`${PAGE}a${PAGE}b`)
    })
})

test('a page that stands is under way no more, while the next one is', () => {
  const { s, pipe } = piped(getBlock, 'abc', { choices: scheduled })
  const seen: boolean[] = []
  const look = (): void => void seen.push(...[0, 1, 2].map((i) => (pipe.at(i).flags & STOLEN) !== 0))
  // A page is copied in two steps.
  take(interleave(spliceToFile(s.posix.sys, pipe, s.fd, PAGE, 3 * PAGE, ['SPLICE_F_MOVE']), /^copy$/, look, 3))
  expect(seen).toEqual([false, true, false])
})

test('a source that gives pages away holds the inode lock, where a copied write would do without', () => {
  const { s, pipe } = piped(lockAllFolios, 'a', { choices: scheduled })
  take(s.posix.ftruncate(s.fd, PAGE))
  const seen: boolean[] = []
  take(interleave(spliceToFile(s.posix.sys, pipe, s.fd, 0, PAGE, ['SPLICE_F_MOVE']), /^copy$/, () => seen.push(s.inode.rwsem.exclusive)))
  expect(seen).toEqual([true])
})
