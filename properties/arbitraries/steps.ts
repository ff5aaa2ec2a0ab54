/**
 * Steps: what a property run is made of: the operations of a workload, and what else may happen between them.
 *
 * A raw step is six small numbers, 0 meaning the simplest in each; `decode` makes steps of them, with positions at
 * the edges of blocks, pages, folios and of the file as it then is. So fast-check shrinks numbers, a long run draws
 * numbers, and both speak of the same things. `show` prints steps as a literal that can be pasted into a test.
 */
import type { FallocateMode, OpenFlag, Operation } from '../../src/lab/workload/operation.ts'

/** Write everything and forget what is cached: sync; echo 3 > drop_caches. */
export interface DropCaches { readonly op: 'drop-caches' }
/** A store through a mapping of `path` behind its end, up to the end of the page (claim I19). */
export interface StorePastEnd { readonly op: 'store-past-end', readonly path: string }
/** What may happen between two calls of a process. */
export type Event = DropCaches | StorePastEnd
/** One step of a run. */
export type Step = Operation | Event

/** True for what no workload file can hold. */
export const isEvent = (step: Step): step is Event => step.op === 'drop-caches' || step.op === 'store-past-end'

/** One step as numbers: which sort, which file, where, how far from there, how much, and a number to spread with. */
export type RawStep = readonly [sort: number, who: number, place: number, delta: number, len: number, spread: number]
/** One more than the largest of each number of a raw step. */
export const RAW_BELOW: RawStep = [200, 24, 14, 6, 12, 65536]

/** What the steps are for. */
export interface DecodeOptions {
  /** Bytes. */
  readonly blockSize: number
  /** Positions of many GiB too; default true. */
  readonly far?: boolean
}

const PAGE = 4096
const FILES = ['a', 'b', 'd/x', 'c', 'd/y'] as const
const DIRECTORIES = ['d', 'e'] as const
const LINKS = ['s', 'd/s'] as const
const FDS = 4
const LONGEST = 300 * 1024
const FAR = 5 * 2 ** 30

/** What the decoder knows of a file: enough to aim at its end. */
interface Sketch { size: number }
interface SketchFd { readonly file: Sketch, readonly flags: readonly OpenFlag[], pos: number }

/** Follows sizes and names roughly, so that steps aim well; it is no model, and may be wrong. */
class Decoder {
  readonly #options: DecodeOptions
  readonly #files = new Map<string, Sketch>()
  readonly #fds = new Map<number, SketchFd>()

  constructor(options: DecodeOptions) {
    this.#options = options
  }

  decode(raw: RawStep): Step {
    const [sort] = raw
    let at = 0
    for (const [weight, make] of SORTS) {
      at += weight
      if (sort < at) return this.#note(make(this, raw))
    }
    return { op: 'sync' }
  }

