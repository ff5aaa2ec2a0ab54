/**
 * The self-test of the quick pass: the smallest wrong designs, one a claim, each a bug that a kernel once had.
 *
 * A tick in a table is only worth something if the same run would have seen the bug. Each mutant differs from a good design
 * by one hook or one verb, and must be killed by the claim that it names; a claim whose mutant survives prints `untested`.
 */
import { HOLE } from '../../fs/extent-map.ts'
import type { Mapping } from '../../fs/mapping.ts'
import type { AnyStrategy } from '../../fs/strategy.ts'
import { Verbs } from '../../fs/verbs.ts'
import type { Write } from '../../fs/write.ts'
import { type Kernel, raise } from '../../kernel/kernel.ts'
import { type Folio, UPTODATE } from '../../pagecache/folio.ts'
import { getBlock } from '../../strategies/get-block.ts'
import { invalidateSplice } from '../../strategies/invalidate-splice.ts'
import { reserveAllocate } from '../../strategies/reserve-allocate.ts'
import { reserveCopyAllocate } from '../../strategies/reserve-copy-allocate.ts'
import type { ClaimId } from '../claims.ts'

/** A design or a verb, broken on purpose. */
export interface Mutant {
  /** Number in the bug zoo of the project, or a word. */
  readonly id: string
  /** The claim that must kill it. */
  readonly claim: ClaimId
  /** Commit, mail or class of bugs that it is. */
  readonly source: string
  readonly strategy: AnyStrategy
  readonly verbs?: typeof Verbs
}

/** Short copies are accepted into folios that are not uptodate. */
class AcceptsShort extends Verbs {
  override rejects(): boolean {
    return false
  }
}

/** Where the rest of a block should be read from the disk, zeros are taken. */
class ZeroesEdges extends Verbs {
  override *edges(_w: Write, _m: Mapping, f: Folio, off: number, n: number): Kernel<void, 'EIO'> {
    const block = 1 << f.blockShift
    const [head, tail] = [off - (off % block), Math.ceil((off + n) / block) * block]
    f.zero(head, off - head)
    f.zero(off + n, tail - off - n)
    f.change(head, tail - head, UPTODATE, 0)
  }
}

/** What was written is uptodate, but nobody will write it back. */
class ForgetsDirty extends Verbs {
  override finish(w: Write, f: Folio, off: number, n: number): void {
    super.finish(w, f, off, n, true)
  }
}

/** An extension leaves alone what was stored past the old end. */
class KeepsTail extends Verbs {
  override extended(): void {}
}

/** Writeback leaves page-table entries writable. */
class NeverProtects extends Verbs {
  override writeProtect(): void {}
}

/** A short copy is reported as a whole one. */
class IgnoresShort extends Verbs {
  override copyNow(w: Write, f: Folio, off: number, at: number, n: number): number {
    super.copyNow(w, f, off, at, n)
    return n
  }
}

const asking = (s: AnyStrategy): AnyStrategy => ({ ...s, mapped: () => false })

