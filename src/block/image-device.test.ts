import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PageVec, type Segment } from '../kernel/page-vec.ts'
import { Bio, type BioOp } from './bio.ts'
import { ImageDevice } from './image-device.ts'

let dir = ''
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'image-device-'))))
afterEach(() => rmSync(dir, { recursive: true }))

const io = (device: ImageDevice, op: BioOp, pos: number, data: PageVec) => {
  const bio = new Bio(op, pos, data, op === 'write')
  device.submit(bio)
  return bio.completion
}
const nothing = new PageVec([])

/** `n` segments of `len` bytes each, numbered by their first byte. */
const segments = (n: number, len: number): PageVec => {
  const segment = (i: number): Segment => ({ bytes: Buffer.alloc(len, i), start: 0, len, provenance: 'cache' })
  return new PageVec(Array.from({ length: n }, (_, i) => segment(i)))
}

test('create, write over several segments, reopen, read back', () => {
  const path = join(dir, 'a.img')
  const made = ImageDevice.create(path, 1 << 20, { durable: true })
  expect(io(made, 'write', 4096, segments(4, 1024))).toEqual({ bytes: 4096, errno: null })
  expect(io(made, 'flush', 0, nothing)).toEqual({ bytes: 0, errno: null })
  expect(made.flushes).toBe(1)
  made.close()
  const opened = ImageDevice.open(path, { readOnly: true })
  expect(opened.size).toBe(1 << 20)
  const back = Buffer.alloc(8192, 0xff)
  expect(io(opened, 'read', 0, PageVec.of(back))).toEqual({ bytes: 8192, errno: null })
  expect([0, 4096, 5120, 6144, 7168].map((at) => back[at])).toEqual([0, 0, 1, 2, 3])
  opened.close()
})

test('an image is sparse', () => {
  const path = join(dir, 'a.img')
  ImageDevice.create(path, 1 << 30).close()
  expect(statSync(path).blocks * 512).toBeLessThan(1 << 20)
})

test('more segments than one pwritev(2) takes', () => {
  const path = join(dir, 'a.img')
  const device = ImageDevice.create(path, 2 << 20)
  expect(io(device, 'write', 0, segments(2500, 512))).toEqual({ bytes: 2500 * 512, errno: null })
  expect(readFileSync(path)[2499 * 512]).toBe(2499 % 256)
  const into = segments(2500, 512)
  into.forEach((bytes) => void bytes.fill(0))
  expect(io(device, 'read', 0, into)).toEqual({ bytes: 2500 * 512, errno: null })
  expect(into.vec[2499]!.bytes[0]).toBe(2499 % 256)
  device.close()
})

test('the file shrinks under the device => EIO with the bytes done before', () => {
  const path = join(dir, 'a.img')
  const device = ImageDevice.create(path, 8192)
  truncateSync(path, 1536)
  expect(io(device, 'read', 512, segments(1, 4096))).toEqual({ bytes: 1024, errno: 'EIO' })
  device.close()
})

test('the host refuses a write => EIO, 0 bytes', () => {
  const device = ImageDevice.create(join(dir, 'a.img'), 8192)
  device.close()
  expect(io(device, 'write', 0, segments(1, 512))).toEqual({ bytes: 0, errno: 'EIO' })
  device.close()
})

test('write to a read-only image => EROFS; outside the image => EIO', () => {
  const path = join(dir, 'a.img')
  ImageDevice.create(path, 8192).close()
  const device = ImageDevice.open(path, { readOnly: true })
  expect(io(device, 'write', 0, segments(1, 512))).toEqual({ bytes: 0, errno: 'EROFS' })
  expect(io(device, 'read', 8192, segments(1, 512))).toEqual({ bytes: 0, errno: 'EIO' })
  device.close()
})

test('an image that cannot be used => one line that says why and what to do', () => {
  const path = join(dir, 'short.img')
  expect(() => ImageDevice.open(path)).toThrow(`${path}: cannot open the image (ENOENT); check the path`)
  writeFileSync(path, Buffer.alloc(1000))
  expect(() => ImageDevice.open(path)).toThrow(`${path}: the image holds 1000 bytes, not whole sectors of 512`)
  expect(() => ImageDevice.open(path, { size: 4096 })).toThrow('the image holds 1000 bytes, at least 4096 are needed')
  expect(() => ImageDevice.create(path, 513)).toThrow('cannot make an image of 513 bytes; use a positive multiple')
})
