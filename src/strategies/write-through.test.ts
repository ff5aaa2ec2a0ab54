import { describe, expect, test } from 'vitest'
import { Pipes } from '../pipe/pipes.ts'
import { FaultPlan } from '../sim/fault-plan.ts'
import { cold, cost, failing, interleave, runs, scheduled, sourceOf, space, stage, type Stage, take } from './stage.test-util.ts'
import { writeThrough, writeThroughAtomic } from './write-through.ts'

const BOTH = [writeThrough, writeThroughAtomic] as const
const write = (s: Stage, fill: string, pos: number, len: number): number => take(s.posix.pwriteFrom(s.fd, sourceOf(len, fill), pos))

describe.each(BOTH)('$name', (design) => {
  test('when write(2) returns, all of it is on the disk, and cached', () => {
    const s = stage(design, { maxFolioOrder: 2 })
    expect(write(s, 'a', 0, 20_000)).toBe(20_000)
    expect(s.inode.pages!.dirty).toEqual([])
    expect(space(s)).toEqual({ real: 5, delayed: 0, reserved: 0 })
    expect([s.inode.size, s.inode.diskSize]).toEqual([20_000, 20_000])
    const bios = s.ledger.dataBios
    expect(runs(s)).toBe('20000a')
    expect(s.ledger.dataBios).toBe(bios)
    expect(runs(cold(s))).toBe('20000a')
  })

  test('the size moves when the I/O has ended, with the folio still locked', () => {
    const s = stage(design, { choices: scheduled })
    const seen: unknown[] = []
    const look = (): void => void seen.push(s.inode.size, s.inode.pages!.find(0)!.locked, s.inode.pages!.find(0)!.writeback)
    // The map lock is taken to look up, to place, and to convert.
    take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(4096, 'a'), 0), /map lock/, look, 3))
    expect(seen).toEqual([0, true, true])
    expect(s.inode.size).toBe(4096)
  })

  test('its own I/O error is the result of the call, and of no later fsync', () => {
    const s = stage(design, { choices: failing('EIO.write-through') })
    expect(s.posix.pwriteFrom(s.fd, sourceOf(4096, 'a'), 0)).toEqual({ _tag: 'Left', left: 'EIO' })
    expect(s.posix.fsync(s.fd)._tag).toBe('Right')
    expect([s.inode.size, space(s).real]).toEqual([0, 0])
  })

  test('a failed write over clean data shows what the disk holds; over dirty data its own bytes, still dirty', () => {
    for (const dirty of [false, true]) {
      const plan = new FaultPlan({ fail: [] })
      plan.armed = false
      const failed = failing('EIO.write-through', () => plan.armed)
      const s = stage(design, { choices: failed })
      write(s, 'a', 0, 4096)
      if (dirty) take(s.posix.mmapStore(s.fd, 100, Buffer.from('older')))
      plan.armed = true
      expect(s.posix.pwriteFrom(s.fd, sourceOf(50, 'b'), 100)._tag).toBe('Left')
      plan.armed = false
      expect(runs(s)).toBe(dirty ? '100a50b3946a' : '4096a')
      expect(s.inode.pages!.dirty.length).toBe(dirty ? 1 : 0)
    }
  })

  test('where there are no unwritten extents a failed write into a hole leaves zeros', () => {
    const s = stage(design, { format: 'ext2', choices: failing('EIO.write-through') })
    take(s.posix.ftruncate(s.fd, 8192))
    expect(s.posix.pwriteFrom(s.fd, sourceOf(4096, 'a'), 0)._tag).toBe('Left')
    expect(runs(s)).toBe('8192.')
    take(s.posix.fsync(s.fd))
    expect(runs(cold(s))).toBe('8192.')
  })
})

describe('the second of three bios fails', () => {
  const failed = (design: typeof BOTH[number]): [Stage, unknown] => {
    const s = stage(design, { choices: failing('EIO.write-through', (n) => n === 2) })
    for (const at of [1, 3]) take(s.posix.fallocate(s.fd, 'allocate', at * 4096, 4096))
    return [s, s.posix.pwriteFrom(s.fd, sourceOf(20_000, 'a'), 0)]
  }

  test('folio by folio: what came before stands', () => {
    const [s, n] = failed(writeThrough)
    expect(n).toEqual({ _tag: 'Right', right: 4096 })
    expect(runs(s, 0, 4096)).toBe('4096a')
  })

  test('atomic: nothing stands', () => {
    const [s, n] = failed(writeThroughAtomic)
    expect(n).toEqual({ _tag: 'Left', left: 'EIO' })
    expect(s.inode.diskSize).toBe(16_384)
  })
})

