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
 *   device;
 * - under a journal nothing is written from here: `take` hands out copies of all that is dirty, and what was taken stays in
 *   core until `settle` says that its place on the disk holds it.
 *
 * A block that carries a checksum is given a `Sealer` with `markDirty` or `store`: it is called once, when the block
 * leaves core, not at each change. `verified` is for the reader of a checksum: false for what the device
 * returned, true once somebody looked or we wrote it ourselves (buffer_verified of the kernel).
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

/** Writes the checksum of a block into the block. */
export type Sealer = (data: Buffer) => void

/** One block in core. */
export interface Buf {
  readonly nr: BlockNr
  readonly data: Buffer
  dirty: boolean
  /** Its checksum was looked at, or is ours. */
  verified: boolean
  /** What is still to be done before the block may leave core. */
  seal: Sealer | null
}

/** One version of a block. Its bytes do not change any more. */
export interface BlockCopy {
  readonly nr: BlockNr
  readonly data: Buffer
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
  /** Blocks whose place on the disk is older than what was taken: they stay in core. */
  readonly #taken = new Set<BlockNr>()
  /** Told of every block that is freed; a journal that has older versions of it must know. */
  onForget: ((nr: BlockNr) => void) | null = null

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
    const saved = [...this.#bufs.values()].map((buf) => ({ ...buf, buf, data: Buffer.from(buf.data) }))
    const taken = [...this.#taken]
    return () => {
      this.#bufs.clear()
      this.#dirty.clear()
      this.#taken.clear()
      for (const nr of taken) this.#taken.add(nr)
      for (const { buf, data, dirty, verified, seal } of saved) {
        data.copy(buf.data)
        Object.assign(buf, { dirty, verified, seal })
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
    return this.#bufs.get(nr) ?? this.#add(nr, data, false)
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
    const buf = this.#bufs.get(nr) ?? this.#add(nr, Buffer.alloc(this.blockSize), true)
    buf.data.fill(0)
    buf.seal = null
    this.markDirty(buf)
    return buf
  }

  /** A clean buffer whose bytes follow from elsewhere, `fill` makes them out of zeros: nothing is read. Plain. */
  supply(nr: BlockNr, fill: (data: Buffer) => void): Buf {
    const buf = this.#bufs.get(nr) ?? this.#add(nr, Buffer.alloc(this.blockSize), false)
    if (buf.verified) return buf
    fill(buf.data.fill(0))
    buf.verified = true
    return buf
  }

  /**
   * `buf.data` was changed.
   * @param seal writes the block's checksum; a later call without one keeps it
   * @throws Error if it was dropped meanwhile, or the mount is read-only: a bug
   */
  markDirty(buf: Buf, seal: Sealer | null = buf.seal): void {
    if (this.readOnly) throw new Error(`block ${buf.nr}: changed on a read-only mount`)
    if (this.#bufs.get(buf.nr) !== buf) throw new Error(`block ${buf.nr}: buffer held across a wait`)
    buf.dirty = true
    buf.verified = true
    buf.seal = seal
    this.#dirty.add(buf)
  }

  /** Make block `nr` say `bytes`; it is dirty only if that differs. The block must be resident. */
  store(nr: BlockNr, bytes: Buffer, at = 0, seal?: Sealer | null): void {
    const buf = this.#bufs.get(nr)
    if (buf === undefined) throw new Error(`block ${nr}: stored while not in core`)
    if (buf.data.compare(bytes, 0, bytes.length, at, at + bytes.length) === 0) return
    bytes.copy(buf.data, at)
    this.markDirty(buf, seal)
  }

  /** Drop block `nr` unwritten: it was freed. */
  forget(nr: BlockNr): void {
    this.onForget?.(nr)
    const buf = this.#bufs.get(nr)
    if (buf === undefined) return
    buf.dirty = false
    this.#dirty.delete(buf)
    this.#bufs.delete(nr)
  }

  /** Write every dirty block. Raises EIO after having tried them all; what failed stays dirty. */
  *flush(): Kernel<void, 'EIO'> {
    yield* this.#write([...this.#dirty])
    this.#trim()
  }

  /** Copies of all dirty blocks, ascending; they are clean then, and stay in core until they are settled. */
  take(): BlockCopy[] {
    const bufs = [...this.#dirty].sort((a, b) => a.nr - b.nr)
    this.#dirty.clear()
    return bufs.map((buf) => {
      buf.dirty = false
      this.#taken.add(buf.nr)
      return { nr: buf.nr, data: Buffer.from(sealed(buf).data) }
    })
  }

  /** The newest versions that were taken of these blocks are in their places, or the blocks are free. */
  settle(nrs: Iterable<BlockNr>): void {
    for (const nr of nrs) this.#taken.delete(nr)
    this.#trim()
  }

  /** Let go of the oldest clean blocks beyond the limit. */
  #trim(): void {
    let surplus = this.#bufs.size - this.#dirty.size - this.#taken.size - this.#limit
    if (surplus <= 0) return
    for (const buf of this.#bufs.values()) {
      if (surplus <= 0) break
      if (buf.dirty || this.#taken.has(buf.nr)) continue
      this.#bufs.delete(buf.nr)
      surplus--
    }
  }

  /** Write those of `nrs` that are dirty. Raises EIO after having tried them all. */
  *writeBlocks(nrs: readonly BlockNr[]): Kernel<void, 'EIO'> {
    yield* this.#write(nrs.map((nr) => this.#bufs.get(nr)).filter((b) => b?.dirty === true) as Buf[])
  }

  #add(nr: BlockNr, data: Buffer, verified: boolean): Buf {
    const buf: Buf = { nr, data, dirty: false, verified, seal: null }
    this.#bufs.set(nr, buf)
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
    const copy = Buffer.concat(run.map((b) => sealed(b).data))
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

/** `buf` with its checksum. */
const sealed = (buf: Buf): Buf => {
  const { seal } = buf
  buf.seal = null
  seal?.(buf.data)
  return buf
}
