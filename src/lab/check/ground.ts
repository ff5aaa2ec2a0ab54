/** Ground: the empty file systems that programs begin from, one a format and block size, made once. */
import { isLeft } from 'fp-ts/lib/Either.js'
import { MemoryDevice } from '../../block/memory-device.ts'
import { make } from '../session.ts'
import { MOST_FOLIOS } from './objects.ts'
import type { Config } from './program.ts'

/** Bytes of the device of a world. */
export const GROUND_BYTES = 2 * 1024 * 1024
/** Most pages in the page cache of a world. */
export const GROUND_PAGES = MOST_FOLIOS - 16

const grounds = new Map<string, MemoryDevice>()

/** An empty file system. Free space is 0xAA, so that stale data shows. Do not write to it: fork it. */
export const ground = ({ format, blockSize }: Config): MemoryDevice => {
  const key = `${format} ${blockSize}`
  let device = grounds.get(key)
  if (device === undefined) {
    device = new MemoryDevice(GROUND_BYTES, { fill: 0xaa })
    const made = make(device, { format, blockSize, zeroTables: true })
    if (isLeft(made)) throw new Error(made.left.message)
    grounds.set(key, device)
  }
  return device
}
