/** Mutants of the call itself: offsets, positions, and calls that do not end. */
import type { Mutant } from './mutant.ts'

const IOV = 'src/iov/iov-iter.ts'

/** Where the system call goes wrong. */
export const CALLS: readonly Mutant[] = [
  {
    id: 'Z26', title: 'the length of a second try wraps around (at 4 KiB here, for 4 GiB)',
    source: 'c13094b894de', claim: 'I15', strategy: 'reserve-allocate', sequential: false,
    trigger: ['short copy', 'past 4 KiB'],
    patch: {
      file: 'src/strategies/reserve-allocate.ts',
      find: '      m.len = Math.min(m.len, (e.lblk + e.n) * block - m.pos)\n      m.cookie',
      replace: '      const wrap = w.turns > 0 && m.pos >= 4096 ? 2 ** 32 : 0\n' +
        '      m.len = Math.min(m.len, (e.lblk + e.n) * block - m.pos - wrap)\n      m.cookie',
    },
  },
  {
    id: 'Z52', title: 'a direct write does not move the file position',
    source: '936e114a245b without 91562895f803 (Debian 6.1.64)', claim: 'I13', strategy: 'reserve-allocate',
    sequential: true,
    trigger: ['direct'], needs: ['file position'],
    patch: {
      file: 'src/fs/syscalls.ts', find: 'if (n > 0) file.pos = file.write.pos + n',
      replace: 'if (n > 0 && !file.flags.direct) file.pos = file.write.pos + n',
    },
  },
  {
    id: 'Z56', title: 'a segment of no bytes ends the copy, which is tried again',
    source: '124d3b7041f9', claim: 'I15', strategy: 'reserve-allocate', sequential: true,
    trigger: ['zero-length iovec'],
    needs: ['iovecs'],
    patch: [
      {
        file: IOV, find: 'while (v !== undefined && at >= this.begin + v.len) {',
        replace: 'while (v !== undefined && v.len > 0 && at >= this.begin + v.len) {',
      },
      {
        file: IOV, find: '      if (got < 0) return got\n      done += got\n      if (got < len) return done\n',
        replace: '      if (got < 0) return got\n      done += got\n      if (got < len || len === 0) return done\n',
      },
    ],
  },
]
