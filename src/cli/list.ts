/** perform-write list: designs, file systems, claims, workloads. */
import { Command } from 'commander'
import { ELSEWHERE } from '../../properties/check.ts'
import { CLAIMS as CHECKED } from '../../properties/claims/index.ts'
import { KILLS } from '../../properties/kills.ts'
import { CLAIMS } from '../lab/claims.ts'
import { FORMATS } from '../lab/session.ts'
import { workloads } from '../lab/workload/registry.ts'
import { paint, wrap } from '../report/table.ts'
import { strategies } from '../strategies/index.ts'
import { writeJson } from './options.ts'

const FILE_SYSTEMS: Readonly<Record<(typeof FORMATS)[number], string>> = {
  ext2: 'block map, no unwritten extents; e2fsck and the kernel read it',
  ext4: 'extents, unwritten extents; checksums and a journal (data=ordered, writeback, journal) if the image has them',
}

/** Everything that has a name. */
export const inventory = () => ({
  strategies: strategies.map(({ name, summary, source, unit, copy, claims }) =>
    ({ name, summary, source, unit, copy, claims })),
  fileSystems: FORMATS.map((name) => ({ name, summary: FILE_SYSTEMS[name] })),
  claims: claims(),
  mutants: { catalogue: KILLS.length, killed: KILLS.filter((k) => k.killed).length },
  workloads: workloads(),
})

/** Every claim of the project's list, with who looks at it and how many mutants of it have been killed; in order. */
const claims = () => {
  const byCompare = CLAIMS.filter((c) => c.elsewhere === undefined).map((c) => c.id)
  const byCheck = [...CHECKED.map((c) => c.id), 'port']
  const elsewhere = ELSEWHERE.map((c) => ({ id: c.id, family: 'elsewhere', sentence: `${c.short}: ${c.why}.` }))
  const all = new Map([...elsewhere, ...CLAIMS, ...CHECKED].map((c) => [c.id, c] as const))
  return [...all.values()].sort((a, b) => numberOf(a.id) - numberOf(b.id)).map(({ id, family, sentence }) => ({
    name: id, family, sentence, checkedByCheck: byCheck.includes(id), checkedByCompare: byCompare.includes(id),
    mutantsKilled: KILLS.filter((k) => k.claim === id && k.killed).length,
  }))
}

/** `port` comes last. */
const numberOf = (id: string): number => (/^I\d+$/.test(id) ? Number(id.slice(1)) : Infinity)

const section = (title: string, lines: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...lines.map(([name]) => name.length)) + 2
  const rows = lines.map(([name, text]) => `${wrap(`  ${name.padEnd(width)}${text}`, width + 2)}\n`)
  return `${paint('bold', title)}\n${rows.join('')}`
}

const sayChecked = (c: { checkedByCheck: boolean; checkedByCompare: boolean; mutantsKilled: number }): string => {
  const by = [...(c.checkedByCheck ? ['check'] : []), ...(c.checkedByCompare ? ['compare'] : [])]
  return ` (${by.length === 0 ? 'not checked by a command' : `checked by ${by.join(' and ')}`}; mutants killed: ${c.mutantsKilled})`
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
        section('claims', all.claims.map((c) => [c.name, `${c.family}: ${c.sentence}${sayChecked(c)}`] as const)),
        `${wrap(`mutants: ${all.mutants.killed} of ${all.mutants.catalogue} real bugs of the catalogue were killed by check ` +
          'in the last full run of npm run mutants', 2)}\n`,
        section('workloads', all.workloads.map((w) => [w.name, `${w.kind}: ${w.description}`] as const)),
      ].join('\n'))
      if (json !== undefined) writeJson(json, all)
    })
