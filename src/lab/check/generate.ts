/**
 * Generate: the programs of a check, by combination: grounds x states of the file x actions.
 *
 * Nothing here knows a design or a bug. What is combined are the dimensions in which a buffered write differs: blocks smaller
 * than a page or not, large folios or not, a full disk or not; a file that is empty, cached, clean, cold, mapped, sparse or
 * preallocated; a write that is aligned or not, over the end or not, whole, short, not in memory, or from the file itself; and
 * whatever else may go on at the same time. The seed decides the order only: a budget that is large enough sees them all.
 */
import { random32, below } from '../../sim/sources.ts'
import type { FormatName } from '../session.ts'
import type { Action, Actions, Config, Program } from './program.ts'

const write = (pos: number, len: number, more: Partial<Extract<Action, { op: 'write' }>> = {}): Action =>
  ({ op: 'write', pos, len, ...more })
const sync: Action = { op: 'sync' }
const drop: Action = { op: 'drop' }

/** Grounds, the plainest last: small blocks and large folios are where bugs live. */
export const GROUNDS: readonly Config[] = [
  { format: 'ext4', blockSize: 1024, folioOrder: 0 },
  { format: 'ext4', blockSize: 1024, folioOrder: 2 },
  { format: 'ext2', blockSize: 1024, folioOrder: 0 },
  { format: 'ext4', blockSize: 4096, folioOrder: 0 },
  { format: 'ext2', blockSize: 4096, folioOrder: 1 },
  { format: 'ext4', blockSize: 1024, folioOrder: 0, leave: 3 },
  { format: 'ext2', blockSize: 1024, folioOrder: 0, leave: 2 },
  { format: 'ext4', blockSize: 4096, folioOrder: 0, leave: 1 },
  { format: 'ext4', blockSize: 1024, folioOrder: 0, quota: 3 },
  { format: 'ext2', blockSize: 1024, folioOrder: 0, quota: 2 },
]

/** States of the file before the fibers begin. */
export const BEFORES: readonly Actions[] = [
  [],
  [write(0, 8192)],
  [write(0, 8192), sync],
  [write(0, 8192), sync, drop],
  [write(0, 1000)],
  [write(0, 3000), sync, drop],
  [write(0, 1000), { op: 'store', pos: 2000, len: 500 }],
  [write(0, 2048), write(6144, 2048), sync],
  [write(0, 1024), write(9216, 1024), sync, drop],
  [{ op: 'allocate', pos: 0, len: 12288 }, sync, drop],
  [{ op: 'allocate', pos: 0, len: 8192, keep: true }, write(0, 500), sync],
  [write(0, 6000), sync, { op: 'store', pos: 100, len: 300 }],
  [write(0, 6000), { op: 'truncate', size: 1500 }],
  [write(0, 4096), sync, write(4096, 100)],
  [write(0, 1000), { op: 'truncate', size: 9000 }],
  [{ op: 'allocate', pos: 0, len: 12288 }, sync, write(5000, 300)],
]

/** Writes. */
export const WRITES: readonly Action[] = [
  write(0, 4096), write(100, 300), write(1000, 3000), write(3000, 6000), write(5000, 2000), write(700, 100, { append: true }),
  write(0, 1500, { append: true }), write(0, 8192, { readable: 2500 }), write(1000, 5000, { readable: 10 }),
  write(2048, 6000, { readable: 4000 }),
  write(500, 6000, { absent: true }), write(0, 4096, { self: 1 }), write(4096, 4096, { self: 0 }), write(1000, 4096, { self: 0 }),
  write(9000, 100), write(0, 0), write(4000, 200), write(0, 5000, { sync: true }), write(0, 4096, { direct: true }), write(1024, 2048),
  write(1500, 3000, { nowait: true }), write(0, 1500, { cursor: true }), write(0, 2048, { cursor: true, direct: true }),
  write(300, 2000, { pieces: true }), write(0, 8192),
]

