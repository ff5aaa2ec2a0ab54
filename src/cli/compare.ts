/**
 * perform-write compare: designs side by side on the same workloads, formats, block and folio sizes and sources.
 *
 * One factor changes at a time. Contents are compared with the independent model, images shown to the judges that this machine
 * has, every claim of the quick pass checked under a fault at each site of each scene. Counts are exact; wall time is taken
 * afterwards, in paired rounds, while nothing else of ours runs.
 */
import { Command } from 'commander'
import type { Fixed, Kill } from '../lab/fault-pass.ts'
import { openWorkload } from '../lab/workload/registry.ts'
import { SOURCES, type SourceName } from '../lab/write-source.ts'
import { changes } from '../report/changes.ts'
import { manifestOf } from '../report/manifest.ts'
import { type Column, type Race, type Racer, sameGround } from '../report/document.ts'
import { dispute, strategies } from '../strategies/index.ts'
import { mustShare, readBaseline } from './baseline.ts'
import { columnOf, comparisonOf, groundOf, type Evaluation, type Plan } from './comparison.ts'
import { availableJudges } from './court.ts'
import { EXIT, UsageError } from './errors.ts'
import type { Described, Evaluated } from './evaluate.ts'
import { addExportOptions, type ExportOptions, writeExports } from './exports.ts'
import { formatNamed, parseBlockSize, parseOrder, parseWhole } from './options.ts'
import { playScene } from './play-scene.ts'
import { designFor, isFile } from './plugin.ts'
import { Hang, PATIENCE, runAll, runTask, type Task } from './pool.ts'
import { printComparison } from './print-comparison.ts'
import { Progress } from './progress.ts'
import { toolVersion } from './version.ts'

const DEFAULT_WORKLOADS = ['sqlite-wal', 'append', 'random']
/** Bytes of the device that workloads run on. */
const DEVICE = 256 * 1024 * 1024
/** Paired rounds of wall time. */
const ROUNDS = 7

interface Options extends ExportOptions {
  readonly workload?: readonly string[]
  readonly source?: readonly SourceName[]
  readonly fs?: readonly string[]
  readonly blockSize?: readonly number[]
  readonly folioOrder?: readonly number[]
  readonly baseline?: string
  readonly against?: string
  readonly rounds: number
  readonly seed: number
  readonly judges: boolean
  readonly scene?: string
  readonly patience: number
}

const EXAMPLES = `
Examples:
  perform-write compare                                      the five designs of the dispute of 2010, three workloads
  perform-write compare all                                  every design that comes along; takes minutes
  perform-write compare get-block ./mine.ts                  one of them and your own
  perform-write compare --workload git-clone --fs ext2       another workload, another format
  perform-write compare --block-size 1024 --block-size 4096 --folio-order 0 --folio-order 9    four grounds, one after the other
  perform-write compare --source user --source writev --source mmap     where the bytes come from
  perform-write compare ./mine.ts get-block --baseline get-block --save before.json     a baseline, then
  perform-write compare ./mine.ts get-block --baseline get-block --against before.json  what has changed since
  perform-write compare all --html page.html --latex tables.tex --csv all.csv           for readers
  perform-write compare ./mine.ts --scene grow@3             one play of the fault pass, step by step

Counts are exact: any difference from --against is a change, and exit 1. Wall time is JavaScript's: its intervals are compared,
and never decide the exit code. Costs of a design that broke a claim carry a *.

Exit: 0 every design keeps what it claims; 1 one does not, or a count is not that of --against; 2 usage; 3 this machine or an
image stands in the way.
`

