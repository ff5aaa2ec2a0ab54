/** Pipes: the ring, its buffers, and what may be taken out of it. */
import { isLeft } from 'fp-ts/lib/Either.js'
import { left, right } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { freshSession, type Session } from '../lab/session.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import { PAGE } from '../kernel/units.ts'
import { ANONYMOUS, CAN_MERGE, GIFT } from './pipe-buffer.ts'
import type { Pipe } from './pipe.ts'
import { Pipes } from './pipes.ts'

const bytes = (n: number, seed = 1): Buffer => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7 + (i >> 8) + seed * 31) & 255))

const stage = (): { s: Session; p: Pipes; fd: number } => {
  const s = freshSession({ format: 'ext4', strategy: reserveAllocate, size: 8 << 20, poison: true, maxFolioOrder: 0 })
  const fd = s.posix.open('f', ['O_RDWR', 'O_CREAT'])
  if (isLeft(fd)) throw new Error(fd.left)
  return { s, p: new Pipes(s.posix), fd: fd.right }
}

const all = (p: Pipes, pipe: Pipe): Buffer => {
  const into = Buffer.alloc(pipe.bytes)
  return pipe.isEmpty ? into : (expect(p.read(pipe, into)).toEqual(right(into.length)), into)
}

describe('read and write', () => {
  test('what went in comes out, in order', () => {
    const { s, p } = stage()
    const pipe = p.pipe()
    expect(p.write(pipe, bytes(10_000))).toEqual(right(10_000))
    expect(p.write(pipe, bytes(5, 2))).toEqual(right(5))
    expect([pipe.used, pipe.bytes]).toEqual([3, 10_005])
    expect(all(p, pipe)).toEqual(Buffer.concat([bytes(10_000), bytes(5, 2)]))
    expect([pipe.used, s.cache.usedPages]).toEqual([0, 0])
  })

  test('a full pipe takes what fits, and then nothing', () => {
    const { p } = stage()
    const pipe = p.pipe(2)
    expect(p.write(pipe, bytes(3 * PAGE))).toEqual(right(2 * PAGE))
    expect(p.write(pipe, bytes(1))).toEqual(left('EAGAIN'))
    expect(p.read(pipe, Buffer.alloc(PAGE))).toEqual(right(PAGE))
    expect(p.write(pipe, bytes(1))).toEqual(right(1))
  })

  test('an empty pipe with a writer is waited for, one without is at its end', () => {
    const { s, p } = stage()
    const pipe = p.pipe()
    expect(p.read(pipe, Buffer.alloc(1))).toEqual(left('EAGAIN'))
    pipe.close(s.fs.verbs, 'write')
    expect(p.read(pipe, Buffer.alloc(1))).toEqual(right(0))
  })

  test('without a reader a write is EPIPE; with the last end the pages go', () => {
    const { s, p } = stage()
    const pipe = p.pipe()
    p.write(pipe, bytes(PAGE))
    pipe.close(s.fs.verbs, 'read')
    expect(p.write(pipe, bytes(1))).toEqual(left('EPIPE'))
    pipe.close(s.fs.verbs, 'write')
    expect(s.cache.usedPages).toBe(0)
  })

  test('a slot that is used again has nothing of its last life', () => {
    const { s, p, fd } = stage()
    s.posix.pwrite(fd, bytes(PAGE), 0)
    const pipe = p.pipe(1)
    p.write(pipe, bytes(10))
    expect(pipe.at(0).flags & CAN_MERGE).toBe(CAN_MERGE)
    all(p, pipe)
    p.fromFile(fd, 0, pipe, 1)
    expect(pipe.at(0).flags).toBe(0)
    expect(p.write(pipe, Buffer.from('X'))).toEqual(left('EAGAIN'))
    const into = Buffer.alloc(2)
    s.posix.pread(fd, into, 0)
    expect(into).toEqual(bytes(PAGE).subarray(0, 2))
  })

  test('the ring may be made larger, and smaller as long as it holds what is in it', () => {
    const { p } = stage()
    const pipe = p.pipe(4)
    p.write(pipe, bytes(3 * PAGE))
    expect([pipe.resize(2), pipe.resize(8), pipe.slots]).toEqual([false, true, 8])
    expect(all(p, pipe)).toEqual(bytes(3 * PAGE))
    expect(() => p.pipe(3)).toThrow('use a power of two')
  })

  test('a checkpoint brings the ring back', () => {
    const { p, s } = stage()
    const pipe = p.pipe(4)
    p.write(pipe, bytes(100))
    const [ring, cache] = [pipe.checkpoint(), s.cache.checkpoint()]
    p.write(pipe, bytes(PAGE))
    all(p, pipe)
    cache()
    ring()
    expect(all(p, pipe)).toEqual(bytes(100))
  })
})

