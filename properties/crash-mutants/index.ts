/**
 * Crash mutants: mistakes that only a power cut shows, each as the smallest change to a good file, with the workload that shows it.
 *
 * Entries keep the contract of properties/mutants/mutant.ts. Imports nothing of src, so that a loader can patch it before it is read.
 */
import type { Mutant } from '../mutants/mutant.ts'

/** A mutant, and where it is looked for. */
export interface CrashMutant extends Omit<Mutant, 'strategy'> {
  /** The design with which it is looked for. */
  readonly strategy: string
  readonly mode: 'ext2' | 'ext4,no-journal' | 'ext4,data=ordered' | 'ext4,data=writeback' | 'ext4,data=journal'
  /** A workload, or `concurrent`. */
  readonly workload: string
  /** Claims that count as a kill, besides the one that it names: what is lost shows in more than one way. */
  readonly also?: readonly string[]
}

const LOG = 'src/fs/journal/log.ts'
const COMMIT = 'src/fs/journal/commit.ts'
const SYNC = 'src/fs/sync.ts'
const COMMIT_BLOCK = "    yield* this.#submitAndWait(new Bio('write', this.#place(log.length)"

const common = { strategy: 'reserve-allocate', sequential: false, needs: ['crash'] } as const

/** All of them, by id. */
export const CRASH_MUTANTS: readonly CrashMutant[] = [
  {
    ...common, id: 'C01', title: 'fsync does not empty the cache of the drive', source: 'ext3 with barrier=0, its default for long',
    claim: 'I28', trigger: [], mode: 'ext4,no-journal', workload: 'append',
    patch: { file: SYNC, find: "  yield* submitAndWait(fs.device, new Bio('flush'))\n", replace: '' },
  },
  {
    ...common, id: 'C02', title: 'fsync does not wait for data that another pass writes', source: 'found here; filemap_fdatawait_range',
    claim: 'I28', trigger: ['concurrent', 'writeback'], mode: 'ext4,no-journal', workload: 'concurrent',
    patch: {
      file: SYNC, find: '    yield* waitForWriteback(k, inode, 0, Infinity)\n  }\n  const metadata', replace: '  }\n  const metadata',
    },
  },
  {
    ...common, id: 'C03', title: 'the size on disk follows to where the file ends when an I/O completes, past the bytes that it took',
    source: '51d20d1dacbe, "iomap: fix zero padding data issue in concurrent append writes"',
    claim: 'I18', trigger: ['concurrent', 'append', 'writeback'],
    mode: 'ext4,data=ordered', workload: 'concurrent',
    patch: { file: 'src/fs/writeback.ts', find: 'Math.max(inode.diskSize, Math.min(end, io.eof))', replace: 'end' },
  },
  {
    ...common, id: 'C04', title: 'the commit block may be durable before the blocks of its transaction',
    source: 'journal_submit_commit_record with PREFLUSH, fs/jbd2/commit.c; barrier=0',
    claim: 'I28', also: ['I5'], trigger: [], mode: 'ext4,data=ordered', workload: 'append',
    patch: { file: LOG, find: `    yield* this.#flush()\n${COMMIT_BLOCK}`, replace: COMMIT_BLOCK },
  },
  {
    ...common, id: 'C05', title: 'nobody waits until the commit block is durable',
    source: 'journal_submit_commit_record with FUA, fs/jbd2/commit.c',
    claim: 'I28', trigger: [], mode: 'ext4,data=ordered', workload: 'append',
    patch: { file: LOG, find: 'PageVec.of(commit), true))', replace: 'PageVec.of(commit), false))' },
  },
  {
    ...common, strategy: 'prepare-copy-punch', id: 'C06',
    title: 'data of ordered files is not on the disk when their metadata is committed',
    source: 'journal_submit_data_buffers, fs/jbd2/commit.c',
    claim: 'I10', also: ['I18', 'I28'], trigger: [], mode: 'ext4,data=ordered', workload: 'append',
    patch: { file: COMMIT, find: "  if (j.mode === 'ordered') yield* user.writeOrdered(t.ordered)\n", replace: '' },
  },
  {
    ...common, id: 'C07', title: 'the log is emptied before its blocks are durable in their places',
    source: 'jbd2_cleanup_journal_tail issues a flush, fs/jbd2/checkpoint.c',
    claim: 'I28', also: ['I5'], trigger: [], mode: 'ext4,data=journal', workload: 'append',
    patch: {
      file: LOG, find: '    yield* this.#writeAll(blocks)\n    yield* this.#flush()\n', replace: '    yield* this.#writeAll(blocks)\n',
    },
  },
  {
    ...common, id: 'C08', title: 'no revoke: replay writes an old directory over the data that has its block now',
    source: 'jbd2_journal_revoke, fs/jbd2/revoke.c',
    claim: 'I28', also: ['I10', 'I5'], trigger: [], mode: 'ext4,data=ordered', workload: 'mixed',
    patch: { file: COMMIT, find: '[...t.revoked].sort((a, b) => a - b))', replace: '[])' },
  },
  {
    ...common, strategy: 'invalidate-splice', id: 'C09', title: 'fsync passes by a folio that took the place of a dirty one',
    source: 'found here; replace_page_cache_folio (mm/filemap.c)', claim: 'I28', trigger: ['concurrent'],
    mode: 'ext4,data=ordered', workload: 'concurrent',
    patch: {
      file: 'src/fs/writeback.ts', find: 'const now = gone ? k.peekFolio(pages, index) : null',
      replace: 'const now = null as Folio | null',
    },
  },
  {
    ...common, strategy: 'prepare-copy-punch', id: 'C10', title: 'data=writeback: the size does not come with the written blocks',
    source: 'found here; ext4_write_end', claim: 'I5', trigger: [], mode: 'ext4,data=writeback', workload: 'append',
    patch: {
      file: 'src/fs/journal/journal.ts', find: '    this.running.ordered.add(inode)\n',
      replace: "    if (this.mode !== 'writeback') this.running.ordered.add(inode)\n",
    },
  },
  {
    ...common, id: 'Z54', title: 'a block may change while it is on its way to the log', source: 'afb585a97f81',
    claim: 'I28', also: ['I5', 'I10'], trigger: ['concurrent'], mode: 'ext4,data=ordered', workload: 'concurrent',
    patch: { file: 'src/fs/buffer-cache.ts', find: 'data: Buffer.from(sealed(buf).data) }', replace: 'data: sealed(buf).data }' },
  },
  {
    ...common, id: 'Z28', title: 'the size on disk moves with the write, before its data', source: 'ba87ea699ebd',
    claim: 'I18', also: ['I28'], trigger: ['append'], mode: 'ext4,data=ordered', workload: 'append',
    patch: { file: 'src/fs/verbs.ts', find: '    inode.size = size\n', replace: '    inode.size = inode.diskSize = size\n' },
  },
  {
    ...common, id: 'Z29', title: 'a delayed extent is called written before its data is on the device', source: 'a5949d3faedf',
    claim: 'I10', also: ['I5', 'I18', 'I28'], trigger: ['concurrent'], mode: 'ext4,data=ordered', workload: 'concurrent',
    patch: {
      file: 'src/fs/file-system.ts', find: 'this.format.hasUnwritten ? UNWRITTEN : MAPPED, placed.start', replace: 'MAPPED, placed.start',
    },
  },
]
