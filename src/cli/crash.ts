/**
 * perform-write crash: a workload through a design, and every state in which a power cut may leave the disk.
 *
 * By our own recovery and check in process, by e2fsck, or by the kernel that mounts each state unrepaired. A violation is made small,
 * printed with what survived and what did not, and written to a file that `replay` takes; `--export` writes the crash image itself.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import type { MemoryDevice } from '../block/memory-device.ts'
import { ImageDevice } from '../block/image-device.ts'
import { Bio } from '../block/bio.ts'
import { PageVec } from '../kernel/page-vec.ts'
import { type CrashReport, crashWith, type ImageJudge } from '../lab/crash/crash.ts'
import { type CrashFile, isCrashFile, parseCrash, printCrash } from '../lab/crash/counterexample.ts'
import { CRASH_MODES, type CrashMode, declared } from '../lab/crash/declared.ts'
import { pictureOf } from '../lab/crash/picture.ts'
import { type Recording, sizeProblem } from '../lab/crash/record.ts'
import {
  CRASH_BYTES, CRASH_CLAIMS, crashPrograms, crashWorkload, recordRun, type RunOptions, scenarioOf, smallest,
} from '../lab/crash/run.ts'
import { decodeState, imageOf, judgeState, recordScenario } from '../lab/crash/scenario.ts'
import type { CrashCounterexample } from '../lab/crash/shrink.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { openWorkload } from '../lab/workload/registry.ts'
import { FsckJudge } from '../oracle/crash-fsck.ts'
import { CrashKernelJudge } from '../oracle/crash-kernel.ts'
import { FFI_ARGS } from '../host/availability.ts'
import { count } from '../report/format.ts'
import { paint, table, wrap } from '../report/table.ts'
import { argumentOf, designOf, nameOf } from './counterexamples.ts'
import { EXIT, InfrastructureError, UsageError } from './errors.ts'
import { parseBlockSize, parseSize, parseWhole, writeJson } from './options.ts'
import { designFor } from './plugin.ts'
import { Progress } from './progress.ts'
import { toolVersion } from './version.ts'

const JUDGES = ['ours', 'fsck', 'kernel'] as const

interface Options {
  readonly strategy: string
  readonly fs: string
  readonly workload: string
  readonly judge: (typeof JUDGES)[number]
  readonly states?: number
  readonly torn?: boolean
  readonly seed: number
  readonly size: number
  readonly blockSize: number
  readonly ignoreFlushes?: boolean
  readonly json?: string
  readonly save?: string
  readonly export?: string
}

/** The workload that is no workload: fibers at once. */
const CONCURRENT = 'concurrent'
/** States by default, by judge; runs of concurrent programs. */
const STATES = { ours: 10_000, fsck: 500, kernel: 1000 } as const
const RUN_STATES = 300

const EXAMPLES = `
Examples:
  perform-write crash --strategy reserve-allocate --fs ext4 --workload sqlite-wal
  perform-write crash --strategy reserve-allocate --fs ext4,data=writeback --workload append --judge kernel
  perform-write crash --strategy ./mine.ts --fs ext2 --workload mixed --torn --json crash.json
  perform-write crash --strategy get-block --fs ext4 --workload ${CONCURRENT}         fibers at once, and the power goes among them
  perform-write crash --strategy get-block --fs ext4 --workload seq --ignore-flushes  a drive that lies: this must be found

Exit: 0 no state breaks what was promised; 1 one does, or nothing was promised; 2 usage; 3 this machine stands in the way.
`

/** The command. */
export const crashCommand = (): Command =>
  new Command('crash')
    .description('a workload through a design, and every state in which a power cut may leave the disk')
    .requiredOption('--strategy <name|file>', 'the design')
    .option('--fs <mode>', `${CRASH_MODES.join(', ')}; ext4 is ext4,data=ordered`, 'ext4')
    .requiredOption('--workload <name|file>', `what runs before the power goes, or ${CONCURRENT}: small programs of two fibers`)
    .addOption(new Option('--judge <judge>', 'who judges the states').choices(JUDGES).default('ours'))
    .option('--states <n>', `most states, about; ${JUDGES.map((j) => `${j} ${STATES[j]}`).join(', ')}`, parseWhole)
    .option('--torn', 'one block may also be torn between two sectors')
    .option('--seed <n>', 'of a generated workload, and of what is drawn', parseWhole, 1)
    .option('--size <bytes>', 'of the device', parseSize, CRASH_BYTES)
    .option('--block-size <bytes>', '1024, 2048 or 4096', parseBlockSize, 4096)
    .option('--ignore-flushes', 'the drive says that it has flushed, and has not: a control')
    .option('--json <file>', 'also write the result, with counterexamples, to a file')
    .option('--save <file>', 'write the first counterexample to a file of its own, for perform-write replay')
    .option('--export <image>', 'write the crash image of the first counterexample, unrepaired')
    .addHelpText('after', EXAMPLES)
    .action(async (o: Options) => void (process.exitCode = await runCrash(o)))

