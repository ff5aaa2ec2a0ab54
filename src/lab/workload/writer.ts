/**
 * Writer: the inverse of the reader. Fields stand in the order of the schema, so that one workload has one text and
 * files can be compared line by line.
 */
import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { Operation, Workload, WorkloadHeader } from './operation.ts'
import { HEADER_KEYS, OPERATION_KEYS } from './schema.ts'

/** The line of a header, without the line end. */
export const formatHeader = (header: WorkloadHeader): string => JSON.stringify(header, HEADER_KEYS as string[])

/** The line of an operation, without the line end. */
export const formatOperation = (operation: Operation): string =>
  JSON.stringify(operation, OPERATION_KEYS.get(operation.op) as string[])

/** The lines of a workload file, without line ends, one at a time. */
export function* formatWorkload(workload: Workload): Generator<string> {
  yield formatHeader(workload.header)
  for (const operation of workload.operations) yield formatOperation(operation)
}

/**
 * Write a workload to a file, packed with gzip if the name ends in `.gz`. The same workload gives the same bytes.
 * @throws the error of node:fs if the file cannot be written
 */
export function saveWorkload(file: string, workload: Workload): void {
  let text = ''
  for (const line of formatWorkload(workload)) text += `${line}\n`
  writeFileSync(file, file.endsWith('.gz') ? gzipSync(text, { level: 9 }) : text)
}
