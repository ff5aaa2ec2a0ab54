/**
 * Model: what a workload has made of names and files, with the history of every block, and what was promised when.
 *
 * Told of each operation with its outcome and its stretch of the log. Operations run one after the other, so the page cache at any
 * time is the file after some operation: each block of a file that a crash leaves is the block after one of them. Shares no code
 * with the file system; only inode numbers and generations are asked of it, since a file without a durable name is found by them.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { hashBytes } from '../check/hash.ts'
import type { Outcome } from '../replay.ts'
import type { Operation } from '../workload/operation.ts'
import { fillPayload } from '../workload/payload.ts'

/** A block of a file after operation `op`; operations count from 1. */
export interface Version {
  readonly op: number
  readonly digest: number
  /** Null: all zeros, and nobody wrote them. */
  readonly bytes: Buffer | null
  /** Bytes of it below the size at that time. */
  readonly valid: number
}

/** A promise about a file: what stood after operation `op` is durable from `done` on, a position in the log. */
export interface Promised {
  readonly op: number
  readonly done: number
  /** Blocks [from, to) of it; its size in any case. */
  readonly from: number
  readonly to: number
}

/** How inode numbers are learnt. */
export interface Census {
  /** The inode under a path now. */
  of(path: string): { readonly ino: number; readonly generation: number }
}

/** Something that has an inode. */
export class Thing {
  readonly kind: 'file' | 'directory' | 'symlink'
  readonly ino: number
  readonly generation: number
  readonly born: number
  /** The first name it had. */
  readonly label: string
  /** Names that it has now, and the operation that took the last one away. */
  names = 1
  dead = Infinity
  // --- a file
  readonly sizes: { readonly op: number; readonly size: number }[] = []
  readonly blocks = new Map<number, Version[]>()
  readonly promises: Promised[] = []
  /** Operations that changed which blocks it has. */
  readonly remaps: number[] = []
  // --- a directory: by name, what it named after which operation
  readonly entries = new Map<string, { readonly op: number; readonly thing: Thing | null }[]>()
  readonly namePromises: { readonly op: number; readonly done: number; readonly only: string | null }[] = []

  constructor(kind: Thing['kind'], ino: number, generation: number, born: number, label: string) {
    this.kind = kind
    this.ino = ino
    this.generation = generation
    this.born = born
    this.label = label
    this.sizes.push({ op: born, size: 0 })
  }

  get size(): number {
    return this.sizes.at(-1)!.size
  }

  named(name: string): Thing | null {
    return this.entries.get(name)?.at(-1)?.thing ?? null
  }

  name(name: string, op: number, thing: Thing | null): void {
    const list = this.entries.get(name)
    if (list === undefined) this.entries.set(name, [{ op: 0, thing: null }, { op, thing }])
    else list.push({ op, thing })
  }
}

interface OpenFd {
  readonly thing: Thing
  pos: number
  readonly append: boolean
  readonly sync: boolean
}

/** What a workload has made. */
export class Model {
  readonly blockSize: number
  readonly root: Thing
  readonly things: Thing[] = []
  /** By operation, from 1: its stretch of the log. */
  readonly begins: number[] = [0]
  readonly ends: number[] = [0]
  /** Operations that promised something. */
  readonly promising: number[] = []
  readonly #census: Census
  readonly #salt: number
  /** fsync of a file promises the path to it, too. */
  readonly #namesWithFile: boolean
  readonly #fds = new Map<number, OpenFd>()
  readonly #zero: number

  constructor(blockSize: number, census: Census, options: { readonly salt?: number; readonly namesWithFile: boolean }) {
    this.blockSize = blockSize
    this.#census = census
    this.#salt = options.salt ?? 0
    this.#namesWithFile = options.namesWithFile
    this.#zero = hashBytes(Buffer.alloc(blockSize), 0, blockSize)
    this.root = new Thing('directory', 2, 0, 0, '.')
    this.things.push(this.root)
  }

  /** Digest of a block of zeros. */
  get zero(): number {
    return this.#zero
  }

  /** Operation `index` (from 0) ran over the entries [from, to) of the log. */
  apply(op: Operation, index: number, outcome: Outcome, from: number, to: number): void {
    this.begins.push(from)
    this.ends.push(to)
    if (!isLeft(outcome)) this.#apply(op, index, outcome.right, index + 1, to)
  }

  /** Bytes of a file now, for a description. */
  bytesOf(thing: Thing): Buffer {
    const out = Buffer.alloc(thing.size)
    for (const [lblk, versions] of thing.blocks) versions.at(-1)!.bytes?.copy(out, lblk * this.blockSize)
    return out
  }

