/**
 * `mixed`: the generator that speaks the whole vocabulary.
 *
 * It keeps a `Shape` of what it has made, so that each operation that it draws succeeds: names exist, directories that
 * are removed are empty, stores through a mapping stay below the end of the file. The actions and their weights are a
 * table; an action that is not possible just now yields nothing and another is drawn.
 *
 * Positions stay known: SEEK_DATA is asked where data was just written, SEEK_HOLE is followed by an absolute lseek.
 */
import type { Sizes } from './generate.ts'
import type { FallocateMode, Open, OpenFlag, Operation } from './operation.ts'
import { FALLOCATE_MODES } from './operation.ts'
import { Random } from './random.ts'
import { Shape } from './shape.ts'

const DIRECTORIES = ['d0', 'd1', 'd2']
/** At most as many files are open at a time. */
const OPEN_MAX = 6

/** What the actions draw from: the random numbers, the names and sizes so far, the open fds. */
class Scene {
  readonly random: Random
  readonly shape = new Shape()
  readonly sizes: Sizes
  /** No file is made longer than this many bytes. */
  readonly longest: number
  private readonly open: Open[] = []

  constructor(seed: number, sizes: Sizes) {
    this.random = new Random(seed)
    this.sizes = sizes
    this.longest = Math.max(sizes.writeSize, Math.ceil(sizes.bytes / sizes.files))
  }

  /** Take note of an operation that was drawn. */
  apply(operation: Operation): void {
    this.shape.apply(operation)
    if (operation.op === 'open') this.open.push(operation)
    if (operation.op === 'close') this.open.splice(this.open.findIndex(({ fd }) => fd === operation.fd), 1)
  }

  /** The fds that are open on regular files. */
  fds(): number[] {
    return this.open.filter(({ flags }) => !flags.includes('O_DIRECTORY')).map(({ fd }) => fd)
  }

  /** True if writes to `fd` go to the end. */
  appends(fd: number): boolean {
    return this.open.some(each => each.fd === fd && each.flags.includes('O_APPEND'))
  }

  /** The lowest fd that is not open, or undefined if enough are. */
  newFd(): number | undefined {
    for (let fd = 0; fd < OPEN_MAX; fd++) if (!this.open.some(each => each.fd === fd)) return fd
    return undefined
  }

  /** A path that may or may not exist, below a directory that does. */
  name(): string {
    const folder = this.random.pick(['', '', ...this.shape.paths('directory')])
    return `${folder === '' ? '' : `${folder}/`}f${this.random.below(this.sizes.files)}`
  }

  /** One of the paths of a kind, or undefined. */
  some(kind: 'file' | 'directory' | 'symlink'): string | undefined {
    const paths = this.shape.paths(kind)
    return paths.length === 0 ? undefined : this.random.pick(paths)
  }

  /** A range of 1 to `most` bytes that ends below the longest file. */
  range(most: number): { off: number, len: number } {
    const len = this.random.between(1, Math.min(most, this.longest))
    const off = this.random.below(this.longest - len + 1)
    return this.random.below(3) === 0 ? { off: off - off % 4096, len } : { off, len }
  }
}

/** Draws operations of one sort; none if the sort is not possible now. */
type Action = (scene: Scene) => Operation[]

/** An action on an open regular file. */
const onFile = (draw: (scene: Scene, fd: number) => Operation[]): Action => scene => {
  const fds = scene.fds()
  return fds.length === 0 ? [] : draw(scene, scene.random.pick(fds))
}

/** An action on one existing path. */
const onPath = (kind: 'file' | 'directory' | 'symlink', draw: (path: string, scene: Scene) => Operation[]): Action =>
  scene => {
    const path = scene.some(kind)
    return path === undefined ? [] : draw(path, scene)
  }

