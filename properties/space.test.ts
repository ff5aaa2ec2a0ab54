/**
 * Space: after every call, each block of the device is somebody's or free, and each promise is somebody's.
 *
 * - I1 free (the bitmaps) + used (a walk over every inode and all metadata) = total; what is reserved is never more
 *   than free
 * - I2 reserved = delayed blocks + map blocks owed for them; nothing is in flight between two calls
 * - I3 at quiescence nothing is reserved
 * - I4 a delayed block lies under dirty data inside i_size; dirty data lies over a delayed or real block
 * - I5 no block has two owners; no block of a file is free
 * - I6 at quiescence no written block lies past the end of a file
 * - I26 what write(2) accepted finds room at writeback; ENOSPC means that there is no room for the unit that the design
 *   declares; after something was deleted a retry succeeds
 * The device is so small that it fills: these are possible faults, none is injected.
 * Source: reference claims, section 3.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { SETTINGS } from './arbitraries/operations.ts'
import type { Step } from './arbitraries/steps.ts'
import { imageOf } from './checks.ts'
import { judged } from './judged.ts'
import { Machine, mayBeFull, type Setting, strategyNamed } from './machine.ts'
import { e2fsck } from './soak.ts'

/** Bytes; some tens of writes fill it. */
const SMALL = 1024 * 1024

const space = (setting: Setting, steps: readonly Step[]): string | null => {
  const machine = new Machine({ ...setting, size: SMALL }, { cache: true, space: true, mayFail: mayBeFull })
  return machine.play(steps) ?? machine.finish() ?? e2fsck(imageOf(machine.session))
}

const CHOSEN = SETTINGS.filter((s) => (s.blockSize === 1024) === (s.maxFolioOrder === 2) || s.maxFolioOrder === 9)

describe.each(CHOSEN)('$strategy on $format, blocks of $blockSize, folios up to order $maxFolioOrder', (setting) => {
  test('every block is accounted for after every call, on a disk that fills', () => {
    judged(setting, { runs: 3, steps: 40, far: false }, (steps) => space(setting, steps))
  })
})

const FULL = SETTINGS.filter((s) => s.maxFolioOrder === 2)

describe.each(FULL)('to the last block: $strategy on $format, blocks of $blockSize', (setting) => {
  /** A file system with one file `a` that takes all of it. */
  const filled = (len: number): Machine => {
    const machine = new Machine({ ...setting, size: SMALL }, { cache: true, space: true, mayFail: mayBeFull })
    expect(machine.play([
      { op: 'open', fd: 1, path: 'b', flags: ['O_RDWR', 'O_CREAT'] },
      { op: 'write', fd: 1, len: 70_000, off: 0 },
      { op: 'open', fd: 0, path: 'a', flags: ['O_RDWR', 'O_CREAT', 'O_APPEND'] },
    ])).toBeNull()
    const most = machine.session.fs.space.available - 60
    expect(machine.step({ op: 'write', fd: 0, len: most * setting.blockSize })).toBeNull()
    for (;;) {
      const before = machine.session.fs.space.available
      expect(machine.step({ op: 'write', fd: 0, len })).toBeNull()
      if (machine.session.fs.space.available === before && before < 3 + len / setting.blockSize) break
    }
    return machine
  }

  test.each([1000, 4096, 60_000])('writes of %i bytes end in ENOSPC for want of room; what was accepted stays', (len) => {
    const machine = filled(len)
    const { fs, posix } = machine.session
    const unit = strategyNamed(setting.strategy).claims.enospcUnit
    const bytes = { write: len + setting.blockSize, folio: 4 * 4096, block: setting.blockSize }[unit]
    const blocks = Math.ceil(bytes / setting.blockSize)
    // Three map blocks are the most that one more extent of such a file may need.
    expect(fs.space.available).toBeLessThanOrEqual(blocks + 3)
    expect(machine.step({ op: 'sync' })).toBeNull()
    expect(machine.step({ op: 'unlink', path: 'b' })).toBeNull()
    expect(machine.step({ op: 'close', fd: 1 })).toBeNull()
    const fd = posix.open('c', ['O_RDWR', 'O_CREAT'])
    expect(isLeft(fd)).toBe(false)
    if (!isLeft(fd)) {
      expect(posix.pwrite(fd.right, Buffer.alloc(len, 7), 0)).toEqual({ _tag: 'Right', right: len })
      expect(posix.close(fd.right)._tag).toBe('Right')
    }
    expect(posix.unlink('c')._tag).toBe('Right')
    expect(machine.finish()).toBeNull()
    expect(e2fsck(imageOf(machine.session))).toBeNull()
  })
})
