import fc from 'fast-check'
import { right } from 'fp-ts/lib/Either.js'
import { expect, test } from 'vitest'
import type { Choices } from '../kernel/choices.ts'
import { type Kernel, run } from '../kernel/kernel.ts'
import { PAGE } from '../kernel/units.ts'
import { type Iovec, IovIter } from './iov-iter.ts'
import { MemorySource, type WriteSource } from './source.ts'
import { intoBuffer } from './target.ts'
import { type PageMapping, type PageState, UserMemory } from './user-memory.ts'

/** Bytes that differ from page to page and from byte to byte. */
const pattern = (n: number): Buffer => Buffer.from(Uint8Array.from({ length: n }, (_, i) => (i * 31 + (i >> 12)) % 251))
const value = <A>(kernel: Kernel<A>): A => {
  const result = run(kernel)
  if (result._tag === 'Left') throw new Error('raised')
  return result.right
}
const pages = (states: readonly PageState[], choices?: Choices): UserMemory => {
  const memory = new UserMemory(pattern(states.length * PAGE), choices === undefined ? {} : { choices })
  states.forEach((state, i) => memory.mark(i * PAGE, PAGE, state))
  return memory
}
/** Copy all of `source` atomically; the bytes that arrived, and those that must not have changed. */
const copied = (source: WriteSource, at = 0, n = source.length): Buffer => {
  const target = Buffer.alloc(n + 8, 0xee)
  const c = source.copyAtomic(target, 4, at, n)
  expect(target.subarray(0, 4).equals(Buffer.alloc(4, 0xee))).toBe(true)
  expect(target.subarray(4 + c).every((b) => b === 0xee)).toBe(true)
  return target.subarray(4, 4 + c)
}

/** A file of whole pages, mapped: page table entries come and go, and faults are counted. */
class FakeFile implements PageMapping {
  readonly bytes: Buffer
  readonly entries: boolean[]
  readonly beyond: number
  locked = false
  faults = 0
  constructor(n: number, beyond = n) {
    this.bytes = pattern(n * PAGE).reverse()
    this.entries = Array<boolean>(n).fill(false)
    this.beyond = beyond
  }
  resolve(page: number) {
    return this.entries[page] ? { bytes: this.bytes, start: page * PAGE } : null
  }
  *fault(page: number): Kernel<boolean> {
    yield { label: 'folio lock', ready: () => !this.locked }
    this.faults++
    return (this.entries[page] = page < this.beyond)
  }
}

test('an absent or unreadable page => a short copy, exact at every class of byte', () => {
  for (const state of ['absent', 'unreadable'] as const) {
    const memory = pages(['present', 'readOnly', state, 'present'])
    const from = (addr: number) => new IovIter(memory, [{ addr, len: 4 * PAGE - addr }])
    for (const addr of [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 1]) {
      expect(copied(from(addr)).equals(memory.bytes.subarray(addr, 2 * PAGE))).toBe(true)
    }
    for (const addr of [2 * PAGE, 2 * PAGE + 1, 3 * PAGE - 1]) expect(copied(from(addr)).length).toBe(0)
    expect(copied(from(3 * PAGE)).length).toBe(PAGE)
  }
})

test('good | bad | good across segments stops at the first bad byte (writev => 100)', () => {
  const memory = pages(['present', 'unreadable', 'present'])
  const iter = new IovIter(memory, [{ addr: 7, len: 100 }, { addr: PAGE, len: 100 }, { addr: 2 * PAGE, len: 100 }])
  expect(iter.present).toBe(false)
  expect(copied(iter)).toEqual(memory.bytes.subarray(7, 107))
  expect([iter.faultInNow(0, 300), iter.faultInNow(50, 250), iter.faultInNow(100, 200)]).toEqual([100, 50, 0])
  expect(copied(iter, 200, 100)).toEqual(memory.bytes.subarray(2 * PAGE, 2 * PAGE + 100))
  expect(iter.pageVec(0, 300).length).toBe(100)
})

