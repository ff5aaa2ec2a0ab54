/**
 * Importers: recordings of other tools become workloads.
 *
 * Interface: `importFile(format, file, options)` reads a file line by line, packed or not; the raw text is never held.
 */
import { readLines } from '../reader.ts'
import { FioIologImporter } from './fio-iolog.ts'
import { importStream } from './recorder.ts'
import type { Imported, Importer, ImportOptions } from './recorder.ts'
import { StraceImporter } from './strace.ts'

export type { Imported, ImportOptions } from './recorder.ts'
export { importFioIolog } from './fio-iolog.ts'
export { importStrace } from './strace.ts'

/** The formats that can be imported, by name. */
export const IMPORTERS = {
  strace: (options: ImportOptions): Importer => new StraceImporter(options),
  'fio-iolog': (options: ImportOptions): Importer => new FioIologImporter(options),
} as const

/** A format that can be imported. */
export type ImportFormat = keyof typeof IMPORTERS

/** True if `name` is a format that can be imported. */
export const isImportFormat = (name: string): name is ImportFormat => Object.hasOwn(IMPORTERS, name)

/**
 * A workload from a file of another tool.
 * @throws WorkloadError (as a rejection) at the first line that is malformed
 */
export const importFile = (
  format: ImportFormat,
  file: string,
  options: Omit<ImportOptions, 'file'>,
): Promise<Imported> => importStream(IMPORTERS[format]({ ...options, file }), readLines(file))
