/**
 * Members: which object every field and method of the state classes belongs to. See objects.ts for what that is for.
 *
 * null = no state of the world (fixed for good, made of other members, or used by nobody while fibers run).
 */
import type { FileSystem } from '../../fs/file-system.ts'
import type { Inode } from '../../fs/inode.ts'
import type { AddressSpace } from '../../pagecache/address-space.ts'
import type { PageCache } from '../../pagecache/page-cache.ts'
import { fold } from './hash.ts'
import { type Members, type Note, noteMembers, OBJECT, SLOTS } from './objects.ts'

const of = (object: number | null, ...names: string[]): Record<string, number | null> =>
  Object.fromEntries(names.map((n) => [n, object]))

const LOCK = (object: number): Members => of(object, 'held', 'exclusive', 'shared', 'tryLock', 'unlock', 'tryLockShared', 'unlockShared')
const NOT_LOCK = of(null, 'free', 'shareable', 'checkpoint')

const INODE: Members = {
  ...of(null, 'ino', 'mode', 'uid', 'gid', 'nlink', 'atime', 'mtime', 'ctime', 'tid', 'holders', 'symlink', 'map', 'mapLoaded', 'rwsem',
    'invalidateLock', 'mapLock', 'pages', 'format', 'checkpoint', 'isFile', 'isDirectory', 'isSymlink'),
  ...of(OBJECT.size, 'size'), ...of(OBJECT.diskSize, 'diskSize', 'dirty'), ...of(OBJECT.owed, 'owed'),
}

const MAP: Members = {
  ...of(OBJECT.map, 'seq', 'delayedBlocks', 'delayedExtents', 'realBlocks', 'extents', 'end', 'lookup', 'set'), ...of(null, 'checkpoint'),
}

const ERRORS: Members = { ...of(OBJECT.errors, 'set', 'sample', 'check'), ...of(null, 'checkpoint') }

/** The methods that name a page note the slot of that page; see `noteSpace`. */
const ADDRESS_SPACE: Members = {
  ...of(null, 'ino', 'errors', 'checkpoint', 'find', 'isFree', 'insert', 'remove', 'replace', 'inRange'),
  ...of(OBJECT.mapping, 'folios', 'pages', 'dirty', 'writablePtes', 'markDirty', 'markClean', 'dirtyInRange'),
}

const PAGE_CACHE: Members = {
  ...of(null, 'blockShift', 'maxFolioOrder', 'limitPages', 'addressSpace', 'checkpoint', 'evictable', 'dirtyPages'),
  ...of(OBJECT.cache, 'usedPages', 'take', 'adopt', 'disown', 'release', 'reclaim', 'evict'),
}

const SPACE: Members = { ...of(OBJECT.space, 'reserved', 'splits'), ...of(null, 'free', 'available', 'checkpoint') }

const QUOTA: Members = {
  ...of(OBJECT.space, 'users', 'of', 'limit', 'room', 'reserve', 'settle', 'transfer', 'charge'), ...of(null, 'checkpoint'),
}

const FORMAT_PLAIN = [
  'name', 'blockSize', 'totalBlocks', 'totalInodes', 'overheadBlocks', 'metadataBlocks', 'maxBytes', 'hasUnwritten', 'rootIno',
  'volume', 'wasClean', 'checkpoint', 'orphans', 'journalArea',
]
const FORMAT: Members = {
  ...of(null, ...FORMAT_PLAIN),
  ...of(OBJECT.format, 'freeBlocks', 'freeInodes', 'freedBlocks', 'countFreeBlocks', 'allocate', 'free', 'takeFreed', 'release',
    'prepareCommit', 'goalFor', 'loadMap', 'owed', 'owedAfter', 'growMap', 'shrinkMap', 'mapBlocks', 'readInode', 'decode',
    'initSymlink', 'writeInode', 'allocateInode', 'rootInode', 'freeInode', 'lookupName', 'addName', 'setName', 'removeName',
    'listNames', 'initDirectory', 'addOrphan', 'removeOrphan', 'isOrphan', 'syncInode', 'sync', 'unmount'),
}
/** Calls of the format that change nothing. */
const FORMAT_LOOKS = [
  'isOrphan', 'freeBlocks', 'freeInodes', 'freedBlocks', 'countFreeBlocks', 'goalFor', 'owed', 'owedAfter', 'mapBlocks', 'lookupName',
  'listNames',
]

