/**
 * perform-write run: a workload through one design onto a real image file.
 *
 * The image is mounted, the workload replayed and checked against the independent model operation by operation, all files
 * compared at the end, the image unmounted. A workload that already stands in the image, or an image that is not empty, is
 * not checked but run all the same, and the output says so. What cannot be mounted is not written to at all.
 */
import { Command, Option } from 'commander'
import { isLeft } from 'fp-ts/lib/Either.js'
import { ImageDevice } from '../block/image-device.ts'
import { DATA_MODES, type DataMode } from '../fs/journal/journal.ts'
import { type Counter, COUNTERS } from '../kernel/ledger.ts'
import { PAGE } from '../kernel/units.ts'
import { replay, type Replayed } from '../lab/cost.ts'
import { mount, type Session } from '../lab/session.ts'
import { watch } from '../lab/watch.ts'
import { openWorkload } from '../lab/workload/registry.ts'
import { bytes, count } from '../report/format.ts'
import { paint, table, wrap } from '../report/table.ts'
import { EXIT, InfrastructureError, UsageError } from './errors.ts'
import { ModelChecker } from './model.ts'
import { formatNamed, parseOrder, parseSize, parseWhole, writeJson } from './options.ts'
import { designFor } from './plugin.ts'
import { Progress } from './progress.ts'

interface Options {
  readonly strategy: string
  readonly fs: string
  readonly image: string
  readonly workload: string
  readonly seed: number
  readonly salt: number
  readonly folioOrder: number
  readonly memory: number
  readonly journal: DataMode | 'none'
  readonly json?: string
}

const EXAMPLES = `
Example:
  perform-write mkfs ext4 --image disk.img --size 64M --journal auto
  perform-write run --strategy reserve-allocate --fs ext4 --image disk.img --workload sqlite-wal
  e2fsck -fn disk.img

Exit: 0 all as the model says; 1 something differs; 2 usage; 3 the image cannot be used.
`

/** The command. */
export const runCommand = (): Command =>
  new Command('run')
    .description('replay a workload through a design onto an image file')
    .requiredOption('--strategy <name|file>', 'the design')
    .requiredOption('--fs <format>', 'ext2 or ext4: what the image must hold')
    .requiredOption('--image <file>', 'an image made by mkfs or mke2fs')
    .requiredOption('--workload <name|file>', 'what to replay')
    .option('--seed <n>', 'of a generated workload', parseWhole, 1)
    .option('--salt <n>', 'another number writes other data', parseWhole, 0)
    .option('--folio-order <n>', 'the largest folio: 2^n pages, 0 to 9', parseOrder, 9)
    .option('--memory <bytes>', 'the most page cache', parseSize, 256 * 2 ** 20)
    .addOption(new Option('--journal <mode>', 'what a journal, if the image has one, does with data')
      .choices([...DATA_MODES, 'none']).default('ordered'))
    .option('--json <file>', 'also write the result to a file')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => void (process.exitCode = await runWorkload(options)))

/** Only what starts empty can be checked: the model knows no other image. */
const isEmpty = (s: Session): boolean => {
  const names = s.posix.readdir('.')
  return !isLeft(names) && names.right.every(({ name }) => ['.', '..', 'lost+found'].includes(name))
}

const runWorkload = async (o: Options): Promise<number> => {
  const format = formatNamed(o.fs)
  const strategy = await designFor(o.strategy)
  const workload = openWorkload(o.workload, o.seed)
  if (o.memory < 64 * PAGE) throw new UsageError(`--memory ${o.memory}: give at least ${bytes(64 * PAGE)}`)
  const device = ImageDevice.open(o.image)
  try {
    refuseOther(device, format, o)
    const mounted = mount(device, {
      strategy: watch(strategy), maxFolioOrder: o.folioOrder, limitPages: Math.floor(o.memory / PAGE), now: clock(),
      errors: 'raise', journal: o.journal,
    })
    if (isLeft(mounted)) throw new InfrastructureError(mounted.left.message)
    return finish(o, mounted.right, workload)
  } finally {
    device.close()
  }
}

