/** What commands share: sizes, names of designs and formats, and the files that they write. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { InvalidArgumentError } from 'commander'
import type { AnyStrategy } from '../fs/strategy.ts'
import { FORMATS, type FormatName } from '../lab/session.ts'
import { strategies } from '../strategies/index.ts'
import { UsageError } from './errors.ts'

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

/** Bytes from `64M`, `4096`, `1GiB`. @throws InvalidArgumentError if it is no size */
export const parseSize = (text: string): number => {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text) ?? []
  const bytes = digits === undefined ? NaN : Number(digits) * UNITS[unit!.toUpperCase()]!
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new InvalidArgumentError('Give a size such as 4096, 64M or 1G.')
  }
  return bytes
}

/** A whole number of at least 0. @throws InvalidArgumentError if it is none */
export const parseWhole = (text: string): number => {
  const n = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n)) throw new InvalidArgumentError('Give a whole number of at least 0.')
  return n
}

/** An order of folios. @throws InvalidArgumentError if it is not 0 to 9 */
export const parseOrder = (text: string): number => {
  const n = parseWhole(text)
  if (n > 9) throw new InvalidArgumentError('Give an order of 0 (4 KiB) to 9 (2 MiB).')
  return n
}

/** Bytes in a block. @throws InvalidArgumentError if it is not 1024, 2048 or 4096 */
export const parseBlockSize = (text: string): number => {
  const n = parseSize(text)
  if (![1024, 2048, 4096].includes(n)) throw new InvalidArgumentError('Give 1024, 2048 or 4096.')
  return n
}

/** Blocks of a journal, or `auto`. @throws InvalidArgumentError if it is neither */
export const parseJournal = (text: string): number | 'auto' => {
  if (text === 'auto') return 'auto'
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Give a number of blocks, at least 1024, or auto.')
  return Number(text)
}

/** The format with this name. @throws UsageError that lists the names */
export const formatNamed = (name: string): FormatName => {
  const found = FORMATS.find((f) => f === name)
  if (found === undefined) throw new UsageError(`no file system is named "${name}"; known are ${FORMATS.join(', ')}`)
  return found
}

/** The design with this name. @throws UsageError that lists the names */
export const strategyNamed = (name: string): AnyStrategy => {
  const found = strategies.find((s) => s.name === name)
  if (found !== undefined) return found
  throw new UsageError(`no design is named "${name}"; known are ${strategies.map((s) => s.name).join(', ')}`)
}

/** The part of every machine-readable file that others rely on. */
export const JSON_HEAD = { schema: 1, tool: 'perform-write' } as const

/** Write a machine-readable result; the file is either whole or not there. */
export const writeJson = (file: string, value: Readonly<Record<string, unknown>>): void => {
  const partial = `${file}.partial`
  try {
    writeFileSync(partial, `${JSON.stringify({ ...JSON_HEAD, ...value }, null, 2)}\n`)
    renameSync(partial, file)
  } catch (e) {
    rmSync(partial, { force: true })
    throw e
  }
}
