/**
 * The package as a stranger gets it: packed, installed into an empty folder without a network, run and imported.
 *
 * Works on a copy of the sources, so that the test leaves no trace in the tree; the dependencies are installed from
 * node_modules. Source of the list: package-lock.json (everything that is not for development).
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SHIPPED } from '../src/tidy/layers.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), 'utf8'))
const manifest = read('package.json') as {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly files: readonly string[]
}
const lock = read('package-lock.json') as {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>
}

const place = mkdtempSync(join(tmpdir(), 'perform-write-package-'))
const sources = join(place, 'sources')
const user = join(place, 'user')
const installed = join(user, 'node_modules', 'perform-write')

const run = (cwd: string, command: string, ...args: readonly string[]): string => {
  // The Node of this test first, as for a user who has the right one; no settings of the npm that runs the tests.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')))
  const PATH = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`
  return execFileSync(command, args, { cwd, env: { ...env, PATH }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Folders of the packages that users get with ours. */
const shipped = (): readonly string[] =>
  Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && entry.dev !== true && entry.devOptional !== true)
    .map(([path]) => join(root, path))
    .filter((path) => existsSync(path))

beforeAll(() => {
  mkdirSync(sources)
  mkdirSync(user)
  const build = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'properties', 'workloads']
  for (const name of [...build, ...manifest.files].filter((n) => n !== 'dist' && existsSync(join(root, n)))) {
    cpSync(join(root, name), join(sources, name), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(sources, 'node_modules'))
  run(sources, 'npm', 'pack', '--pack-destination', place)
  writeFileSync(join(user, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
  const tarball = join(place, `perform-write-${manifest.version}.tgz`)
  run(user, 'npm', 'install', '--offline', '--install-links', '--ignore-scripts', tarball, ...shipped())
}, 120_000)

afterAll(() => rmSync(place, { recursive: true, force: true }))

describe('a design in a package of its own, as init makes it', () => {
  const plugin = join(user, 'my-design')
  const command = (...args: readonly string[]): { readonly code: number; readonly out: string } => {
    try {
      return { code: 0, out: run(plugin, args[0]!, ...args.slice(1)) }
    } catch (e) {
      const { status, stdout, stderr } = e as { readonly status: number; readonly stdout: string; readonly stderr: string }
      return { code: status, out: stripVTControlCharacters(stdout + stderr) }
    }
  }

  beforeAll(() => {
    run(user, join('node_modules', '.bin', 'perform-write'), 'init', 'strategy', 'my-design')
    // What npm install would do, without a network: the package from the tarball, the runner from here.
    mkdirSync(join(plugin, 'node_modules'))
    symlinkSync(installed, join(plugin, 'node_modules', 'perform-write'))
    symlinkSync(join(root, 'node_modules', 'vitest'), join(plugin, 'node_modules', 'vitest'))
    symlinkSync(join(root, 'node_modules', '.bin'), join(plugin, 'node_modules', '.bin'))
  })

  test('npm test runs the suite, which fails on purpose: no space where there is space', () => {
    const file = join(plugin, 'strategy.test.ts')
    writeFileSync(file, readFileSync(file, 'utf8').replace(`budget: 'smoke'`, `budget: 'smoke', executions: 200`))
    const { code, out } = command('npm', 'test')
    expect(code).not.toBe(0)
    expect(out).toMatch(/FAIL .*I26 no needless error; a retry succeeds/)
    expect(out).toContain('ENOSPC')
    expect([...out.matchAll(/FAIL .*> (\S+) /g)].map(([, claim]) => claim)).toEqual(expect.arrayContaining(['I26']))
  })

  test('check says the same, in the same words', () => {
    const main = join('node_modules', 'perform-write', manifest.bin['perform-write']!)
    const { code, out } = command(process.execPath, main, 'check', './strategy.ts', '--budget', 'smoke', '--claim', 'I26')
    expect(code).toBe(1)
    expect(out).toContain('✗ I26 no needless error; a retry succeeds')
    expect(out).toContain('replay: perform-write check ./strategy.ts --claim I26 --budget smoke')
  })

  test('the skeleton compiles, and asks for the runner that we test with', () => {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const language = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--allowImportingTsExtensions']
    const options = ['--noEmit', '--skipLibCheck', ...language, '--types', 'node']
    const roots = ['--typeRoots', join(root, 'node_modules', '@types')]
    expect(command(process.execPath, tsc, ...options, ...roots, 'strategy.ts', 'strategy.test.ts')).toEqual({ code: 0, out: '' })
    type Manifest = { readonly devDependencies: Readonly<Record<string, string>> }
    const { devDependencies } = JSON.parse(readFileSync(join(plugin, 'package.json'), 'utf8')) as Manifest
    expect(devDependencies['vitest']).toBe(`^${(read('package.json') as Manifest).devDependencies['vitest']!}`)
  })
})

describe('the packed tarball, installed into an empty folder without a network', () => {
  test('holds code and declarations for every source, what src needs of properties, and no test', () => {
    const sources = globSync('src/**/*.ts', { cwd: root })
      .filter((path) => !/\.test(-util)?\.ts$/.test(path) && !path.startsWith('src/tidy/'))
    const emitted = (path: string): readonly string[] => [path.replace(/\.ts$/, '.js'), path.replace(/\.ts$/, '.d.ts')]
    const dist = join(installed, 'dist')
    expect(globSync('src/**/*.{js,ts}', { cwd: dist }).sort()).toEqual(sources.flatMap(emitted).sort())
    const isShipped = (path: string): boolean => SHIPPED.some((s) => path.startsWith(s.replace(/\.ts$/, '.')))
    for (const path of globSync('properties/**/*.{js,ts}', { cwd: dist })) expect(isShipped(path), path).toBe(true)
    expect(existsSync(join(dist, 'properties', 'mutants', 'kills.json'))).toBe(true)
  })

  test('brings the workloads along, where the code looks for them', () => {
    const here = globSync('**/*.gz', { cwd: join(root, 'workloads') })
    expect(here).not.toEqual([])
    expect(globSync('**/*.gz', { cwd: join(installed, 'dist', 'workloads') }).sort()).toEqual(here.sort())
  })

  test('perform-write --version prints the version', () => {
    expect(Object.keys(manifest.bin)).toEqual(['perform-write'])
    expect(run(user, join('node_modules', '.bin', 'perform-write'), '--version').trim()).toBe(manifest.version)
  })

  test('perform-write list names strategies, file systems, claims and workloads', () => {
    const file = join(user, 'list.json')
    run(user, join('node_modules', '.bin', 'perform-write'), 'list', '--json', file)
    type Entries = readonly { readonly name: string }[]
    const list = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, Entries>>
    for (const kind of ['strategies', 'fileSystems', 'claims', 'workloads']) expect(list[kind], kind).not.toEqual([])
    expect(list['strategies']!.map((s) => s.name)).toContain('reserve-allocate')
    expect(list['fileSystems']!.map((s) => s.name)).toContain('ext2')
    expect(list['workloads']!.map((w) => w.name)).toContain('sqlite-wal')
  })

  test('can be imported as a library', () => {
    const program = `import * as lib from 'perform-write'; console.log(JSON.stringify(Object.keys(lib)))`
    const names = JSON.parse(run(user, process.execPath, '--input-type=module', '--eval', program)) as readonly string[]
    expect(names).toEqual(expect.arrayContaining(['run', 'raise', 'attempt']))
  })

  test('is typed: a design of a user compiles against it, a wrong one does not', () => {
    const compile = (name: string, errno: string): string => {
      writeFileSync(
        join(user, name),
        `import { type Kernel, raise } from 'perform-write'\n` +
          `export function* f(): Kernel<never, 'EIO'> { return yield* raise('${errno}') }\n`,
      )
      const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
      const roots = ['--typeRoots', join(root, 'node_modules', '@types')]
      const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
      try {
        return run(user, process.execPath, tsc, ...options, ...roots, name)
      } catch (e) {
        return String((e as { readonly stdout?: unknown }).stdout ?? e)
      }
    }
    expect(compile('right.ts', 'EIO')).toBe('')
    expect(compile('wrong.ts', 'ENOSPC')).toContain("'\"ENOSPC\"' is not assignable to type '\"EIO\"'")
  })
})
