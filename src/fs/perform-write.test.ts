/** The pipeline, seen from its hooks: what is called when, and with which lock. */
import { describe, expect, test } from 'vitest'
import { raise, run, SelfDeadlock } from '../kernel/kernel.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../strategies/reserve-copy-allocate.ts'
import { interleave, now, runs, scheduled, sourceOf, space, stage, take } from '../strategies/stage.test-util.ts'
import type { AnyStrategy } from './strategy.ts'
import { Write } from './write.ts'
import { performWrite } from './perform-write.ts'
import { noted, noting, PAGE, write } from './perform-write.test-util.ts'

describe('hooks', () => {
  test('a folio at a time: begin, then get, commit and put for each, then end', () => {
    const { log, s } = noted(reserveAllocate)
    expect(take(write(s, 'a', 9_000, 100))).toBe(9_000)
    expect(log).toEqual([
      'begin 100+9000 alone', 'get 100+9000', 'commit 100+3996', 'put 0: 3996 of 100+3996',
      'get 4096+5004', 'commit 4096+4096', 'put 1: 4096 of 0+4096',
      'get 8192+908', 'commit 8192+908', 'put 2: 908 of 0+908', 'end 9000 of 9000',
    ])
    expect(runs(s)).toBe('100.9000a')
  })

  test('a write at a time: every phase runs over all folios before the next', () => {
    const { log, s } = noted(reserveCopyAllocate)
    expect(take(write(s, 'a', 9_000, 100))).toBe(9_000)
    expect(log).toEqual([
      'begin 100+9000 alone', 'get 100+9000', 'get 4096+5004', 'get 8192+908', 'commit 100+9000',
      'put 0: 3996 of 100+3996', 'put 1: 4096 of 0+4096', 'put 2: 908 of 0+908', 'end 9000 of 9000',
    ])
  })

  test('what `mapped` answers for calls no hook, and is written all the same', () => {
    const log: string[] = []
    const s = stage({ ...noting(reserveAllocate, log), mapped: (k, w, m) => k.size(w.inode) >= m.pos + m.len })
    take(write(s, 'a', 9_000))
    const calls = log.length
    expect(take(s.posix.pwriteFrom(s.fd, sourceOf(5_000, 'b', 5_000, true), 100))).toBe(5_000)
    expect(log.length).toBe(calls)
    expect(runs(s)).toBe('100a5000b3900a')
  })

  test('at most 512 folios are locked together', () => {
    const { log, s } = noted(reserveCopyAllocate)
    expect(take(write(s, 'a', 600 * PAGE, 10))).toBe(600 * PAGE)
    expect(log.filter((l) => l.startsWith('begin'))).toEqual([
      `begin 10+${512 * PAGE} alone`, `begin ${512 * PAGE + 10}+${88 * PAGE} alone`,
    ])
  })

  test('one mapping may be longer than that, where folios are locked one by one', () => {
    const { log, s } = noted(reserveAllocate)
    take(write(s, 'a', 600 * PAGE))
    expect(log.filter((l) => l.startsWith('begin'))).toEqual([`begin 0+${600 * PAGE} alone`])
  })

  test('what begin leaves out is the next mapping', () => {
    const log: string[] = []
    const base = noting(reserveAllocate, log)
    const s = stage({
      ...base,
      *begin(k, w, m) {
        m.len = Math.min(m.len, 5_000)
        yield* base.begin(k, w, m)
      },
    })
    expect(take(write(s, 'a', 12_000))).toBe(12_000)
    expect(log.filter((l) => /begin|end/.test(l))).toEqual([
      'begin 0+5000 alone', 'end 5000 of 5000', 'begin 5000+5000 alone', 'end 3192 of 3192',
      'begin 8192+3808 alone', 'end 3808 of 3808',
    ])
    expect(s.ledger.begins).toBe(3)
  })

  test('without an end of its own, a design is settled: what was made and not filled goes', () => {
    const s = stage(reserveAllocate)
    expect(take(write(s, 'a', 30_000, 0, 9_000))).toBe(9_000)
    expect(space(s)).toMatchObject({ real: 0, delayed: 3 })
    expect(s.ledger.blocksPunched).toBeGreaterThan(0)
  })

  test('a write of nothing is nothing', () => {
    const { log, s } = noted(reserveAllocate)
    const w = new Write(s.fs, s.inode, s.inode.pages!).reset(0, 0, sourceOf(0, 'a'), false, false)
    expect(now(performWrite(s.fs.verbs, s.fs.strategy, w, take(run(s.posix.sys.file(s.fd))).mapping))).toBe(0)
    expect(log).toEqual([])
    expect(s.inode.rwsem.exclusive).toBe(false)
  })
})

