import { isLeft } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { MemorySource } from '../iov/source.ts'
import type { Choices } from '../kernel/choices.ts'
import { run } from '../kernel/kernel.ts'
import { FaultPlan } from '../sim/fault-plan.ts'
import { balance } from '../lab/inspect.ts'
import { getBlock } from '../strategies/get-block.ts'
import { strategies } from '../strategies/index.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../strategies/reserve-copy-allocate.ts'
import { cold, interleave, runs, scheduled, space, stage, type Stage, take } from '../strategies/stage.test-util.ts'
import { mayBeNoWait } from './nowait.ts'

const PAGE = 4096
const EAGAIN = { _tag: 'Left', left: 'EAGAIN' }

const nowait = ({ posix, fd }: Stage, fill: string, len: number, pos = 0) =>
  posix.pwritev2(fd, [Buffer.alloc(len, fill)], pos, ['RWF_NOWAIT'])

/** Eight pages of `a`, cached and on the disk. */
const filled = (...args: Parameters<typeof stage>): Stage => {
  const s = stage(...args)
  take(s.posix.pwrite(s.fd, Buffer.alloc(8 * PAGE, 'a'), 0))
  take(s.posix.sync())
  return s
}

const folioAt = (s: Stage, index: number) => s.inode.pages!.find(index)!

describe('RWF_NOWAIT', () => {
  test('writes what is free, cached or not', () => {
    const s = filled(reserveAllocate)
    expect(nowait(s, 'b', 100, 10)).toEqual({ _tag: 'Right', right: 100 })
    expect(nowait(s, 'c', PAGE, 8 * PAGE)).toEqual({ _tag: 'Right', right: PAGE })
    expect(runs(s)).toBe(`10a100b${8 * PAGE - 110}a${PAGE}c`)
  })

  test('at the file position with -1, which moves', () => {
    const s = filled(reserveAllocate)
    expect(nowait(s, 'b', 100, -1)).toEqual({ _tag: 'Right', right: 100 })
    expect(take(s.posix.lseek(s.fd, 0, 'cur'))).toBe(100)
  })

  test('the inode lock is taken: EAGAIN', () => {
    const s = filled(reserveAllocate)
    s.inode.rwsem.tryLock()
    expect(nowait(s, 'b', 100)).toEqual(EAGAIN)
    s.inode.rwsem.unlock()
    expect(nowait(s, 'b', 100)).toEqual({ _tag: 'Right', right: 100 })
  })

  test('a folio is locked: EAGAIN, or short after progress', () => {
    const s = filled(reserveAllocate)
    folioAt(s, 2).locked = true
    expect(nowait(s, 'b', PAGE, 2 * PAGE)).toEqual(EAGAIN)
    expect(nowait(s, 'b', 3 * PAGE, 0)).toEqual({ _tag: 'Right', right: 2 * PAGE })
    folioAt(s, 2).locked = false
    expect(runs(s)).toBe(`${2 * PAGE}b${6 * PAGE}a`)
  })

  test('an edge must be read: EAGAIN; whole blocks need none', () => {
    const s = cold(filled(reserveAllocate))
    expect(nowait(s, 'b', 100, 10)).toEqual(EAGAIN)
    expect(nowait(s, 'b', PAGE, PAGE)).toEqual({ _tag: 'Right', right: PAGE })
    expect(nowait(s, 'c', PAGE + 100, 2 * PAGE)).toEqual({ _tag: 'Right', right: PAGE })
    expect(runs(s)).toBe(`${PAGE}a${PAGE}b${PAGE}c${5 * PAGE}a`)
  })

  test('a design that allocates says EAGAIN to a hole', () => {
    const s = filled(getBlock)
    expect(nowait(s, 'b', PAGE, 8 * PAGE)).toEqual(EAGAIN)
    expect(space(s)).toEqual({ real: 8, delayed: 0, reserved: 0 })
    expect(nowait(s, 'b', 2 * PAGE, 7 * PAGE)).toEqual({ _tag: 'Right', right: PAGE })
  })

  test('too much is dirty: EAGAIN', () => {
    const s = stage(reserveAllocate, { limitPages: 16 })
    take(s.posix.pwrite(s.fd, Buffer.alloc(7 * PAGE, 'a'), 0))
    expect(s.fs.mustThrottle).toBe(true)
    expect(nowait(s, 'b', 100)).toEqual(EAGAIN)
  })

  test('a design whose fallible part comes after the copy, and direct I/O, do not take part', () => {
    const refused = { _tag: 'Left', left: 'EOPNOTSUPP' }
    expect(nowait(filled(reserveCopyAllocate), 'b', 100)).toEqual(refused)
    const { posix } = filled(reserveAllocate)
    const fd = take(posix.open('f', ['O_RDWR', 'O_DIRECT']))
    expect(posix.pwritev2(fd, [Buffer.alloc(PAGE)], 0, ['RWF_NOWAIT'])).toEqual(refused)
    expect(posix.pwritev2(fd, [Buffer.alloc(PAGE)], -2, [])).toEqual({ _tag: 'Left', left: 'EINVAL' })
  })

  test('without the flag it is pwritev', () => {
    const s = cold(filled(reserveAllocate))
    expect(s.posix.pwritev2(s.fd, [Buffer.alloc(60, 'b'), Buffer.alloc(40, 'c')], 10, [])).toEqual({ _tag: 'Right', right: 100 })
    expect(runs(s)).toBe(`10a60b40c${8 * PAGE - 110}a`)
  })

  test('where a scheduler runs, a try is a try: others may run before it, and it does not wait for them', () => {
    const s = filled(reserveAllocate, { choices: scheduled })
    const kernel = (pos: number) => s.posix.sys.pwritev2(s.fd, new MemorySource(Buffer.alloc(PAGE, 'b')), pos, ['RWF_NOWAIT'])
    expect(interleave(kernel(0), /EAGAIN.lock/, () => {})).toEqual({ _tag: 'Right', right: PAGE })
    const caught = interleave(kernel(PAGE), /EAGAIN.folio/, () => void (folioAt(s, 1).locked = true))
    folioAt(s, 1).locked = false
    expect(caught).toEqual(EAGAIN)
  })
})