/** The command. */
export const compareCommand = (): Command => {
  const command = new Command('compare')
    .description('designs side by side: claims under faults, counted cost, the cost of undo, wall time')
    .argument('[designs...]', 'names, "all", or files that export a Strategy as default; none: the five of 2010')
    .option('--workload <name|file>', 'a workload; may be given again (default: sqlite-wal, append, random)', oneMore(String))
    .option('--source <name>', `${Object.keys(SOURCES).join(', ')}: where a write's bytes come from; may be given again (default: user)`,
      oneMore(sourceNamed))
    .option('--fs <format>', 'ext2 or ext4; may be given again (default: ext4)', oneMore(String))
    .option('--block-size <bytes>', '1024, 2048 or 4096; may be given again (default: 4096)', oneMore(parseBlockSize))
    .option('--folio-order <n>', 'the largest folio: 2^n pages, 0 to 9; may be given again (default: 9)', oneMore(parseOrder))
    .option('--baseline <design>', 'the design that wall times are compared with (default: the first)')
    .option('--rounds <n>', 'paired rounds of wall time; 0: none', parseWhole, ROUNDS)
    .option('--seed <n>', 'of generated workloads', parseWhole, 1)
    .option('--against <file>', 'compare with a result that --save wrote: counts exactly, wall time by its intervals')
  return addExportOptions(command)
    .option('--no-judges', 'show no image to e2fsck and debugfs')
    .option('--patience <seconds>', 'how long a hook may take before it counts as an endless loop', parseWhole, PATIENCE)
    .option('--scene <name[@n][!]>', 'one play of the fault pass as a timeline: the n-th fault site fails (@n@m: both); ! from then on')
    .addHelpText('after', EXAMPLES)
    .action(async (designs: string[], options: Options) => {
      const { scene: one } = options
      process.exitCode = await (one === undefined ? compare(designs, options) : playScene(designsOf(designs), groundsOf(options), one))
    })
}

/** A parser of an option that may be given again. */
const oneMore = <T>(parse: (text: string) => T) => (value: string, all: readonly T[] = []): T[] => [...all, parse(value)]

const sourceNamed = (name: string): SourceName => {
  if (Object.hasOwn(SOURCES, name)) return name as SourceName
  throw new UsageError(`--source ${name}: no such source; known are ${Object.keys(SOURCES).join(', ')}`)
}

/** The designs that are meant: all of them, those that are named, or those of the dispute. */
const designsOf = (given: readonly string[]): readonly string[] =>
  given.length === 0
    ? dispute.map((s) => s.name)
    : given.flatMap((name) => (name === 'all' ? strategies.map((s) => s.name) : [name]))

/** Each once, in the order given. */
const unique = <T>(all: readonly T[]): readonly T[] => [...new Set(all)]

const groundsOf = (o: Options): readonly Fixed[] =>
  unique(o.fs ?? ['ext4']).map(formatNamed).flatMap((format) =>
    unique(o.blockSize ?? [4096]).flatMap((blockSize) =>
      unique(o.folioOrder ?? [9]).map((folioOrder) => ({ format, blockSize, folioOrder }))))

/** Did the design break a claim that it does not disclaim, or a workload, or did it not come back? */
const isWrong = (c: Column): boolean =>
  c.broken !== null || c.verdicts.some((v) => v.status === 'fail') || c.runs.some((r) => r.problem !== null) ||
  c.judges.some((j) => j.refused.length > 0)

/** Compare, print, write what was asked for. @returns the exit code */
const compare = async (given: readonly string[], o: Options): Promise<number> => {
  const plan: Plan = {
    grounds: groundsOf(o), workloads: unique(o.workload ?? DEFAULT_WORKLOADS), sources: unique(o.source ?? ['user']),
    seed: o.seed, size: DEVICE, judges: o.judges, rounds: o.rounds,
  }
  for (const w of plan.workloads) openWorkload(w, o.seed)
  const before = o.against === undefined ? null : readBaseline(o.against)
  const progress = new Progress('compare')
  const say = sayTwo(progress)
  const named = await describeAll(designsOf(given), say, o.patience)
  if (before !== null) mustShare(o.against!, before, [...named.keys()], plan.grounds.map(groundOf))
  const plugins = Object.fromEntries([...named].filter(([, argument]) => isFile(argument)))
  const manifest = manifestOf({ version: toolVersion(), command: commandLine(), seed: o.seed, workloads: plan.workloads, plugins })
  const baseline = baselineOf(named, o.baseline)
  const evaluations = await evaluateAll(named, plan, say, o.patience)
  const columns = evaluations.flatMap(({ fixed, kills, results }) => results.map((r) => columnOf(r, fixed, kills, o.seed)))
  const wall = await raceAll(named, baseline, columns, plan, say, o.patience)
  progress.done()
  const result = comparisonOf({ plan, manifest, baseline, evaluations, columns, wall })
  const since = before === null ? null : changes(before, result)
  printComparison(result, await missingJudges(o.judges), since)
  await writeExports(result, o)
  return columns.some(isWrong) || (since?.counts.length ?? 0) > 0 ? EXIT.failed : EXIT.pass
}

const missingJudges = async (judges: boolean): Promise<readonly string[]> =>
  judges ? (await availableJudges()).missing : ['--no-judges: no image was shown to anybody']

/** As it was typed, without the path of the program. */
const commandLine = (): string => ['perform-write', ...process.argv.slice(2)].join(' ')

