/**
 * Objects: the shared state of a small world, cut into numbered objects, and how code is made to note which it uses.
 *
 * A checker may only prune what it can see. So nothing here relies on code saying what it touches: the state objects
 * themselves are replaced or wrapped, and every access to a field or method notes the object that it belongs to. A member
 * that nobody put into an object makes `Noted` throw when the world is built: a field added tomorrow cannot be missed.
 *
 * | object     | what it holds                                                        | digest              |
 * |------------|----------------------------------------------------------------------|---------------------|
 * | ended f    | which actions of fiber f (4 at most) began and ended, and with what  | content             |
 * | space      | reserved blocks, room held for splits                                | content             |
 * | format     | bitmaps, counters, metadata in core                                  | log of calls        |
 * | disk       | bytes on the device                                                  | content             |
 * | cache      | memory: which slots are free, order of last use                      | log of calls        |
 * | queue      | data bios on their way                                               | content             |
 * | size ...   | one an inode field or lock                                           | content             |
 * | slot i     | which folio is cached at page i (12 of them, by page modulo 12)      | content             |
 * | folio n    | three objects a slot of memory: its lock, its bits, its bytes and PTEs | content           |
 *
 * Timestamps are no state: the clock of a world stands still. Counters of the ledger are none either.
 */
import { type Folio, Folio as PlainFolio, Slab } from '../../pagecache/folio.ts'
import { PAGE } from '../../kernel/units.ts'
import type { MakeFolio } from '../../pagecache/page-allocator.ts'

/** Numbers of the objects of a world. */
export const OBJECT = {
  space: 1, format: 2, disk: 3, cache: 4, queue: 5, size: 6, diskSize: 7, map: 8, owed: 9, rwsem: 10,
  invalidateLock: 11, mapLock: 12, errors: 13, mapping: 14, slot: 16, ended: 28, folio: 32,
} as const
/** Slots of the page cache that have an object of their own. */
export const SLOTS = 12
/** Most folio slots of a world. */
export const MOST_FOLIOS = 64
/** All objects. */
export const OBJECTS = OBJECT.folio + 3 * MOST_FOLIOS

/** The three objects of the folio slot at page `n` of the slab. */
export const lockOf = (n: number): number => partOf(n, 0)
export const bitsOf = (n: number): number => partOf(n, 1)
export const memoryOf = (n: number): number => partOf(n, 2)

/** Slots beyond the world's memory are heads of free runs: the allocator's own. */
const partOf = (n: number, part: number): number => (n < MOST_FOLIOS ? OBJECT.folio + 3 * n + part : OBJECT.cache)

/** A name for messages. */
export const sayObject = (o: number): string => {
  if (o >= OBJECT.folio) return `${['lock', 'bits', 'bytes'][(o - OBJECT.folio) % 3]} of folio slot ${Math.floor((o - OBJECT.folio) / 3)}`
  if (o >= OBJECT.ended) return `history of fiber ${o - OBJECT.ended}`
  if (o >= OBJECT.slot) return `page cache at page ${o - OBJECT.slot}`
  return Object.entries(OBJECT).find(([, n]) => n === o)?.[0] ?? `object ${o}`
}

/** Notes an access to an object. */
export type Note = (object: number) => void

type AnyFunction = (...args: never[]) => unknown

/** Which object the members of an instance belong to; null: no state, or fixed for good. */
export type Members = Readonly<Record<string, number | null>>

/**
 * Make every member of `instance` note its object. Fields become accessors; methods and getters of its class are wrapped.
 * @throws Error if a member is not in `members`: somebody must say what it belongs to
 */
export const noteMembers = (instance: object, members: Members, note: Note): void => {
  const proto = Object.getPrototypeOf(instance) as object
  const names = [...Object.getOwnPropertyNames(instance), ...Object.getOwnPropertyNames(proto)].filter((n) => n !== 'constructor')
  for (const name of names) {
    const object = members[name]
    if (object === undefined) throw new Error(`${proto.constructor.name}.${name} belongs to no object: add it to the members of its class`)
    if (object !== null) noteMember(instance, proto, name, object, note)
  }
  makeFast(instance)
}

/**
 * An object whose fields were replaced by accessors is a hash table to V8; one that is somebody's prototype is laid out as a
 * struct again when a member is looked up through it. Changes nothing but speed (by a fifth).
 */
const makeFast = (instance: object): void => {
  const heir = Object.create(instance) as { checkpoint?: unknown }
  for (let i = 0; i < 20; i++) lookUp(heir)
}
const lookUp = (heir: { checkpoint?: unknown }): unknown => heir.checkpoint

const noteMember = (instance: object, proto: object, name: string, object: number, note: Note): void => {
  const own = Object.getOwnPropertyDescriptor(instance, name)
  const { get, value } = own ?? Object.getOwnPropertyDescriptor(proto, name)!
  if (own === undefined && get !== undefined) {
    Object.defineProperty(instance, name, { get: () => (note(object), get.call(instance) as unknown), configurable: true })
  } else if (typeof value === 'function') {
    const f = value as AnyFunction
    const noted = (...args: never[]): unknown => (note(object), f.apply(instance, args))
    Object.defineProperty(instance, name, { value: noted, configurable: true, writable: true })
  } else {
    let held: unknown = value
    Object.defineProperty(instance, name, {
      get: () => (note(object), held),
      set: (v: unknown) => {
        note(object)
        held = v
      },
      configurable: true, enumerable: true,
    })
  }
}

