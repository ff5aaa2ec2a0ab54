/** Mutants of mappings: stores that nobody hears of, and bytes that nobody wrote. */
import type { Mutant } from './mutant.ts'

const MMAP = 'src/fs/mmap.ts'
const VERBS = 'src/fs/verbs.ts'

/** Where a store through a mapping goes wrong. */
export const MMAP_MUTANTS: readonly Mutant[] = [
  {
    id: 'Z30', title: 'an extension does not zero what was stored past the old end',
    source: '52aecaee1c26', claim: 'I19', strategy: 'reserve-allocate', sequential: true,
    trigger: ['mmap store', 'extension'],
    patch: {
      file: VERBS, find: '    f.zero(off, until - off)\n    this.writeProtect(f)',
      replace: '    this.writeProtect(f)',
    },
  },
  {
    id: 'Z31', title: 'after an extension a store finds its page writable, with no block below the new part',
    source: '90a8020278c1', claim: 'I23', strategy: 'reserve-allocate', sequential: true,
    trigger: ['block smaller than page', 'mmap store', 'extension'],
    patch: {
      file: VERBS, find: '    f.zero(off, until - off)\n    this.writeProtect(f)',
      replace: '    f.zero(off, until - off)',
    },
  },
  {
    id: 'Z40', title: 'page_mkwrite returns with the folio unlocked, and writeback cleans it before the store',
    source: 'b827e496c893', claim: 'I9', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'mmap store', 'writeback'],
    patch: {
      file: MMAP, find: '      if (write) yield* makeWritable(k, fs, inode, f, off)\n',
      replace: `      if (write) {
        yield* makeWritable(k, fs, inode, f, off)
        k.unlockFolio(f)
        yield* k.lockFolio(f)
      }
`,
    },
  },
  {
    id: 'Z54', title: 'a page that must be stable becomes writable while its I/O is under way',
    source: 'afb585a97f81', claim: 'I21', strategy: 'invalidate-splice', sequential: false,
    trigger: ['concurrent', 'mmap store'],
    patch: { file: MMAP, find: 'PAGE, write && fs.strategy.claims.stablePages)', replace: 'PAGE, false)' },
  },
]
