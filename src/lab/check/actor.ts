/**
 * Actor: one process of a world: its open files, its memory, and how it does each action of a program.
 *
 * All through the system calls that everybody uses; what the kernel does on its own (writeback, reclaim) through the services
 * below them. An actor's own state (file positions, buffers) is a function of what its fiber has seen.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import type { Inode } from '../../fs/inode.ts'
import { FileMapping, pinForDma } from '../../fs/mmap.ts'
import type { OpenFile } from '../../fs/open-file.ts'
import { evictInode, sync } from '../../fs/sync.ts'
import type { OpenFlag, Syscalls } from '../../fs/syscalls.ts'
import { IovIter } from '../../iov/iov-iter.ts'
import { MemorySource, type WriteSource } from '../../iov/source.ts'
import { intoBuffer } from '../../iov/target.ts'
import { UserMemory } from '../../iov/user-memory.ts'
import type { Errno } from '../../kernel/errno.ts'
import { type Kernel, run } from '../../kernel/kernel.ts'
import { PAGE, roundUp } from '../../kernel/units.ts'
import type { Record } from './history.ts'
import { type Action, tagByte } from './program.ts'
import type { Place } from './place.ts'
import { spliceAction } from './spliced.ts'

/** Where the bytes of a write come from, once a run. */
export interface Source {
  source: WriteSource | null
  /** The first state again. */
  rewind(): void
}

const nothing: Source = { source: null, rewind: () => {} }

/** How often one page of the source may be taken away again (K of claim I15). */
const TAKE_AWAYS = 1

/** A process. */
export class Actor {
  readonly inode: Inode
  readonly #place: Place
  readonly #sys: Syscalls
  readonly #path: string
  /** File descriptors by the flags that they were opened with. */
  readonly #fds = new Map<string, number>()
  readonly #byAction = new WeakMap<Action, number>()
  /** Where the next write by `cursor` of each open file belongs. */
  readonly #cursors = new Map<string, number>()
  readonly #files: { readonly file: OpenFile; readonly errorsSeen: number }[] = []

  constructor(place: Place, sys: Syscalls, path: string) {
    this.#place = place
    this.#sys = sys
    this.#path = path
    this.inode = this.#open([]).inode
  }

