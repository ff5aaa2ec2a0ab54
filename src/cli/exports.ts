/** The files that a comparison is written to: JSON for programs and as a baseline; CSV, Markdown, LaTeX and a page for people. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { pageOf } from '../report/page.ts'
import { csvOf, latexOf, markdownOf } from '../report/exports.ts'
import type { Comparison } from '../report/document.ts'
import type { GrowthDocument } from '../report/growth.ts'

/** Where to. */
export interface ExportOptions {
  readonly json?: string
  readonly save?: string
  readonly csv?: string
  readonly markdown?: string
  readonly latex?: string
  readonly html?: string
}

/** Adds the options that name files. */
export const addExportOptions = (command: Command): Command =>
  command
    .option('--save <file>', 'write the result as a baseline for --against')
    .option('--json <file>', 'the same document, for programs')
    .option('--csv <file>', 'one row a number, with its manifest')
    .option('--markdown <file>', 'the tables in Markdown')
    .option('--latex <file>', 'the tables in LaTeX (booktabs)')
    .option('--html <file>', 'tables and charts as one page that opens without a network')

/** Write what was asked for; each file is either whole or as it was. */
export const writeExports = async (c: Comparison, o: ExportOptions): Promise<void> => {
  const text = `${JSON.stringify(c, null, 2)}\n`
  if (o.json !== undefined) writeWhole(o.json, text)
  if (o.save !== undefined) writeWhole(o.save, text)
  if (o.csv !== undefined) writeWhole(o.csv, csvOf(c))
  if (o.markdown !== undefined) writeWhole(o.markdown, markdownOf(c))
  if (o.latex !== undefined) writeWhole(o.latex, latexOf(c))
  if (o.html !== undefined) writeWhole(o.html, await pageOf(c, growthOf()))
}

/** The curves that come with the package (docs/growth.json, by npm run growth), or null if they were left out. */
const growthOf = (): GrowthDocument | null => {
  const file = ['../../docs/growth.json', '../../../docs/growth.json'].map((f) => new URL(f, import.meta.url)).find((f) => existsSync(f))
  return file === undefined ? null : (JSON.parse(readFileSync(file, 'utf8')) as GrowthDocument)
}

const writeWhole = (file: string, text: string): void => {
  const partial = `${file}.partial`
  try {
    writeFileSync(partial, text)
    renameSync(partial, file)
  } catch (e) {
    rmSync(partial, { force: true })
    throw e
  }
}
