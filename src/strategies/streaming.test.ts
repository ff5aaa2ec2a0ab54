import { describe, expect, test } from 'vitest'
import { cold, cost, failing, runs, sourceOf, stage, type Stage, take } from './stage.test-util.ts'
import { streaming } from './streaming.ts'

const write = (s: Stage, fill: string, pos: number, len: number): number => take(s.posix.pwriteFrom(s.fd, sourceOf(len, fill), pos))
/** A file of two blocks of `a` that only the disk knows. */
const onDisk = (props: Parameters<typeof stage>[1] = {}): Stage => {
  const s = stage(streaming, props)
  write(s, 'a', 0, 8192)
  return cold(s)
}
const bios = (s: Stage, act: () => unknown): number => {
  const before = s.ledger.dataBios
  act()
  return s.ledger.dataBios - before
}

describe('a part of a block that only the disk knows', () => {
  test('is written without a read; writeback reads the rest', () => {
    const s = onDisk()
    expect(bios(s, () => write(s, 'b', 100, 50))).toBe(0)
    expect([s.inode.pages!.find(0)!.uptodate, s.inode.pages!.find(0)!.dirty]).toEqual([false, true])
    expect(bios(s, () => take(s.posix.fsync(s.fd)))).toBe(2)
    expect(runs(cold(s))).toBe('100a50b8042a')
  })

  test('is completed for a reader, and stays dirty', () => {
    const s = onDisk()
    write(s, 'b', 100, 50)
    expect(runs(s)).toBe('100a50b8042a')
    expect([s.inode.pages!.find(0)!.uptodate, s.inode.pages!.find(0)!.dirty]).toEqual([true, true])
  })

  test('goes on where it ended, over blocks, without a read; whole blocks are uptodate', () => {
    const s = onDisk({ blockSize: 1024 })
    expect(bios(s, () => [write(s, 'b', 100, 500), write(s, 'c', 600, 2000)])).toBe(0)
    expect(s.inode.pages!.find(0)!.uptodateBlocks).toBe(1)
    expect(runs(s)).toBe('100a500b2000c5592a')
    expect(runs(cold(s))).toBe('100a500b2000c5592a')
  })

  test('is no range any more when all of it is there', () => {
    const s = onDisk()
    expect(bios(s, () => [write(s, 'b', 0, 500), write(s, 'c', 500, 3596)])).toBe(0)
    const f = s.inode.pages!.find(0)!
    expect([f.uptodate, f.streamTo]).toEqual([true, -1])
  })

  test('elsewhere in the folio: the block is read, and what was streamed is kept', () => {
    const s = onDisk()
    write(s, 'b', 100, 50)
    expect(bios(s, () => write(s, 'c', 1000, 10))).toBe(1)
    expect(runs(s)).toBe('100a50b850a10c7182a')
  })

  test('is completed for a store through a mapping', () => {
    const s = onDisk()
    write(s, 'b', 100, 50)
    take(s.posix.mmapStore(s.fd, 10, Buffer.from('ss')))
    expect(runs(s)).toBe('10a2s88a50b8042a')
  })

  test('is cut by a truncate, and reads as zeros after an extension', () => {
    const s = onDisk()
    write(s, 'b', 4000, 200)
    take(s.posix.ftruncate(s.fd, 4050))
    take(s.posix.ftruncate(s.fd, 8192))
    expect(runs(s)).toBe('4000a50b4142.')
    expect(runs(cold(s))).toBe('4000a50b4142.')
  })

  test('is cut with its block: what comes there later does not go on', () => {
    const s = onDisk({ blockSize: 1024 })
    write(s, 'b', 100, 2000)
    take(s.posix.ftruncate(s.fd, 1024))
    write(s, 'c', 2100, 10)
    expect(runs(cold(s))).toBe('100a924b1076.10c')
  })

  test('that cannot be read is an error of fsync; the data stays dirty', () => {
    let armed = true
    const s = onDisk({ choices: failing('EIO.read', () => armed) })
    expect(write(s, 'b', 100, 50)).toBe(50)
    expect(s.posix.fsync(s.fd)).toEqual({ _tag: 'Left', left: 'EIO' })
    armed = false
    expect(runs(s)).toBe('100a50b8042a')
    take(s.posix.fsync(s.fd))
    expect(runs(cold(s))).toBe('100a50b8042a')
  })

  test('copied short is as long as the copy: nobody reads it before it is complete', () => {
    const s = onDisk()
    const short = (): void => expect(take(s.posix.pwriteFrom(s.fd, sourceOf(50, 'b', 20), 100))).toBe(20)
    // It stands as it is: nothing is copied again.
    expect(cost(s, short)).toMatch(/copiedBytes 20\b/)
    expect(runs(s)).toBe('100a20b8072a')
  })
})

test('a copy over a range that is refused does not spoil it', () => {
  const s = onDisk({ blockSize: 2048 })
  write(s, 'b', 512, 2048)
  expect(take(s.posix.pwriteFrom(s.fd, sourceOf(4096, 'c', 2560), 0))).toBe(2560)
  expect(runs(s)).toBe('2560c5632a')
})

test('a range that cannot be completed is the EIO of the write that needs it, and its folio is free again', () => {
  let armed = false
  const s = onDisk({ choices: failing('EIO.read', () => armed) })
  write(s, 'b', 100, 50)
  armed = true
  expect(s.posix.pwriteFrom(s.fd, sourceOf(10, 'c'), 1000)).toEqual({ _tag: 'Left', left: 'EIO' })
  armed = false
  expect(s.inode.pages!.find(0)!.locked).toBe(false)
  expect(runs(s)).toBe('100a50b8042a')
})

test('each folio is asked for its own part: what lies below the next one does not matter', () => {
  const s = onDisk()
  take(s.posix.fallocate(s.fd, 'punch', 4096, 4096))
  expect(bios(s, () => write(s, 'b', 100, 4096))).toBe(0)
  expect(runs(cold(s))).toBe('100a4096b3996.')
})

test('where zeros are true nothing is streamed', () => {
  const s = stage(streaming)
  write(s, 'a', 0, 100)
  expect(cost(s, () => write(s, 'b', 5000, 100))).toMatch(/zeroedBlocks 1/)
  expect(s.inode.pages!.find(1)!.uptodate).toBe(true)
})
