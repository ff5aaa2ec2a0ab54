/**
 * Digests: a number for the present value of every object of a world, brought up to date for the objects that a step noted.
 *
 * Whether a step wrote an object is found by comparing digests, not by trusting the code: an access that leaves the value as
 * it was is a read.
 */
import { isReal } from '../../fs/extent-map.ts'
import type { Footprint } from '../../sim/system.ts'
import type { History } from './history.ts'
import { fold, hashBytes } from './hash.ts'
import { bitsOf, lockOf, memoryOf, MOST_FOLIOS, OBJECT, OBJECTS, type Raw, SLOTS } from './objects.ts'
import type { World } from './world.ts'

/** What changed in a step, as bits: what a judge asks to be called for. */
export const CHANGED = {
  space: 1, map: 2, folio: 4, size: 8, disk: 16, format: 32, history: 64, cache: 128, lock: 256, errors: 512, bytes: 1024,
} as const

/** The digests of one world. */
export class Digests {
  /** Folios whose bits or bytes changed in the last step. */
  readonly changedFolios: Raw[] = []
  readonly #world: World
  readonly #history: History
  readonly #folios: readonly (Raw | null)[]
  readonly #now = new Float64Array(OBJECTS)
  readonly #first = new Float64Array(OBJECTS)
  /** What each step of the last run changed, and to what: the entries of step s, from 1, end before `#ends[s]`. */
  readonly #objects: number[] = []
  readonly #values: number[] = []
  readonly #ends: number[] = [0]

  constructor(world: World) {
    this.#world = world
    this.#history = world.history
    this.#folios = world.place.folios.raw
  }

  /** Work out the first state. */
  first(): void {
    for (let o = 0; o < OBJECTS; o++) this.#first[o] = this.#of(o)
    this.#now.set(this.#first)
  }

  rewind(): void {
    this.#now.set(this.#first)
  }

  of(object: number): number {
    return this.#now[object]!
  }

