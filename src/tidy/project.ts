/**
 * Project: the sources as the compiler sees them, for the rules of tidy.
 *
 * - `openProject()` parses and types everything that tsconfig.json includes.
 * - `plant(files)` types files that exist only in memory, next to the real ones, so that every rule can be shown a
 *   violation. They may import real files by their real relative paths.
 *
 * Uses the API of TypeScript 7 (`typescript/unstable/sync`); only this file and rules.ts know it, and the compiler's
 * version is pinned.
 */
import { fileURLToPath } from 'node:url'
import { API, type Checker, type Program } from 'typescript/unstable/sync'
import type { Node, SourceFile } from 'typescript/unstable/ast'

/** Absolute path of the repository, with a slash at its end. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** One source file. `path` is relative to the repository, as `src/kernel/range.ts`. */
export interface Unit {
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
  readonly ast: SourceFile
  readonly checker: Checker
}

/** All files that are looked at. */
export interface Project {
  readonly units: readonly Unit[]
  readonly program: Program
  readonly close: () => void
}

const open = (config: string, overlay: ReadonlyMap<string, string>, wanted: (path: string) => boolean): Project => {
  const fs = {
    readFile: (path: string) => overlay.get(path),
    fileExists: (path: string) => (overlay.has(path) ? true : undefined),
  }
  const api = new API(overlay.size === 0 ? { cwd: ROOT } : { cwd: ROOT, fs })
  const project = api.updateSnapshot({ openProjects: [ROOT + config] }).getProject(ROOT + config)
  if (project === undefined) throw new Error(`${config}: the compiler did not open it`)
  const units = project.program
    .getSourceFileNames()
    .filter((name) => name.startsWith(ROOT) && !name.includes('/node_modules/'))
    .map((name) => ({ name, path: name.slice(ROOT.length) }))
    .filter(({ path }) => wanted(path))
    .map(({ name, path }): Unit => {
      const ast = project.program.getSourceFile(name)!
      return { path, text: ast.text, lines: ast.text.split('\n'), ast, checker: project.checker }
    })
  return { units, program: project.program, close: () => api.close() }
}

/** All code that tsconfig.json includes; what is imported as data is none. */
export const openProject = (): Project => open('tsconfig.json', new Map(), (path) => !path.endsWith('.json'))

/** Only `files` (path to text), typed together with whatever they import. */
export const plant = (files: Readonly<Record<string, string>>): Project => {
  const config = { extends: './tsconfig.json', files: Object.keys(files), include: [] }
  const overlay = new Map(Object.entries(files).map(([path, text]) => [ROOT + path, text]))
  overlay.set(`${ROOT}tsconfig.planted.json`, JSON.stringify(config))
  return open('tsconfig.planted.json', overlay, (path) => path in files)
}

/** Line of a position, from 1. */
export const lineOf = (unit: Unit, pos: number): number => unit.text.slice(0, pos).split('\n').length

/** Line where a node starts (its comments left out), from 1. */
export const lineOfNode = (unit: Unit, node: Node): number => lineOf(unit, node.getStart(unit.ast))

/** Visit a node and everything below it. */
export const walk = (node: Node, visit: (node: Node) => void): void => {
  visit(node)
  node.forEachChild((child) => walk(child, visit))
}
