/**
 * Quota: at every step each owner is charged with exactly what his inodes have and were promised (claim I27).
 *
 * - the account of each user = the blocks of his inodes, counted anew, and their delayed and owed blocks; all users together
 *   have every block that is not free and not the file system's own
 * - EDQUOT is a failure like ENOSPC: contents, space and quota are as they were, and what was accepted finds room at writeback
 * - a forced EDQUOT, ENOSPC, ENOMEM or EIO at any site of a write leaves the accounts exact
 * No check of other claims may write inodes in between, for that charges them, too.
 * The device is small and the limits are smaller; between the steps, files change their owner.
 * Source: reference claim I27; fs/xfs/xfs_qm.c, xfs_qm_quotacheck.
 */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { quotaNow } from '../src/lab/inspect.ts'
import { FaultPlan } from '../src/sim/fault-plan.ts'
import { SETTINGS, steps } from './arbitraries/operations.ts'
import type { Step } from './arbitraries/steps.ts'
import { DEEPER } from './judged.ts'
import { describe as say, Machine, mayBeFull, type Setting } from './machine.ts'

const SMALL = 1024 * 1024
const PATHS = ['a', 'b', 'd/x', 'd']
/** In blocks; user 0 has none. */
const LIMITS = { 1: 60, 2: 25, 3: 0 }

const CHOSEN = SETTINGS.filter((s) => (s.blockSize === 1024) === (s.maxFolioOrder === 2) && s.maxFolioOrder !== 9 && s.blockSize !== 2048)

/** How often a limit refused, and how often a write was cut short. */
const met = { refused: 0, short: 0 }

/** ENOSPC or EDQUOT where a full disk may say ENOSPC. */
const mayBeRefused: typeof mayBeFull = (op, errno) => {
  if (errno === 'EDQUOT') met.refused++
  if (errno === null) met.short++
  return mayBeFull(op, errno === 'EDQUOT' ? 'ENOSPC' : errno)
}

/** The accounts are those of the inodes, and leave no block out. @returns null, or one line */
const exact = ({ session }: Machine): string | null => {
  const wrong = quotaNow(session)[0]?.what
  if (wrong !== undefined) return `I27: ${wrong}`
  const { format, quota, space, lostBlocks } = session.fs
  const sum = { used: 0, reserved: 0 }
  for (const uid of quota!.users) {
    sum.used += quota!.of(uid).used
    sum.reserved += quota!.of(uid).reserved
  }
  const taken = format.totalBlocks - format.freeBlocks - format.overheadBlocks - lostBlocks
  if (sum.used !== taken) return `I27: all users have ${sum.used} blocks; ${taken} are taken`
  return sum.reserved === space.reserved ? null : `I27: users were promised ${sum.reserved} blocks of ${space.reserved}`
}

describe.each(CHOSEN)('$strategy on $format, blocks of $blockSize', (base) => {
  const setting: Setting = { ...base, size: SMALL, quota: LIMITS }

  test('the accounts are exact after every step, on a disk and with limits that fill', () => {
    const owners = fc.array(fc.tuple(fc.nat(PATHS.length - 1), fc.nat(3)), { minLength: 40, maxLength: 40 })
    const drawn = steps({ blockSize: setting.blockSize, far: false }, 40)
    fc.assert(fc.property(drawn, owners, (sequence, changes) => {
      const machine = new Machine(setting, { cache: true, mayFail: mayBeRefused })
      const play = (step: Step, i: number): string | null => {
        const [path, uid] = changes[i % changes.length]!
        machine.session.posix.chown(PATHS[path]!, uid, -1)
        return exact(machine) ?? machine.step(step) ?? exact(machine)
      }
      for (const [i, step] of sequence.entries()) {
        const wrong = play(step, i)
        if (wrong !== null) throw new Error(`step ${i}: ${wrong}\n${say(setting, sequence)}`)
      }
      const wrong = machine.finish()
      if (wrong !== null) throw new Error(`${wrong}\n${say(setting, sequence)}`)
    }), { numRuns: 3 * DEEPER, seed: 1 })
  })

  test('a fault at any site of a write leaves them exact', () => {
    const before: readonly Step[] = [
      { op: 'open', fd: 0, path: 'a', flags: ['O_RDWR', 'O_CREAT'] }, { op: 'write', fd: 0, off: 0, len: 5_000 },
      { op: 'write', fd: 0, off: 30_000, len: 5_000 }, { op: 'drop-caches' }, { op: 'write', fd: 0, off: 10_000, len: 3_000 },
    ]
    const attempt = (fail: readonly number[]): FaultPlan => {
      const faults = new FaultPlan({ fail })
      faults.armed = false
      const machine = new Machine({ ...setting, quota: { 1: 60 } }, { choices: faults })
      expect(machine.play(before)).toBeNull()
      expect(machine.session.posix.chown('a', 1, -1)._tag).toBe('Right')
      faults.armed = true
      machine.session.posix.pwrite(0, Buffer.alloc(35_000, 7), 3_000)
      faults.armed = false
      expect(exact(machine), faults.failed.join()).toBeNull()
      machine.session.posix.sync()
      expect(exact(machine), faults.failed.join()).toBeNull()
      return faults
    }
    const { reached } = attempt([])
    expect(reached.some((site) => site.startsWith('EDQUOT.'))).toBe(true)
    reached.forEach((_, i) => attempt([i]))
  })
})

test('the limits were met', () => {
  expect(met.refused).toBeGreaterThan(20)
  expect(met.short).toBeGreaterThan(20)
})