describe('the inode lock', () => {
  const held = (base: Partial<AnyStrategy>, append = false): string[] => {
    const log: string[] = []
    const s = stage({ ...noting(reserveAllocate, log), ...base })
    const fd = append ? take(s.posix.open('f', ['O_RDWR', 'O_APPEND'])) : s.fd
    take(s.posix.writeFrom(fd, sourceOf(10, 'a')))
    expect(s.inode.rwsem.exclusive).toBe(false)
    return log.filter((l) => l.startsWith('begin'))
  }

  test('is held, unless the design does without', () => {
    expect(held({})).toEqual(['begin 0+10 alone'])
    expect(held({ exclusive: () => true })).toEqual(['begin 0+10 alone'])
    expect(held({ exclusive: () => false })).toEqual(['begin 0+10'])
  })

  test('is held for O_APPEND, whatever the design says', () => {
    expect(held({ exclusive: () => false }, true)).toEqual(['begin 0+10 alone'])
  })

  test('is waited for by those who need it only', () => {
    const s = stage(reserveAllocate)
    s.inode.rwsem.tryLock()
    expect(() => write(s, 'a', 10)).toThrow(SelfDeadlock)
    const free = stage({ ...reserveAllocate, exclusive: () => false })
    free.inode.rwsem.tryLock()
    expect(take(write(free, 'a', 10))).toBe(10)
    expect(free.inode.rwsem.exclusive).toBe(true)
  })

  test('an append takes the end after it has the lock', () => {
    const s = stage(reserveAllocate, { choices: scheduled })
    const fd = take(s.posix.open('f', ['O_RDWR', 'O_APPEND']))
    const append = s.posix.sys.write(fd, sourceOf(100, 'b'))
    take(interleave(append, /inode.*exclusive/i, () => take(write(s, 'a', 5_000))))
    expect(runs(s)).toBe('5000a100b')
  })

  test('an append goes on after what the plain prefix wrote of it', () => {
    const s = stage(reserveAllocate)
    const fd = take(s.posix.open('f', ['O_RDWR', 'O_APPEND']))
    take(s.posix.writeFrom(fd, sourceOf(100, 'a')))
    expect(take(s.posix.writeFrom(fd, sourceOf(9_000, 'b')))).toBe(9_000)
    expect(runs(s)).toBe('100a9000b')
  })
})

describe('without the inode lock', () => {
  const begins = (log: readonly string[]) => log.filter((l) => l.startsWith('begin'))
  const lockless = (base: Partial<AnyStrategy> = {}, props = {}) => {
    const log: string[] = []
    return { log, s: stage({ ...noting(reserveAllocate, log), exclusive: () => false, ...base }, props) }
  }

  test('after a short copy the write starts again from its beginning, alone', () => {
    const { log, s } = lockless()
    expect(take(write(s, 'a', 12_000, 0, 5_000))).toBe(5_000)
    expect(begins(log)).toEqual([
      'begin 0+12000', 'begin 0+12000 alone', 'begin 4096+7904 alone', 'begin 4096+904 alone',
    ])
    expect(s.inode.rwsem.exclusive).toBe(false)
    expect(runs(s)).toBe('5000a')
  })

  test('if it then fails, what the first attempt wrote counts', () => {
    let calls = 0
    const { log, s } = lockless()
    const base = s.fs.strategy
    const failing: AnyStrategy = {
      ...base,
      *begin(k, w, m) {
        if (++calls > 1) return yield* raise('ENOSPC')
        yield* base.begin(k, w, m)
      },
    }
    const again = stage(failing)
    expect(take(write(again, 'a', 12_000, 0, 5_000))).toBe(4_096)
    expect(begins(log)).toEqual(['begin 0+12000'])
  })

  test('an error is no reason to start again', () => {
    const { log, s } = lockless({
      *commit() {
        return yield* raise('ENOMEM')
      },
    }, { blockSize: 1024 })
    // Somebody else has the lock: who waited for it would wait for ever.
    s.inode.rwsem.tryLock()
    expect(s.posix.pwriteFrom(s.fd, sourceOf(12_000, 'a', 2_000), 0)).toMatchObject({ left: 'ENOMEM' })
    expect(begins(log)).toEqual(['begin 0+12000 alone'])
    expect(s.inode.rwsem.exclusive).toBe(true)
  })
})

describe('without the inode lock, and told not to wait', () => {
  const nowait = (readable: number) => {
    const s = stage({ ...reserveAllocate, mapped: () => false, exclusive: () => false })
    s.inode.rwsem.tryLock()
    const outcome = run(s.posix.sys.pwritev2(s.fd, sourceOf(12_000, 'a', readable), 0, ['RWF_NOWAIT']))
    s.inode.rwsem.unlock()
    return { outcome, bytes: runs(s) }
  }

  test('what would start again is EAGAIN, or a short write: the lock is not waited for', () => {
    expect(nowait(2_000)).toEqual({ outcome: { _tag: 'Left', left: 'EAGAIN' }, bytes: '' })
    expect(nowait(5_000)).toEqual({ outcome: { _tag: 'Right', right: PAGE }, bytes: `${PAGE}a` })
  })
})
