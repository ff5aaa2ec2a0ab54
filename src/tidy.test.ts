/**
 * Tidy: the style that matters, as a test (rules: src/tidy/rules.ts, layers: src/tidy/layers.ts).
 *
 * Every rule is run twice: over the whole tree, where it must find nothing, and over files planted in memory, where it
 * must find exactly the lines that end in a `!` comment. A rule without a planted violation fails.
 */
import { globSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { LAYERS } from './tidy/layers.ts'
import { openProject, plant, type Project, ROOT } from './tidy/project.ts'
import { findings } from './tidy/rule.ts'
import {
  leftoversIn, LONG_FILES, LONG_FUNCTIONS, MAX_COLUMNS, MAX_FILE, MAX_FUNCTION, MAX_STRATEGY, rulesFor,
} from './tidy/rules.ts'

const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}
const rules = rulesFor(Object.keys(manifest.dependencies))

/** The end of a line that must be found. */
const HERE = '//' + '!'

const contract = '/** What it is. */\n'
const kernel = `import { type Kernel, raise } from '../kernel/kernel.ts'
declare function wait(): Kernel<void>
declare function fail(): Kernel<number, 'EIO'>
declare class Verbs { lock(): Kernel<void>; tryLock(): boolean; ask?(): Kernel<void> }
`
const filler = (lines: number): string => '\n'.repeat(lines)
/** Lines of a planted file, each of which must be found. */
const bad = (...lines: readonly string[]): string => lines.map((line) => `${line} ${HERE}\n`).join('')

