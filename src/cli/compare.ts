/**
 * perform-write compare: designs side by side on the same workloads, format, block and folio size.
 *
 * One factor changes at a time, the design. Contents are compared with the independent model, images shown to the judges
 * that this machine has, every claim of the quick pass checked under a fault at each site of each scene.
 */
import { Command } from 'commander'
import { Ledger, monoidLedger } from '../kernel/ledger.ts'
import { type Claim, CLAIMS } from '../lab/claims.ts'
import { type Fixed, groundDevice, type Kill, verdicts } from '../lab/fault-pass.ts'
import { play } from '../lab/play.ts'
import { scene, SCENES } from '../lab/scene.ts'
import { openWorkload } from '../lab/workload/registry.ts'
import {
  type Column, claimsTable, conclusion, costTable, failures, isMarked, judgeLines, undoTable, wallLines,
} from '../report/comparison.ts'
import { plural } from '../report/format.ts'
import { wrap } from '../report/table.ts'
import { dispute, strategies } from '../strategies/index.ts'
import { availableJudges, type Judged } from './court.ts'
import { EXIT, UsageError } from './errors.ts'
import type { Described, Evaluated, Setting } from './evaluate.ts'
import { formatNamed, parseBlockSize, parseOrder, parseWhole, writeJson } from './options.ts'
import { designFor, isFile } from './plugin.ts'
import { Hang, PATIENCE, runAll, runTask, type Task } from './pool.ts'
import { Progress } from './progress.ts'

const DEFAULT_WORKLOADS = ['sqlite-wal', 'append', 'random']
/** Bytes of the device that workloads run on. */
const DEVICE = 256 * 1024 * 1024