/** @throws UsageError that lists the modes */
const modeNamed = (name: string): CrashMode => {
  const found = CRASH_MODES.find((m) => m === (name === 'ext4' ? 'ext4,data=ordered' : name))
  if (found === undefined) throw new UsageError(`no file system or mode is named "${name}"; known are ext4, ${CRASH_MODES.join(', ')}`)
  return found
}

const runCrash = async (o: Options): Promise<number> => {
  const mode = modeNamed(o.fs)
  const strategy = await designFor(o.strategy)
  if (o.judge !== 'ours' && o.workload === CONCURRENT) throw new UsageError(`--workload ${CONCURRENT}: is judged by --judge ours only`)
  if (o.size % o.blockSize !== 0) throw new UsageError(`--size ${o.size}: give a multiple of the block size, ${o.blockSize}`)
  const problem = o.workload === CONCURRENT ? null : sizeProblem(mode, o.size, o.blockSize)
  if (problem !== null) throw new UsageError(`--size ${o.size}: ${problem}`)
  const progress = new Progress('crash')
  const options: RunOptions = {
    strategy, mode, size: o.size, blockSize: o.blockSize, seed: o.seed, torn: o.torn ?? false, flushes: o.ignoreFlushes !== true,
    states: o.states ?? (o.workload === CONCURRENT ? RUN_STATES : STATES[o.judge]),
    beat: (n, epoch) => progress.say(`${count(n)} states, epoch ${epoch}`),
  }
  if (o.workload === CONCURRENT) return concurrent(o, options, progress)
  const operations = [...openWorkload(o.workload, o.seed).operations]
  if (o.judge === 'ours') {
    const start = performance.now()
    const { recording, report, shrunk } = crashWorkload(options, operations)
    progress.done()
    return finish(o, options, recording, report, shrunk, performance.now() - start)
  }
  const judged = await byImages(o, options, operations, progress)
  return judged === null ? EXIT.infrastructure : finish(o, options, judged.recording, judged.report, judged.shrunk, judged.ms)
}

/** @throws InfrastructureError if the judge is not available */
const byImages = async (
  o: Options, options: RunOptions, operations: readonly Parameters<typeof recordRun>[1][number][], progress: Progress,
): Promise<{ recording: Recording; report: CrashReport; shrunk: readonly CrashCounterexample[]; ms: number } | null> => {
  const Judge = o.judge === 'fsck' ? FsckJudge : CrashKernelJudge
  const can = Judge.available()
  if (!can.ok) {
    const instead = can.why.includes('node:ffi') ? `; or start node with ${FFI_ARGS.join(' ')}` : ''
    throw new InfrastructureError(`--judge ${o.judge}: ${can.why}${instead}`)
  }
  const recording = recordRun(options, operations)
  const judge: ImageJudge & { close(): void } = new Judge(recording)
  const start = performance.now()
  try {
    const { states, seed, torn, flushes } = options
    const report = await crashWith(recording, judge, { states, seed, torn, flushes, ...(options.beat && { beat: options.beat }) })
    const ms = performance.now() - start
    const shrunk = report.broken.filter((b) => !b.declared).map((b) => smallest(options, b, scenarioOf(options, operations), recording))
    return { recording, report, shrunk, ms }
  } finally {
    progress.done()
    judge.close()
  }
}