/** By rule: path to text. Names that end in `-fine.ts` hold what the rule must let pass. */
const planted: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'imports go down only': {
    'src/kernel/up.ts': `import '../block/bio.ts' ${HERE}\n`,
    'src/block/sideways.ts': `export * from '../iov/source.ts' ${HERE}\n`,
    'src/fs/adapter.ts': `import type { x } from '../strategies/index.ts' ${HERE}\n`,
    'src/sim/knows-files.ts': `import '../fs/inode.ts' ${HERE}\nimport '../pagecache/folio.ts' ${HERE}\n`,
    'src/strategies/disk.ts': bad(
      `import '../block/bio.ts'`, `import '../sim/x.ts'`, `import '../lab/x.ts'`, `import '../oracle/x.ts'`,
    ),
    'src/lab/claims.ts': `const late = import('../../properties/x.ts') ${HERE}\n`,
    'src/report/table.ts': `import '../cli/main.ts' ${HERE}\n`,
    'src/shiny/new.ts': `import '../kernel/range.ts' ${HERE}\n`,
    'properties/claims/upside-down.ts': `import '../../src/cli/main.ts' ${HERE}\n`,
    'src/fs/down-fine.ts': `import '../pagecache/folio.ts'\nimport './inode.ts'\n`,
    'src/cli/whole-fine.ts': `import '../../properties/x.ts'\nimport '../index.ts'\nimport '../../package.json'\n`,
    'properties/claims/fine.ts': `import '../../src/oracle/x.ts'\nimport '../models/x.ts'\n`,
  },
  'nobody imports a test, and tests do not import cli': {
    'src/fs/borrows.test.ts': bad(`import './x.test.ts'`, `import '../cli/main.ts'`),
    'src/lab/borrows.ts': bad(`import '../tidy/rules.ts'`),
    'src/cli/own-fine.test.ts': `import './main.ts'\n`,
  },
  'below the lab: no Node module, only pure packages': {
    'src/fs/reads.ts': `import { readFileSync } from 'node:fs' ${HERE}\n`,
    'src/kernel/counts.ts': `import { mean } from 'simple-statistics' ${HERE}\n`,
    'src/lab/reads-fine.ts': `import { readFileSync } from 'node:fs'\n`,
    'src/fs/either-fine.ts': `import { right } from 'fp-ts/lib/Either.js'\n`,
  },
  'shipped code imports packages of `dependencies` only': {
    'properties/models/typo.ts': `import type { Runner } from 'vitest' ${HERE}\n`,
    'src/lab/typo.ts': `import '@zenfs/core/x' ${HERE}\n`,
    'properties/laws/fine.ts': `import 'fast-check'\n`,
    'src/lab/fine.ts': `import 'commander'\nimport 'node:fs'\n`,
    'src/lab/fine.test.ts': `import { test } from 'vitest'\n`,
  },
  'fp-ts is imported as fp-ts/lib/X.js': {
    'src/lab/whole.ts': bad(
      `import { either } from 'fp-ts'`, `import { left } from 'fp-ts/Either'`,
      `import { right } from 'fp-ts/lib/Either'`,
    ),
    'src/lab/path-fine.ts': `import { left } from 'fp-ts/lib/Either.js'\n`,
  },
  'on the path of a page fp-ts does not chain': {
    'src/strategies/chains.ts': bad(
      `import { chain, left } from 'fp-ts/lib/Either.js'`, `import * as TE from 'fp-ts/lib/TaskEither.js'`,
    ),
    'src/pagecache/binds.ts': `import * as E from 'fp-ts/lib/Either.js'\nconst x = E.bind ${HERE}\n`,
    'src/lab/chains-fine.ts': `import { chain } from 'fp-ts/lib/Either.js'\n`,
    'src/strategies/plain-fine.ts': `import * as E from 'fp-ts/lib/Either.js'\nconst x = E.map\n`,
  },
  'below the lab: no clock, no chance, no promise': {
    'src/iov/clock.ts': bad(
      `const now = Date.now()`, `const dice = Math.random()`, `const t = performance.now()`, `const f = async () => 1`,
      `const p: Promise<number> | null = null`, `setTimeout(() => 1, 1)`, `const e = process.env`,
    ),
    'src/iov/clock-fine.ts': `interface Times { Date: number }\nconst x = (t: Times): number => Math.max(t.Date, 1)\n`,
    'src/lab/clock-fine.ts': `const now = Date.now()\n`,
  },
  'no Kernel is left without yield*': {
    'src/fs/floats.ts': `${kernel}
export function* f(k: Verbs, list: number[]): Kernel<void> {
  wait() ${HERE}
  k.lock() ${HERE}
  k.ask?.() ${HERE}
  void wait() ${HERE}
  k.tryLock() && k.lock() ${HERE}
  k.tryLock() || wait() ${HERE}
  k.tryLock() ? 1 : wait() ${HERE}
  fail() ${HERE}
  raise('EIO') ${HERE}
  if (fail()) yield* wait() ${HERE}
  while (!wait()) yield* wait() ${HERE}
  list.forEach(() => k.lock()) ${HERE}
  list.forEach(wait) ${HERE}
}
export function* g(): Generator<unknown, void, void> {
  yield wait() ${HERE}
  yield* wait(); wait() ${HERE}
}
`,
    'src/fs/floats-fine.ts': `${kernel}
export function* f(k: Verbs, list: number[]): Kernel<number, 'EIO'> {
  yield* wait()
  if (!k.tryLock()) yield* k.lock()
  if (k.ask !== undefined) yield* k.ask()
  const later = (): Kernel<void> => k.lock()
  yield* later()
  const all = list.map(() => wait())
  for (const one of all) yield* one
  if ((yield* fail()) > 1) return yield* raise('EIO')
  return yield* fail()
}
`,
  },
  'a file opens with its contract': {
    'src/kernel/bare.ts': `import './range.ts' ${HERE}\n${contract}`,
    'src/kernel/line-comment.ts': `// What it is. ${HERE}\n`,
    'src/kernel/contract-fine.ts': contract,
    'src/cli/shebang-fine.ts': `#!/usr/bin/env node\n${contract}`,
  },
  'every exported symbol has a doc comment': {
    'src/kernel/undocumented.ts': contract + [
      `export const a = 1 ${HERE}`, ``, `// One line.`, `export const b = 2 ${HERE}`,
      `/** Documented. */`, `export const c = 3`, ``, `export function f(): void {} ${HERE}`,
      `export class K {} ${HERE}`, `export interface I {} ${HERE}`, `export type T = 1 ${HERE}`,
    ].join('\n'),
    'src/kernel/documented-fine.ts': contract + [
      `import './range.ts'`, `/** A pair. */`, `export const a = 1`, `export const b = 2`, `const own = 1`,
      `/** A function. */`, `export function f(): number { return own }`, `export * from './errno.ts'`,
    ].join('\n'),
  },
  [`files have at most ${MAX_FILE} lines, strategies ${MAX_STRATEGY}`]: {
    'src/kernel/long.ts': `${contract}${filler(MAX_FILE - 1)}const x = 1 ${HERE}\n`,
    'src/strategies/long.ts': `${contract}${filler(MAX_STRATEGY - 1)}const x = 1 ${HERE}\n`,
    'src/kernel/long-fine.ts': `${contract}${filler(MAX_FILE - 1)}`,
    'src/strategies/long-fine.ts': `${contract}${filler(MAX_STRATEGY - 1)}`,
  },
  [`functions have at most ${MAX_FUNCTION} lines`]: {
    'src/kernel/long-functions.ts': [
      `export const f = (): number => { ${HERE}${filler(MAX_FUNCTION)} return 1 }`,
      `class K {\n  m(): void { ${HERE}${filler(MAX_FUNCTION)} }\n}`,
      `function g(): void { ${HERE}${filler(MAX_FUNCTION)} }`,
    ].join('\n'),
    'src/kernel/functions-fine.ts': `export const f = (): number => { ${filler(MAX_FUNCTION - 1)} return 1 }\n`,
  },
  [`lines have at most ${MAX_COLUMNS} columns`]: {
    'src/kernel/wide.ts': bad(`const x = '${'x'.repeat(MAX_COLUMNS - 15)}'`),
    'src/kernel/wide-fine.ts': `const x = '${'\u{1F600}'.repeat(MAX_COLUMNS - 12)}'\n`,
  },
  'a strategy reads and writes the world through verbs only': {
    'src/strategies/reaches-in.ts': `import type { Inode } from '../fs/inode.ts'
import type { Folio } from '../pagecache/folio.ts'
declare const k: { readonly ledger: { copies: number } }
export const f = (inode: Inode, folio: Folio, none: Folio | null): void => {
  inode.size = 1 ${HERE}
  const pages = inode.pages ${HERE}
  folio.zero(0, 1) ${HERE}
  folio.pins++ ${HERE}
  const map = inode.map ${HERE}
  inode.map.set(0, 1, 1) ${HERE} ${HERE}
  folio.locked = true ${HERE}
  folio.index++ ${HERE}
  const d = none?.slab ${HERE}
  k.ledger.copies++ ${HERE}
  inode.mapLock.tryLock() ${HERE}
}
`,
    'src/strategies/asks-fine.ts': `import type { Inode } from '../fs/inode.ts'
import type { Folio } from '../pagecache/folio.ts'
declare const k: { acquire(lock: unknown): void; size(inode: Inode): number }
export const f = (inode: Inode, folio: Folio, list: readonly number[]): number => {
  k.acquire(inode.mapLock)
  folio.old = null
  return list.map((n) => n + folio.pos).length + k.size(inode)
}
`,
    'src/fs/owns-fine.ts': `import type { Inode } from './inode.ts'\nexport const f = (i: Inode): number => i.size++\n`,
  },
  'no leftovers: notes to oneself, tests switched off, paths of one machine': {
    'src/kernel/notes.ts': bad(
      `// ${'TO' + 'DO'} later`, `// ${'FIX' + 'ME'}`, `// ${'X' + 'XX'}`,
      `const x = '${'/wo' + 'rk'}/repo'`, `const y = '${'/t' + 'mp'}/image'`,
    ),
    'src/kernel/off.test.ts': bad(`test.${'sk' + 'ip'}('x')`, `describe.${'on' + 'ly'}('y')`),
    'src/kernel/notes-fine.ts': `const x = 'src/${'wo' + 'rk'}/x'\nconst y = { ${'on' + 'ly'}: 1 }\n`,
  },
  'only cli prints': {
    'src/lab/prints.ts': `console.log('x') ${HERE}\nprocess.stdout.write('x') ${HERE}\n`,
    'src/cli/prints-fine.ts': `console.log('x')\n`,
    'src/lab/colour-fine.ts': `const colour = process.stdout.isTTY\n`,
  },
}