  /** An open fd, as far as is known; for `open` itself any of the few. */
  fd(who: number): number {
    const open = [...this.#fds.keys()].sort((a, b) => a - b)
    return open[who % open.length] ?? who % FDS
  }
  file(who: number): string {
    return FILES[Math.floor(who / FDS) % FILES.length]!
  }
  flags(fd: number): readonly OpenFlag[] {
    return this.#fds.get(fd)?.flags ?? []
  }
  size(of: number | string): number {
    return (typeof of === 'string' ? this.#files.get(of) : this.#fds.get(of)?.file)?.size ?? 0
  }
  /** Is the aim of a direct write a whole number of blocks? */
  aligned(fd: number, n: number): number {
    return this.flags(fd).includes('O_DIRECT') ? n - (n % this.#options.blockSize) : n
  }

  /** A position near an edge. */
  pos(of: number | string, [, , place, delta, , spread]: RawStep): number {
    const block = this.#options.blockSize
    const size = this.size(of)
    const places = [
      0, size, PAGE, block, 2 * PAGE, (spread * 4) % 262144, size, 4 * PAGE, 16 * PAGE, 32 * PAGE, size - (size % PAGE),
      size >> 1, 2 ** 21, this.#options.far === false ? spread : FAR,
    ]
    const deltas = [0, 1, -1, spread % block, -(spread % block), -(spread % (16 * PAGE))]
    return Math.max(0, places[place % places.length]! + deltas[delta % deltas.length]!)
  }

  /** A number of bytes, at least 1. */
  len(of: number | string, pos: number, [, , , , len, spread]: RawStep): number {
    const block = this.#options.blockSize
    const lens = [
      1, block, PAGE, block - 1, block + 1, spread % PAGE, PAGE - (pos % PAGE), spread, 3 * PAGE + (spread % block),
      this.size(of) - pos, 64 * 1024, spread * 4 + 37,
    ]
    return Math.max(1, Math.min(LONGEST, lens[len % lens.length]!))
  }

  /** Follow names and sizes. */
  #note(step: Step): Step {
    switch (step.op) {
      case 'open': {
        this.#fds.delete(step.fd)
        const known = this.#files.get(step.path)
        if (known === undefined ? !step.flags.includes('O_CREAT') : step.flags.includes('O_EXCL')) break
        const file = known ?? { size: 0 }
        if (step.flags.includes('O_TRUNC')) file.size = 0
        this.#files.set(step.path, file)
        this.#fds.set(step.fd, { file, flags: step.flags, pos: 0 })
        break
      }
      case 'close': this.#fds.delete(step.fd); break
      case 'write': this.#wrote(step.fd, step.off, step.len); break
      case 'writev': this.#wrote(step.fd, step.off, step.lens.reduce((a, b) => a + b, 0)); break
      case 'ftruncate': this.#sized(this.#fds.get(step.fd)?.file, step.len); break
      case 'truncate': this.#sized(this.#files.get(step.path), step.len); break
      case 'rename':
      case 'link': {
        const file = this.#files.get(step.from)
        if (file !== undefined) this.#files.set(step.to, file)
        if (step.op === 'rename') this.#files.delete(step.from)
        break
      }
      case 'unlink': this.#files.delete(step.path); break
    }
    return step
  }

  #sized(file: Sketch | undefined, size: number): void {
    if (file !== undefined) file.size = size
  }

  #wrote(fd: number, off: number | undefined, len: number): void {
    const d = this.#fds.get(fd)
    if (d === undefined) return
    const pos = d.flags.includes('O_APPEND') ? d.file.size : (off ?? d.pos)
    if (off === undefined) d.pos = pos + len
    d.file.size = Math.max(d.file.size, pos + len)
  }
}

type Make = (d: Decoder, raw: RawStep) => Step

const OPENS: readonly (readonly OpenFlag[])[] = [
  ['O_RDWR', 'O_CREAT'], ['O_RDWR', 'O_CREAT'], ['O_RDWR', 'O_CREAT', 'O_APPEND'], ['O_RDWR', 'O_CREAT', 'O_DSYNC'],
  ['O_RDWR', 'O_CREAT', 'O_DIRECT'], ['O_RDWR', 'O_CREAT', 'O_TRUNC'], ['O_RDWR', 'O_CREAT'], ['O_RDWR'], ['O_RDONLY'],
  ['O_WRONLY', 'O_CREAT'], ['O_RDWR', 'O_CREAT', 'O_EXCL'],
]

