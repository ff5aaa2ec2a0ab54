/** The pipeline's stage: a design that notes each of its hooks, and how a write is made on it. */
import type { Choices } from '../kernel/choices.ts'
import { BoundedVerbs, sourceOf, stage, type Stage } from '../strategies/stage.test-util.ts'
import type { AnyStrategy } from './strategy.ts'

export const PAGE = 4096
export const slow: Choices = { choose: () => 0 }

/** Leaves it to the pipeline to see a livelock. */
export class PatientVerbs extends BoundedVerbs {
  protected override readonly most = { looks: 20_000, turns: Infinity, copies: 3_000 }
}

export const write = (s: Stage, fill: string, len: number, pos = 0, readable = len) =>
  s.posix.pwriteFrom(s.fd, sourceOf(len, fill, readable), pos)

/** A design that notes each of its hooks in `log`; never the plain prefix. */
export const noting = (base: AnyStrategy, log: string[]): AnyStrategy => ({
  ...base,
  mapped: () => false,
  *begin(k, w, m) {
    log.push(`begin ${m.pos}+${m.len}${w.inode.rwsem.exclusive ? ' alone' : ''}`)
    yield* base.begin(k, w, m)
  },
  *getFolio(k, w, m, pos, n) {
    log.push(`get ${pos}+${n}`)
    if (base.getFolio !== undefined) return yield* base.getFolio(k, w, m, pos, n)
    return yield* k.grabFolio(w.pages, Math.floor(pos / PAGE), (pos % PAGE) + n, w.stable)
  },
  *commit(k, w, m, from, n) {
    log.push(`commit ${from}+${n}`)
    return base.commit === undefined ? n : yield* base.commit(k, w, m, from, n)
  },
  *putFolio(k, w, m, f, off, n, accepted) {
    log.push(`put ${f.index}: ${accepted} of ${off}+${n}`)
    if (base.putFolio !== undefined) yield* base.putFolio(k, w, m, f, off, n, accepted)
    else k.unlockFolio(f)
  },
  *end(k, w, m) {
    log.push(`end ${m.written} of ${m.len}`)
    if (base.end !== undefined) yield* base.end(k, w, m)
    else {
      w.fs.unreserve(k, m, false)
      for (let i = 0; i < m.madeCount && m.written < m.len; i++) {
        const { lblk, n } = m.made(i)
        const from = Math.max(lblk, Math.ceil((m.pos + m.written) / w.fs.blockSize))
        if (from < lblk + n) yield* w.fs.punch(k, w.inode, from, lblk + n - from)
      }
    }
  },
})

/** A stage on which every hook is noted. */
export const noted = (base: AnyStrategy, props: Parameters<typeof stage>[1] = {}) => {
  const log: string[] = []
  return { log, s: stage(noting(base, log), props) }
}
