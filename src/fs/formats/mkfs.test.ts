import { openSync, closeSync, ftruncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ImageDevice } from '../../block/image-device.ts'
import { MemoryDevice } from '../../block/memory-device.ts'
import { run } from '../../kernel/kernel.ts'
import { accountBlocks } from './accounting.ts'
import { debugfs, fsck, leftOf, made, MIB, mounted, NOW, ok, right, save, scratch } from './judges.test-util.ts'
import { mkfs, planMkfs, seededUuid } from './mkfs.ts'
import { mountFormat } from './mount.ts'

const formats = ['ext2', 'ext4'] as const
const blockSizes = [1024, 2048, 4096] as const
/** The last group is short in most of these; in the last two it is too short to be used. */
const sizes = [MIB, 5 * MIB + 512 * 3, 9 * MIB + 4096 * 7, 64 * MIB, 8 * MIB + 60 * 1024, 16 * MIB + 20 * 2048]

describe.each(formats)('mkfs %s', (format) => {
  describe.each(blockSizes)('blocks of %i bytes', (blockSize) => {
    test.each(sizes)('a device of %i bytes passes e2fsck and adds up', (size) => {
      const device = made(size, { format, blockSize })
      expect(fsck(device)).toBe('')
      const sums = ok(accountBlocks(mounted(device)))
      expect(sums.problems).toEqual([])
      expect(sums.used + sums.free).toBe(sums.total)
      expect(mounted(device).freeBlocks).toBe(sums.free)
    })
  })

  test('a sparse image of 16 GiB is made in a moment', () => {
    const path = join(scratch(), 'big')
    const fd = openSync(path, 'w')
    ftruncateSync(fd, 16 * 1024 * MIB)
    closeSync(fd)
    const device = ImageDevice.open(path)
    ok(mkfs(device, { format, blockSize: 1024 }))
    const f = right(ok(mountFormat(device)))
    expect(ok(f.countFreeBlocks())).toBe(f.freeBlocks)
    ok(f.unmount())
    device.close()
    expect(fsck(path)).toBe('')
  })

  test('on a device full of old bytes, zeroTables makes it clean', () => {
    const device = new MemoryDevice(20 * MIB, { fill: 0xaa })
    ok(mkfs(device, { format, zeroTables: true }))
    expect(fsck(device)).toBe('')
  })

  test('the same call makes the same bytes', () => {
    const bytes = (seed: number): Buffer => made(3 * MIB, { format, seed }).image()
    expect(bytes(7).equals(bytes(7))).toBe(true)
    expect(bytes(7).equals(bytes(8))).toBe(false)
  })

  test('what was asked for is what debugfs shows', () => {
    const uuid = seededUuid(3)
    const image = save(made(8 * MIB, { format, label: 'perform', uuid, inodes: 100, reservedBlocks: 9 }))
    const shown = debugfs(image, 'show_super_stats -h')
    expect(shown).toMatch(/volume name:\s+perform\n/)
    expect(shown.replaceAll('-', '')).toContain(uuid.toString('hex'))
    expect(shown).toMatch(/Inode count:\s+(112|128)\n/)
    expect(shown).toMatch(/Reserved block count:\s+9\n/)
    expect(debugfs(image, 'ls /')).toContain('lost+found')
  })
})

test('what cannot be made is refused with a reason', () => {
  const said = (size: number, options: Parameters<typeof planMkfs>[1]) => leftOf(planMkfs(size, options))
  expect(said(MIB, { format: 'ext2', blockSize: 512 as never })).toMatch(/block size 512: choose/)
  expect(said(8192, { format: 'ext2' })).toMatch(/8192 bytes are too few/)
  expect(said(MIB, { format: 'ext2', label: 'seventeen letters' })).toMatch(/more than 16 bytes/)
  expect(said(MIB, { format: 'ext4', inodes: 1e6 })).toMatch(/1000000 inodes: at most/)
  expect(said(MIB, { format: 'ext4', inodes: 0 })).toMatch(/positive/)
  expect(said(MIB, { format: 'ext2', metadataCsum: true })).toMatch(/neither checksums nor 64-byte descriptors; choose ext4/)
  expect(said(MIB, { format: 'ext2', bits64: true })).toMatch(/choose ext4/)
  expect(leftOf(run(mkfs(new MemoryDevice(8192), { format: 'ext2' })))).toBe('EINVAL')
})

test('the clock given is the time on disk', () => {
  const device = made(MIB, { format: 'ext4', now: NOW })
  expect(ok(mounted(device).readInode(2)).mtime).toBe(NOW)
})
