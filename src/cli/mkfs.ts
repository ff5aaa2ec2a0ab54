/** perform-write mkfs: an empty ext2 or ext4 in an image file, for ourselves and for the kernel. */
import { statSync } from 'node:fs'
import { Command } from 'commander'
import { isLeft } from 'fp-ts/lib/Either.js'
import { ImageDevice } from '../block/image-device.ts'
import { planMkfs } from '../fs/formats/mkfs.ts'
import { journalBlocksOf } from '../fs/formats/mkfs-journal.ts'
import { SECTOR } from '../kernel/units.ts'
import { make } from '../lab/session.ts'
import { bytes } from '../report/format.ts'
import { InfrastructureError, UsageError } from './errors.ts'
import { formatNamed, parseBlockSize, parseJournal, parseSize } from './options.ts'

interface Options {
  readonly image: string
  readonly size: number
  readonly blockSize: number
  readonly journal: number | 'auto'
  readonly metadataCsum?: boolean
  readonly '64bit'?: boolean
  readonly force?: boolean
}

/** The command. */
export const mkfsCommand = (): Command =>
  new Command('mkfs')
    .description('make an empty file system in an image file')
    .argument('<format>', 'ext2 or ext4')
    .requiredOption('--image <file>', 'the image; made, or replaced with --force')
    .requiredOption('--size <bytes>', 'how large: 64M, 1G, ...', parseSize)
    .option('--block-size <bytes>', '1024, 2048 or 4096', parseBlockSize, 4096)
    .option('--journal <blocks>', 'blocks of a journal as the kernel writes it (jbd2), 1024 or more, or auto', parseJournal, 0)
    .option('--metadata-csum', 'checksums over all metadata (ext4)')
    .option('--64bit', 'group descriptors of 64 bytes (ext4)')
    .option('--force', 'overwrite an image that is not empty')
    .addHelpText('after', '\nExample:\n  perform-write mkfs ext4 --image disk.img --size 64M\n  e2fsck -fn disk.img\n')
    .action((name: string, options: Options) => mkfs(name, options))

const mkfs = (name: string, { image, size, blockSize, journal, force = false, ...options }: Options): void => {
  const format = formatNamed(name)
  if (size % SECTOR !== 0) throw new UsageError(`--size ${size}: give a multiple of ${SECTOR} bytes`)
  const features = { journalBlocks: journal, metadataCsum: options.metadataCsum ?? false, bits64: options['64bit'] ?? false }
  const plan = planMkfs(size, { format, blockSize, ...features })
  if (isLeft(plan)) throw new UsageError(plan.left)
  const there = statSync(image, { throwIfNoEntry: false })
  if (there !== undefined && !there.isFile()) {
    throw new UsageError(`${image}: is no regular file; name a file, not a device or a directory`)
  }
  if (there !== undefined && there.size > 0 && !force) {
    const held = bytes(there.size)
    throw new UsageError(`${image}: exists and holds ${held}; add --force to overwrite it, or choose another name`)
  }
  const device = ImageDevice.create(image, size)
  try {
    const made = make(device, { format, blockSize, ...features })
    if (isLeft(made)) throw new InfrastructureError(made.left.message)
  } finally {
    device.close()
  }
  const { totalBlocks, totalInodes } = plan.right
  const logged = journalBlocksOf(plan.right, journal)
  const extra = isLeft(logged) || logged.right === 0 ? '' : `, a journal of ${logged.right} blocks`
  const made = `${bytes(size)}, ${totalBlocks} blocks of ${blockSize} bytes, ${totalInodes} inodes${extra}`
  process.stdout.write(`${image}: ${format}, ${made}\n`)
}
