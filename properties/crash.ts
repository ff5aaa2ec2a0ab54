/**
 * npm run crash: every design in every mode, and the power goes.
 *
 *   npm run crash [-- --budget smoke|ci|deep] [--only DESIGN]... [--json FILE]
 *
 * For each design and each mode of crash (ext2, ext4 without a journal, ordered, writeback, journalled): the crash states of two
 * workloads and of concurrent calls by our own judge, then some of them by the kernel and by e2fsck where this machine has them.
 * `deep`: at least 10,000 distinct states of each design by ours and 2,000 by the kernel. Exit code: 0 nothing broken; 1 something is.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { crash, type CrashReport, crashWith, type ImageJudge } from '../src/lab/crash/crash.ts'
import { CRASH_MODES, type CrashMode } from '../src/lab/crash/declared.ts'
import { crashPrograms, recordRun, type RunOptions } from '../src/lab/crash/run.ts'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import type { CrashCounterexample } from '../src/lab/crash/shrink.ts'
import { openWorkload } from '../src/lab/workload/registry.ts'
import { CrashKernelJudge } from '../src/oracle/crash-kernel.ts'
import { FsckJudge } from '../src/oracle/crash-fsck.ts'
import { strategies } from '../src/strategies/index.ts'
import { type Design, expected } from './claims/expected.ts'

/**
 * Of each design and mode: workloads, states of each by ours, runs of concurrent programs, states by the kernel and by e2fsck. `least`:
 * states of one design by the kernel, over all modes; where there are fewer different ones, the second workload makes up for it.
 */
export const CRASH_BUDGETS = {
  smoke: { workloads: ['append'], states: 150, runs: 6, kernel: 0, fsck: 0, least: 0 },
  ci: { workloads: ['append', 'mixed'], states: 1500, runs: 60, kernel: 40, fsck: 0, least: 0 },
  deep: { workloads: ['append', 'mixed'], states: 6000, runs: 500, kernel: 700, fsck: 100, least: 2000 },
} as const

/** The first few states of a workload know no promises yet. */
const FEWEST = 100

/** What became of one design in one mode. */
export interface Crashed {
  readonly strategy: string
  readonly mode: CrashMode
  readonly judge: string
  readonly workload: string
  readonly states: number
  readonly promises: number
  /** Violations that the mode does not declare. */
  readonly broken: readonly string[]
  /** Those that are expected of the design. The search ended there. */
  readonly known: readonly string[]
}

/** A store through a mapping that the design loses without any crash (I23) no sync can promise either. */
const isExpected = ({ claim, scenario }: CrashCounterexample, design: string): boolean =>
  claim === 'I28' && expected(design as Design, 'I23').status === 'fail' &&
  (scenario.program?.fibers.some((f) => f.some((a) => a.op === 'store')) ?? false)

const rowOf = (strategy: string, mode: CrashMode, judge: string, workload: string, r: CrashReport): Crashed => ({
  strategy, mode, judge, workload, states: r.states, promises: r.promises,
  broken: [
    ...r.broken.filter((b) => !b.declared).map((b) => `${b.claim}: ${b.what}`),
    ...(r.promises < r.states ? [`${r.promises} promises in ${r.states} states`] : []),
  ],
  known: [],
})

const options = (strategy: AnyStrategy, mode: CrashMode, states: number): RunOptions =>
  ({ strategy, mode, states, seed: 1, torn: false, flushes: true, tries: 100 })

/** By our own judge: workloads and concurrent programs. */
export const crashByOurs = (
  strategy: AnyStrategy, mode: CrashMode,
  { workloads, states, runs }: { readonly workloads: readonly string[]; readonly states: number; readonly runs: number },
): Crashed[] => {
  const rows = workloads.map((workload) => {
    const recording = recordRun(options(strategy, mode, states), [...openWorkload(workload).operations])
    return rowOf(strategy.name, mode, 'ours', workload, crash(recording, { states, seed: 1 }))
  })
  const { states: seen, promises, shrunk } = crashPrograms(options(strategy, mode, 300), runs)
  const say = (those: readonly CrashCounterexample[]): string[] =>
    those.map((c) => `${c.claim}: ${c.what}: ${JSON.stringify(c.scenario.program)}`)
  const known = shrunk.filter((c) => isExpected(c, strategy.name))
  return [...rows, {
    strategy: strategy.name, mode, judge: 'ours', workload: 'concurrent', states: seen, promises,
    broken: say(shrunk.filter((c) => !known.includes(c))), known: say(known),
  }]
}