/** Fields of a folio by the object that they belong to. */
const BITS = [
  'order', 'generation', 'home', 'index', 'writeback', 'pins', 'refs', 'referenced', 'uptodateBlocks', 'dirtyBlocks',
  'dirtySlot', 'edgesOnly', 'streamFrom', 'streamTo', 'old',
] as const
const CACHE = ['older', 'newer'] as const
const FIXED = ['page', 'base', 'blockShift', 'lockOp', 'writebackOp'] as const
/** Methods that look at or change bits; each notes the bits once, and nothing else of what it uses inside. */
const BIT_METHODS = ['bits', 'all', 'any', 'change'] as const
const MEMORY_METHODS = ['zero', 'clear'] as const
const PLAIN = ['pages', 'size', 'blocks', 'pos', 'uptodate', 'dirty', 'checkpoint', 'reset'] as const

/** A folio's fields, not noted. */
export type Raw = Folio

/** Makes folios whose every access is noted; `raw` gives the fields behind one. */
export class NotedFolios {
  /** Folios by slot number; null where none was made yet. */
  readonly raw: (Raw | null)[] = new Array<Raw | null>(MOST_FOLIOS).fill(null)
  readonly make: MakeFolio

  /** @param onLock called when the lock of a folio is taken or let go */
  constructor(note: Note, onLock: (folio: Raw, locked: boolean) => void) {
    const proto = notedPrototype(note, onLock)
    this.make = (slab, page, blockShift) => {
      if (slab.number !== 0) throw new Error('the world needs more memory than one slab')
      const raw = new PlainFolio(slab, page, blockShift)
      const f = Object.create(proto) as Folio & { $: Raw }
      f.$ = raw
      const noted = f as { lockOp: Folio['lockOp']; writebackOp: Folio['writebackOp'] }
      noted.lockOp = { get label() { return `folio lock of page ${raw.index}` }, ready: () => !f.locked }
      noted.writebackOp = { get label() { return `writeback of page ${raw.index}` }, ready: () => !f.writeback }
      if (page < MOST_FOLIOS) this.raw[page] = raw
      return f
    }
  }
}

/** The prototype of noted folios: accessors over `$`, the plain folio that holds the fields. */
const notedPrototype = (note: Note, onLock: (folio: Raw, locked: boolean) => void): object => {
  const known = new Set<string>([...BITS, ...CACHE, ...FIXED, ...BIT_METHODS, ...MEMORY_METHODS, ...PLAIN, 'locked', 'slab', 'constructor'])
  const sample = new PlainFolio(new Slab(0, 10), 0, 10)
  for (const name of [...Object.getOwnPropertyNames(sample), ...Object.getOwnPropertyNames(PlainFolio.prototype)]) {
    if (!known.has(name)) throw new Error(`Folio.${name} belongs to no object: add it to the members of a folio`)
  }
  const proto = Object.create(PlainFolio.prototype) as object
  const field = (name: string, object: (page: number) => number): void => {
    const key = name as 'index'
    Object.defineProperty(proto, name, {
      get(this: { $: Raw }) {
        note(object(this.$.page))
        return this.$[key]
      },
      set(this: { $: Raw }, v: number) {
        note(object(this.$.page))
        this.$[key] = v
      },
    })
  }
  for (const name of BITS) field(name, bitsOf)
  for (const name of CACHE) field(name, () => OBJECT.cache)
  Object.defineProperty(proto, 'locked', {
    get(this: { $: Raw }) {
      note(lockOf(this.$.page))
      return this.$.locked
    },
    set(this: { $: Raw }, v: boolean) {
      note(lockOf(this.$.page))
      if (v !== this.$.locked) onLock(this.$, v)
      this.$.locked = v
    },
  })
  field('slab', memoryOf)
  for (const name of ['page', 'base', 'blockShift']) {
    Object.defineProperty(proto, name, { get(this: { $: Raw }) { return this.$[name as 'page'] } })
  }
  const method = (name: string, object: (page: number) => number): void => {
    const f = (PlainFolio.prototype as unknown as Record<string, AnyFunction>)[name]!
    Object.defineProperty(proto, name, {
      value(this: { $: Raw }, ...args: never[]) {
        note(object(this.$.page))
        if (name === 'clear') note(bitsOf(this.$.page))
        return f.apply(this.$, args)
      },
    })
  }
  for (const name of BIT_METHODS) method(name, bitsOf)
  for (const name of MEMORY_METHODS) method(name, memoryOf)
  Object.defineProperty(proto, 'reset', { value(this: { $: Raw }) { this.$.reset() } })
  Object.defineProperty(proto, 'checkpoint', { value(this: { $: Raw }) { return this.$.checkpoint() } })
  return proto
}

/** A device reads or writes memory of the page cache: note whose. */
export const memoryHead = ({ raw }: NotedFolios, note: Note, bytes: Buffer, start: number, len: number): void => {
  if (raw[0]?.slab.bytes !== bytes) return
  for (let page = Math.floor(start / PAGE); page * PAGE < start + len; page++) {
    for (let head = page; head >= 0; head--) {
      const f = raw[head]
      if (f === null || f === undefined || head + f.pages <= page) continue
      note(memoryOf(head))
      break
    }
  }
}
