/** Our logs replayed by the kernel and by e2fsck, and the kernel's logs replayed by us: the same bytes each time. */
import {
  closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync, writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Bio, submitAndWait } from '../../block/bio.ts'
import { MemoryDevice } from '../../block/memory-device.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { accountBlocks } from '../formats/accounting.ts'
import {
  create, debugfs, dump, fill, finish, foreign, fsck, leftOf, made, MIB, mounted, NOW, ok, place, right, save, tool,
} from '../formats/judges.test-util.ts'
import type { ExtFormat } from '../formats/ext-format.ts'
import { mkfs, type MkfsOptions, planMkfs } from '../formats/mkfs.ts'
import { mountFormat } from '../formats/mount.ts'
import { setRecover } from '../formats/recover.ts'
import type { JournalArea } from './journal-area.ts'
import { encodeTransaction, type LoggedBlock } from './layout.ts'
import { crashedKernel, kernelMount, mustMount, onKernel } from './kernel.test-util.ts'
import { encodeJournalSuper, JBD2_MAGIC } from './super.ts'

// --- our logs ------------------------------------------------------------------------------------------------------

/** The kinds of file system whose logs are written. */
const kinds: [string, MkfsOptions][] = [
  ['ext4, 1 KiB, no checksums', { format: 'ext4', blockSize: 1024, journalBlocks: 1024 }],
  ['ext4, 4 KiB, checksums and 64bit', { format: 'ext4', journalBlocks: 1024, metadataCsum: true, bits64: true }],
  ['ext3, 1 KiB', { format: 'ext2', blockSize: 1024, journalBlocks: 1400 }],
]

/** How a transaction is other than it should be. */
interface Spoiled {
  readonly seconds?: number
  readonly commit?: boolean
  readonly change?: (log: Buffer[]) => void
}

/** A file system after a crash: a file of 8 blocks, and a log that is about them. */
class Crashed {
  readonly device: MemoryDevice
  /** The mount that crashed. */
  readonly format: ExtFormat
  readonly area: JournalArea
  readonly blockSize: number
  /** Blocks of the file. */
  readonly places: readonly number[]
  #at: number
  #tid = 40

