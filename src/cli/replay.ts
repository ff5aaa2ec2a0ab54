/**
 * perform-write replay: a counterexample again, from its file: same verdict, as a timeline.
 *
 * On the design that it was found with, on another (`--on`), or on the file system of this machine's kernel (`--on kernel:ext4`).
 * Where the code has changed since, the run goes on greedily, and what left the tape is named by step and label.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, Option } from 'commander'
import { CLAIMS } from '../../properties/claims/index.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { runOnce } from '../lab/check/check.ts'
import type { CounterexampleFile } from '../lab/check/counterexample.ts'
import { BadProgram } from '../lab/check/place.ts'
import type { Rerun } from '../lab/check/rerun.ts'
import { timelineOf } from '../lab/check/timeline.ts'
import { World } from '../lab/check/world.ts'
import { kernelOf, REPLAY_KERNELS, type ReplayKernel, replayOnKernel } from '../oracle/kernel-replay.ts'
import { pythonOf } from '../report/python.ts'
import { paint, wrap } from '../report/table.ts'
import { counterexampleLines } from '../report/timeline.ts'
import { ReplayTape } from '../sim/tape.ts'
import { argumentOf, benchOf, designOf, nameOf, readCounterexample, sentenceOf } from './counterexamples.ts'
import { replayCrash } from './crash.ts'
import { EXIT, InfrastructureError, UsageError } from './errors.ts'
import { writeJson } from './options.ts'
import { designFor, isFile } from './plugin.ts'

interface Options {
  readonly on?: string
  readonly export?: 'python'
  readonly json?: string
}

const EXAMPLES = `
Examples:
  perform-write replay lost.json                           the run that broke the claim, step by step
  perform-write replay lost.json --on reserve-allocate     the same run on another design
  perform-write replay lost.json --on ./mine.ts            or on your own
  perform-write replay leak.json --on kernel:ext4          the same calls on the ext4 of this machine; needs root
  perform-write replay leak.json --export python > leak.py a script that shows it on any machine

Exit: 0 the claim holds now; 1 the claim is broken again; 2 usage; 3 this machine stands in the way.
`

/** The command. */
export const replayCommand = (): Command =>
  new Command('replay')
    .description('a counterexample again: as a timeline, on another design, on the kernel, or as a script')
    .argument('<file>', 'a counterexample, as check writes it')
    .option('--on <design>', `another design, a file that exports one, or ${REPLAY_KERNELS.map((k) => `kernel:${k}`).join(', ')}`)
    .addOption(new Option('--export <language>', 'print a script that stands alone; for calls of one process').choices(['python']))
    .option('--json <file>', 'also write the result to a file')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: Options) => {
      process.exitCode = await replay(file, options)
    })

const replay = async (path: string, o: Options): Promise<number> => {
  const crashed = existsSync(path) ? await replayCrash(path, readFileSync(path, 'utf8'), o.on, o.json) : null
  if (crashed !== null) return crashed
  const c = readCounterexample(path)
  if (o.export === 'python') return exportPython(c, path, o)
  const mutant = o.on === undefined || kernelIn(o) !== null ? c.strategy.mutant?.id : undefined
  if (mutant !== undefined && process.env['MUTANT'] !== mutant) return withMutant(mutant)
  const kernel = kernelIn(o)
  if (kernel !== null) return onKernel(c, path, kernel, o)
  const argument = o.on ?? argumentOf(c, path)
  return onDesign(c, path, argument, await designFor(argument), o)
}

/** The kernel that `--on` names, or null: it names none. @throws UsageError if there is no such kernel */
const kernelIn = ({ on }: Options): ReplayKernel | null => {
  if (on?.startsWith('kernel:') !== true) return null
  const kernel = kernelOf(on.slice('kernel:'.length))
  if (kernel === null) throw new UsageError(`--on ${on}: known are ${REPLAY_KERNELS.map((k) => `kernel:${k}`).join(', ')}`)
  return kernel
}

/** What is used here of the catalogue of mutants, which comes with the sources only. */
interface Catalogue {
  mutant(id: string): unknown
  apply(m: unknown, file: string, source: string): string
  patchesOf(m: unknown): readonly { readonly file: string }[]
}

