/**
 * FaultyDevice: fails where the choices say so.
 *
 * Fault model: each bio may fail with EIO, by the choice `EIO.read`, `EIO.write` or `EIO.flush` (0 = it does not). A
 * read or write that fails has done a whole number of sectors first, fewer than all, by the choice `EIO.read.sectors`
 * or `EIO.write.sectors` (0 = none): these reached the device below, the others did not. Later bios are judged afresh.
 *
 * A bio for something outside the device is not asked about: the device below refuses it.
 */
import type { Choices } from '../kernel/choices.ts'
import { SECTOR } from '../kernel/units.ts'
import type { Bio } from './bio.ts'
import { type BlockDevice, inside } from './device.ts'

/** A device whose I/O may fail. */
export class FaultyDevice implements BlockDevice {
  readonly name: string
  readonly size: number
  private readonly device: BlockDevice
  private readonly choices: Choices

  constructor(device: BlockDevice, choices: Choices) {
    this.device = device
    this.choices = choices
    this.name = `faulty ${device.name}`
    this.size = device.size
  }

  submit(bio: Bio): void {
    const label = `EIO.${bio.op}`
    if (!inside(this, bio) || this.choices.choose(2, 'fault', label) === 0) return this.device.submit(bio)
    const sectors = bio.data.length / SECTOR
    const done = sectors > 1 ? this.choices.choose(sectors, 'short', `${label}.sectors`) * SECTOR : 0
    if (done === 0) return bio.complete({ bytes: 0, errno: 'EIO' })
    const [head, tail] = bio.split(done)
    tail!.complete({ bytes: 0, errno: 'EIO' })
    this.device.submit(head!)
  }
}
