import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Choices } from '../kernel/choices.ts'
import { PageVec } from '../kernel/page-vec.ts'
import { Bio, type BioOp } from './bio.ts'
import { FaultyDevice } from './faulty-device.ts'
import { MemoryDevice } from './memory-device.ts'
import { QueueDevice } from './queue-device.ts'

const over = (op: BioOp, pos: number, data: Buffer): Bio => new Bio(op, pos, PageVec.of(data))

/** Answers in this order, then 0; remembers what it was asked. */
const script = (...answers: number[]): Choices & { readonly asked: string[] } => {
  const asked: string[] = []
  const choose: Choices['choose'] = (n, kind, label) => {
    asked.push(`${kind} ${label} ${n}`)
    return answers.shift() ?? 0
  }
  return { asked, choose }
}

test('submit moves nothing; completeNext takes the bytes as they are then', () => {
  const memory = new MemoryDevice(4096)
  const queue = new QueueDevice(memory)
  const bytes = Buffer.alloc(512, 1)
  const bio = over('write', 0, bytes)
  queue.submit(bio)
  bytes.fill(2)
  expect([memory.bytesStored, bio.done.ready()]).toEqual([0, false])
  expect(queue.completeNext()).toBe(true)
  expect([memory.image()[0], bio.done.ready()]).toEqual([2, true])
  expect(queue.completeNext()).toBe(false)
})

test('any order of completion: the last transfer of a sector stands', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 6, maxLength: 6 }), (picks) => {
      const memory = new MemoryDevice(4096)
      const queue = new QueueDevice(memory)
      const bios = [1, 2, 3, 4, 5, 6].map((n) => over('write', 0, Buffer.alloc(512, n)))
      for (const bio of bios) queue.submit(bio)
      let last: Bio | undefined
      queue.drain((n) => {
        const i = picks.pop()! % n
        last = queue.waiting[i]
        return i
      })
      expect(memory.image()[0]).toBe(bios.indexOf(last!) + 1)
      expect(bios.every((b) => b.completion?.bytes === 512)).toBe(true)
    }),
  )
})

test('a cancelled bio leaves the queue, and its bytes never arrive', () => {
  const memory = new MemoryDevice(4096)
  const queue = new QueueDevice(memory)
  const parent = over('write', 0, Buffer.alloc(1024, 1))
  for (const child of parent.split(512)) queue.submit(child)
  queue.completeNext(1)
  expect(parent.cancel()).toEqual({ cancelled: 1, tooLate: 1 })
  expect(queue.waiting).toEqual([])
  expect(parent.completion).toEqual({ bytes: 0, errno: 'ECANCELED' })
  expect([memory.image()[0], memory.image()[512]]).toEqual([0, 1])
})

test('no fault chosen => the device below, with one question a bio', () => {
  const memory = new MemoryDevice(4096)
  const asking = script()
  const device = new FaultyDevice(memory, asking)
  for (const op of ['write', 'read', 'flush'] as const) {
    const bio = op === 'flush' ? new Bio('flush') : over(op, 0, Buffer.alloc(1024, 1))
    device.submit(bio)
    expect(bio.completion!.errno).toBeNull()
  }
  expect(asking.asked).toEqual(['fault EIO.write 2', 'fault EIO.read 2', 'fault EIO.flush 2'])
})

test('a failed write did the sectors that were chosen, and no others', () => {
  for (const done of [0, 1, 3]) {
    const memory = new MemoryDevice(4096)
    const bio = over('write', 512, Buffer.alloc(2048, 7))
    new FaultyDevice(memory, script(1, done)).submit(bio)
    expect(bio.completion).toEqual({ bytes: done * 512, errno: 'EIO' })
    expect(memory.image().filter((b) => b === 7).length).toBe(done * 512)
  }
})

test('a failed read, flush, and a single sector => 0 bytes', () => {
  const device = (answers: Choices) => new FaultyDevice(new MemoryDevice(4096), answers)
  const flush = new Bio('flush')
  device(script(1)).submit(flush)
  expect(flush.completion).toEqual({ bytes: 0, errno: 'EIO' })
  const one = over('read', 0, Buffer.alloc(512))
  device(script(1)).submit(one)
  expect(one.completion).toEqual({ bytes: 0, errno: 'EIO' })
})

test('a bio outside the device is refused without a question', () => {
  const asking = script(1)
  const bio = over('read', 4096, Buffer.alloc(512))
  new FaultyDevice(new MemoryDevice(4096), asking).submit(bio)
  expect([bio.completion, asking.asked]).toEqual([{ bytes: 0, errno: 'EIO' }, []])
})
