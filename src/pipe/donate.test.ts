/** Pages out of a pipe into a file: each reason for which one is copied instead, and what stays in the pipe when the write fails. */
import { isLeft, left, right } from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { Ignoring } from '../../properties/splice/ignored.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { type Counter, COUNTERS, since, snapshot } from '../kernel/ledger.ts'
import { PAGE } from '../kernel/units.ts'
import { freshSession, type MakeOptions, type MountOptions, type Session } from '../lab/session.ts'
import { FaultPlan } from '../sim/fault-plan.ts'
import { getBlock } from '../strategies/get-block.ts'
import { invalidateSplice } from '../strategies/invalidate-splice.ts'
import { prepareCopyZero } from '../strategies/prepare-then-copy.ts'
import { reserveAllocate } from '../strategies/reserve-allocate.ts'
import type { Pipe } from './pipe.ts'
import { Pipes } from './pipes.ts'

const bytes = (n: number, seed = 1): Buffer => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7 + (i >> 8) + seed * 31) & 255))

interface Stage { readonly s: Session; readonly p: Pipes; readonly fd: number; readonly pipe: Pipe }

const stage = (strategy: AnyStrategy = reserveAllocate, options: Partial<MakeOptions & MountOptions> = {}): Stage => {
  const s = freshSession({ format: 'ext4', strategy, size: 8 << 20, poison: true, ...options })
  const fd = s.posix.open('f', ['O_RDWR', 'O_CREAT'])
  if (isLeft(fd)) throw new Error(fd.left)
  const p = new Pipes(s.posix)
  return { s, p, fd: fd.right, pipe: p.pipe(64) }
}

/** Splice everything to `pos`. @returns what happened to the pages: `pagesStolen 2 refusedPartial 1` */
const splice = ({ s, p, fd, pipe }: Stage, pos: number): string => {
  const before = snapshot(s.ledger)
  const n = pipe.bytes
  expect(p.toFile(pipe, fd, pos, n)).toEqual(right(n))
  const cost = since(before, s.ledger)
  const shown: readonly Counter[] = COUNTERS.filter((c) => c === 'pagesStolen' || c === 'pagesReturned' || c.startsWith('refused'))
  return shown.filter((c) => cost[c] > 0).map((c) => `${c} ${cost[c]}`).join(' ')
}

const contents = ({ s, fd }: Stage, pos: number, n: number): Buffer => {
  const into = Buffer.alloc(n)
  expect(s.posix.pread(fd, into, pos)).toEqual(right(n))
  return into
}

