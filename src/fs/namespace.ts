/**
 * The namespace calls: create, link, unlink, rename, symlink, mkdir, rmdir, readdir, chmod, chown, utimes.
 *
 * Under a journal each call is one transaction; an inode that lost its last name is an orphan until `put` freed it.
 * Order within a call: checks, then the entry, then link counts, so that a crash leaves a link count that is too large rather
 * than too small. A directory counts one link for each entry `..` that names it. Sources: fs/ext2/namei.c, man rename(2).
 */
import { attempt, type Kernel, raise } from '../kernel/kernel.ts'
import type { Dirent } from './format.ts'
import type { FileSystem } from './file-system.ts'
import { type Inode, S_IFDIR, S_IFLNK } from './inode.ts'
import { transact } from './journal/handle.ts'
import { type Place, walk, type WalkError, walkTo } from './namei.ts'
import { discard, put } from './sync.ts'
import type { Verbs } from './verbs.ts'

/** What a namespace call may end in. */
export type NamespaceError =
  | WalkError | 'EEXIST' | 'ENOSPC' | 'EISDIR' | 'ENOTEMPTY' | 'EINVAL' | 'EMLINK' | 'EPERM' | 'EBUSY'

const MAX_LINKS = 65000

/** A new inode under `name` in `parent`. On failure nothing is left behind. */
export function* create(
  k: Verbs, fs: FileSystem, parent: Inode, name: string, mode: number,
): Kernel<Inode, 'ENOSPC' | 'EIO' | 'ENOTDIR'> {
  return yield* transact(fs, () => add(k, fs, parent, name, mode))
}

function* add(
  k: Verbs, fs: FileSystem, parent: Inode, name: string, mode: number,
): Kernel<Inode, 'ENOSPC' | 'EIO' | 'ENOTDIR'> {
  if (!parent.isDirectory) return yield* raise('ENOTDIR', 'ENOTDIR.create')
  if (k.fault('ENOSPC.inode')) return yield* raise('ENOSPC', 'ENOSPC.inode')
  const inode = yield* fs.format.allocateInode(parent, mode)
  inode.atime = inode.mtime = inode.ctime = k.now()
  inode.nlink = 1
  inode.mapLoaded = true
  fs.adopt(inode)
  const added = yield* attempt(() => addEntry(k, fs, parent, name, inode))
  if (added._tag === 'Left') {
    inode.nlink = 0
    yield* discard(k, fs, inode)
    return yield* raise(added.left)
  }
  inode.dirty = true
  return inode
}

/** Add a name for an inode; a directory may grow by a block, which must not be somebody's reservation. */
function* addEntry(k: Verbs, fs: FileSystem, dir: Inode, name: string, inode: Inode): Kernel<void, 'ENOSPC' | 'EIO'> {
  // A block for the directory and three for its map are the most that an entry may take; they must not be reserved ones.
  if (fs.space.reserved > 0 && fs.space.available < 4) return yield* raise('ENOSPC', 'ENOSPC.directory')
  try {
    yield* fs.format.addName(dir, name, inode.ino, inode.mode)
  } finally {
    fs.charge(dir)
  }
  touch(k, dir)
}

const touch = (k: Verbs, inode: Inode): void => {
  inode.mtime = inode.ctime = k.now()
  inode.dirty = true
}

/** mkdir(2). */
export function* mkdir(k: Verbs, fs: FileSystem, path: string, mode: number): Kernel<void, NamespaceError> {
  const place = yield* walk(fs, path, false)
  if (place.inode !== null) return yield* raise('EEXIST', 'EEXIST.mkdir')
  if (place.parent.nlink >= MAX_LINKS) return yield* raise('EMLINK', 'EMLINK.mkdir')
  yield* transact(fs, () => addDirectory(k, fs, place, mode))
}

function* addDirectory(
  k: Verbs, fs: FileSystem, place: Place, mode: number,
): Kernel<void, 'ENOSPC' | 'EIO' | 'ENOTDIR'> {
  const dir = yield* add(k, fs, place.parent, place.name, S_IFDIR | (mode & 0o7777))
  const made = yield* attempt(() => fs.format.initDirectory(dir, place.parent.ino))
  fs.charge(dir)
  if (made._tag === 'Left') {
    yield* fs.format.removeName(place.parent, place.name)
    dir.nlink = 0
    yield* discard(k, fs, dir)
    return yield* raise(made.left)
  }
  dir.nlink = 2
  dir.dirty = true
  place.parent.nlink++
  touch(k, place.parent)
}

