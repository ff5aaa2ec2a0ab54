/**
 * Recover: what a mount would replay of a crash state: the pure plan of src/fs/journal over the blocks of the state.
 *
 * As the kernel does: a superblock without the RECOVER flag means that the log is thrown away (ext4_load_journal); a log that is
 * damaged where it was committed is refused. Blocks of the log are decoded once for each version, however many states hold it.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { INCOMPAT_RECOVER, SB, SB_POS } from '../../fs/formats/superblock.ts'
import { LogReader, planRecovery, replayedBytes } from '../../fs/journal/recovery.ts'
import { decodeJournalSuper, type JournalSuper } from '../../fs/journal/super.ts'
import { inodeOf, type Layout, mapOf, type ReadBlock } from './ext.ts'
import type { Recover } from './judge.ts'

const NOTHING: ReadonlyMap<number, Buffer> = new Map()

/** The recovery of a file system whose journal lies where `read` says; null: it has none. */
export const recoveryOf = (layout: Layout, read: ReadBlock): Recover | null => {
  if (layout.journalIno === 0) return null
  const { blockSize } = layout.geo
  const places: number[] = []
  const { runs } = mapOf(layout, read, inodeOf(layout, read, layout.journalIno))
  for (const { n, pblk } of runs) for (let i = 0; i < n; i++) places.push(pblk + i)
  const supers = new WeakMap<Buffer, JournalSuper | string>()
  const unescaped = new WeakMap<Buffer, Buffer>()
  let reader: LogReader | null = null
  return (block) => {
    const sb = block(Math.floor(SB_POS / blockSize))
    if ((sb.readUInt32LE((SB_POS % blockSize) + SB.incompat) & INCOMPAT_RECOVER) === 0) return NOTHING
    const raw = block(places[0]!)
    let js = supers.get(raw)
    if (js === undefined) {
      const parsed = decodeJournalSuper(raw, blockSize, places.length)
      supers.set(raw, (js = isLeft(parsed) ? parsed.left : parsed.right))
    }
    if (typeof js === 'string') return js
    if (js.start === 0) return NOTHING
    if (reader === null || !reader.serves(js)) reader = new LogReader(js)
    const plan = planRecovery(js, (b) => block(places[b]!), reader)
    if (plan.problem !== null) return plan.problem
    const writes = new Map<number, Buffer>()
    for (const replay of plan.replays) {
      let bytes: Buffer | undefined = replay.data
      if (replay.escaped) {
        bytes = unescaped.get(replay.data)
        if (bytes === undefined) unescaped.set(replay.data, (bytes = replayedBytes(replay)))
      }
      writes.set(replay.nr, bytes)
    }
    return writes
  }
}