const concurrent = (o: Options, options: RunOptions, progress: Progress): number => {
  const runs = o.states === undefined ? 1500 : Math.max(1, Math.ceil(o.states / 60))
  const start = performance.now()
  const done = crashPrograms({ ...options, states: RUN_STATES }, runs, (n) => progress.say(`${count(n)} of ${count(runs)} runs`))
  progress.done()
  const out = (text: string): void => void process.stdout.write(`${text}\n`)
  out(`${CONCURRENT} through ${o.strategy} on ${options.mode}, ${count(done.runs)} runs of programs of two fibers`)
  out(`${count(done.states)} states, ${count(done.promises)} promises, ${((performance.now() - start) / 1000).toFixed(1)} s`)
  const files = done.shrunk.map((c) => fileOf(o, options, c))
  show(o, options.strategy, files)
  const { shrunk: _, ...numbers } = done
  if (o.json !== undefined) writeJson(o.json, { command: 'crash', ...asked(o, options), ...numbers, counterexamples: files })
  if (files.length === 0) out(`${paint('green', '✓')} no state breaks what was promised`)
  return files.length > 0 || done.promises < done.states ? EXIT.failed : EXIT.pass
}

const asked = (o: Options, { mode, states, seed, torn, flushes }: RunOptions) =>
  ({ strategy: o.strategy, mode, workload: o.workload, judge: o.judge, seed, torn, flushes, most: states })

const finish = (
  o: Options, options: RunOptions, recording: Recording, report: CrashReport, shrunk: readonly CrashCounterexample[], ms: number,
): number => {
  const out = (text: string): void => void process.stdout.write(`${text}\n`)
  const files = shrunk.map((c) => fileOf(o, options, c))
  out(`${o.workload} through ${o.strategy} on ${options.mode}, judged by ${o.judge === 'ours' ? 'our own recovery and check' : o.judge}`)
  out(`${count(recording.operations)} operations, ${count(recording.log.length)} entries of the device's log, ${report.epochs} epochs`)
  out(certificate(report, ms))
  out(promisesTable(report))
  for (const b of report.broken) {
    if (b.declared) out(wrap(`· ${b.claim}, declared, in ${count(b.states)} states: ${b.what}`, 2))
  }
  if (report.broken.some((b) => b.declared)) out(wrap(`· ${options.mode} declares it: ${declared[options.mode].source}`, 2))
  for (const b of report.broken) if (!b.declared) out(wrap(`${paint('red', '✗')} ${b.claim} in ${count(b.states)} states: ${b.what}`, 2))
  show(o, options.strategy, files)
  const few = report.promises < report.states
  if (few) out(`${paint('red', '✗')} fewer than one promise for each state: this run has asked next to nothing; choose one that syncs`)
  const isBroken = report.broken.some((b) => !b.declared)
  if (!isBroken && !few) out(`${paint('green', '✓')} no state breaks what was promised`)
  if (o.json !== undefined) {
    writeJson(o.json, { command: 'crash', ...asked(o, options), seconds: ms / 1000, ...report, counterexamples: files })
  }
  return isBroken || few ? EXIT.failed : EXIT.pass
}

const certificate = (r: CrashReport, ms: number): string => {
  const all = r.log2States < 40 ? count(Math.round(2 ** r.log2States)) : `2^${Math.round(r.log2States)}`
  return wrap([
    `${count(r.states)} distinct states judged of ${all} (${count(Math.round(r.judged / Math.max(ms / 1000, 1e-3)))} judgements a second);`,
    `of ${r.epochs} epochs ${r.exhausted} exhausted, ${r.lazy} covered lazily (${count(r.lazyRuns)} runs), ${r.sampled} sampled;`,
    `recovery changed something in ${count(r.recovered)} states`,
  ].join(' '), 2)
}

const promisesTable = (r: CrashReport): string => {
  const low = (key: string): number => Number(key.split('-')[0])
  const keys = Object.keys(r.histogram).sort((a, b) => low(a) - low(b))
  const mean = r.states === 0 ? 0 : r.promises / r.states
  const rows = [['states', ...keys.map((k) => count(r.histogram[k]!))]]
  return `${count(r.promises)} promises checked, ${mean.toFixed(1)} a state\n${table(['promises in a state', ...keys], rows)}`
}

// --- counterexamples ---------------------------------------------------------------------------------------------------------

const fileOf = (o: Options, { strategy, seed }: RunOptions, c: CrashCounterexample): CrashFile => {
  const recording = recordScenario(strategy, c.scenario, c.tape)
  const at = decodeState(recording, c.scenario, c.tape)
  return {
    claim: c.claim, expected: CRASH_CLAIMS[c.claim] ?? c.claim, actual: c.what,
    strategy: designOf(o.strategy, strategy), scenario: c.scenario, tape: c.tape, seed, version: toolVersion(),
    node: process.version, picture: pictureOf(recording, c.scenario, c.scenario, at),
  }
}

