/** Orphans, freed and truncated by us as by the kernel; and chains of them that make no sense. */
import { fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MemoryDevice } from '../../block/memory-device.ts'
import { accountBlocks } from '../formats/accounting.ts'
import type { ExtFormat } from '../formats/ext-format.ts'
import { extOf, INODE } from '../formats/inode-table.ts'
import {
  create, debugfs, dump, fill, finish, foreign, fsck, leftOf, made, MIB, mounted, ok, place, right, save, tool,
} from '../formats/judges.test-util.ts'
import { mountFormat } from '../formats/mount.ts'
import { readOrphans } from '../formats/orphans.ts'
import { SB } from '../formats/superblock.ts'
import type { Inode } from '../inode.ts'
import { crashedKernel, mustMount, onKernel } from './kernel.test-util.ts'

/** Free blocks and inodes as the superblock counts them. */
const free = (image: string): string[] => tool('dumpe2fs', '-h', image).out.match(/Free (blocks|inodes): .*/g)!

/** Let the kernel clean up one copy and us another: nothing is left to say, and as much is free. */
const cleanedAlike = async (device: MemoryDevice): Promise<{ ours: string, kernel: string }> => {
  const kernel = save(device)
  ;(await mustMount(kernel)).unmount()
  const f = mounted(device)
  const sums = ok(accountBlocks(f))
  expect(sums.problems).toEqual([])
  ok(f.unmount())
  const ours = save(device)
  expect([fsck(ours), fsck(kernel)]).toEqual(['', ''])
  expect(free(ours)).toEqual(free(kernel))
  return { ours, kernel }
}

/** A journalled mount that stopped while inodes were orphans. */
const stopped = (body: (f: ExtFormat, device: MemoryDevice) => void): MemoryDevice => {
  const device = made(32 * MIB, { format: 'ext4', journalBlocks: 1024, metadataCsum: true })
  const f = mounted(device, { journalled: true })
  body(f, device)
  ok(f.prepareCommit())
  ok(f.sync())
  return device
}

/** Take the name of `inode` away while it is held. */
const unlinked = (f: ExtFormat, name: string, inode: Inode): void => {
  const root = ok(f.readInode(f.rootIno))
  ok(f.removeName(root, name))
  ok(f.writeInode(root))
  inode.nlink = 0
  ok(f.addOrphan(inode))
  ok(f.writeInode(inode))
}

describe('orphans', () => {
  onKernel('files that somebody held without a name are freed, as the kernel frees them', async () => {
    const held: number[] = []
    const { bytes } = await crashedKernel(save(foreign(32 * MIB, '-t', 'ext4')), 'rw', (root) => {
      for (const [i, name] of ['a', 'b', 'c'].entries()) {
        held.push(openSync(join(root, name), 'w'))
        writeSync(held.at(-1)!, Buffer.alloc(100_000 * (i + 1), 1))
        fsyncSync(held.at(-1)!)
        rmSync(join(root, name))
      }
      held.push(openSync(join(root, 'kept'), 'w'))
      fsyncSync(held.at(-1)!)
      return []
    }, held)
    const device = MemoryDevice.of(bytes)
    expect(right(ok(readOrphans(mounted(device.fork(), { journalled: true })))).map(({ nlink }) => nlink)).toEqual([0, 0, 0])
    const { ours } = await cleanedAlike(device)
    expect(debugfs(ours, 'ls /')).toContain('kept')
  })

  onKernel('one is truncated to its size, one is deleted', async () => {
    const device = stopped((f, d) => {
      const [kept, gone] = [create(f, 'kept'), create(f, 'gone')]
      // One extent: where a leaf is not needed any more, the kernel keeps it and we do not.
      place(f, kept, 0, 20)
      for (let i = 0; i < 40; i++) place(f, gone, i * 2, 1)
      for (const file of [kept, gone]) {
        fill(d, f, file)
        finish(f, file, 80 * f.blockSize)
      }
      finish(f, kept, 4 * f.blockSize + 5)
      ok(f.addOrphan(kept))
      unlinked(f, 'gone', gone)
    })
    const { ours, kernel } = await cleanedAlike(device)
    expect(dump(ours, '/kept').length).toBe(4 * 4096 + 5)
    expect(dump(ours, '/kept')).toEqual(dump(kernel, '/kept'))
    expect(debugfs(ours, 'ls /')).not.toContain('gone')
    // What lies behind the end of the file is zero: it would be seen if the file grew.
    const places = debugfs(ours, 'blocks /kept').trim().split(/\s+/).map(Number)
    expect(places).toHaveLength(5)
    const last = places[4]!
    expect(device.image().subarray(last * 4096 + 5, (last + 1) * 4096)).toEqual(Buffer.alloc(4091))
  })

  test.each([
    ['goes round', (_f: ExtFormat, a: Inode) => extOf(a).raw.writeUInt32LE(a.ino, INODE.dtime), /goes round at inode 12/],
    ['has a free inode', (f: ExtFormat) => f.volume.sb.writeUInt32LE(900, SB.lastOrphan), /has inode 900, which is not in use/],
    ['has the journal', (f: ExtFormat) => f.volume.sb.writeUInt32LE(8, SB.lastOrphan), /has inode 8, which is not in use/],
    ['leaves the table', (f: ExtFormat) => f.volume.sb.writeUInt32LE(2 ** 31, SB.lastOrphan), /has inode 2147483648/],
  ])('a chain that %s is refused, and nothing is freed', (_name, spoil, words) => {
    const device = made(32 * MIB, { format: 'ext4', journalBlocks: 1024 })
    const f = mounted(device, { journalled: true })
    const file = create(f, 'file')
    place(f, file, 0, 4)
    finish(f, file, 4 * 4096)
    ok(f.addOrphan(file))
    ok(f.prepareCommit())
    spoil(f, file)
    ok(f.writeInode(file))
    f.volume.touch()
    ok(f.volume.sync())
    expect(leftOf(ok(mountFormat(device)))).toMatchObject({ errno: 'EUCLEAN', message: expect.stringMatching(words) })
    expect(right(ok(mountFormat(device, { readOnly: true }))).freeBlocks).toBe(f.freeBlocks)
  })
})
