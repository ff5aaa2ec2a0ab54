import { describe, expect, test } from 'vitest'
import { Bio } from './bio.ts'
import { MemoryDevice } from './memory-device.ts'
import { OverlayDevice } from './overlay-device.ts'
import { PageVec } from '../kernel/page-vec.ts'

const below = (): MemoryDevice => new MemoryDevice(16384, { fill: 1 })
const over = (device = below()): OverlayDevice =>
  new OverlayDevice(device, 1024, new Map([[2, Buffer.alloc(1024, 2)], [5, Buffer.alloc(1024, 5)]]))

/** The bytes of [pos, pos + length), one for each 512. */
const read = (device: OverlayDevice, pos: number, pieces: readonly number[]): { seen: number[], bio: Bio } => {
  const parts = pieces.map((len) => Buffer.alloc(len))
  const bio = new Bio('read', pos, new PageVec(parts.map((bytes) => ({ bytes, start: 0, len: bytes.length, provenance: 'anonymous' }))))
  device.submit(bio)
  const all = Buffer.concat(parts)
  return { seen: Array.from({ length: all.length / 512 }, (_, i) => all[i * 512]!), bio }
}

describe('an overlay', () => {
  test('its blocks are seen, wherever a read begins and however its memory lies', () => {
    expect(read(over(), 0, [8192]).seen).toEqual([1, 1, 1, 1, 2, 2, 1, 1, 1, 1, 5, 5, 1, 1, 1, 1])
    expect(read(over(), 2560, [512, 1024]).seen).toEqual([2, 1, 1])
    expect(read(over(), 1536, [700, 324, 512]).bio.completion).toEqual({ bytes: 1536, errno: null })
    expect(read(over(), 1536, [512, 512, 512]).seen).toEqual([1, 2, 2])
  })

  test('nothing is written, and a flush has nothing to do', () => {
    const device = below()
    const before = device.image()
    const write = new Bio('write', 2048, PageVec.of(Buffer.alloc(1024, 9)))
    over(device).submit(write)
    expect(write.completion).toEqual({ bytes: 0, errno: 'EIO' })
    const flush = new Bio('flush')
    over(device).submit(flush)
    expect(flush.completion).toEqual({ bytes: 0, errno: null })
    expect(device.image().equals(before)).toBe(true)
  })

  test('what the device below cannot read stays an error', () => {
    expect(read(over(), 16384, [512]).bio.completion).toEqual({ bytes: 0, errno: 'EIO' })
  })
})