test('faultIn brings absent pages in and stops at the first unreadable one', () => {
  const memory = pages(['absent', 'present', 'absent', 'unreadable', 'absent'])
  const iter = new IovIter(memory, [{ addr: 10, len: 5 * PAGE - 10 }])
  expect(copied(iter).length).toBe(0)
  expect(iter.faultInNow(0, iter.length)).toBe(3 * PAGE - 10)
  expect(copied(iter).equals(memory.bytes.subarray(10, 3 * PAGE))).toBe(true)
  expect(value(iter.faultIn(3 * PAGE - 10, 1))).toBe(0)
  expect(memory.absent).toBe(2)
})

test('addresses past the end or below 0 are unreadable', () => {
  const memory = new UserMemory(pattern(PAGE + 100))
  const at = (addr: number) => new IovIter(memory, [{ addr, len: 200 }])
  for (const [addr, n] of [[PAGE, 100], [PAGE + 100, 0], [2 ** 40, 0], [2 ** 40 + 1, 0], [-100, 0]] as const) {
    expect([at(addr).present, at(addr).faultInNow(0, 200), value(at(addr).faultIn(0, 200))]).toEqual([false, n, n])
    expect([copied(at(addr)).length, value(at(addr).copyFaulting(Buffer.alloc(200), 0, 0, 200))]).toEqual([n, n])
    expect(at(addr).copyOut(Buffer.alloc(200), 0, 0, 200)).toBe(n)
  }
})

const layout = fc.array(fc.constantFrom<PageState>('present', 'readOnly', 'absent', 'unreadable'), {
  minLength: 1,
  maxLength: 5,
})
const iovecs = (size: number) =>
  fc.array(fc.record({ addr: fc.nat(size + 50), len: fc.oneof(fc.constant(0), fc.nat(9), fc.nat(2 * PAGE)) }), {
    maxLength: 6,
  })

/** The bytes of the segments up to the first that `reach` refuses, one by one. */
const naive = (memory: UserMemory, vec: readonly Iovec[], reach: (page: number) => boolean): Buffer => {
  const out: number[] = []
  for (const { addr, len } of vec) {
    for (let a = addr; a < addr + len; a++) {
      if (a >= memory.size || !reach(Math.floor(a / PAGE))) return Buffer.from(out)
      out.push(memory.bytes[a]!)
    }
  }
  return Buffer.from(out)
}

test('any layout and segments: copy, fault-in, pageVec and faulting copy agree with byte-by-byte reading', () => {
  fc.assert(
    fc.property(layout.chain((l) => fc.tuple(fc.constant(l), iovecs(l.length * PAGE))), ([states, vec]) => {
      const memory = pages(states)
      const iter = new IovIter(memory, vec)
      const now = naive(memory, vec, (p) => states[p] === 'present' || states[p] === 'readOnly')
      const ever = naive(memory, vec, (p) => states[p] !== 'unreadable')
      expect(copied(iter).equals(now)).toBe(true)
      const view = Buffer.alloc(iter.length)
      expect(iter.pageVec(0, iter.length).copyTo(view)).toBe(now.length)
      expect(view.subarray(0, now.length).equals(now)).toBe(true)
      const target = Buffer.alloc(iter.length)
      expect(value(new IovIter(pages(states), vec).copyFaulting(target, 0, 0, iter.length))).toBe(ever.length)
      expect(target.subarray(0, ever.length).equals(ever)).toBe(true)
      expect(iter.faultInNow(0, iter.length)).toBe(ever.length)
      expect(copied(iter).equals(ever)).toBe(true)
      expect(iter.present && ever.length < iter.length).toBe(false)
    }),
  )
})