/** What else may go on. */
export const OTHERS: readonly Action[] = [
  { op: 'read', pos: 0, len: 8192 }, { op: 'read', pos: 500, len: 3000 }, { op: 'load', pos: 0, len: 4096 },
  { op: 'store', pos: 0, len: 512 }, { op: 'store', pos: 3500, len: 400 },
  { op: 'truncate', size: 500 }, { op: 'truncate', size: 3000 }, { op: 'truncate', size: 9000 },
  { op: 'punch', pos: 0, len: 4096 }, { op: 'punch', pos: 1024, len: 3000 }, { op: 'punch', pos: 4096, len: 2048 },
  { op: 'store', pos: 5000, len: 300 }, { op: 'store', pos: 1000, len: 3000 }, { op: 'zero', pos: 0, len: 6144 },
  { op: 'fsync' }, { op: 'writeback' }, { op: 'reclaim' },
  { op: 'dma', pos: 200, len: 300 }, { op: 'stat' }, { op: 'allocate', pos: 2048, len: 4096 },
]

/** Can this format do it? */
const fits = (format: FormatName, actions: Actions): boolean =>
  format !== 'ext2' || actions.every((a) => a.op !== 'allocate' && a.op !== 'zero' && !(a.op === 'write' && a.direct === true))

const isAligned = (a: Action, blockSize: number): boolean =>
  !((a.op === 'write' || a.op === 'read') && a.direct === true) || (a.pos % blockSize === 0 && a.len % blockSize === 0)

/** A family of programs, in the order that the seed decides. */
export type Family = (seed: number) => Generator<Program>

const pick = <A>(all: readonly A[], n: number): A => all[n % all.length]!

