/** docs/isolation.md, from what was measured of the designs and of live file systems. */
import { count } from '../src/report/format.ts'
import { PROBE_CELLS, PROBED, type ProbedCell, probedLevel } from '../src/oracle/isolation-probe.ts'
import { ISOLATION_DEVIATIONS } from './isolation-deviations.ts'
import { EXPECTED_ISOLATION, type Observer, OBSERVERS } from './isolation-expected.ts'
import {
  agrees, KERNEL_DIFFERS, type KernelDocument, NEAREST, PROBED_OBSERVERS, weakestCell,
} from './isolation-kernel.ts'
import { BUDGET, type Cell, type MeasuredDesign } from './isolation-measure.ts'

/** Headings of the observers. */
const NAMES: Readonly<Record<Observer, string>> = {
  read: 'read(2)', direct: 'direct read', load: 'load', size: 'i_size', writer: 'two writers', disk: 'disk',
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

const expectedOf = (design: string, o: Observer): string | undefined =>
  (EXPECTED_ISOLATION as Readonly<Record<string, Readonly<Record<Observer, string>>>>)[design]?.[o]

/** `none (411 of 2,138)`: the level, and the looks that saw a write in part. */
const cellText = (design: string, o: Observer, c: Cell): string => {
  const expected = expectedOf(design, o)
  const mark = expected === undefined || expected === c.level ? '' : ' ≠'
  return `${c.level}${mark} (${count(c.torn)} of ${count(c.observations)})`
}

const measuredTable = (all: readonly MeasuredDesign[]): string =>
  table(['design', 'declared', ...OBSERVERS.map((o) => NAMES[o])], all.map((m) =>
    [m.design, m.declared, ...OBSERVERS.map((o) => cellText(m.design, o, m.cells[o]))]))

const expectedTable = (): string =>
  table(['design', ...OBSERVERS.map((o) => NAMES[o])], Object.entries(EXPECTED_ISOLATION).map(([design, e]) =>
    [design, ...OBSERVERS.map((o) => e[o])]))

/** Names that share something, joined; many are counted. */
const grouped = <A>(all: readonly A[], key: (a: A) => string, name: (a: A) => string): readonly (readonly [string, string])[] => {
  const by = new Map<string, string[]>()
  for (const a of all) by.set(key(a), [...(by.get(key(a)) ?? []), name(a)])
  return [...by].map(([k, names]) => [k, names.join(', ')])
}

const shapeTables = (all: readonly MeasuredDesign[]): string => OBSERVERS.map((o) => {
  const shapes = Object.keys(all[0]!.cells[o].byShape)
  const rows = grouped(all, (m) => shapes.map((s) => m.cells[o].byShape[s]).join(' | '), (m) => m.design)
  return `**${NAMES[o]}**\n\n${table([...shapes, 'designs'], rows.map(([levels, names]) => [levels, names]))}`
}).join('\n\n')

const examples = (all: readonly MeasuredDesign[]): string =>
  table(['observer', 'level', 'one look', 'designs'], OBSERVERS.flatMap((o) => {
    const torn = all.filter((m) => m.cells[o].example !== null)
    const key = (m: MeasuredDesign): string => {
      const { level, example } = m.cells[o]
      return `${level} | ${example!.scene}: ${example!.say}`
    }
    return grouped(torn, key, (m) => m.design).map(([what, names]) => [NAMES[o], what, names])
  }))

const deviations = (): string =>
  table(['design', 'observer', 'expected', 'measured', 'why'], ISOLATION_DEVIATIONS.map((d) =>
    [d.design, NAMES[d.observer], EXPECTED_ISOLATION[d.design][d.observer], d.measured, d.why]))

const refusals = (all: readonly MeasuredDesign[]): string => all.flatMap((m) => {
  const odd = [...new Set(OBSERVERS.flatMap((o) => m.cells[o].odd))]
  return odd.length === 0 ? [] : [`${m.design}: ${odd.join(', ')}`]
}).join('; ')

// --- the kernel ----------------------------------------------------------------------------------------------------------

const percent = (part: number, of: number): string => {
  if (part === 0) return '0 %'
  const p = (100 * part) / of
  return `${p >= 10 ? p.toFixed(0) : p >= 0.01 ? p.toPrecision(2) : p.toExponential(0)} %`
}

/** `64 B 93 %, page 7 %`: where tears are, each at its largest alignment. */
const alignment = (c: ProbedCell): string => {
  const all = c.at65536 + c.at4096 + c.at64 + c.elsewhere
  const shares = [['64 KiB', c.at65536], ['page', c.at4096], ['64 B', c.at64], ['elsewhere', c.elsewhere]] as const
  return shares.filter(([, n]) => n > 0).map(([name, n]) => `${name} ${percent(n, all)}`).join(', ')
}

const kernelCell = (c: ProbedCell | undefined): string => {
  if (c === undefined) return '-'
  if (c.refused !== undefined) return `refused: ${c.refused}`
  return c.torn === 0 ? `write, 0 of ${count(c.looks)}` : `${probedLevel(c)}, ${percent(c.torn, c.looks)} (${alignment(c)})`
}

const sideBySide = (all: readonly MeasuredDesign[], { systems }: KernelDocument): string =>
  table(['file system', 'beside', 'observer', 'model', 'kernel', 'rate', 'why they differ'], PROBED.flatMap((fs) => {
    const system = systems[fs]
    const model = all.find((m) => m.design === NEAREST[fs])
    if (system === undefined || model === undefined) return []
    return (Object.keys(PROBED_OBSERVERS) as Observer[]).map((o) => {
      const cell = weakestCell(system, o)
      const same = agrees(model.cells[o].level, probedLevel(cell))
      const rate = `${percent(cell.torn, cell.looks)} of ${count(cell.looks)}, ${cell.id}`
      const why = same ? '' : KERNEL_DIFFERS[fs]?.[o] ?? 'not explained'
      return [fs, NEAREST[fs], NAMES[o], model.cells[o].level, probedLevel(cell), rate, why]
    })
  }))

const kernelTable = ({ systems }: KernelDocument): string => {
  const known = PROBED.filter((fs) => systems[fs] !== undefined)
  return table(['cell', ...known], PROBE_CELLS.map(({ id }) =>
    [id, ...known.map((fs) => kernelCell(systems[fs]!.cells.find((c) => c.id === id)))]))
}

const provenance = ({ systems }: KernelDocument): string =>
  grouped(PROBED.filter((fs) => systems[fs] !== undefined), (fs) => {
    const s = systems[fs]!
    return `${s.kernel}, ${s.machine}, ${s.seconds} s a cell`
  }, (fs) => fs).map(([how, names]) => `${names}: ${how}`).join('; ')

/** Per cent of pread()s that were torn, by a C program: what the probe is compared with. */
const BY_C = `| file system | 4K | 4K at 2048 | 8K | 64K small / large folio | 1M small / large folio | direct 64K | load 4K | append |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| tmpfs | .011 | 23 | 40 | 73 / 76 | 75 / 87 | 50 | .63 | 62 %, multiples of 4096 |
| ext4 | .14 | 49 | 38 | 75 / .29 to 3.7 | 87 / .6 to 7.6 | 0 | .04 | 0 |
| ext2 | .27 | 36 | 39 | 75 / 3.9 | 79 / 4.3 | 0 | 6.4 | 0 |
| xfs | 0 | 0 | 0 | 0 / 0 | 0 / 0 | 0 | .81 | 3.2 %, multiples of 65536 |
| btrfs | .23 | 52 | 29 | 90 / 89 | 95 / 96 | 0 | 1.1 | 61 %, multiples of 4096 |
| FUSE, write-through | .002 | .28 | .11 | 8 / 2.3 | 20 / 29 | 2 | .03 | .02 % |
| FUSE, writeback | .7 | 53 | 47 | 78 / 76 | 90 / 92 | 52 | .03 | 61 % |`

const runs = (all: readonly MeasuredDesign[]): number =>
  all.reduce((n, m) => n + OBSERVERS.reduce((k, o) => k + m.cells[o].observations, 0), 0)

const designsPart = (all: readonly MeasuredDesign[]): string => `# Isolation, declared and measured

Who sees a write in part? Per design and observer the strongest unit (write, folio, page, none) that every look saw whole; beside it what
live file systems do. Written by \`npm run isolation -- --write\` (about two minutes of one core; same seed, same numbers); the live half
by \`npm run isolation -- --kernel ext4 --write\`, as root.

## The designs

Seed ${BUDGET.seed}, ${count(runs(all))} looks. One write meets one observer: 4 KiB, 4 KiB at 2048, 8 KiB, 32 KiB; folios of 4 and of
at most 16 KiB; over data that is dirty, clean, cold or mapped (i_size: an append, which in one shape begins 2 KiB before the end). Of each
scene every schedule with at most one departure from the straight one (two for 8 KiB in 4 KiB folios), then ${BUDGET.chance} by chance.
Copies yield every 2 KiB: a level of *none* is a tear there, inside a page. A level is what held in these runs, not a proof. Blocks are
4 KiB, on ext4; nothing fails and no copy is short.

- **read(2)** and **direct read** (O_DIRECT): one look a call, torn if it holds bytes of the write and older ones within one unit.
- **load**: a mapping is read 2 KiB after 2 KiB. Torn only if a later load sees something older than an earlier one did.
- **i_size**: fstat while an append runs. *folio*: sizes on the way lie at ends of folios.
- **two writers** of one range, each with an open file of its own: what stands when both have returned.
- **disk**: the blocks when a writeback pass beside the write returns.

A cell: the level, and how many looks saw a write in part. ≠ is not what was [expected](#where-it-differs-from-what-was-expected).
The last row is no design, but the knob \`readLock: 'shared'\`, with which read(2) takes the inode lock as XFS does.

${measuredTable(all)}

Runs that showed nothing, because a call failed: ${refusals(all)}.

*declared* is about read(2) alone. No design is weaker than it declares; where *none* is declared and more was measured, the design
could promise it, or these scenes are too few: invalidate-then-add loses stores and shows stale data elsewhere
([verdicts](verdicts.md)), and lock-all-folios mixes two writes when one of them is done again in parts (I20 there), which no scene
here brings about.

## By write and folio

A write at 2048 is copied in two steps that end where its page does, so that a tear inside a page does not show there.
A single cell has some hundred looks: *write* there may only say that a rare tear was not met, above all of the disk,
which needs two switches and a bio at the right moment.

${shapeTables(all)}

## One look of the weakest level

${examples(all)}

## Where it differs from what was expected

Expected was written down before the first run (properties/isolation-expected.ts):

${expectedTable()}

${deviations()}
`

const kernelPart = (all: readonly MeasuredDesign[], kernel: KernelDocument): string => `## Live file systems

${provenance(kernel)}. One writer, which alternates two letters, and two readers (two writers and a referee) on a file of a fresh,
loop-mounted file system. **Rates are those of a loaded machine and differ by a factor from run to run: only levels are compared.**
The probe cannot tell a folio from a page; where the model says *folio* and the kernel *page*, they agree. The weakest cell of each
observer:

${sideBySide(all, kernel)}

What the kernel has and the model has not:
- **The atom.** Readers of the page cache take no folio lock, and neither side copies in units: a tear is at a cache line, 64 bytes. The
  model yields every 2 KiB: same level, other places, and a write of 512 bytes, which tears in the kernel, is whole here.
- tmpfs has no direct I/O: O_DIRECT goes through the cache there, and its level is that of read(2), whatever the model says.
- **Folios of 1 MiB**, which make tears rare and i_size move once; the scenes here stop at 16 KiB.
- **How seldom.** A tear inside a page is one look in thousands in some cells; 1.5 s may miss it. Nor does the probe know whether two
  writers really met: they are started at once, and by the kernel's sources the inode lock is why none is torn.
What both have: a shared inode lock makes direct reads whole, and read(2) where it takes one (XFS).
Loads and fstat go past every lock, on XFS as in the model.

All cells: level, share of looks that were torn (i_size: that met a size on the way), and where the tears are, each at its largest
alignment:

${kernelTable(kernel)}

For comparison, per cent of looks that were torn, measured with a C program on Linux 6.18, one writer and two readers of 1.5 s:

${BY_C}
`

/** The page. */
export const isolationPage = (all: readonly MeasuredDesign[], kernel: KernelDocument): string =>
  `${designsPart(all)}\n${kernelPart(all, kernel)}`
