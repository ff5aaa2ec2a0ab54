/** Past: the file of a program when its fibers begin: its size, and every byte. */
import type { Action } from './program.ts'
import { payload } from './actor.ts'

/** Most bytes of a world's file. */
export const MOST_BYTES = 96 * 1024

/** The file before the fibers. */
export class Past {
  size = 0
  readonly bytes = Buffer.alloc(MOST_BYTES)

  /** An action was done, and nothing failed. */
  did(a: Action, tag: number): void {
    if (a.op === 'write' || a.op === 'store' || a.op === 'dma') {
      const n = a.op === 'write' ? Math.min(a.len, a.readable ?? a.len) : Math.min(a.len, this.size - a.pos)
      const pos = a.op === 'write' && a.append === true ? this.size : a.pos
      if (n > 0) payload(a, tag).copy(this.bytes, pos, 0, n)
      if (a.op === 'write') this.size = Math.max(this.size, pos + n)
    } else if (a.op === 'punch' || a.op === 'zero') {
      const to = a.op === 'punch' ? Math.min(a.pos + a.len, this.size) : a.pos + a.len
      if (to > a.pos) this.bytes.fill(0, a.pos, to)
      if (a.op === 'zero') this.size = Math.max(this.size, to)
    } else if (a.op === 'truncate') {
      this.bytes.fill(0, a.size)
      this.size = a.size
    } else if (a.op === 'allocate' && a.keep !== true) this.size = Math.max(this.size, a.pos + a.len)
  }
}
