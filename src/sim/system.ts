/**
 * System: what the schedulers and the explorer of this folder ask of a world that they run again and again.
 *
 * A world is a set of fibers over shared objects, numbered from 0. Between two yields a fiber runs alone: that is a *step*.
 * During a step the world notes in `footprint` every object that is read or written; after it, the explorer asks for the
 * digests of the written ones. From these two the explorer knows which steps commute and which states are equal; it knows
 * nothing else of the world, and the world knows nothing of schedules.
 *
 * Obligations of a world:
 * - `begin` brings back the very same first state, however the last run ended, and gives new fibers in the same order;
 * - a fiber's behaviour depends on nothing but the objects that it noted, and the choices that it was given;
 * - two values of an object with the same digest are the same value, but for the collisions of a 53-bit hash;
 * - `history`, of what happened in which order, is an object like any other, if `stepped` or `ended` judge by it.
 */
import type { Choices } from '../kernel/choices.ts'
import type { Errno } from '../kernel/errno.ts'
import type { Kernel } from '../kernel/kernel.ts'

/** One thread of a world. */
export interface Fiber {
  /** As a timeline shows it: `writer 1`, `truncate`, `device`. */
  readonly name: string
  readonly kernel: Kernel<unknown, Errno>
  /** The run is over when all others have ended: a device, a flusher. */
  readonly daemon?: boolean
}

/** A claim that did not hold, and how that showed. */
export interface Violation {
  /** `I12`. */
  readonly claim: string
  readonly what: string
}

/** A world that can be run again. */
export interface System {
  /** The objects that the running step has read and written. The scheduler clears it before each step. */
  readonly footprint: Footprint
  /** Back to the first state. Choices of kinds other than `schedule` are asked of `choices` by the fibers themselves. */
  begin(choices: Choices): readonly Fiber[]
  /** Digest of the present value of an object: an integer from 0 to 2^53 - 1. */
  digest(object: number): number
  /**
   * A step of fiber `fiber` ended.
   * @param judged this very step, after the very same ones, was the same step of the run before, and nothing was wrong: no need to
   * look again, and it changes what it changed then
   * @returns what is wrong now, or null
   */
  stepped(fiber: number, judged?: boolean): Violation | null
  /** All fibers that are no daemons ended. @returns what is wrong at rest */
  ended(): readonly Violation[]
}

/** Most objects that a footprint tells apart in its bit sets; larger numbers share bits, which is safe: they conflict more often. */
const BITS = 64

/** The objects that one step read and wrote. A written object counts as read. */
export class Footprint {
  /** Objects in the order in which they were first noted. */
  readonly objects: number[] = []
  /** Bit sets of the objects, 64 wide in two words: read, and written. */
  readLow = 0
  readHigh = 0
  writeLow = 0
  writeHigh = 0
  /** By object: 1 read, 3 written, in this step. */
  #noted = new Uint8Array(256)

  /** The step reads object `o`. */
  see(o: number): void {
    if (o >= this.#noted.length) this.#grow(o)
    if (this.#noted[o] !== 0) return
    this.#noted[o] = 1
    this.objects.push(o)
    const bit = 1 << (o & 31)
    if (o % BITS < 32) this.readLow |= bit
    else this.readHigh |= bit
  }

  /** The step writes object `o`. */
  touch(o: number): void {
    this.see(o)
    if (this.#noted[o] === 3) return
    this.#noted[o] = 3
    const bit = 1 << (o & 31)
    if (o % BITS < 32) this.writeLow |= bit
    else this.writeHigh |= bit
  }

  /** Was object `o`, which is in `objects`, written? */
  isWritten(o: number): boolean {
    return this.#noted[o] === 3
  }

  #grow(o: number): void {
    const noted = new Uint8Array(2 * o)
    noted.set(this.#noted)
    this.#noted = noted
  }

  /** Forget all: a new step begins. */
  clear(): void {
    const { objects } = this
    for (let k = 0; k < objects.length; k++) this.#noted[objects[k]!] = 0
    objects.length = 0
    this.readLow = 0
    this.readHigh = 0
    this.writeLow = 0
    this.writeHigh = 0
  }
}
