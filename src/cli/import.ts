/** perform-write import: a recording of strace or fio becomes a workload. */
import { basename, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { IMPORTERS, type Imported, type ImportFormat, importFile } from '../lab/workload/import/index.ts'
import { shapeOf } from '../lab/workload/shape.ts'
import { saveWorkload } from '../lab/workload/writer.ts'
import { bytes, count, plural } from '../report/format.ts'

interface Options {
  readonly from: ImportFormat
  readonly output?: string
  readonly name?: string
  readonly root?: string
  readonly cwd?: string
}

const EXAMPLES = `
Examples:
  strace -f -y -yy -s 0 -o make.strace make
  perform-write import --from strace make.strace --root "$PWD" -o make.jsonl.gz
  fio job.fio --ioengine=null --write_iolog=job.log
  perform-write import --from fio-iolog job.log -o job.jsonl
  perform-write compare --workload ./make.jsonl.gz
`

/** The command. */
export const importCommand = (): Command =>
  new Command('import')
    .description('turn a recording of another tool into a workload')
    .argument('<file>', 'the recording, plain or gzip')
    .addOption(new Option('--from <format>', 'what it is').choices(Object.keys(IMPORTERS)).makeOptionMandatory())
    .option('-o, --output <file>', 'the workload: .jsonl or .jsonl.gz (default: the name of the recording, with .jsonl)')
    .option('--name <name>', 'name of the workload (default: that of the file)')
    .option('--root <directory>', 'what becomes the root of the image; all outside it is left out (default: /)')
    .option('--cwd <directory>', 'where the command was started, for recordings without strace -y')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: Options) => run(file, options))

const run = async (file: string, o: Options): Promise<void> => {
  const base = basename(file).replace(/\.gz$/, '').replace(/\.[^.]+$/, '')
  const output = o.output ?? `${base}.jsonl`
  const imported = await importFile(o.from, file, {
    name: o.name ?? base, source: `${o.from} ${basename(file)}`,
    ...(o.root !== undefined && { root: resolve(o.root) }), ...(o.cwd !== undefined && { cwd: resolve(o.cwd) }),
  })
  saveWorkload(output, imported)
  say(output, imported)
}

const say = (output: string, { header, operations, lines, ignored, warnings }: Imported): void => {
  const left = Object.entries(ignored).sort(([, a], [, b]) => b - a)
  const { bytesWritten } = shapeOf(operations)
  const sum = `${plural(operations.length, 'operation')} of ${plural(lines, 'line')}, ${bytes(bytesWritten)} written`
  process.stdout.write(`${output}: ${sum}\n`)
  for (const [why, n] of left) process.stdout.write(`  left out: ${why}, ${count(n)}\n`)
  for (const blind of header.blind ?? []) process.stdout.write(`  not seen by the recording: ${blind}\n`)
  for (const warning of warnings) process.stderr.write(`import: ${warning}\n`)
}
