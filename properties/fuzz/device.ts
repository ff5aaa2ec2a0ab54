/**
 * FuzzDevice: an image in memory that is changed, used and brought back thousands of times a second.
 *
 * What was written is remembered by page, and only that is restored. It watches its users: a bio that leaves the device
 * and more bios than an honest image of this size could need are findings.
 */
import type { Bio } from '../../src/block/bio.ts'
import { type BlockDevice, inside } from '../../src/block/device.ts'

const PAGE = 4096

/** Somebody who believed an image did more I/O than it can be worth: he goes in circles. */
export class TooManyBios extends Error {
  override readonly name = 'TooManyBios'
}

/** A device that begins again with the same bytes. */
export class FuzzDevice implements BlockDevice {
  readonly name = 'image'
  readonly #base: Buffer
  readonly #bytes: Buffer
  readonly #touched: Uint8Array
  readonly #most: number
  #size: number
  #bios = 0
  /** Bios that left the device. */
  outside = 0

  /** @param most bios of one life */
  constructor(base: Buffer, most: number) {
    this.#base = base
    this.#bytes = Buffer.from(base)
    this.#touched = new Uint8Array(Math.ceil(base.length / PAGE))
    this.#most = most
    this.#size = base.length
  }

  get size(): number {
    return this.#size
  }

  /** The bytes as they were at first. */
  reset(): void {
    for (let i = this.#touched.indexOf(1); i >= 0; i = this.#touched.indexOf(1, i + 1)) {
      this.#base.copy(this.#bytes, i * PAGE, i * PAGE, (i + 1) * PAGE)
      this.#touched[i] = 0
    }
    this.#size = this.#base.length
    this.#bios = 0
    this.outside = 0
  }

  /** Put `bytes` at `pos`, as nobody who mounts it would. */
  damage(pos: number, bytes: Buffer): void {
    bytes.copy(this.#bytes, pos)
    this.#touch(pos, bytes.length)
  }

  /** Cut the device off: from now on it has `size` bytes. */
  cut(size: number): void {
    this.#size = size
  }

  /** A copy of all bytes. */
  image(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#size))
  }

  #touch(pos: number, length: number): void {
    for (let i = Math.floor(pos / PAGE); i * PAGE < pos + length && i < this.#touched.length; i++) this.#touched[i] = 1
  }

  submit(bio: Bio): void {
    if (++this.#bios > this.#most) throw new TooManyBios(`more than ${this.#most} bios`)
    if (!inside(this, bio)) {
      this.outside++
      return bio.complete({ bytes: 0, errno: 'EIO' })
    }
    if (bio.op === 'write') {
      bio.data.forEach((bytes, start, len, at) => bytes.copy(this.#bytes, bio.pos + at, start, start + len))
      this.#touch(bio.pos, bio.data.length)
    } else if (bio.op === 'read') {
      bio.data.forEach((bytes, start, len, at) => this.#bytes.copy(bytes, start, bio.pos + at, bio.pos + at + len))
    }
    bio.complete({ bytes: bio.data.length, errno: null })
  }
}
