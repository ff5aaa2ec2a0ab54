/**
 * LoggedData: data=journal. Data of files goes to the running transaction instead of to its place, and is read from wherever
 * its newest version is. A write completes at once: it becomes durable with the commit, as metadata does.
 *
 * The bytes are copied at submission, so that a page may change while they are on their way (Z54).
 * Source: ext4_journalled_write_end, __ext4_journalled_writepage (fs/ext4/inode.c).
 */
import type { Bio } from '../../block/bio.ts'
import type { BlockDevice } from '../../block/device.ts'
import type { Journal } from './journal.ts'

/** The device of a mount whose data is logged. */
export class LoggedData implements BlockDevice {
  readonly name: string
  readonly size: number
  readonly #device: BlockDevice
  readonly #journal: Journal

  constructor(device: BlockDevice, journal: Journal) {
    this.name = device.name
    this.size = device.size
    this.#device = device
    this.#journal = journal
  }

  submit(bio: Bio): void {
    if (bio.op === 'flush') return this.#device.submit(bio)
    if (bio.op === 'read') return this.#read(bio)
    const block = this.#journal.cache.blockSize
    for (let off = 0; off < bio.data.length; off += block) {
      const bytes = Buffer.alloc(block)
      bio.data.slice(off, block).copyTo(bytes)
      this.#journal.logData((bio.pos + off) / block, bytes)
    }
    bio.complete({ bytes: bio.data.length, errno: null })
  }

  #read(bio: Bio): void {
    const block = this.#journal.cache.blockSize
    const whole = bio.clone(0, bio.data.length)
    whole.endIo = (completion) => {
      for (let at = bio.pos - (bio.pos % block); at < bio.pos + bio.data.length; at += block) {
        const newest = this.#journal.newest(at / block)
        if (newest === null) continue
        const from = Math.max(at, bio.pos)
        const len = Math.min(at + block, bio.pos + bio.data.length) - from
        bio.data.slice(from - bio.pos, len).copyFrom(newest, from - at)
      }
      return completion
    }
    this.#device.submit(whole)
  }
}
