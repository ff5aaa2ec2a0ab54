/**
 * Generators: workloads made from a seed.
 *
 * Each is a function of a seed and sizes that yields operations one at a time; the same seed and sizes give the same
 * operations for ever. The defaults are a few MiB, so that a replay takes well under a second. `mixed`, which speaks
 * the whole vocabulary, has a file of its own.
 */
import type { Operation } from './operation.ts'
import { mixed } from './mixed.ts'
import { Random } from './random.ts'

/** Sizes of a generated workload; each generator has its own defaults. */
export interface GeneratorOptions {
  /** How many files. */
  files?: number
  /** How many bytes are written in all; the last write is cut to fit. */
  bytes?: number
  /** Bytes of one write, or the most of one write where the lengths are drawn. */
  writeSize?: number
}

/** Sizes with the defaults filled in. */
export type Sizes = Required<GeneratorOptions>

/** A generator, its defaults and its one line of description. */
export interface WorkloadGenerator {
  description: string
  defaults: Sizes
  generate(seed: number, sizes: Sizes): Iterable<Operation>
}

type Operations = Generator<Operation, void, undefined>

const KIB = 1024
const MIB = 1024 * KIB

/** `files` new files, `f0` .. with fds 0 .. */
function* create(files: number, append: boolean): Operations {
  for (let fd = 0; fd < files; fd++) {
    yield {
      op: 'open',
      fd,
      path: `f${fd}`,
      flags: append ? ['O_WRONLY', 'O_CREAT', 'O_APPEND'] : ['O_RDWR', 'O_CREAT'],
    }
  }
}

/** fsync and close of fds 0 .. */
function* finish(files: number): Operations {
  for (let fd = 0; fd < files; fd++) {
    yield { op: 'fsync', fd }
    yield { op: 'close', fd }
  }
}

/** Each file in turn from its start to its end, in writes of one size. */
function* seq(_seed: number, { files, bytes, writeSize }: Sizes): Operations {
  for (let fd = 0; fd < files; fd++) {
    yield { op: 'open', fd, path: `f${fd}`, flags: ['O_WRONLY', 'O_CREAT', 'O_TRUNC'] }
    const share = Math.floor(bytes / files) + (fd < bytes % files ? 1 : 0)
    for (let left = share; left > 0; left -= writeSize) yield { op: 'write', fd, len: Math.min(left, writeSize) }
    yield { op: 'fsync', fd }
    yield { op: 'close', fd }
  }
}

/** Records of 1 to `writeSize` bytes to the end of a file drawn each time; every 16th is made durable, as a log is. */
function* append(seed: number, { files, bytes, writeSize }: Sizes): Operations {
  const random = new Random(seed)
  yield* create(files, true)
  for (let left = bytes, n = 1; left > 0; n++) {
    const fd = random.below(files)
    const len = Math.min(left, random.between(1, writeSize))
    yield { op: 'write', fd, len }
    left -= len
    if (n % 16 === 0) yield { op: 'fdatasync', fd }
  }
  yield* finish(files)
}

/** Files are written whole first, then half of `bytes` goes over them at places drawn in units of `writeSize`. */
function* random(seed: number, { files, bytes, writeSize }: Sizes): Operations {
  const draw = new Random(seed)
  const blocks = Math.max(1, Math.floor(bytes / 2 / files / writeSize))
  yield* create(files, false)
  let left = bytes
  for (let fd = 0; fd < files; fd++) {
    for (let block = 0; block < blocks && left > 0; block++) {
      const len = Math.min(left, writeSize)
      yield { op: 'write', fd, len, off: block * writeSize }
      left -= len
    }
    yield { op: 'fsync', fd }
  }
  for (let n = 1; left > 0; n++) {
    const fd = draw.below(files)
    const len = Math.min(left, writeSize)
    yield { op: 'write', fd, len, off: draw.below(blocks) * writeSize }
    left -= len
    if (n % 64 === 0) yield { op: 'fdatasync', fd }
  }
  yield* finish(files)
}

/** Writes of 1 to `writeSize` bytes, on no boundary, over files 32 times as long as what is written: mostly holes. */
function* sparse(seed: number, { files, bytes, writeSize }: Sizes): Operations {
  const draw = new Random(seed)
  const length = Math.max(writeSize, Math.floor(bytes / files) * 32)
  yield* create(files, false)
  for (let fd = 0; fd < files; fd++) yield { op: 'ftruncate', fd, len: length }
  for (let left = bytes, n = 1; left > 0; n++) {
    const fd = draw.below(files)
    const len = Math.min(left, draw.between(1, writeSize))
    const off = draw.below(length - len + 1)
    yield { op: 'write', fd, len, off }
    yield n % 8 === 0 ? { op: 'read', fd, len: len * 2, off } : { op: 'lseek', fd, off, whence: 'data' }
    left -= len
  }
  yield* finish(files)
}

/** All generators, by name. */
export const GENERATORS = {
  seq: {
    description: 'files from start to end in 64 KiB writes, then fsync',
    defaults: { files: 2, bytes: 4 * MIB, writeSize: 64 * KIB }, generate: seq,
  },
  append: {
    description: 'records of up to 4 KiB to the ends of four logs, every 16th made durable',
    defaults: { files: 4, bytes: 2 * MIB, writeSize: 4 * KIB }, generate: append,
  },
  random: {
    description: 'a file written whole, then overwritten in 4 KiB blocks drawn at random',
    defaults: { files: 1, bytes: 4 * MIB, writeSize: 4 * KIB }, generate: random,
  },
  sparse: {
    description: 'small unaligned writes scattered over files that are mostly holes',
    defaults: { files: 2, bytes: MIB, writeSize: 8 * KIB }, generate: sparse,
  },
  mixed: {
    description: 'every operation there is, over a small namespace',
    defaults: { files: 12, bytes: 3 * MIB, writeSize: 24 * KIB }, generate: mixed,
  },
} satisfies Record<string, WorkloadGenerator>

/** The name of a generator. */
export type GeneratorName = keyof typeof GENERATORS

/**
 * The operations of a generator; may be iterated many times.
 * @throws RangeError if a size is not a whole number above 0
 */
export function generate(name: GeneratorName, seed: number, options: GeneratorOptions = {}): Iterable<Operation> {
  const { defaults, generate: make } = GENERATORS[name]
  const sizes = { ...defaults, ...options }
  for (const [option, value] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${option} must be a whole number > 0, found ${value}`)
  }
  return { [Symbol.iterator]: () => make(seed, sizes)[Symbol.iterator]() }
}
