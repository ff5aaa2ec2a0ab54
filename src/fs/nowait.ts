/**
 * RWF_NOWAIT: a buffered write that does what it can without waiting, and says EAGAIN to the rest.
 *
 * | what it would wait for                       | site            |
 * |----------------------------------------------|-----------------|
 * | the inode lock                               | EAGAIN.lock     |
 * | too much is dirty                            | EAGAIN.throttle |
 * | whatever `begin` waits for: the map lock     | EAGAIN.begin    |
 * | a folio: its lock, its writeback, the memory | EAGAIN.folio, EAGAIN.memory |
 * | an edge that must be read from the disk      | EAGAIN.edges    |
 * | an allocator call: bitmaps may have to be read | EAGAIN.allocate |
 *
 * Rules: EAGAIN only if nothing was written, else a short write (claims I13, I29). Hooks need not know: `noWait` runs them as
 * they are, and where one would wait throws EAGAIN in its place; what it took it gives back in its `finally`. Undo may wait,
 * and so may a page fault of the source, as in the kernel. A design with a `commit` does its fallible part after the copy and
 * cannot promise not to wait there: it is not asked, and the call fails with EOPNOTSUPP, as on a file without FMODE_NOWAIT.
 * Sources: iomap_write_begin with IOMAP_NOWAIT, xfs_file_buffered_write, man pwritev2(2); balance_dirty_pages with BDP_ASYNC.
 */
import { Failure, failure, type Kernel, type Op, raise } from '../kernel/kernel.ts'
import type { Errno } from '../kernel/errno.ts'
import type { AnyStrategy } from './strategy.ts'
import type { Verbs } from './verbs.ts'

/** Can a write by this design be one that does not wait? */
export const mayBeNoWait = (s: AnyStrategy): boolean => s.commit === undefined

/**
 * Run `kernel` as long as it need not wait. Where a scheduler runs, others do at each of its points; what is not free then is
 * not waited for. Raises EAGAIN with nothing taken; out of memory is EAGAIN too, for nobody waited for reclaim.
 */
export function* noWait<A, E extends Errno>(
  k: Verbs, kernel: Kernel<A, E>, code: `EAGAIN.${string}`,
): Kernel<A, E | 'EAGAIN'> {
  if (k.fault(code)) return yield* raise('EAGAIN', code)
  let undoing = false
  try {
    for (let step = kernel.next(); ; ) {
      if (step.done === true) return step.value
      const op = step.value as Op
      if (undoing) {
        yield op
        step = kernel.next()
        continue
      }
      yield* k.step(code)
      undoing = !op.ready()
      step = undoing ? kernel.throw(failure('EAGAIN', code)) : kernel.next()
    }
  } catch (e) {
    if (e instanceof Failure && e.errno === 'ENOMEM') return yield* raise('EAGAIN', 'EAGAIN.memory')
    throw e
  }
}

/**
 * EAGAIN where only a write that does not wait can meet it. Hooks and services do not declare it: it passes through them to
 * the pipeline, which does.
 */
export const wouldWait = (code: `EAGAIN.${string}`): Kernel<never> => raise('EAGAIN', code) as Kernel<never>
