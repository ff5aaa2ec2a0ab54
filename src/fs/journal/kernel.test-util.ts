/** The kernel beside us: an image that it mounts, and one that it leaves behind where the machine stops. */
import { closeSync, readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { availability } from '../../host/availability.ts'
import { type Mounted, mountImage } from '../../host/loop-mount.ts'
import { Scratch } from '../../host/scratch.ts'

const UNAVAILABLE = /^(not Linux but|not root:|no \/dev\/loop-control:|.* is not installed:)/
const can = availability({ linux: true, root: true, loop: true, programs: { losetup: 'mount', mount: 'mount', e2fsck: 'e2fsprogs' } })

/** A test that mounts; where it cannot, its title says why. */
export const onKernel = (title: string, body: () => Promise<void>): void =>
  test(can.ok ? title : `${title}: unavailable, ${can.why}`, async () => (can.ok ? body() : expect(can.why).toMatch(UNAVAILABLE)))

/** Mount the image with the kernel. */
export const kernelMount = async (image: string, options = 'rw'): Promise<Mounted | { readonly refused: string }> => {
  const scratch = new Scratch('journal')
  onTestFinished(() => scratch.close())
  return mountImage(scratch, image, 'ext4', options)
}

/** The same, where it must not be refused. */
export const mustMount = async (image: string, options = 'rw'): Promise<Mounted> => {
  const done = await kernelMount(image, options)
  if ('refused' in done) throw new Error(done.refused)
  return done
}

/** The image after the kernel mounted it and `body` changed it, as a machine that stops leaves it; `held`: descriptors still open then. */
export const crashedKernel = async (
  image: string, options: string, body: (root: string) => string[], held: readonly number[] = [],
): Promise<{ bytes: Buffer, names: string[] }> => {
  const at = await mustMount(image, options)
  const names = body(at.directory)
  const bytes = readFileSync(image)
  for (const fd of held) closeSync(fd)
  at.unmount()
  return { bytes, names }
}
