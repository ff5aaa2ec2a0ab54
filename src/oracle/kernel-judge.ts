/**
 * The kernel as a judge: mount an image, read every file, write to it, unmount, and let e2fsck look again.
 *
 * Writing is part of the judgement: an image can read well and still mislead the allocator. Afterwards the image holds
 * what the kernel wrote; `judgeAndChange` leaves it so and says what that is, for our own code to mount and read.
 *
 * Needs root and a loop device. Mounts and devices are taken down on every way out (host/scratch.ts).
 */
import {
  appendFileSync, closeSync, lstatSync, mkdirSync, openSync, readdirSync, readlinkSync, readSync, renameSync,
  statfsSync, writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { availability } from '../host/availability.ts'
import { mountImage } from '../host/loop-mount.ts'
import { runOrThrow } from '../host/process.ts'
import { Scratch } from '../host/scratch.ts'
import { compareTrees, notWhole } from './compare.ts'
import type { FoundEntry } from './compare.ts'
import { e2fsck } from './e2fsck.ts'
import { judgement } from './judge.ts'
import type { ExpectedEntry, ImageUnderTest, Judge, Judgement, Sparse } from './judge.ts'

const typeOf = (stat: ReturnType<typeof lstatSync> & object): FoundEntry['type'] => {
  if (stat.isFile()) return 'file'
  if (stat.isDirectory()) return 'directory'
  return stat.isSymbolicLink() ? 'symlink' : 'other'
}

const reader = (path: string) => (pos: number, len: number): Buffer => {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(len)
    return bytes.subarray(0, readSync(fd, bytes, 0, len, pos))
  } finally {
    closeSync(fd)
  }
}

// Everything below `root`, depth first, lost+found left out.
const walk = (root: string, below = ''): FoundEntry[] =>
  readdirSync(join(root, below)).flatMap((name): FoundEntry[] => {
    const path = below === '' ? name : `${below}/${name}`
    if (path === 'lost+found') return []
    const full = join(root, path)
    const stat = lstatSync(full)
    const found = { path, type: typeOf(stat), size: stat.size, mode: stat.mode & 0o7777, nlink: stat.nlink }
    if (found.type === 'directory') return [found, ...walk(root, path)]
    if (found.type === 'symlink') return [{ ...found, target: readlinkSync(full) }]
    return [found.type === 'file' ? { ...found, read: reader(full) } : found]
  })

/** Blocks that the kernel's changes may take, with their maps and directories. */
const ROOM = 64
/** Bytes. Neither is a multiple of a block, so that edges are written too. */
const APPENDED = 5000
const WRITTEN = 20_000

const pattern = (len: number): Buffer => Buffer.from(Uint8Array.from({ length: len }, (_, i) => 33 + i % 90))

const segments = (entry: ExpectedEntry): readonly Sparse[] => {
  const contents = entry.contents?.()
  if (contents === undefined) return []
  return Buffer.isBuffer(contents) ? [{ pos: 0, bytes: contents }] : contents
}

const freeName = (taken: ReadonlySet<string>, wanted: string): string => {
  let name = wanted
  while (taken.has(name)) name += '_'
  return name
}

/** Let the kernel write to a mounted image. @returns what must be in it now; `tree` itself if there is no room */
const change = (root: string, tree: readonly ExpectedEntry[]): readonly ExpectedEntry[] => {
  const { bfree, ffree } = statfsSync(root)
  if (bfree < ROOM || ffree < 2) return tree
  const taken = new Set(tree.map(entry => entry.path))
  const directory = freeName(taken, 'kernel-directory')
  mkdirSync(join(root, directory), { mode: 0o755 })
  const written = `${directory}/written`
  writeFileSync(join(root, written), pattern(WRITTEN))
  const added: ExpectedEntry[] = [
    { path: directory, type: 'directory', size: 0, nlink: 2 },
    { path: written, type: 'file', size: WRITTEN, nlink: 1, contents: () => pattern(WRITTEN) },
  ]
  // One name only: another name of the same file would grow with it.
  const victim = tree.find(entry => entry.type === 'file' && entry.nlink === 1 && entry.contents !== undefined)
  if (victim === undefined) return [...tree, ...added]
  appendFileSync(join(root, victim.path), pattern(APPENDED))
  const moved = `${directory}/moved`
  renameSync(join(root, victim.path), join(root, moved))
  const grown = { pos: victim.size, bytes: pattern(APPENDED) }
  const after: ExpectedEntry =
    { ...victim, path: moved, size: victim.size + APPENDED, contents: () => [...segments(victim), grown] }
  return [...tree.filter(entry => entry !== victim), ...added, after]
}

/** A judgement, and what must be in the image now that the kernel wrote to it. */
export interface Changed {
  readonly judgement: Judgement
  readonly after: readonly ExpectedEntry[]
}

// A file or directory that the kernel cannot read (EIO, EUCLEAN) is a finding, not a failure of the judge.
const compareFound = (root: string, tree: readonly ExpectedEntry[]): string[] => {
  try {
    return compareTrees(tree, walk(root))
  } catch (error) {
    return [`kernel: ${(error as Error).message}`]
  }
}

const whileMounted = async (scratch: Scratch, { path, format }: ImageUnderTest, tree: readonly ExpectedEntry[]) => {
  const mounted = await mountImage(scratch, path, format)
  if ('refused' in mounted) return { lines: [mounted.refused], after: tree }
  const root = mounted.directory
  const lines = compareFound(root, tree)
  // What reads wrong is not written to: the first finding stays as it is.
  if (lines.length > 0) return { lines, after: tree }
  const after = change(root, tree)
  const then = compareFound(root, after).map(line => `after the kernel's own writes: ${line}`)
  mounted.unmount()
  return { lines: then, after }
}

/**
 * Judge an image and leave in it what the kernel wrote: a file that grew and moved, a new directory, a new file.
 * @throws Error if the judge is not available, or something else keeps a mount busy
 */
export const judgeAndChange = async (image: ImageUnderTest): Promise<Changed> => {
  const tree = [...image.expected]
  using scratch = new Scratch('perform-write-kernel')
  const { lines, after } = await whileMounted(scratch, image, tree)
  if (lines.length > 0) return { judgement: judgement(lines), after }
  const checked = await e2fsck.judge(image)
  const unjudged = [...notWhole(tree), ...after === tree ? ["no room for the kernel's own writes"] : []]
  const wrong = checked.lines.map(line => `e2fsck after the kernel's writes: ${line}`)
  return { judgement: judgement(wrong, unjudged), after }
}

/** The judge `kernel`; it works on a copy. */
export const kernelJudge: Judge = {
  name: 'kernel',
  available: async () => availability({
    linux: true, root: true, loop: true, programs: { losetup: 'util-linux', mount: 'util-linux', e2fsck: 'e2fsprogs' },
  }),
  judge: async image => {
    using scratch = new Scratch('perform-write-copy')
    const path = scratch.path('image')
    // cp keeps holes; copyFile would write them out.
    await runOrThrow('cp', ['--sparse=always', image.path, path])
    return (await judgeAndChange({ ...image, path })).judgement
  },
}
