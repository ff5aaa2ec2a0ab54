import { expect, test } from 'vitest'
import { MemoryDevice } from '../block/memory-device.ts'
import { ProtectedDevice } from '../block/t10.ts'
import { pinForDma } from '../fs/mmap.ts'
import { run } from '../kernel/kernel.ts'
import { make, mount } from '../lab/session.ts'
import { lockAndUnmap } from './lock-and-unmap.ts'
import { interleave, now, runs, scheduled, sourceOf, stage, take } from './stage.test-util.ts'

test('page tables are torn down before the copy, and a store faults again', () => {
  const s = stage(lockAndUnmap)
  take(s.posix.pwriteFrom(s.fd, sourceOf(8192, 'a'), 0))
  take(s.posix.mmapStore(s.fd, 10, Buffer.from('ss')))
  take(s.posix.mmapStore(s.fd, 5000, Buffer.from('ss')))
  const before = s.ledger.unmaps
  take(s.posix.pwriteFrom(s.fd, sourceOf(8192, 'b'), 0))
  expect(s.ledger.unmaps - before).toBe(2)
  take(s.posix.mmapStore(s.fd, 20, Buffer.from('tt')))
  expect(runs(s)).toBe('20b2t8170b')
})

test('all folios are locked when the first byte is copied: a mapping cannot see half a write', () => {
  const s = stage(lockAndUnmap, { choices: scheduled })
  take(s.posix.pwriteFrom(s.fd, sourceOf(8192, 'a'), 0))
  const locked: boolean[] = []
  const write = s.posix.sys.pwrite(s.fd, sourceOf(8192, 'b'), 0)
  take(interleave(write, /^copy$/, () => locked.push(...[0, 1].map((i) => s.inode.pages!.find(i)!.locked))))
  expect(locked).toEqual([true, true])
})

test('a page under writeback is waited for', () => {
  const s = stage(lockAndUnmap)
  take(s.posix.pwriteFrom(s.fd, sourceOf(4096, 'a'), 0))
  const f = s.inode.pages!.find(0)!
  f.writeback = true
  take(interleave(s.posix.sys.pwrite(s.fd, sourceOf(100, 'b'), 0), /writeback/, () => void (f.writeback = false)))
  expect(runs(s)).toBe('100b3996a')
})

test('the guard of copy-in stands, but for what a device has pinned', () => {
  for (const pinned of [false, true]) {
    const drive = new ProtectedDevice(new MemoryDevice(16 << 20))
    take(make(drive, { format: 'ext4' }) as never)
    const mounted = mount(drive, { strategy: lockAndUnmap, protection: true, maxFolioOrder: 0 })
    if (mounted._tag === 'Left') throw new Error(mounted.left.message)
    const { posix, fs } = mounted.right
    const fd = take(posix.open('f', ['O_RDWR', 'O_CREAT']))
    take(posix.pwrite(fd, Buffer.alloc(4096, 'a'), 0))
    const { inode } = take(run(posix.sys.file(fd)))
    const pin = now(pinForDma(fs.verbs, fs, inode, 0))
    if (!pinned) now(pin.release(fs.verbs, fs))
    take(posix.pwrite(fd, Buffer.alloc(512, 'b'), 0))
    // Nobody has the right to this one if the pin was released: a stray write, which the drive finds.
    pin.dma(100, Buffer.from('device'))
    expect([pinned, posix.fsync(fd)._tag]).toEqual([pinned, pinned ? 'Right' : 'Left'])
  }
})
