/**
 * Freed: blocks that are free in the bitmap and whose freeing is not durable yet. Under a journal nobody may have them: the
 * former owner could come back in a crash, with the data of the next one.
 *
 * Source: ext4_free_data in fs/ext4/mballoc.h.
 */
import type { Restore } from '../../kernel/checkpoint.ts'
import type { Run } from '../format.ts'
import { fillBits } from './bitmap.ts'

/** The blocks that wait for a commit. */
export class Freed {
  /** How many. */
  blocks = 0
  /** Those of the running transaction. */
  #running: Run[] = []
  /** All of them as bits, by group. */
  readonly #bits = new Map<number, Buffer>()

  checkpoint(): Restore {
    const { blocks } = this
    const running = this.#running.slice()
    const bits = [...this.#bits].map(([g, map]) => [g, Buffer.from(map)] as const)
    return () => {
      this.blocks = blocks
      this.#running = running.slice()
      this.#bits.clear()
      for (const [g, map] of bits) this.#bits.set(g, Buffer.from(map))
    }
  }

  /** What nobody may have: the bitmap of group `g`, and what waits there. */
  with(g: number, bitmap: Buffer): Buffer {
    const waiting = this.#bits.get(g)
    if (waiting === undefined) return bitmap
    const both = Buffer.from(bitmap)
    for (let i = 0; i < both.length; i++) both[i]! |= waiting[i]!
    return both
  }

  /** `run` lies in group `g`, whose bitmap has `bytes` bytes, from `bit` on. */
  add(g: number, bit: number, run: Run, bytes: number): void {
    let map = this.#bits.get(g)
    if (map === undefined) this.#bits.set(g, (map = Buffer.alloc(bytes)))
    fillBits(map, bit, run.n, 1)
    this.#running.push(run)
    this.blocks += run.n
  }

  /** What was added since the last call. */
  take(): readonly Run[] {
    const running = this.#running
    this.#running = []
    return running
  }

  /** The freeing of `n` blocks of group `g` is durable. */
  release(g: number, bit: number, n: number): void {
    fillBits(this.#bits.get(g)!, bit, n, 0)
    this.blocks -= n
    if (this.blocks === 0) this.#bits.clear()
  }
}
