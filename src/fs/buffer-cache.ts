/**
 * BufferCache: metadata blocks of one file system, by block number.
 *
 * Interface:
 * - `get` returns the block's buffer and reads it at most once; `fresh` returns one of zeros and reads nothing;
 * - change `data`, then call `markDirty` before the next wait. A buffer is held only until the next wait: a flush may
 *   drop a clean one, and then another buffer is the truth. `markDirty` throws when that rule was broken;
 * - `ensure` makes several blocks resident at once, for code that changes them together without a wait between;
 * - `forget` when a block was freed: what it held will never be written;
 * - `flush` writes all that is dirty in ascending order, adjacent blocks as one bio. No cache flush is sent to the
 *   device.
 *
 * What a bio carries is a copy, so a block may change while its write is under way; it is dirty again then.
 * Source: xv6 kernel/bio.c for the size of it; sync_dirty_buffer and write_dirty_buffer of fs/buffer.c.
 */
import { Bio, submitAndWait } from '../block/bio.ts'
import type { BlockDevice } from '../block/device.ts'
import type { Restore } from '../kernel/checkpoint.ts'
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import { Ledger } from '../kernel/ledger.ts'
import { PageVec } from '../kernel/page-vec.ts'
import type { BlockNr } from '../kernel/units.ts'

/** One block in core. */
export interface Buf {
  readonly nr: BlockNr
  readonly data: Buffer
  dirty: boolean
}

/** What a BufferCache may be told. */
export interface BufferCacheOptions {
  /** Where bios and their bytes are counted: metaBios, metaBytes. */
  readonly ledger?: Ledger
  /** How many clean blocks a flush leaves in core; default 8192. */
  readonly limit?: number
  /** Then `markDirty` and `fresh` throw. */
  readonly readOnly?: boolean
}

/** Most bytes of one metadata bio. */
const BIO_BYTES = 1 << 20

/** Metadata blocks by number. */
export class BufferCache {
  readonly device: BlockDevice
  /** Bytes. */
  readonly blockSize: number
  readonly ledger: Ledger
  readonly readOnly: boolean
  readonly #limit: number
  readonly #bufs = new Map<BlockNr, Buf>()
  readonly #dirty = new Set<Buf>()

  /** @param blockSize bytes */
  constructor(device: BlockDevice, blockSize: number, options: BufferCacheOptions = {}) {
    const { ledger, limit = 8192, readOnly = false } = options
    this.device = device
    this.blockSize = blockSize
    this.ledger = ledger ?? new Ledger()
    this.readOnly = readOnly
    this.#limit = limit
  }

  /** Blocks in core. */
  get resident(): number {
    return this.#bufs.size
  }
  /** Blocks that a flush would write. */
  get dirtyBlocks(): number {
    return this.#dirty.size
  }