interface Options {
  readonly workload?: readonly string[]
  readonly fs: string
  readonly blockSize: number
  readonly folioOrder: number
  readonly seed: number
  readonly json?: string
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
  perform-write compare --block-size 1024 --folio-order 0    small blocks, single-page folios
  perform-write compare ./mine.ts --scene grow@3             one play of the fault pass, step by step

Exit: 0 every design keeps what it claims; 1 one does not; 2 usage; 3 this machine or an image stands in the way.
`

/** The command. */
export const compareCommand = (): Command =>
  new Command('compare')
    .description('designs side by side: claims under faults, counted cost, the cost of undo')
    .argument('[designs...]', 'names, "all", or files that export a Strategy as default; none: the five of 2010')
    .option('--workload <name|file>', 'a workload; may be given again (default: sqlite-wal, append, random)', oneMore)
    .option('--fs <format>', 'ext2 or ext4', 'ext4')
    .option('--block-size <bytes>', '1024, 2048 or 4096', parseBlockSize, 4096)
    .option('--folio-order <n>', 'the largest folio: 2^n pages, 0 to 9', parseOrder, 9)
    .option('--seed <n>', 'of generated workloads', parseWhole, 1)
    .option('--json <file>', 'also write the result to a file')
    .option('--no-judges', 'show no image to e2fsck and debugfs')
    .option('--patience <seconds>', 'how long a hook may take before it counts as an endless loop', parseWhole, PATIENCE)
    .option('--scene <name[@n][!]>', 'one play of the fault pass as a timeline: the n-th fault site fails (@n@m: both); ! from then on')
    .addHelpText('after', EXAMPLES)
    .action(async (designs: string[], options: Options) => {
      const { scene: one } = options
      process.exitCode = await (one === undefined ? compare(designs, options) : playScene(designs, options, one))
    })

/** Did the design break a claim that it does not disclaim, or a workload, or did it not come back? */
const isWrong = (c: Column): boolean =>
  c.broken !== null || c.verdicts.some((v) => v.status === 'fail') || c.runs.some((r) => r.problem !== null)

const oneMore = (value: string, all: readonly string[] = []): string[] => [...all, value]

/** The designs that are meant: all of them, those that are named, or those of the dispute. */
const designsOf = (given: readonly string[]): readonly string[] =>
  given.length === 0
    ? dispute.map((s) => s.name)
    : given.flatMap((name) => (name === 'all' ? strategies.map((s) => s.name) : [name]))

const fixedOf = (o: Options): Fixed => ({ format: formatNamed(o.fs), blockSize: o.blockSize, folioOrder: o.folioOrder })

/** The arguments that give these settings again, but for what is default. */
const argumentsOf = (o: Options): string =>
  [
    o.fs === 'ext4' ? '' : ` --fs ${o.fs}`, o.blockSize === 4096 ? '' : ` --block-size ${o.blockSize}`,
    o.folioOrder === 9 ? '' : ` --folio-order ${o.folioOrder}`, o.seed === 1 ? '' : ` --seed ${o.seed}`,
  ].join('')

/** Compare and print. @returns the exit code */
const compare = async (given: readonly string[], o: Options): Promise<number> => {
  const fixed = fixedOf(o)
  const workloads = o.workload ?? DEFAULT_WORKLOADS
  for (const w of workloads) openWorkload(w, o.seed)
  const designs = designsOf(given)
  const progress = new Progress('compare')
  const doing = new Map<string, string>()
  const say = (text: string): void => {
    const [name = '', what = ''] = text.split(/: (.*)/s)
    doing.set(name, what)
    progress.say([...doing].slice(-2).map(([n, d]) => `${n}: ${d}`).join(' | '))
  }
  await describeAll(designs, say, o.patience)
  const setting: Setting = { ...fixed, workloads, seed: o.seed, size: DEVICE, judges: o.judges }
  const evaluations = designs.map((design): Task => ({ kind: 'evaluate', design, setting }))
  const [self, ...results] = await runAll([{ kind: 'self-test', fixed }, ...evaluations], say, o.patience)
  progress.done()
  if (self!.status === 'rejected') throw self!.reason
  const kills = self!.value as Kill[]
  const evaluated = results.map((r, i) => ({ design: designs[i]!, ...outcomeOf(r) }))
  const columns = evaluated.map((e) => columnOf(e.design, e, kills, argumentsOf(o)))
  const missing = o.judges ? (await availableJudges()).missing : ['--no-judges: no image was shown to anybody']
  print(o, workloads, columns, kills, evaluated.flatMap((e) => e.value?.judged ?? []), missing)
  if (o.json !== undefined) writeJson(o.json, jsonOf(o, workloads, columns, kills, evaluated))
  const refused = evaluated.some((e) => e.value?.judged.some((j) => j.refused.length > 0) === true)
  return columns.some(isWrong) || refused ? EXIT.failed : EXIT.pass
}

/** Look at every file before any work is done. @throws UsageError for the first that will not do, or a second name */
const describeAll = async (
  designs: readonly string[], say: (doing: string) => void, patience: number,
): Promise<void> => {
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
}

/** An evaluated design, or why there is none. */
interface Outcome {
  readonly value: Evaluated | null
  readonly broken: string | null
}

const outcomeOf = (r: PromiseSettledResult<unknown>): Outcome => {
  if (r.status === 'fulfilled') return { value: r.value as Evaluated, broken: null }
  if (r.reason instanceof Hang) return { value: null, broken: r.reason.message }
  throw r.reason
}

const columnOf = (argument: string, { value: e, broken }: Outcome, kills: readonly Kill[], settings: string): Column => {
  const replay = argument + settings
  if (e === null) return { name: argument, replay, verdicts: [], pass: null, runs: [], broken }
  const declared = (c: Claim): boolean => c.declared?.(e.design as never) ?? false
  const { design: { name }, pass, runs } = e
  return { name, replay, verdicts: verdicts(pass, kills, declared), pass, runs, broken }
}

const print = (
  o: Options, workloads: readonly string[], columns: readonly Column[], kills: readonly Kill[], judged: readonly Judged[],
  missing: readonly string[],
): void => {
  const out = (text: string): void => void (text !== '' && process.stdout.write(`${text}\n`))
  const ground = `${o.fs}, ${o.blockSize}-byte blocks, folios of up to ${4 << o.folioOrder} KiB, seed ${o.seed}`
  out(`${plural(columns.length, 'design')} on ${ground}: only the design changes.\n${wrap(
    `${SCENES.length} scenes, each write once with no fault and once for every fault site that it reaches. ` +
      'Contents of all files are compared with an independent model.')}\n`)
  out(claimsTable(columns, kills))
  for (const w of workloads) out(costTable(w, columns))
  out(undoTable(columns))
  if (columns.some(isMarked)) {
    out('* this design broke a claim: what a wrong design saves is not a result.\n')
  }
  out(wallLines(workloads, columns))
  out(failures(columns))
  out(judgeLines(mergeJudged(judged)) + missing.map((m) => `not judged by ${m}\n`).join('') + conclusion(columns))
}

const mergeJudged = (all: readonly Judged[]): Judged[] => {
  const names = [...new Set(all.map((j) => j.judge))].sort()
  return names.map((judge) => {
    const theirs = all.filter((j) => j.judge === judge)
    return { judge, images: theirs.reduce((n, j) => n + j.images, 0), refused: theirs.flatMap((j) => j.refused) }
  })
}

const jsonOf = (
  o: Options, workloads: readonly string[], columns: readonly Column[], kills: readonly Kill[],
  evaluated: readonly { readonly value: Evaluated | null }[],
): Readonly<Record<string, unknown>> => ({
  command: 'compare', fs: o.fs, blockSize: o.blockSize, folioOrder: o.folioOrder, seed: o.seed, workloads,
  designs: columns.map((c, i) => ({
    name: c.name, broken: c.broken, verdicts: c.verdicts, plays: c.pass?.plays ?? 0, faulted: c.pass?.faulted ?? 0,
    failedWrites: c.pass?.failedWrites ?? 0, undo: c.pass?.undo ?? new Ledger(), counterexamples: c.pass?.broken ?? {},
    runs: c.runs, judges: evaluated[i]!.value?.judged ?? [],
  })),
  claims: CLAIMS.map(({ id, family, sentence, elsewhere }) =>
    ({ id, family, sentence, ...(elsewhere !== undefined && { untested: elsewhere }) })),
  mutants: kills,
  total: columns.map((c) => c.pass?.total ?? new Ledger()).reduce(monoidLedger.concat, new Ledger()),
})

// --- one play --------------------------------------------------------------------------------------------------------

/** Play one scene and print what happened. @returns the exit code */
const playScene = async (designs: readonly string[], o: Options, spec: string): Promise<number> => {
  const [, name = '', at = '', sticky] = /^([a-z-]+)((?:@\d+)*)(!)?$/.exec(spec) ?? []
  const found = scene(name)
  if (found === undefined) {
    const known = SCENES.map((s) => s.name).join(', ')
    throw new UsageError(`--scene ${spec}: no such scene; known are ${known}; add @N for the N-th fault site`)
  }
  const fixed = fixedOf(o)
  let code: number = EXIT.pass
  for (const design of designsOf(designs)) {
    const strategy = await designFor(design)
    const fail = at.split('@').slice(1).map(Number)
    const plan = { fail, sticky: sticky === '!' }
    const p = play(found, { strategy, device: groundDevice(fixed), maxFolioOrder: fixed.folioOrder }, plan)
    process.stdout.write(`${strategy.name}, scene ${found.name}: ${found.from}\n`)
    p.timeline.forEach((line, i) => process.stdout.write(`${wrap(`${String(i + 1).padStart(4)}  ${line}`, 6)}\n`))
    const missed = fail.filter((n) => n >= p.reached.length).join(' and ')
    if (missed !== '') process.stdout.write(`      fault site ${missed} was not reached\n`)
    process.stdout.write(`      fault sites: ${p.reached.map((site, i) => `${i} ${site}`).join(', ') || 'none'}\n\n`)
    const broken = p.findings.filter((f) => CLAIMS.find((c) => c.id === f.claim)?.declared?.(strategy) !== true)
    if (broken.length > 0) code = EXIT.failed
  }
  return code
}
