import { execFileSync } from 'node:child_process'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Child } from '../host/child.ts'
import { runOrThrow } from '../host/process.ts'
import { Scratch } from '../host/scratch.ts'
import { canMeasure, KernelArm, KERNELS, measureKernel } from './kernel-arm.ts'
import type { KernelName, KernelOperation, Outcome } from './kernel-arm.ts'

const MIB = 1024 * 1024
const UNAVAILABLE = /^(not Linux but|not root:|no \/dev\/loop-control:|Node v.* has no node:ffi:|.* is not installed:|no \/sys)/

const open = async (kernel: KernelName, sizeBytes = 16 * MIB, blockSize = 4096): Promise<KernelArm> => {
  const arm = await KernelArm.open({ kernel, sizeBytes, blockSize })
  onTestFinished(() => arm.close())
  return arm
}

/** A test on a mounted kernel; where it cannot run, its title says why and it asserts that this is what the arm says. */
const onKernel = (kernel: KernelName, title: string, body: () => Promise<void>): void => {
  const can = KernelArm.available(kernel)
  test(can.ok ? title : `${title}: unavailable, ${can.why}`, async () => {
    if (can.ok) return body()
    expect(can.why).toMatch(UNAVAILABLE)
    await expect(KernelArm.open({ kernel, sizeBytes: MIB, blockSize: 4096 }))
      .rejects.toThrow(`kernel arm ${kernel} is unavailable: ${can.why}`)
  })
}

const fill = (index: number, len: number): Buffer => Buffer.alloc(len, index + 1)
const create: KernelOperation = { op: 'open', fd: 1, path: 'file', flags: ['O_RDWR', 'O_CREAT'] }
const rets = (outcome: Outcome) => outcome.answers.map(answer => answer.errno ?? answer.ret)
const bytesOf = (outcome: Outcome, path: string): Buffer => {
  const file = outcome.files.find(found => found.path === path)
  const bytes = Buffer.alloc(file?.size ?? 0)
  for (const segment of file?.contents ?? []) segment.bytes.copy(bytes, segment.pos)
  return bytes
}