/** Look before anything is written: is it mountable, and what it was said to be? */
const refuseOther = (device: ImageDevice, format: string, o: Options): void => {
  const look = mount(device, { strategy: NOBODY, readOnly: true, errors: 'raise' })
  if (isLeft(look)) throw new InfrastructureError(look.left.message)
  const name = look.right.fs.format.name
  if (name !== format) throw new UsageError(`${o.image}: holds ${name}, not ${format}; say --fs ${name}`)
}

const NOBODY = { name: 'nobody', claims: {} } as never

const clock = (): (() => number) => () => Date.now() * 1000

const finish = (o: Options, session: Session, workload: ReturnType<typeof openWorkload>): number => {
  const progress = new Progress('run')
  const fresh = isEmpty(session)
  const checker = fresh ? new ModelChecker(session, { salt: o.salt, room: false }) : undefined
  const run = replayOrBreach(o, () => replay(session, workload, {
    salt: o.salt, ...(checker && { checker }),
    beat: (i) => void (i % 256 === 0 && progress.say(`${count(i)} operations`)),
  }))
  progress.done()
  if (run === null) return EXIT.failed
  const unmounted = session.posix.unmount()
  if (isLeft(unmounted)) {
    throw new InfrastructureError(`${o.image}: unmount failed with ${unmounted.left}; run e2fsck on it`)
  }
  print(o, run, fresh)
  if (o.json !== undefined) writeJson(o.json, { command: 'run', ...o, checked: fresh, ...run })
  return run.problem === null ? EXIT.pass : EXIT.failed
}

/** The replay; null, and said, if the design threw: then the image is as a crash would have left it. */
const replayOrBreach = (o: Options, run: () => Replayed): Replayed | null => {
  try {
    return run()
  } catch (e) {
    process.stdout.write(`${paint('red', '✗')} ${o.strategy}: ${e instanceof Error ? e.message : String(e)}\n`)
    process.stdout.write(`  ${o.image} was not unmounted; make it again with mkfs, or run e2fsck on it\n`)
    return null
  }
}

const print = (o: Options, run: Replayed, fresh: boolean): void => {
  const out = (text: string): void => void process.stdout.write(`${text}\n`)
  out(`${o.workload} through ${o.strategy} onto ${o.image} (${o.fs})`)
  const counts = Object.entries(run.counts).sort().map(([op, n]) => `${op} ${count(n)}`)
  out(wrap(`${count(run.operations)} operations: ${counts.join(', ')}`, 2))
  out(`${bytes(run.bytesWritten)} written, ${bytes(run.bytesRead)} read`)
  for (const [what, n] of Object.entries(run.failures).sort()) out(`failed: ${what}, ${count(n)} times`)
  const counters = COUNTERS.filter((c) => run.ledger[c] !== 0)
  const half = Math.ceil(counters.length / 2)
  const cells = (c: Counter | undefined): string[] => (c === undefined ? ['', ''] : [c, count(run.ledger[c])])
  const rows = counters.slice(0, half).map((c, i) => [...cells(c), ...cells(counters[half + i])])
  out(`\n${table(['ledger', '', '', ''], rows)}`)
  if (run.problem !== null) {
    const what = `--strategy ${o.strategy} --fs ${o.fs} --image ${o.image} --workload ${o.workload}`
    out(wrap(`${paint('red', '✗')} ${run.problem.what}`, 4))
    out(`    replay, on a fresh image: perform-write run ${what} --seed ${o.seed} --salt ${o.salt}`)
  } else if (fresh) out(`${paint('green', '✓')} every answer, and every byte of every file, is what the independent model says`)
  else out('not checked: the image was not empty; make a fresh one with mkfs to have the contents checked')
}
