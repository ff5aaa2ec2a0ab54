import { expect, test } from 'vitest'
import type { Bio } from '../block/bio.ts'
import type { BlockDevice } from '../block/device.ts'
import { MemoryDevice } from '../block/memory-device.ts'
import { type Kernel, type Op, run } from '../kernel/kernel.ts'
import { BufferCache } from './buffer-cache.ts'

const ok = <A>(kernel: Kernel<A, 'EIO'>): A => {
  const done = run(kernel)
  if (done._tag === 'Left') throw new Error(done.left)
  return done.right
}

/** A device that notes its bios. */
const noted = (size = 65536) => {
  const device = new MemoryDevice(size)
  const bios: string[] = []
  const submit = (bio: Bio): void => {
    bios.push(`${bio.op} ${bio.pos / 1024}+${bio.data.length / 1024}`)
    device.submit(bio)
  }
  return { device, bios, port: { name: 'noted', size, submit } satisfies BlockDevice }
}

test('a block is read once, a fresh one never', () => {
  const { bios, port } = noted()
  const cache = new BufferCache(port, 1024)
  ok(cache.get(3))
  ok(cache.get(3))
  cache.fresh(4)
  expect(bios).toEqual(['read 3+1'])
  expect(cache.ledger.metaBios).toBe(1)
  expect(cache.ledger.metaBytes).toBe(1024)
})

test('a flush writes in ascending order, neighbours together, and only once', () => {
  const { bios, port } = noted()
  const cache = new BufferCache(port, 1024)
  for (const nr of [9, 2, 8, 4, 3]) cache.fresh(nr)
  ok(cache.flush())
  ok(cache.flush())
  expect(bios).toEqual(['write 2+3', 'write 8+2'])
})

test('store makes a block dirty only if its bytes change', () => {
  const { port } = noted()
  const cache = new BufferCache(port, 1024)
  ok(cache.get(1))
  cache.store(1, Buffer.alloc(1024))
  expect(cache.dirtyBlocks).toBe(0)
  cache.store(1, Buffer.from('x'), 7)
  expect(cache.dirtyBlocks).toBe(1)
  expect(() => cache.store(2, Buffer.alloc(1))).toThrow(/not in core/)
})

test('a forgotten block is not written', () => {
  const { bios, port } = noted()
  const cache = new BufferCache(port, 1024)
  cache.fresh(5)
  cache.forget(5)
  ok(cache.flush())
  expect(bios).toEqual([])
})

test('a flush drops clean blocks above the limit; a buffer held across it is refused', () => {
  const { port } = noted()
  const cache = new BufferCache(port, 1024, { limit: 2 })
  const held = ok(cache.get(0))
  for (let nr = 1; nr < 6; nr++) ok(cache.get(nr))
  ok(cache.flush())
  expect(cache.resident).toBe(2)
  expect(() => cache.markDirty(held)).toThrow(/held across a wait/)
})

test('ensure brings all in, also those that a flush dropped meanwhile', () => {
  const { port } = noted()
  const cache = new BufferCache(port, 1024, { limit: 0 })
  ok(cache.ensure(() => [1, 2, 3]))
  for (const nr of [1, 2, 3]) expect(cache.peek(nr)).toBeDefined()
})

test('a change during the write is written by the next flush, and the write carried the state before', () => {
  const memory = new MemoryDevice(65536)
  const waiting: Bio[] = []
  const slow: BlockDevice = { name: 'slow', size: 65536, submit: (bio) => void waiting.push(bio) }
  const cache = new BufferCache(slow, 1024)
  const buf = cache.fresh(1)
  buf.data.write('old')
  const flush = cache.flush()
  const op = flush.next().value as Op
  expect(op.ready()).toBe(false)
  buf.data.write('new')
  cache.markDirty(buf)
  memory.submit(waiting.shift()!)
  expect(op.ready()).toBe(true)
  expect(flush.next().done).toBe(true)
  expect(memory.image().toString('latin1', 1024, 1027)).toBe('old')
  expect(cache.dirtyBlocks).toBe(1)
})

test('what failed stays dirty', () => {
  let broken = true
  const { port } = noted()
  const cache = new BufferCache(
    { ...port, submit: (bio) => (broken ? bio.complete({ bytes: 0, errno: 'EIO' }) : port.submit(bio)) }, 1024,
  )
  cache.fresh(1)
  cache.fresh(5)
  expect(run(cache.flush())).toEqual({ _tag: 'Left', left: 'EIO' })
  expect(cache.dirtyBlocks).toBe(2)
  broken = false
  ok(cache.flush())
  expect(cache.dirtyBlocks).toBe(0)
})
