/**
 * Splice mutants: mistakes with pages that are given away, each as the smallest change to a good file.
 *
 * Entries keep the contract of properties/mutants/mutant.ts; `trigger` is in words of its own, for what the vocabulary of writes
 * does not have. S1 to S8 are numbered as in the list of real bugs that they come from (S5 and S9: not-expressible.md); S10 on
 * are mistakes that this code made, or could make.
 * Imports nothing of src, so that a loader can patch it before it is read.
 */
import type { Mutant } from '../mutants/mutant.ts'

/** A mutant of splice. */
export interface SpliceMutant extends Omit<Mutant, 'trigger' | 'sequential'> {
  /** What must come together for it to show. */
  readonly trigger: string
}

const VERBS = 'src/fs/verbs.ts'
const BUFFER = 'src/pipe/pipe-buffer.ts'
const SPLICE = 'src/pipe/splice.ts'
const IO = 'src/pipe/pipe-io.ts'
const SOURCE = 'src/pipe/pipe-source.ts'

/** All of them. */
export const SPLICE_MUTANTS: readonly SpliceMutant[] = [
  {
    id: 'S1', title: 'a slot keeps the flags of its last life (Dirty Pipe)', source: '9d2231c5d74e, CVE-2022-0847', claim: 'SPLICE-9',
    strategy: 'reserve-allocate', trigger: 'write to the pipe, read it empty, splice from a file, write again',
    patch: {
      file: BUFFER, find: '    this.ops = ops\n    this.flags = flags\n',
      replace: '    this.ops = ops\n    if (flags !== 0) this.flags = flags\n',
    },
  },
  {
    id: 'S2', title: 'a page under writeback is taken', source: 'ad8d6f0a783f', claim: 'SPLICE-7', strategy: 'reserve-allocate',
    trigger: 'a page of a file in the pipe, its writeback under way',
    patch: { file: BUFFER, find: 'f.locked || f.writeback || f.dirty', replace: 'f.locked || f.dirty' },
  },
  {
    id: 'S3', title: 'a given page is inserted uptodate', source: '485ddb4b9741 (what the stealing of 2006 did)', claim: 'SPLICE-4',
    strategy: 'reserve-allocate', trigger: 'a reader between insertion and acceptance',
    patch: {
      file: VERBS, find: '    this.insertFolio(w.pages, f)\n    return f\n',
      replace: '    this.insertFolio(w.pages, f)\n    f.change(0, PAGE, 1, 0)\n    return f\n',
    },
  },
  {
    id: 'S4', title: 'a gift is taken that its owner still maps',
    source: 'lkml 2606.0/07354 ("try_steal was kind of lie")', claim: 'SPLICE-3',
    strategy: 'reserve-allocate', trigger: 'vmsplice with SPLICE_F_GIFT, no munmap',
    patch: {
      file: BUFFER, find: 'if (f.refs !== 1 || f.pins > 0) return \'refusedReferences\'\n  if (f.home',
      replace: 'if (f.pins > 0) return \'refusedReferences\'\n  if (f.home',
    },
  },
  {
    id: 'S6', title: 'the size of the ring is read before the lock is taken', source: 'a2477b0e67c5', claim: 'SPLICE-1',
    strategy: 'reserve-allocate', trigger: 'a ring that shrinks while a writer waits for its lock',
    patch: [
      {
        file: IO, find: '  if (source.length === 0) return 0\n  yield* k.acquire(pipe.lock)\n',
        replace: '  if (source.length === 0) return 0\n  const { slots } = pipe\n  yield* k.acquire(pipe.lock)\n',
      },
      { file: IO, find: '      if (pipe.isFull) break\n', replace: '      if (pipe.used >= slots) break\n' },
    ],
  },
  {
    id: 'S7', title: 'the pipe moves on by what was asked for, not by what was done', source: '419e9c38aa07', claim: 'SPLICE-1',
    strategy: 'reserve-allocate', trigger: 'a short write: ENOSPC after the first bytes',
    patch: {
      file: SPLICE, find: '      pipe.consume(k, n)\n      if (written',
      replace: '      pipe.consume(k, ready)\n      if (written',
    },
  },
  {
    id: 'S8', title: 'that a page is shared is lost on the way into a second pipe',
    source: 'f4c50a4034e6, CVE-2026-43284', claim: 'SPLICE-8',
    strategy: 'reserve-allocate', trigger: 'tee, then a write to both pipes',
    patch: { file: SPLICE, find: 'from.flags & ~(GIFT | CAN_MERGE)', replace: 'from.flags & ~GIFT' },
  },
  {
    id: 'S10', title: 'a page of which only a part is meant is taken',
    source: 'class; what fuse_try_move_folio asks for', claim: 'SPLICE-5',
    strategy: 'reserve-allocate', trigger: 'a buffer of half a page',
    patch: { file: SOURCE, find: 'at !== this.#begin || b.len < PAGE || n < PAGE', replace: 'at !== this.#begin' },
  },
  {
    id: 'S11', title: 'the copy believes that an offered page is the page of the file', source: 'class', claim: 'SPLICE-6',
    strategy: 'reserve-allocate', trigger: 'a design that ignores the offer',
    patch: { file: SOURCE, find: 'b.folio === f && b.off + skip === off', replace: 'b.off + skip === off' },
  },
  {
    id: 'S12', title: 'a given page stays in the file when its write is undone',
    source: 'class; the abort of fuse_try_move_folio', claim: 'SPLICE-1',
    strategy: 'reserve-allocate', trigger: 'a given page that could not be inserted, or whose write failed',
    patch: { file: VERBS, find: '    if (f.home !== null) this.withdraw(f)\n    w.donor!.takeBack(f)\n', replace: '' },
  },
  {
    id: 'S13', title: 'stores of whoever keeps a page reach the file',
    source: 'RFC "splice: Fix corruption of spliced data", linux-mm msg346151',
    claim: 'SPLICE-2', strategy: 'reserve-allocate', trigger: 'vmsplice without a gift, a store after the splice',
    patch: [
      { file: BUFFER, find: "(b.flags & GIFT) === 0 ? 'refusedProvenance' : stealOwn(k, b)", replace: 'stealOwn(k, b)' },
      { file: BUFFER, find: "if (f.refs !== 1 || f.pins > 0) return 'refusedReferences'\n  if (f.home", replace: 'if (f.home' },
    ],
  },
  {
    id: 'S14', title: 'a page that was cut out of its file brings its bits along',
    source: 'found here, by punch beside a splice', claim: 'SPLICE-4',
    strategy: 'reserve-allocate', trigger: 'a page in the pipe that punch or truncate took out of its file',
    patch: {
      file: VERBS, find: '    f.clear()\n    f.index = Math.floor(pos / PAGE)\n',
      replace: '    f.index = Math.floor(pos / PAGE)\n',
    },
  },
]
