/**
 * Shared writable mappings and pins: the two ways to change a cached page behind the write path's back.
 *
 * A store needs a writable PTE. The first one faults: the folio is locked, checked against i_size, made uptodate, waited for
 * if pages must be stable, and the design's file system makes sure of space (page_mkwrite), unless the design declares
 * `mmapHole: 'late'`. Then the blocks are dirty and the PTE is writable until writeback or an extension takes that away.
 * A pin (get_user_pages) holds a folio for DMA: it writes whenever it likes, and marks dirty at unpin; it is invisible to
 * write-protection, which is why invalidation must refuse a pinned folio.
 * Sources: filemap_fault, iomap_page_mkwrite, ext4_page_mkwrite, Documentation/core-api/pin_user_pages.rst.
 */
import type { PageMapping, PageMemory } from '../iov/user-memory.ts'
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import { PAGE, roundUp } from '../kernel/units.ts'
import { type Folio, PTE_DIRTY, PTE_PRESENT, PTE_WRITE, UPTODATE } from '../pagecache/folio.ts'
import { type Extent, HOLE } from './extent-map.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'
import { Mapping } from './mapping.ts'
import { fillFolio } from './read.ts'
import type { SpaceError } from './space.ts'
import { COPY_STEP, type Verbs } from './verbs.ts'

/** What a fault may end in; EFAULT stands for SIGBUS: past the end of the file. */
export type FaultError = 'EFAULT' | 'EIO' | 'ENOMEM' | SpaceError

/** Handle a fault at byte `pos`. @returns the folio, mapped as asked for */
export function* fault(k: Verbs, fs: FileSystem, inode: Inode, pos: number, write: boolean): Kernel<Folio, FaultError> {
  yield* k.acquireShared(inode.invalidateLock)
  try {
    if (pos >= roundUp(k.size(inode), PAGE)) return yield* raise('EFAULT', 'EFAULT.sigbus')
    const f = yield* k.grabFolio(inode.pages!, Math.floor(pos / PAGE), PAGE, write && fs.strategy.claims.stablePages)
    try {
      const off = pos - f.pos - (pos % PAGE)
      if (pos >= roundUp(k.size(inode), PAGE)) return yield* raise('EFAULT', 'EFAULT.sigbus')
      if (!f.all(off, PAGE, UPTODATE)) yield* fillFolio(k, fs, inode, f, off, PAGE)
      if (write) yield* makeWritable(k, fs, inode, f, off)
      k.mapPage(f, off / PAGE, write)
      return f
    } finally {
      k.unlockFolio(f)
    }
  } finally {
    k.releaseShared(inode.invalidateLock)
  }
}

/** page_mkwrite of the page at `off` in a locked folio: space below every block inside i_size, then dirty. */
function* makeWritable(k: Verbs, fs: FileSystem, inode: Inode, f: Folio, off: number): Kernel<void, SpaceError | 'ENOMEM'> {
  const block = fs.blockSize
  // The file may grow while the map lock is waited for; from then on nothing waits until the page is mapped.
  const inside = (): number => Math.min(PAGE, roundUp(k.size(inode) - f.pos - off, block))
  if (fs.strategy.claims.mmapHole === 'fault') {
    const m = new Mapping()
    const e: Extent = { lblk: 0, n: 0, state: HOLE, pblk: 0 }
    yield* k.acquire(inode.mapLock)
    try {
      const to = (f.pos + off + inside()) / block
      for (let b = (f.pos + off) / block; b < to; b += e.n) {
        fs.lookupInto(k, inode, b, to - b, e)
        if (e.state !== HOLE) continue
        yield* fs.reserve(k, inode, m, e.n, b + e.n)
        yield* fs.record(k, inode, m, b, e.n)
      }
    } catch (e) {
      // A block of the page found no room: those before it have no data and go again.
      for (let i = 0; i < m.madeCount; i++) yield* fs.punch(k, inode, m.made(i).lblk, m.made(i).n)
      throw e
    } finally {
      fs.unreserve(k, m, false)
      k.release(inode.mapLock)
    }
  }
  k.forgetGuards(f, off, PAGE)
  k.dirtyBlocks(f, off, inside())
}

