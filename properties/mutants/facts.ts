/**
 * Facts: what a counterexample of the checker holds, in the words of `trigger.ts`.
 *
 * The run is made once more: what lay below each action is taken from the file as it was before the fibers began, what failed
 * and what was cut short from the run itself.
 */
import { DELALLOC, HOLE, UNWRITTEN } from '../../src/fs/extent-map.ts'
import type { Inode } from '../../src/fs/inode.ts'
import { PAGE } from '../../src/kernel/units.ts'
import type { Action, Actions } from '../../src/lab/check/program.ts'
import { type Bench, type Recorded, rerunIn, worldOf } from '../../src/lab/check/rerun.ts'
import type { World } from '../../src/lab/check/world.ts'
import { DIRTY } from '../../src/pagecache/folio.ts'
import type { Below, Facts, OpFacts, OpName } from './trigger.ts'

const nameOf = (a: Action): OpName => {
  switch (a.op) {
    case 'write': return a.direct === true ? 'direct' : a.append === true ? 'append' : 'write'
    case 'dma': return 'pin'
    case 'allocate': return 'fallocate'
    case 'sync': return 'writeback'
    case 'drop': return 'reclaim'
    case 'stat': return 'other'
    default: return a.op
  }
}

const rangeOf = (a: Action, size: number): readonly [pos: number, len: number] =>
  a.op === 'truncate' ? [Math.min(a.size, size), Math.abs(a.size - size)]
    : 'pos' in a ? [a.op === 'write' && a.append === true ? size : a.pos, a.len] : [0, 0]

const belowOf = (inode: Inode, blockSize: number, pos: number, len: number): readonly Below[] => {
  const found = new Set<Below>()
  const e = { lblk: 0, n: 0, state: HOLE as 0 | 1 | 2 | 3, pblk: 0 }
  for (let b = Math.floor(pos / blockSize); b * blockSize < pos + len; b++) {
    inode.map.lookup(b, 1, e)
    found.add(e.state === HOLE ? 'hole' : e.state === DELALLOC ? 'delayed' : e.state === UNWRITTEN ? 'unwritten' : 'written')
    const f = inode.pages?.find(Math.floor((b * blockSize) / PAGE)) ?? null
    if (f !== null && (f.bits(b * blockSize - f.pos) & DIRTY) !== 0) found.add('dirty')
  }
  return [...found].sort()
}

/** What lay below one of the actions before the fibers: a hole, where none of `earlier` put anything into a block. */
const belowFirst = (earlier: Actions, blockSize: number, pos: number, len: number): readonly Below[] => {
  const first = Math.floor(pos / blockSize)
  const blocks = Array.from({ length: Math.ceil((pos + len) / blockSize) - first }, (_, i) => (first + i) * blockSize)
  const isHole = (at: number): boolean =>
    !earlier.some((b) => 'pos' in b && b.op !== 'read' && b.op !== 'load' && b.pos < at + blockSize && at < b.pos + b.len)
  return blocks.some(isHole) ? ['hole'] : []
}

/** What other actions of the fibers may have put below: dirty data, delayed. */
const writtenBy = (actions: Actions, self: Action, pos: number, len: number): readonly Below[] =>
  actions.some((a) => a !== self && (a.op === 'write' || a.op === 'store') && a.pos < pos + len && pos < a.pos + a.len)
    ? ['delayed', 'dirty'] : []

const sourceOf = (a: Action): NonNullable<OpFacts['source']> => {
  if (a.op === 'write' && a.absent === true) return 'absent memory'
  if (a.op !== 'write' || a.self === undefined) return 'memory'
  const [first, last] = [Math.floor(a.pos / PAGE), Math.floor((a.pos + a.len - 1) / PAGE)]
  return a.self <= last && a.self + Math.ceil(a.len / PAGE) > first ? 'destination page' : 'mapping of the file'
}

/** How an action changes the size, were it to succeed. */
const sizeAfter = (a: Action, size: number): number => {
  if (a.op === 'truncate') return a.size
  const [pos, len] = rangeOf(a, size)
  const grows = a.op === 'write' || a.op === 'zero' || (a.op === 'allocate' && a.keep !== true)
  return grows ? Math.max(size, pos + (a.op === 'write' ? Math.min(len, a.readable ?? len) : len)) : size
}

/** What a run came to, as far as facts go. */
interface Ran {
  readonly errnos: readonly string[]
  readonly faults: readonly string[]
  /** Copies that were cut short. */
  readonly cut: number
  readonly undone: boolean
}

const make = (world: World, c: Recorded): Ran => {
  const { ledger } = world.session.fs.verbs
  const before = ledger.locksUndone
  const { tape } = rerunIn(world, c)
  return {
    errnos: world.history.records.flatMap((r) => (r.errno === null ? [] : [r.errno])), faults: [...world.failed],
    cut: (tape.short ?? []).filter((d) => d.pick !== 0).length, undone: ledger.locksUndone > before,
  }
}

/**
 * What this counterexample is made of.
 * @param comesBack false: its run does not end, and is not made again; what it came to is not known then
 */
export const factsOf = (c: Recorded, bench: Bench, comesBack = true): Facts => {
  const { config, before, fibers } = c.program
  const world = worldOf(c.program, c.claim, bench)
  const op = (a: Action, fiber: number, size: number): OpFacts => {
    const [pos, len] = rangeOf(a, size)
    const below = fiber < 0 ? belowFirst(before.slice(0, before.indexOf(a)), config.blockSize, pos, len)
      : [...belowOf(world.inode, config.blockSize, pos, len), ...writtenBy(fibers.flat(), a, pos, len)]
    return {
      op: nameOf(a), fiber, pos, len, sizeBefore: size, sizeAfter: sizeAfter(a, size), below, source: sourceOf(a),
      emptyIovec: a.op === 'write' && a.pieces === true,
    }
  }
  const inTurn = (actions: Actions, fiber: number, from: number): { ops: OpFacts[]; size: number } => {
    let size = from
    const ops = actions.map((a) => {
      const facts = op(a, fiber, size)
      size = facts.sizeAfter
      return facts
    })
    return { ops, size }
  }
  const past = inTurn(before, -1, 0)
  const ops = [...past.ops, ...fibers.flatMap((actions, i) => inTurn(actions, i, past.size).ops)]
  const ran = comesBack ? make(world, c) : { errnos: [], faults: [], cut: 0, undone: false }
  const full = config.leave !== undefined && ran.errnos.length === 0 ? ['ENOSPC'] : []
  const cut = fibers.flat().filter((a) => a.op === 'write' && a.readable !== undefined && a.readable < a.len).length
  return {
    format: config.format, blockSize: config.blockSize, folioOrder: config.folioOrder, ops, faults: ran.faults,
    errnos: [...ran.errnos, ...full], shortCopies: cut + ran.cut, undone: ran.undone, openFiles: fibers.length, crashed: false,
  }
}
