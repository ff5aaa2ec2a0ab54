/** Locks against a model: who holds them is a number of sharers or one owner. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Lock, RwLock } from './lock.ts'

describe('Lock', () => {
  test('one holder at a time; ready means that tryLock would take it', () => {
    const lock = new Lock('map lock')
    expect(lock.free.ready()).toBe(true)
    expect(lock.tryLock()).toBe(true)
    expect(lock.free.ready()).toBe(false)
    expect(lock.tryLock()).toBe(false)
    lock.unlock()
    expect(lock.tryLock()).toBe(true)
  })

  test('unlock of a free lock is a bug, and names the lock', () => {
    expect(() => new Lock('map lock').unlock()).toThrow('map lock: unlock of a free lock')
  })
})

describe('RwLock', () => {
  const step = fc.constantFrom('tryLock', 'unlock', 'tryLockShared', 'unlockShared')

  test('many share or one owns, in every order of calls', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const lock = new RwLock('rwsem')
        let owner = false
        let sharers = 0
        for (const s of steps) {
          expect(lock.free.ready()).toBe(!owner && sharers === 0)
          expect(lock.shareable.ready()).toBe(!owner)
          if (s === 'tryLock') {
            const may = !owner && sharers === 0
            expect(lock.tryLock()).toBe(may)
            if (may) owner = true
          } else if (s === 'tryLockShared') {
            expect(lock.tryLockShared()).toBe(!owner)
            if (!owner) sharers++
          } else if (s === 'unlock') {
            if (!owner) expect(() => lock.unlock()).toThrow('nobody owns')
            else lock.unlock()
            owner = false
          } else if (sharers === 0) expect(() => lock.unlockShared()).toThrow('nobody shares')
          else {
            lock.unlockShared()
            sharers--
          }
        }
      }),
    )
  })

  test('asking whether it is ready changes nothing', () => {
    const lock = new RwLock('rwsem')
    lock.tryLockShared()
    for (const op of [lock.free, lock.shareable]) op.ready()
    expect([lock.exclusive, lock.shared]).toEqual([false, 1])
  })
})