describe.each(strategies.filter(mayBeNoWait))('$name', (strategy) => {
  const held: readonly (readonly [string, (s: Stage) => () => void])[] = [
    ['the inode lock', (s) => (s.inode.rwsem.tryLock(), () => s.inode.rwsem.unlock())],
    ['the map lock', (s) => (s.inode.mapLock.tryLock(), () => s.inode.mapLock.unlock())],
    ['a folio lock', (s) => ((folioAt(s, 0).locked = true), () => void (folioAt(s, 0).locked = false))],
    ['writeback', (s) => ((folioAt(s, 0).writeback = true), () => void (folioAt(s, 0).writeback = false))],
  ]

  test.each(held)('%s is waited for by nobody, and nothing stays behind', (_, hold) => {
    const s = filled({ ...strategy, claims: { ...strategy.claims, stablePages: true } })
    runs(s)
    for (const pos of [0, 8 * PAGE, 4 * PAGE + 5]) {
      const reserved = s.fs.space.reserved
      const release = hold(s)
      const n = nowait(s, 'b', 2 * PAGE, pos)
      release()
      if (isLeft(n)) {
        expect(n).toEqual(EAGAIN)
        expect(s.fs.space.reserved).toBe(reserved)
      }
      expect(balance(s, 0)).toEqual([])
    }
    expect(nowait(s, 'c', 100, 50)._tag).toBe('Right')
  })

  test('forced at each site it is EAGAIN or a short write', () => {
    const attempt = (fail: readonly number[]): FaultPlan => {
      const faults = new FaultPlan({ fail })
      faults.armed = false
      const s = filled(strategy, { choices: faults })
      faults.armed = true
      const n = nowait(s, 'b', 3 * PAGE, 6 * PAGE + 10)
      faults.armed = false
      if (isLeft(n) && faults.failed.every((site) => site.startsWith('EAGAIN.'))) expect(n).toEqual(EAGAIN)
      const done = isLeft(n) ? 0 : n.right
      expect(runs(s).startsWith(done === 0 ? `${8 * PAGE}a` : `${6 * PAGE + 10}a${done}b`)).toBe(true)
      expect(balance(s, 0)).toEqual([])
      return faults
    }
    const { reached } = attempt([])
    expect(reached).toEqual(expect.arrayContaining(['EAGAIN.lock', 'EAGAIN.throttle', 'EAGAIN.folio']))
    reached.forEach((_, i) => attempt([i]))
  })
})

describe('signals', () => {
  /** Each question about `site` is answered with the next of `answers`, then with no. */
  const signalled = (signals: 'fatal' | 'any', answers: Readonly<Record<string, number[]>>): Stage => {
    const left = Object.fromEntries(Object.entries(answers).map(([site, list]) => [site, [...list]]))
    let armed = false
    const choices: Choices = { choose: (_n, _kind, label) => (armed ? (left[label]?.shift() ?? 0) : 0) }
    const s = filled({ ...reserveAllocate, claims: { ...reserveAllocate.claims, signals } }, { choices })
    armed = true
    return s
  }
  const write = (s: Stage) => s.posix.pwrite(s.fd, Buffer.alloc(PAGE, 'b'), 0)

  test('a design that heeds only those that kill does not see others', () => {
    expect(write(signalled('fatal', { 'EINTR.signal': [1, 1, 1, 1, 1] }))).toEqual({ _tag: 'Right', right: PAGE })
    expect(write(signalled('fatal', { 'EINTR.fatal': [1] }))).toEqual({ _tag: 'Left', left: 'EINTR' })
  })

  test('before the first byte the call is restarted, or ends in EINTR: never in ERESTARTSYS', () => {
    const s = signalled('any', { 'EINTR.signal': [1, 1] })
    expect(write(s)).toEqual({ _tag: 'Right', right: PAGE })
    expect(runs(s)).toBe(`${PAGE}b${7 * PAGE}a`)
    const handled = signalled('any', { 'EINTR.signal': [1], 'EINTR.handler': [1] })
    expect(write(handled)).toEqual({ _tag: 'Left', left: 'EINTR' })
    expect(runs(handled)).toBe(`${8 * PAGE}a`)
  })

  test('signals without end are EINTR in the end', () => {
    expect(write(signalled('any', { 'EINTR.signal': new Array<number>(99).fill(1) }))).toEqual({ _tag: 'Left', left: 'EINTR' })
  })

  test('after the first byte it is a short write', () => {
    const s = signalled('any', { 'EINTR.signal': [0, 1] })
    // Mapped and unmapped blocks take a turn each.
    expect(s.posix.pwrite(s.fd, Buffer.alloc(4 * PAGE, 'b'), 6 * PAGE)).toEqual({ _tag: 'Right', right: 2 * PAGE })
  })

  test('an append that is restarted appends once', () => {
    const s = signalled('any', { 'EINTR.signal': [1] })
    const fd = take(s.posix.open('f', ['O_WRONLY', 'O_APPEND']))
    expect(s.posix.write(fd, Buffer.alloc(10, 'b'))).toEqual({ _tag: 'Right', right: 10 })
    expect(runs(s)).toBe(`${8 * PAGE}a10b`)
    expect(run(s.posix.sys.fsync(fd))._tag).toBe('Right')
  })
})
