/**
 * The 2010 argument, replayed: the places where the designs of the thread differ, each as a small program on every
 * design of the thread, all schedules; and the sentences of seed 002 with what those runs say of them.
 *
 * Designs are held to the sentence, not to what they declare: a late failure that changes the file counts, declared or
 * not. An *injection* is exhaustive: every interleaving of its fibers, every order of completion, every choice of the
 * one fault that it names, with no bound on preemptions; no other fault. Run by itself, this file renews the generated
 * parts of the document.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type { AnyStrategy, Claims } from '../src/fs/strategy.ts'
import type { ChoiceKind, Choices } from '../src/kernel/choices.ts'
import type { Ledger } from '../src/kernel/ledger.ts'
import { STEP_BUDGET } from '../src/lab/check/check.ts'
import { CHANGED } from '../src/lab/check/digests.ts'
import type { Judge } from '../src/lab/check/judge.ts'
import { claimOf } from '../src/lab/check/outcome.ts'
import { type Action, type Actions, type Config, type Program, sayAction, sayConfig } from '../src/lab/check/program.ts'
import { Metered, UNDO_PROGRAMS, undoAll, type UndoReport } from '../src/lab/check/undo.ts'
import { World } from '../src/lab/check/world.ts'
import { count, perUnit } from '../src/report/format.ts'
import { explore } from '../src/sim/explore.ts'
import { execute } from '../src/sim/scheduler.ts'
import type { Fiber, Violation } from '../src/sim/system.ts'
import { RecordingTape } from '../src/sim/tape.ts'
import { debated as strategies } from '../src/strategies/index.ts'
import { JUDGES } from './claims/index.ts'
import { SENTENCES } from './the-2010-sentences.ts'
import { inUndo, sumUndo } from './undo-sums.ts'

/** What is done to every design. */
export interface Injection {
  readonly id: string
  /** Of a column. */
  readonly short: string
  readonly says: string
  readonly program: Program
  /** The one fault site that may fail; default none. */
  readonly site?: string
  /** What every design is held to, whatever it declares. */
  readonly hold: Partial<Claims>
  readonly judges: readonly Judge[]
}

/** How a design did. */
export interface Cell {
  /** Claims that broke, each with the first sentence that says how. Empty: all held. */
  readonly broken: Readonly<Record<string, string>>
  /** Schedules that were covered: all there are. Null: the budget ended first. */
  readonly schedules: number | null
  readonly states: number
  /** Did the named fault site fail in any run? */
  readonly reached: boolean
}

/** All that the document says is a function of this. */
export interface Results {
  readonly cells: Readonly<Record<string, Readonly<Record<string, Cell>>>>
  readonly undo: Readonly<Record<string, UndoReport>>
  /** Counted cost of one 16 KiB write to a hole. */
  readonly cost: Readonly<Record<string, Ledger>>
}

const PLAIN: Config = { format: 'ext4', blockSize: 4096, folioOrder: 0 }
const SMALL: Config = { format: 'ext4', blockSize: 1024, folioOrder: 0 }
const write = (pos: number, len: number): Action => ({ op: 'write', pos, len })
const fsync: Action = { op: 'fsync' }

/** Nobody may refuse or leave bytes behind. */
const STRICT = { rollback: true, mayRefuse: false } as const

/** The bytes of a bio changed after it was submitted: asked of every design, whatever it says of stable pages. */
const UNSTABLE: Judge = { claim: 'I21', on: CHANGED.disk, step: ({ world }) => world.device.unstable }

const injection = (
  id: string, short: string, says: string, config: Config, before: Actions, fibers: readonly Actions[],
  more: Partial<Pick<Injection, 'site' | 'hold' | 'judges'>> = {},
): Injection => ({ id, short, says, program: { config, before, fibers }, hold: STRICT, judges: JUDGES, ...more })

