/**
 * VolatileCache: the write cache of a drive, which a crash loses.
 *
 * Fault model: a write without FUA is complete when the cache has it, and durable when a later flush has completed. A
 * crash before that keeps or loses each such write on its own (or a prefix of its sectors: a torn write); two that are
 * kept apply in the order in which they were submitted, so that no block ever goes back in time. A write with FUA is
 * durable at its completion: for its sectors it ends the matter, whatever older writes a crash would have kept.
 *
 * Interface:
 * - the device below always holds exactly the durable bytes; it completes at once (memory, image, faulty);
 * - reads see the newest bytes;
 * - `writes` are the writes since the last flush, oldest first; `crashOnto` and `crashImage` apply the chosen ones;
 * - beyond `limit` bytes the oldest writes go to the device below on their own, as in a drive whose cache is full;
 * - a flush that fails with EIO keeps what did not reach the device; a later flush tries again.
 *
 * Source: Documentation/block/writeback_cache_control.rst; xfstests dm-log-writes for the crash images.
 */
import type { Completion } from '../kernel/completion.ts'
import { PageVec } from '../kernel/page-vec.ts'
import { type Range, end, intersect } from '../kernel/range.ts'
import { SECTOR } from '../kernel/units.ts'
import { Bio } from './bio.ts'
import { type BlockDevice, inside } from './device.ts'

/** A write that a crash may lose. */
export interface VolatileWrite extends Range {
  /** Number of this write since the cache was made; what was submitted later has a larger one. */
  readonly id: number
}

/** How many bytes of a write survive: 0 it is lost, `len` it is kept, whole sectors between these: it is torn. */
export type Survival = (write: VolatileWrite) => number

/** What a cache may be told. */
export interface VolatileCacheOptions {
  /** Most bytes that wait for a flush; default 64 MiB. */
  readonly limit?: number
  /** Bios are cut into writes of at most this many bytes, at its multiples, that survive apart; default: not cut. */
  readonly unit?: number
}

/** A piece of a write that no FUA write has superseded. */
interface Piece extends Range {
  readonly bytes: Buffer
}

interface Entry extends VolatileWrite {
  pieces: Piece[]
}

/** A device whose writes are volatile until a flush. */
export class VolatileCache implements BlockDevice {
  readonly name: string
  readonly size: number
  private readonly device: BlockDevice
  private readonly limit: number
  private readonly unit: number
  private entries: Entry[] = []
  private held = 0
  private nextId = 0

  /** @throws RangeError if `unit` is not a positive multiple of SECTOR */
  constructor(device: BlockDevice, { limit = 64 << 20, unit = device.size }: VolatileCacheOptions = {}) {
    if (unit <= 0 || unit % SECTOR !== 0) throw new RangeError(`unit ${unit}: must be a positive multiple of ${SECTOR}`)
    this.device = device
    this.name = `volatile cache on ${device.name}`
    this.size = device.size
    this.limit = limit
    this.unit = unit
  }

  /** The writes that a crash may lose, oldest first. */
  get writes(): readonly VolatileWrite[] {
    return this.entries
  }

  submit(bio: Bio): void {
    if (!inside(this, bio)) return bio.complete({ bytes: 0, errno: 'EIO' })
    if (bio.op === 'read') return this.read(bio)
    if (bio.op === 'write') return bio.fua ? this.writeThrough(bio) : this.write(bio)
    const flushed = this.destage(0)
    bio.complete(flushed.errno !== null ? flushed : this.below(new Bio('flush')))
  }

  /** Write what a crash now would keep of the volatile writes onto `target`, which holds the durable bytes. */
  crashOnto(target: BlockDevice, survival: Survival): void {
    for (const entry of this.entries) {
      const kept = { pos: entry.pos, len: survival(entry) }
      for (const piece of entry.pieces) {
        const part = intersect(piece, kept)
        if (part === null) continue
        const at = part.pos - piece.pos
        target.submit(new Bio('write', part.pos, PageVec.of(piece.bytes.subarray(at, at + part.len), 'cache')))
      }
    }
  }

