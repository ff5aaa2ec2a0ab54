import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PageVec, type Segment } from '../kernel/page-vec.ts'
import { Bio, type BioOp } from './bio.ts'
import { MemoryDevice } from './memory-device.ts'

const MIB = 1 << 20

/** Submit one bio over `data` and return its completion. */
const io = (device: MemoryDevice, op: BioOp, pos = 0, data: Buffer = Buffer.alloc(0)) => {
  const bio = new Bio(op, pos, PageVec.of(data))
  device.submit(bio)
  return bio.completion
}

const sector = (byte: number, n = 1): Buffer => Buffer.alloc(n * 512, byte)

test('never-written bytes read as the fill, and cost no memory', () => {
  const device = new MemoryDevice(1024 * MIB, { fill: 0xaa })
  const got = sector(0, 3)
  expect(io(device, 'read', 512 * MIB, got)).toEqual({ bytes: 1536, errno: null })
  expect(got).toEqual(sector(0xaa, 3))
  expect(device.bytesStored).toBe(0)
})

test('a write of one sector leaves its neighbours at the fill', () => {
  const device = new MemoryDevice(MIB, { fill: 0xaa })
  expect(io(device, 'write', 65536, sector(1))).toEqual({ bytes: 512, errno: null })
  expect(device.image()).toEqual(Buffer.concat([sector(0xaa, 128), sector(1), sector(0xaa, 1919)]))
  expect(device.bytesStored).toBe(65536)
})

test('any writes over several segments read back as from a flat buffer', () => {
  const size = 3 * 65536
  const byte = fc.integer({ min: 1, max: 255 })
  const write = fc.record({ at: fc.nat(383), sectors: fc.integer({ min: 1, max: 300 }), byte })
  fc.assert(
    fc.property(fc.array(write, { maxLength: 8 }), fc.boolean(), (writes, forked) => {
      let device = new MemoryDevice(size, { fill: 7 })
      const flat = Buffer.alloc(size, 7)
      for (const { at, sectors, byte } of writes) {
        const bytes = sector(byte, Math.min(sectors, 384 - at))
        const cut = bytes.length >> 1
        const segment = (start: number, len: number): Segment => ({ bytes, start, len, provenance: 'anonymous' })
        const data = new PageVec([segment(0, cut), segment(cut, bytes.length - cut)])
        if (forked) device = device.fork()
        device.submit(new Bio('write', at * 512, data))
        bytes.copy(flat, at * 512)
      }
      const got = Buffer.alloc(size)
      io(device, 'read', 0, got)
      expect(got.equals(flat) && device.image().equals(flat)).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test('a fork and its origin do not see the writes of the other', () => {
  const a = new MemoryDevice(MIB)
  io(a, 'write', 0, sector(1))
  const b = a.fork()
  io(a, 'write', 0, sector(2))
  io(b, 'write', 512, sector(3))
  expect([a.image()[0], a.image()[512], b.image()[0], b.image()[512]]).toEqual([2, 0, 1, 3])
})

test('a device made of an image does not change the image', () => {
  const image = sector(5, 200)
  const device = MemoryDevice.of(image)
  io(device, 'write', 512, sector(6))
  expect(image).toEqual(sector(5, 200))
  expect(device.image()).toEqual(Buffer.concat([sector(5), sector(6), sector(5, 198)]))
})

test('outside the device or across sectors => EIO, 0 bytes', () => {
  const device = new MemoryDevice(1024)
  for (const [pos, n] of [[1024, 512], [512, 1024], [-512, 512], [1, 512], [0, 511]] as const) {
    expect(io(device, 'write', pos, Buffer.alloc(n))).toEqual({ bytes: 0, errno: 'EIO' })
  }
  expect(io(device, 'flush')).toEqual({ bytes: 0, errno: null })
})

test('a bad size or fill => one clear line', () => {
  expect(() => new MemoryDevice(1000)).toThrow('memory device of 1000 bytes: the size must be a positive multiple')
  expect(() => new MemoryDevice(512, { fill: 256 })).toThrow('fill 256: must be a byte')
})
