/**
 * T10 protection information: a checksum that travels with each sector, so that a page which changes while it is
 * written out becomes an I/O error instead of silent corruption.
 *
 * Tuple, 8 bytes per sector of 512, big-endian, type 1:
 *   0  guard  2 B  CRC-16 of the sector, polynomial 0x8bb7, initial value 0, nothing reflected
 *   2  app    2 B  application tag; 0xffff means "do not check"
 *   4  ref    4 B  low 32 bits of the sector number on the device
 *
 * Interface:
 * - whoever owns stable bytes calls `protect(bio)`: at copy-in (checksum what the user gave) or at submit. The device
 *   ProtectAtSubmit does the latter for every write, as bio_integrity_prep in block/bio-integrity.c;
 * - ProtectedDevice is the drive: it checks a write against its tuples when it has the bytes (the end of DMA), stores
 *   them beside the data, and checks every read against the tuples stored;
 * - the window in which bytes may change is a QueueDevice between the two;
 * - a sector that does not match completes the bio with EILSEQ (BLK_STS_PROTECTION) and the bytes before it.
 *
 * A write without tuples gets them from the drive, which then can only notice later damage (DIF "insert").
 * Source: T10 SBC-3, protection information; lib/crc-t10dif.c; block/t10-pi.c.
 */
import type { Completion } from '../kernel/completion.ts'
import { SECTOR } from '../kernel/units.ts'
import { type Bio, TUPLE } from './bio.ts'
import { type BlockDevice, inside } from './device.ts'

/** Application tag that switches the checks of a sector off; what never-written sectors carry. */
export const APP_ESCAPE = 0xffff

/** SLICES[k * 256 + b] = CRC of byte b followed by k zero bytes. */
const SLICES = new Uint16Array(8 * 256)
for (let b = 0; b < 256; b++) {
  let crc = b << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x8bb7 : crc << 1
  SLICES[b] = crc
}
for (let i = 256; i < SLICES.length; i++) {
  const crc = SLICES[i - 256]!
  SLICES[i] = (crc << 8) ^ SLICES[crc >> 8]!
}

/**
 * CRC-16/T10-DIF of bytes [start, start + len), going on from `crc`. Eight bytes a turn ("slicing-by-8", Kounavis and
 * Berry 2008), because this runs over every byte that a checked write moves.
 */
export const crcT10 = (bytes: Uint8Array, start = 0, len = bytes.length - start, crc = 0): number => {
  const stop = start + len
  let i = start
  for (; i + 8 <= stop; i += 8) {
    crc =
      SLICES[1792 + (bytes[i]! ^ (crc >> 8))]! ^
      SLICES[1536 + (bytes[i + 1]! ^ (crc & 0xff))]! ^
      SLICES[1280 + bytes[i + 2]!]! ^
      SLICES[1024 + bytes[i + 3]!]! ^
      SLICES[768 + bytes[i + 4]!]! ^
      SLICES[512 + bytes[i + 5]!]! ^
      SLICES[256 + bytes[i + 6]!]! ^
      SLICES[bytes[i + 7]!]!
  }
  for (; i < stop; i++) crc = ((crc << 8) & 0xffff) ^ SLICES[(crc >> 8) ^ bytes[i]!]!
  return crc
}

/** The guards of all sectors of `bio` as its bytes are now. A sector may lie across segments. */
const guards = (bio: Bio): Uint16Array => {
  const out = new Uint16Array(bio.data.length / SECTOR)
  bio.data.forEach((bytes, start, len, at) => {
    while (len > 0) {
      const n = Math.min(len, SECTOR - (at % SECTOR))
      const i = Math.floor(at / SECTOR)
      out[i] = crcT10(bytes, start, n, out[i])
      start += n
      at += n
      len -= n
    }
  })
  return out
}

const refTag = (bio: Bio, sector: number): number => (bio.pos / SECTOR + sector) % 2 ** 32