/** Logs: digests of objects that are told apart by what was done to them. */
export interface Logs {
  format: number
  cache: number
  errors: number
}

/** Make all state of a mounted file system, as the file `inode` uses it, note its objects. */
export const noteWorld = (fs: FileSystem, cache: PageCache, inode: Inode, logs: Logs, note: Note): void => {
  logCalls(fs.format, FORMAT, FORMAT_LOOKS, (h) => { logs.format = fold(logs.format, h) }, note)
  logCalls(cache, PAGE_CACHE, ['usedPages'], (h) => { logs.cache = fold(logs.cache, h) }, note)
  logCalls(inode.pages!.errors, ERRORS, ['sample'], (h) => { logs.errors = fold(logs.errors, h) }, note)
  noteMembers(fs.space, SPACE, note)
  if (fs.quota !== null) noteMembers(fs.quota, QUOTA, note)
  noteMembers(inode.map, MAP, note)
  noteMembers(inode.rwsem, { ...LOCK(OBJECT.rwsem), ...NOT_LOCK }, note)
  noteMembers(inode.invalidateLock, { ...LOCK(OBJECT.invalidateLock), ...NOT_LOCK }, note)
  noteMembers(inode.mapLock, { ...LOCK(OBJECT.mapLock), ...NOT_LOCK }, note)
  noteSpace(inode.pages!, note)
  noteMembers(inode, INODE, note)
}

/** Note the object, and fold the names and the numbers among the arguments of calls that may change it. */
const logCalls = (instance: object, members: Members, looks: readonly string[], log: (h: number) => void, note: Note): void => {
  noteMembers(instance, members, note)
  const target = instance as Record<string, unknown>
  for (const [name, object] of Object.entries(members)) {
    if (object === null || looks.includes(name)) continue
    const f = Object.getOwnPropertyDescriptor(instance, name)?.value as ((...args: unknown[]) => unknown) | undefined
    if (typeof f !== 'function') continue
    const seed = name.length * 31 + name.charCodeAt(0) * 7 + name.charCodeAt(name.length - 1)
    target[name] = (...args: unknown[]): unknown => {
      let h = seed
      for (const a of args) h = fold(h, numberOf(a))
      log(h)
      return f(...args)
    }
  }
}

/** What an argument of a logged call says. */
const numberOf = (a: unknown): number => {
  if (typeof a === 'number') return a
  if (typeof a === 'string') return a.length
  const o = a as { page?: number; index?: number; start?: number; n?: number; ino?: number } | null
  return o === null || typeof o !== 'object' ? 0 : (o.page ?? o.start ?? o.ino ?? 0) * 65536 + (o.n ?? 0)
}

/** Look-ups and changes by page note the slots of those pages. */
const noteSpace = (space: AddressSpace, note: Note): void => {
  noteMembers(space, ADDRESS_SPACE, note)
  const slots = (first: number, n: number): void => {
    if (n >= SLOTS) for (let i = 0; i < SLOTS; i++) note(OBJECT.slot + i)
    else for (let i = first; i < first + n; i++) note(OBJECT.slot + (i % SLOTS))
  }
  const { find, isFree, insert, remove, replace, inRange } = Object.getPrototypeOf(space) as AddressSpace
  const wrapped: Partial<AddressSpace> = {
    find: (index) => (note(OBJECT.slot + (index % SLOTS)), find.call(space, index)),
    isFree: (index, n) => (slots(index, n), isFree.call(space, index, n)),
    insert: (f) => (slots(f.index, f.pages), note(OBJECT.mapping), insert.call(space, f)),
    remove: (f) => (slots(f.index, f.pages), note(OBJECT.mapping), remove.call(space, f)),
    replace: (old, fresh) => (slots(old.index, old.pages), note(OBJECT.mapping), replace.call(space, old, fresh)),
    inRange: (first, last) => (slots(first, last - first + 1), inRange.call(space, first, last)),
  }
  Object.assign(space, wrapped)
}
