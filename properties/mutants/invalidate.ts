/** Mutants of invalidation: what leaves the cache too early, comes back too late, or is written after it was punched. */
import type { Mutant } from './mutant.ts'

/** Where the cache and the map part. */
export const INVALIDATE: readonly Mutant[] = [
  {
    id: 'Z18', title: 'the cache is written back and dropped, with what was stored in between',
    source: '32ebffd3bbb4', claim: 'I23', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'mmap store', 'direct'],
    patch: {
      file: 'src/fs/direct.ts', find: '    if (!k.invalidateFolio(f)) {\n',
      replace: '    k.removeFolio(f)\n    if (f.home !== null) {\n',
    },
  },
  {
    id: 'Z38', title: 'punch drops the cache and frees the blocks without the invalidate lock',
    source: '730633f0b7f9', claim: 'I24', strategy: 'reserve-allocate', sequential: false,
    // One function punches and zeroes a range here, and the lock is missing for both.
    trigger: ['concurrent', 'punch or zero range'],
    patch: [
      { file: 'src/fs/fallocate.ts', find: '  yield* k.acquire(inode.invalidateLock)\n', replace: '' },
      { file: 'src/fs/fallocate.ts', find: '    k.release(inode.invalidateLock)\n', replace: '' },
    ],
  },
  {
    id: 'Z44', title: 'a folio is replaced in two steps, with a gap',
    source: 'ce534fb05292', claim: 'I8', strategy: 'invalidate-splice', sequential: false,
    trigger: ['concurrent', 'somebody reads'],
    patch: {
      file: 'src/strategies/invalidate-splice.ts', find: '        k.replaceFolio(w.pages, cached, f)\n',
      replace: `        k.removeFolio(cached)
        yield* k.step('removed, not yet added')
        if (!k.isFree(w.pages, f.index, f.pages)) return done
        k.insertFolio(w.pages, f)
`,
    },
  },
  {
    id: 'Z47', title: 'a punch does not wait for writeback, which then writes into the hole',
    source: 'bde52788bdb7', claim: 'I22', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'writeback', 'punch or truncate'],
    patch: { file: 'src/fs/truncate.ts', find: '    while (f.writeback) yield f.writebackOp\n', replace: '' },
  },
  {
    id: 'Z51', title: 'what readers brought back during a direct write stays cached',
    source: 'c3473e830074', claim: 'I9', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'direct', 'read or load'],
    patch: {
      file: 'src/fs/direct.ts', replace: '',
      find: "  if (!(yield* invalidateRange(k, inode, pos, pos + done))) inode.pages!.errors.set('EIO')\n",
    },
  },
]
