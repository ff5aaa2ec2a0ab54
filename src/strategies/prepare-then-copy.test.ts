import { describe, expect, test } from 'vitest'
import { HOLE, MAPPED, UNWRITTEN } from '../fs/extent-map.ts'
import { FaultPlan } from '../sim/fault-plan.ts'
import {
  prepareCopyPunch, prepareCopyUnwritten, prepareCopyZero, prepareCopyZeroPage,
} from './prepare-then-copy.ts'
import { cold, cost, runs, sourceOf, space, stage, type Stage, take } from './stage.test-util.ts'

const WAYS = [prepareCopyUnwritten, prepareCopyPunch, prepareCopyZero, prepareCopyZeroPage] as const
const BLOCK = 4096

/** A file of eight blocks of hole; a write of six blocks from the second on, of which two and a half can be read. */
const shortIntoHole = (s: Stage): unknown => {
  take(s.posix.ftruncate(s.fd, 8 * BLOCK))
  return take(s.posix.pwriteFrom(s.fd, sourceOf(6 * BLOCK, 'a', 2 * BLOCK + 2048), BLOCK))
}

/** A letter a block: hole, unwritten, mapped; upper case where dirty data lies over it. */
const blocks = ({ inode }: Stage, n: number): string => {
  let said = ''
  for (let b = 0; b < n; b++) {
    const { state } = inode.map.lookup(b, 1, { lblk: 0, n: 0, state: HOLE, pblk: 0 })
    const letter = state === MAPPED ? 'm' : state === UNWRITTEN ? 'u' : '-'
    const f = inode.pages!.find(b)
    said += f !== null && f.dirty ? letter.toUpperCase() : letter
  }
  return said
}

describe('a short copy into a hole leaves three blocks too many', () => {
  test.each([
    [prepareCopyUnwritten, '-UUUuuu-', 0], [prepareCopyPunch, '-MMM----', 8], [prepareCopyZero, '-MMMMMM-', 0],
    [prepareCopyZeroPage, '-MMMmmm-', 0],
  ] as const)('$name', (strategy, left, punched) => {
    const s = stage(strategy)
    // The half block is refused, for its folio was not uptodate, and tried again: `punch` pays for it twice.
    expect(shortIntoHole(s)).toBe(2 * BLOCK + 2048)
    expect(blocks(s, 8)).toBe(left)
    expect(s.ledger.blocksPunched).toBe(punched)
    expect(space(s).reserved).toBe(0)
    expect(runs(cold(s))).toBe('4096.10240a18432.')
  })

  test('ext2 has no unwritten extents: they are written as zeros', () => {
    const s = stage(prepareCopyUnwritten, { format: 'ext2' })
    expect(shortIntoHole(s)).toBe(2 * BLOCK + 2048)
    expect(blocks(s, 8)).toBe('-MMMMMM-')
    expect(runs(cold(s))).toBe('4096.10240a18432.')
  })

  test('past the end nothing stays, whatever the way', () => {
    for (const strategy of WAYS) {
      const s = stage(strategy)
      expect(take(s.posix.pwriteFrom(s.fd, sourceOf(6 * BLOCK, 'a', 5000), 0))).toBe(5000)
      const two = strategy === prepareCopyUnwritten ? 'UU----' : 'MM----'
      expect([strategy.name, blocks(s, 6), s.ledger.blocksPunched]).toEqual([strategy.name, two, 10])
    }
  })
})

describe('the bio of zeros', () => {
  test('is one for each folio; the half block that is tried again is read back', () => {
    const s = stage(prepareCopyZeroPage)
    expect(cost(s, () => shortIntoHole(s))).toMatch(/dataBios 5 dataBytes 20480 .*blocksZeroedUndone 4/)
  })

  test('may fail: the cache is zeroed instead', () => {
    const at = (fail: number[]): { s: Stage; plan: FaultPlan } => {
      const plan = new FaultPlan({ fail })
      plan.armed = false
      const s = stage(prepareCopyZeroPage, { choices: plan })
      plan.armed = true
      shortIntoHole(s)
      plan.armed = false
      return { s, plan }
    }
    const site = at([]).plan.reached.lastIndexOf('EIO.zero')
    const { s, plan } = at([site])
    expect(plan.failed).toEqual(['EIO.zero'])
    expect(blocks(s, 8)).toBe('-MMMmmM-')
    expect(runs(cold(s))).toBe('4096.10240a18432.')
  })
})

describe('before the copy', () => {
  test('a full disk shortens the write to the block', () => {
    for (const strategy of WAYS) {
      const s = stage(strategy)
      const other = take(s.posix.open('other', ['O_RDWR', 'O_CREAT']))
      take(s.posix.fallocate(other, 'allocate', 0, (s.fs.space.available - 6) * BLOCK))
      const free = s.fs.space.available
      expect([strategy.name, take(s.posix.pwriteFrom(s.fd, sourceOf(20 * BLOCK, 'a'), 0))])
        .toEqual([strategy.name, free * BLOCK])
    }
  })

  test('all blocks of a folio are placed with one look-up a hole and one allocation', () => {
    const s = stage(prepareCopyPunch, { maxFolioOrder: 4 })
    const text = cost(s, () => take(s.posix.pwriteFrom(s.fd, sourceOf(16 * BLOCK, 'a'), 0)))
    expect(text).toMatch(/begins 1 .*mapLookups 1 .*allocations 1 allocatedBlocks 16/)
  })
})
