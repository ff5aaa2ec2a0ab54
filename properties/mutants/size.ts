/** Mutants of the two sizes: the one that readers see, and the one on disk. */
import type { Mutant } from './mutant.ts'

const WRITEBACK = 'src/fs/writeback.ts'

/** Where a size runs ahead or lags behind. */
export const SIZE: readonly Mutant[] = [
  {
    id: 'Z11', title: 'the size on disk counts bytes of a short copy that was then refused',
    source: '1dedde690303', claim: 'I18', strategy: 'reserve-allocate', sequential: false,
    trigger: ['short copy', 'append'],
    patch: {
      file: 'src/fs/perform-write.ts', find: '    if (accepted > 0 && from + accepted > k.size(w.inode)) k.setSize',
      replace: '    if (turn.copied > accepted) w.inode.diskSize = Math.max(w.inode.diskSize, from + turn.copied)\n' +
        '    if (accepted > 0 && from + accepted > k.size(w.inode)) k.setSize',
    },
  },
  {
    id: 'Z12', title: 'the size on disk follows only if the first block of the page is there',
    source: '632eaeab1feb', claim: 'I18', strategy: 'reserve-allocate', sequential: true,
    trigger: ['block smaller than page', 'append', 'hole'],
    patch: {
      file: WRITEBACK, find: '  if (end <= inode.diskSize) return\n',
      replace: `  const first = (io.pos - (io.pos % PAGE)) / fs.blockSize
  if (end <= inode.diskSize || !inode.map.extents.some((e) => e.lblk <= first && first < e.lblk + e.n)) return
`,
    },
  },
  {
    id: 'Z28', title: 'the size on disk moves with the write, before its data',
    source: 'ba87ea699ebd', claim: 'I18', strategy: 'reserve-allocate', sequential: false, trigger: ['append'],
    patch: {
      file: 'src/fs/verbs.ts', find: '    inode.size = size\n',
      replace: '    inode.size = inode.diskSize = size\n',
    },
  },
  {
    id: 'Z46', title: 'a request is not cropped at the end of the file',
    source: '6eaf4782eb09', claim: 'I18', strategy: 'reserve-allocate', sequential: true,
    trigger: ['append'],
    patch: [
      {
        file: WRITEBACK, find: 'const end = Math.min(io.pos + blocks * fs.blockSize, k.size(inode))',
        replace: 'const end = io.pos + blocks * fs.blockSize',
      },
      { file: WRITEBACK, find: 'Math.max(inode.diskSize, Math.min(end, io.eof))', replace: 'Math.max(inode.diskSize, end)' },
    ],
  },
  {
    id: 'Z49', title: 'a truncate into a hole leaves the size on disk behind',
    source: '76b42abbf748', claim: 'I18', strategy: 'reserve-allocate', sequential: true,
    trigger: ['truncate'],
    patch: {
      file: 'src/fs/truncate.ts',
      find: '      // Data between the old size on disk and the end of the delayed data is still to come; until then zeros ' +
        'are true.\n      inode.diskSize = size\n',
      replace: '      // Data between the old size on disk and the end of the delayed data is still to come; until then zeros ' +
        'are true.\n',
    },
  },
]