/** symlink(2): `path` will hold `target`. */
export function* symlink(k: Verbs, fs: FileSystem, target: string, path: string): Kernel<void, NamespaceError> {
  if (target === '') return yield* raise('ENOENT', 'ENOENT.symlink')
  if (Buffer.byteLength(target) >= fs.blockSize) return yield* raise('ENAMETOOLONG', 'ENAMETOOLONG.symlink')
  const place = yield* walk(fs, path, false)
  if (place.inode !== null) return yield* raise('EEXIST', 'EEXIST.symlink')
  yield* transact(fs, () => addSymlink(k, fs, place, target))
}

function* addSymlink(
  k: Verbs, fs: FileSystem, place: Place, target: string,
): Kernel<void, 'ENOSPC' | 'EIO' | 'ENOTDIR'> {
  const inode = yield* add(k, fs, place.parent, place.name, S_IFLNK | 0o777)
  const made = yield* attempt(() => fs.format.initSymlink(inode, target))
  fs.charge(inode)
  if (made._tag === 'Left') {
    yield* fs.format.removeName(place.parent, place.name)
    inode.nlink = 0
    yield* discard(k, fs, inode)
    return yield* raise(made.left)
  }
}

/** link(2). Does not follow a symlink at `existing`. */
export function* link(k: Verbs, fs: FileSystem, existing: string, path: string): Kernel<void, NamespaceError> {
  const inode = yield* walkTo(fs, existing, false)
  if (inode.isDirectory) return yield* raise('EPERM', 'EPERM.link')
  if (inode.nlink >= MAX_LINKS) return yield* raise('EMLINK', 'EMLINK.link')
  const place = yield* walk(fs, path, false)
  if (place.inode !== null) return yield* raise('EEXIST', 'EEXIST.link')
  yield* transact(fs, function* () {
    yield* addEntry(k, fs, place.parent, place.name, inode)
    inode.nlink++
    inode.ctime = k.now()
    inode.dirty = true
  })
}

/** unlink(2). An open file lives on until its last close. */
export function* unlink(k: Verbs, fs: FileSystem, path: string): Kernel<void, NamespaceError> {
  const { parent, name, inode } = yield* walk(fs, path, false)
  if (inode === null) return yield* raise('ENOENT', 'ENOENT.unlink')
  if (inode.isDirectory) return yield* raise('EISDIR', 'EISDIR.unlink')
  yield* transact(fs, function* () {
    yield* fs.format.removeName(parent, name)
    touch(k, parent)
    yield* dropLinks(k, fs, inode, 1)
  })
  yield* put(k, fs, inode)
}

/** Names of `inode` are gone. If it has none left, it is an orphan until `put` frees it. */
function* dropLinks(k: Verbs, fs: FileSystem, inode: Inode, n: number): Kernel<void> {
  inode.nlink -= n
  inode.ctime = k.now()
  inode.dirty = true
  if (inode.nlink === 0) yield* attempt(() => fs.format.addOrphan(inode))
}

/** rmdir(2). */
export function* rmdir(k: Verbs, fs: FileSystem, path: string): Kernel<void, NamespaceError> {
  const { parent, name, inode } = yield* walk(fs, path, false)
  if (inode === null) return yield* raise('ENOENT', 'ENOENT.rmdir')
  if (!inode.isDirectory) return yield* raise('ENOTDIR', 'ENOTDIR.rmdir')
  if (name === '' || inode === parent) return yield* raise('EBUSY', 'EBUSY.root')
  if (name === '.') return yield* raise('EINVAL', 'EINVAL.rmdir')
  if (!(yield* isEmpty(fs, inode))) return yield* raise('ENOTEMPTY', 'ENOTEMPTY.rmdir')
  yield* transact(fs, function* () {
    yield* fs.format.removeName(parent, name)
    parent.nlink--
    touch(k, parent)
    yield* dropLinks(k, fs, inode, inode.nlink)
  })
  yield* put(k, fs, inode)
}

function* isEmpty(fs: FileSystem, dir: Inode): Kernel<boolean, 'EIO'> {
  return (yield* fs.format.listNames(dir)).every((e) => e.name === '.' || e.name === '..')
}

