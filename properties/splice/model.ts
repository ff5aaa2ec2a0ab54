/**
 * Model: pipes, memory and one file as plain bytes, beside the real ones, step by step.
 *
 * A page is an object that several may hold: what one of them may change the others see. The model never moves a page into a
 * file, it copies: so a page that was taken and is still in somebody's hands shows as soon as he writes to it. How many bytes a
 * call moves it takes from the call; which, it knows. After each step every pipe and the whole file are compared.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import type { AnyStrategy } from '../../src/fs/strategy.ts'
import { PAGE } from '../../src/kernel/units.ts'
import { freshSession } from '../../src/lab/session.ts'
import { GIFT } from '../../src/pipe/pipe-buffer.ts'
import type { Pipe } from '../../src/pipe/pipe.ts'
import { Pipes } from '../../src/pipe/pipes.ts'
import type { UserPages } from '../../src/pipe/user-pages.ts'
import type { Violation } from '../../src/sim/system.ts'

/** One call. Numbers are taken modulo what there is. */
export interface PipeStep {
  readonly op:
    | 'write' | 'read' | 'receive' | 'fromFile' | 'toFile' | 'copyToFile' | 'tee' | 'toPipe' | 'vmsplice' | 'gift' | 'store' | 'unmap'
    | 'pwrite' | 'sync'
  /** Which pipe. */
  readonly pipe: number
  /** Page of the file or of memory. */
  readonly page: number
  readonly len: number
}

/** How often each is drawn: rings that fill and empty go round. */
const OPS: Readonly<Record<PipeStep['op'], number>> = {
  write: 4, read: 4, receive: 1, fromFile: 3, toFile: 2, copyToFile: 1, tee: 2, toPipe: 1, vmsplice: 1, gift: 1, store: 1, unmap: 1,
  pwrite: 1, sync: 1,
}

/** Sequences of calls; lengths are whole pages, halves, and a few bytes. */
export const pipeSteps = (most: number): fc.Arbitrary<PipeStep[]> => fc.array(fc.record({
  op: fc.oneof(...Object.entries(OPS).map(([op, weight]) => ({ weight, arbitrary: fc.constant(op as PipeStep['op']) }))),
  pipe: fc.nat(1), page: fc.nat(PAGES - 1), len: fc.constantFrom(1, 100, PAGE / 2, PAGE, 2 * PAGE),
}), { minLength: most / 2, maxLength: most, size: 'max' })

/** Pages of memory, and of the file at first. */
const PAGES = 4

interface ModelPage { readonly bytes: Buffer }
interface Part { readonly page: ModelPage; off: number; len: number }

/** The real things and their model. */
class Stage {
  readonly pipes: readonly Pipe[]
  readonly parts: readonly Part[][] = [[], []]
  readonly file: ModelPage[]
  size = PAGES * PAGE
  readonly mapped: (ModelPage | null)[]
  readonly #session
  readonly #p: Pipes
  readonly #memory: UserPages
  readonly #fd: number
  #serial = 0