describe('a page is copied, and counted', () => {
  test('where something is cached already', () => {
    const st = stage()
    st.s.posix.pwrite(st.fd, bytes(PAGE), 0)
    st.p.write(st.pipe, bytes(2 * PAGE, 2))
    expect(splice(st, 0)).toBe('pagesStolen 1 refusedOccupied 1')
    expect(contents(st, 0, 2 * PAGE)).toEqual(bytes(2 * PAGE, 2))
  })

  test('but a design that replaces folios takes it there, too', () => {
    const st = stage(invalidateSplice, { maxFolioOrder: 0 })
    st.s.posix.pwrite(st.fd, bytes(PAGE), 0)
    st.p.write(st.pipe, bytes(2 * PAGE, 2))
    expect(splice(st, 0)).toBe('pagesStolen 2')
    expect(st.s.ledger.foliosReplaced).toBe(1)
    expect(contents(st, 0, 2 * PAGE)).toEqual(bytes(2 * PAGE, 2))
  })

  test('where the source has less than a page', () => {
    const st = stage()
    st.p.write(st.pipe, bytes(100))
    expect(splice(st, 0)).toBe('refusedPartial 1')
  })

  test('where the destination is not aligned', () => {
    const st = stage()
    st.p.write(st.pipe, bytes(PAGE))
    expect(splice(st, 1)).toBe('refusedPartial 1 refusedUnaligned 1')
    expect(contents(st, 1, PAGE)).toEqual(bytes(PAGE))
  })

  test('where somebody else has a reference: a tee, or a gift that is still mapped', () => {
    const st = stage()
    const copy = st.p.pipe()
    st.p.write(st.pipe, bytes(PAGE))
    st.p.tee(st.pipe, copy, PAGE)
    expect(splice(st, 0)).toBe('refusedReferences 1')
    const memory = st.p.memory(2)
    if (isLeft(memory)) throw new Error(memory.left)
    memory.right.store(0, bytes(2 * PAGE, 3))
    st.p.vmsplice(memory.right, 0, 2 * PAGE, st.pipe, ['SPLICE_F_GIFT'])
    memory.right.unmap(PAGE, PAGE)
    expect(splice(st, 2 * PAGE)).toBe('pagesStolen 1 refusedReferences 1')
    memory.right.store(0, Buffer.from('later'))
    expect(contents(st, 2 * PAGE, 2 * PAGE)).toEqual(bytes(2 * PAGE, 3))
  })

  test('where it is no gift, or a device\'s', () => {
    const st = stage()
    const memory = st.p.memory(1)
    if (isLeft(memory)) throw new Error(memory.left)
    st.p.vmsplice(memory.right, 0, PAGE, st.pipe)
    st.p.receive(st.pipe, bytes(PAGE))
    // Both in one large folio.
    expect(splice(st, 0)).toBe('refusedProvenance 1')
  })

  test('where it is dirty in another file; a clean one leaves that', () => {
    const st = stage(reserveAllocate, { maxFolioOrder: 0 })
    const other = st.s.posix.open('g', ['O_RDWR', 'O_CREAT'])
    if (isLeft(other)) throw new Error(other.left)
    st.s.posix.pwrite(other.right, bytes(2 * PAGE), 0)
    st.p.fromFile(other.right, 0, st.pipe, PAGE)
    expect(splice(st, 0)).toBe('refusedBusy 1')
    st.s.posix.fsync(other.right)
    st.p.fromFile(other.right, 0, st.pipe, PAGE)
    expect(splice(st, PAGE)).toBe('pagesStolen 1')
    const into = Buffer.alloc(PAGE)
    expect(st.s.posix.pread(other.right, into, 0)).toEqual(right(PAGE))
    expect([into, contents(st, PAGE, PAGE)]).toEqual([bytes(PAGE), bytes(PAGE)])
  })

  test('where it is a part of a larger folio', () => {
    const st = stage()
    st.s.posix.pwrite(st.fd, bytes(4 * PAGE), 0)
    st.s.posix.sync()
    st.p.fromFile(st.fd, 0, st.pipe, PAGE)
    expect(splice(st, 8 * PAGE)).toBe('refusedOrder 1')
  })

  test('where the design\'s undo would write zeros to it, and where that is past the end it is taken', () => {
    const st = stage(getBlock)
    st.s.posix.ftruncate(st.fd, PAGE)
    st.p.write(st.pipe, bytes(2 * PAGE))
    expect(splice(st, 0)).toBe('refusedUndo 1')
    st.p.write(st.pipe, bytes(PAGE))
    expect(splice(st, 2 * PAGE)).toBe('pagesStolen 1')
    const small = stage(prepareCopyZero, { blockSize: 1024 })
    small.p.write(small.pipe, bytes(PAGE))
    expect(splice(small, 0)).toBe('refusedUndo 1')
  })

  test('where there is no memory to insert it: it goes back to the pipe first', () => {
    const st = stage(reserveAllocate, { choices: { choose: (_n, _kind, label) => (label === 'ENOMEM.insert' ? 1 : 0) } })
    st.p.write(st.pipe, bytes(PAGE))
    expect(splice(st, 0)).toBe('pagesStolen 1 pagesReturned 1 refusedInsert 1')
    expect(contents(st, 0, PAGE)).toEqual(bytes(PAGE))
  })

  test('where the design does not look at the offer', () => {
    const st = stage(reserveAllocate, { verbs: Ignoring, maxFolioOrder: 0 })
    st.p.write(st.pipe, bytes(2 * PAGE))
    expect(splice(st, 0)).toBe('refusedIgnored 2')
    expect(contents(st, 0, 2 * PAGE)).toEqual(bytes(2 * PAGE))
  })

  test('a pipe of everything in one call: what can be taken is, the rest is copied', () => {
    const st = stage()
    st.p.write(st.pipe, bytes(PAGE, 1))
    st.p.receive(st.pipe, bytes(2 * PAGE, 2))
    st.p.write(st.pipe, bytes(2 * PAGE, 3))
    expect(splice(st, 0)).toBe('pagesStolen 3 refusedProvenance 2')
    expect(contents(st, 0, 5 * PAGE)).toEqual(Buffer.concat([bytes(PAGE, 1), bytes(2 * PAGE, 2), bytes(2 * PAGE, 3)]))
  })
})