/** rename(2): replaces what is at `to` if it may. */
export function* rename(k: Verbs, fs: FileSystem, from: string, to: string): Kernel<void, NamespaceError> {
  const source = yield* walk(fs, from, false)
  const target = yield* walk(fs, to, false)
  const { inode } = source
  if (inode === null) return yield* raise('ENOENT', 'ENOENT.rename')
  if (source.name === '' || target.name === '') return yield* raise('EBUSY', 'EBUSY.rename')
  if (inode === target.inode) return
  if (inode.isDirectory && (yield* isBelow(fs, target.parent, inode))) return yield* raise('EINVAL', 'EINVAL.rename')
  if (target.inode !== null) {
    if (inode.isDirectory && !target.inode.isDirectory) return yield* raise('ENOTDIR', 'ENOTDIR.rename')
    if (!inode.isDirectory && target.inode.isDirectory) return yield* raise('EISDIR', 'EISDIR.rename')
    if (inode.isDirectory && !(yield* isEmpty(fs, target.inode))) return yield* raise('ENOTEMPTY', 'ENOTEMPTY.rename')
  }
  yield* transact(fs, () => move(k, fs, source, target, inode))
  if (target.inode !== null) yield* put(k, fs, target.inode)
}

/** The part of rename that changes anything. */
function* move(
  k: Verbs, fs: FileSystem, source: Place, target: Place, inode: Inode,
): Kernel<void, 'ENOSPC' | 'EIO'> {
  if (target.inode !== null) {
    yield* fs.format.setName(target.parent, target.name, inode.ino, inode.mode)
    touch(k, target.parent)
  } else yield* addEntry(k, fs, target.parent, target.name, inode)
  yield* fs.format.removeName(source.parent, source.name)
  touch(k, source.parent)
  if (inode.isDirectory && source.parent !== target.parent) {
    yield* fs.format.setName(inode, '..', target.parent.ino, S_IFDIR)
    source.parent.nlink--
    target.parent.nlink++
  }
  if (target.inode?.isDirectory === true) target.parent.nlink--
  if (target.inode !== null) yield* dropLinks(k, fs, target.inode, target.inode.isDirectory ? target.inode.nlink : 1)
  inode.ctime = k.now()
  inode.dirty = true
}

/** Is `dir` the directory `above` or somewhere below it? */
function* isBelow(fs: FileSystem, dir: Inode, above: Inode): Kernel<boolean, 'EIO' | 'EUCLEAN'> {
  const seen = new Set<Inode>()
  for (let d = dir; ; ) {
    if (d === above) return true
    if (seen.has(d)) return yield* raise('EUCLEAN', 'EUCLEAN.directory-circle')
    seen.add(d)
    const parent = yield* fs.format.lookupName(d, '..')
    if (parent === d.ino || parent === 0) return false
    d = yield* fs.inode(parent)
  }
}

/** readdir(3): all entries, in the order of the directory's blocks. */
export function* readdir(fs: FileSystem, path: string): Kernel<readonly Dirent[], NamespaceError> {
  const dir = yield* walkTo(fs, path, true)
  if (!dir.isDirectory) return yield* raise('ENOTDIR', 'ENOTDIR.readdir')
  return yield* fs.format.listNames(dir)
}

/** chmod(2). */
export function* chmod(k: Verbs, fs: FileSystem, path: string, mode: number): Kernel<void, NamespaceError> {
  const inode = yield* walkTo(fs, path, true)
  inode.mode = (inode.mode & ~0o7777) | (mode & 0o7777)
  inode.ctime = k.now()
  inode.dirty = true
}

/**
 * chown(2); -1 leaves an id as it is. What the inode has and was promised is charged to the new owner: EDQUOT if he may not
 * have so much.
 */
export function* chown(
  k: Verbs, fs: FileSystem, path: string, uid: number, gid: number,
): Kernel<void, NamespaceError | 'EDQUOT'> {
  const inode = yield* walkTo(fs, path, true)
  yield* k.acquire(inode.rwsem)
  try {
    const { quota } = fs
    if (uid !== -1 && uid !== inode.uid && quota !== null) {
      const { used, reserved } = quota.charge(inode)
      if (used + reserved > quota.room(uid)) return yield* raise('EDQUOT', 'EDQUOT.chown')
      quota.transfer(inode, uid)
    } else if (uid !== -1) inode.uid = uid
    if (gid !== -1) inode.gid = gid
    inode.ctime = k.now()
    inode.dirty = true
  } finally {
    k.release(inode.rwsem)
  }
}

/** utimes(2), in microseconds since the epoch. */
export function* utimes(
  k: Verbs, fs: FileSystem, path: string, atime: number, mtime: number,
): Kernel<void, NamespaceError> {
  const inode = yield* walkTo(fs, path, true)
  inode.atime = atime
  inode.mtime = mtime
  inode.ctime = k.now()
  inode.dirty = true
}