/** @throws UsageError if there is no such mutant, or its change does not fit the sources any more */
const mustApply = async (id: string): Promise<void> => {
  const load = async (name: string): Promise<Partial<Catalogue>> =>
    import(new URL(`../../properties/mutants/${name}.ts`, import.meta.url).href) as Promise<Partial<Catalogue>>
  const { mutant, apply, patchesOf } = { ...(await load('index')), ...(await load('mutant')) } as Catalogue
  try {
    const m = mutant(id)
    for (const { file } of patchesOf(m)) apply(m, file, readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'))
  } catch (e) {
    throw new UsageError(`${id}: ${e instanceof Error ? e.message : String(e)}; --on takes another design`)
  }
}

/** The same command in a process in which the mutant is alive. @returns its exit code */
const withMutant = async (id: string): Promise<number> => {
  const hook = new URL('../../properties/mutants/hook.ts', import.meta.url)
  if (!existsSync(hook)) {
    throw new UsageError(`${id} is a mutant: those come with the sources of perform-write, not with the package; --on takes a design`)
  }
  await mustApply(id)
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const done = spawnSync(process.execPath, ['--import', hook.href, main, ...process.argv.slice(2)], {
    stdio: 'inherit', env: { ...process.env, MUTANT: id },
  })
  return done.status ?? EXIT.infrastructure
}

// --- on a design -----------------------------------------------------------------------------------------------------------

const onDesign = (c: CounterexampleFile, path: string, argument: string, strategy: AnyStrategy, o: Options): number => {
  const bench = benchOf(strategy)
  const timeline = runnable(path, () => timelineOf(c, bench))
  const { run } = timeline
  const command = `perform-write replay ${path}${o.on === undefined ? '' : ` --on ${o.on}`}`
  const name = o.on === undefined ? nameOf(c.strategy) : strategy.name
  const lines = counterexampleLines({ claim: c.claim, expected: c.expected, strategy: name, program: c.program }, timeline, command)
  const notes = [...changesOf(c, argument, strategy, o), ...strayedLines(run)]
  const others = run.shown === null ? othersIn(c, strategy, run) : []
  for (const note of notes) process.stdout.write(`${wrap(`· ${note}`, 2)}\n`)
  process.stdout.write(`${lines.join('\n')}\n`)
  process.stdout.write(`${wrap(verdict(c, run, others), 2)}\n`)
  if (o.json !== undefined) {
    writeJson(o.json, {
      command: 'replay', file: path, claim: c.claim, strategy: name, shown: run.shown, others,
      strayed: run.strayed, unused: run.unused, steps: run.steps,
    })
  }
  return run.shown === null && others.length === 0 ? EXIT.pass : EXIT.failed
}

/** @throws UsageError if the program cannot be set up on its ground */
const runnable = <A>(path: string, f: () => A): A => {
  try {
    return f()
  } catch (e) {
    if (e instanceof BadProgram) throw new UsageError(`${path}: program: cannot be set up here: ${e.message}`)
    throw e
  }
}

/** What is no longer as it was when the counterexample was found. */
const changesOf = (c: CounterexampleFile, argument: string, strategy: AnyStrategy, o: Options): readonly string[] => {
  if (o.on !== undefined) return [`found with ${nameOf(c.strategy)}, now run on ${strategy.name}`]
  const now = designOf(argument, strategy)
  return now.file === c.strategy.file && now.hash !== c.strategy.hash ? [`${c.strategy.file} has changed since this was found`] : []
}

const strayedLines = ({ strayed, unused, steps }: Rerun): readonly string[] => {
  if (strayed !== null) {
    const { step, kind, index, expected, found } = strayed
    return [`the run leaves its tape after step ${step}: decision ${index + 1} of kind ${kind} was taken at "${expected}", ` +
      `and is now asked for at "${found}"; it went on from there to step ${steps}`]
  }
  return unused === 0 ? [] : [`the run ended after step ${steps}, with ${unused} decisions of its tape left`]
}

/** Other claims that the same run breaks. */
const othersIn = (c: CounterexampleFile, strategy: AnyStrategy, run: Rerun): readonly { claim: string; what: string }[] => {
  const { judges } = benchOf(strategy)
  const { violations } = runOnce(new World(c.program, { strategy, judges }), new ReplayTape(c.tape))
  const declared = (id: string): boolean => CLAIMS.find((x) => x.id === id)?.declared?.(strategy) ?? false
  return [...run.others, ...violations].filter((v, i, all) => all.findIndex((w) => w.claim === v.claim) === i && !declared(v.claim))
}

const verdict = ({ claim }: CounterexampleFile, { shown }: Rerun, others: readonly { claim: string; what: string }[]): string => {
  if (shown !== null) return `${paint('red', '✗')} ${claim} is broken, as the file says`
  if (others.length === 0) return `${paint('green', '✓')} ${claim} is no longer shown`
  return `${paint('red', '✗')} ${claim} is no longer shown, but ${others.map((v) => `${v.claim} is broken: ${v.what}`).join('; ')}`
}

// --- on the kernel -----------------------------------------------------------------------------------------------------------

const familyOf = (claim: string): string => CLAIMS.find((c) => c.id === claim)?.family ?? 'port'

const onKernel = async (c: CounterexampleFile, path: string, kernel: ReplayKernel, o: Options): Promise<number> => {
  const argument = argumentOf(c, path)
  const strategy = await designFor(isFile(argument) && !existsSync(argument) ? c.strategy.name : argument)
  const result = await replayOnKernel(c, { kernel, family: familyOf(c.claim), bench: benchOf(strategy) }).catch((e: unknown) => {
    throw new InfrastructureError(`kernel:${kernel}: ${e instanceof Error ? e.message : String(e)}`)
  })
  if ('obstacle' in result) throw new UsageError(`${path}: ${result.obstacle}`)
  if ('unavailable' in result) throw new InfrastructureError(`kernel:${kernel}: ${result.unavailable}`)
  process.stdout.write(`${result.lines.join('\n')}\n`)
  const broken = result.findings.length > 0
  const where = `${result.release}, ${kernel}`
  process.stdout.write(`${wrap(broken ? `${paint('red', '✗')} ${c.claim} is broken by ${where}: ${result.findings.join('; ')}`
    : `${paint('green', '✓')} ${c.claim} is not shown by ${where}`, 2)}\n`)
  if (o.json !== undefined) writeJson(o.json, { command: 'replay', file: path, claim: c.claim, kernel, ...result })
  return broken ? EXIT.failed : EXIT.pass
}

const exportPython = (c: CounterexampleFile, path: string, o: Options): number => {
  const kernel = kernelIn(o)
  if (o.on !== undefined && kernel === null) {
    throw new UsageError('--export python is for a kernel: --on takes kernel:ext4 or kernel:ext2 then')
  }
  const script = pythonOf({ ...c, expected: sentenceOf(c.claim) }, { kernel: kernel ?? c.program.config.format, family: familyOf(c.claim) })
  if ('obstacle' in script) throw new UsageError(`${path}: ${script.obstacle}`)
  process.stdout.write(script.text)
  return EXIT.pass
}
