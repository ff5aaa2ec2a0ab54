/**
 * perform-write check: a design against all claims: every schedule, completion order and fault of small programs, in a budget.
 *
 * Two threads, one for each share of the check; the same design, seed and budget find the same things on any machine. A design
 * that throws, loops or yields nonsense is a finding with the name of its hook.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Command, Option } from 'commander'
import { type Ask, type Budget, BUDGETS, conclude, ELSEWHERE, lostShare, PATIENCE, ROWS, SHARES } from '../../properties/check.ts'
import { sentenceOf } from '../../properties/show.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { printCounterexample } from '../lab/check/counterexample.ts'
import type { Checked } from '../lab/check/verdict.ts'
import { certificateText, failure, verdictLine, verdictTable } from '../report/verdicts.ts'
import { count } from '../report/format.ts'
import { wrap } from '../report/table.ts'
import type { Described, Done } from './check-task.ts'
import type { Order } from './check-worker.ts'
import { designOf } from './counterexamples.ts'
import { EXIT, InfrastructureError, UsageError } from './errors.ts'
import { formatNamed, parseWhole, writeJson } from './options.ts'
import { Progress } from './progress.ts'
import { toolVersion } from './version.ts'

interface Options {
  readonly claim?: string
  readonly fs?: string
  readonly seed: number
  readonly budget: Budget
  readonly json?: string
  readonly save?: string
  readonly patience: number
}

const EXAMPLES = `
Examples:
  perform-write check reserve-allocate                         all claims, within a minute on two cores
  perform-write check ./mine.ts --budget smoke                 your own design, in five seconds
  perform-write check ./mine.ts --claim I12 --seed 7           one claim, other programs first
  perform-write check Z55                                      a mutant of the bug zoo: the check must see it

Exit: 0 no claim is broken that the design claims; 1 one is; 2 usage; 3 this machine stands in the way.
`

/** The command. */
export const checkCommand = (): Command =>
  new Command('check')
    .description('one design against all claims: schedules, faults and completion orders, with counterexamples')
    .argument('<design>', 'a name, a file that exports a Strategy as default, or a mutant such as Z55')
    .option('--claim <id>', 'look at this claim only, and stop when it is broken')
    .option('--fs <format>', 'only programs on ext2 or ext4 (default: both)')
    .option('--seed <n>', 'decides the order of the programs', parseWhole, 1)
    .addOption(new Option('--budget <name>', 'how many executions').choices(Object.keys(BUDGETS)).default('ci'))
    .option('--json <file>', 'also write the result to a file')
    .option('--save <folder>', 'also write each counterexample to a file of its own, for perform-write replay')
    .option('--patience <seconds>', 'how long one program may take before it counts as an endless loop', parseWhole, PATIENCE)
    .addHelpText('after', EXAMPLES)
    .action(async (design: string, options: Options) => {
      process.exitCode = await checkDesign(design, options)
    })

/** A mutant of the catalogue. */
interface MutantEntry {
  readonly id: string
  readonly strategy: string
  readonly claim: string
  readonly title: string
  readonly patch: unknown
}

/** The mutant that an argument names, or null. @throws UsageError if there is no such mutant here */
const mutantFor = async (design: string): Promise<MutantEntry | null> => {
  if (!/^Z\d\d[a-z]?$/.test(design)) return null
  const url = new URL('../../properties/mutants/index.ts', import.meta.url)
  if (!existsSync(url)) throw new UsageError(`${design}: mutants come with the sources of perform-write, not with the package`)
  const { MUTANTS } = (await import(url.href)) as { MUTANTS: readonly MutantEntry[] }
  const found = MUTANTS.find((m) => m.id === design)
  if (found === undefined) throw new UsageError(`no mutant ${design}; known are ${MUTANTS.map((m) => m.id).join(', ')}`)
  return found
}

const askOf = (o: Options): Ask => {
  if (o.claim !== undefined && !ROWS.some((r) => r.id === o.claim)) {
    const elsewhere = ELSEWHERE.find((c) => c.id === o.claim)
    throw new UsageError(elsewhere === undefined ? `no claim is named "${o.claim}"; known are ${ROWS.map((r) => r.id).join(', ')}`
      : `${o.claim}: a check does not look at it: ${elsewhere.why}`)
  }
  return {
    seed: o.seed, budget: o.budget, patience: o.patience, ...(o.claim !== undefined && { claim: o.claim }),
    ...(o.fs !== undefined && { format: formatNamed(o.fs) }),
  }
}

/** Check and print. @returns the exit code */
const checkDesign = async (argument: string, o: Options): Promise<number> => {
  const ask = askOf(o)
  const mutant = await mutantFor(argument)
  const progress = new Progress('check')
  const far = new Array<number>(SHARES).fill(0)
  const order = { design: mutant?.strategy ?? argument, ask, mutant: mutant?.id ?? null }
  const done = await Promise.all(far.map((_, share) => inThread({ ...order, share }, (executions, found) => {
    far[share] = executions
    const broken = found.length === 0 ? '' : `; broken: ${found.join(', ')}`
    progress.say(`${count(far.reduce((a, b) => a + b))} of ${count(BUDGETS[ask.budget])} executions${broken}`)
  }))).finally(() => progress.done())
  const { design } = done[0]!
  const checked = conclude(design as AnyStrategy, ask, done.map((d) => d.share))
  if (o.save !== undefined) save(o.save, argument, mutant, checked, ask)
  print(argument, mutant, checked, ask, o)
  if (o.json !== undefined) writeJson(o.json, jsonOf(checked, ask, mutant))
  return checked.verdicts.some((v) => v.status === 'fail') || checked.certificate.cross.differences.length > 0 ? EXIT.failed : EXIT.pass
}

