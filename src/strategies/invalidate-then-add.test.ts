/** invalidate-then-add: the gap between taking the old folio out and putting the new one in. */
import { describe, expect, test } from 'vitest'
import { UPTODATE } from '../pagecache/folio.ts'
import { invalidateThenAdd } from './invalidate-then-add.ts'
import { balanced, during, folio, PAGE, readPage, write } from './private.test-util.ts'
import { cold, failing, interleave, runs, scheduled, sourceOf, stage, take } from './stage.test-util.ts'

describe('invalidate-then-add', () => {
  const gap = /between invalidate and add/

  test('a reader in the gap brings the old bytes back: EBUSY', () => {
    const { s, outcome } = during(invalidateThenAdd, [0, PAGE], (t) => readPage(t, 0), { at: gap })
    expect(outcome).toMatchObject({ left: 'EBUSY' })
    expect(runs(s)).toBe(`${2 * PAGE}o`)
    expect(balanced(s)).toBe(true)
  })

  test('a reader in the second gap: what was put in before it counts, and the rest is tried again', () => {
    const s = stage(invalidateThenAdd, { choices: scheduled })
    take(write(s, 'o', 2 * PAGE))
    take(s.posix.sync())
    const kernel = s.posix.sys.pwrite(s.fd, sourceOf(2 * PAGE, 'n'), 0)
    expect(take(interleave(kernel, gap, () => readPage(s, 1), 2))).toBe(2 * PAGE)
    expect(s.ledger.begins).toBe(1 + 2)
    expect(runs(s)).toBe(`${2 * PAGE}n`)
    expect(balanced(s)).toBe(true)
  })

  test('in the gap the old bytes are on the disk, and nothing is in the cache', () => {
    let seen: unknown = null
    const s = stage(invalidateThenAdd, { choices: scheduled })
    take(write(s, 'o', PAGE))
    const kernel = s.posix.sys.pwrite(s.fd, sourceOf(100, 'n'), 50)
    take(interleave(kernel, gap, () => void (seen = [s.inode.pages!.find(0), s.cache.dirtyPages])))
    expect(seen).toEqual([null, 0])
    expect(runs(s)).toBe('50o100n3946o')
  })

  test('a pinned page is EBUSY; after progress a short write', () => {
    for (const page of [0, 1]) {
      const s = stage(invalidateThenAdd)
      take(write(s, 'o', 2 * PAGE))
      folio(s, page).pins++
      const outcome = write(s, 'n', 2 * PAGE)
      folio(s, page).pins--
      if (page === 0) expect(outcome).toMatchObject({ left: 'EBUSY' })
      else expect(take(outcome)).toBe(PAGE)
      expect(s.ledger.invalidateRefused).toBeGreaterThan(0)
      expect(balanced(s)).toBe(true)
      expect(runs(s)).toBe(page === 0 ? `${2 * PAGE}o` : `${PAGE}n${PAGE}o`)
    }
  })

  test('old data that cannot be written back is EIO; after progress it is tried again, and is lost by then', () => {
    for (const page of [0, 1]) {
      const on = { value: false }
      const s = stage(invalidateThenAdd, { choices: failing('EIO.write', () => on.value) })
      take(write(s, 'o', 2 * PAGE))
      take(s.posix.sync())
      take(write(s, 'p', 10, page * PAGE))
      on.value = true
      const outcome = write(s, 'n', 2 * PAGE)
      on.value = false
      if (page === 0) expect(outcome).toMatchObject({ left: 'EIO' })
      else expect([take(outcome), s.ledger.begins]).toEqual([2 * PAGE, 2 + 2])
      expect(balanced(s)).toBe(true)
    }
  })

  test('page tables of the old folio are torn down: the next load sees the new bytes', () => {
    const s = stage(invalidateThenAdd)
    take(write(s, 'o', PAGE))
    take(s.posix.mmapLoad(s.fd, 0, Buffer.alloc(1)))
    const { unmaps } = s.ledger
    folio(s).pins++
    expect(write(s, 'x', PAGE)).toMatchObject({ left: 'EBUSY' })
    // Before it is asked whether the folio may go.
    expect(s.ledger.unmaps).toBe(unmaps + 1)
    folio(s).pins--
    take(s.posix.mmapLoad(s.fd, 0, Buffer.alloc(1)))
    take(write(s, 'n', PAGE))
    expect(s.ledger.unmaps).toBe(unmaps + 2)
    const into = Buffer.alloc(1)
    take(s.posix.mmapLoad(s.fd, 0, into))
    expect(into.toString()).toBe('n')
  })

  test('of the new folio only what was written is dirty: the rest was written back before it', () => {
    const s = stage(invalidateThenAdd, { blockSize: 1024 })
    take(write(s, 'o', PAGE))
    take(write(s, 'n', 100, 1100))
    expect([folio(s).dirtyBlocks, folio(s).uptodateBlocks]).toEqual([1, 4])
    const { dataBytes } = s.ledger
    take(s.posix.sync())
    expect(s.ledger.dataBytes - dataBytes).toBe(1024)
    expect(runs(cold(s))).toBe('1100o100n2896o')
  })

  test('a record that fails late leaves what was not asked for uptodate', () => {
    const on = { value: false }
    let asked = 0
    const s = stage(invalidateThenAdd, {
      blockSize: 1024, choices: failing('ENOMEM.record', () => on.value && ++asked > 1),
    })
    take(s.posix.ftruncate(s.fd, PAGE))
    for (const block of [1, 3]) take(write(s, 'd', 1024, block * 1024))
    take(s.posix.sync())
    runs(s)
    on.value = true
    // Block 0 is recorded, 1 is there, 2 is not.
    expect(take(write(s, 'n', 3 * 1024))).toBe(2 * 1024)
    expect([0, 1, 2, 3].map((b) => folio(s).bits(b * 1024) & UPTODATE)).toEqual([UPTODATE, UPTODATE, 0, UPTODATE])
    expect(runs(s)).toBe('2048n1024.1024d')
  })
})
