/**
 * Epochs: a log cut where something becomes durable, and what is uncertain in each piece.
 *
 * A volatile cache keeps any subset of the writes since the last flush that completed, and of each block a prefix of its
 * versions: version 0 is the durable one, version k the block after its k-th write. A flush makes all that is in the cache
 * durable; a write with FUA its own blocks. So the states of an epoch are the product over its uncertain blocks of their
 * versions, and those of every crash point inside it are among them.
 *
 * `Medium` is the durable state under the states of an epoch; it moves along as epochs are taken.
 */
import type { CrashLog } from './log.ts'

/** A block of which a crash may leave one of several versions. */
export interface Uncertain {
  readonly nr: number
  /** The durable one first; no two neighbours are equal. */
  readonly versions: readonly Buffer[]
  /** Position in the log behind which each version exists; 0 for the durable one. */
  readonly since: readonly number[]
}

/** A stretch of the log at whose end something becomes durable, or the log ends. */
export interface Epoch {
  readonly index: number
  /** Positions in the log: entries [from, to). The entry that ends it is in it, and has not completed in any of the states. */
  readonly from: number
  readonly to: number
  /** Where the power goes at the latest: before the entry that makes it durable has completed, or at the end of the log. */
  readonly last: number
  /** By block number. */
  readonly uncertain: readonly Uncertain[]
}

/** How a drive may behave. */
export interface DriveOptions {
  /** False: the drive says that it has flushed, and has not; FUA is a lie, too. */
  readonly flushes?: boolean
}

/** The durable state. */
export class Medium {
  readonly #first: (nr: number) => Buffer
  readonly #blocks = new Map<number, Buffer>()

  /** @param first what the blocks held when the recording began; the bytes it returns are never changed */
  constructor(first: (nr: number) => Buffer) {
    this.#first = first
  }

  /** Block `nr` as it is durable now; the same buffer until it changes. */
  read(nr: number): Buffer {
    let bytes = this.#blocks.get(nr)
    if (bytes === undefined) this.#blocks.set(nr, (bytes = this.#first(nr)))
    return bytes
  }

  write(nr: number, bytes: Buffer): void {
    this.#blocks.set(nr, bytes)
  }
}

interface Pending {
  readonly versions: Buffer[]
  readonly since: number[]
}

/** The epochs of a log in order. `medium` is at the start of an epoch when it is yielded. */
export function* epochsOf({ entries }: CrashLog, medium: Medium, { flushes = true }: DriveOptions = {}): Generator<Epoch> {
  let pending = new Map<number, Pending>()
  let [from, index] = [0, 0]
  const epoch = (to: number, last: number): Epoch => {
    const uncertain = [...pending].filter(([, p]) => p.versions.length > 1).sort(([a], [b]) => a - b)
    return {
      index: index++, from, to, last,
      uncertain: uncertain.map(([nr, { versions, since }]) => ({ nr, versions: [...versions], since: [...since] })),
    }
  }
  for (const [at, e] of entries.entries()) {
    if (e.kind === 'write') {
      for (const { nr, bytes } of e.blocks) {
        let p = pending.get(nr)
        if (p === undefined) pending.set(nr, (p = { versions: [medium.read(nr)], since: [0] }))
        if (p.versions.at(-1)!.equals(bytes)) continue
        p.versions.push(bytes)
        p.since.push(at + 1)
      }
    }
    if (!flushes || (e.kind === 'write' && !e.fua)) continue
    // FUA is durable when it completes; that it was on its way is the last state before.
    yield epoch(at + 1, at)
    const durable = e.kind === 'flush' ? [...pending.keys()] : e.blocks.map(({ nr }) => nr)
    for (const nr of durable) {
      medium.write(nr, pending.get(nr)!.versions.at(-1)!)
      pending.delete(nr)
    }
    from = at + 1
  }
  yield epoch(entries.length, entries.length)
  pending = new Map()
}

/** Versions of a block that exist at `point`, a position of the log in this epoch: of [0, n). What is on its way may be there. */
export const versionsAt = (epoch: Epoch, { since }: Uncertain, at: number): number => {
  const point = at === epoch.last ? epoch.to : at
  let n = 1
  while (n < since.length && since[n]! <= point) n++
  return n
}
