import { describe, expect, test } from 'vitest'
import { intoBuffer } from '../iov/target.ts'
import { failing, interleave, scheduled, stage, type Stage, take } from '../strategies/stage.test-util.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'

const PAGE = 4096

/** Two pages of `a` on the disk, then `b` over the first, in the cache only; and an open file that reads past the cache. */
const dirty = (...props: Parameters<typeof stage> extends [unknown, ...infer Rest] ? Rest : never) => {
  const s = stage(reserveAllocate, ...props)
  take(s.posix.pwrite(s.fd, Buffer.alloc(2 * PAGE, 'a'), 0))
  take(s.posix.sync())
  take(s.posix.pwrite(s.fd, Buffer.alloc(PAGE, 'b'), 0))
  return { ...s, direct: take(s.posix.open('f', ['O_RDWR', 'O_DIRECT'])) }
}

const reading = (s: Stage & { readonly direct: number }, into: Buffer) => s.posix.sys.pread(s.direct, intoBuffer(into), 0)

describe('a direct read', () => {
  test('sees what is dirty in the cache', () => {
    const s = dirty()
    const into = Buffer.alloc(2 * PAGE)
    expect(take(s.posix.pread(s.direct, into, 0))).toBe(2 * PAGE)
    expect(into.toString('latin1')).toBe('b'.repeat(PAGE) + 'a'.repeat(PAGE))
  })

  test('waits for the inode lock, which a write holds', () => {
    const s = dirty()
    s.inode.rwsem.tryLock()
    expect(interleave(reading(s, Buffer.alloc(PAGE)), /rwsem \(shared\)/, () => s.inode.rwsem.unlock())).toMatchObject({ right: PAGE })
    expect(s.inode.rwsem.tryLock()).toBe(true)
  })

  test('waits for what the pass of somebody else has on its way', () => {
    const s = dirty({ choices: scheduled })
    const folio = s.inode.pages!.find(1)!
    folio.writeback = true
    expect(interleave(reading(s, Buffer.alloc(2 * PAGE)), /writeback of page 1/, () => void (folio.writeback = false)))
      .toMatchObject({ right: 2 * PAGE })
  })

  test('fails where what is dirty cannot be written', () => {
    let broken = false
    const s = dirty({ choices: failing('EIO.write', () => broken) })
    broken = true
    expect(s.posix.pread(s.direct, Buffer.alloc(PAGE), 0)).toEqual({ _tag: 'Left', left: 'EIO' })
    expect(s.inode.rwsem.tryLock()).toBe(true)
  })
})