describe('what was not written stays in the pipe', () => {
  test('ENOSPC: a short write, and the rest can be read', () => {
    const st = stage(reserveAllocate, { size: 1 << 20 })
    const total = 400 * PAGE
    const pipe = st.p.pipe(512)
    st.p.write(pipe, bytes(total))
    const n = st.p.toFile(pipe, st.fd, 0, total)
    // reserve-allocate reserves for the whole extent, or not at all.
    expect(n).toEqual(left('ENOSPC'))
    expect([pipe.bytes, pipe.used]).toEqual([total, 400])
    const into = Buffer.alloc(total)
    expect(st.p.read(pipe, into)).toEqual(right(total))
    expect(into.equals(bytes(total))).toBe(true)
  })

  test('ENOSPC block by block: what fitted was taken', () => {
    const st = stage(getBlock, { size: 1 << 20 })
    const total = 400 * PAGE
    const pipe = st.p.pipe(512)
    st.p.write(pipe, bytes(total))
    const n = st.p.toFile(pipe, st.fd, 0, total)
    if (isLeft(n)) throw new Error(n.left)
    expect(n.right % PAGE).toBe(0)
    expect([n.right > 0, n.right < total, pipe.bytes]).toEqual([true, true, total - n.right])
    const into = Buffer.alloc(total - n.right)
    st.p.read(pipe, into)
    expect(Buffer.concat([contents(st, 0, n.right), into]).equals(bytes(total))).toBe(true)
  })

  test.each(['EINTR.fatal', 'ENOSPC.reserve', 'ENOMEM.record', 'EIO.confirm'])('%s', (site) => {
    const plan = new FaultPlan({ fail: [] })
    const st = stage(reserveAllocate, { choices: { choose: (n, kind, label) => (label === site ? 1 : plan.choose(n, kind, label)) } })
    if (site === 'EIO.confirm') {
      st.s.posix.pwrite(st.fd, bytes(PAGE), 0)
      st.p.fromFile(st.fd, 0, st.pipe, PAGE)
    } else st.p.write(st.pipe, bytes(PAGE))
    const errno = site.split('.')[0]
    expect(st.p.toFile(st.pipe, st.fd, 2 * PAGE, PAGE)).toEqual(left(errno))
    expect(st.pipe.bytes).toBe(PAGE)
    expect(st.pipe.at(0).folio!.slab.bytes.subarray(st.pipe.at(0).folio!.base, st.pipe.at(0).folio!.base + PAGE)).toEqual(bytes(PAGE))
    expect(st.s.posix.fstat(st.fd)).toMatchObject(right({ size: site === 'EIO.confirm' ? PAGE : 0 }))
  })

  test('what splice(2) refuses, it refuses at once', () => {
    const st = stage()
    st.p.write(st.pipe, bytes(10))
    const append = st.s.posix.open('f', ['O_WRONLY', 'O_APPEND'])
    const reader = st.s.posix.open('f', ['O_RDONLY'])
    if (isLeft(append) || isLeft(reader)) throw new Error('no file')
    expect(st.p.toFile(st.pipe, append.right, 0, 10)).toEqual(left('EINVAL'))
    expect(st.p.toFile(st.pipe, reader.right, 0, 10)).toEqual(left('EBADF'))
    expect(st.p.fromFile(append.right, 0, st.pipe, 10)).toEqual(left('EBADF'))
    expect(st.p.toFile(st.p.pipe(), st.fd, 0, 10)).toEqual(left('EAGAIN'))
    expect(st.p.toFile(st.pipe, st.fd, -1, 10)).toEqual(right(10))
    expect(st.p.fromFile(st.fd, -1, st.pipe, 10)).toEqual(right(0))
  })
})