/** The four places of May 2010, and what follows from them. */
export const INJECTIONS: readonly Injection[] = [
  injection('a', 'ALLOCATE fails', 'recording the extent fails (ENOMEM), where a page that is uptodate and dirty ' +
    'is part of the write',
    PLAIN, [write(4096, 4096)], [[write(0, 8192)], [{ op: 'read', pos: 4096, len: 4096 }]], { site: 'ENOMEM.record' }),
  injection('b', 'store in between', 'a store through a mapping, to bytes of the page that the write does not ' +
    'cover, at any time',
    SMALL, [write(0, 4096)], [[write(100, 300)], [{ op: 'store', pos: 3000, len: 200 }]]),
  injection('c', 'pinned page', 'a device that pinned the page writes to bytes that the write does not cover, at ' +
    'any time',
    SMALL, [write(0, 4096)], [[write(100, 300)], [{ op: 'dma', pos: 3000, len: 200 }]]),
  injection('d', 'reader, one page', 'a read of one page that is being overwritten, held to see all or nothing of ' +
    'the write in that page',
    SMALL, [write(0, 4096)], [[write(0, 4096)], [{ op: 'read', pos: 0, len: 4096 }]], { hold: { ...STRICT, isolation: 'page' } }),
  injection('d2', 'reader, whole write', 'the same over two pages, held to see all or nothing of the whole write',
    SMALL, [write(0, 8192)], [[write(0, 8192)], [{ op: 'read', pos: 0, len: 8192 }]], { hold: { ...STRICT, isolation: 'write' } }),
  injection('e', 'write under I/O', 'the page is overwritten by write(2) while fsync writes it back: asked is ' +
    'whether the bytes on their way change',
    SMALL, [write(0, 4096)], [[write(0, 4096)], [fsync]], { judges: [UNSTABLE] }),
  injection('f', 'store under I/O', 'the same with a store through a mapping, the page mapped before',
    SMALL, [write(0, 4096), { op: 'store', pos: 0, len: 512 }], [[{ op: 'store', pos: 1024, len: 512 }], [fsync]], { judges: [UNSTABLE] }),
  injection('g', 'device under I/O', 'the same with a device that pinned the page',
    SMALL, [write(0, 4096)], [[{ op: 'dma', pos: 0, len: 512 }], [fsync]], { judges: [UNSTABLE] }),
]

/** The world of an injection: one fault site may fail, and what is asked is not the order of locks. */
class Asked extends World {
  site: string | undefined
  /** Did the site fail in any run? */
  siteFailed = false

  override begin(choices: Choices): readonly Fiber[] {
    const choose = (n: number, kind: ChoiceKind, label: string): number => {
      if (kind === 'fault' && label !== this.site) return 0
      const pick = choices.choose(n, kind, label)
      if (kind === 'fault' && pick === 1) this.siteFailed = true
      return pick
    }
    return super.begin({ scheduled: true, choose })
  }

  override stepped(fiber: number): Violation | null {
    this.lockOrder.found = null
    return super.stepped(fiber)
  }
}

/** Most runs of one cell: far beyond what any of them takes. */
const RUNS = 100_000

/** One injection on one design. */
export const inject = (i: Injection, s: AnyStrategy): Cell => {
  const strategy = { ...s, claims: { ...s.claims, ...i.hold } }
  const world = new Asked(i.program, { strategy, judges: i.judges.filter((j) => j.claim !== 'I16') })
  world.site = i.site
  const all = explore(world, {
    budget: { executions: RUNS }, steps: STEP_BUDGET, collect: true, bounds: { completion: Infinity, short: Infinity, fault: Infinity },
  })
  const broken: Record<string, string> = {}
  for (const f of all.findings) broken[claimOf(f.claim, f.what)] ??= f.what
  return { broken, schedules: all.interleavings, states: all.states, reached: world.siteFailed }
}

const costOf = (strategy: AnyStrategy): Ledger => {
  const world = new Metered({ config: PLAIN, before: [], fibers: [[write(0, 16384)]] }, { strategy, judges: [] })
  execute(world, new RecordingTape())
  return world.cost
}

/** Run everything. Seconds. */
export const runArgument = (): Results => ({
  cells: Object.fromEntries(INJECTIONS.map((i) => [i.id, Object.fromEntries(strategies.map((s) => [s.name, inject(i, s)]))])),
  undo: Object.fromEntries(
    strategies.map((s) => [s.name, undoAll({ strategy: s, judges: JUDGES, programs: UNDO_PROGRAMS })]),
  ),
  cost: Object.fromEntries(strategies.map((s) => [s.name, costOf(s)])),
})

