import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PageVec, type Segment } from '../kernel/page-vec.ts'
import { Bio } from './bio.ts'
import type { BlockDevice } from './device.ts'
import { MemoryDevice } from './memory-device.ts'
import { QueueDevice } from './queue-device.ts'
import { APP_ESCAPE, crcT10, matching, protect, ProtectAtSubmit, ProtectedDevice } from './t10.ts'

const bioOf = (op: 'read' | 'write', pos: number, bytes: Buffer): Bio => new Bio(op, pos, PageVec.of(bytes))
const submit = (device: BlockDevice, bio: Bio) => {
  device.submit(bio)
  return bio.completion
}

/** The definition, one bit at a time. */
const slowCrc = (bytes: Uint8Array): number => {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000 ? 0x8bb7 : 0) ^ (crc << 1)) & 0xffff
  }
  return crc
}

test('CRC-16/T10-DIF: the check value of the catalogue', () => {
  expect(crcT10(Buffer.from('123456789'))).toBe(0xd0db)
})

test('the fast CRC is the definition, and may be computed in pieces', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, at) => {
      const cut = Math.min(at, bytes.length)
      expect(crcT10(bytes)).toBe(slowCrc(bytes))
      expect(crcT10(bytes, cut, bytes.length - cut, crcT10(bytes, 0, cut))).toBe(slowCrc(bytes))
    }),
  )
})

test('a tuple is guard, application tag and sector number, big-endian', () => {
  const bio = bioOf('write', 3 * 512, Buffer.alloc(1024, 1))
  protect(bio, 0x1234)
  const guard = slowCrc(Buffer.alloc(512, 1)).toString(16).padStart(4, '0')
  expect(bio.protection!.toString('hex')).toBe(`${guard}123400000003${guard}123400000004`)
})

test('a sector may lie across segments', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 6 }), (lens) => {
      const bytes = Buffer.from(Array.from({ length: 1536 }, (_, i) => i * 7))
      let at = 0
      const cut = [...lens, 1536].map((len): Segment => {
        const start = at
        at = Math.min(1536, at + len)
        return { bytes, start, len: at - start, provenance: 'anonymous' }
      })
      const [flat, pieces] = [bioOf('write', 0, bytes), new Bio('write', 0, new PageVec(cut))]
      protect(flat)
      protect(pieces)
      expect(pieces.protection).toEqual(flat.protection)
    }),
  )
})

test('a page that changes between submit and the end of DMA => EILSEQ, and the sectors before it', () => {
  const memory = new MemoryDevice(8192)
  const queue = new QueueDevice(new ProtectedDevice(memory))
  const host = new ProtectAtSubmit(queue)
  const page = Buffer.alloc(4096, 1)
  const bio = bioOf('write', 4096, page)
  host.submit(bio)
  page[1300] = 2
  queue.completeNext()
  expect(bio.completion).toEqual({ bytes: 1024, errno: 'EILSEQ' })
  expect([memory.image()[4096 + 1023], memory.image()[4096 + 1024]]).toEqual([1, 0])
})

test('a page that stays as it was => ok, and reads back with its tuples', () => {
  const queue = new QueueDevice(new ProtectedDevice(new MemoryDevice(8192)))
  const bio = bioOf('write', 4096, Buffer.alloc(4096, 1))
  new ProtectAtSubmit(queue).submit(bio)
  const back = bioOf('read', 4096, Buffer.alloc(4096))
  queue.submit(back)
  queue.drain()
  expect([bio.completion, back.completion]).toEqual([{ bytes: 4096, errno: null }, { bytes: 4096, errno: null }])
  expect(back.protection).toEqual(bio.protection)
})

test('checksummed at copy-in: a store before submit is seen too', () => {
  const page = Buffer.alloc(512, 1)
  const bio = bioOf('write', 0, page)
  protect(bio)
  page[0] = 9
  expect(submit(new ProtectAtSubmit(new ProtectedDevice(new MemoryDevice(512))), bio)!.errno).toBe('EILSEQ')
})

test('damage behind the drive\'s back => EILSEQ on read', () => {
  const memory = new MemoryDevice(4096)
  const device = new ProtectedDevice(memory)
  expect(submit(device, bioOf('write', 0, Buffer.alloc(4096, 1)))!.errno).toBeNull()
  submit(memory, bioOf('write', 512, Buffer.alloc(512, 2)))
  expect(submit(device, bioOf('read', 0, Buffer.alloc(4096)))).toEqual({ bytes: 512, errno: 'EILSEQ' })
  expect(submit(device, bioOf('read', 1024, Buffer.alloc(512)))!.errno).toBeNull()
})

test('a write that was sent to the wrong sector => EILSEQ', () => {
  const bio = bioOf('write', 1024, Buffer.alloc(512))
  protect(bio)
  const moved = bioOf('write', 2048, Buffer.alloc(512))
  moved.protection = bio.protection
  expect(submit(new ProtectedDevice(new MemoryDevice(4096)), moved)).toEqual({ bytes: 0, errno: 'EILSEQ' })
})

test('never-written sectors, and those with the escape tag, are not checked', () => {
  const device = new ProtectedDevice(new MemoryDevice(4096, { fill: 0xaa }))
  expect(submit(device, bioOf('read', 0, Buffer.alloc(4096)))).toEqual({ bytes: 4096, errno: null })
  const bio = bioOf('write', 0, Buffer.alloc(512))
  protect(bio, APP_ESCAPE)
  bio.data.vec[0]!.bytes.fill(3)
  expect(submit(device, bio)!.errno).toBeNull()
})

test('children carry their share of the tuples; a cut inside a sector is a bug', () => {
  const bio = bioOf('write', 0, Buffer.alloc(2048, 5))
  protect(bio)
  for (const child of bio.split(512)) expect(matching(child, child.protection!)).toBe(child.data.length)
  const other = bioOf('write', 0, Buffer.alloc(1024))
  protect(other)
  expect(() => other.split(100)).toThrow('cut at sectors only')
})
