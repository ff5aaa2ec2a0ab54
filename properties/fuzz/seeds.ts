/**
 * Seeds: small images in good order, of which the fuzzer makes bad ones, and where in them damage pays.
 *
 * Ours are made here. Those of mke2fs 1.47 lie compressed in properties/corpus/images/seeds: filled through a mount of
 * Linux 6.18 (a hashed directory, holes, unwritten blocks, symlinks, hard links, extended attributes); the two with a
 * journal were copied while they were mounted, so that there is something to replay.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { isLeft } from 'fp-ts/lib/Either.js'
import { MemoryDevice } from '../../src/block/memory-device.ts'
import { isReal } from '../../src/fs/extent-map.ts'
import type { ExtFormat } from '../../src/fs/formats/ext-format.ts'
import { extOf, placeOf } from '../../src/fs/formats/inode-table.ts'
import { mkfs, type MkfsOptions } from '../../src/fs/formats/mkfs.ts'
import { mountFormat } from '../../src/fs/formats/mount.ts'
import { run } from '../../src/kernel/kernel.ts'
import { mount } from '../../src/lab/session.ts'
import { strategies } from '../../src/strategies/index.ts'

/** Bytes that say something about the file system. */
export interface Range {
  readonly pos: number
  readonly len: number
}

/** An image in good order. */
export interface Seed {
  readonly name: string
  readonly image: Buffer
  readonly blockSize: number
  /** Metadata, by kind: each is as likely to be damaged as any other. */
  readonly hot: readonly (readonly Range[])[]
}

/** Where the compressed images are. */
export const FOREIGN = join(import.meta.dirname, '..', 'corpus', 'images', 'seeds')
const foreign = ['mke2fs-ext2', 'mke2fs-ext4-journal', 'mke2fs-ext4-checksums', 'mke2fs-ext4-plain']

const MIB = 2 ** 20
const own: Record<string, MkfsOptions & { readonly size: number }> = {
  'ext2': { format: 'ext2', blockSize: 1024, size: MIB, inodes: 64 },
  'ext4': { format: 'ext4', blockSize: 1024, size: 2 * MIB, inodes: 64 },
  'ext4-4k': { format: 'ext4', blockSize: 4096, size: 4 * MIB, inodes: 64 },
  'ext4-journal': { format: 'ext4', blockSize: 1024, size: 4 * MIB, inodes: 64, journalBlocks: 1024 },
  'ext4-checksums': { format: 'ext4', blockSize: 1024, size: MIB, inodes: 64, metadataCsum: true, bits64: true },
}

/** Names of all seeds. */
export const SEED_NAMES: readonly string[] = [...Object.keys(own), ...foreign]

const must = <A>(done: { readonly _tag: 'Left', readonly left: unknown } | { readonly _tag: 'Right', readonly right: A }): A => {
  if (done._tag === 'Left') throw new Error(`seed: ${JSON.stringify(done.left)}`)
  return done.right
}

/** A few files of each kind. */
const populate = (device: MemoryDevice): void => {
  const { posix } = must(mount(device, { strategy: strategies[0]!, limitPages: 256, slabPages: 16 }))
  must(posix.mkdir('dir'))
  must(posix.mkdir('dir/deep'))
  for (const name of ['plain', 'holes', 'dir/deep/file']) {
    const fd = must(posix.open(name, ['O_RDWR', 'O_CREAT']))
    const pieces = name === 'holes' ? 30 : 1
    for (let i = 0; i < pieces; i++) must(posix.pwrite(fd, Buffer.alloc(pieces > 1 ? 100 : 20_000, name), i * 8192))
    must(posix.close(fd))
  }
  must(posix.symlink('plain', 'short'))
  must(posix.symlink('z'.repeat(200), 'long'))
  must(posix.link('plain', 'dir/second name'))
  must(posix.unmount())
}

const bytesOf = (name: string): Buffer => {
  const options = own[name]
  if (options === undefined) return gunzipSync(readFileSync(join(FOREIGN, `${name}.img.gz`)))
  const device = new MemoryDevice(options.size)
  must(run(mkfs(device, options)))
  populate(device)
  return device.image()
}

/** What is worth damaging, found through the format itself. */
const hotRanges = (format: ExtFormat): Range[][] => {
  const { volume, blockSize } = format
  const { geo } = volume
  const block = (nr: number, n = 1): Range => ({ pos: nr * blockSize, len: n * blockSize })
  const [inodes, maps, names]: [Range[], Range[], Range[]] = [[], [], []]
  for (let ino = 1; ino <= geo.totalInodes; ino++) {
    if (!must(run(volume.inoInUse(ino)))) continue
    const { nr, at } = placeOf(volume, ino)
    inodes.push({ pos: nr * blockSize + at, len: 128 })
    const inode = must(run(format.decode(ino)))
    if (inode.mode === 0) continue
    must(run(format.loadMap(inode)))
    for (const nr of extOf(inode).disk?.blocks() ?? []) maps.push(block(nr))
    const real = inode.map.extents.filter((e) => isReal(e.state))
    // Of the journal the blocks in use: they are its first.
    if (ino === 8) names.push(...real.slice(0, 1).map((e) => block(e.pblk, Math.min(e.n, 32))))
    if (inode.isDirectory) names.push(...real.map((e) => block(e.pblk, e.n)))
  }
  const groups = Array.from({ length: geo.groupCount }, (_, g) => g)
  const bitmaps = groups.flatMap((g) => [block(volume.blockBitmap(g)), block(volume.inodeBitmap(g))])
  const descriptors = { pos: (geo.firstDataBlock + 1) * blockSize, len: geo.groupCount * geo.descSize }
  return [[{ pos: 1024, len: 1024 }], [descriptors], bitmaps, inodes, inodes, maps, names].filter((kind) => kind.length > 0)
}

const known = new Map<string, Seed>()

/** A seed by its name. @throws Error if there is none */
export const seedNamed = (name: string): Seed => {
  if (!SEED_NAMES.includes(name)) throw new Error(`no seed is named ${name}; known are ${SEED_NAMES.join(', ')}`)
  let seed = known.get(name)
  if (seed === undefined) {
    const image = bytesOf(name)
    const mounted = must(run(mountFormat(MemoryDevice.of(image), { readOnly: true })))
    if (isLeft(mounted)) throw new Error(mounted.left.message)
    const format = mounted.right
    known.set(name, (seed = { name, image, blockSize: format.blockSize, hot: hotRanges(format) }))
  }
  return seed
}
