/** The pipeline, seen from its hooks: what is called when, with which lock, and what becomes of what a hook says. */
import { describe, expect, test } from 'vitest'
import { UserMemory } from '../iov/user-memory.ts'
import { IovIter } from '../iov/iov-iter.ts'
import type { Choices } from '../kernel/choices.ts'
import type { Errno } from '../kernel/errno.ts'
import { type Kernel, raise, run, SelfDeadlock } from '../kernel/kernel.ts'
import { COUNTERS } from '../kernel/ledger.ts'
import { getBlock } from '../strategies/get-block.ts'
import { invalidateSplice } from '../strategies/invalidate-splice.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../strategies/reserve-copy-allocate.ts'
import {
  BoundedVerbs, cold, failing, interleave, now, runs, scheduled, sourceOf, space, stage, type Stage, take,
} from '../strategies/stage.test-util.ts'
import type { AnyStrategy } from './strategy.ts'
import { Write } from './write.ts'
import { performWrite, writePlain } from './perform-write.ts'

const PAGE = 4096
const slow: Choices = { choose: () => 0 }

/** Leaves it to the pipeline to see a livelock. */
class PatientVerbs extends BoundedVerbs {
  protected override readonly most = { looks: 20_000, turns: Infinity, copies: 3_000 }
}

const write = (s: Stage, fill: string, len: number, pos = 0, readable = len) =>
  s.posix.pwriteFrom(s.fd, sourceOf(len, fill, readable), pos)

/** A design that notes each of its hooks in `log`; never the plain prefix. */
const noting = (base: AnyStrategy, log: string[]): AnyStrategy => ({
  ...base,
  mapped: () => false,
  *begin(k, w, m) {
    log.push(`begin ${m.pos}+${m.len}${w.inode.rwsem.exclusive ? ' alone' : ''}`)
    yield* base.begin(k, w, m)
  },
  *getFolio(k, w, m, pos, n) {
    log.push(`get ${pos}+${n}`)
    if (base.getFolio !== undefined) return yield* base.getFolio(k, w, m, pos, n)
    return yield* k.grabFolio(w.pages, Math.floor(pos / PAGE), (pos % PAGE) + n, w.stable)
  },
  *commit(k, w, m, from, n) {
    log.push(`commit ${from}+${n}`)
    return base.commit === undefined ? n : yield* base.commit(k, w, m, from, n)
  },
  *putFolio(k, w, m, f, off, n, accepted) {
    log.push(`put ${f.index}: ${accepted} of ${off}+${n}`)
    if (base.putFolio !== undefined) yield* base.putFolio(k, w, m, f, off, n, accepted)
    else k.unlockFolio(f)
  },
  *end(k, w, m) {
    log.push(`end ${m.written} of ${m.len}`)
    if (base.end !== undefined) yield* base.end(k, w, m)
    else {
      w.fs.unreserve(k, m, false)
      for (let i = 0; i < m.madeCount && m.written < m.len; i++) {
        const { lblk, n } = m.made(i)
        const from = Math.max(lblk, Math.ceil((m.pos + m.written) / w.fs.blockSize))
        if (from < lblk + n) yield* w.fs.punch(k, w.inode, from, lblk + n - from)
      }
    }
  },
})

/** A stage on which every hook is noted. */
const noted = (base: AnyStrategy, props: Parameters<typeof stage>[1] = {}) => {
  const log: string[] = []
  return { log, s: stage(noting(base, log), props) }
}

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
