/**
 * Classes: mistakes that kernels made more than once, for claims that no single commit of the zoo stands for. Their `source` says
 * "class": no commit is claimed. Numbers from Z89 on are ours, not the zoo's.
 */
import type { Mutant } from './mutant.ts'

const PIPELINE = 'src/fs/perform-write.ts'
const SERVICES = 'src/fs/file-system.ts'

/** One for each claim that needs it. */
export const CLASSES: readonly Mutant[] = [
  {
    id: 'Z89', title: 'a source of which only a part can be read is refused as a whole, undeclared',
    source: 'class; btrfs and bcachefs do so (Viro 2016, lkml 1609.1/05193; EFAULT on 6.18 where ext4 and XFS write 2048 bytes)',
    claim: 'I32', strategy: 'reserve-allocate', sequential: false, trigger: ['short copy'],
    patch: [
      {
        file: 'src/strategies/reserve-allocate.ts', find: "import { unitsTouched } from '../kernel/units.ts'\n",
        replace: "import { raise } from '../kernel/kernel.ts'\nimport { unitsTouched } from '../kernel/units.ts'\n",
      },
      {
        file: 'src/strategies/reserve-allocate.ts', find: '    const blocks = unitsTouched(',
        replace: "    if (!w.source.present && (yield* k.faultIn(w, w.done, m.len)) < m.len) return yield* raise('EFAULT')\n" +
          '    const blocks = unitsTouched(',
      },
    ],
  },
  {
    id: 'Z90', title: 'an errno after progress is returned instead of the bytes', source: 'class', claim: 'I12',
    strategy: 'reserve-allocate', sequential: false, trigger: [],
    patch: { file: PIPELINE, find: 'return done > 0 || errno === null ? done', replace: 'return errno === null ? done' },
  },
  {
    id: 'Z91', title: 'EINTR after progress is returned instead of the bytes', source: 'class', claim: 'I29',
    strategy: 'reserve-allocate', sequential: false, trigger: [],
    patch: {
      file: PIPELINE, find: 'return done > 0 || errno === null ? done',
      replace: "return (done > 0 && errno !== 'EINTR') || errno === null ? done",
    },
  },
  {
    id: 'Z92', title: 'an error path forgets to unlock', source: 'class', claim: 'I17',
    strategy: 'reserve-allocate', sequential: false, trigger: [],
    patch: { file: PIPELINE, find: '      else k.unlockFolio(f)\n', replace: '      else if (placed) k.unlockFolio(f)\n' },
  },
  {
    id: 'Z93', title: 'the source does not move on from folio to folio', source: 'class', claim: 'I11',
    strategy: 'reserve-copy-allocate', sequential: true, trigger: [],
    patch: {
      file: PIPELINE, find: 'yield* k.copy(w, f, off, at - w.pos, n, s.copy',
      replace: 'yield* k.copy(w, f, off, i === 0 ? at - w.pos : 0, n, s.copy',
    },
  },
  {
    id: 'Z94', title: 'space that is promised to one makes it refuse the next', source: 'class', claim: 'I26',
    strategy: 'reserve-allocate', sequential: true, trigger: [],
    patch: { file: SERVICES, find: 'this.space.available < n + map', replace: 'this.space.available < n + map || this.space.reserved > 6' },
  },
  {
    id: 'Z95', title: 'blocks are freed and stay in the map', source: 'class', claim: 'I5',
    strategy: 'reserve-allocate', sequential: true, trigger: [],
    patch: {
      file: SERVICES, find: '      k.ledger.mapLookups++\n      this.#change(inode, null, e.lblk, e.n, HOLE, 0)\n',
      replace: '      k.ledger.mapLookups++\n      if (e.state === DELALLOC) this.#change(inode, null, e.lblk, e.n, HOLE, 0)\n',
    },
  },
  {
    id: 'Z96', title: 'writes do not take the inode lock', source: 'class', claim: 'I20',
    strategy: 'reserve-allocate', sequential: false, trigger: [],
    patch: [
      {
        file: PIPELINE, replace: '',
        find: "  if (exclusive && w.nowait) yield* noWait(k, k.acquire(w.inode.rwsem), 'EAGAIN.lock')\n" +
          '  else if (exclusive && !k.tryAcquire(w.inode.rwsem)) yield* k.acquire(w.inode.rwsem)\n',
      },
      { file: PIPELINE, find: '  if (exclusive) k.release(w.inode.rwsem)\n', replace: '' },
    ],
  },
  {
    id: 'Z97', title: 'more bytes stand than were copied', source: 'class', claim: 'port',
    strategy: 'reserve-copy-allocate', sequential: true, trigger: [],
    patch: {
      file: 'src/strategies/reserve-copy-allocate.ts', find: 'const stands = Math.max(0, Math.min(n, b * block - from))',
      replace: 'const stands = Math.max(0, b * block - from)',
    },
  },
  {
    id: 'Z98', title: 'a retry keeps what it reserved', source: 'class', claim: 'I3',
    strategy: 'reserve-copy-allocate', sequential: false, trigger: [],
    patch: {
      file: 'src/fs/settle.ts', find: 'w.fs.unreserve(k, m, m.written < m.len)',
      replace: '(m.written > 0 ? w.fs.unreserve(k, m, m.written < m.len) : m.reserved = m.reservedMap = 0)',
    },
  },
  {
    id: 'Z99', title: 'what is given back is given back to the disk and not to the owner', source: 'class', claim: 'I27',
    strategy: 'reserve-allocate', sequential: false, trigger: [],
    patch: {
      file: SERVICES, find: 'if (this.quota !== null) this.quota.reserve(inode, n)',
      replace: 'if (this.quota !== null && n > 0) this.quota.reserve(inode, n)',
    },
  },
]