test('blocks of a folio that are on the disk before one that fails stand; with those of all folios locked none does', () => {
  /** Free are a run of two blocks and single ones, so that a page is several bios; all of them fail from the second on. */
  const outcome = (design: typeof BOTH[number]): unknown => {
    const s = stage(design, { blockSize: 1024, choices: failing('EIO.write-through', (n) => n >= 2) })
    const other = take(s.posix.open('other', ['O_RDWR', 'O_CREAT']))
    take(s.posix.fallocate(other, 'allocate', 0, (s.fs.space.available - 2) * 1024))
    for (let i = 0; i < 8; i++) take(s.posix.fallocate(other, 'punch', (2 * i + 1) * 1024, 1024))
    const n = s.posix.pwriteFrom(s.fd, sourceOf(4096, 'a'), 0)
    if (n._tag === 'Right') expect(runs(cold(s))).toBe(`${n.right}a`)
    return n
  }
  expect(outcome(writeThrough)).toEqual({ _tag: 'Right', right: 2048 })
  expect(outcome(writeThroughAtomic)).toEqual({ _tag: 'Left', left: 'EIO' })
})

test.each(BOTH)('where data is logged nothing goes to its place: it is in the transaction when write(2) returns ($name)', (design) => {
  const disk = { journalBlocks: 1024, size: 16 << 20 }
  const s = stage(design, { ...disk, journal: 'journal', maxFolioOrder: 6 })
  write(s, 'a', 4096, 8192)
  expect([s.inode.pages!.dirty.length, s.fs.journal!.running.data.size]).toEqual([0, 2])
  take(s.posix.fsync(s.fd))
  expect(runs(cold(s))).toBe('4096.8192a')
  // A transaction never logs more than the log takes at once.
  const journal = s.fs.journal!
  for (let i = 0; i < 8; i++) {
    write(s, 'b', i * (64 << 12), 64 << 12)
    expect(journal.running.data.size).toBeLessThanOrEqual(journal.log.mostBlocks)
  }
})

test.each(BOTH)('a page that the source offers is copied: what fails late would be written over ($name)', (design) => {
  const s = stage(design)
  const pipes = new Pipes(s.posix)
  const pipe = pipes.pipe()
  take(pipes.write(pipe, Buffer.alloc(4096, 'p')))
  expect(cost(s, () => take(pipes.toFile(pipe, s.fd, 0, 4096)))).toMatch(/copies 1 .*refusedIgnored 1/)
  expect(runs(cold(s))).toBe('4096p')
})

describe('atomic', () => {
  test('a source that cannot be read to its end fails it before anything is changed', () => {
    const s = stage(writeThroughAtomic)
    write(s, 'a', 0, 8192)
    expect(s.posix.pwriteFrom(s.fd, sourceOf(8192, 'b', 5000), 0)).toEqual({ _tag: 'Left', left: 'EFAULT' })
    expect(runs(s)).toBe('8192a')
  })

  test('a source that is not there yet is no short copy', () => {
    const s = stage(writeThroughAtomic)
    expect(take(s.posix.pwriteFrom(s.fd, sourceOf(8192, 'a', 8192, true), 0))).toBe(8192)
    expect(s.ledger.iterations).toBe(2)
    expect(s.ledger.innerBytes).toBe(8192)
  })

  test('no memory for the last folio: none was changed', () => {
    const s = stage(writeThroughAtomic, { choices: failing('ENOMEM.folio', (n) => n === 4) })
    write(s, 'a', 0, 8192)
    expect(s.posix.pwriteFrom(s.fd, sourceOf(16_384, 'b'), 0)).toEqual({ _tag: 'Left', left: 'ENOMEM' })
    expect(runs(s)).toBe('8192a')
  })

  test('all that is locked together is written; more is refused before it is copied', () => {
    const s = stage(writeThroughAtomic)
    const most = 2 << 20
    expect(take(s.posix.pwriteFrom(s.fd, sourceOf(most, 'a', most, true), 0))).toBe(most)
    expect(s.ledger.innerBytes).toBe(most)
    expect(s.posix.pwriteFrom(s.fd, sourceOf(most + 1, 'b'), 0)).toEqual({ _tag: 'Left', left: 'EINVAL' })
    expect(s.ledger.innerBytes).toBe(most)
  })

  test('memory that goes away while it is copied fails it, with nothing changed', () => {
    const s = stage(writeThroughAtomic)
    write(s, 'a', 0, 8192)
    const source = sourceOf(8192, 'b')
    source.copyFaulting = function* (target, start, at) {
      return source.copyAtomic(target, start, at, 5000)
    }
    expect(s.posix.pwriteFrom(s.fd, source, 0)).toEqual({ _tag: 'Left', left: 'EFAULT' })
    expect(runs(s)).toBe('8192a')
  })

  test('a mapping that became stale is asked for again; the source is not read twice', () => {
    const s = stage(writeThroughAtomic, { choices: scheduled })
    write(s, 'a', 0, 8192)
    const { innerBytes } = s.ledger
    const f = s.inode.pages!.find(0)!
    f.locked = true
    const stale = (): void => {
      s.inode.map.seq++
      f.locked = false
    }
    take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(8192, 'b'), 0), /page 0/, stale))
    expect([s.ledger.restarts, s.ledger.innerBytes - innerBytes]).toEqual([1, 8192])
    expect(runs(cold(s))).toBe('8192b')
  })
})