test('a copy in pieces, forwards or after going back, is the copy as a whole', () => {
  const pieces = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 8 })
  fc.assert(
    fc.property(iovecs(PAGE), pieces, (vec, pieces) => {
      const iter = new IovIter(new UserMemory(pattern(8 * PAGE)), vec)
      const whole = copied(iter)
      expect(whole.length).toBe(iter.length)
      for (const [a, b] of pieces) {
        const at = a % (iter.length + 1)
        const n = b % (iter.length - at + 1)
        expect(copied(iter, at, n).equals(whole.subarray(at, at + n))).toBe(true)
      }
    }),
  )
})

test('zero-length segments anywhere count for nothing', () => {
  const memory = pages(['present', 'unreadable'])
  const none = { addr: PAGE, len: 0 }
  const iter = new IovIter(memory, [none, { addr: 0, len: 3 }, none, none, { addr: 5, len: 2 }, none])
  expect(iter.length).toBe(5)
  expect(copied(iter)).toEqual(Buffer.from([0, 1, 2, 5, 6].map((i) => memory.bytes[i]!)))
  const empty = new IovIter(memory, [none, none])
  expect([empty.length, copied(empty).length, empty.faultInNow(0, 0), value(empty.faultIn(0, 0))]).toEqual([0, 0, 0, 0])
  expect(() => new IovIter(memory, [{ addr: 0, len: -1 }])).toThrow('iovec of -1 bytes')
})

test('a page taken away right after its fault => readable says faultIn, 0 says the copy; at most twice', () => {
  const asked: string[] = []
  const greedy: Choices = { choose: (_, kind, label) => (asked.push(`${kind} ${label}`), 1) }
  const iter = new IovIter(pages(['absent'], greedy), [{ addr: 0, len: PAGE }])
  const turns = [1, 2, 3].map(() => [iter.faultInNow(0, PAGE), copied(iter).length])
  expect(turns).toEqual([[PAGE, 0], [PAGE, 0], [PAGE, PAGE]])
  expect(asked).toEqual(['short takeAway', 'short takeAway'])
})

test('a copy with faults enabled is not stopped by taking away', () => {
  const memory = pages(['present', 'absent', 'absent'], { choose: () => 1 })
  const target = Buffer.alloc(3 * PAGE)
  expect(value(new IovIter(memory, [{ addr: 0, len: 3 * PAGE }]).copyFaulting(target, 0, 0, 3 * PAGE))).toBe(3 * PAGE)
  expect(target.equals(memory.bytes)).toBe(true)
})

test('a mapped page: the atomic copy stops, fault-in must wait, then the file is the source', () => {
  const file = new FakeFile(2)
  const memory = new UserMemory(pattern(4 * PAGE)).map(PAGE, 2, file)
  const iter = new IovIter(memory, [{ addr: 100, len: 4 * PAGE - 100 }])
  expect(copied(iter).length).toBe(PAGE - 100)
  expect(iter.faultInNow(0, iter.length)).toBe(-1)
  expect(value(iter.faultIn(0, iter.length))).toBe(iter.length)
  expect(file.faults).toBe(2)
  const expected = Buffer.concat([memory.bytes.subarray(100, PAGE), file.bytes, memory.bytes.subarray(3 * PAGE)])
  expect(copied(iter).equals(expected)).toBe(true)
  expect(iter.faultInNow(0, iter.length)).toBe(iter.length)
  const provenances = iter.pageVec(0, iter.length).vec.map((s) => s.provenance)
  expect(provenances).toEqual(['anonymous', 'cache', 'cache', 'anonymous'])
})

test('a fault under the lock that the fault needs is a self-deadlock (Z01); without it the copy goes on', () => {
  const file = new FakeFile(1)
  const iter = new IovIter(new UserMemory(PAGE).map(0, 1, file), [{ addr: 0, len: PAGE }])
  file.locked = true
  expect(iter.copyAtomic(file.bytes, 0, 0, PAGE)).toBe(0)
  expect(() => run(iter.copyFaulting(file.bytes, 0, 0, PAGE))).toThrow('self-deadlock')
  file.locked = false
  expect(run(iter.copyFaulting(file.bytes, 0, 0, PAGE))).toEqual(right(PAGE))
})

