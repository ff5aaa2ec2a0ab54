/**
 * Bio: one I/O over a PageVec, completed once with {bytes, errno}.
 *
 * Interface:
 * - make one, give it to `device.submit`, `yield bio.done`, then read `bio.completion`;
 * - `submitAndWait` does the three and raises EIO when not every byte was done.
 */
import type { Completion } from '../kernel/completion.ts'
import { type Kernel, type Op, raise } from '../kernel/kernel.ts'
import { PageVec } from '../kernel/page-vec.ts'
import type { BlockDevice } from './device.ts'

/** What a bio asks for. A flush has no data; a write may carry `fua`. */
export type BioOp = 'read' | 'write' | 'flush'

const nothing = new PageVec([])

/** One I/O. `pos` is in bytes on the device. */
export class Bio {
  readonly op: BioOp
  readonly pos: number
  readonly data: PageVec
  /** Force unit access: this write is durable at its completion. */
  readonly fua: boolean
  /** Null until the device, or the last child, completed it. */
  completion: Completion | null = null
  /** Wait for this with `yield`. */
  readonly done: Op

  constructor(op: BioOp, pos = 0, data: PageVec = nothing, fua = false) {
    this.op = op
    this.pos = pos
    this.data = data
    this.fua = fua
    this.done = { label: `${op} of ${data.length} bytes at ${pos}`, ready: () => this.completion !== null }
  }

  /** Called once by the device. @throws Error on a second call: a bug of the device */
  complete(completion: Completion): void {
    if (this.completion !== null) throw new Error(`${this.done.label}: completed twice`)
    this.completion = completion
  }
}

/** Submit, wait, and raise EIO unless every byte was done. */
export function* submitAndWait(device: BlockDevice, bio: Bio): Kernel<void, 'EIO'> {
  device.submit(bio)
  if (bio.completion === null) yield bio.done
  if (bio.completion!.errno !== null || bio.completion!.bytes < bio.data.length) yield* raise('EIO', 'EIO.bio')
}