/** All numbers below `n`, each once, in an order that the seed decides; costs nothing to begin. */
export function* shuffled(n: number, seed: number): Generator<number> {
  const draw = random32(seed)
  // A stride that shares no factor with n walks through all of them.
  let stride = 1 + below(draw, n)
  while (gcd(stride, n) !== 1) stride = 1 + (stride % n)
  let at = below(draw, n)
  for (let i = 0; i < n; i++) {
    yield at
    at = (at + stride) % n
  }
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

/** Programs of `sizes` dimensions, by a mixed-radix number. */
function* combine(seed: number, sizes: readonly number[], make: (at: readonly number[]) => Program | null): Generator<Program> {
  const total = sizes.reduce((a, b) => a * b, 1)
  for (const number of shuffled(total, seed)) {
    const at: number[] = []
    let rest = number
    for (const n of sizes) {
      at.push(rest % n)
      rest = Math.floor(rest / n)
    }
    const program = make(at)
    if (program !== null) yield program
  }
}

const valid = (p: Program): Program | null => {
  const all = [...p.before, ...p.fibers.flat()]
  return fits(p.config.format, all) && all.every((a) => isAligned(a, p.config.blockSize)) ? p : null
}

/** One write. */
export const single: Family = (seed) =>
  combine(seed, [GROUNDS.length, BEFORES.length, WRITES.length], ([g, b, w]) =>
    valid({ config: pick(GROUNDS, g!), before: pick(BEFORES, b!), fibers: [[pick(WRITES, w!)]] }))

/** Two or three calls, one after the other. */
export const sequence: Family = (seed) =>
  combine(seed + 1, [GROUNDS.length, BEFORES.length, WRITES.length, WRITES.length + OTHERS.length, 3], ([g, b, w, o, k]) => {
    const other = pick([...WRITES, ...OTHERS], o!)
    const first = pick(WRITES, w!)
    const fiber: Actions =
      k === 0 ? [first, other] : k === 1 ? [other, first, { op: 'read', pos: 0, len: 8192 }] : [first, { op: 'fsync' }, other]
    return valid({ config: pick(GROUNDS, g!), before: pick(BEFORES, b!), fibers: [fiber] })
  })

/** Writes that meet another one: they wait for each other, so a few of each kind are enough. */
const MEETING: readonly Action[] = [
  write(0, 4096), write(1000, 3000), write(700, 100, { append: true }), write(0, 4096, { direct: true }),
  write(2048, 6000, { readable: 4000 }), write(0, 8192),
]

/** A write, and something else at the same time. */
export const pair: Family = (seed) =>
  combine(seed + 2, [GROUNDS.length, BEFORES.length, WRITES.length, OTHERS.length + MEETING.length], ([g, b, w, o]) =>
    valid({ config: pick(GROUNDS, g!), before: pick(BEFORES, b!), fibers: [[pick(WRITES, w!)], [pick([...OTHERS, ...MEETING], o!)]] }))

/** What may follow. */
const THEN: readonly Actions[] = [
  [], [{ op: 'read', pos: 0, len: 6000 }], [{ op: 'fsync' }], [{ op: 'read', pos: 0, len: 8192, direct: true }],
]

/** Two things at the same time of which none need be a write(2): stores, faults, truncation, writeback. */
export const others: Family = (seed) =>
  combine(seed + 3, [GROUNDS.length, BEFORES.length, OTHERS.length, OTHERS.length, THEN.length], ([g, b, w, o, k]) => {
    const [first, second, then] = [pick(OTHERS, w!), pick(OTHERS, o!), pick(THEN, k!)]
    const fibers: Actions[] = [[first, ...then], [second]]
    return valid({ config: pick(GROUNDS, g!), before: pick(BEFORES, b!), fibers })
  })

/** `n` calls in a row, of any kind. */
const row = (n: number): Family => (seed) => {
  const all = [...WRITES, ...OTHERS]
  return combine(seed + 6, [GROUNDS.length, BEFORES.length, ...Array<number>(n).fill(all.length)], ([g, b, ...calls]) =>
    valid({ config: pick(GROUNDS, g!), before: pick(BEFORES, b!), fibers: [calls.map((i) => pick(all, i))] }))
}

/** Five calls, one after the other: what only a longer history brings about. */
export const long: Family = row(5)

// --- crowds --------------------------------------------------------------------------------------------------------------

const store = (pos: number, len: number): Action => ({ op: 'store', pos, len })
const punch = (pos: number, len: number): Action => ({ op: 'punch', pos, len })
const writeback: Action = { op: 'writeback' }
const reclaim: Action = { op: 'reclaim' }

/** Kinds of what a process does. */
type Doing =
  'whole' | 'part' | 'short' | 'absent' | 'grow' | 'direct' | 'store' | 'stores' | 'take' | 'again' | 'look' | 'past' | 'pin'

/** What one process does, one or two calls, by kind; all of a kind lie in the first pages, so that they meet. */
const DOING: Readonly<Record<Doing, readonly Actions[]>> = {
  whole: [[write(0, 8192)], [write(2000, 5000)], [write(0, 5000)], [write(3000, 6000)], [write(0, 4096)]],
  part: [
    [write(100, 300)], [write(4000, 200)], [write(1000, 3000)], [write(5000, 2000)], [write(1024, 2048)],
    [write(300, 2000, { pieces: true })],
  ],
  short: [
    [write(0, 8192, { readable: 2500 })], [write(2048, 6000, { readable: 4000 })], [write(1000, 5000, { readable: 10 })],
    [write(1024, 3000, { readable: 500 })], [write(4096, 4096, { readable: 600 })],
  ],
  absent: [
    [write(500, 6000, { absent: true })], [write(100, 300, { absent: true })], [write(4500, 3000, { absent: true })],
    [write(0, 4096, { self: 1 })], [write(1000, 4096, { self: 0 })],
  ],
  grow: [
    [write(700, 100, { append: true })], [write(0, 1500, { append: true })], [write(9000, 100)], [{ op: 'truncate', size: 9000 }],
    [{ op: 'allocate', pos: 2048, len: 8192 }],
  ],
  direct: [[write(0, 4096, { direct: true })], [write(1024, 2048, { direct: true })], [write(0, 2048, { direct: true })]],
  store: [[store(0, 512)], [store(3500, 400)], [store(1000, 3000)], [store(5000, 300)]],
  stores: [[store(0, 512), store(3500, 400)], [store(1000, 3000), store(0, 512)], [store(5000, 300), store(4000, 2500)]],
  take: [
    [{ op: 'truncate', size: 500 }], [{ op: 'truncate', size: 3000 }], [{ op: 'truncate', size: 5000 }], [punch(0, 4096)],
    [punch(1024, 3000)], [punch(4096, 2048)], [{ op: 'zero', pos: 0, len: 6144 }],
  ],
  again: [
    [punch(4096, 2048), store(5000, 300)], [punch(1024, 3000), write(1000, 3000)], [{ op: 'truncate', size: 3000 }, write(3000, 6000)],
    [{ op: 'truncate', size: 5000 }, write(4000, 3000)], [punch(4096, 2048), write(4096, 3000)],
  ],
  look: [[{ op: 'read', pos: 0, len: 8192 }], [{ op: 'load', pos: 0, len: 6000 }], [{ op: 'read', pos: 500, len: 3000 }, { op: 'stat' }]],
  past: [
    [store(1000, 3000), { op: 'read', pos: 0, len: 8192, direct: true }], [{ op: 'read', pos: 0, len: 4096, direct: true }],
    [write(0, 5000), { op: 'read', pos: 0, len: 8192, direct: true }],
  ],
  pin: [[{ op: 'dma', pos: 200, len: 300 }], [{ op: 'dma', pos: 4500, len: 300 }]],
}

/** Who changes the file, and whom that meets. What stands twice comes twice as often: it has more to meet. */
const FIRST: readonly Doing[] = [
  'whole', 'past', 'part', 'short', 'short', 'absent', 'absent', 'grow', 'direct', 'store', 'stores', 'stores', 'take', 'again', 'again',
]
const SECOND: readonly Doing[] = ['store', 'whole', 'take', 'look', 'again', 'store', 'pin', 'stores', 'part']
/** The flusher and memory pressure are never far. */
const KERNEL: readonly Actions[] = [[writeback], [reclaim], [writeback, reclaim], [{ op: 'fsync' }]]

/** States of the file for crowds: dirty, cold, sparse and preallocated ones come more often than the rest. */
const MET: readonly Actions[] = [...BEFORES, ...[1, 3, 8, 15, 1, 3, 8, 15].map((i) => BEFORES[i]!)]

/** Grounds for crowds: those with room and small blocks come more often than the rest. */
const UNDERFOOT: readonly Config[] = [0, 0, 0, 1, 1, 2, 3, 4, 5, 8].map((i) => GROUNDS[i]!)

/** Two or three fibers of one or two calls: for runs by chance. */
export const crowd: Family = (seed) => {
  const sizes = [UNDERFOOT.length, MET.length, FIRST.length, 60, SECOND.length, 60, KERNEL.length, 3]
  return combine(seed + 5, sizes, ([g, b, w, i, o, j, p, k]) => {
    const first: Actions = pick(DOING[pick(FIRST, w!)], i!)
    const second: Actions = pick(DOING[pick(SECOND, o!)], j!)
    const kernel = pick(KERNEL, p!)
    const fibers = k === 0 ? [first, kernel] : k === 1 ? [first, second] : [first, second, kernel]
    return valid({ config: pick(UNDERFOOT, g!), before: pick(MET, b!), fibers })
  })
}

/** A write, and two other things at the same time. */
export const three: Family = (seed) =>
  combine(seed + 4, [GROUNDS.length, BEFORES.length, WRITES.length, OTHERS.length, OTHERS.length], ([g, b, w, o, p]) =>
    valid({ config: pick(GROUNDS, g!), before: pick(BEFORES, b!), fibers: [[pick(WRITES, w!)], [pick(OTHERS, o!)], [pick(OTHERS, p!)]] }))