test('source page = destination page: one piece moves as memmove does', () => {
  const file = new FakeFile(1)
  file.entries[0] = true
  const before = Buffer.from(file.bytes)
  const iter = new IovIter(new UserMemory(PAGE).map(0, 1, file), [{ addr: 0, len: PAGE - 100 }])
  expect(iter.copyAtomic(file.bytes, 100, 0, PAGE - 100)).toBe(PAGE - 100)
  expect(file.bytes.subarray(100).equals(before.subarray(0, PAGE - 100))).toBe(true)
})

test('a mapping past the end of its file => SIGBUS there: EFAULT for the copy', () => {
  const iter = new IovIter(new UserMemory(3 * PAGE).map(0, 3, new FakeFile(3, 2)), [{ addr: 50, len: 3 * PAGE - 50 }])
  expect(value(iter.faultIn(0, iter.length))).toBe(2 * PAGE - 50)
  expect(value(iter.copyFaulting(Buffer.alloc(3 * PAGE), 0, 0, iter.length))).toBe(2 * PAGE - 50)
  expect(() => new UserMemory(PAGE).map(1, 1, new FakeFile(1))).toThrow('use a page boundary inside 4096 bytes')
})

test('reading into user memory: short at the first page that cannot be written, absent pages come in', () => {
  const bytes = Buffer.alloc(4 * PAGE, 0x55)
  for (const bad of ['readOnly', 'unreadable'] as const) {
    const memory = pages(['present', 'absent', bad, 'present'])
    const before = Buffer.from(memory.bytes)
    const iter = new IovIter(memory, [{ addr: 9, len: 4 * PAGE - 9 }])
    expect(iter.copyOut(bytes, 0, 0, iter.length)).toBe(2 * PAGE - 9)
    expect(memory.bytes.subarray(2 * PAGE).equals(before.subarray(2 * PAGE))).toBe(true)
    expect(memory.bytes.subarray(9, 2 * PAGE).every((b) => b === 0x55) && memory.bytes[8] === before[8]).toBe(true)
    expect(iter.copyOut(bytes, 0, 2 * PAGE - 9, 10)).toBe(0)
    expect(value(iter.faultInWritable(0, iter.length))).toBe(2 * PAGE - 9)
  }
})

test('reading into a mapped page waits for its fault, then stores into the file', () => {
  const file = new FakeFile(1)
  const iter = new IovIter(new UserMemory(2 * PAGE).map(PAGE, 1, file), [{ addr: PAGE - 1, len: 11 }])
  const bytes = Buffer.alloc(11, 3)
  expect(iter.copyOut(bytes, 0, 0, 11)).toBe(1)
  expect(value(iter.faultInWritable(1, 10))).toBe(10)
  expect(iter.copyOut(bytes, 1, 1, 10)).toBe(10)
  expect(file.bytes.subarray(0, 10)).toEqual(Buffer.alloc(10, 3))
})

test('plain memory: IovIter.of and MemorySource are the same source', () => {
  const bytes = pattern(3 * PAGE)
  for (const source of [IovIter.of(bytes), new MemorySource(bytes)]) {
    expect([source.length, source.present, source.faultInNow(5, 9e9)]).toEqual([3 * PAGE, true, 3 * PAGE - 5])
    expect(copied(source, 5, 2 * PAGE).equals(bytes.subarray(5, 5 + 2 * PAGE))).toBe(true)
    expect(value(source.copyFaulting(Buffer.alloc(9), 2, 5, 7))).toBe(7)
    expect(value(source.faultIn(3 * PAGE, 1))).toBe(0)
  }
  const buffer = Buffer.alloc(10)
  expect([intoBuffer(buffer).copyOut(bytes, 0, 4, 9), buffer[4], buffer[9]]).toEqual([6, bytes[0], bytes[5]])
})