const openFile: Action = scene => {
  const fd = scene.newFd()
  const path = scene.name()
  if (fd === undefined || scene.shape.kind(path) === 'symlink') return []
  const extra = scene.random.pick<OpenFlag[]>([[], [], [], [], ['O_APPEND'], ['O_TRUNC'], ['O_DSYNC']])
  const once: OpenFlag[] = scene.shape.kind(path) === undefined && scene.random.below(2) === 0 ? ['O_EXCL'] : []
  return [{ op: 'open', fd, path, flags: ['O_RDWR', 'O_CREAT', ...once, ...extra], mode: 0o644 }]
}

/** A write at an offset or at the position; O_APPEND decides for itself. Long files are emptied first. */
const write = onFile((scene, fd) => {
  const { off, len } = scene.range(scene.sizes.writeSize)
  const sync = scene.random.below(20) === 0 ? { sync: true } : {}
  if (scene.random.below(3) > 0) {
    const seek: Operation[] =
      scene.random.below(4) === 0 && !scene.appends(fd) ? [{ op: 'lseek', fd, off, whence: 'data' }] : []
    return [...room(scene, fd, len), { op: 'write', fd, len, off, ...sync }, ...seek]
  }
  const start: Operation[] =
    scene.shape.position(fd) + len > scene.longest ? [{ op: 'lseek', fd, off: 0, whence: 'set' }] : []
  return [...room(scene, fd, len), ...start, { op: 'write', fd, len, ...sync }]
})

const writev = onFile((scene, fd) => {
  const { off, len } = scene.range(scene.sizes.writeSize)
  const lens = [len >> 2, 0, len >> 3, 1]
  return [...room(scene, fd, len), { op: 'writev', fd, lens, off }]
})

/** What makes room for `len` more bytes at the end of a file that is opened with O_APPEND. */
function room(scene: Scene, fd: number, len: number): Operation[] {
  return scene.appends(fd) && scene.shape.size(fd) + len > scene.longest ? [{ op: 'ftruncate', fd, len: 0 }] : []
}

const lseek = onFile((scene, fd) => {
  const size = scene.shape.size(fd)
  if (size > 0 && scene.random.below(3) === 0) {
    return [
      { op: 'lseek', fd, off: scene.random.below(size), whence: 'hole' },
      { op: 'lseek', fd, off: 0, whence: 'set' },
    ]
  }
  return [scene.random.pick<Operation>([
    { op: 'lseek', fd, off: scene.random.below(scene.longest), whence: 'set' },
    { op: 'lseek', fd, off: -scene.random.below(scene.shape.position(fd) + 1), whence: 'cur' },
    { op: 'lseek', fd, off: -scene.random.below(size + 1), whence: 'end' },
  ])]
})

const store = onFile((scene, fd) => {
  const size = scene.shape.size(fd)
  if (size === 0) return []
  const off = scene.random.below(size)
  return [{ op: 'mmap-write', fd, off, len: scene.random.between(1, Math.min(8192, size - off)) }]
})

const rename: Action = scene => {
  if (scene.random.below(8) === 0) return renameDirectory(scene)
  const from = scene.some('file')
  const to = scene.name()
  return from === undefined || from === to ? [] : [{ op: 'rename', from, to }]
}

const renameDirectory: Action = scene => {
  const from = scene.some('directory')
  const to = scene.random.pick(DIRECTORIES)
  return from === undefined || scene.shape.kind(to) !== undefined ? [] : [{ op: 'rename', from, to }]
}

const link: Action = scene => {
  const from = scene.some('file')
  const to = scene.name()
  return from === undefined || scene.shape.kind(to) !== undefined ? [] : [{ op: 'link', from, to }]
}

const symlink: Action = scene => {
  const path = scene.name()
  return scene.shape.kind(path) !== undefined ? [] : [{ op: 'symlink', target: scene.name(), path }]
}

const mkdir: Action = scene => {
  const path = scene.random.pick(DIRECTORIES)
  return scene.shape.kind(path) !== undefined ? [] : [{ op: 'mkdir', path, mode: 0o755 }]
}