  #open(flags: readonly OpenFlag[]): OpenFile {
    const key = flags.join()
    let fd = this.#fds.get(key)
    if (fd === undefined) {
      const opened = run(this.#sys.open(this.#path, ['O_RDWR', 'O_CREAT', ...flags]))
      if (isLeft(opened)) throw new Error(`a world's file cannot be opened: ${opened.left}`)
      fd = opened.right
      this.#fds.set(key, fd)
    }
    const file = run(this.#sys.file(fd))
    if (isLeft(file)) throw new Error('a world lost its file')
    if (!this.#files.some((x) => x.file === file.right)) this.#files.push({ file: file.right, errorsSeen: file.right.errorsSeen })
    return file.right
  }

  /** Let go of all files. */
  close(): void {
    for (const fd of this.#fds.values()) run(this.#sys.close(fd))
    this.#fds.clear()
    this.#files.length = 0
  }

  /** The first state again, however the last run was left. */
  rewind(): void {
    this.#cursors.clear()
    for (const { file, errorsSeen } of this.#files) {
      file.pos = 0
      file.errorsSeen = errorsSeen
      file.readahead.next = file.readahead.window = 0
      file.mapping.reserved = file.mapping.reservedMap = 0
    }
  }

  /** Mappings of writes under way: what operations in flight hold. */
  get files(): readonly { readonly file: OpenFile }[] {
    return this.#files
  }

  /** The file descriptor that an action uses. */
  #fdOf(a: Action): number {
    let fd = this.#byAction.get(a)
    if (fd === undefined) this.#byAction.set(a, (fd = this.#fds.get(this.#flags(a).join())!))
    return fd
  }

  #flags(a: Action): OpenFlag[] {
    if (a.op === 'read') return a.direct === true ? ['O_DIRECT'] : []
    if (a.op !== 'write') return []
    return [...(a.append === true ? ['O_APPEND' as const] : []), ...(a.direct === true ? ['O_DIRECT' as const] : []),
      ...(a.sync === true ? ['O_DSYNC' as const] : [])]
  }

  /** Make the memory that a write takes its bytes from, and open what it needs. */
  sourceOf(a: Action, tag: number): Source {
    this.#open(this.#flags(a))
    if (a.op !== 'write' || a.pipe !== undefined) return nothing
    if (a.readable === undefined && a.absent !== true && a.self === undefined && a.pieces !== true) {
      const source = new MemorySource(payload(a, tag))
      return { source, rewind: () => {} }
    }
    const made: Source = { source: null, rewind: () => { made.source = this.#userSource(a, tag) } }
    return made
  }

  #userSource(a: Extract<Action, { op: 'write' }>, tag: number): WriteSource {
    const { fs } = this.#place.session
    const readable = a.readable ?? a.len
    const start = a.self === undefined ? roundUp(readable, PAGE) - readable : 0
    const memory = new UserMemory(roundUp(start + a.len, PAGE) + PAGE, { choices: fs.verbs, takeAways: TAKE_AWAYS })
    if (a.self !== undefined) memory.map(0, Math.ceil(a.len / PAGE), this.#place.faults(new FileMapping(fs.verbs, fs, this.inode, a.self)))
    else {
      memory.bytes.set(payload(a, tag).subarray(0, readable), start)
      if (readable < a.len) memory.mark(start + readable, memory.size - start - readable, 'unreadable')
      if (a.absent === true && readable > 0) memory.mark(start, readable, 'absent')
    }
    const cut = a.pieces === true ? Math.floor(a.len / 2) : a.len
    const iovs = [{ addr: start, len: cut }, { addr: start + cut, len: 0 }, { addr: start + cut, len: a.len - cut }]
    const source = new IovIter(memory, a.pieces === true ? iovs : iovs.slice(0, 1))
    return a.absent === true ? new Watched(source, memory, () => this.#place.lockOrder.fault(this.#place.fiber)) : source
  }

  /** Do it. @returns bytes for calls that count them, the size for stat, else 0 */
  act(a: Action, tag: number, source: Source, r: Record | null = null): Kernel<number, Errno> {
    // A write that has nothing of its own goes straight to its call: each generator that only passes on costs at every step.
    const plain = a.op === 'write' && a.pipe === undefined && a.cursor !== true && a.nowait !== true && a.append !== true
    return plain ? this.#sys.pwrite(this.#fdOf(a), source.source!, a.pos) : this.#act(a, tag, source, r)
  }

  *#act(a: Action, tag: number, source: Source, r: Record | null): Kernel<number, Errno> {
    const { fs } = this.#place.session
    const k = fs.verbs
    const sys = this.#sys
    const fd = this.#fdOf(a)
    switch (a.op) {
      case 'write': {
        if (a.pipe !== undefined) {
          return yield* spliceAction(this.#place, sys, fd, a, payload(a, tag), (v) => { if (r !== null) r.spliced ??= v })
        }
        if (a.cursor === true) return yield* this.#atCursor(this.#flags(a), fd, source.source!, r)
        const n = a.nowait === true
          ? yield* sys.pwritev2(fd, source.source!, a.pos, ['RWF_NOWAIT'])
          : yield* sys.pwrite(fd, source.source!, a.pos)
        if (r !== null && a.append === true) r.from = this.#open(this.#flags(a)).write.pos
        return n
      }
      case 'read': return yield* sys.pread(fd, intoBuffer(r!.bytes!), a.pos)
      case 'load':
        yield* sys.mmapLoad(fd, a.pos, r!.bytes!)
        return a.len
      case 'store': {
        met(r, k.size(this.inode))
        const n = yield* sys.mmapStore(fd, a.pos, payload(a, tag))
        met(r, k.size(this.inode))
        return n
      }
      case 'punch': case 'zero': case 'allocate':
        yield* sys.fallocate(fd, a.op === 'allocate' && a.keep === true ? 'keep-size' : a.op, a.pos, a.len)
        return 0
      case 'truncate':
        yield* sys.ftruncate(fd, a.size)
        return 0
      case 'dma': {
        const pin = yield* pinForDma(k, fs, this.inode, a.pos)
        yield* k.step('DMA')
        met(r, k.size(this.inode))
        pin.dma(a.pos, payload(a, tag))
        yield* k.step('unpin')
        yield* pin.release(k, fs)
        met(r, k.size(this.inode))
        return a.len
      }
      case 'fsync':
        yield* sys.fsync(fd)
        return 0
      case 'writeback':
        yield* fs.writeBack(k, this.inode, 0, Infinity)
        return 0
      case 'reclaim':
        k.cache.reclaim(2 ** 20)
        return 0
      case 'sync':
        yield* sync(k, fs)
        return 0
      case 'stat': return k.size(this.inode)
      case 'drop':
        k.cache.reclaim(2 ** 20)
        return 0
    }
  }

  /** write(2) where the last one of this open file ended. */
  *#atCursor(flags: readonly OpenFlag[], fd: number, source: WriteSource, r: Record | null): Kernel<number, Errno> {
    const key = flags.join()
    const from = this.#cursors.get(key) ?? 0
    if (r !== null) r.from = from
    const n = yield* this.#sys.write(fd, source)
    this.#cursors.set(key, from + n)
    if (r !== null) r.position = this.#open(flags).pos
    return n
  }

  /** fsync of this process's file. @returns what it says */
  fsync(): Errno | null {
    const done = run(this.#sys.fsync(this.#fds.get('')!))
    return isLeft(done) ? done.left : null
  }

  /** Write out and forget the file in core, as memory pressure does; the world's fields still name the old inode. */
  *evict(): Kernel<boolean, 'EIO'> {
    const { fs } = this.#place.session
    this.inode.holders = 0
    return yield* evictInode(fs.verbs, fs, this.inode)
  }
}

/** A source in user memory that says when a copy has to fault a page in. */
class Watched implements WriteSource {
  readonly present = false
  readonly length: number
  readonly #inner: IovIter
  readonly #memory: UserMemory
  readonly #faults: () => void

  constructor(inner: IovIter, memory: UserMemory, faults: () => void) {
    this.length = inner.length
    this.#inner = inner
    this.#memory = memory
    this.#faults = faults
  }

  faultInNow(at: number, n: number): number {
    return this.#inner.faultInNow(at, n)
  }
  faultIn(at: number, n: number): Kernel<number> {
    return this.#inner.faultIn(at, n)
  }
  copyAtomic(target: Buffer, start: number, at: number, n: number): number {
    return this.#inner.copyAtomic(target, start, at, n)
  }
  copyFaulting(target: Buffer, start: number, at: number, n: number): Kernel<number> {
    if (this.#memory.absent > 0) this.#faults()
    return this.#inner.copyFaulting(target, start, at, n)
  }
}

/** The file has `size` bytes while a store runs: what it puts past the end is nobody's. */
const met = (r: Record | null, size: number): void => {
  if (r === null) return
  r.leastSize = Math.min(r.leastSize, size)
  r.mostSize = Math.max(r.mostSize, size)
}

/** The bytes that an action puts into the file. */
export const payload = (a: Action, tag: number): Buffer => {
  const known = payloads.get(a)
  if (known?.tag === tag) return known.bytes
  const bytes = makePayload(a, tag)
  payloads.set(a, { tag, bytes })
  return bytes
}

const payloads = new WeakMap<Action, { readonly tag: number; readonly bytes: Buffer }>()

const makePayload = (a: Action, tag: number): Buffer => {
  const { len, pos } = a as { len: number; pos: number }
  const append = a.op === 'write' && (a.append === true || a.cursor === true)
  const out = Buffer.alloc(len)
  for (let i = 0; i < len; i++) out[i] = tagByte(tag, append ? 0 : pos + i)
  return out
}