  #apply(op: Operation, index: number, n: number, t: number, done: number): void {
    switch (op.op) {
      case 'open': return this.#open(op, t)
      case 'close': return void this.#fds.delete(op.fd)
      case 'write': case 'writev': return this.#write(op, index, n, t, done)
      case 'read': {
        const f = this.#fds.get(op.fd)
        if (f !== undefined && op.off === undefined) f.pos += n
        return
      }
      case 'lseek': {
        const f = this.#fds.get(op.fd)
        if (f !== undefined) f.pos = n
        return
      }
      case 'truncate': return this.#truncate(this.#at(op.path), op.len, t)
      case 'ftruncate': return this.#truncate(this.#fds.get(op.fd)?.thing ?? null, op.len, t)
      case 'fallocate': return this.#fallocate(op, t)
      case 'mmap-write': return this.#store(op, index, t)
      case 'fsync': case 'fdatasync': {
        const thing = this.#fds.get(op.fd)?.thing
        return thing === undefined ? undefined : this.#promise(thing, t, done, 0, Infinity)
      }
      case 'sync': return this.#promiseAll(t, done)
      default: return this.#rename(op, t)
    }
  }

  // --- names ---------------------------------------------------------------------------------------------------------------

  #split(path: string): { parent: Thing; name: string } | null {
    const parts = path.split('/')
    const name = parts.pop()!
    const parent = parts.reduce<Thing | null>((d, p) => d?.named(p) ?? null, this.root)
    return parent === null ? null : { parent, name }
  }

  #at(path: string): Thing | null {
    if (path === '.') return this.root
    const at = this.#split(path)
    return at === null ? null : at.parent.named(at.name)
  }

  #make(kind: Thing['kind'], path: string, t: number): Thing {
    const { ino, generation } = this.#census.of(path)
    const thing = new Thing(kind, ino, generation, t, path)
    this.things.push(thing)
    const { parent, name } = this.#split(path)!
    parent.name(name, t, thing)
    return thing
  }

  #open(op: Extract<Operation, { op: 'open' }>, t: number): void {
    const there = this.#at(op.path)
    const thing = there ?? this.#make('file', op.path, t)
    if (there !== null && op.flags.includes('O_TRUNC') && thing.kind === 'file') this.#truncate(thing, 0, t)
    const sync = op.flags.includes('O_SYNC') || op.flags.includes('O_DSYNC')
    this.#fds.set(op.fd, { thing, pos: 0, append: op.flags.includes('O_APPEND'), sync })
  }

  #rename(op: Operation, t: number): void {
    if (op.op === 'mkdir') this.#make('directory', op.path, t)
    else if (op.op === 'symlink') this.#make('symlink', op.path, t)
    else if (op.op === 'unlink' || op.op === 'rmdir') this.#drop(op.path, t)
    else if (op.op === 'link') {
      const thing = this.#at(op.from)
      const to = this.#split(op.to)
      if (thing === null || to === null) return
      thing.names++
      to.parent.name(to.name, t, thing)
    } else if (op.op === 'rename') {
      const thing = this.#at(op.from)
      const [from, to] = [this.#split(op.from), this.#split(op.to)]
      if (thing === null || from === null || to === null || to.parent.named(to.name) === thing) return
      if (to.parent.named(to.name) !== null) this.#drop(op.to, t)
      from.parent.name(from.name, t, null)
      to.parent.name(to.name, t, thing)
    }
  }

  #drop(path: string, t: number): void {
    const at = this.#split(path)
    const thing = at?.parent.named(at.name)
    if (at === null || thing === null || thing === undefined) return
    at.parent.name(at.name, t, null)
    if (--thing.names === 0 || thing.kind === 'directory') thing.dead = t
  }

  // --- bytes ---------------------------------------------------------------------------------------------------------------

  #resize(thing: Thing, size: number, t: number): void {
    if (size !== thing.size) thing.sizes.push({ op: t, size })
  }

  #version(thing: Thing, lblk: number, bytes: Buffer | null, t: number): void {
    const digest = bytes === null ? this.#zero : hashBytes(bytes, 0, bytes.length)
    const valid = Math.max(0, Math.min(this.blockSize, thing.size - lblk * this.blockSize))
    let list = thing.blocks.get(lblk)
    if (list === undefined) thing.blocks.set(lblk, (list = [{ op: thing.born, digest: this.#zero, bytes: null, valid: 0 }]))
    if (list.at(-1)!.op === t && list.length > 1) list.pop()
    list.push({ op: t, digest, bytes, valid })
  }

  /** Change [pos, pos + len) block by block; `fill` gets a copy of the block, the byte of it, and the byte of the change. */
  #change(thing: Thing, pos: number, len: number, t: number, fill: (block: Buffer, start: number, end: number, at: number) => void): void {
    const bs = this.blockSize
    const grown = Math.max(thing.size, pos + len)
    if (grown > thing.size) {
      this.#resize(thing, grown, t)
      thing.remaps.push(t)
    }
    for (let lblk = Math.floor(pos / bs); lblk * bs < pos + len; lblk++) {
      const old = thing.blocks.get(lblk)?.at(-1)?.bytes ?? null
      if (old === null && thing.remaps.at(-1) !== t) thing.remaps.push(t)
      const block = old === null ? Buffer.alloc(bs) : Buffer.from(old)
      const start = Math.max(0, pos - lblk * bs)
      fill(block, start, Math.min(bs, pos + len - lblk * bs), lblk * bs + start - pos)
      this.#version(thing, lblk, block, t)
    }
  }

  #write(op: Extract<Operation, { op: 'write' | 'writev' }>, index: number, n: number, t: number, done: number): void {
    const f = this.#fds.get(op.fd)
    if (f === undefined || n <= 0) return
    const pos = f.append ? f.thing.size : (op.off ?? f.pos)
    this.#tail(f.thing, pos, t)
    this.#change(f.thing, pos, n, t, (block, start, end, at) => fillPayload(block.subarray(start, end), index, this.#salt, at))
    if (op.off === undefined) f.pos = pos + n
    if (f.sync || (op.op === 'write' && op.sync === true)) {
      const whole = op.op === 'write' && op.sync === true
      const [from, to] = whole ? [0, Infinity] : [Math.floor(pos / this.blockSize), Math.ceil((pos + n) / this.blockSize)]
      this.#promise(f.thing, t, done, from, to)
    }
  }

  /** What lies past the end in the last block becomes part of the file as zeros. */
  #tail(thing: Thing, pos: number, t: number): void {
    const { size } = thing
    if (pos <= size || size % this.blockSize === 0) return
    const lblk = Math.floor(size / this.blockSize)
    const bytes = thing.blocks.get(lblk)?.at(-1)?.bytes ?? null
    this.#resize(thing, pos, t)
    thing.remaps.push(t)
    if (bytes !== null) this.#version(thing, lblk, bytes, t)
  }

  #store(op: Extract<Operation, { op: 'mmap-write' }>, index: number, t: number): void {
    const f = this.#fds.get(op.fd)
    if (f === undefined) return
    const n = Math.min(op.len, f.thing.size - op.off)
    if (n <= 0) return
    this.#change(f.thing, op.off, n, t, (block, start, end, at) => fillPayload(block.subarray(start, end), index, this.#salt, at))
  }

  #truncate(thing: Thing | null, size: number, t: number): void {
    if (thing === null) return
    const old = thing.size
    if (size > old) this.#tail(thing, size, t)
    if (size < old) this.#zeros(thing, size, old, t, true)
    this.#resize(thing, size, t)
    thing.remaps.push(t)
    if (size >= old) return
    const lblk = Math.floor(size / this.blockSize)
    const last = thing.blocks.get(lblk)?.at(-1)
    if (size % this.blockSize !== 0 && last !== undefined && last.bytes !== null) this.#version(thing, lblk, last.bytes, t)
  }

  /** [pos, to) reads as zeros; blocks wholly in it are gone. */
  #zeros(thing: Thing, pos: number, to: number, t: number, gone: boolean): void {
    const bs = this.blockSize
    thing.remaps.push(t)
    for (const [lblk, versions] of thing.blocks) {
      const [start, end] = [Math.max(pos, lblk * bs), Math.min(to, (lblk + 1) * bs)]
      const old = versions.at(-1)!
      if (start >= end || old.bytes === null) continue
      const whole = start === lblk * bs && (end === (lblk + 1) * bs || (gone && end === to))
      if (whole) {
        this.#version(thing, lblk, null, t)
        continue
      }
      const bytes = Buffer.from(old.bytes)
      bytes.fill(0, start - lblk * bs, end - lblk * bs)
      this.#version(thing, lblk, bytes, t)
    }
  }

  #fallocate(op: Extract<Operation, { op: 'fallocate' }>, t: number): void {
    const thing = this.#fds.get(op.fd)?.thing
    if (thing === undefined) return
    const end = op.off + op.len
    if (op.mode !== 'allocate' && op.mode !== 'keep-size') this.#zeros(thing, op.off, Math.min(end, Math.max(thing.size, op.off)), t, false)
    if ((op.mode === 'allocate' || op.mode === 'zero') && end > thing.size) {
      this.#tail(thing, end, t)
      this.#resize(thing, end, t)
    }
    thing.remaps.push(t)
  }

  // --- promises --------------------------------------------------------------------------------------------------------------

  #promise(thing: Thing, t: number, done: number, from: number, to: number): void {
    this.promising.push(t)
    if (thing.kind === 'directory') thing.namePromises.push({ op: t, done, only: null })
    else thing.promises.push({ op: t, done, from, to })
    if (this.#namesWithFile) this.#promisePath(thing, t, done)
  }

  /** The names of a thing, and those of the directories above it. */
  #promisePath(thing: Thing, t: number, done: number): void {
    const parents = this.things.filter((d) => d.kind === 'directory' && d.dead === Infinity)
    for (const d of parents) {
      for (const name of d.entries.keys()) {
        if (d.named(name) !== thing) continue
        d.namePromises.push({ op: t, done, only: name })
        if (d !== this.root) this.#promisePath(d, t, done)
      }
    }
  }

  #promiseAll(t: number, done: number): void {
    this.promising.push(t)
    for (const thing of this.things) {
      if (thing.dead !== Infinity) continue
      if (thing.kind === 'file') thing.promises.push({ op: t, done, from: 0, to: Infinity })
      if (thing.kind === 'directory') thing.namePromises.push({ op: t, done, only: null })
    }
  }
}
