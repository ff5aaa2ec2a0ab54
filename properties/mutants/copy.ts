/** Mutants of the copy: page faults under locks, retries that do not end, short copies that are taken for whole ones. */
import type { Mutant } from './mutant.ts'

const PIPELINE = 'src/fs/perform-write.ts'
const VERBS = 'src/fs/verbs.ts'

/** Where the copy goes wrong. */
export const COPY: readonly Mutant[] = [
  {
    id: 'Z01', title: 'page faults stay enabled while the folio to be written is locked',
    source: '08291429cfa6', claim: 'I16', strategy: 'reserve-allocate', sequential: false,
    // The claim forbids the fault itself; that the page is the one that is locked, or crosswise, makes a deadlock of it.
    trigger: ['source is faulted in'],
    patch: [
      { file: 'src/strategies/reserve-allocate.ts', find: "copy: 'atomic'", replace: "copy: 'faulting'" },
      {
        file: VERBS, replace: '',
        find: "    if (f.home !== null) throw new Error('a copy with page faults enabled under the lock of a cached folio " +
          "deadlocks (Z01)')\n",
      },
    ],
  },
  {
    id: 'Z02', title: 'the source is not faulted in before the lock where that would have to wait',
    source: '914ee295af41, 4f06dd92b5d0', claim: 'I15', strategy: 'reserve-allocate', sequential: true,
    trigger: ['source is a mapping of the file'],
    patch: {
      file: VERBS, find: 'return now >= 0 ? now : yield* w.source.faultIn(at, n)', replace: 'return now >= 0 ? now : n',
    },
  },
  {
    id: 'Z03', title: 'a short copy is tried again in the same length',
    source: 'b1bf862e9dad', claim: 'I15', strategy: 'reserve-allocate', sequential: false,
    trigger: ['short copy'],
    patch: {
      file: PIPELINE, find: 'chunk = turn.stopped && m.written === 0 && turn.copied > 0 ? turn.copied : w.len',
      replace: 'chunk = w.len',
    },
  },
  {
    id: 'Z06', title: 'the shorter second try is left out where the write begins on a block boundary',
    source: 'b6316429af7f', claim: 'I15', strategy: 'reserve-allocate', sequential: false,
    trigger: ['short copy', 'aligned start'],
    patch: {
      file: PIPELINE, find: 'm.written === 0 && turn.copied > 0 ?',
      replace: 'm.written === 0 && turn.copied > 0 && m.pos % w.fs.blockSize !== 0 ?',
    },
  },
  {
    id: 'Z08', title: 'blocks are uptodate before the copy',
    source: 'libfs: simple_prepare_write, patch 1/9 of the 2007-02 series', claim: 'I10',
    strategy: 'reserve-copy-allocate', sequential: false, trigger: [],
    patch: [
      {
        file: PIPELINE, find: "import type { Folio } from '../pagecache/folio.ts'",
        replace: "import { type Folio, UPTODATE } from '../pagecache/folio.ts'",
      },
      {
        file: PIPELINE, find: 'yield* k.edges(w, m, f, at - f.pos, n) as Kernel<void>\n',
        replace: 'yield* k.edges(w, m, f, at - f.pos, n) as Kernel<void>\n' +
          '      if (w.source.present) f.change(at - f.pos, n, UPTODATE, 0)\n',
      },
    ],
  },
  {
    id: 'Z09', title: 'a short copy makes a block uptodate, whatever its rest holds',
    source: '5b41e74ad1b0', claim: 'I10', strategy: 'reserve-allocate', sequential: false, trigger: ['short copy'],
    patch: {
      file: VERBS, find: 'if (f.uptodate && !f.edgesOnly) return false', replace: 'if (f.home !== null) return false',
    },
  },
]
