/**
 * The port is wide enough for delayed allocation block by block (ext4_da_*, D6): this skeleton compiles against it and is
 * shaped like the design. It is compiled, not run; the design itself comes with its own claims.
 */
import { HOLE } from '../../src/fs/extent-map.ts'
import type { SpaceError } from '../../src/fs/space.ts'
import type { Strategy } from '../../src/fs/strategy.ts'
import { getBlockDesign } from '../../src/strategies/get-block.ts'
import { getMappedFolio } from '../../src/strategies/per-block.ts'
import { BLOCK_DELAY } from '../../src/pagecache/folio.ts'

/** Reserve one block and record it as delayed, under the folio lock; near a full disk fall back to get-block. */
export const delallocPerBlock: Strategy<SpaceError | 'EIO' | 'ENOMEM', never> = {
  ...getBlockDesign('ext4'),
  name: 'delalloc-per-block',
  summary: 'one reservation and one delayed block at a time, under the folio lock',
  source: 'fs/ext4/inode.c, ext4_da_write_begin',
  *getFolio(k, w, m, pos, n) {
    if (2 * w.fs.space.available < 3 * w.fs.space.reserved) return yield* getBlockDesign('ext4').getFolio!(k, w, m, pos, n)
    return yield* getMappedFolio(k, w, m, pos, n, function* (k, w, m, lblk) {
      if (w.fs.lookup(k, w.inode, m, lblk, 1).state !== HOLE) return BLOCK_DELAY
      yield* w.fs.reserve(k, w.inode, m, 1, lblk + 1)
      yield* w.fs.record(k, w.inode, m, lblk, 1)
      return BLOCK_DELAY
    })
  },
}
