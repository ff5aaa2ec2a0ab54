/**
 * Prints every mutant that lives with its reason, the score by file, and what is wrong; ends with 1 if anything is.
 *
 * `npm run mutation` runs it after StrykerJS. Reads reports/mutation.json and properties/mutation/survivors.json; with
 * `--missing` it prints instead what survivors.json lacks, as JSON to be filled in. Rules: judge.ts.
 */
import { readFileSync } from 'node:fs'
import Table from 'cli-table3'
import { judge, type Judgement, percent, type Reason, type Report } from './judge.ts'

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))

const scores = ({ files, total }: Judgement): string => {
  const table = new Table({
    head: ['file', 'killed', 'mutants', 'score %'], style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right'],
  })
  for (const f of [...files, { file: 'all', ...total }]) table.push([f.file, f.killed, f.valid, percent(f).toFixed(1)])
  return table.toString()
}

const survivors = (judgement: Judgement): string =>
  judgement.survivors
    .map((s) => `${s.at} ${s.mutator}, ${s.status}\n  - ${s.original}\n  + ${s.replacement}\n  ${s.reason ?? '?'}`)
    .join('\n')

const judgement = judge(read('../../reports/mutation.json') as Report, read('./survivors.json') as Reason[])
if (process.argv.includes('--missing')) {
  const missing = judgement.survivors.filter((s) => s.reason === null)
  console.log(JSON.stringify(missing.map(({ at: _at, status: _status, ...key }) => ({ ...key, reason: '' })), null, 2))
} else {
  console.log(`${survivors(judgement)}\n\n${scores(judgement)}\n${judgement.wrong.join('\n')}`)
  process.exitCode = judgement.wrong.length > 0 ? 1 : 0
}
