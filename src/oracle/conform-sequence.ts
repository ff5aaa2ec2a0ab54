/**
 * Sequences for conformance: short lists of operations on few small files, biased to where write paths differ: edges of
 * blocks and pages, sources that end in an unreadable page, holes, truncation in both directions, punches, a full disk.
 *
 * Same seed and number, same sequence, on every machine.
 */
import type { KernelOperation } from '../host/sequence.ts'
import { Random } from '../lab/workload/random.ts'

const PATHS = ['a', 'b', 'c'] as const
const EDGES = [0, 1, 511, 512, 1023, 1024, 2048, 4095, 4096, 4097, 8191, 8192, 12288, 16384, 49152, 65536, 131072]

/** What a sequence may contain. */
export interface SequenceOptions {
  /** How many operations besides opening the files. */
  readonly length: number
  /** Can the format hold unwritten extents: fallocate and zero range? */
  readonly unwritten: boolean
  /** Write much, so that the disk fills. */
  readonly fill: boolean
}

/** Sequence number `n` of a seed. */
export const conformSequence = (seed: number, n: number, options: SequenceOptions): KernelOperation[] => {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ n)
  const pick = <T>(list: readonly T[]): T => list[random.bits() % list.length]!
  const below = (limit: number): number => random.bits() % limit
  const edge = (): number => Math.max(0, pick(EDGES) + pick([0, 0, 0, -1, 1, 7]))
  const ops: KernelOperation[] = PATHS.map((path, fd) => ({ op: 'open', fd, path, flags: ['O_RDWR', 'O_CREAT'] }))
  for (let i = 0; i < options.length; i++) {
    const fd = below(PATHS.length)
    const kind = below(20)
    if (kind < 7) ops.push({ op: 'write', fd, off: edge(), len: 1 + below(options.fill ? 900_000 : 20_000) })
    else if (kind < 10) {
      const len = 1 + below(20_000)
      // A write of which nothing is readable mostly goes to the start: past the end the kernel's i_size is known to differ.
      const nothing = below(4) === 0
      ops.push({ op: 'write', fd, off: nothing && below(8) > 0 ? 0 : edge(), len, readable: nothing ? 0 : 1 + below(len) })
    } else if (kind === 10) ops.push({ op: 'writev', fd, off: edge(), lens: [below(3000), 0, 1 + below(9000)] })
    else if (kind < 13) ops.push({ op: 'ftruncate', fd, len: below(3) === 0 ? 0 : edge() })
    else if (kind === 13) ops.push({ op: 'fallocate', fd, mode: 'punch', off: edge(), len: 1 + below(30_000) })
    else if (kind === 14 && options.unwritten) {
      const mode = pick(['allocate', 'keep-size', 'zero', 'zero-keep-size'] as const)
      ops.push({ op: 'fallocate', fd, mode, off: edge(), len: 1 + below(40_000) })
    } else if (kind < 17) ops.push({ op: 'read', fd, off: edge(), len: 1 + below(20_000) })
    else if (kind === 17) ops.push({ op: 'fsync', fd })
    else if (kind === 18) ops.push({ op: 'lseek', fd, off: edge(), whence: pick(['data', 'hole'] as const) })
    else ops.push({ op: 'sync' })
  }
  return ops
}