// --- the document --------------------------------------------------------------------------------------------------------

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

const sayCell = (i: Injection, c: Cell): string => {
  const claims = Object.keys(c.broken).sort()
  const schedules = c.schedules === null ? `${count(c.states)} states, not all` : count(c.schedules)
  const result = claims.length === 0 ? (i.site !== undefined && !c.reached ? 'no such ' +
    'failure' : 'held') : `**${claims.join(', ')}**`
  return `${result} (${schedules})`
}

const cellsTable = ({ cells }: Results): string => table(
  ['design', ...INJECTIONS.map((i) => `${i.id}: ${i.short}`)],
  strategies.map((s) => [s.name, ...INJECTIONS.map((i) => sayCell(i, cells[i.id]![s.name]!))]),
)

const programs = (): string => INJECTIONS.map((i) => {
  const { config, before, fibers } = i.program
  const done = before.map(sayAction).join('; ')
  return `- **${i.id}**: ${i.says}; ${sayConfig(config)}; before: ${done}; at once: ` +
    `${fibers.map((f) => f.map(sayAction).join(', ')).join(' | ')}`
}).join('\n')

/** How each cell broke; designs that break alike share a line. */
const breaks = ({ cells }: Results): string => INJECTIONS.flatMap((i) => {
  const by = new Map<string, string[]>()
  for (const s of strategies) {
    for (const [claim, what] of Object.entries(cells[i.id]![s.name]!.broken)) {
      const line = `${claim}: ${what}`
      by.set(line, [...(by.get(line) ?? []), s.name])
    }
  }
  return [...by].map(([line, names]) => `- **${i.id}** ${line} ` +
    `(${names.length === strategies.length ? 'every design' : names.join(', ')})`)
}).join('\n')

const undoTable = ({ undo }: Results): string => table(
  ['design', 'writes failed', 'blocks unreserved', 'blocks punched', 'blocks zeroed', 'folios dropped', 'locks ' +
    'taken', 'may fail in the undo',
    'pairs', 'blocks lost'],
  Object.values(undo).map((r) => {
    const failed = sumUndo(r, (s) => s.failed)
    const per = (v: keyof UndoReport['sites'][number]['verbs']): string => perUnit(sumUndo(r, (s) => s.verbs[v]) / failed)
    return [r.strategy, count(failed), per('blocksUnreserved'), per('blocksPunched'), per('blocksZeroedUndone'), per('foliosDropped'),
      per('locksUndone'), inUndo(r).join(', ' +
        '') || 'nothing', count(sumUndo(r, (s) => s.pairs)), count(sumUndo(r, (s) => s.lost))]
  }),
)

const sentences = (r: Results): string => table(
  ['sentence', 'by', 'the runs say'],
  SENTENCES.map(({ quote, by, judge }) => {
    const { verdict, because } = judge(r)
    return [`"${quote}"`, by, `**${verdict}**: ${because}`]
  }),
)

/** The generated parts of the document, by name. */
export const parts = (r: Results): Readonly<Record<string, string>> => ({
  sentences: sentences(r), programs: programs(), injections: cellsTable(r), breaks: breaks(r), undo: undoTable(r),
})

/** The document with its generated parts renewed. @throws Error if a part has no place in it */
export const renewed = (document: string, r: Results): string => Object.entries(parts(r)).reduce((text, [name, part]) => {
  const place = new RegExp(`(<!-- generated: ${name} -->\n)[\\s\\S]*?(\n<!-- end -->)`)
  if (!place.test(text)) throw new Error(`the document has no place for ${name}`)
  return text.replace(place, (_, begin: string, end: string) => `${begin}${part}${end}`)
}, document)

/** Where the document is. */
export const DOCUMENT = new URL('../docs/the-2010-argument.md', import.meta.url)

if (import.meta.main) writeFileSync(DOCUMENT, renewed(readFileSync(DOCUMENT, 'utf8'), runArgument()))