  checkpoint(): Restore {
    const saved = [...this.#bufs.values()].map((buf) => ({ buf, data: Buffer.from(buf.data), dirty: buf.dirty }))
    return () => {
      this.#bufs.clear()
      this.#dirty.clear()
      for (const { buf, data, dirty } of saved) {
        data.copy(buf.data)
        buf.dirty = dirty
        this.#bufs.set(buf.nr, buf)
        if (dirty) this.#dirty.add(buf)
      }
    }
  }

  /** The buffer if it is in core. Plain. */
  peek(nr: BlockNr): Buf | undefined {
    return this.#bufs.get(nr)
  }

  /** The buffer of block `nr`, read if need be. Raises EIO. */
  *get(nr: BlockNr): Kernel<Buf, 'EIO'> {
    const buf = this.#bufs.get(nr)
    if (buf !== undefined) return buf
    const data = Buffer.alloc(this.blockSize)
    yield* this.#submit(new Bio('read', nr * this.blockSize, PageVec.of(data)))
    return this.#bufs.get(nr) ?? this.#add({ nr, data, dirty: false })
  }

  /**
   * Make all of `nrs` resident at one time. `nrs` is asked again after every wait, for it may have changed. Raises EIO.
   */
  *ensure(nrs: () => readonly BlockNr[]): Kernel<void, 'EIO'> {
    for (;;) {
      const missing = nrs().filter((nr) => !this.#bufs.has(nr))
      if (missing.length === 0) return
      for (const nr of missing) yield* this.get(nr)
    }
  }

  /** A buffer of zeros for a block that was just placed; it is dirty. */
  fresh(nr: BlockNr): Buf {
    const buf = this.#bufs.get(nr) ?? this.#add({ nr, data: Buffer.alloc(this.blockSize), dirty: false })
    buf.data.fill(0)
    this.markDirty(buf)
    return buf
  }

  /** `buf.data` was changed. @throws Error if it was dropped meanwhile, or the mount is read-only: a bug */
  markDirty(buf: Buf): void {
    if (this.readOnly) throw new Error(`block ${buf.nr}: changed on a read-only mount`)
    if (this.#bufs.get(buf.nr) !== buf) throw new Error(`block ${buf.nr}: buffer held across a wait`)
    buf.dirty = true
    this.#dirty.add(buf)
  }

  /** Make block `nr` say `bytes`; it is dirty only if that differs. The block must be resident. */
  store(nr: BlockNr, bytes: Buffer, at = 0): void {
    const buf = this.#bufs.get(nr)
    if (buf === undefined) throw new Error(`block ${nr}: stored while not in core`)
    if (buf.data.compare(bytes, 0, bytes.length, at, at + bytes.length) === 0) return
    bytes.copy(buf.data, at)
    this.markDirty(buf)
  }

  /** Drop block `nr` unwritten: it was freed. */
  forget(nr: BlockNr): void {
    const buf = this.#bufs.get(nr)
    if (buf === undefined) return
    buf.dirty = false
    this.#dirty.delete(buf)
    this.#bufs.delete(nr)
  }

  /** Write every dirty block. Raises EIO after having tried them all; what failed stays dirty. */
  *flush(): Kernel<void, 'EIO'> {
    yield* this.#write([...this.#dirty])
    let surplus = this.#bufs.size - this.#dirty.size - this.#limit
    for (const buf of this.#bufs.values()) {
      if (surplus <= 0) break
      if (buf.dirty) continue
      this.#bufs.delete(buf.nr)
      surplus--
    }
  }

  /** Write those of `nrs` that are dirty. Raises EIO after having tried them all. */
  *writeBlocks(nrs: readonly BlockNr[]): Kernel<void, 'EIO'> {
    yield* this.#write(nrs.map((nr) => this.#bufs.get(nr)).filter((b) => b?.dirty === true) as Buf[])
  }

  #add(buf: Buf): Buf {
    this.#bufs.set(buf.nr, buf)
    return buf
  }

  *#write(bufs: Buf[]): Kernel<void, 'EIO'> {
    bufs.sort((a, b) => a.nr - b.nr)
    const most = BIO_BYTES / this.blockSize
    let failed = false
    for (let i = 0; i < bufs.length; ) {
      let n = 1
      while (n < most && i + n < bufs.length && bufs[i + n]!.nr === bufs[i]!.nr + n) n++
      if (!(yield* this.#writeRun(bufs.slice(i, i + n)))) failed = true
      i += n
    }
    if (failed) yield* raise('EIO', 'EIO.metadata-write')
  }

  /** Write adjacent buffers with one bio. @returns false if it failed; they are dirty again then */
  *#writeRun(run: readonly Buf[]): Kernel<boolean> {
    const live = run.filter((b) => b.dirty)
    if (live.length === 0) return true
    if (live.length < run.length) {
      let good = true
      for (const buf of live) good = (yield* this.#writeRun([buf])) && good
      return good
    }
    const copy = Buffer.concat(run.map((b) => b.data))
    for (const buf of run) {
      buf.dirty = false
      this.#dirty.delete(buf)
    }
    const done = yield* attempt(() => this.#submit(new Bio('write', run[0]!.nr * this.blockSize, PageVec.of(copy))))
    if (done._tag === 'Right') return true
    for (const buf of run) if (this.#bufs.get(buf.nr) === buf) this.markDirty(buf)
    return false
  }

  *#submit(bio: Bio): Kernel<void, 'EIO'> {
    this.ledger.metaBios++
    this.ledger.metaBytes += bio.data.length
    yield* submitAndWait(this.device, bio)
  }
}
