/**
 * The whole pipeline on what today's mkfs.ext4 makes, and on our images with checksums and 64-byte descriptors: random steps,
 * each answer compared with the model, and e2fsck -fn on the image at the end.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MemoryDevice } from '../src/block/memory-device.ts'
import { mkfs, type MkfsOptions } from '../src/fs/formats/mkfs.ts'
import { availability } from '../src/host/availability.ts'
import { run } from '../src/kernel/kernel.ts'
import { strategies } from '../src/strategies/index.ts'
import { drawCase, playCase } from './soak.ts'

const tools = availability({ programs: { mke2fs: 'e2fsprogs', e2fsck: 'e2fsprogs' } })

const theirs = (args: readonly string[]): MemoryDevice => {
  const folder = mkdtempSync(join(tmpdir(), 'features-'))
  try {
    execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', ...args, join(folder, 'image'), '32M'], { stdio: 'pipe' })
    return MemoryDevice.of(readFileSync(join(folder, 'image')))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const ours = (options: Partial<MkfsOptions>): MemoryDevice => {
  const device = new MemoryDevice(32 * 2 ** 20, { fill: 0xaa })
  expect(run(mkfs(device, { format: 'ext4', zeroTables: true, ...options }))._tag).toBe('Right')
  return device
}

const images: readonly [string, number, () => MemoryDevice][] = [
  ['mkfs.ext4 -b 4096', 4096, () => theirs(['-b', '4096'])],
  ['mkfs.ext4 -b 1024', 1024, () => theirs(['-b', '1024'])],
  ['mkfs.ext4 -b 1024, no journal', 1024, () => theirs(['-b', '1024', '-O', '^has_journal'])],
  ['mkfs.ext4 with uninit_bg of old', 1024, () => theirs(['-b', '1024', '-O', '^has_journal,^metadata_csum,^64bit,uninit_bg'])],
  ['our checksums, 64bit', 1024, () => ours({ blockSize: 1024, metadataCsum: true, bits64: true })],
  ['our checksums and a journal', 4096, () => ours({ blockSize: 4096, metadataCsum: true, journalBlocks: 1024 })],
]

describe.each(images)('%s', (_name, blockSize, image) => {
  test.skipIf(!tools.ok).for(strategies.map((s) => s.name).filter((_, i) => i % 6 === 0))(
    tools.ok ? '%s: 400 steps, then e2fsck' : `${tools.why} (%s)`,
    (strategy) => {
      const { setting, steps } = drawCase(strategy.length * 7919 + blockSize, strategy, 'ext4')
      expect(playCase({ ...setting, blockSize }, steps, { device: image() }, true)).toBeNull()
    },
  )
})
