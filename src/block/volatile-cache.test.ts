import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Choices } from '../kernel/choices.ts'
import { PageVec } from '../kernel/page-vec.ts'
import { Bio } from './bio.ts'
import type { BlockDevice } from './device.ts'
import { FaultyDevice } from './faulty-device.ts'
import { MemoryDevice } from './memory-device.ts'
import { QueueDevice } from './queue-device.ts'
import { type Survival, VolatileCache } from './volatile-cache.ts'

const S = 512
const lose: Survival = () => 0
const keep: Survival = (w) => w.len

const write = (device: BlockDevice, sector: number, byte: number, n = 1, fua = false) => {
  const bio = new Bio('write', sector * S, PageVec.of(Buffer.alloc(n * S, byte)), fua)
  device.submit(bio)
  return bio.completion
}
const flush = (device: BlockDevice) => {
  const bio = new Bio('flush')
  device.submit(bio)
  return bio.completion
}
/** The first byte of each sector. */
const sectors = (image: Buffer): readonly number[] =>
  Array.from({ length: image.length / S }, (_, i) => image[i * S]!)

const readAll = (device: BlockDevice): readonly number[] => {
  const got = Buffer.alloc(device.size)
  device.submit(new Bio('read', 0, PageVec.of(got)))
  return sectors(got)
}

test('a write is visible at once and durable after a flush', () => {
  const memory = new MemoryDevice(4 * S)
  const cache = new VolatileCache(memory)
  expect(write(cache, 1, 7)).toEqual({ bytes: S, errno: null })
  expect(readAll(cache)).toEqual([0, 7, 0, 0])
  expect(sectors(memory.image())).toEqual([0, 0, 0, 0])
  expect(cache.writes).toMatchObject([{ id: 0, pos: S, len: S }])
  expect(flush(cache)).toEqual({ bytes: 0, errno: null })
  expect([sectors(memory.image()), cache.writes]).toEqual([[0, 7, 0, 0], []])
})

test('two writes to one block: any subset survives, the later one wins', () => {
  const cache = new VolatileCache(new MemoryDevice(S))
  write(cache, 0, 1)
  write(cache, 0, 2)
  const outcomes = [0, 1, 2, 3].map((mask) => cache.crashImage((w) => ((mask >> w.id) & 1) * w.len)[0])
  expect(outcomes).toEqual([0, 1, 2, 2])
})

test('FUA is durable at once, and no older write of its sectors comes back', () => {
  const memory = new MemoryDevice(4 * S)
  const cache = new VolatileCache(memory)
  write(cache, 0, 1, 4)
  write(cache, 1, 2, 2, true)
  expect(sectors(memory.image())).toEqual([0, 2, 2, 0])
  expect(sectors(cache.crashImage(keep))).toEqual([1, 2, 2, 1])
  expect(sectors(cache.crashImage(lose))).toEqual([0, 2, 2, 0])
  write(cache, 2, 3)
  flush(cache)
  expect(sectors(memory.image())).toEqual([1, 2, 3, 1])
})

test('a torn write keeps a prefix of sectors', () => {
  const cache = new VolatileCache(new MemoryDevice(4 * S))
  write(cache, 0, 1, 4)
  expect(sectors(cache.crashImage(() => 3 * S))).toEqual([1, 1, 1, 0])
})

test('with a unit the blocks of one bio survive apart', () => {
  const cache = new VolatileCache(new MemoryDevice(8 * S), { unit: 2 * S })
  write(cache, 1, 1, 5)
  expect(cache.writes.map((w) => [w.pos / S, w.len / S])).toEqual([[1, 1], [2, 2], [4, 2]])
  expect(sectors(cache.crashImage((w) => (w.id === 1 ? 0 : w.len)))).toEqual([0, 1, 0, 0, 1, 1, 0, 0])
})

test('beyond the limit the oldest writes become durable on their own', () => {
  const memory = new MemoryDevice(8 * S)
  const cache = new VolatileCache(memory, { limit: 2 * S })
  for (const n of [0, 1, 2, 3]) write(cache, n, n + 1)
  expect(sectors(memory.image())).toEqual([1, 2, 0, 0, 0, 0, 0, 0])
  expect(cache.writes.map((w) => w.id)).toEqual([2, 3])
})

test('a flush that fails => EIO; what is left stays volatile and a later flush tries again', () => {
  const memory = new MemoryDevice(4 * S)
  const answers = [0, 1]
  const choices: Choices = { choose: () => answers.shift() ?? 0 }
  const cache = new VolatileCache(new FaultyDevice(memory, choices))
  for (const n of [0, 1, 2]) write(cache, n, n + 1)
  expect(flush(cache)).toEqual({ bytes: 0, errno: 'EIO' })
  expect([sectors(memory.image()), cache.writes.length]).toEqual([[1, 0, 0, 0], 2])
  expect(flush(cache)).toEqual({ bytes: 0, errno: null })
  expect(sectors(memory.image())).toEqual([1, 2, 3, 0])
})

test('any history: reads see all writes; keep all = read; lose all = the device below; crashOnto = crashImage', () => {
  const step = fc.oneof(
    fc.record({ sector: fc.nat(7), n: fc.integer({ min: 1, max: 8 }), fua: fc.boolean() }),
    fc.constant('flush' as const),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.nat(), fc.integer({ min: 2, max: 40 }), (steps, mask, limit) => {
      const memory = new MemoryDevice(8 * S)
      const cache = new VolatileCache(memory, { unit: 2 * S, limit: limit * S })
      const newest = Array<number>(8).fill(0)
      steps.forEach((s, i) => {
        if (s === 'flush') return void flush(cache)
        const n = Math.min(s.n, 8 - s.sector)
        write(cache, s.sector, i + 1, n, s.fua)
        newest.fill(i + 1, s.sector, s.sector + n)
      })
      expect(readAll(cache)).toEqual(newest)
      expect(sectors(cache.crashImage(keep))).toEqual(newest)
      expect(cache.crashImage(lose)).toEqual(memory.image())
      const some: Survival = (w) => ((mask >> (w.id % 30)) & 1) * w.len
      const after = memory.fork()
      cache.crashOnto(after, some)
      expect(after.image()).toEqual(cache.crashImage(some))
    }),
  )
})

test('a queue below the cache => a bug that says so', () => {
  const cache = new VolatileCache(new QueueDevice(new MemoryDevice(S)))
  write(cache, 0, 1)
  expect(() => flush(cache)).toThrow('a queue belongs above the cache, not below')
  expect(() => new VolatileCache(new MemoryDevice(S), { unit: 100 })).toThrow('unit 100: must be a positive multiple')
})
