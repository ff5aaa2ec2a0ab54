/**
 * SectorGuards: T10 guards computed at copy-in, kept beside the pages until writeback takes them along.
 *
 * A design that claims `checksumAt: 'copy'` has the checksum taken from the bytes that the caller of write(2) gave, so that
 * whatever changes them afterwards without a right to (a device through a pin, a stray store) is found by the drive. A
 * store that has a right to (through a mapping, or the file system zeroing past the end) forgets the guard; such a sector is
 * checksummed at submit, like all sectors of other designs.
 * Source of the wish: "perhaps even allow us to generate checksums during copy-in" (Chinner, seed 002).
 */
import { crcT10 } from '../block/t10.ts'
import type { Restore } from '../kernel/checkpoint.ts'
import { SECTOR } from '../kernel/units.ts'

/** The guards of one slab, a sector each. */
export class SectorGuards {
  readonly #bytes: Buffer
  readonly #guards: Uint16Array
  readonly #known: Uint8Array

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#guards = new Uint16Array(bytes.length / SECTOR)
    this.#known = new Uint8Array(bytes.length / SECTOR)
  }

  /** Take the guards of every sector that bytes [start, start + n) of the slab touch. */
  take(start: number, n: number): void {
    const last = Math.floor((start + n - 1) / SECTOR)
    for (let s = Math.floor(start / SECTOR); s <= last; s++) {
      this.#guards[s] = crcT10(this.#bytes, s * SECTOR, SECTOR)
      this.#known[s] = 1
    }
  }

  /** The bytes [start, start + n) of the slab may change from now on. */
  forget(start: number, n: number): void {
    this.#known.fill(0, Math.floor(start / SECTOR), Math.ceil((start + n) / SECTOR))
  }

  checkpoint(): Restore {
    const [guards, known] = [this.#guards.slice(), this.#known.slice()]
    return () => {
      this.#guards.set(guards)
      this.#known.set(known)
    }
  }

  /** Guard of the sector that starts at `start`, or null if it was not taken at copy-in. */
  at(start: number): number | null {
    const s = start / SECTOR
    return this.#known[s] === 1 ? this.#guards[s]! : null
  }
}