describe.each(KERNELS)('%s', kernel => {
  onKernel(kernel, 'every operation is one system call with its own result', async () => {
    const arm = await open(kernel)
    const outcome = await arm.runSequence([
      create,
      { op: 'write', fd: 1, len: 5000 },
      { op: 'write', fd: 1, len: 10, off: 100_000, sync: true },
      { op: 'writev', fd: 1, lens: [1, 4096, 0, 3], off: 8000 },
      { op: 'lseek', fd: 1, off: 0, whence: 'cur' },
      { op: 'read', fd: 1, len: 4, off: 99_998 },
      { op: 'mmap-write', fd: 1, off: 100_005, len: 50 },
      { op: 'mkdir', path: 'dir', mode: 0o700 },
      { op: 'link', from: 'file', to: 'dir/other' },
      { op: 'rename', from: 'file', to: 'dir/file' },
      { op: 'symlink', target: 'dir/file', path: 'link' },
      { op: 'open', fd: 2, path: 'link', flags: ['O_RDONLY'] },
      { op: 'write', fd: 2, len: 1 },
      { op: 'readdir', path: 'dir' },
      { op: 'chmod', path: 'dir/file', mode: 0o640 },
      { op: 'utimes', path: 'dir/file', mtime: 1_000_000 },
      { op: 'ftruncate', fd: 1, len: 100_008 },
      { op: 'stat', path: 'dir/file' },
      { op: 'rmdir', path: 'dir' },
      { op: 'unlink', path: 'gone' },
      { op: 'sync' },
      { op: 'fsync', fd: 1 },
      { op: 'fdatasync', fd: 1 },
      { op: 'close', fd: 1 },
      { op: 'close', fd: 1 },
    ], fill)
    expect(rets(outcome)).toEqual([
      0, 5000, 10, 4100, 5000, 4, 5, 0, 0, 0, 0, 'ELOOP', 'EBADF', 0, 0, 0, 0, 0, 'ENOTEMPTY', 'ENOENT', 0, 0, 0, 0, 'EBADF',
    ])
    expect(outcome.answers[5]?.data).toEqual(Buffer.of(0, 0, 3, 3))
    expect(outcome.answers[13]?.names).toEqual(['file', 'other'])
    expect(outcome.answers[17]?.attributes).toMatchObject({ nlink: 2, size: 100_008, mode: 0o100640 })
    expect(outcome.files.map(({ path, type }) => `${type} ${path}`))
      .toEqual(['directory dir', 'file dir/file', 'file dir/other', 'symlink link'])
    const expected = Buffer.alloc(100_008)
    expected.fill(2, 0, 5000).fill(4, 8000, 12_100).fill(3, 100_000).fill(7, 100_005)
    expect(bytesOf(outcome, 'dir/file').equals(expected)).toBe(true)
    expect(outcome.changedCold).toEqual([])
  })

  onKernel(kernel, 'a source that faults at byte k: k bytes or fewer stand, then nothing', async () => {
    const arm = await open(kernel)
    const outcome = await arm.runSequence([
      create,
      { op: 'write', fd: 1, len: 65_536, readable: 8092 },
      { op: 'write', fd: 1, len: 4096, readable: 0 },
      { op: 'write', fd: 1, len: 10, readable: 10 },
    ], fill)
    const [, first, second, third] = outcome.answers
    // btrfs gives back the copy up to a page; the others keep all that was readable.
    if (kernel === 'btrfs') expect(first?.ret).toBeGreaterThan(0)
    else expect(first?.ret).toBe(8092)
    expect(first?.ret).toBeLessThanOrEqual(8092)
    expect(second?.errno).toBe('EFAULT')
    expect(third?.ret).toBe(10)
    expect(bytesOf(outcome, 'file').equals(Buffer.concat([fill(1, first?.ret ?? 0), fill(3, 10)]))).toBe(true)
  })

  onKernel(kernel, 'each sequence starts from a fresh file system', async () => {
    const arm = await open(kernel)
    const ops: KernelOperation[] = [create, { op: 'write', fd: 1, len: 300_000 }, { op: 'unlink', path: 'absent' }]
    const first = await arm.runSequence(ops, fill)
    const again = await arm.runSequence(ops, fill)
    const none = await arm.runSequence([], fill)
    expect(again).toEqual(first)
    expect(none.files).toEqual([])
    expect(none.space.before).toEqual(first.space.before)
    expect(first.space.before.bfree - first.space.after.bfree).toBeGreaterThanOrEqual(300_000 / 4096 | 0)
  })
})

onKernel('ext4', 'a write that stored nothing keeps its reservation on ext4 with delayed allocation', async () => {
  const failing: KernelOperation[] = [create, { op: 'write', fd: 1, len: MIB, readable: 0 }]
  const lost = async (kernel: KernelName): Promise<number> => {
    const { space, answers } = await (await open(kernel, 32 * MIB)).runSequence(failing, fill)
    expect(answers[1]?.errno).toBe('EFAULT')
    return space.before.bfree - space.after.bfree
  }
  expect(await lost('ext4')).toBe(256)
  expect(await lost('ext4,nodelalloc')).toBe(0)
})

onKernel('ext2', 'holes and st_blocks are those of the block size', async () => {
  const arm = await open('ext2', 8 * MIB, 1024)
  const outcome = await arm.runSequence([create, { op: 'write', fd: 1, len: 1, off: 5000 }], fill)
  expect(outcome.files[0]).toMatchObject({ size: 5001, blocks: 2, data: [{ from: 4096, to: 5001 }] })
})

