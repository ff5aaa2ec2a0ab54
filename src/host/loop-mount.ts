/**
 * Loop mounts: an image file as a mounted file system, by the programs losetup(8) and mount(8).
 *
 * Needs root. The mount and the loop device belong to a `Scratch`, so that both are gone after it, also on an error or
 * on SIGINT. For thousands of mounts use `MemoryDisk` (memory-disk.ts), which speaks the system calls itself.
 */
import { mkdirSync } from 'node:fs'
import { complaint, run, runOrThrow, runSync } from './process.ts'
import type { Scratch } from './scratch.ts'

/** A mounted image. */
export interface Mounted {
  /** Where its root is. */
  readonly directory: string
  /** The loop device under it. */
  readonly device: string
  /** Unmount and detach now; the scratch would do it at its end. @throws Error if the mount is busy */
  readonly unmount: () => void
}

const mustSync = (program: string, args: readonly string[]): void => {
  const done = runSync(program, args)
  if (done.code !== 0) throw new Error(complaint(program, args, done))
}

/** True if something is mounted on `directory` (mountpoint(1)). */
export const isMountpoint = (directory: string): boolean => runSync('mountpoint', ['-q', directory]).code === 0

let serial = 0

/**
 * Attach `image` to a loop device and mount it.
 * @param options as for mount -o
 * @returns the mount, or one line of what the kernel said when it refused
 */
export const mountImage = async (
  scratch: Scratch, image: string, fsType: string, options = 'rw',
): Promise<Mounted | { readonly refused: string }> => {
  const device = (await runOrThrow('losetup', ['--find', '--show', image])).trim()
  const detach = scratch.defer(() => mustSync('losetup', ['--detach', device]))
  const directory = scratch.path(`mnt${serial++}`)
  mkdirSync(directory)
  const args = ['-t', fsType, '-o', options, device, directory]
  const done = await run('mount', args)
  if (done.code !== 0) {
    detach()
    return { refused: complaint('mount', args, done) }
  }
  const release = scratch.defer(() => mustSync('umount', [directory]))
  if (!isMountpoint(directory)) throw new Error(`${directory} is not a mountpoint although mount(8) said so`)
  return { directory, device, unmount: () => { release(); detach() } }
}