/**
 * Compute the tuples of `bio` from its bytes as they are now.
 * @param app application tag, 16 bits
 */
export const protect = (bio: Bio, app = 0): void => {
  const tuples = Buffer.allocUnsafe((bio.data.length / SECTOR) * TUPLE)
  guards(bio).forEach((guard, i) => {
    tuples.writeUInt16BE(guard, i * TUPLE)
    tuples.writeUInt16BE(app, i * TUPLE + 2)
    tuples.writeUInt32BE(refTag(bio, i), i * TUPLE + 4)
  })
  bio.protection = tuples
}

/** Bytes of `bio` before the first sector that does not match `tuples`; all of them if every sector does. */
export const matching = (bio: Bio, tuples: Buffer): number => {
  const now = guards(bio)
  const bad = now.findIndex((guard, i) => {
    if (tuples.readUInt16BE(i * TUPLE + 2) === APP_ESCAPE) return false
    return tuples.readUInt16BE(i * TUPLE) !== guard || tuples.readUInt32BE(i * TUPLE + 4) !== refTag(bio, i)
  })
  return bad < 0 ? bio.data.length : bad * SECTOR
}

/** Computes the tuples of each write that has none at the moment it is submitted. */
export class ProtectAtSubmit implements BlockDevice {
  readonly name: string
  readonly size: number
  private readonly device: BlockDevice

  constructor(device: BlockDevice) {
    this.device = device
    this.name = device.name
    this.size = device.size
  }

  submit(bio: Bio): void {
    if (bio.op === 'write' && bio.protection === null && inside(this, bio)) protect(bio)
    this.device.submit(bio)
  }
}

/** A drive that keeps and checks protection information; it asks the device below, which completes at once or later. */
export class ProtectedDevice implements BlockDevice {
  readonly name: string
  readonly size: number
  private readonly device: BlockDevice
  /** Tuples by sector number; a sector without one was never written here and is not checked. */
  private readonly stored = new Map<number, Buffer>()

  constructor(device: BlockDevice) {
    this.device = device
    this.name = `protected ${device.name}`
    this.size = device.size
  }

  submit(bio: Bio): void {
    if (!inside(this, bio) || bio.op === 'flush') return this.device.submit(bio)
    if (bio.op === 'read') return this.read(bio)
    if (bio.protection === null) protect(bio)
    const good = matching(bio, bio.protection!)
    if (good === bio.data.length) return this.write(bio.clone(0, good))
    if (good === 0) return bio.complete({ bytes: 0, errno: 'EILSEQ' })
    const [head, tail] = bio.split(good)
    tail!.complete({ bytes: 0, errno: 'EILSEQ' })
    this.write(head!)
  }

  private write(bio: Bio): void {
    bio.endIo = (completion) => {
      for (let i = 0; i < completion.bytes / SECTOR; i++) {
        const tuple = bio.protection!.subarray(i * TUPLE, (i + 1) * TUPLE)
        this.stored.set(bio.pos / SECTOR + i, Buffer.from(tuple))
      }
      return completion
    }
    this.device.submit(bio)
  }

  private read(bio: Bio): void {
    const whole = bio.clone(0, bio.data.length)
    whole.endIo = (completion) => this.check(whole, completion)
    this.device.submit(whole)
  }

  /** A read is good up to the first sector that is not as its tuple says. Hands the tuples to who reads. */
  private check(bio: Bio, completion: Completion): Completion {
    const tuples = Buffer.alloc((bio.data.length / SECTOR) * TUPLE, 0xff)
    for (let i = 0; i < tuples.length / TUPLE; i++) this.stored.get(bio.pos / SECTOR + i)?.copy(tuples, i * TUPLE)
    bio.parent!.protection = tuples
    const good = matching(bio, tuples)
    return good < completion.bytes ? { bytes: good, errno: 'EILSEQ' } : completion
  }
}
