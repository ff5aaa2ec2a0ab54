/** Mutants of errors: what becomes of data that could not be written, and who is told. */
import type { Mutant } from './mutant.ts'

/** Where an I/O error goes wrong. */
export const ERRORS: readonly Mutant[] = [
  {
    id: 'Z36', title: 'after a writeback error the cached data is no longer uptodate',
    source: 'e9c3a8e820ed', claim: 'I8', strategy: 'reserve-allocate', sequential: false,
    trigger: ['EIO', 'writeback', 'somebody reads'],
    patch: {
      file: 'src/fs/writeback.ts', find: '  for (const f of started) f.writeback = false\n',
      replace: `  for (const f of started) {
    f.writeback = false
    if (failed !== null) k.forgetClean(f, 0, f.size)
  }
`,
    },
  },
  {
    id: 'Z37', title: 'a writeback error is gone once anybody was told',
    source: 'fsyncgate, 2018; lib/errseq.c', claim: 'I25', strategy: 'reserve-allocate', sequential: false,
    trigger: ['EIO', 'two open files'], needs: ['second open file'],
    patch: {
      file: 'src/pagecache/address-space.ts', find: 'if (sample === this.#counter) return { errno: null, sample }',
      replace: 'if (sample === this.#counter || this.#seen) return { errno: null, sample: this.#counter }',
    },
  },
]
