/**
 * MemoryDevice: a block device in memory that stores only what was written.
 *
 * Interface:
 * - every bio is completed inside `submit`; a completed write is durable at once, so a flush has nothing to do;
 * - a byte that nobody wrote reads as `fill`. Give `fill: 0xaa` to see stale data, which zeros would hide;
 * - `fork` is a second device with the same bytes. Both share chunks until one of them writes.
 *
 * Memory is held in chunks of 64 KiB, allocated at their first write.
 */
import type { Restore } from '../kernel/checkpoint.ts'
import type { Completion } from '../kernel/completion.ts'
import { SECTOR } from '../kernel/units.ts'
import type { Bio } from './bio.ts'
import { type BlockDevice, inside } from './device.ts'

const CHUNK = 65536
const failed: Completion = { bytes: 0, errno: 'EIO' }

/** Bytes, and the token of the one device that may change them in place. */
interface Chunk {
  readonly bytes: Buffer
  readonly owner: object | null
}

/** What a MemoryDevice may be told. */
export interface MemoryDeviceOptions {
  /** The byte that never-written space reads as; default 0. */
  readonly fill?: number
}

/** A sparse device in memory. */
export class MemoryDevice implements BlockDevice {
  readonly name = 'memory'
  readonly size: number
  readonly fill: number
  private chunks = new Map<number, Chunk>()
  private token: object = {}
  /** Memory of chunks that a restore gave up. */
  private readonly spare: Buffer[] = []

  /**
   * @param size bytes, a multiple of SECTOR
   * @throws RangeError if size or fill is out of range
   */
  constructor(size: number, { fill = 0 }: MemoryDeviceOptions = {}) {
    if (!Number.isSafeInteger(size) || size <= 0 || size % SECTOR !== 0) {
      throw new RangeError(`memory device of ${size} bytes: the size must be a positive multiple of ${SECTOR}`)
    }
    if (!Number.isInteger(fill) || fill < 0 || fill > 255) throw new RangeError(`fill ${fill}: must be a byte`)
    this.size = size
    this.fill = fill
  }

  /** A device that begins with the bytes of `image`, which it shares until it writes: leave `image` alone meanwhile. */
  static of(image: Buffer): MemoryDevice {
    const device = new MemoryDevice(image.length)
    for (let pos = 0; pos < image.length; pos += CHUNK) {
      device.chunks.set(pos / CHUNK, { bytes: image.subarray(pos, pos + CHUNK), owner: null })
    }
    return device
  }

  /** Memory that this device holds, in bytes; a chunk shared with a fork counts in both. */
  get bytesStored(): number {
    return this.chunks.size * CHUNK
  }

  /** A copy of the whole device, `size` bytes. */
  image(): Buffer {
    const out = Buffer.alloc(this.size, this.fill)
    for (const [i, chunk] of this.chunks) chunk.bytes.copy(out, i * CHUNK)
    return out
  }

  /** Another device with the same bytes; later writes to either do not reach the other. Costs no copy of data. */
  fork(): MemoryDevice {
    const other = new MemoryDevice(this.size, { fill: this.fill })
    other.chunks = new Map(this.chunks)
    this.token = {}
    return other
  }

  /** Costs no copy; the first write to a chunk after it copies the chunk. */
  checkpoint(): Restore {
    const chunks = new Map(this.chunks)
    this.token = {}
    return () => {
      for (const { bytes, owner } of this.chunks.values()) if (owner === this.token) this.spare.push(bytes)
      this.chunks = new Map(chunks)
      this.token = {}
    }
  }

  submit(bio: Bio): void {
    if (!inside(this, bio)) return bio.complete(failed)
    if (bio.op === 'write') {
      bio.data.forEach((bytes, start, len, at) => this.store(bytes, start, len, bio.pos + at))
    } else if (bio.op === 'read') {
      bio.data.forEach((bytes, start, len, at) => this.load(bytes, start, len, bio.pos + at))
    }
    bio.complete({ bytes: bio.data.length, errno: null })
  }

  private load(target: Buffer, start: number, len: number, pos: number): void {
    while (len > 0) {
      const from = pos % CHUNK
      const n = Math.min(len, CHUNK - from)
      const chunk = this.chunks.get((pos - from) / CHUNK)
      if (chunk === undefined) target.fill(this.fill, start, start + n)
      else chunk.bytes.copy(target, start, from, from + n)
      start += n
      pos += n
      len -= n
    }
  }

  private store(source: Buffer, start: number, len: number, pos: number): void {
    while (len > 0) {
      const to = pos % CHUNK
      const n = Math.min(len, CHUNK - to)
      source.copy(this.own((pos - to) / CHUNK, n === CHUNK), to, start, start + n)
      start += n
      pos += n
      len -= n
    }
  }

  /** Chunk `i`, ours to change. `whole`: all of it is about to be written, so that what it held does not matter. */
  private own(i: number, whole: boolean): Buffer {
    const chunk = this.chunks.get(i)
    if (chunk?.owner === this.token) return chunk.bytes
    const bytes = this.spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK)
    if (chunk === undefined && !whole) bytes.fill(this.fill)
    else if (!whole) chunk!.bytes.copy(bytes)
    this.chunks.set(i, { bytes, owner: this.token })
    return bytes
  }
}
