/**
 * Bio: one I/O over a PageVec, completed once with {bytes, errno}.
 *
 * Interface:
 * - make one, give it to `device.submit`, `yield bio.done`, then read `bio.completion`;
 * - `submitAndWait` does the three and raises EIO when not every byte was done;
 * - or carve it: `clone` and `split` make children, which are submitted instead of the bio. A child shares the
 *   parent's segments and has its own position and length: no byte and no segment is copied.
 *
 * The laws of children, at any depth and in any order of completion:
 *  (1) children never overlap; the parent completes when they tile its range and every one has completed. Without the
 *      first half a parent would complete after its first child, while others are still being carved;
 *  (2) bytes go up by the prefix rule: children count in file order, the first one that is short or failed ends the
 *      count. The errno is that of the first child in file order that has one;
 *  (3) a later success never hides an earlier child's error (Linux had that bug three times: af3e3a5259e3,
 *      3edf5346e4f2, 45b4789);
 *  (4) `cancel` reaches every descendant whose transfer has not begun, and the part that nobody carved, with ECANCELED;
 *      what has completed stays as it is, what is being transferred completes in its own time.
 *
 * Source: Stephen Tweedie on clone kiobufs, Suparna Bhattacharya on reaching the children to cancel them, 2001 (seed
 * 004); bio_alloc_clone, bio_split and bio_chain in block/bio.c, which dropped the bytes in 2007 (6712ecf8f648).
 */
import type { Completion } from '../kernel/completion.ts'
import type { Errno } from '../kernel/errno.ts'
import { type Kernel, type Op, raise } from '../kernel/kernel.ts'
import { PageVec } from '../kernel/page-vec.ts'
import { SECTOR } from '../kernel/units.ts'
import type { BlockDevice } from './device.ts'

/** What a bio asks for. A flush has no data; a write may carry `fua`. */
export type BioOp = 'read' | 'write' | 'flush'

/** Bytes of protection information per sector (see t10.ts). */
export const TUPLE = 8

/** What `cancel` achieved, counted in bios that have no children. */
export interface Cancelled {
  /** completed with ECANCELED by this call */
  readonly cancelled: number
  /** already completed, or being transferred */
  readonly tooLate: number
}

