/**
 * NameTree: names, links and directories of the model, after path_resolution(7).
 *
 * A walk ends at a place: the directory, the last component, and what is there if anything is. Symbolic links in the
 * middle of a path are followed; the last component only where the call follows it. Everything here is a plain answer:
 * a node, or an errno as a string.
 */
import { SparseBytes } from './sparse-bytes.ts'

/** A file, a directory or a symbolic link. `links` counts names. */
export interface Node {
  readonly kind: 'file' | 'directory' | 'symlink'
  links: number
  readonly bytes: SparseBytes
  readonly target: string
  readonly entries: Map<string, Node>
}

/** A new node without a name. */
export const node = (kind: Node['kind'], target = ''): Node =>
  ({ kind, links: 0, bytes: new SparseBytes(), target, entries: new Map() })

/** Where a path leads. `found` is null if nothing is there. */
export interface Place {
  readonly directory: Node
  readonly name: string
  readonly found: Node | null
}

const MAX_LINKS = 40

/** Walk `path` from `root`. @returns a place, or the errno that ends the walk */
export const walk = (root: Node, path: string, follow: boolean): Place | string => {
  let directory = root
  let rest = path.split('/').filter((part) => part !== '' && part !== '.')
  let links = 0
  for (;;) {
    const name = rest.shift()
    if (name === undefined) return { directory, name: '', found: directory }
    if (directory.kind !== 'directory') return 'ENOTDIR'
    const found = directory.entries.get(name) ?? null
    const last = rest.length === 0
    if (found === null) return last ? { directory, name, found } : 'ENOENT'
    if (found.kind === 'symlink' && (follow || !last)) {
      if (++links > MAX_LINKS) return 'ELOOP'
      rest = [...found.target.split('/').filter((part) => part !== '' && part !== '.'), ...rest]
    } else if (last) return { directory, name, found }
    else directory = found
  }
}

/** Every file with a name of it, in the order of the paths; a file with two names comes twice. */
export function* files(root: Node, prefix = ''): Generator<readonly [path: string, file: Node]> {
  for (const [name, entry] of [...root.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (entry.kind === 'file') yield [prefix + name, entry]
    if (entry.kind === 'directory') yield* files(entry, `${prefix}${name}/`)
  }
}

/** Every path of the tree, directories and links too. */
export function* paths(root: Node, prefix = ''): Generator<readonly [path: string, node: Node]> {
  for (const [name, entry] of [...root.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    yield [prefix + name, entry]
    if (entry.kind === 'directory') yield* paths(entry, `${prefix}${name}/`)
  }
}

/** Is `below` the directory `above`, or inside it? */
export const isInside = (below: Node, above: Node): boolean =>
  below === above || [...above.entries.values()].some((e) => e.kind === 'directory' && isInside(below, e))