/** Store `bytes` at `pos` through a shared mapping. @returns bytes stored; short only after progress */
export function* mmapStore(
  k: Verbs, fs: FileSystem, inode: Inode, pos: number, bytes: Buffer,
): Kernel<number, FaultError> {
  for (let done = 0; done < bytes.length; ) {
    const at = pos + done
    const step = k.scheduled ? COPY_STEP : PAGE
    const n = Math.min(bytes.length - done, step - (at % step))
    yield* k.step('store')
    const f = pageWith(k, inode, at, PTE_WRITE) ?? (yield* fault(k, fs, inode, at, true))
    bytes.copy(f.slab.bytes, f.base + at - f.pos, done, done + n)
    const page = f.page + Math.floor((at - f.pos) / PAGE)
    f.slab.pte[page] = f.slab.pte[page]! | PTE_DIRTY
    done += n
  }
  return bytes.length
}

/** Load `into.length` bytes at `pos` through a mapping. */
export function* mmapLoad(k: Verbs, fs: FileSystem, inode: Inode, pos: number, into: Buffer): Kernel<void, FaultError> {
  for (let done = 0; done < into.length; ) {
    const at = pos + done
    const step = k.scheduled ? COPY_STEP : PAGE
    const n = Math.min(into.length - done, step - (at % step))
    yield* k.step('load')
    const f = pageWith(k, inode, at, PTE_PRESENT) ?? (yield* fault(k, fs, inode, at, false))
    const start = f.base + at - f.pos
    f.slab.bytes.copy(into, done, start, start + n)
    done += n
  }
}

/** The folio of a page that user memory maps with `bits`, or null: a fault is needed. */
const pageWith = (k: Verbs, inode: Inode, pos: number, bits: number): Folio | null => {
  const f = k.peekFolio(inode.pages!, Math.floor(pos / PAGE))
  if (f === null) return null
  const pte = f.slab.pte[f.page + Math.floor((pos - f.pos) / PAGE)]!
  return (pte & bits) === bits ? f : null
}

/**
 * A shared mapping of a file as the source or target of a system call: the page that is copied from may be the very page
 * that is written (bugs Z01, Z02). `first` is the first page of the file that is mapped.
 */
export class FileMapping implements PageMapping {
  readonly #k: Verbs
  readonly #fs: FileSystem
  readonly #inode: Inode
  readonly #first: number

  constructor(k: Verbs, fs: FileSystem, inode: Inode, first = 0) {
    this.#k = k
    this.#fs = fs
    this.#inode = inode
    this.#first = first
  }

  resolve(page: number, write: boolean): PageMemory | null {
    const pos = (this.#first + page) * PAGE
    const f = pageWith(this.#k, this.#inode, pos, write ? PTE_WRITE : PTE_PRESENT)
    if (f === null) return null
    if (write) f.slab.pte[f.page + (pos - f.pos) / PAGE]! |= PTE_DIRTY
    return { bytes: f.slab.bytes, start: f.base + pos - f.pos }
  }

  *fault(page: number, write: boolean): Kernel<boolean> {
    const faulted = yield* attempt(() => fault(this.#k, this.#fs, this.#inode, (this.#first + page) * PAGE, write))
    return faulted._tag === 'Right'
  }
}

/** A folio pinned for DMA (FOLL_WRITE): it stays where it is, and may be written until it is released. */
export class Pin {
  readonly #inode: Inode
  readonly #folio: Folio
  /** Byte in the folio at which the pinned page begins. */
  readonly #off: number

  constructor(inode: Inode, folio: Folio, off: number) {
    this.#inode = inode
    this.#folio = folio
    this.#off = off
  }

  /** The device writes: no lock, no fault, no mark. `pos` in bytes of the file. */
  dma(pos: number, bytes: Buffer): void {
    bytes.copy(this.#folio.slab.bytes, this.#folio.base + pos - this.#folio.pos)
  }

  /** Done: mark dirty what is still cached (unpin_user_pages_dirty_lock), and let go. */
  *release(k: Verbs, fs: FileSystem): Kernel<void> {
    const f = this.#folio
    yield* k.lockFolio(f)
    const inside = k.size(this.#inode) - f.pos - this.#off
    // The page that was pinned, and no more: the rest of a large folio may never have been filled.
    if (f.home === this.#inode.pages && inside > 0) k.dirtyBlocks(f, this.#off, Math.min(PAGE, roundUp(inside, fs.blockSize)))
    k.unlockFolio(f)
    k.unpin(f)
  }
}

/** Pin the folio of `pos` for writing by a device: faulted in for write first. */
export function* pinForDma(k: Verbs, fs: FileSystem, inode: Inode, pos: number): Kernel<Pin, FaultError> {
  const f = yield* fault(k, fs, inode, pos, true)
  k.pin(f)
  return new Pin(inode, f, pos - (pos % PAGE) - f.pos)
}
