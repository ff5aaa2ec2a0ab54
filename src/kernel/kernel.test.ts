/** Kernel: waiting, failing, and what happens between the two. */
import { left, right } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { attempt, failure, Failure, type Kernel, type Op, raise, run, SelfDeadlock } from './kernel.ts'
import { Lock } from './lock.ts'

const ready = (label: string): Op => ({ label, ready: () => true })

describe('run', () => {
  test('returns the value of a kernel that waits for what is ready', () => {
    const waited: string[] = []
    function* f(): Kernel<number> {
      yield { label: 'a', ready: () => (waited.push('a'), true) }
      yield { label: 'b', ready: () => (waited.push('b'), true) }
      return 7
    }
    expect(run(f())).toEqual(right(7))
    expect(waited).toEqual(['a', 'b'])
  })

  test('returns a failure as Left', () => {
    expect(run(raise('ENOSPC', 'ENOSPC.reserve'))).toEqual(left('ENOSPC'))
  })

  test('keeps one errno for a fault code: a second one is a bug, not the first one again', () => {
    failure('EIO', 'EIO.once')
    expect(() => failure('ENOSPC', 'EIO.once')).toThrow('fault code EIO.once stands for EIO, not for ENOSPC')
  })

  test('lets a bug through: only failures are values', () => {
    function* f(): Kernel<void> {
      throw new TypeError('a bug')
    }
    expect(() => run(f())).toThrow(TypeError)
  })

  test('a lock that the only fiber holds itself is a self-deadlock, by name', () => {
    const lock = new Lock('inode 7 map lock')
    function* f(): Kernel<void> {
      while (!lock.tryLock()) yield lock.free
      while (!lock.tryLock()) yield lock.free
    }
    expect(() => run(f())).toThrow(SelfDeadlock)
    expect(lock.held).toBe(true)
  })

  test('a self-deadlock unwinds: finally runs, with its waits', () => {
    const lock = new Lock('folio 3')
    const done: string[] = []
    function* f(): Kernel<void> {
      lock.tryLock()
      try {
        yield lock.free
      } finally {
        lock.unlock()
        done.push('unlocked')
      }
    }
    expect(() => run(f())).toThrow('self-deadlock: the only fiber waits for folio 3')
    expect(done).toEqual(['unlocked'])
  })

  test('a self-deadlock is no failure: attempt does not catch it', () => {
    const never: Op = { label: 'godot', ready: () => false }
    function* f(): Kernel<string> {
      const result = yield* attempt(function* () {
        yield never
      })
      return result._tag
    }
    expect(() => run(f())).toThrow(SelfDeadlock)
  })
})

describe('raise and attempt', () => {
  test('attempt turns a failure into Left, a value into Right, and goes on', () => {
    function* f(): Kernel<readonly unknown[]> {
      const bad = yield* attempt(() => raise('EIO', 'EIO.bio'))
      yield ready('between')
      const good = yield* attempt(function* (): Kernel<number, 'EIO'> {
        yield ready('inside')
        return 3
      })
      return [bad, good]
    }
    expect(run(f())).toEqual(right([left('EIO'), right(3)]))
  })

  test('attempt lets a bug through', () => {
    function* broken(): Kernel<void, 'EIO'> {
      yield ready('first')
      throw new RangeError('a bug')
    }
    expect(() => run(attempt(() => broken()))).toThrow(RangeError)
  })

  test('attempt also catches what its thunk throws before the first step', () => {
    const thunk = (): Kernel<never, 'EIO'> => {
      throw failure('EIO', 'EIO.early')
    }
    expect(run(attempt(thunk))).toEqual(right(left('EIO')))
  })

  test('nothing runs after a raise but finally blocks, inner before outer, waits included', () => {
    const log: string[] = []
    function* inner(): Kernel<void, 'ENOSPC'> {
      try {
        yield* raise('ENOSPC', 'ENOSPC.test')
        log.push('after the raise')
      } finally {
        yield ready('inner unlock')
        log.push('inner')
      }
    }
    function* outer(): Kernel<void, 'ENOSPC'> {
      try {
        yield* inner()
      } finally {
        yield ready('outer unlock')
        log.push('outer')
      }
    }
    expect(run(outer())).toEqual(left('ENOSPC'))
    expect(log).toEqual(['inner', 'outer'])
  })

  test('a finally that fails itself replaces the failure', () => {
    function* f(): Kernel<void, 'ENOSPC' | 'EIO'> {
      try {
        yield* raise('ENOSPC', 'ENOSPC.test')
      } finally {
        yield* raise('EIO', 'EIO.undo')
      }
    }
    expect(run(f())).toEqual(left('EIO'))
  })

  test('a failure waits for nothing: raise never yields', () => {
    expect(() => raise('EIO').next()).toThrow(Failure)
  })

  test('there is one Failure for a fault code, and the errno is the default code', () => {
    expect(failure('ENOSPC', 'ENOSPC.reserve')).toBe(failure('ENOSPC', 'ENOSPC.reserve'))
    expect(failure('ENOSPC', 'ENOSPC.bitmap')).not.toBe(failure('ENOSPC', 'ENOSPC.reserve'))
    try {
      raise('EFAULT').next()
    } catch (e) {
      expect(e).toBe(failure('EFAULT', 'EFAULT'))
    }
    expect.assertions(3)
  })
})