const show = (o: Options, strategy: AnyStrategy, files: readonly CrashFile[]): void => {
  for (const f of files) process.stdout.write(`${linesOf(f).join('\n')}\n`)
  const [first] = files
  if (first === undefined) return
  if (o.save !== undefined) {
    writeFile(o.save, printCrash(first))
    process.stdout.write(`  replay: perform-write replay ${o.save}\n`)
  } else process.stdout.write('  add --save FILE for a file that perform-write replay takes\n')
  if (o.export !== undefined) {
    const recording = recordScenario(strategy, first.scenario, first.tape)
    exportImage(imageOf(recording, first.scenario, decodeState(recording, first.scenario, first.tape)), o.export)
    process.stdout.write(`  ${o.export}: the disk as the crash left it, unrepaired\n`)
  }
}

const linesOf = (f: CrashFile): readonly string[] => [
  `${paint('red', '✗')} ${f.claim}, made small: ${nameOf(f.strategy)} on ${f.scenario.mode}`, ...f.picture.map((l) => wrap(l, 6)),
  wrap(`${f.claim}: ${f.actual}`, 2), wrap(`  expected: ${f.expected}`, 4),
]

const writeFile = (path: string, text: string): void => {
  if (existsSync(path) && !isCrashFile(readFileSync(path, 'utf8'))) {
    throw new UsageError(`${path}: exists and is no crash counterexample; choose another name`)
  }
  writeFileSync(path, text)
}

const exportImage = (device: MemoryDevice, path: string): void => {
  if (existsSync(path)) throw new UsageError(`${path}: exists; choose another name`)
  const image = ImageDevice.create(path, device.size)
  const bytes = Buffer.alloc(1 << 20)
  try {
    for (let pos = 0; pos < device.size; pos += bytes.length) {
      const part = bytes.subarray(0, Math.min(bytes.length, device.size - pos))
      device.submit(new Bio('read', pos, PageVec.of(part)))
      image.submit(new Bio('write', pos, PageVec.of(part)))
    }
    image.submit(new Bio('flush'))
  } finally {
    image.close()
  }
}

/** Replay a crash counterexample. @returns the exit code; null if the text is none */
export const replayCrash = async (path: string, text: string, on?: string, json?: string): Promise<number | null> => {
  if (!isCrashFile(text)) return null
  const parsed = parseCrash(text)
  if (parsed._tag === 'Left') throw new UsageError(`${path}: ${parsed.left}`)
  const f = parsed.right
  if (on?.startsWith('kernel:') === true) {
    throw new UsageError(`${path}: a crash state is shown to the kernel by crash --export, not by --on`)
  }
  const argument = on ?? argumentOf(f as never, path)
  const strategy = await designFor(argument)
  const recording = recordScenario(strategy, f.scenario, f.tape)
  const at = decodeState(recording, f.scenario, f.tape)
  const { findings } = judgeState(recording, f.scenario, at).judged
  const shown = findings.find((x) => x.claim === f.claim && !x.declared)
  const others = findings.filter((x) => x.claim !== f.claim && !x.declared)
  const out = (line: string): void => void process.stdout.write(`${line}\n`)
  if (on !== undefined) out(wrap(`· found with ${nameOf(f.strategy)}, now run on ${strategy.name}`, 2))
  for (const line of pictureOf(recording, f.scenario, f.scenario, at)) out(wrap(line, 6))
  if (shown !== undefined) out(wrap(`${paint('red', '✗')} ${f.claim} is broken, as the file says: ${shown.what}`, 2))
  else if (others.length > 0) {
    const said = others.map((x) => `${x.claim}: ${x.what}`).join('; ')
    out(wrap(`${paint('red', '✗')} ${f.claim} is no longer shown, but ${said}`, 2))
  } else out(`${paint('green', '✓')} ${f.claim} is no longer shown`)
  if (json !== undefined) {
    writeJson(json, { command: 'replay', file: path, claim: f.claim, strategy: strategy.name, shown: shown?.what ?? null, others })
  }
  return shown === undefined && others.length === 0 ? EXIT.pass : EXIT.failed
}
