/**
 * Namespace: the names that a recording shows, and what must have existed before it began.
 *
 * A recording starts in a directory that need not be empty. A name that is used without having been made *was found*:
 * it belongs to the state before the first operation, which the importer makes by operations of its own (the setup).
 * How large a found file was is seen late, from the attributes, the reads and the seeks to the end that come before
 * the first change.
 *
 * Interface:
 * - paths are those of operation.ts, after `resolve`
 * - `make`, `remove`, `rename`, `link` follow calls that succeeded; `touch` is for names that such a call relied on
 * - a name that turns up in a directory made by the recording, or for a second time, was made by something unseen: it
 *   is handed to `appeared`, to be made on the spot
 */
import type { NodeKind } from '../shape.ts'

/** What a name stands for. */
export interface Node {
  kind: NodeKind
  /** The path before the first operation, if it was found. */
  initial: string | undefined
  /** The path at which O_CREAT without O_EXCL may have made it, or may have found it. */
  doubtful: string | undefined
  /** The size before the first change, in bytes: at least this, or exactly this. */
  size: number
  exact: boolean
  /** True once a write or truncate hides what the size was. */
  changed: boolean
  /** True if it was ever opened, so that its data matters. */
  opened: boolean
  /** The text of a symbolic link. */
  target: string
}

const node = (kind: NodeKind, initial?: string): Node =>
  ({ kind, initial, doubtful: undefined, size: 0, exact: false, changed: false, opened: false, target: '' })

const parentOf = (path: string): string => path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.'
const join = (parent: string, name: string): string => parent === '.' ? name : `${parent}/${name}`

/** Names and what they stand for. */
export class Namespace {
  /** What was found, parents before children. */
  readonly found: Node[] = []
  /** How many regular files there were in all. */
  files = 0
  private readonly names = new Map<string, Node>([['.', node('directory', '.')]])
  /** Every path that was ever made, moved or removed. */
  private readonly used = new Set<string>()
  private readonly appeared: (path: string, node: Node) => void

  constructor(appeared: (path: string, node: Node) => void) {
    this.appeared = appeared
  }

  /** What `path` names, if that is known. */
  get(path: string): Node | undefined {
    return this.names.get(path)
  }

  /** `path` with the symbolic links among its directories followed; undefined if one leads out of the root. */
  resolve(path: string): string | undefined {
    const parts = path.split('/')
    for (let i = 1, hops = 0; i < parts.length && hops < 40; i++) {
      const link = this.names.get(parts.slice(0, i).join('/'))
      if (link?.kind !== 'symlink') continue
      if (link.target.startsWith('/')) return undefined
      const to = normalise([...parts.slice(0, i - 1), link.target, ...parts.slice(i)].join('/'))
      if (to === undefined) return undefined
      parts.splice(0, parts.length, ...to.split('/'))
      i = 0
      hops++
    }
    return parts.join('/')
  }

  /** What `path` names; if it is not known it was found there, or made by something unseen. */
  touch(path: string, kind: NodeKind = 'file'): Node {
    const known = this.names.get(path)
    if (known !== undefined) return known
    const parent = this.touch(parentOf(path), 'directory')
    const fresh = node(kind)
    if (parent.initial === undefined || this.used.has(path)) this.appeared(path, fresh)
    else {
      fresh.initial = join(parent.initial, path.slice(path.lastIndexOf('/') + 1))
      this.found.push(fresh)
    }
    return this.add(path, fresh)
  }

  /** `path` was made. `doubtful`: it may have been there before. */
  make(path: string, kind: NodeKind, doubtful = false): Node {
    const parent = this.touch(parentOf(path), 'directory')
    const fresh = node(kind)
    if (doubtful && parent.initial !== undefined && !this.used.has(path)) {
      fresh.doubtful = join(parent.initial, path.slice(path.lastIndexOf('/') + 1))
    }
    return this.add(path, fresh)
  }

  /** `path` was removed. */
  remove(path: string, kind: NodeKind): void {
    this.touch(path, kind)
    this.names.delete(path)
    this.used.add(path)
  }

  /** `from` became `to`, with all that is below it. */
  rename(from: string, to: string): void {
    const moved = this.touch(from)
    this.touch(parentOf(to), 'directory')
    this.names.delete(from)
    this.used.add(from)
    this.set(to, moved)
    for (const [path, below] of [...this.names]) {
      if (!path.startsWith(`${from}/`)) continue
      this.names.delete(path)
      this.used.add(path)
      this.set(to + path.slice(from.length), below)
    }
  }

  /** `to` became a further name of `from`. */
  link(from: string, to: string): void {
    const linked = this.touch(from)
    this.touch(parentOf(to), 'directory')
    this.set(to, linked)
  }

  /** The size of `node` was seen to be `size` bytes, or at least that. */
  sized(seen: Node, size: number, exact: boolean): void {
    if (seen.changed || seen.exact || seen.kind !== 'file') return
    if (seen.initial === undefined && seen.doubtful !== undefined && size > 0) {
      seen.initial = seen.doubtful
      this.found.push(seen)
    }
    seen.size = exact ? size : Math.max(seen.size, size)
    seen.exact = exact
  }

  private add(path: string, fresh: Node): Node {
    if (fresh.kind === 'file') this.files++
    this.set(path, fresh)
    return fresh
  }

  private set(path: string, named: Node): void {
    this.names.set(path, named)
    this.used.add(path)
  }
}

/** A path without `.`, `..` and empty parts; `.` for none at all; undefined if it leads above its start. */
export function normalise(path: string): string | undefined {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) return undefined
  }
  return parts.length === 0 ? '.' : parts.join('/')
}