/** A directory with all that is in it, as `rm -r` does; directories are not nested here. */
const removeDirectory: Action = onPath('directory', (path, scene) => {
  const inside = [...scene.shape.paths('file'), ...scene.shape.paths('symlink')].filter(each =>
    each.startsWith(`${path}/`),
  )
  return [...inside.map((each): Operation => ({ op: 'unlink', path: each })), { op: 'rmdir', path }]
})

/** fsync of a directory, which makes its names durable. */
const syncDirectory: Action = scene => {
  const fd = scene.newFd()
  if (fd === undefined) return []
  const path = scene.random.pick(['.', ...scene.shape.paths('directory')])
  return [{ op: 'open', fd, path, flags: ['O_RDONLY', 'O_DIRECTORY'] }, { op: 'fsync', fd }, { op: 'close', fd }]
}

const ACTIONS: readonly (readonly [weight: number, action: Action])[] = [
  [24, openFile],
  [60, write],
  [12, writev],
  [14, onFile((scene, fd) => [{ op: 'read', fd, ...scene.range(65536) }])],
  [6, onFile((scene, fd) => [{ op: 'read', fd, len: scene.random.between(1, 16384) }])],
  [10, lseek],
  [10, onFile((scene, fd) => [{ op: 'ftruncate', fd, len: scene.range(1).off }])],
  [5, onPath('file', (path, scene) => [{ op: 'truncate', path, len: scene.range(1).off }])],
  [12, onFile((scene, fd) =>
    [{ op: 'fallocate', fd, mode: scene.random.pick<FallocateMode>(FALLOCATE_MODES), ...scene.range(65536) }])],
  [8, store],
  [8, onFile((_, fd) => [{ op: 'fsync', fd }])],
  [6, onFile((_, fd) => [{ op: 'fdatasync', fd }])],
  [2, syncDirectory],
  [1, () => [{ op: 'sync' }]],
  [10, onFile((_, fd) => [{ op: 'close', fd }])],
  [5, rename],
  [4, onPath('file', path => [{ op: 'unlink', path }])],
  [2, onPath('symlink', path => [{ op: 'unlink', path }])],
  [3, link],
  [2, symlink],
  [3, mkdir],
  [2, removeDirectory],
  [2, scene => [{ op: 'readdir', path: scene.random.pick(['.', ...scene.shape.paths('directory')]) }]],
  [3, onPath('file', path => [{ op: 'stat', path }])],
  [2, onPath('file', (path, scene) => [{ op: 'utimes', path, mtime: scene.random.bits() * 1000 }])],
  [2, onPath('file', (path, scene) => [{ op: 'chmod', path, mode: scene.random.pick([0o600, 0o644, 0o755]) }])],
]
const WEIGHTS = ACTIONS.map(([weight]) => weight)

/** `operation` with no more than `left` bytes written. */
function fit(operation: Operation, left: number): Operation {
  if (operation.op === 'write' && operation.len > left) return { ...operation, len: left }
  if (operation.op !== 'writev' || operation.lens.reduce((sum, len) => sum + len, 0) <= left) return operation
  return { ...operation, lens: [left] }
}

/** Everything, drawn by weight, until `bytes` are written; then every fd is closed and all of it is made durable. */
export function* mixed(seed: number, sizes: Sizes): Generator<Operation, void, undefined> {
  const scene = new Scene(seed, sizes)
  while (scene.shape.bytesWritten < sizes.bytes) {
    const [, action] = ACTIONS[scene.random.weighted(WEIGHTS)] as typeof ACTIONS[number]
    for (const drawn of action(scene)) {
      const operation = fit(drawn, sizes.bytes - scene.shape.bytesWritten)
      scene.apply(operation)
      yield operation
      if (scene.shape.bytesWritten === sizes.bytes) break
    }
  }
  for (const fd of scene.fds()) yield { op: 'close', fd }
  yield { op: 'sync' }
}
