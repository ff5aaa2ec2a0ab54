/**
 * Dirents: the records of one directory block, and the index of a directory in core.
 *
 * A record is inode (4 bytes), rec_len (2), name length (1), file type (1), name, padding to 4. The records fill the
 * block; inode 0 is a free record. A removed record is joined to the one before it, or stays free at the start of its
 * block. Names are UTF-8; bytes that are none appear as U+FFFD.
 *
 * Source: struct ext2_dir_entry_2 in fs/ext2/ext2.h; fs/ext2/dir.c.
 */

/** Bytes of a record before its name. */
const HEAD = 8
/** Longest name in bytes. */
export const NAME_MAX = 255

/** Bytes of a record with a name of `n` bytes. */
export const recordSize = (n: number): number => (HEAD + n + 3) & ~3

/** One record as it lies in a block. */
export interface Slot {
  readonly at: number
  readonly ino: number
  readonly recLen: number
  readonly nameLen: number
  readonly type: number
}

const slotAt = (data: Buffer, at: number): Slot => ({
  at,
  ino: data.readUInt32LE(at),
  recLen: data.readUInt16LE(at + 4),
  nameLen: data[at + 6]!,
  type: data[at + 7]!,
})

/** All records of a block in order, the free ones included; null if the block is damaged. */
export const slots = (data: Buffer): Slot[] | null => {
  const out: Slot[] = []
  for (let at = 0; at < data.length; ) {
    if (at + HEAD > data.length) return null
    const slot = slotAt(data, at)
    const least = slot.ino === 0 ? HEAD : recordSize(slot.nameLen)
    if (slot.recLen < least || slot.recLen % 4 !== 0 || at + slot.recLen > data.length) return null
    out.push(slot)
    at += slot.recLen
  }
  return out
}

/** The name of a record. */
export const nameOf = (data: Buffer, slot: Slot): string =>
  data.toString('utf8', slot.at + HEAD, slot.at + HEAD + slot.nameLen)

/** Bytes of a record that are free for another one. */
const gapAt = (data: Buffer, at: number): number =>
  data.readUInt16LE(at + 4) - (data.readUInt32LE(at) === 0 ? 0 : recordSize(data[at + 6]!))

/** The largest record that a block, already found sane, has room for. */
export const largestGap = (data: Buffer): number => {
  let most = 0
  for (let at = 0; at < data.length; at = next(data, at)) most = Math.max(most, gapAt(data, at))
  return most
}

/**
 * Where the record behind the one at `at` begins. A block that was sane may have become something else if a damaged file
 * system uses it twice: then this is the end, for the sake of those who walk.
 */
const next = (data: Buffer, at: number): number => {
  const recLen = data.readUInt16LE(at + 4)
  return recLen < HEAD || at + recLen + HEAD > data.length ? data.length : at + recLen
}

/** Write one record. */
export const putRecord = (
  data: Buffer, at: number, recLen: number, ino: number, name: Buffer, type: number,
): void => {
  data.writeUInt32LE(ino, at)
  data.writeUInt16LE(recLen, at + 4)
  data[at + 6] = name.length
  data[at + 7] = type
  name.copy(data, at + HEAD)
  data.fill(0, at + HEAD + name.length, at + recordSize(name.length))
}

/** Put a record into the first gap that is large enough. @returns where; -1 if there is none */
export const insertRecord = (data: Buffer, ino: number, name: Buffer, type: number): number => {
  const need = recordSize(name.length)
  for (let at = 0; at < data.length; at = next(data, at)) {
    const gap = gapAt(data, at)
    if (gap < need || at + data.readUInt16LE(at + 4) > data.length) continue
    const recLen = data.readUInt16LE(at + 4)
    data.writeUInt16LE(recLen - gap, at + 4)
    const free = at + recLen - gap
    putRecord(data, free, gap, ino, name, type)
    return free
  }
  return -1
}

/**
 * Remove the record at `target`; its space goes to the record before it.
 * @returns false, with nothing changed, if no record begins there: the block is used twice
 */
export const removeRecord = (data: Buffer, target: number): boolean => {
  let before = -1
  let at = 0
  for (; at < target; at = next(data, at)) before = at
  const joined = (before < 0 ? 0 : data.readUInt16LE(before + 4)) + data.readUInt16LE(target + 4)
  if (at !== target || joined > data.length) return false
  data.writeUInt32LE(0, target)
  if (before >= 0) data.writeUInt16LE(joined, before + 4)
  return true
}

/** The names of one directory in core, and which of its blocks have room. Positions are bytes of the directory file. */
export class DirIndex {
  readonly #at = new Map<string, number>()
  /** Largest gap of each block; -1 for a hole. */
  readonly #gaps: number[] = []
  /** By record size / 4: no block before this one has room for it. */
  readonly #hint = new Int32Array(recordSize(NAME_MAX) / 4 + 1)

  /** Names in the directory. */
  get size(): number {
    return this.#at.size
  }
  /** Position of the record of `name`, or undefined. */
  find(name: string): number | undefined {
    return this.#at.get(name)
  }
  put(name: string, pos: number): void {
    this.#at.set(name, pos)
  }
  delete(name: string): void {
    this.#at.delete(name)
  }

  /** Block `i` has room for a record of `gap` bytes, at most. */
  setGap(i: number, gap: number): void {
    const grew = gap > (this.#gaps[i] ?? -1)
    this.#gaps[i] = gap
    if (!grew) return
    for (let c = Math.min(this.#hint.length - 1, gap >> 2); c >= 0 && this.#hint[c]! > i; c--) this.#hint[c] = i
  }

  /** The first block with room for a record of `need` bytes, or -1. */
  blockFor(need: number): number {
    let i = this.#hint[need >> 2]!
    while (i < this.#gaps.length && this.#gaps[i]! < need) i++
    this.#hint[need >> 2] = i
    return i < this.#gaps.length ? i : -1
  }
}
