/** Mutants of the edges: what a partly written block holds outside the written bytes. */
import type { Mutant } from './mutant.ts'

const PIPELINE = 'src/fs/perform-write.ts'
const VERBS = 'src/fs/verbs.ts'

/** Where a block is zeroed that should be read, or read that should be zeroed, or neither. */
export const EDGES: readonly Mutant[] = [
  {
    id: 'Z05', title: 'the edges are not looked at again when nothing was copied the first time',
    source: 'b1bf862e9dad', claim: 'I10', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'short copy', 'reclaim', 'partial block'],
    patch: [
      {
        file: PIPELINE, find: '  took.length = 0\n',
        replace: '  const again = w.turns > 0 && took.length > 0 && m.written === 0 && m.len === w.len - w.done\n  took.length = 0\n',
      },
      {
        file: PIPELINE, find: 'if (f !== w.streaming && !k.edgesReady(f, at - f.pos, n)) {',
        replace: 'if (!again && !k.edgesReady(f, at - f.pos, n)) {',
      },
    ],
  },
  {
    id: 'Z15', title: 'an unwritten block is read where a part of it is written',
    source: '2cd8bdb5efc1', claim: 'I10', strategy: 'reserve-allocate', sequential: true,
    trigger: ['unwritten', 'partial block'],
    patch: {
      file: VERBS, find: 'if (e.state !== MAPPED || m.isMade(lblk)', replace: 'if (e.pblk === 0 || m.isMade(lblk)',
    },
  },
  {
    id: 'Z19', title: 'a mapping is used after the lock was dropped, and not asked again',
    source: '304a68b9c63b, d7b64041164c', claim: 'I8', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'writeback', 'reclaim', 'partial block'],
    patch: { file: PIPELINE, find: 'if (m.cookie !== k.cookie(w.inode)) return', replace: 'if (m.cookie < 0) return' },
  },
  {
    id: 'Z27', title: 'in a folio whose read had failed, what is written is not marked uptodate',
    source: '14284fedf59f', claim: 'I8', strategy: 'reserve-allocate', sequential: false,
    // A failed readahead and a partial write: any failed read of the folio does.
    trigger: ['EIO', 'partial block'],
    patch: [
      {
        file: 'src/fs/data-io.ts',
        find: "yield* readData(k, fs, { bytes: f.slab.bytes, start: f.base + off, len: n, provenance: 'cache' }, pblk)",
        replace: 'f.edgesOnly = true; yield* readData(k, fs, { bytes: f.slab.bytes, start: f.base + off, len: n, ' +
          "provenance: 'cache' }, pblk); f.edgesOnly = false",
      },
      {
        file: 'src/pagecache/page-verbs.ts', find: 'f.change(off, n, UPTODATE | DIRTY, 0)',
        replace: 'f.change(off, n, f.edgesOnly ? DIRTY : UPTODATE | DIRTY, 0)',
      },
    ],
  },
]
