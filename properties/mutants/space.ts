/** Mutants of the space: what is promised, counted twice, given back twice, or taken by somebody else. */
import type { Mutant } from './mutant.ts'

const SERVICES = 'src/fs/file-system.ts'

/** Where the counters go wrong. */
export const SPACE: readonly Mutant[] = [
  {
    id: 'Z04', title: 'a try that is to be done again keeps what it reserved',
    source: 'b1bf862e9dad', claim: 'I2', strategy: 'reserve-copy-allocate', sequential: false,
    trigger: ['failed or short'],
    patch: {
      file: SERVICES, find: 'if (held !== 0) this.hold(m.inode!, -held)',
      replace: 'if (held !== 0 && !undo) this.hold(m.inode!, -held)',
    },
  },
  {
    id: 'Z13', title: 'zero range forgets delayed extents, and not what is reserved for them',
    source: '94426f4b9648', claim: 'I2', strategy: 'reserve-allocate', sequential: true,
    trigger: ['zero range', 'delayed'],
    patch: [
      {
        file: 'src/fs/fallocate.ts', find: '  yield* fs.writeBack(k, inode, pos, pos + bytes)',
        replace: "  if (mode === 'punch') yield* fs.writeBack(k, inode, pos, pos + bytes)",
      },
      {
        file: 'src/fs/fallocate.ts', find: 'if (e.state === DELALLOC) yield* fs.punch(k, inode, b, e.n)',
        replace: 'if (e.state === DELALLOC) inode.map.set(b, e.n, HOLE)',
      },
    ],
  },
  {
    id: 'Z14', title: 'the map is looked at before its lock is held, and not again under it',
    source: 'acf795dc161f, 0ea6560abb3b', claim: 'I2', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'mmap store', 'hole'],
    patch: {
      file: 'src/strategies/reserve-allocate.ts',
      find: `    if (!k.tryAcquire(w.inode.mapLock)) yield* k.acquire(w.inode.mapLock)
    try {
      const e = w.fs.lookup(k, w.inode, m, Math.floor(m.pos / block), blocks)
`,
      replace: `    const e = w.fs.lookup(k, w.inode, m, Math.floor(m.pos / block), blocks)
    yield* k.acquire(w.inode.mapLock)
    try {
`,
    },
  },
  {
    id: 'Z16', title: 'fallocate and direct writes take free blocks that are promised to delayed data',
    source: 'a30d542a0035', claim: 'I1', strategy: 'reserve-allocate', sequential: false,
    trigger: ['fallocate or direct', 'ENOSPC'],
    patch: [
      {
        file: SERVICES, find: "k.fault('ENOSPC.allocate') || this.space.available < 1",
        replace: "k.fault('ENOSPC.allocate') || (state === UNWRITTEN ? this.space.free : this.space.available) < 1",
      },
      {
        file: SERVICES, find: 'const want = Math.min(n, this.space.available - Math.max(0, owed))',
        replace: 'const want = Math.min(n, (state === UNWRITTEN ? this.space.free : this.space.available) - Math.max(0, owed))',
      },
    ],
  },
  {
    id: 'Z17', title: 'writeback that finds no place gives back a reservation that is still owed',
    source: '7132de744ba7', claim: 'I1', strategy: 'reserve-allocate', sequential: false,
    trigger: ['ENOSPC'],
    patch: {
      file: SERVICES, find: "    if (k.fault('ENOSPC.realise')) return yield* raise('ENOSPC', 'ENOSPC.realise')\n",
      replace: `    if (k.fault('ENOSPC.realise')) {
      this.hold(inode, -n)
      return yield* raise('ENOSPC', 'ENOSPC.realise')
    }
`,
    },
  },
]
