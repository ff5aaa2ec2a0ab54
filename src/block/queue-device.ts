/**
 * QueueDevice: holds bios back until somebody says which one goes on.
 *
 * Interface:
 * - `submit` queues; nothing of the bio's memory is touched yet;
 * - `completeNext(i)` transfers the i-th waiting bio on the device below, and thereby completes it. Between the two the
 *   owner of the memory may change the bytes: the window in which an unstable page becomes a wrong checksum;
 * - a bio cancelled meanwhile leaves the queue untransferred;
 * - order: none is promised. A flush covers the writes that completed before it was submitted, as on a real device.
 *
 * Put it above a cache or a checking device: what is below completes at once.
 */
import type { Bio } from './bio.ts'
import type { BlockDevice } from './device.ts'

/** A device in which every completion is somebody's decision. */
export class QueueDevice implements BlockDevice {
  readonly name: string
  readonly size: number
  private readonly device: BlockDevice
  private queue: Bio[] = []

  constructor(device: BlockDevice) {
    this.device = device
    this.name = `queue on ${device.name}`
    this.size = device.size
  }

  /** Waiting bios in the order of submission. */
  get waiting(): readonly Bio[] {
    return (this.queue = this.queue.filter((bio) => bio.completion === null))
  }

  submit(bio: Bio): void {
    this.queue.push(bio)
  }

  /**
   * Transfer and complete the `i`-th waiting bio. False if there is none.
   * @param i index into `waiting`; 0, the oldest, is the simplest
   */
  completeNext(i = 0): boolean {
    const bio = this.waiting[i]
    if (bio === undefined) return false
    this.queue.splice(i, 1)
    this.device.submit(bio)
    return true
  }

  /** Complete everything, also what is submitted meanwhile; `pick(n)` says which of `n` goes next. */
  drain(pick: (n: number) => number = () => 0): void {
    for (let n = this.waiting.length; n > 0; n = this.waiting.length) this.completeNext(pick(n))
  }
}
