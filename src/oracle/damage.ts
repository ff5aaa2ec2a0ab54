/**
 * Damage: deliberately broken copies of an image, each of which a judge must refuse.
 *
 * A judge that never refused anything may not be looking. Each kind is the smallest change that one judge is there to
 * see; e2fsck is blind to data by design, so the flipped byte is for the other two.
 *
 * The layout is read from the superblock: any ext2 or ext4 image with at least one file that has data. Descriptors of
 * 32 and 64 bytes; block maps through direct blocks and extent trees of any depth.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { runOrThrow } from '../host/process.ts'
import { Scratch } from '../host/scratch.ts'
import { debugfs } from './debugfs.ts'
import { e2fsck } from './e2fsck.ts'
import type { ImageUnderTest, Judge } from './judge.ts'
import { kernelJudge } from './kernel-judge.ts'

/** `block-marked-free`: a block of a file is free in the bitmap. `byte-flipped`: a bit of a file's first data byte. */
export type DamageKind = 'block-marked-free' | 'byte-flipped'

const INCOMPAT_64BIT = 0x80
const EXTENTS_FL = 0x80000
const S_IFREG = 8
/** ee_len above this marks an unwritten extent of ee_len - 32768 blocks. */
const MAX_WRITTEN = 32768

/** An open image, read through its superblock. */
class Layout {
  private readonly fd: number
  readonly blockSize: number
  readonly firstDataBlock: number
  readonly blocksPerGroup: number
  private readonly inodes: number
  private readonly firstInode: number
  private readonly inodesPerGroup: number
  private readonly inodeSize: number
  private readonly descriptorSize: number

  constructor(fd: number) {
    this.fd = fd
    const sb = this.bytes(1024, 1024)
    if (sb.readUInt16LE(0x38) !== 0xef53) throw new Error('not an ext2 or ext4 image: no magic number at byte 1080')
    this.inodes = sb.readUInt32LE(0)
    this.firstDataBlock = sb.readUInt32LE(0x14)
    this.blockSize = 1024 << sb.readUInt32LE(0x18)
    this.blocksPerGroup = sb.readUInt32LE(0x20)
    this.inodesPerGroup = sb.readUInt32LE(0x28)
    const dynamic = sb.readUInt32LE(0x4c) > 0
    this.firstInode = dynamic ? sb.readUInt32LE(0x54) : 11
    this.inodeSize = dynamic ? sb.readUInt16LE(0x58) : 128
    this.descriptorSize = sb.readUInt32LE(0x60) & INCOMPAT_64BIT ? sb.readUInt16LE(0xfe) : 32
  }

  bytes(pos: number, len: number): Buffer {
    const buffer = Buffer.alloc(len)
    readSync(this.fd, buffer, 0, len, pos)
    return buffer
  }

  /** A group's descriptor: block bitmap at 0, inode table at 8. Images of more than 2^32 blocks are not damaged. */
  descriptor(group: number): Buffer {
    const table = (this.firstDataBlock + 1) * this.blockSize
    return this.bytes(table + group * this.descriptorSize, 32)
  }

  private inode(ino: number): Buffer {
    const table = this.descriptor(Math.floor((ino - 1) / this.inodesPerGroup)).readUInt32LE(8)
    return this.bytes(table * this.blockSize + ((ino - 1) % this.inodesPerGroup) * this.inodeSize, 128)
  }

  // The first written block below an extent node that holds bytes before `size`, or 0.
  private firstExtent(node: Buffer, size: number): number {
    const [entries, depth] = [node.readUInt16LE(2), node.readUInt16LE(6)]
    for (let at = 12; at < 12 * (entries + 1); at += 12) {
      const lblk = node.readUInt32LE(at)
      const written = depth === 0 && node.readUInt16LE(at + 4) <= MAX_WRITTEN
      if (written && lblk * this.blockSize < size) return node.readUInt32LE(at + 8)
      if (depth > 0) {
        const below = this.firstExtent(this.bytes(node.readUInt32LE(at + 4) * this.blockSize, this.blockSize), size)
        if (below !== 0) return below
      }
    }
    return 0
  }

  private firstBlock(inode: Buffer): number {
    const size = inode.readUInt32LE(4)
    const map = inode.subarray(40, 100)
    if (inode.readUInt32LE(32) & EXTENTS_FL) return this.firstExtent(map, size)
    const direct = Array.from({ length: 12 }, (_, i) => i * this.blockSize < size ? map.readUInt32LE(4 * i) : 0)
    return direct.find(block => block !== 0) ?? 0
  }

  /** A block that holds the data of some regular file. @throws Error if there is none */
  someDataBlock(): number {
    for (let ino = this.firstInode; ino <= this.inodes; ino++) {
      const inode = this.inode(ino)
      const block = inode.readUInt16LE(0) >> 12 === S_IFREG && inode.readUInt16LE(26) > 0 ? this.firstBlock(inode) : 0
      if (block !== 0) return block
    }
    throw new Error('no file with data in this image: nothing to damage')
  }
}

// Flip the bits of `mask` at a byte of the image.
const flip = (fd: number, layout: Layout, pos: number, mask: number): void => {
  writeSync(fd, Buffer.of(layout.bytes(pos, 1).readUInt8(0) ^ mask), 0, 1, pos)
}

/** Damage the image file at `path`, in place. @throws Error if it holds no file with data */
export const damage = (path: string, kind: DamageKind): void => {
  const fd = openSync(path, 'r+')
  try {
    const layout = new Layout(fd)
    const block = layout.someDataBlock()
    if (kind === 'byte-flipped') return flip(fd, layout, block * layout.blockSize, 1)
    const [group, bit] = [Math.floor((block - layout.firstDataBlock) / layout.blocksPerGroup),
      (block - layout.firstDataBlock) % layout.blocksPerGroup]
    flip(fd, layout, layout.descriptor(group).readUInt32LE(0) * layout.blockSize + (bit >> 3), 1 << (bit & 7))
  } finally {
    closeSync(fd)
  }
}

/** Each judge, and the damage that it must refuse. */
export const MUST_REFUSE: readonly (readonly [Judge, DamageKind])[] = [
  [e2fsck, 'block-marked-free'],
  [debugfs, 'byte-flipped'],
  [kernelJudge, 'byte-flipped'],
]

/** How a judge did on a damaged image that it must refuse. */
export interface Trial {
  readonly judge: string
  readonly kind: DamageKind
  /** `unavailable`: it judged nothing; `lines` say what is missing. `accepted`: the judge is not to be trusted. */
  readonly verdict: 'refused' | 'accepted' | 'unavailable'
  readonly lines: readonly string[]
}

/** Show each judge a damaged copy of a good image. The image stays as it is. */
export const judgeTheJudges = async (image: ImageUnderTest): Promise<readonly Trial[]> => {
  using scratch = new Scratch('perform-write-damage')
  const trials: Trial[] = []
  for (const [judge, kind] of MUST_REFUSE) {
    const can = await judge.available()
    if (!can.ok) {
      trials.push({ judge: judge.name, kind, verdict: 'unavailable', lines: [can.why] })
      continue
    }
    const path = scratch.path(`${judge.name}-${kind}`)
    await runOrThrow('cp', ['--sparse=always', image.path, path])
    damage(path, kind)
    const { accepted, lines } = await judge.judge({ ...image, path })
    trials.push({ judge: judge.name, kind, verdict: accepted ? 'accepted' : 'refused', lines })
  }
  return trials
}