/** All mutants, by claim in the order of the table. */
export const MUTANTS: readonly Mutant[] = [
  {
    id: 'Z19', claim: 'I11', source: '304a68b9c63b: zeroes where data should be read',
    strategy: reserveAllocate, verbs: ZeroesEdges,
  },
  {
    id: 'Z09', claim: 'I10', source: '5b41e74ad1b0: a short copy makes a page uptodate',
    strategy: reserveAllocate, verbs: AcceptsShort,
  },
  {
    id: 'undirtied', claim: 'I9', source: '3b136499e906 (Z10): accepted data is not dirtied',
    strategy: getBlock, verbs: ForgetsDirty,
  },
  {
    id: 'Z30', claim: 'I19', source: '52aecaee1c26: the tail past the end is not zeroed',
    strategy: reserveAllocate, verbs: KeepsTail,
  },
  {
    id: 'late', claim: 'I12', source: 'Piggin, May 2010: the 2010 order, with a promise that it cannot keep',
    strategy: { ...reserveCopyAllocate, claims: { ...reserveCopyAllocate.claims, rollback: true } },
  },
  {
    id: 'Z22', claim: 'I14', source: 'f65e6fad293b: a failed rewrite punches what an earlier write delayed', strategy: {
      ...asking(reserveAllocate),
      *end(k, w, m) {
        const from = Math.ceil((m.pos + m.written) / w.fs.blockSize)
        w.fs.unreserve(k, m, true)
        const to = Math.ceil((m.pos + m.len) / w.fs.blockSize)
        if (m.written < m.len) yield* w.fs.punch(k, w.inode, Math.min(from, 1), to)
      },
    },
  },
  {
    id: 'unfreed', claim: 'I1', source: '7132de744ba7 (Z17): an error path forgets blocks instead of freeing them',
    strategy: {
      ...getBlock,
      *end(k, w, m) {
        if (m.written === m.len) return
        const keep = Math.ceil(k.size(w.inode) / w.fs.blockSize)
        for (let i = 0; i < m.madeCount; i++) {
          const { lblk, n } = m.made(i)
          const from = Math.max(lblk, keep)
          if (from < lblk + n) w.inode.map.set(from, lblk + n - from, HOLE, 0)
        }
      },
    },
  },
  {
    id: 'Z14', claim: 'I2', source: 'acf795dc161f: space of one block is counted twice', strategy: {
      ...reserveAllocate,
      *begin(k, w, m) {
        yield* reserveAllocate.begin(k, w, m)
        if (m.madeCount > 0) w.fs.space.reserved++
      },
    },
  },
  {
    id: 'Z04', claim: 'I3', source: 'b1bf862e9dad: a retry does not release what it reserved', strategy: {
      ...reserveCopyAllocate,
      *end(_k, _w, m) {
        m.reserved = 0
        m.reservedMap = 0
      },
    },
  },
  {
    id: 'Z55', claim: 'I4', source: 'ext4 of Linux 6.18: a short copy leaves delayed blocks past the end', strategy: {
      ...reserveAllocate,
      *end(k, w, m) {
        w.fs.unreserve(k, m, true)
      },
    },
  },
  {
    id: 'Z48', claim: 'I6', source: '0f64415d4276: a failed extension leaves blocks past the end',
    strategy: { ...getBlock, *end() {} },
  },
  {
    id: 'EBUSY', claim: 'I26', source: 'Piggin, May 2010: invalidation is not guaranteed to succeed', strategy: {
      ...invalidateSplice,
      *commit(k, w, m, from, n) {
        if (w.batch.some((f) => (f.old?.pins ?? 0) > 1)) return yield* raise('EBUSY', 'EBUSY.invalidate')
        return yield* invalidateSplice.commit!(k, w, m, from, n)
      },
    },
  },
  {
    id: 'Z26', claim: 'I15', source: 'c13094b894de: an offset of too few bits makes an empty mapping', strategy: {
      ...asking(reserveAllocate),
      *begin(k, w, m) {
        yield* reserveAllocate.begin(k, w, m)
        if (m.pos >= 1 << 12) m.len = 0
      },
    },
  },
  {
    id: 'Z01', claim: 'I16', source: '08291429cfa6: page faults under a folio lock',
    strategy: { ...reserveAllocate, copy: 'faulting' },
  },
  {
    id: 'unlock', claim: 'I17', source: 'an error path that forgets an unlock: a class, not one commit', strategy: {
      ...reserveCopyAllocate,
      *putFolio(k, _w, _m, f, _off, _n, accepted) {
        if (accepted > 0) k.unlockFolio(f)
      },
    },
  },
  {
    id: 'Z10', claim: 'I13', source: '3b136499e906: the end of a write ignores a short copy',
    strategy: reserveAllocate, verbs: IgnoresShort,
  },
  {
    id: 'commit', claim: 'port', source: 'a hook that returns more than it was asked for', strategy: {
      ...reserveCopyAllocate,
      *commit(k, w, m, from, n) {
        return (yield* reserveCopyAllocate.commit!(k, w, m, from, n)) + 1
      },
    },
  },
  {
    id: 'Z39', claim: 'I23', source: '79352894b285: a page is cleaned and stays writable',
    strategy: reserveAllocate, verbs: NeverProtects,
  },
]