const nothing = new PageVec([])
const canceled: Completion = { bytes: 0, errno: 'ECANCELED' }

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
  /** The bio that this one was carved from. */
  readonly parent: Bio | null
  /** Children in file order; empty for a bio that is submitted itself. */
  readonly children: Bio[] = []
  /** Set by a device when the transfer of bytes begins: from then on it is too late to cancel. */
  started = false
  /** Protection information, TUPLE bytes per sector, or null. Children share it. */
  protection: Buffer | null = null
  /**
   * Called once, before anybody sees the completion; what it returns is the completion. The place of a layer that has
   * work left when the bytes have arrived, as bi_end_io.
   */
  endIo: ((completion: Completion) => Completion) | null = null

  constructor(op: BioOp, pos = 0, data: PageVec = nothing, fua = false, parent: Bio | null = null) {
    this.op = op
    this.pos = pos
    this.data = data
    this.fua = fua
    this.parent = parent
    this.done = {
      get label() {
        return `${op} of ${data.length} bytes at ${pos}`
      },
      ready: () => this.completion !== null,
    }
  }

  /** Called once by the device. @throws Error on a second call: a bug of the device */
  complete(completion: Completion): void {
    this.settle(completion)
    // A loop, not a recursion: a stack of layers must not become a stack of calls (d89d87965dcb).
    for (let bio = this.parent; bio !== null && bio.isComplete(); bio = bio.parent) bio.settle(sum(bio.children))
  }

  /**
   * A child for [offset, offset + length) of this bio, bytes counted from its start. `pos` defaults to the same bytes
   * of the device; a layer that maps to another device gives the position there.
   * @throws RangeError if the range leaves this bio or overlaps a child; Error if this bio has completed: bugs
   */
  clone(offset: number, length: number, pos = this.pos + offset): Bio {
    if (this.completion !== null || this.started) throw new Error(`${this.done.label}: carved after its transfer began`)
    const at = this.children.findIndex((c) => c.offset >= offset + length)
    const i = at < 0 ? this.children.length : at
    const before = this.children[i - 1]
    if (before !== undefined && before.offset + before.data.length > offset) {
      throw new RangeError(`${this.done.label}: clone [${offset}, +${length}) overlaps another child`)
    }
    const child = new Bio(this.op, pos, this.data.slice(offset, length), this.fua, this)
    if (this.protection !== null) child.protection = tuples(this.protection, offset, length)
    this.children.splice(i, 0, child)
    return child
  }

  /**
   * Children that tile this bio, cut at the given offsets (bytes from its start).
   * @throws RangeError unless the offsets ascend strictly inside the bio: a bug of the caller
   */
  split(...at: readonly number[]): readonly Bio[] {
    const cuts = [0, ...at, this.data.length]
    if (cuts.some((cut, i) => i > 0 && cut <= cuts[i - 1]!)) {
      throw new RangeError(`${this.done.label}: cannot be split at ${at.join(', ')}`)
    }
    return cuts.slice(1).map((cut, i) => this.clone(cuts[i]!, cut - cuts[i]!))
  }

  /** Complete with ECANCELED whatever has not begun, here and below; law (4). */
  cancel(): Cancelled {
    if (this.completion !== null || this.started) return { cancelled: 0, tooLate: 1 }
    if (this.children.length === 0) {
      this.complete(canceled)
      return { cancelled: 1, tooLate: 0 }
    }
    this.carveRest()
    let [cancelled, tooLate] = [0, 0]
    for (const child of [...this.children]) {
      const below = child.cancel()
      cancelled += below.cancelled
      tooLate += below.tooLate
    }
    return { cancelled, tooLate }
  }

  /** Where this bio begins in its parent, in bytes. */
  private get offset(): number {
    return this.parent === null ? 0 : this.data.offset - this.parent.data.offset
  }

  private settle(completion: Completion): void {
    if (this.completion !== null) throw new Error(`${this.done.label}: completed twice`)
    this.completion = this.endIo === null ? completion : this.endIo(completion)
  }

  /** Law (1): the children tile this bio, and all have completed. */
  private isComplete(): boolean {
    let covered = 0
    for (const child of this.children) {
      if (child.completion === null) return false
      covered += child.data.length
    }
    return covered === this.data.length
  }

  /** Make children for the gaps, so that a bio which was carved in part can be cancelled as a whole. */
  private carveRest(): void {
    let from = 0
    for (const child of [...this.children]) {
      const { offset } = child
      if (offset > from) this.clone(from, offset - from)
      from = offset + child.data.length
    }
    if (from < this.data.length) this.clone(from, this.data.length - from)
  }
}

/** Laws (2) and (3): the completion of a parent, from completed children in file order. */
const sum = (children: readonly Bio[]): Completion => {
  let bytes = 0
  let errno: Errno | null = null
  let whole = true
  for (const { completion, data } of children) {
    if (whole) bytes += completion!.bytes
    whole &&= completion!.errno === null && completion!.bytes === data.length
    errno ??= completion!.errno
  }
  return { bytes, errno }
}

const tuples = (protection: Buffer, offset: number, length: number): Buffer => {
  if (offset % SECTOR !== 0 || length % SECTOR !== 0) {
    throw new RangeError(`clone [${offset}, +${length}): a bio with protection information is cut at sectors only`)
  }
  return protection.subarray((offset / SECTOR) * TUPLE, ((offset + length) / SECTOR) * TUPLE)
}

/** Submit, wait, and raise EIO unless every byte was done. */
export function* submitAndWait(device: BlockDevice, bio: Bio): Kernel<void, 'EIO'> {
  device.submit(bio)
  if (bio.completion === null) yield bio.done
  if (bio.completion!.errno !== null || bio.completion!.bytes < bio.data.length) yield* raise('EIO', 'EIO.bio')
}
