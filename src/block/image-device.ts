/**
 * ImageDevice: a block device over an image file of the host.
 *
 * Interface:
 * - every bio is completed inside `submit`, by pread(2)/pwritev(2) without a cache of its own;
 * - an error of the host completes the bio with EIO and the bytes done before it; a write to a read-only device, EROFS;
 * - a flush is only counted, unless `durable` asks for fdatasync(2): whoever simulates crashes needs no real one;
 * - `close` once; a bio submitted later completes with EIO.
 *
 * The one file below the lab that knows the host: only `node:fs`, only its synchronous calls.
 */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readvSync, writevSync } from 'node:fs'
import { SECTOR } from '../kernel/units.ts'
import type { Bio } from './bio.ts'
import { type BlockDevice, inside } from './device.ts'

/** Linux takes at most this many buffers in one preadv(2) or pwritev(2) (IOV_MAX). */
const IOV_MAX = 1024

/** An image cannot be used. The message is one line that names the image and says what to do. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
}

/** How an image is used. */
export interface ImageOptions {
  /** Refuse writes with EROFS; default false. */
  readonly readOnly?: boolean
  /** Make a flush, and a write with FUA, an fdatasync(2); default false. */
  readonly durable?: boolean
  /** The image must hold at least this many bytes; default: any positive number of whole sectors will do. */
  readonly size?: number
}

/** An image file as a device. */
export class ImageDevice implements BlockDevice {
  readonly name: string
  readonly size: number
  readonly readOnly: boolean
  readonly durable: boolean
  /** Flushes taken, whether or not they reached the host. */
  flushes = 0
  private fd: number | null

  private constructor(path: string, fd: number, size: number, { readOnly = false, durable = false }: ImageOptions) {
    this.name = path
    this.size = size
    this.readOnly = readOnly
    this.durable = durable
    this.fd = fd
  }

  /**
   * Open an existing image; the device is as large as the file.
   * @throws ImageError if the file cannot be opened, is shorter than `options.size` or is not made of whole sectors
   */
  static open(path: string, options: ImageOptions = {}): ImageDevice {
    const fd = openAt(path, options.readOnly === true ? 'r' : 'r+')
    const size = fstatSync(fd).size
    const wrong = sizeProblem(path, size, options.size ?? SECTOR)
    if (wrong === null) return new ImageDevice(path, fd, size, options)
    closeSync(fd)
    throw new ImageError(wrong)
  }

  /**
   * Make a new sparse image of `size` bytes that reads as zeros. An existing file is emptied first.
   * @throws ImageError if the file cannot be made or `size` is not a positive multiple of SECTOR
   */
  static create(path: string, size: number, options: ImageOptions = {}): ImageDevice {
    if (!Number.isSafeInteger(size) || size <= 0 || size % SECTOR !== 0) {
      throw new ImageError(`${path}: cannot make an image of ${size} bytes; use a positive multiple of ${SECTOR}`)
    }
    const fd = openAt(path, 'w+')
    try {
      ftruncateSync(fd, size)
    } catch (e) {
      closeSync(fd)
      throw new ImageError(`${path}: cannot grow to ${size} bytes (${reason(e)}); free space or choose a smaller size`)
    }
    return new ImageDevice(path, fd, size, options)
  }

  /** Give the file back to the host. Closing twice is harmless. */
  close(): void {
    if (this.fd !== null) closeSync(this.fd)
    this.fd = null
  }

  submit(bio: Bio): void {
    if (this.fd === null || !inside(this, bio)) return bio.complete({ bytes: 0, errno: 'EIO' })
    if (bio.op === 'flush') return this.flush(this.fd, bio)
    if (bio.op === 'write' && this.readOnly) return bio.complete({ bytes: 0, errno: 'EROFS' })
    const bytes = transfer(this.fd, bio)
    const whole = bytes === bio.data.length && (!bio.fua || this.sync(this.fd))
    bio.complete({ bytes, errno: whole ? null : 'EIO' })
  }

  private flush(fd: number, bio: Bio): void {
    this.flushes++
    bio.complete({ bytes: 0, errno: this.sync(fd) ? null : 'EIO' })
  }

  /** False if the host could not make the bytes durable. */
  private sync(fd: number): boolean {
    if (!this.durable || this.readOnly) return true
    try {
      fdatasyncSync(fd)
      return true
    } catch {
      return false
    }
  }
}

/** Move the bytes of `bio`; returns how many were done before the host refused or, for a read, the file ended. */
const transfer = (fd: number, bio: Bio): number => {
  const move = bio.op === 'write' ? writevSync : readvSync
  let pieces: Buffer[] = []
  bio.data.forEach((bytes, start, len) => void pieces.push(bytes.subarray(start, start + len)))
  let done = 0
  while (pieces.length > 0) {
    let n = 0
    try {
      n = move(fd, pieces.slice(0, IOV_MAX), bio.pos + done)
    } catch {
      return done
    }
    if (n === 0) return done
    done += n
    pieces = after(pieces, n)
  }
  return done
}

/** What remains of `pieces` without their first `n` bytes. */
const after = (pieces: Buffer[], n: number): Buffer[] => {
  let i = 0
  while (i < pieces.length && n >= pieces[i]!.length) n -= pieces[i++]!.length
  const rest = pieces.slice(i)
  if (n > 0) rest[0] = rest[0]!.subarray(n)
  return rest
}

const openAt = (path: string, flags: string): number => {
  try {
    return openSync(path, flags)
  } catch (e) {
    throw new ImageError(`${path}: cannot open the image (${reason(e)}); check the path and its permissions`)
  }
}

const sizeProblem = (path: string, size: number, needed: number): string | null => {
  if (size < needed) {
    return `${path}: the image holds ${size} bytes, at least ${needed} are needed; it was cut short or never filled`
  }
  if (size % SECTOR !== 0) {
    return `${path}: the image holds ${size} bytes, not whole sectors of ${SECTOR}; it was cut short, or is no image`
  }
  return null
}

const reason = (e: unknown): string => (e as NodeJS.ErrnoException).code ?? String(e)
