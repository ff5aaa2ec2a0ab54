/** Mutants of the rollback: what a failed or short write takes back, too much of it or too little. */
import type { Mutant } from './mutant.ts'

const SETTLE = 'src/fs/settle.ts'
const GET_BLOCK = 'src/strategies/get-block.ts'
const PER_BLOCK = 'src/strategies/per-block.ts'

/** Where an undo goes wrong. */
export const ROLLBACK: readonly Mutant[] = [
  {
    id: 'Z07', title: 'a failed begin zeroes the whole folio and calls it uptodate',
    source: 'fs: fix nobh error handling (parent of 26fb1589cb0a)', claim: 'I14', strategy: 'get-block',
    sequential: false,
    trigger: ['several blocks a folio', 'failed or short'],
    patch: {
      file: PER_BLOCK, find: '    if (!done) giveBack(k, w, m, f, pos - f.pos, to - pos, 0)',
      replace: '    if (!done) {\n      f.zero(0, f.size)\n      f.change(0, f.size, UPTODATE, 0)\n      k.unlockFolio(f)\n    }',
    },
  },
  {
    id: 'Z10', title: 'blocks that a write made and a short copy did not reach are not zeroed',
    source: '3b136499e906', claim: 'I10', strategy: 'get-block', sequential: false,
    trigger: ['no unwritten extents', 'short copy', 'hole'],
    patch: { file: PER_BLOCK, find: 'if (accepted < n) {', replace: 'if (accepted === 0) {' },
  },
  {
    id: 'Z20', title: 'the cache is looked at and the blocks are punched without the locks that keep faults out',
    source: '198dd8aedee6', claim: 'I4', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'mmap store', 'failed or short'],
    patch: [
      {
        file: SETTLE, replace: '',
        find: '  yield* k.acquire(w.inode.invalidateLock)\n  yield* k.acquire(w.inode.mapLock)\n',
      },
      {
        file: SETTLE, find: '        yield* w.fs.punch(k, w.inode, b, e.n)\n',
        replace: "        yield* k.step('the cache was looked at')\n        yield* w.fs.punch(k, w.inode, b, e.n)\n",
      },
      {
        file: SETTLE, replace: '',
        find: '    k.release(w.inode.mapLock)\n    k.release(w.inode.invalidateLock)\n',
      },
    ],
  },
  {
    id: 'Z21', title: 'a failed write drops what a store through a mapping dirtied meanwhile',
    source: 'f43dc4dc3eff', claim: 'I23', strategy: 'reserve-allocate', sequential: false,
    // Not only a write that fails is undone: a mapping that was found stale is, too, and then asked again.
    trigger: ['concurrent', 'mmap store', 'undone'],
    patch: {
      file: SETTLE, find: '    if ((f.bits(pos - f.pos) & DIRTY) !== 0 && pos < k.size(w.inode)) break\n',
      replace: '    k.cleanBlocks(f, pos - f.pos, 1)\n    k.forgetClean(f, pos - f.pos, 1)\n',
    },
  },
  {
    id: 'Z22', title: 'a failed write punches and drops its whole range, be it new or not',
    source: 'f65e6fad293b', claim: 'I14', strategy: 'reserve-allocate', sequential: false, trigger: ['failed or short'],
    patch: [
      {
        file: 'src/fs/perform-write.ts', find: "import type { Verbs } from './verbs.ts'\n",
        replace: "import { dropPages, punchBlocks } from './truncate.ts'\nimport type { Verbs } from './verbs.ts'\n",
      },
      {
        file: 'src/fs/perform-write.ts', find: 'yield* finishMapping(k, s, w, m)\n  return turn',
        replace: `yield* finishMapping(k, s, w, m)
  if (turn.errno === null || m.written > 0) return turn
  const [b, end] = [w.fs.blockSize, Math.ceil((m.pos + m.len) / w.fs.blockSize)]
  yield* dropPages(k, w.inode, m.pos - (m.pos % b), end * b)
  yield* punchBlocks(k, w.fs, w.inode, Math.floor(m.pos / b), end)
  return turn`,
      },
    ],
  },
  {
    id: 'Z23', title: 'what was made below a write of no bytes is punched from the next block on',
    source: 'fa7f138', claim: 'I4', strategy: 'reserve-allocate', sequential: false,
    trigger: ['unaligned start', 'failed or short'],
    patch: {
      file: SETTLE, find: '(m.written > 0 ? roundUp(m.pos + m.written, block) : roundDown(m.pos, block))',
      replace: 'roundUp(m.pos + m.written, block)',
    },
  },
  {
    id: 'Z24', title: 'a failed append drops the whole page, with what an earlier one wrote there',
    source: '72ab70a19b4e', claim: 'I14', strategy: 'reserve-allocate', sequential: false,
    trigger: ['block smaller than page', 'append', 'failed or short'],
    patch: [
      {
        file: SETTLE, find: "import type { Verbs } from './verbs.ts'\n",
        replace: "import { dropPages } from './truncate.ts'\nimport type { Verbs } from './verbs.ts'\n",
      },
      {
        file: SETTLE, find: '  if (m.madeCount === 0 || m.filled) return\n',
        replace: '  if (m.pos >= k.size(w.inode)) yield* dropPages(k, w.inode, roundDown(m.pos, PAGE), Infinity)\n' +
          '  if (m.madeCount === 0 || m.filled) return\n',
      },
    ],
  },
  {
    id: 'Z25', title: 'a failed extension truncates to a size that lags behind',
    source: 'c726de4409a8', claim: 'I18', strategy: 'get-block', sequential: false,
    trigger: ['append', 'failed or short'],
    patch: [
      {
        file: GET_BLOCK, find: "import type { Strategy } from '../fs/strategy.ts'\n",
        replace: "import type { Strategy } from '../fs/strategy.ts'\nimport { truncate } from '../fs/truncate.ts'\n",
      },
      {
        file: GET_BLOCK, find: 'yield* punchMade(k, w, m, Math.ceil(k.size(w.inode) / w.fs.blockSize))',
        replace: 'if (m.pos + m.len > k.size(w.inode)) yield* truncate(k, w.fs, w.inode, w.inode.diskSize)',
      },
    ],
  },
  {
    id: 'Z48', title: 'a failed extension leaves its blocks past the end',
    source: '0f64415d4276', claim: 'I6', strategy: 'get-block', sequential: false,
    trigger: ['append', 'failed or short'],
    patch: {
      file: GET_BLOCK, find: 'm.madeCount > 0 && m.written < m.len',
      replace: 'm.madeCount > 0 && m.written < 0',
    },
  },
  {
    id: 'Z55', title: 'after a short copy the delayed blocks past it are kept',
    source: 'ext4 delalloc, live in Linux 6.18.44 (ext4_da_write_end)', claim: 'I4', strategy: 'delalloc-per-block',
    sequential: false, trigger: ['short copy', 'several blocks a folio'],
    patch: {
      file: 'src/strategies/delalloc-per-block.ts', find: '    yield* nodelalloc.end!(k, w, m)\n',
      replace: '    if (m.written === 0) yield* nodelalloc.end!(k, w, m)\n',
    },
  },
]
