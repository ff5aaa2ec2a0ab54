/**
 * WorldDevice: the disk of a small world. Data bios wait for the fiber of the device when `holding`; metadata goes through
 * at once. Every transfer notes the disk, and the memory that the bytes come from or go to.
 *
 * Bios of the page cache and of direct I/O are data. What waits may be changed until it is transferred: that is the window in
 * which an unstable page shows.
 */
import { Bio } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import type { MemoryDevice } from '../../block/memory-device.ts'
import type { Completion } from '../../kernel/completion.ts'
import { PageVec } from '../../kernel/page-vec.ts'
import { fold, hashBytes } from './hash.ts'
import { OBJECT, type Note } from './objects.ts'

/** The least block of a file system, in bytes. */
const LEAST_BLOCK = 1024

/** The disk of a world. */
export class WorldDevice implements BlockDevice {
  readonly name = 'world'
  readonly size: number
  readonly inner: MemoryDevice
  /** Data bios wait. */
  holding = false
  /** Writes are summed up for the digest: while fibers run. */
  recording = false
  /** Data bios on their way, oldest first. */
  readonly waiting: Bio[] = []
  /** What is wrong with the last transfer of data: bytes that changed on the way; a block that is not the file's any more. */
  unstable: string | null = null
  strayed: string | null = null
  /** Is block `pblk` of the disk the file's now? Set by the world. */
  owns: (pos: number) => boolean = () => true
  /** Digest of what was written since `rewind`. */
  digest = 0
  readonly #written = new Map<number, number>()
  readonly #sums = new WeakMap<Bio, number>()
  readonly #note: Note
  readonly #noteMemory: (bytes: Buffer, start: number, len: number) => void

  constructor(inner: MemoryDevice, note: Note, noteMemory: (bytes: Buffer, start: number, len: number) => void) {
    this.inner = inner
    this.size = inner.size
    this.#note = note
    this.#noteMemory = noteMemory
  }

  submit(bio: Bio): void {
    this.#note(OBJECT.queue)
    if (!this.holding || bio.op === 'flush' || !isData(bio)) return this.#transfer(bio)
    this.waiting.push(bio)
    this.#noteCompletion(bio)
    if (bio.op === 'write') this.#sums.set(bio, sumOf(bio))
  }

  /** Is there a bio to complete? */
  get isWanted(): boolean {
    this.#note(OBJECT.queue)
    return this.waiting.length > 0
  }

  /** Whether a bio has completed is the queue's: who waits for it, or looks, reads that. */
  #noteCompletion(bio: Bio): void {
    for (let b: Bio | null = bio; b !== null; b = b.parent) {
      let held = b.completion
      Object.defineProperty(b, 'completion', {
        get: () => (this.#note(OBJECT.queue), held),
        set: (completion: Completion) => {
          this.#note(OBJECT.queue)
          held = completion
        },
        configurable: true, enumerable: true,
      })
    }
  }

  /** Transfer and complete the i-th waiting bio. */
  completeOne(i: number): void {
    this.#note(OBJECT.queue)
    const bio = this.waiting.splice(i, 1)[0]!
    const sum = this.#sums.get(bio)
    if (sum !== undefined && sum !== sumOf(bio)) this.unstable = `the bytes of the ${bio.done.label} changed on the way`
    if (bio.op === 'write' && !this.#ownsAll(bio)) this.strayed = `the ${bio.done.label} goes to a block that is not the file's any more`
    this.#transfer(bio)
  }

  /** Is every block that `bio` goes to the file's? */
  #ownsAll(bio: Bio): boolean {
    for (let at = 0; at < bio.data.length; at += LEAST_BLOCK) if (!this.owns(bio.pos + at)) return false
    return true
  }

  /** Complete all that waits, in order. */
  drain(): void {
    while (this.waiting.length > 0) this.completeOne(0)
  }

  /** The first state again; the caller restores the bytes. */
  rewind(): void {
    this.waiting.length = 0
    this.unstable = this.strayed = null
    if (this.#written.size > 0) this.#written.clear()
    this.digest = 0
  }

  /** Read without a trace. */
  peek(into: Buffer, pos: number, len: number): void {
    this.inner.submit(new Bio('read', pos, PageVec.of(into.subarray(0, len))))
  }

  /** Is a write of the byte at `pos` on its way? */
  isWaiting(pos: number): boolean {
    return this.waiting.some((bio) => bio.op === 'write' && pos >= bio.pos && pos < bio.pos + bio.data.length)
  }

  /** Digest of the bios on their way. */
  queueDigest(): number {
    let d = this.waiting.length
    for (const bio of this.waiting) d = fold(d, fold(bio.pos, bio.data.length * 4 + (bio.op === 'write' ? 1 : 0)))
    return d
  }

  #transfer(bio: Bio): void {
    this.#note(OBJECT.disk)
    bio.data.forEach((bytes, start, len, at) => {
      this.#noteMemory(bytes, start, len)
      if (bio.op !== 'write' || !this.recording) return
      for (let done = 0; done < len; done += 1024) {
        this.#wrote(bio.pos + at + done, hashBytes(bytes, start + done, Math.min(1024, len - done)))
      }
    })
    this.inner.submit(bio)
  }

  #wrote(pos: number, hash: number): void {
    const before = this.#written.get(pos)
    if (before !== undefined) this.digest = subtract(this.digest, fold(pos, before))
    this.#written.set(pos, hash)
    this.digest = add(this.digest, fold(pos, hash))
  }
}

const LIMIT = 2 ** 53
/** Sums of digests modulo 2^53, so that the order of writes to different places does not matter. */
const add = (a: number, b: number): number => {
  const gap = LIMIT - a
  return b >= gap ? b - gap : a + b
}
const subtract = (a: number, b: number): number => (a >= b ? a - b : LIMIT - b + a)

const isData = (bio: Bio): boolean => bio.data.vec.some((s) => s.provenance === 'cache')

const sumOf = (bio: Bio): number => {
  let d = 0
  bio.data.forEach((bytes, start, len) => {
    d = fold(d, hashBytes(bytes, start, len))
  })
  return d
}
