/**
 * Names: from a path to an inode, and the checks that the namespace calls share.
 *
 * Paths are relative to the root of the mount, `/`-separated; `.` and `..` are entries like others; at most 40 symlinks are
 * followed (ELOOP). A component longer than 255 bytes is ENAMETOOLONG. Source: fs/namei.c, man path_resolution(7).
 */
import { type Kernel, raise } from '../kernel/kernel.ts'
import type { FileSystem } from './file-system.ts'
import type { Inode } from './inode.ts'

/** What a walk may end in. */
export type WalkError = 'ENOENT' | 'ENOTDIR' | 'ELOOP' | 'ENAMETOOLONG' | 'EIO' | 'EUCLEAN'

const MAX_LINKS = 40
const MAX_NAME = 255

/** Where a path's last component is, or would be. `inode` is null if there is none. `name` is '' for the root itself. */
export interface Place {
  readonly parent: Inode
  readonly name: string
  readonly inode: Inode | null
}

/** Walk to the last component of `path`; follow it too if it is a symlink and `follow` says so. */
export function* walk(fs: FileSystem, path: string, follow: boolean): Kernel<Place, WalkError> {
  const root = yield* fs.inode(fs.format.rootIno)
  let parent = root
  let rest = split(path)
  let links = 0
  if (path === '') return yield* raise('ENOENT', 'ENOENT.empty')
  for (;;) {
    const name = rest.shift()
    if (name === undefined) return { parent, name: '', inode: parent }
    if (Buffer.byteLength(name) > MAX_NAME) return yield* raise('ENAMETOOLONG', 'ENAMETOOLONG.name')
    if (!parent.isDirectory) return yield* raise('ENOTDIR', 'ENOTDIR.walk')
    const ino = yield* fs.format.lookupName(parent, name)
    const last = rest.length === 0
    if (ino === 0) return last ? { parent, name, inode: null } : yield* raise('ENOENT', 'ENOENT.walk')
    const inode = yield* fs.inode(ino)
    if (inode.isSymlink && (follow || !last)) {
      if (++links > MAX_LINKS) return yield* raise('ELOOP', 'ELOOP.walk')
      const target = inode.symlink!
      rest = [...split(target), ...rest]
      if (target.startsWith('/')) parent = root
    } else if (last) return { parent, name, inode }
    else parent = inode
  }
}

/** The inode at `path`. Raises ENOENT if there is none. */
export function* walkTo(fs: FileSystem, path: string, follow: boolean): Kernel<Inode, WalkError> {
  const place = yield* walk(fs, path, follow)
  return place.inode ?? (yield* raise('ENOENT', 'ENOENT.path'))
}

const split = (path: string): string[] => path.split('/').filter((part) => part !== '')