const write: Make = (d, raw) => {
  const fd = d.fd(raw[1])
  const off = d.aligned(fd, d.pos(fd, raw))
  const len = Math.max(1, d.aligned(fd, d.len(fd, off, raw)))
  return { op: 'write', fd, len, off }
}
const append: Make = (d, raw) => {
  const fd = d.fd(raw[1])
  return { op: 'write', fd, len: Math.max(1, d.aligned(fd, d.len(fd, d.size(fd), raw))) }
}
const writev: Make = (d, raw) => {
  const fd = d.fd(raw[1])
  const off = d.pos(fd, raw)
  const len = d.len(fd, off, raw)
  return { op: 'writev', fd, lens: [len >> 2, 0, len - (len >> 2)], off }
}
const read: Make = (d, raw) => {
  const fd = d.fd(raw[1])
  const off = d.aligned(fd, d.pos(fd, raw))
  return { op: 'read', fd, len: d.len(fd, off, raw), off }
}
const readOn: Make = (d, raw) => ({ op: 'read', fd: d.fd(raw[1]), len: d.len(d.fd(raw[1]), 0, raw) })
const seek: Make = (d, raw) => {
  const fd = d.fd(raw[1])
  const whence = (['data', 'hole', 'set', 'end', 'cur'] as const)[raw[5] % 5]!
  return { op: 'lseek', fd, whence, off: whence === 'end' ? -d.len(fd, 0, raw) : d.pos(fd, raw) }
}
const ftruncate: Make = (d, raw) => ({ op: 'ftruncate', fd: d.fd(raw[1]), len: d.pos(d.fd(raw[1]), raw) })
const truncate: Make = (d, raw) => ({ op: 'truncate', path: d.file(raw[1]), len: d.pos(d.file(raw[1]), raw) })
const fallocate: Make = (d, raw) => {
  const fd = d.fd(raw[1])
  const modes: readonly FallocateMode[] = ['punch', 'zero', 'allocate', 'keep-size', 'zero-keep-size']
  const off = d.pos(fd, raw)
  return { op: 'fallocate', fd, mode: modes[raw[5] % modes.length]!, off, len: d.len(fd, off, raw) }
}
const store: Make = (d, raw) => {
  const fd = d.fd(raw[1])
  const off = d.pos(fd, raw)
  return { op: 'mmap-write', fd, off, len: Math.min(20_000, d.len(fd, off, raw)) }
}
const open: Make = (d, raw) =>
  ({ op: 'open', fd: raw[1] % FDS, path: d.file(raw[1]), flags: [...OPENS[raw[5] % OPENS.length]!] })
const rename: Make = (d, raw) => {
  const [from, to] = raw[5] % 12 === 0 ? DIRECTORIES : [d.file(raw[1]), d.file(raw[5])]
  return { op: 'rename', from, to }
}
const name: Make = (d, raw) => {
  const path = d.file(raw[1])
  const directory = DIRECTORIES[raw[5] % DIRECTORIES.length]!
  const link = LINKS[raw[5] % LINKS.length]!
  const steps: readonly Step[] = [
    { op: 'unlink', path }, { op: 'link', from: path, to: d.file(raw[5]) }, { op: 'mkdir', path: directory },
    { op: 'rmdir', path: directory }, { op: 'symlink', target: path.repeat(raw[5] % 40 + 1), path: link },
    { op: 'unlink', path: link }, { op: 'stat', path }, { op: 'stat', path: link }, { op: 'readdir', path: '.' },
    { op: 'chmod', path, mode: 0o600 }, { op: 'utimes', path, mtime: 1_000_000 }, { op: 'unlink', path },
  ]
  return steps[raw[2] % steps.length]!
}

/** What is drawn how often; the simplest first. The weights sum up to RAW_BELOW[0]. */
const SORTS: readonly (readonly [weight: number, make: Make])[] = [
  [52, write], [16, append], [6, writev], [22, read], [5, readOn], [8, seek], [16, ftruncate], [4, truncate],
  [14, fallocate], [12, store], [12, open], [4, (d, raw) => ({ op: 'close', fd: d.fd(raw[1]) })],
  [4, (d, raw) => ({ op: 'fsync', fd: d.fd(raw[1]) })], [3, () => ({ op: 'sync' })], [6, () => ({ op: 'drop-caches' })],
  [5, (d, raw) => ({ op: 'store-past-end', path: d.file(raw[1]) })], [3, rename], [8, name],
]

/** Two open files and a directory to begin with, then what the numbers say. */
export const decode = (raws: readonly RawStep[], options: DecodeOptions): Step[] => {
  const decoder = new Decoder(options)
  const opening: RawStep[] = FILES.slice(0, 2).map((_, i) => [OPEN_SORT, i * (FDS + 1), 0, 0, 0, 0])
  return [{ op: 'mkdir', path: DIRECTORIES[0] }, ...[...opening, ...raws].map((raw) => decoder.decode(raw))]
}

const OPEN_SORT = SORTS.slice(0, SORTS.findIndex(([, make]) => make === open)).reduce((sum, [weight]) => sum + weight, 0)

/** Steps as a TypeScript array literal, one step a line. */
export const show = (steps: readonly Step[]): string =>
  `[\n${steps.map((s) => `  ${literal(s)},\n`).join('')}]`

const literal = (value: unknown): string => {
  if (typeof value === 'string') return `'${value}'`
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  return `{ ${Object.entries(value).map(([k, v]) => `${k}: ${literal(v)}`).join(', ')} }`
}
