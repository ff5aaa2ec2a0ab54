/**
 * OverlayDevice: a device read-only, with some of its blocks replaced in memory.
 *
 * What a journal would write in place is seen by readers, and nothing is written: for a mount that may not write and whose
 * journal is not empty. A write completes with EIO and 0 bytes; a flush has nothing to do.
 */
import type { Completion } from '../kernel/completion.ts'
import type { BlockNr } from '../kernel/units.ts'
import type { Bio } from './bio.ts'
import type { BlockDevice } from './device.ts'

const refused: Completion = { bytes: 0, errno: 'EIO' }
const done: Completion = { bytes: 0, errno: null }

/** A device under a layer of blocks. */
export class OverlayDevice implements BlockDevice {
  readonly name: string
  readonly size: number
  readonly #below: BlockDevice
  /** Bytes. */
  readonly #blockSize: number
  readonly #blocks: ReadonlyMap<BlockNr, Buffer>

  /** @param blocks whole blocks of `blockSize` bytes by number */
  constructor(below: BlockDevice, blockSize: number, blocks: ReadonlyMap<BlockNr, Buffer>) {
    this.name = below.name
    this.size = below.size
    this.#below = below
    this.#blockSize = blockSize
    this.#blocks = blocks
  }

  submit(bio: Bio): void {
    if (bio.op === 'flush') return bio.complete(done)
    if (bio.op === 'write') return bio.complete(refused)
    const child = bio.clone(0, bio.data.length)
    child.endIo = (completion) => {
      if (completion.errno === null) this.#replace(child)
      return completion
    }
    this.#below.submit(child)
  }

  /** Put our blocks over what was read. */
  #replace({ data, pos }: Bio): void {
    const size = this.#blockSize
    data.forEach((bytes, start, len, at) => {
      for (let i = 0; i < len; ) {
        const from = pos + at + i
        const n = Math.min(len - i, size - (from % size))
        this.#blocks.get(Math.floor(from / size))?.copy(bytes, start + i, from % size, (from % size) + n)
        i += n
      }
    })
  }
}