const hasJournal = (mode: CrashMode): boolean => mode.includes('data=')

/** Promises are asked of what has a name: without a journal only the second workload makes some durable, with fsync of directories. */
const workloadFor = (mode: CrashMode, judge: 'kernel' | 'fsck'): string =>
  judge === 'kernel' && !hasJournal(mode) ? 'mixed' : 'append'

/** By a judge of images. */
export const crashByImages = async (
  strategy: AnyStrategy, mode: CrashMode, judge: 'kernel' | 'fsck', states: number, workload = workloadFor(mode, judge),
): Promise<Crashed> => {
  const recording = recordRun(options(strategy, mode, states), [...openWorkload(workload).operations])
  const made: ImageJudge & { close(): void } = judge === 'kernel' ? new CrashKernelJudge(recording) : new FsckJudge(recording)
  try {
    return rowOf(strategy.name, mode, judge, workload, await crashWith(recording, made, { states, seed: 1 }))
  } finally {
    made.close()
  }
}

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: { budget: { type: 'string', default: 'ci' }, only: { type: 'string', multiple: true }, json: { type: 'string' } },
  })
  const budget = CRASH_BUDGETS[values.budget as keyof typeof CRASH_BUDGETS]
  const chosen = strategies.filter((s) => values.only === undefined || values.only.includes(s.name))
  if (budget === undefined || chosen.length === 0) {
    process.stderr.write('crash: --budget takes smoke, ci or deep; --only takes designs as perform-write list names them\n')
    return 2
  }
  const rows: Crashed[] = []
  const say = (row: Crashed): void => {
    rows.push(row)
    const known = row.known.length === 0 ? 'nothing broken' : `as expected of the design (I23), and ended there: ${row.known.join('; ')}`
    const end = row.broken.length === 0 ? known : `BROKEN: ${row.broken.join('; ')}`
    const what = `${row.strategy}, ${row.mode}, ${row.workload}, ${row.judge}`
    process.stdout.write(`${what}: ${row.states} states, ${row.promises} promises, ${end}\n`)
  }
  const images = ([['kernel', CrashKernelJudge.available()], ['fsck', FsckJudge.available()]] as const).filter(([name, can]) => {
    if (!can.ok) process.stdout.write(`${name}: not here: ${can.why}\n`)
    return can.ok
  })
  for (const strategy of chosen) {
    for (const mode of CRASH_MODES) {
      for (const row of crashByOurs(strategy, mode, budget)) say(row)
      for (const [judge] of images) if (budget[judge] > 0) say(await crashByImages(strategy, mode, judge, budget[judge]))
    }
    const of = (judge: string): number =>
      rows.filter((r) => r.strategy === strategy.name && r.judge === judge).reduce((n, r) => n + r.states, 0)
    for (const mode of images.some(([judge]) => judge === 'kernel') ? CRASH_MODES.filter(hasJournal) : []) {
      const missing = budget.least - of('kernel')
      if (missing > 0) say(await crashByImages(strategy, mode, 'kernel', Math.max(missing, FEWEST), 'mixed'))
    }
    process.stdout.write(`${strategy.name}: ${of('ours')} states by ours, ${of('kernel')} by the kernel, ${of('fsck')} by e2fsck\n`)
  }
  const result = { schema: 1, tool: 'perform-write', command: 'crash', rows }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)
  return rows.some((r) => r.broken.length > 0) ? 1 : 0
}

if (import.meta.main) process.exitCode = await main()
