/**
 * get-block: the file system is asked block by block, under the folio lock, and allocates at once.
 *
 * | phase  | locks            | effect                               | may fail          | undo                              |
 * |--------|------------------|--------------------------------------|-------------------|-----------------------------------|
 * | get    | folio, map       | allocate each missing block, one by one | ENOSPC ENOMEM EIO | zero and dirty what was made inside |
 * | edges  | folio            | zero new blocks' rest, read old ones | EIO               | the same                          |
 * | copy   | folio            | bytes visible at once                | short             | the same                          |
 * | end    | invalidate       | nothing                              | never             | punch what was made past i_size   |
 *
 * Sources: fs/buffer.c (__block_write_begin_int, folio_zero_new_buffers), fs/ext2/inode.c, ext4 -o nodelalloc. This is what
 * the 2010 thread wanted to replace: "get_blocks mess" (Hellwig, quoted in seed 002).
 */
import { UNWRITTEN, MAPPED } from '../fs/extent-map.ts'
import { punchMade } from '../fs/settle.ts'
import type { SpaceError } from '../fs/space.ts'
import type { Strategy } from '../fs/strategy.ts'
import { BLOCK_MAPPED, BLOCK_UNWRITTEN } from '../pagecache/folio.ts'
import { getMappedFolio, giveBack, mappedInFolio } from './per-block.ts'

/**
 * The design, with one knob of the driver that it models.
 * @param probe `once` looks a block up and creates it; `ext4` probes without and then with create: two look-ups
 */
export const getBlockDesign = (probe: 'once' | 'ext4'): Strategy<SpaceError | 'EIO', never> => ({
  name: 'get-block',
  summary: 'one look-up and one allocation a block, under the folio lock',
  source: 'fs/buffer.c; ext2, ext4 -o nodelalloc',
  unit: 'folio',
  copy: 'atomic',
  claims: {
    isolation: 'none',
    faultIn: 'any',
    readLock: 'none',
    enospcUnit: 'folio',
    mmapHole: 'fault',
    stablePages: false,
    checksumAt: 'submit',
    rollback: true,
  },
  mapped: mappedInFolio,

  *begin() {},

  *getFolio(k, w, m, pos, n) {
    return yield* getMappedFolio(k, w, m, pos, n, function* (k, w, m, lblk) {
      if (probe === 'ext4') w.fs.lookup(k, w.inode, m, lblk, 1)
      const unwritten = w.fs.format.hasUnwritten
      yield* w.fs.allocate(k, w.inode, m, lblk, 1, unwritten ? UNWRITTEN : MAPPED)
      return unwritten ? BLOCK_UNWRITTEN : BLOCK_MAPPED
    })
  },

  *putFolio(k, w, m, f, off, n, accepted) {
    giveBack(k, w, m, f, off, n, accepted)
  },

  *end(k, w, m) {
    if (m.madeCount > 0 && m.written < m.len) {
      yield* punchMade(k, w, m, Math.ceil(k.size(w.inode) / w.fs.blockSize))
    }
  },
})

/** get-block with one look-up a block. */
export const getBlock = getBlockDesign('once')
