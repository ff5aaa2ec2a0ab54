import { expect, test } from 'vitest'
import { delallocPerBlock } from './delalloc-per-block.ts'
import { getBlock } from './get-block.ts'
import { cost, sourceOf, space, stage, take } from './stage.test-util.ts'

test('each block is reserved and recorded alone, and placed as one extent at writeback', () => {
  const s = stage(delallocPerBlock)
  const write = cost(s, () => take(s.posix.pwriteFrom(s.fd, sourceOf(4 * 4096, 'a'), 0)))
  expect(write).toMatch(/mapLookups 8 reservations 4 reservedBlocks 4 records 4/)
  expect(space(s)).toMatchObject({ real: 0, delayed: 4 })
  expect(cost(s, () => take(s.posix.fsync(s.fd)))).toMatch(/allocations 1 allocatedBlocks 4/)
  expect(space(s)).toEqual({ real: 4, delayed: 0, reserved: 0 })
})

test('a short append leaves nothing past the end (Z55)', () => {
  const s = stage(delallocPerBlock, { maxFolioOrder: 9 })
  expect(take(s.posix.pwriteFrom(s.fd, sourceOf(1 << 18, 'a', 2048), 0))).toBe(2048)
  expect(space(s)).toMatchObject({ delayed: 1 })
  take(s.posix.sync())
  expect(space(s)).toEqual({ real: 1, delayed: 0, reserved: 0 })
})

test('a short copy inside the file leaves zeros, as get-block does, and `end` looks at none of them again', () => {
  const left = [delallocPerBlock, getBlock].map((strategy) => {
    const s = stage(strategy, { maxFolioOrder: 3 })
    take(s.posix.ftruncate(s.fd, 32_768))
    take(s.posix.pwriteFrom(s.fd, sourceOf(32_768, 'a', 5000), 0))
    expect(s.ledger.locksUndone).toBe(0)
    return space(s).real + space(s).delayed
  })
  expect(left).toEqual([8, 8])
})

test('near a full disk blocks are placed at once', () => {
  const s = stage(delallocPerBlock)
  const other = take(s.posix.open('other', ['O_RDWR', 'O_CREAT']))
  take(s.posix.fallocate(other, 'allocate', 0, (s.fs.space.available - 200) * 4096))
  const before = s.ledger.allocatedBlocks
  take(s.posix.pwriteFrom(s.fd, sourceOf(150 * 4096, 'a'), 0))
  // 72 are promised when 200 are free and fewer than 72 + 128: from there on nothing is promised any more.
  expect([s.ledger.records, s.ledger.allocatedBlocks - before]).toEqual([72, 78])
  take(s.posix.sync())
  expect(space(s)).toMatchObject({ real: 150, delayed: 0, reserved: 0 })
})
