/**
 * Layers: which folder may import which, as a table. Imports go down only.
 *
 * Source: the design's house, section 2. A folder under src that is missing here is refused, so that a new one gets its
 * place on purpose.
 */

const GROUND = ['kernel']
const MACHINE = [...GROUND, 'block', 'iov']
const CACHE = [...MACHINE, 'pagecache']
const CORE = [...CACHE, 'sim', 'fs']
const LAB = [...CORE, 'pipe', 'strategies', 'send', 'transport']
const REAL = [...LAB, 'lab', 'host']
const ALL = [...REAL, 'oracle']

/** Folder of src, and what it may import besides itself. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  block: GROUND,
  iov: GROUND,
  pagecache: MACHINE,
  sim: MACHINE,
  fs: [...CACHE, 'sim'],
  pipe: [...CACHE, 'sim', 'fs'],
  strategies: ['kernel', 'iov', 'pagecache', 'fs'],
  send: CORE,
  transport: CORE,
  lab: LAB,
  host: [...LAB, 'lab'],
  oracle: REAL,
  report: ALL,
  'index.ts': [...ALL, 'report'],
  properties: [...ALL, 'report', 'index.ts'],
  cli: [...ALL, 'report', 'index.ts', 'properties'],
  bench: [...ALL, 'report', 'properties'],
}

/** Folders whose code must run the same every time: no clock, no chance, no promise, no Node module. */
export const DETERMINISTIC: readonly string[] = [
  'kernel', 'block', 'iov', 'pagecache', 'sim', 'fs', 'pipe', 'strategies', 'send', 'transport',
]

/** Files that may break the rule for Node modules, and the modules. */
export const NODE_MODULES_ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'src/block/image-device.ts': ['node:fs'],
}

/** Packages that deterministic code may import. */
export const PURE_PACKAGES: readonly string[] = ['fp-ts', 'crc-32']

/** Globals that make a run differ from the one before. A dotted name is a member of a global. */
export const INDETERMINATE: readonly string[] = [
  'Date', 'Math.random', 'performance', 'Promise', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask',
  'process', 'crypto', 'fetch', 'WeakRef', 'FinalizationRegistry', 'Worker', 'Atomics',
]

/** Folders and files outside src that the package brings along: cli uses them, and they are perform-write/suite. */
export const SHIPPED: readonly string[] = [
  'properties/models/', 'properties/claims/', 'properties/suite.ts', 'properties/check.ts', 'properties/show.ts',
  'properties/calling.ts', 'properties/interruptible.ts', 'properties/kills.ts',
]

/** Folders and files on the path of a page: no chaining of fp-ts there (300-560 ns a step). */
export const HOT: readonly string[] = ['src/pagecache/', 'src/strategies/', 'src/fs/perform-write.ts']

/** Names of fp-ts that chain. */
export const CHAINING: readonly string[] = ['chain', 'chainW', 'flatMap', 'bind', 'bindTo', 'bindW', 'Do', 'apS']

/** The folder (or the file, at the top of src) that a path belongs to in the table. */
export const layerOf = (path: string): string => {
  const [top, second] = path.split('/')
  return top === 'src' ? (second ?? '') : (top ?? '')
}