  constructor(options: MkfsOptions, start = 1) {
    this.device = made(32 * MIB, options)
    const f = mounted(this.device)
    const file = create(f, 'file')
    place(f, file, 0, 8)
    fill(this.device, f, file)
    finish(f, file, 8 * f.blockSize)
    this.places = file.map.extents.flatMap((e) => Array.from({ length: e.n }, (_, i) => e.pblk + i))
    ok(f.unmount())
    this.format = mounted(this.device, { journalled: true })
    this.area = this.format.journalArea!
    this.blockSize = f.blockSize
    this.#at = start
    this.write(this.area.blocks[0]!, encodeJournalSuper({ ...this.area.super, start, sequence: this.#tid }))
  }

  write(nr: number, bytes: Buffer): void {
    ok(submitAndWait(this.device, new Bio('write', nr * this.blockSize, PageVec.of(Buffer.from(bytes)))))
  }
  /** Blocks of the file's lblk, filled with a byte. */
  block(lblk: number, byte: number): LoggedBlock {
    return { nr: this.places[lblk]!, data: Buffer.alloc(this.blockSize, byte) }
  }
  /** Append a transaction. @returns its blocks in the log; `change` may damage one before it is written */
  add(
    blocks: readonly LoggedBlock[], revoked: readonly number[] = [],
    { seconds = 100, commit = true, change = (_: Buffer[]) => {} }: Spoiled = {},
  ): void {
    const encoded = encodeTransaction(this.area.super, this.#tid++, blocks, revoked, { seconds, nanoseconds: 5 })
    const log = [...encoded.log, ...(commit ? [encoded.commit] : [])].map((b) => Buffer.from(b))
    change(log)
    for (const bytes of log) {
      this.write(this.area.blocks[this.#at]!, bytes)
      this.#at = this.#at + 1 === this.area.super.maxlen ? 1 : this.#at + 1
    }
  }
  /** What the blocks of the file hold on an image. */
  held(image: Buffer): Buffer[] {
    return this.places.map((nr) => Buffer.from(image.subarray(nr * this.blockSize, (nr + 1) * this.blockSize)))
  }
}

const flip = (i: number, byte: number) => (log: Buffer[]): void => {
  log.at(i)![byte]! ^= 0xff
}

/** What is in the log, and by which word the mount is refused, if it is. */
const logs: [string, (c: Crashed) => void, start?: number][] = [
  ['nothing', () => {}],
  ['two transactions and one that was not committed', (c) => {
    c.add([c.block(0, 1), c.block(1, 2)])
    c.add([c.block(1, 3)])
    c.add([c.block(0, 4)], [], { commit: false })
  }],
  ['revoked blocks', (c) => {
    c.add([c.block(0, 1), c.block(1, 1), c.block(2, 1)])
    c.add([c.block(1, 2), c.block(3, 2)], [c.places[0]!, c.places[1]!])
    c.add([c.block(0, 3)])
  }],
  ['a block that begins with the magic', (c) => {
    const { nr, data } = c.block(0, 1)
    data.writeUInt32BE(JBD2_MAGIC)
    c.add([c.block(1, 2), { nr, data }])
  }],
  ['a log that goes round', (c) => {
    c.add([0, 1, 2, 3, 4].map((i) => c.block(i, i + 1)))
    c.add([c.block(0, 9)])
  }, 1020],
  ['many blocks, many revoked', (c) => {
    const many = Array.from({ length: 500 }, (_, i) => c.block(i % 8, i & 0xff))
    c.add(many, Array.from({ length: 600 }, (_, i) => 20_000 + i))
  }],
]

/** Logs that are damaged. They need checksums. */
const damaged: [string, (c: Crashed) => void][] = [
  ['a torn commit block: only its first sector is new', (c) => {
    c.add([c.block(0, 1)])
    c.add([c.block(0, 2)], [], { change: (log) => void log.at(-1)!.fill(0xee, 512) })
  }],
  ['a wrong commit block', (c) => {
    c.add([c.block(0, 1)])
    c.add([c.block(0, 2)], [], { change: flip(-1, 20) })
  }],
  ['a wrong commit block that is older than the last', (c) => {
    c.add([c.block(0, 1)])
    c.add([c.block(0, 2)], [], { seconds: 99, change: flip(-1, 20) })
  }],
  ['a wrong descriptor under a commit block', (c) => {
    c.add([c.block(0, 1)])
    c.add([c.block(0, 2)], [], { change: flip(0, 300) })
  }],
  ['a wrong descriptor under an older commit block', (c) => {
    c.add([c.block(0, 1)])
    c.add([c.block(0, 2)], [], { seconds: 99, change: flip(0, 300) })
  }],
  ['a wrong descriptor and no commit block', (c) => {
    c.add([c.block(0, 1)])
    c.add([c.block(0, 2)], [], { commit: false, change: flip(0, 300) })
  }],
  ['a wrong revoke block', (c) => {
    c.add([c.block(0, 1)])
    c.add([c.block(1, 2)], [c.places[0]!], { change: flip(0, 300) })
  }],
  ['a wrong data block', (c) => {
    c.add([c.block(0, 1), c.block(1, 1), c.block(2, 1)])
    c.add([c.block(0, 2), c.block(1, 2)], [], { change: flip(1, 300) })
    c.add([c.block(2, 3)])
  }],
]

/** The three replays of one log. */
const replayed = async (
  c: Crashed,
): Promise<{ ours: string | null, kernel: string | null, held: Record<'ours' | 'e2fsck' | 'kernel', Buffer[]> }> => {
  const [forKernel, forE2fsck] = [save(c.device), save(c.device)]
  tool('e2fsck', '-y', '-E', 'journal_only', forE2fsck)
  const done = await kernelMount(forKernel)
  if (!('refused' in done)) done.unmount()
  const own = ok(mountFormat(c.device, { now: () => NOW }))
  const held = { ours: c.held(c.device.image()), e2fsck: c.held(readFileSync(forE2fsck)), kernel: c.held(readFileSync(forKernel)) }
  return { ours: own._tag === 'Left' ? own.left.message : null, kernel: 'refused' in done ? done.refused : null, held }
}

describe.each(kinds)('our log on %s', (_name, options) => {
  describe.each(logs)('%s', (_title, build, start) => {
    onKernel('is replayed by the kernel, by e2fsck and by us to the same bytes', async () => {
      const c = new Crashed(options, start)
      const before = c.held(c.device.image())
      build(c)
      expect(debugfs(save(c.device), 'logdump')).not.toMatch(/magic number bad|checksum/i)
      const { ours, kernel, held } = await replayed(c)
      expect([ours, kernel]).toEqual([null, null])
      expect(held.ours).toEqual(held.kernel)
      expect(held.ours).toEqual(held.e2fsck)
      if (_title !== 'nothing') expect(held.ours).not.toEqual(before)
      ok(mounted(c.device).unmount())
      expect(fsck(c.device)).toBe('')
    })
  })
})

describe.each(damaged)('a damaged log: %s', (_title, build) => {
  onKernel('we and the kernel replay the same and agree whether to mount', async () => {
    const c = new Crashed({ format: 'ext4', journalBlocks: 1024, metadataCsum: true, bits64: true })
    build(c)
    const { ours, kernel, held } = await replayed(c)
    expect([_title, ours === null, held.ours.map((b) => b[9])]).toEqual([_title, kernel === null, held.kernel.map((b) => b[9])])
    expect(held.ours).toEqual(held.kernel)
    if (ours !== null) expect(ours).toMatch(/the journal is damaged: .*; run e2fsck/)
  })
})

test.each(kinds)('a read-only mount of %s sees what the log says, and the device stays as it is', (_name, options) => {
  const c = new Crashed(options)
  c.add([c.block(0, 7), c.block(5, 8)])
  const before = c.device.image()
  const f = mounted(c.device, { readOnly: true })
  const read = (nr: number): Buffer => ok(f.volume.cache.get(nr)).data
  expect([read(c.places[0]!)[9], read(c.places[5]!)[9]]).toEqual([7, 8])
  ok(f.unmount())
  expect(c.device.image().equals(before)).toBe(true)
})

onKernel('a log without the RECOVER flag is thrown away, by the kernel and by us', async () => {
  const c = new Crashed(kinds[0]![1])
  c.add([c.block(0, 7)])
  ok(setRecover(c.format, false))
  const before = c.held(c.device.image())
  const image = save(c.device)
  ;(await mustMount(image)).unmount()
  expect(c.held(readFileSync(image))).toEqual(before)
  const f = mounted(c.device)
  expect(c.held(c.device.image())).toEqual(before)
  expect(f.journalArea!.super).toMatchObject({ start: 0, sequence: 42 })
})

// --- mkfs ----------------------------------------------------------------------------------------------------------

describe.each(kinds)('mkfs with a journal: %s', (_name, options) => {
  test('e2fsck is content, the books add up, and dumpe2fs calls it a journal', () => {
    const device = made(32 * MIB, options)
    expect(fsck(device)).toBe('')
    const f = mounted(device)
    const sums = ok(accountBlocks(f))
    expect(sums.problems).toEqual([])
    expect(sums.used + sums.free).toBe(sums.total)
    expect(f.metadataBlocks).toBe(sums.metadata)
    const shown = tool('dumpe2fs', '-h', save(device)).out
    expect(shown).toMatch(/features:.*has_journal/)
    expect(shown).toMatch(/Journal inode:\s+8\n/)
    expect(shown).toMatch(/Journal backup:\s+inode blocks\n/)
    expect(shown).toMatch(new RegExp(`Total journal blocks:\\s+${options.journalBlocks}\n`))
  })

  test('old bytes on the device are overwritten when that is asked for', () => {
    const device = new MemoryDevice(32 * MIB, { fill: 0xaa })
    ok(mkfs(device, { ...options, zeroTables: true }))
    const { blocks } = mounted(device).journalArea!
    const image = device.image()
    const blockSize = options.blockSize ?? 4096
    expect(blocks.slice(1).every((nr) => image.readUInt32LE(nr * blockSize) === 0)).toBe(true)
  })
})

test('sizes of a journal', () => {
  const said = (journalBlocks: number | 'auto') => planMkfs(32 * MIB, { format: 'ext4', journalBlocks })
  expect(leftOf(said(1023))).toBe('mkfs: a journal of 1023 blocks: at least 1024 are needed')
  expect(leftOf(said(7000))).toMatch(/a journal of 7000 blocks: at most \d+ in 8192 blocks/)
  expect(said('auto')._tag).toBe('Right')
  expect(right(ok(mountFormat(made(300 * MIB, { format: 'ext4', journalBlocks: 'auto' })))).journalArea!.blocks.length).toBe(4096)
})

// --- the kernel's logs -----------------------------------------------------------------------------------------------

/** Change a mounted file system so that its log is full of everything. @returns files to read back */
const change = (root: string): string[] => {
  const write = (name: string, byte: number, len: number): void => {
    const fd = openSync(join(root, name), 'w')
    writeSync(fd, Buffer.alloc(len, byte))
    fsyncSync(fd)
    closeSync(fd)
  }
  for (let i = 0; i < 8; i++) write(`f${i}`, 65 + i, 30_000)
  mkdirSync(join(root, 'dir'))
  for (let i = 0; i < 60; i++) writeFileSync(join(root, 'dir', `x${i}`), 'x')
  write('sync', 1, 1)
  rmSync(join(root, 'dir'), { recursive: true })
  rmSync(join(root, 'f3'))
  write('f2', 97, 50_000)
  const fd = openSync(join(root, 'f5'), 'r+')
  ftruncateSync(fd, 5000)
  fsyncSync(fd)
  closeSync(fd)
  // What lies in the log may begin with the magic: a symlink's block does, here.
  symlinkSync(Buffer.concat([Buffer.from([0xc0, 0x3b, 0x39, 0x98]), Buffer.alloc(100, 0x41)]), join(root, 'magic'))
  write('last', 2, 9000)
  return ['f0', 'f2', 'f5', 'last']
}

const foreignKinds: [string, () => MemoryDevice, string][] = [
  ['mke2fs as of today: csum v3, 64bit', () => foreign(32 * MIB, '-t', 'ext4'), 'rw'],
  ['mke2fs, old style', () => foreign(32 * MIB, '-t', 'ext4', '-O', '^metadata_csum,^64bit'), 'rw'],
  ['mke2fs, data=journal', () => foreign(32 * MIB, '-t', 'ext4', '-b', '4096'), 'rw,data=journal'],
  ['mke2fs, ext3', () => foreign(32 * MIB, '-t', 'ext3'), 'rw'],
  ...kinds.map(([name, options]): [string, () => MemoryDevice, string] => [`ours: ${name}`, () => made(32 * MIB, options), 'rw']),
]

/** Blocks that differ, but for the superblock's. */
const differing = (a: Buffer, b: Buffer, blockSize: number): number[] => {
  const nrs: number[] = []
  for (let nr = 0; nr * blockSize < a.length; nr++) {
    if (a.compare(b, nr * blockSize, (nr + 1) * blockSize, nr * blockSize, (nr + 1) * blockSize) !== 0) nrs.push(nr)
  }
  return nrs.filter((nr) => nr !== Math.floor(1024 / blockSize))
}

describe.each(foreignKinds)("the kernel's log on %s", (_name, make, options) => {
  onKernel('is replayed by us and by e2fsck to the same blocks, and then it is in order', async () => {
    const { bytes, names } = await crashedKernel(save(make()), options, change)
    const forE2fsck = save(MemoryDevice.of(bytes))
    expect(tool('e2fsck', '-y', '-E', 'journal_only', forE2fsck).code).toBeLessThan(2)
    const device = MemoryDevice.of(Buffer.from(bytes))
    const f = mounted(device, { journalled: true })
    expect(f.journalArea!.super.start).toBe(0)
    expect(differing(device.image(), readFileSync(forE2fsck), f.blockSize)).toEqual([])
    expect(device.image().equals(bytes)).toBe(false)
    const again = mounted(device)
    const sums = ok(accountBlocks(again))
    expect(sums.problems).toEqual([])
    ok(again.unmount())
    expect(fsck(device)).toBe('')
    const image = save(device)
    expect(names.map((name) => dump(image, `/${name}`).length)).toEqual([30_000, 50_000, 5000, 9000])
    expect(dump(image, '/f2')).toEqual(Buffer.alloc(50_000, 97))
  })
})
