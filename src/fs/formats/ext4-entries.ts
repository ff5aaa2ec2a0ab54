/**
 * Entries: the extents of a map in core as an ext4 extent tree counts them.
 *
 * An extent on disk has at most 32768 blocks, an unwritten one 32767; longer ones are cut, from their first block on. Delayed
 * extents are no entries. Everything here is plain and looks at the map only.
 *
 * Source: fs/ext4/ext4_extents.h (EXT_INIT_MAX_LEN, EXT_UNWRITTEN_MAX_LEN).
 */
import type { BlockNr } from '../../kernel/units.ts'
import { type Extent, type ExtentMap, type ExtentState, isReal, MAPPED } from '../extent-map.ts'

/** Most blocks of one written extent on disk. */
export const WRITTEN_MAX = 32768
/** Most blocks of one unwritten extent on disk. */
export const UNWRITTEN_MAX = 32767
/** Bytes of an entry, and of a node's header. */
export const ENTRY = 12

const mostOf = (state: ExtentState): number => (state === MAPPED ? WRITTEN_MAX : UNWRITTEN_MAX)

/** Entries of one extent. */
const pieces = (e: Readonly<Extent>): number => (isReal(e.state) ? Math.ceil(e.n / mostOf(e.state)) : 0)

/** Entries of one extent that begin in [from, to). */
const piecesWithin = (e: Readonly<Extent>, from: number, to: number): number => {
  if (!isReal(e.state)) return 0
  const most = mostOf(e.state)
  const first = Math.max(0, Math.ceil((from - e.lblk) / most))
  return Math.max(0, Math.ceil((Math.min(to, e.lblk + e.n) - e.lblk) / most) - first)
}

/** Index of the first extent that ends behind block `lblk`. */
const indexAt = (list: ExtentMap['extents'], lblk: number): number => {
  let lo = 0
  let hi = list.length
  while (lo < hi) {
    const mid = (lo + hi) >>> 1
    if (list[mid]!.lblk + list[mid]!.n <= lblk) lo = mid + 1
    else hi = mid
  }
  return lo
}

/** Entries of the whole map, counted. */
export const entriesOf = (map: ExtentMap): number => {
  let n = 0
  for (const e of map.extents) n += pieces(e)
  return n
}

/** The same as a bound in O(1), with `blocks` more real blocks in `extents` more extents. */
export const entriesBound = (map: ExtentMap, extents: number, blocks: number): number =>
  map.extents.length - map.delayedExtents + extents + Math.floor((map.realBlocks + blocks) / UNWRITTEN_MAX)

/** What `entriesBound` will say of these extents, sorted, when they are in a map, where neighbours are merged. */
export const entriesBoundOf = (extents: readonly Readonly<Extent>[]): number => {
  let blocks = 0
  let n = 0
  let last: Readonly<Extent> | null = null
  for (const e of extents) {
    const joins = last !== null && last.state === e.state && last.lblk + last.n === e.lblk && last.pblk + last.n === e.pblk
    if (!joins) n++
    blocks += e.n
    last = e
  }
  return n + Math.floor(blocks / UNWRITTEN_MAX)
}

/** Entries that begin in [from, to). */
export const entriesWithin = (map: ExtentMap, from: number, to: number): number => {
  const list = map.extents
  let n = 0
  for (let i = indexAt(list, from); i < list.length && list[i]!.lblk < to; i++) n += piecesWithin(list[i]!, from, to)
  return n
}

/** Are there fewer than `n` entries in [from, to)? */
export const fewerWithin = (map: ExtentMap, from: number, to: number, n: number): boolean => {
  const list = map.extents
  // An extent is at least one entry, but for one that began before.
  if (map.delayedExtents === 0 && indexAt(list, to) - indexAt(list, from) > n) return false
  return entriesWithin(map, from, to) < n
}

/** The block at which the entry number `n`, from 0, of those that begin at `from` or behind it begins. */
export const entryAt = (map: ExtentMap, from: number, n: number): number => {
  const list = map.extents
  for (let i = indexAt(list, from); i < list.length; i++) {
    const e = list[i]!
    const here = piecesWithin(e, from, Infinity)
    if (n < here) return e.lblk + Math.max(0, Math.ceil((from - e.lblk) / mostOf(e.state)) + n) * mostOf(e.state)
    n -= here
  }
  throw new Error(`no entry ${n} behind block ${from}`)
}

/** How many entries each of the leaves that begin at `keys` has; the first one begins at 0. */
export const entriesByLeaf = (map: ExtentMap, keys: readonly number[]): number[] => {
  const counts = keys.map(() => 0)
  let leaf = 0
  for (const e of map.extents) {
    while (leaf + 1 < keys.length && keys[leaf + 1]! <= e.lblk) leaf++
    for (let left = pieces(e), i = leaf; left > 0; i++) {
      const here = i + 1 < keys.length ? piecesWithin(e, i === leaf ? 0 : keys[i]!, keys[i + 1]!) : left
      counts[i]! += here
      left -= here
    }
  }
  return counts
}

/**
 * Where the leaves begin if the entries, and `more` at `lblk`, are spread evenly over so many.
 * @param lblk where entries will be added; -1 if none
 */
export const evenKeys = (map: ExtentMap, leaves: number, lblk: number, more: number): number[] => {
  const all = entriesOf(map) + more
  const before = more === 0 ? all : entriesWithin(map, 0, lblk)
  const keys: number[] = []
  let index = 0
  const put = (at: number): void => {
    while (keys.length < leaves && Math.floor((keys.length * all) / leaves) <= index) keys.push(at)
    index++
  }
  for (const e of map.extents) {
    for (let i = 0; i < pieces(e); i++) {
      if (index === before) for (let j = 0; j < more; j++) put(lblk)
      put(e.lblk + i * mostOf(e.state))
    }
  }
  while (keys.length < leaves) put(lblk < 0 ? map.end : Math.max(lblk, keys.at(-1) ?? 0))
  return keys
}

/** All entries, as they stand in leaves. */
export const encode = (map: ExtentMap): Buffer => {
  const out = Buffer.alloc(entriesOf(map) * ENTRY)
  let at = 0
  for (const e of map.extents) {
    if (!isReal(e.state)) continue
    const most = mostOf(e.state)
    for (let done = 0; done < e.n; done += most) {
      const n = Math.min(most, e.n - done)
      writeEntry(out, at, e.lblk + done, e.state === MAPPED ? n : n + WRITTEN_MAX, e.pblk + done)
      at += ENTRY
    }
  }
  return out
}

const writeEntry = (out: Buffer, at: number, lblk: number, len: number, pblk: BlockNr): void => {
  out.writeUInt32LE(lblk, at)
  out.writeUInt16LE(len, at + 4)
  out.writeUInt32LE(pblk, at + 8)
}