describe('sharing', () => {
  test('splice from a file copies nothing; the pipe sees later writes to the file', () => {
    const { s, p, fd } = stage()
    s.posix.pwrite(fd, bytes(3 * PAGE), 0)
    const pipe = p.pipe()
    const { innerBytes, copiedBytes } = s.ledger
    expect(p.fromFile(fd, 100, pipe, 2 * PAGE)).toEqual(right(2 * PAGE))
    expect([s.ledger.innerBytes, s.ledger.copiedBytes]).toEqual([innerBytes, copiedBytes])
    s.posix.pwrite(fd, Buffer.from('B'), 100)
    expect(all(p, pipe)[0]).toBe('B'.charCodeAt(0))
  })

  test('truncate while a page is in the pipe: the reader sees zeros past the cut', () => {
    const { s, p, fd } = stage()
    s.posix.pwrite(fd, bytes(PAGE), 0)
    const pipe = p.pipe()
    p.fromFile(fd, 0, pipe, PAGE)
    s.posix.ftruncate(fd, 10)
    expect(all(p, pipe)).toEqual(Buffer.concat([bytes(PAGE).subarray(0, 10), Buffer.alloc(PAGE - 10)]))
  })

  test('splice ends at the end of the file', () => {
    const { s, p, fd } = stage()
    s.posix.pwrite(fd, bytes(5000), 0)
    const pipe = p.pipe()
    expect(p.fromFile(fd, -1, pipe, 1 << 20)).toEqual(right(5000))
    expect(p.fromFile(fd, -1, pipe, 1 << 20)).toEqual(right(0))
    expect(all(p, pipe)).toEqual(bytes(5000))
  })

  test('tee: both pipes hold the bytes, and neither may change them for the other', () => {
    const { p } = stage()
    const [a, b] = [p.pipe(), p.pipe()]
    p.write(a, bytes(100))
    expect(p.tee(a, b, 50)).toEqual(right(50))
    p.write(a, Buffer.from('aa'))
    p.write(b, Buffer.from('bb'))
    expect(all(p, a)).toEqual(Buffer.concat([bytes(100), Buffer.from('aa')]))
    expect(all(p, b)).toEqual(Buffer.concat([bytes(100).subarray(0, 50), Buffer.from('bb')]))
    expect(p.tee(a, a, 1)).toEqual(left('EINVAL'))
  })

  test('splice between pipes moves what is whole and shares what is cut', () => {
    const { s, p } = stage()
    const [a, b] = [p.pipe(), p.pipe()]
    p.write(a, bytes(2 * PAGE))
    expect(p.toPipe(a, b, PAGE + 10)).toEqual(right(PAGE + 10))
    expect([a.bytes, b.bytes, s.cache.usedPages]).toEqual([PAGE - 10, PAGE + 10, 2])
    expect(Buffer.concat([all(p, b), all(p, a)])).toEqual(bytes(2 * PAGE))
    expect(s.cache.usedPages).toBe(0)
  })

  test('vmsplice: the process still writes to what it gave; unmapped, the page is the pipe\'s', () => {
    const { s, p } = stage()
    const memory = p.memory(2)
    if (isLeft(memory)) throw new Error(memory.left)
    memory.right.store(0, bytes(2 * PAGE))
    const pipe = p.pipe()
    expect(p.vmsplice(memory.right, 0, 2 * PAGE, pipe, ['SPLICE_F_GIFT'])).toEqual(right(2 * PAGE))
    expect(pipe.at(0).flags).toBe(GIFT)
    memory.right.store(0, Buffer.from('late'))
    memory.right.unmap(0, PAGE)
    expect(memory.right.load(0, 10).length).toBe(0)
    expect(all(p, pipe).subarray(0, 4).toString()).toBe('late')
    expect(s.cache.usedPages).toBe(1)
    expect(p.vmsplice(memory.right, 0, 1, pipe)).toEqual(left('EFAULT'))
    expect(p.vmsplice(memory.right, PAGE, 1, pipe, ['SPLICE_F_GIFT'])).toEqual(left('EINVAL'))
  })
})

describe('what may be taken', () => {
  test('an anonymous page of one reference, and after tee none', () => {
    const { s, p } = stage()
    const [a, b] = [p.pipe(), p.pipe()]
    p.write(a, bytes(PAGE))
    p.tee(a, b, PAGE)
    expect(ANONYMOUS.trySteal(s.fs.verbs, a.at(0))).toBe('refusedReferences')
    all(p, b)
    expect(ANONYMOUS.trySteal(s.fs.verbs, a.at(0))).toBeNull()
    expect(a.at(0).folio!.locked).toBe(true)
  })
})