  constructor(strategy: AnyStrategy) {
    this.#session = freshSession({ format: 'ext4', strategy, size: 2 << 20, maxFolioOrder: 0, poison: true })
    this.#p = new Pipes(this.#session.posix)
    this.pipes = [this.#p.pipe(2), this.#p.pipe(4)]
    const fd = this.#session.posix.open('f', ['O_RDWR', 'O_CREAT'])
    const memory = this.#p.memory(PAGES)
    if (isLeft(fd) || isLeft(memory)) throw new Error('no stage')
    this.#fd = fd.right
    this.#memory = memory.right
    const fresh = (): ModelPage => ({ bytes: this.#fresh(PAGE) })
    this.file = Array.from({ length: PAGES }, fresh)
    this.mapped = Array.from({ length: PAGES }, fresh)
    this.#session.posix.pwrite(this.#fd, Buffer.concat(this.file.map((p) => p.bytes)), 0)
    this.#session.posix.sync()
    this.mapped.forEach((p, i) => this.#memory.store(i * PAGE, p!.bytes))
  }

  /** Bytes that no other call has. */
  #fresh(n: number): Buffer {
    const serial = ++this.#serial
    return Buffer.from(Array.from({ length: n }, (_, i) => (serial * 37 + (i >> 7) * 11 + 1) & 255))
  }

  /** Do a step, for real and in the model. */
  do(s: PipeStep): void {
    const [pipe, other] = [this.pipes[s.pipe]!, this.pipes[1 - s.pipe]!]
    const [parts, others] = [this.parts[s.pipe]!, this.parts[1 - s.pipe]!]
    const p = this.#p
    const pos = s.page * PAGE
    const n = (r: ReturnType<Pipes['write']>): number => (isLeft(r) ? 0 : r.right)
    switch (s.op) {
      case 'write': case 'receive': {
        const bytes = this.#fresh(s.len)
        const done = n(s.op === 'write' ? p.write(pipe, bytes) : p.receive(pipe, bytes))
        parts.push({ page: { bytes }, off: 0, len: done })
        return
      }
      case 'read': return void take(parts, n(p.read(pipe, Buffer.alloc(s.len))))
      case 'fromFile': return this.#push(parts, this.file, pos + 10, n(p.fromFile(this.#fd, pos + 10, pipe, s.len)))
      case 'vmsplice': case 'gift': {
        const flags = s.op === 'gift' ? ['SPLICE_F_GIFT' as const] : []
        return this.#push(parts, this.mapped, pos, n(p.vmsplice(this.#memory, pos, s.len, pipe, flags)))
      }
      case 'toFile': case 'copyToFile':
        return this.#written(take(parts, n(p.toFile(pipe, this.#fd, pos, s.len, s.op === 'toFile' ? ['SPLICE_F_MOVE'] : []))), pos)
      case 'tee': return void others.push(...take(parts.map((x) => ({ ...x })), n(p.tee(pipe, other, s.len))))
      case 'toPipe': return void others.push(...take(parts, n(p.toPipe(pipe, other, s.len))))
      case 'store': {
        const bytes = this.#fresh(100)
        this.#memory.store(pos, bytes)
        this.mapped[s.page]?.bytes.set(bytes, 0)
        return
      }
      case 'unmap':
        this.#memory.unmap(pos, PAGE)
        this.mapped[s.page] = null
        return
      case 'pwrite': {
        const bytes = this.#fresh(s.len)
        this.#session.posix.pwrite(this.#fd, bytes, pos)
        return this.#written([{ page: { bytes }, off: 0, len: s.len }], pos)
      }
      case 'sync': return void this.#session.posix.sync()
    }
  }

  /** Second references to the `n` bytes at `pos` of pages. */
  #push(parts: Part[], pages: readonly (ModelPage | null)[], pos: number, n: number): void {
    for (let at = pos; at < pos + n;) {
      const len = Math.min(pos + n - at, PAGE - (at % PAGE))
      parts.push({ page: pages[Math.floor(at / PAGE)]!, off: at % PAGE, len })
      at += len
    }
  }

  /** The parts stand in the file at `pos` now, copied page by page. */
  #written(parts: readonly Part[], pos: number): void {
    let at = pos
    for (const { page, off, len } of parts) {
      for (let done = 0; done < len;) {
        const i = Math.floor(at / PAGE)
        while (this.file.length <= i) this.file.push({ bytes: Buffer.alloc(PAGE) })
        const n = Math.min(len - done, PAGE - (at % PAGE))
        page.bytes.copy(this.file[i]!.bytes, at % PAGE, off + done, off + done + n)
        done += n
        at += n
      }
    }
    this.size = Math.max(this.size, at)
  }

  /** What is wrong after a step, or null. */
  wrong(s: PipeStep): Violation | null {
    for (const [i, pipe] of this.pipes.entries()) {
      const expected = Buffer.concat(this.parts[i]!.map(({ page, off, len }) => page.bytes.subarray(off, off + len)))
      const buffers = Array.from({ length: pipe.used }, (_, j) => pipe.at(j))
      const found = Buffer.concat(buffers.map((b) => b.folio!.slab.bytes.subarray(b.folio!.base + b.off, b.folio!.base + b.off + b.len)))
      const wrong = buffers.find((b) => (b.flags & ~FLAGS[b.ops!.origin]) !== 0)
      if (wrong !== undefined) return { claim: 'SPLICE-9', what: `a ${wrong.ops!.origin} buffer of pipe ${i} has the flags ${wrong.flags}` }
      if (found.equals(expected)) continue
      return { claim: i === s.pipe && s.op !== 'write' ? 'SPLICE-1' : 'SPLICE-8', what: `pipe ${i} holds other bytes after ${s.op}` }
    }
    const into = Buffer.alloc(this.size + 1)
    const n = this.#session.posix.pread(this.#fd, into, 0)
    const expected = Buffer.concat(this.file.map((p) => p.bytes)).subarray(0, this.size)
    if (!isLeft(n) && n.right === this.size && into.subarray(0, n.right).equals(expected)) return null
    const pipeOnly = !['toFile', 'copyToFile', 'pwrite', 'store'].includes(s.op)
    return { claim: pipeOnly ? 'SPLICE-9' : 'SPLICE-2', what: `the file holds other bytes after ${s.op}` }
  }
}

/** Flags that buffers of an origin may have. */
const FLAGS = { anonymous: 1, user: GIFT, cache: 0, wire: 0 } as const

/** The first `n` bytes of parts, taken out of them. */
const take = (parts: Part[], n: number): Part[] => {
  const out: Part[] = []
  for (let left = n; left > 0;) {
    const first = parts[0]!
    const len = Math.min(left, first.len)
    out.push({ page: first.page, off: first.off, len })
    first.off += len
    first.len -= len
    left -= len
    if (first.len === 0) parts.shift()
  }
  return out
}

/** Do all steps. @returns the first thing that is wrong, and after how many steps; or null */
export const judgeSteps = (strategy: AnyStrategy, steps: readonly PipeStep[]): (Violation & { readonly after: number }) | null => {
  const stage = new Stage(strategy)
  for (const [i, s] of steps.entries()) {
    stage.do(s)
    const wrong = stage.wrong(s)
    if (wrong !== null) return { ...wrong, after: i + 1 }
  }
  return null
}