  /** The whole device as a crash now would leave it, `size` bytes. */
  crashImage(survival: Survival): Buffer {
    const image = Buffer.alloc(this.size)
    this.below(new Bio('read', 0, PageVec.of(image)))
    this.crashOnto(ontoBuffer(image), survival)
    return image
  }

  private read(bio: Bio): void {
    const whole = bio.clone(0, bio.data.length)
    whole.endIo = (completion) => {
      for (const entry of this.entries) for (const piece of entry.pieces) overlay(bio, piece)
      return completion
    }
    this.device.submit(whole)
  }

  private write(bio: Bio): void {
    const bytes = Buffer.allocUnsafe(bio.data.length)
    bio.data.copyTo(bytes)
    for (let at = 0; at < bytes.length; ) {
      const pos = bio.pos + at
      const len = Math.min(bytes.length - at, this.unit - (pos % this.unit))
      const piece = { pos, len, bytes: bytes.subarray(at, at + len) }
      this.entries.push({ id: this.nextId++, pos, len, pieces: [piece] })
      at += len
    }
    this.held += bytes.length
    this.destage(this.limit)
    bio.complete({ bytes: bytes.length, errno: null })
  }

  private writeThrough(bio: Bio): void {
    const child = bio.clone(0, bio.data.length)
    child.endIo = (completion) => {
      this.supersede({ pos: bio.pos, len: completion.bytes })
      return completion
    }
    this.device.submit(child)
  }

  /** These bytes are durable in a newer version: no older one may come back. */
  private supersede(range: Range): void {
    for (const entry of this.entries) {
      if (intersect(entry, range) !== null) entry.pieces = entry.pieces.flatMap((piece) => without(piece, range))
    }
    this.entries = this.entries.filter((entry) => entry.pieces.length > 0)
    this.held = this.entries.reduce((sum, { pieces }) => sum + pieces.reduce((n, piece) => n + piece.len, 0), 0)
  }

  /** Bring the oldest writes to the device below until at most `limit` bytes are volatile, or one fails. */
  private destage(limit: number): Completion {
    let done = 0
    let completion: Completion = { bytes: 0, errno: null }
    while (this.held > limit && completion.errno === null) {
      const { pieces } = this.entries[done]!
      while (pieces.length > 0 && completion.errno === null) {
        const { pos, len, bytes } = pieces[0]!
        completion = this.below(new Bio('write', pos, PageVec.of(bytes, 'cache')))
        if (completion.errno !== null) break
        pieces.shift()
        this.held -= len
      }
      if (pieces.length === 0) done++
    }
    if (done > 0) this.entries.splice(0, done)
    return { bytes: 0, errno: completion.errno }
  }

  /** Submit to the device below, which completes at once. @throws Error if it does not: the stack is upside down */
  private below(bio: Bio): Completion {
    this.device.submit(bio)
    if (bio.completion === null) throw new Error(`${this.name}: a queue belongs above the cache, not below`)
    return bio.completion
  }
}

/** Put the common bytes of `piece` into the memory of `bio`. */
const overlay = (bio: Bio, piece: Piece): void => {
  const common = intersect({ pos: bio.pos, len: bio.data.length }, piece)
  if (common !== null) {
    bio.data.slice(common.pos - bio.pos, common.len).copyFrom(piece.bytes, common.pos - piece.pos)
  }
}

/** `piece` without the bytes of `range`. */
const without = (piece: Piece, range: Range): Piece[] => {
  const part = (pos: number, to: number): Piece[] =>
    to > pos ? [{ pos, len: to - pos, bytes: piece.bytes.subarray(pos - piece.pos, to - piece.pos) }] : []
  if (intersect(piece, range) === null) return [piece]
  return [...part(piece.pos, range.pos), ...part(end(range), end(piece))]
}

/** Writes go into `image`; nothing else is asked of this device. */
const ontoBuffer = (image: Buffer): BlockDevice => ({
  name: 'crash image',
  size: image.length,
  submit: (bio) => bio.complete({ bytes: bio.data.copyTo(image, bio.pos), errno: null }),
})