  /** Digest of the whole state, histories included: of all that is not as it was at first. */
  whole(): number {
    let d = 0
    for (let o = 0; o < OBJECTS; o++) if (this.#now[o] !== this.#first[o]) d = fold(fold(d, o), this.#now[o]!)
    return d
  }

  /** Step `step` of the last run was made again: what it changed is known. Those objects are marked as written. */
  repeat(footprint: Footprint, step: number): void {
    this.changedFolios.length = 0
    for (let k = this.#ends[step - 1]!; k < this.#ends[step]!; k++) {
      const o = this.#objects[k]!
      this.#now[o] = this.#values[k]!
      footprint.touch(o)
    }
  }

  /** After step `step`: bring the noted objects up to date; those that changed are marked as written. @returns bits of CHANGED */
  update(footprint: Footprint, step: number): number {
    let changed = 0
    let end = this.#ends[step - 1]!
    this.changedFolios.length = 0
    const { objects } = footprint
    for (let k = 0; k < objects.length; k++) {
      const o = objects[k]!
      const d = this.#of(o)
      if (d === this.#now[o]) continue
      this.#now[o] = this.#values[end] = d
      this.#objects[end++] = o
      footprint.touch(o)
      changed |= KINDS[o]!
      if (o >= OBJECT.folio && (o - OBJECT.folio) % 3 !== 0) {
        const raw = this.#world.place.folios.raw[Math.floor((o - OBJECT.folio) / 3)]!
        if (!this.changedFolios.includes(raw)) this.changedFolios.push(raw)
      }
    }
    this.#ends[step] = end
    return changed
  }

  #of(o: number): number {
    if (o >= OBJECT.folio) {
      const slot = Math.floor((o - OBJECT.folio) / 3)
      return folioDigest(this.#folios[slot]!, o - OBJECT.folio - 3 * slot)
    }
    if (o >= OBJECT.ended) return this.#history.digest(o - OBJECT.ended)
    if (o >= OBJECT.slot) return slotDigest(this.#world, o - OBJECT.slot)
    const { inode, session, device, logs } = this.#world.place
    switch (o) {
      case OBJECT.space: {
        const { space, quota } = session.fs
        const mine = quota === null ? 0 : fold(quota.of(0).used, quota.of(0).reserved)
        return fold(fold(space.reserved, space.splits), mine)
      }
      case OBJECT.format: return logs.format
      case OBJECT.disk: return device.digest
      case OBJECT.cache: return logs.cache
      case OBJECT.queue: return device.queueDigest()
      case OBJECT.size: return inode.size
      case OBJECT.diskSize: return inode.diskSize * 2 + (inode.dirty ? 1 : 0)
      case OBJECT.map: return mapDigest(this.#world)
      case OBJECT.owed: return inode.owed
      case OBJECT.rwsem: return inode.rwsem.shared * 2 + (inode.rwsem.exclusive ? 1 : 0)
      case OBJECT.invalidateLock: return inode.invalidateLock.shared * 2 + (inode.invalidateLock.exclusive ? 1 : 0)
      case OBJECT.mapLock: return inode.mapLock.held ? 1 : 0
      case OBJECT.errors: return logs.errors
      case OBJECT.mapping: return mappingDigest(this.#world)
      default: return 0
    }
  }
}

const folioDigest = (f: Raw | null, part: number): number => {
  if (f === null) return 0
  if (part === 0) return f.locked ? 1 : 0
  const { slab } = f
  const used = f.home !== null || f.locked || f.pins > 0 || f.refs > 0
  if (part === 2) {
    if (!used) return 0
    let d = hashBytes(slab.bytes, f.base, f.size)
    for (let p = f.page; p < f.page + f.pages; p++) d = fold(d, slab.pte[p]!)
    return d
  }
  if (!used) return 1
  const flags = (f.writeback ? 1 : 0) + (f.referenced ? 2 : 0) + (f.edgesOnly ? 4 : 0) +
    (f.home !== null ? 8 : 0) + (f.dirtySlot >= 0 ? 16 : 0)
  let d = fold(flags * 16 + f.order, fold(f.index, fold(f.pins, f.refs)))
  d = fold(fold(d, f.old === null ? 0 : f.old.page + 1), f.streamTo < 0 ? 0 : f.streamFrom * 65536 + f.streamTo)
  const first = f.base >>> f.blockShift
  for (let b = first; b < first + f.blocks; b++) d = fold(d, slab.state[b]!)
  return d
}

const slotDigest = (world: World, slot: number): number => {
  let d = slot
  for (const f of world.place.folios.raw) {
    if (f === null || f.home !== world.inode.pages) continue
    for (let i = f.index; i < f.index + f.pages; i++) if (i % SLOTS === slot) d = fold(d, f.page * 65536 + f.generation)
  }
  return d
}

const mapDigest = ({ inode: { map } }: World): number => {
  let d = map.seq
  for (const e of map.extents) d = fold(d, fold(e.lblk * 4 + e.state, e.n * 65536 + (isReal(e.state) ? e.pblk : 0)))
  return d
}

/** The list of dirty folios has no order that anybody relies on. */
const mappingDigest = ({ inode }: World): number => {
  const pages = inode.pages!
  let [low, high] = [0, 0]
  for (const f of pages.dirty) {
    if (f.page < 32) low |= 1 << f.page
    else high |= 1 << f.page
  }
  return fold(fold(low, high), fold(pages.writablePtes, pages.pages))
}

/** What a change of each object means. */
const KINDS = new Int32Array(OBJECTS)
for (const [o, kind] of [
  [OBJECT.space, CHANGED.space], [OBJECT.format, CHANGED.format | CHANGED.space],
  [OBJECT.disk, CHANGED.disk], [OBJECT.cache, CHANGED.cache],
  [OBJECT.size, CHANGED.size], [OBJECT.diskSize, CHANGED.size], [OBJECT.map, CHANGED.map | CHANGED.space], [OBJECT.owed, CHANGED.space],
  [OBJECT.errors, CHANGED.errors], [OBJECT.rwsem, CHANGED.lock], [OBJECT.invalidateLock, CHANGED.lock], [OBJECT.mapLock, CHANGED.lock],
] as const) KINDS[o] = kind
for (let i = OBJECT.ended; i < OBJECT.folio; i++) KINDS[i] = CHANGED.history
for (let i = OBJECT.slot; i < OBJECT.ended; i++) KINDS[i] = CHANGED.cache
for (let n = 0; n < MOST_FOLIOS; n++) {
  KINDS[lockOf(n)] = CHANGED.lock
  KINDS[bitsOf(n)] = CHANGED.folio
  KINDS[memoryOf(n)] = CHANGED.bytes
}