/** `path:line`, once for every mark. */
const expected = (files: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(files).flatMap(([path, text]) =>
    text.split('\n').flatMap((line, i) => (line.split(HERE).slice(1)).map(() => `${path}:${i + 1}`)),
  )

describe('tidy', () => {
  const open: Project[] = []
  const use = (p: Project): Project => (open.push(p), p)
  afterAll(() => open.forEach((p) => p.close()))

  const tree = use(openProject())
  const garden = use(plant(Object.assign({}, ...Object.values(planted)) as Record<string, string>))

  test.each(rules)('$name', (rule) => {
    expect(findings(rule, tree.units)).toEqual([])
  })

  test.each(rules)('is caught when planted: $name', (rule) => {
    const files = planted[rule.name]
    expect(files, 'plant a violation for this rule').toBeDefined()
    const marks = expected(files!)
    expect(marks, 'mark the lines that must be found').not.toEqual([])
    const found = findings(rule, garden.units.filter((u) => u.path in files!))
    expect(found.map((f) => f.split(': ')[0]).sort()).toEqual([...marks].sort())
  })

  test('no two rules share a planted file, so that none overwrites another', () => {
    const paths = Object.values(planted).flatMap((files) => Object.keys(files))
    expect(paths).toEqual([...new Set(paths)])
  })

  test('the tree that is looked at is the tree that is there', () => {
    const there = globSync(['src/**/*.ts', 'properties/**/*.ts', 'bench/**/*.ts'], { cwd: ROOT })
    expect(tree.units.map((u) => u.path)).toEqual(expect.arrayContaining(there))
  })

  test('layers have no cycle', () => {
    const below = (layer: string, seen: readonly string[]): void => {
      expect(seen).not.toContain(layer)
      for (const next of LAYERS[layer] ?? []) below(next, [...seen, layer])
    }
    for (const layer of Object.keys(LAYERS)) below(layer, [])
  })

  test('an exception that is no longer needed is removed', () => {
    const lines = new Map(tree.units.map((u) => [u.path, u.lines.length - 1]))
    for (const path of LONG_FILES) expect(lines.get(path), path).toBeGreaterThan(MAX_FILE)
    for (const path of Object.keys(LONG_FUNCTIONS)) expect([...lines.keys()]).toContain(path)
  })

  test('docs hold no leftovers', () => {
    const pages = globSync(['docs/**/*.md', '*.md'], { cwd: ROOT })
    const found = pages.flatMap((page) =>
      leftoversIn(readFileSync(ROOT + page, 'utf8').split('\n')).map((f) => `${page}:${f.line}: ${f.message}`),
    )
    expect(found).toEqual([])
    expect(leftoversIn(['see ' + '/wo' + 'rk/x'])).toHaveLength(1)
  })

  test('every dependency is pinned to one version and described in docs/dependencies.md', () => {
    const page = readFileSync(`${ROOT}docs/dependencies.md`, 'utf8')
    for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/)
      expect(page, name).toContain(`| ${name} |`)
    }
  })
})