onKernel('ext4', 'an image file is run on a copy; one that is no file system is refused with an errno', async () => {
  using scratch = new Scratch('perform-write-test')
  const image = scratch.path('image')
  await runOrThrow('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '1024', image, '4M'])
  const before = readFileSync(image)
  const arm = await open('ext4')
  const outcome = await arm.runSequence([create, { op: 'write', fd: 1, len: 10 }], fill, image)
  expect(outcome.space.before.bsize).toBe(1024)
  expect(rets(outcome)).toEqual([0, 10])
  expect(readFileSync(image).equals(before)).toBe(true)
  writeFileSync(image, '')
  truncateSync(image, MIB)
  expect((await arm.runSequence([create], fill, image)).refused).toBe('EINVAL')
  truncateSync(image, 17 * MIB)
  await expect(arm.runSequence([create], fill, image)).rejects.toThrow('do not fit on a disk of')
  expect(rets(await arm.runSequence([create], fill))).toEqual([0])
})

onKernel('ext2', 'a child that is killed says so, and leaves no loop device', async () => {
  const child = new Child()
  await child.ask('open', { kernel: 'ext2', sizeBytes: 4 * MIB, blockSize: 1024 })
  const devices = (): string => execFileSync('losetup', ['-l', '-n', '-O', 'NAME,BACK-FILE'], { encoding: 'utf8' })
  const mine = devices().split('\n').filter(line => line.includes('memfd:perform-write'))
  expect(mine.length).toBeGreaterThan(0)
  process.kill(child.pid, 'SIGKILL')
  await expect(child.ask('run', { ops: [], payloads: new Map() })).rejects.toThrow('ended (SIGKILL)')
  await vi.waitFor(() => expect(devices().split('\n').filter(line => mine.includes(line)).length).toBeLessThan(mine.length))
})

describe('counts of trace events', () => {
  const can = canMeasure('ext2')
  const title = (text: string): string => can.ok ? text : `${text}: unavailable, ${can.why}`

  test(title('ext2 maps and allocates per block, at any size of write'), async () => {
    if (!can.ok) {
      expect(can.why).toMatch(UNAVAILABLE)
      await expect(measureKernel({ fs: 'ext2', workload: 'append', size: 4096, totalBytes: MIB }))
        .rejects.toThrow(`counting on ext2 is unavailable: ${can.why}`)
      return
    }
    // A folio is a power of two and naturally aligned: 48 KiB take one of 32 and one of 16, hence two begins.
    for (const [size, begins] of [[8192, 1], [48 * 1024, 2]] as const) {
      const counted = await measureKernel({ fs: 'ext2', workload: 'append', size, totalBytes: 4 * MIB })
      expect(counted.write['ext4:ext4_write_begin']).toBe(begins * counted.bytes / size)
      expect(counted.perMib['sysc']).toBeCloseTo(MIB / size)
      // A probe and a create per block; a further allocation for each map block.
      expect(counted.perMib['mapblk']).toBeCloseTo(512, -1)
      expect(counted.perMib['alloc']).toBeCloseTo(256, -1)
    }
  })

  test(title('ext4 reserves per block in the write and allocates at fsync'), async () => {
    if (!can.ok) return expect(can.why).toMatch(UNAVAILABLE)
    const options = { fs: 'ext4', workload: 'append', size: 65_536, totalBytes: 4 * MIB } as const
    const [one, two] = [await measureKernel(options), await measureKernel(options)]
    expect(one.perMib).toMatchObject({ 'sysc': 16, 'begin': 16, 'fdirty': 16, 'resv': 256, 'alloc': 0 })
    expect(one.fsync['ext4:ext4_allocate_blocks']).toBeGreaterThan(0)
    for (const key of ['sysc', 'begin', 'lookup', 'alloc', 'resv', 'bhdirty', 'fdirty', 'f:alloc']) {
      expect([key, two.perMib[key]]).toEqual([key, one.perMib[key]])
    }
    const over = await measureKernel({ ...options, workload: 'overwrite' })
    expect(over.perMib).toMatchObject({ 'begin': 16, 'lookup': 0, 'resv': 0, 'fdirty': 1 })
  })
})
