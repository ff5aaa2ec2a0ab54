/** The pipeline under a journal: which handle holds what, and what a write does where it gets none, or no space. */
import { describe, expect, test } from 'vitest'
import type { Choices } from '../kernel/choices.ts'
import { run } from '../kernel/kernel.ts'
import { invalidateSplice } from '../strategies/invalidate-splice.ts'
import { lockAllFolios } from '../strategies/lock-all-folios.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { failing, interleave, runs, scheduled, sourceOf, stage, type Stage, take } from '../strategies/stage.test-util.ts'
import { PAGE, write } from './perform-write.test-util.ts'
import { settle } from './settle.ts'
import type { AnyStrategy } from './strategy.ts'

const journaled = (strategy: AnyStrategy, choices?: Choices): Stage => {
  const disk = { journalBlocks: 1024, size: 16 << 20 }
  return stage(strategy, { ...disk, ...(choices !== undefined && { choices }) })
}
const handles = (s: Stage): number => s.fs.journal!.running.handles
const pwrite = (s: Stage) => s.posix.sys.pwrite(s.fd, sourceOf(PAGE, 'a'), 0)

describe('handles', () => {
  /** Handles that are open while the write copies. */
  const whileCopying = (strategy: AnyStrategy): number[] => {
    const s = journaled(strategy, scheduled)
    const seen: number[] = []
    take(interleave(pwrite(s), /^copy$/, () => seen.push(handles(s))))
    expect(handles(s)).toBe(0)
    return seen
  }

  test('one is open while a write copies, and none where that may wait for user memory', () => {
    expect(whileCopying(reserveAllocate)).toEqual([1])
    expect(whileCopying(invalidateSplice)).toEqual([0])
  })

  test.each([reserveAllocate, invalidateSplice])('one of them holds the undo: $name', (strategy) => {
    const seen: number[] = []
    const s = journaled({
      ...strategy,
      *end(k, w, m) {
        seen.push(w.fs.journal!.running.handles)
        yield* settle(k, w, m)
      },
    })
    take(run(pwrite(s)))
    expect(seen).toEqual([1])
    expect(handles(s)).toBe(0)
  })

  test('are waited for where a commit keeps new ones out', () => {
    const s = journaled(reserveAllocate)
    const { running } = s.fs.journal!
    running.state = 'locked'
    expect(take(interleave(pwrite(s), /^transaction \d+ locked$/, () => void (running.state = 'open')))).toBe(PAGE)
    expect(runs(s)).toBe('4096a')
  })

  test('are not waited for by a write that must not wait', () => {
    const s = journaled(reserveAllocate)
    s.fs.journal!.running.state = 'locked'
    expect(run(s.posix.sys.pwritev2(s.fd, sourceOf(PAGE, 'a'), 0, ['RWF_NOWAIT']))).toEqual({ _tag: 'Left', left: 'EAGAIN' })
    s.fs.journal!.running.state = 'open'
    expect([s.ledger.begins, s.inode.rwsem.exclusive, handles(s)]).toEqual([0, false, 0])
  })

  test('are not asked for by a write that was interrupted', () => {
    const s = journaled(reserveAllocate, failing('EINTR.fatal'))
    expect(run(pwrite(s))).toEqual({ _tag: 'Left', left: 'EINTR' })
    expect([s.ledger.begins, handles(s), s.inode.size]).toEqual([0, 0, 0])
  })

  test('of an aborted journal cannot be had: EIO, and nothing was begun', () => {
    const s = journaled(reserveAllocate)
    s.fs.journal!.aborted = true
    expect(run(pwrite(s))).toEqual({ _tag: 'Left', left: 'EIO' })
    expect([s.ledger.begins, s.inode.rwsem.exclusive, s.inode.size]).toEqual([0, false, 0])
  })
})

describe('no space, while freed blocks wait for a commit', () => {
  /** `site` fails on these visits; freed blocks wait all the time. */
  const waiting = (site: string, when?: (n: number) => boolean): Stage => {
    const s = journaled(reserveAllocate, failing(site, when))
    Object.defineProperty(s.fs, 'freedWaits', { get: () => true })
    return s
  }

  test('is tried again after a commit', () => {
    const s = waiting('ENOSPC.reserve', (n) => n === 1)
    const { commits } = s.fs.journal!
    expect(take(run(pwrite(s)))).toBe(PAGE)
    expect([s.ledger.begins, s.fs.journal!.commits]).toEqual([2, commits + 1])
  })

  test('is believed after three of them', () => {
    const s = waiting('ENOSPC.reserve')
    expect(run(pwrite(s))).toEqual({ _tag: 'Left', left: 'ENOSPC' })
    expect(s.ledger.begins).toBe(4)
  })

  test('is the only reason to commit: no other error is, and no success', () => {
    const s = waiting('ENOMEM.record', (n) => n === 1)
    const { commits } = s.fs.journal!
    expect(run(pwrite(s))).toEqual({ _tag: 'Left', left: 'ENOMEM' })
    expect(take(run(pwrite(s)))).toBe(PAGE)
    expect(s.fs.journal!.commits).toBe(commits)
  })
})

test('a design that does without the inode lock takes it: direct I/O opens handles under what it takes instead', () => {
  const s = journaled(lockAllFolios, scheduled)
  take(write(s, 'a', PAGE))
  const seen: boolean[] = []
  take(interleave(pwrite(s), /^copy$/, () => seen.push(s.inode.rwsem.exclusive)))
  expect(seen).toEqual([true])
})

test('what follows a write does so once bytes of it stand, and not where none do', () => {
  const seen: number[] = []
  const s = stage({
    ...reserveAllocate,
    *after(_k, _w, n) {
      seen.push(n)
    },
  }, { choices: failing('ENOSPC.reserve', (n) => n === 1) })
  expect(write(s, 'a', 100)).toMatchObject({ left: 'ENOSPC' })
  expect(seen).toEqual([])
  take(write(s, 'a', 100))
  expect(seen).toEqual([100])
})