/** Progress of what the last two workers said. */
const sayTwo = (progress: Progress): ((text: string) => void) => {
  const doing = new Map<string, string>()
  return (text) => {
    const [name = '', what = ''] = text.split(/: (.*)/s)
    doing.set(name, what)
    progress.say([...doing].slice(-2).map(([n, d]) => `${n}: ${d}`).join(' | '))
  }
}

/** Look at every file before any work is done. @returns name to argument @throws UsageError for the first that will not do */
const describeAll = async (
  designs: readonly string[], say: (doing: string) => void, patience: number,
): Promise<ReadonlyMap<string, string>> => {
  const names = new Map<string, string>()
  for (const design of designs) {
    const { name } = isFile(design)
      ? ((await runTask({ kind: 'describe', design }, say, patience).catch((e: unknown) => {
          throw e instanceof Hang ? new UsageError(`${design}: ${e.message}, while the file was loaded`) : e
        })) as Described)
      : await designFor(design)
    const other = names.get(name)
    if (other !== undefined) {
      throw new UsageError(`${design}: the name "${name}" is given twice (${other}); every design needs its own`)
    }
    names.set(name, design)
  }
  return names
}

/** The name of the baseline. @throws UsageError if it is not among the designs */
const baselineOf = (named: ReadonlyMap<string, string>, given: string | undefined): string => {
  const names = [...named.keys()]
  if (given === undefined) return names[0]!
  const found = names.find((name) => name === given || named.get(name) === given)
  if (found === undefined) throw new UsageError(`--baseline ${given}: is not compared here; give one of ${names.join(', ')}`)
  return found
}

/** Every design on every ground, and the self-test of the fault pass there. */
const evaluateAll = async (
  named: ReadonlyMap<string, string>, plan: Plan, say: (doing: string) => void, patience: number,
): Promise<readonly Evaluation[]> => {
  const tasks = plan.grounds.flatMap((fixed): Task[] => [
    { kind: 'self-test', fixed },
    ...[...named.values()].map((design): Task => ({ kind: 'evaluate', design, setting: { ...plan, ...fixed } })),
  ])
  const answers = await runAll(tasks, say, patience)
  return plan.grounds.map((fixed, g): Evaluation => {
    const [self, ...rest] = answers.slice(g * (named.size + 1), (g + 1) * (named.size + 1))
    if (self!.status === 'rejected') throw self!.reason
    const results = [...named].map(([name, argument], i) => ({ name, argument, ...outcomeOf(rest[i]!) }))
    return { fixed, kills: self!.value as Kill[], results }
  })
}

const outcomeOf = (r: PromiseSettledResult<unknown>): { value: Evaluated | null; broken: string | null } => {
  if (r.status === 'fulfilled') return { value: r.value as Evaluated, broken: null }
  if (r.reason instanceof Hang) return { value: null, broken: r.reason.message }
  throw r.reason
}

/** Wall time of what ran without a problem, one race at a time: two would disturb each other. */
const raceAll = async (
  named: ReadonlyMap<string, string>, baseline: string, columns: readonly Column[], plan: Plan,
  say: (doing: string) => void, patience: number,
): Promise<readonly Race[]> => {
  if (plan.rounds === 0) return []
  const races: Race[] = []
  const tasks: Task[] = []
  for (const { format, ...fixed } of plan.grounds) {
    for (const workload of plan.workloads) {
      for (const source of plan.sources) {
        const ran = (c: Column): boolean => c.runs.some((r) => r.workload === workload && r.source === source && r.problem === null)
        const fine = columns.filter((c) => sameGround(c, { ...fixed, fs: format }) && ran(c)).map((c) => c.name)
        if (!fine.includes(baseline)) continue
        const designs = [baseline, ...fine.filter((name) => name !== baseline)].map((name) => named.get(name)!)
        tasks.push({ kind: 'race', designs, setting: { ...plan, ...fixed, format, workload, source } })
        races.push({ fs: format, ...fixed, workload, source, baseline, rounds: plan.rounds, racers: [] })
      }
    }
  }
  const answers = await runAll(tasks, say, patience, 1)
  return answers.flatMap((a, i): readonly Race[] => {
    if (a.status === 'fulfilled') return [{ ...races[i]!, racers: a.value as Racer[] }]
    // Times decide nothing: a design that loops only where nobody watches it has none.
    if (a.reason instanceof Hang) return []
    throw a.reason
  })
}
