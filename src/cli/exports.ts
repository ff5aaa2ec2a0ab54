/** The files that a comparison is written to: JSON for programs and as a baseline; CSV, Markdown and LaTeX for people. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { csvOf, latexOf, markdownOf } from '../report/exports.ts'
import type { Comparison } from '../report/document.ts'

/** Where to. */
export interface ExportOptions {
  readonly json?: string
  readonly save?: string
  readonly csv?: string
  readonly markdown?: string
  readonly latex?: string
}

/** Adds the options that name files. */
export const addExportOptions = (command: Command): Command =>
  command
    .option('--save <file>', 'write the result as a baseline for --against')
    .option('--json <file>', 'the same document, for programs')
    .option('--csv <file>', 'one row a number, with its manifest')
    .option('--markdown <file>', 'the tables in Markdown')
    .option('--latex <file>', 'the tables in LaTeX (booktabs)')

/** Write what was asked for; each file is either whole or as it was. */
export const writeExports = async (c: Comparison, o: ExportOptions): Promise<void> => {
  const text = `${JSON.stringify(c, null, 2)}\n`
  if (o.json !== undefined) writeWhole(o.json, text)
  if (o.save !== undefined) writeWhole(o.save, text)
  if (o.csv !== undefined) writeWhole(o.csv, csvOf(c))
  if (o.markdown !== undefined) writeWhole(o.markdown, markdownOf(c))
  if (o.latex !== undefined) writeWhole(o.latex, latexOf(c))
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