const print = (argument: string, mutant: MutantEntry | null, checked: Checked, ask: Ask, o: Options): void => {
  const out = (text: string): void => void process.stdout.write(text)
  if (mutant !== null) out(`${mutant.id}, ${mutant.title}; ${mutant.claim} must see it\n`)
  out(verdictTable(checked))
  if (ask.claim === undefined) out(ELSEWHERE.map((c) => `${wrap(`· ${c.id} ${c.short}: not checked here; ${c.why}`, 2)}\n`).join(''))
  out('\n')
  const broken = checked.verdicts.filter((v) => v.status === 'fail' || v.counterexample !== undefined)
  for (const v of broken) out(`${failure(v, replayOf(argument, v.claim, o))}\n`)
  out(`${certificateText(checked, ask.budget)}\n${verdictLine(checked)}`)
}

/** The command that shows it again, from its file or by looking for it. */
const replayOf = (argument: string, claim: string, o: Options): string => {
  if (o.save !== undefined) return `perform-write replay ${fileOf(o.save, claim)}`
  const settings = [
    o.fs === undefined ? '' : ` --fs ${o.fs}`, o.seed === 1 ? '' : ` --seed ${o.seed}`, o.budget === 'ci' ? '' : ` --budget ${o.budget}`,
  ]
  return `perform-write check ${argument} --claim ${claim}${settings.join('')}`
}

const fileOf = (folder: string, claim: string): string => join(folder, `${claim}.json`)

/** One file for each counterexample. */
const save = (folder: string, argument: string, mutant: MutantEntry | null, checked: Checked, ask: Ask): void => {
  mkdirSync(folder, { recursive: true })
  const change = mutant === null ? undefined : { id: mutant.id, change: JSON.stringify(mutant.patch) }
  const strategy = designOf(mutant?.strategy ?? argument, { name: checked.strategy } as AnyStrategy, change)
  for (const { claim, counterexample: c } of checked.verdicts) {
    if (c === undefined) continue
    const { what: actual, program, tape, lines } = c
    writeFileSync(fileOf(folder, claim), printCounterexample({
      claim, expected: sentenceOf(claim), actual, strategy, program, tape, seed: ask.seed, version: toolVersion(), node: process.version,
      timeline: lines.map((line) => stripVTControlCharacters(line)),
    }))
  }
}

const jsonOf = ({ strategy, verdicts, certificate, ended }: Checked, ask: Ask, mutant: MutantEntry | null) => ({
  command: 'check', strategy, mutant: mutant?.id ?? null, seed: ask.seed, budget: ask.budget, verdicts, certificate, ended,
})

// --- threads -----------------------------------------------------------------------------------------------------------

type Message =
  | { loaded: Described } | { say: { executions: number; found: readonly string[] } } | { value: Done }
  | { error: { name: string; message: string; code: number } }

/**
 * Run one share in a thread. A design that does not come back is interrupted there; only a file that cannot even be loaded is ended
 * from here. One that takes its thread down is put to the port. @throws UsageError or InfrastructureError
 */
const inThread = (order: Order, say: (executions: number, found: readonly string[]) => void): Promise<Done> =>
  new Promise((resolve, reject) => {
    const url = new URL(import.meta.url.endsWith('.ts') ? './check-worker.ts' : './check-worker.js', import.meta.url)
    const worker = new Worker(url, { workerData: order, stdout: true })
    worker.stdout.pipe(process.stderr, { end: false })
    const patience = order.ask.patience ?? PATIENCE
    let design: Described | null = null
    const end = (then: () => void): void => {
      clearTimeout(loading)
      worker.removeAllListeners()
      void worker.terminate().then(then)
    }
    const refuse = (e: Error): void => end(() => reject(e))
    const down = (what: string): void => design === null ? refuse(new UsageError(`${order.design}: ${what}`))
      : end(() => resolve({ design: design!, share: lostShare(design!.name, order.ask, what) }))
    const loading = setTimeout(
      () => refuse(new UsageError(`${order.design}: it did not return within ${patience} s, while the file was loaded: an endless loop`)),
      patience * 1000)
    worker.on('message', (m: Message) => {
      if ('loaded' in m) {
        clearTimeout(loading)
        design = m.loaded
      } else if ('say' in m) say(m.say.executions, m.say.found)
      else if ('value' in m) end(() => resolve(m.value))
      else refuse(failed(m.error))
    })
    worker.on('error', (e: NodeJS.ErrnoException) => (e.code === 'ERR_WORKER_OUT_OF_MEMORY' ? down('it took all memory') : refuse(e)))
    worker.on('exit', (code) => down(`it ended its thread, with code ${code}`))
  })

const failed = ({ name, message, code }: { name: string; message: string; code: number }): Error =>
  name === 'UsageError' || code === EXIT.usage ? new UsageError(message) : new InfrastructureError(message)

