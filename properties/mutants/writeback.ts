/** Mutants of writeback: places, order, and what a completion may say. */
import type { Mutant } from './mutant.ts'

const WRITEBACK = 'src/fs/writeback.ts'

/** Where dirty data goes wrong on its way. */
export const WRITEBACK_MUTANTS: readonly Mutant[] = [
  {
    id: 'Z29', title: 'a delayed extent is called written before its data is on the device',
    source: 'a5949d3faedf', claim: 'I10', strategy: 'reserve-allocate', sequential: false,
    // Upstream a crash showed it. Without one, the data must stay away for another reason: an error, or a write cut off.
    trigger: ['writeback', 'failed or short'],
    patch: {
      file: 'src/fs/file-system.ts', find: 'this.format.hasUnwritten ? UNWRITTEN : MAPPED, placed.start',
      replace: 'MAPPED, placed.start',
    },
  },
  {
    id: 'Z32', title: 'one pass keeps its mapping for later folios, across a punch and a rewrite of them',
    source: 'd9252d526ba6, xfstests generic/524', claim: 'I22', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'writeback', 'punch or truncate', 'several blocks a folio'],
    patch: [
      {
        file: WRITEBACK,
        find: '      fs.lookupInto(k, inode, lblk, (to - off) / block, e)\n      if (writtenOnly',
        replace: `      const c = Reflect.get(ios, 'kept') as Extent | undefined
      if (c && lblk < c.lblk + c.n) Object.assign(e, { n: 1, state: MAPPED, pblk: c.pblk + lblk - c.lblk })
      else fs.lookupInto(k, inode, lblk, (to - off) / block, e)
      if (writtenOnly`,
      },
      {
        file: WRITEBACK, find: '    addRun(ios, f, off, e.n * block, e.pblk * block',
        replace: "    if (!('kept' in ios)) Object.assign(ios, { kept: fs.lookupInto(k, inode, lblk, 2 ** 31, { ...e }) })\n" +
          '    addRun(ios, f, off, e.n * block, e.pblk * block',
      },
    ],
  },
  {
    id: 'Z33', title: 'blocks stay unwritten when an inode lock is taken by somebody else as their I/O ends',
    source: 'xfstests generic/032', claim: 'I9', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'writeback'],
    patch: {
      file: WRITEBACK, find: '  else if (blocks > 0) yield* transactReserved',
      replace: '  else if (blocks > 0 && !inode.invalidateLock.exclusive) yield* transactReserved',
    },
  },
  {
    id: 'Z39', title: 'page-table entries are write-protected before the folio is locked',
    source: '79352894b285', claim: 'I23', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'mmap store', 'writeback'],
    patch: [
      {
        file: WRITEBACK, find: '  yield* k.lockFolio(f)\n  k.unreferLocked(f)\n  for (;;) {\n',
        replace: '  k.writeProtect(f)\n  yield* k.lockFolio(f)\n  k.unreferLocked(f)\n  for (;;) {\n',
      },
      {
        file: WRITEBACK, find: '    k.writeProtect(f)\n    const errno', replace: '    const errno',
      },
    ],
  },
  {
    id: 'Z45', title: 'two requests for one page are under way, each with a copy of its own',
    source: '8b284dc47291', claim: 'I9', strategy: 'reserve-allocate', sequential: false,
    trigger: ['concurrent', 'writeback'],
    patch: [
      {
        file: WRITEBACK, find: '    while (f.writeback) yield f.writebackOp\n    if (f.home === pages',
        replace: '    if (f.home === pages',
      },
      {
        file: WRITEBACK, find: '{ bytes: f.slab.bytes, start: f.base + off + done, len: n,',
        replace: '{ bytes: Buffer.from(f.slab.bytes.subarray(f.base + off + done)), start: 0, len: n,',
      },
    ],
  },
]
