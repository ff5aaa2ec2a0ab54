/** perform-write list: designs, file systems, claims, workloads. */
import { Command } from 'commander'
import { CLAIMS } from '../lab/claims.ts'
import { FORMATS } from '../lab/session.ts'
import { workloads } from '../lab/workload/registry.ts'
import { paint, wrap } from '../report/table.ts'
import { strategies } from '../strategies/index.ts'
import { writeJson } from './options.ts'

const FILE_SYSTEMS: Readonly<Record<(typeof FORMATS)[number], string>> = {
  ext2: 'block map, no unwritten extents; e2fsck and the kernel read it',
  ext4: 'extents and unwritten extents, without journal and checksums; e2fsck and the kernel read it',
}

/** Everything that has a name. */
export const inventory = () => ({
  strategies: strategies.map(({ name, summary, source, unit, copy, claims }) =>
    ({ name, summary, source, unit, copy, claims })),
  fileSystems: FORMATS.map((name) => ({ name, summary: FILE_SYSTEMS[name] })),
  claims: CLAIMS.map(({ id, family, sentence, elsewhere }) =>
    ({ name: id, family, sentence, checkedByCompare: elsewhere === undefined })),
  workloads: workloads(),
})

const section = (title: string, lines: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...lines.map(([name]) => name.length)) + 2
  const rows = lines.map(([name, text]) => `${wrap(`  ${name.padEnd(width)}${text}`, width + 2)}\n`)
  return `${paint('bold', title)}\n${rows.join('')}`
}

/** The command. */
export const listCommand = (): Command =>
  new Command('list')
    .description('the designs, file systems, claims and workloads that there are')
    .option('--json <file>', 'also write the list to a file')
    .addHelpText('after', '\nExample:\n  perform-write list --json inventory.json\n')
    .action(({ json }: { json?: string }) => {
      const all = inventory()
      process.stdout.write([
        section('designs', all.strategies.flatMap((s) => [[s.name, s.summary], ['', `(${s.source})`]] as const)),
        section('file systems', all.fileSystems.map((f) => [f.name, f.summary] as const)),
        section('claims', all.claims.map((c) =>
          [c.name, `${c.family}: ${c.sentence}${c.checkedByCompare ? '' : ' (not checked by compare)'}`] as const)),
        section('workloads', all.workloads.map((w) => [w.name, `${w.kind}: ${w.description}`] as const)),
      ].join('\n'))
      if (json !== undefined) writeJson(json, all)
    })
