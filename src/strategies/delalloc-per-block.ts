/**
 * delalloc-per-block: as get-block, but a block is reserved and recorded as delayed; it is placed at writeback. Near a full disk
 * blocks are placed at once.
 *
 * | phase | locks       | effect                                        | may fail          | undo                                |
 * |-------|-------------|-----------------------------------------------|-------------------|-------------------------------------|
 * | get   | folio, map  | for each missing block: look again, reserve it, record it | ENOSPC ENOMEM | zero and dirty what was made inside |
 * |       |             | **near full**: for each, allocate             | ENOSPC ENOMEM EIO | the same                            |
 * | edges | folio       | zero new blocks' rest, read old ones          | EIO               | the same                            |
 * | copy  | folio       | bytes visible at once                         | short             | the same                            |
 * | end   | invalidate  | unreserve the rest                            | never             | punch what was made past i_size     |
 *
 * Near full is where 2 * free < 3 * dirty, or free < dirty + watermark (ext4_nonda_switch); asked once a folio. Readers may see
 * a write in progress. Blocks of a short copy inside i_size stay, zeroed. Upstream does nothing in `end` after a short copy, and
 * so delayed blocks stay past the end of the file until the inode is evicted (Z55; ext4_da_write_end, seen on 6.18). There is no
 * journal here, hence no retry after a forced commit.
 *
 * Sources: fs/ext4/inode.c (ext4_da_write_begin, ext4_da_map_blocks, ext4_insert_delayed_block).
 */
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import type { Write } from '../fs/write.ts'
import { BLOCK_DELAY } from '../pagecache/folio.ts'
import { getBlockDesign } from './get-block.ts'
import { getMappedFolio } from './per-block.ts'

/** EXT4_FREECLUSTERS_WATERMARK on one processor: 4 * percpu_counter_batch, in blocks. */
const WATERMARK = 4 * 32

const nodelalloc = getBlockDesign('ext4')

/** Is so little free that delayed blocks could be promised which are not there? Counters are per processor upstream. */
const nearFull = ({ fs: { space } }: Write): boolean =>
  2 * space.free < 3 * space.reserved || space.free < space.reserved + WATERMARK

/** The design. */
export const delallocPerBlock: Strategy<SpaceError | 'EIO' | 'ENOMEM', never> = {
  ...nodelalloc,
  name: 'delalloc-per-block',
  summary: 'one reservation and one delayed block at a time, under the folio lock',
  source: 'fs/ext4/inode.c, ext4_da_write_begin',

  *getFolio(k, w, m, pos, n) {
    if (nearFull(w)) return yield* nodelalloc.getFolio!(k, w, m, pos, n)
    return yield* getMappedFolio(k, w, m, pos, n, function* (k, w, m, lblk) {
      // The look-up that found the hole was without i_data_sem there: it is repeated (Z14).
      w.fs.lookup(k, w.inode, m, lblk, 1)
      yield* w.fs.reserve(k, w.inode, m, 1, lblk + 1)
      yield* w.fs.record(k, w.inode, m, lblk, 1)
      return BLOCK_DELAY
    })
  },

  *end(k, w, m) {
    if (m.reserved > 0 || m.reservedMap > 0) w.fs.unreserve(k, m, m.written < m.len)
    // Not `settle`: what was zeroed inside i_size may be under writeback by now, and clean.
    yield* nodelalloc.end!(k, w, m)
  },
}
