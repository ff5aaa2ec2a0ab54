/**
 * Reader: workload files, JSON lines, plain or gzip.
 *
 * Line 1 is the header, every other line one operation; empty lines are passed over. A file is read either whole
 * (`parseWorkload`, `loadWorkload`) or as a stream in constant memory (`readWorkload`). Both stop at the first line
 * that is wrong with a `WorkloadError` that names file and line. gzip is known by its magic, not by the name.
 */
import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { constants, createGunzip, gunzipSync } from 'node:zlib'
import type { Operation, Workload, WorkloadHeader } from './operation.ts'
import { FdCheck, headerProblem, operationProblem, WorkloadError } from './schema.ts'

/** Turns the lines of one file into a header and operations. */
class LineReader {
  private line = 0
  private header: WorkloadHeader | undefined
  private readonly fds = new FdCheck()
  private readonly file: string

  constructor(file: string) {
    this.file = file
  }

  /** The operation of the next line; undefined for the header and for an empty line. */
  next(text: string): Operation | undefined {
    this.line++
    if (text.trim() === '') return undefined
    const value = this.parse(text)
    if (this.header === undefined) {
      this.refuse(headerProblem(value))
      this.header = value as WorkloadHeader
      return undefined
    }
    this.refuse(operationProblem(value))
    this.refuse(this.fds.problem(value as Operation))
    return value as Operation
  }

  /** The header, once the file has ended. */
  end(): WorkloadHeader {
    if (this.header === undefined) this.refuse(headerProblem(undefined))
    return this.header as WorkloadHeader
  }

  /** Throws if there is a problem. */
  private refuse(problem: string | undefined): void {
    if (problem !== undefined) throw new WorkloadError(this.file, Math.max(1, this.line), problem)
  }

  private parse(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch {
      return this.refuse(`not a line of JSON: ${text.length > 60 ? `${text.slice(0, 57)}...` : text}`)
    }
  }
}

/**
 * A workload from its text.
 * @param file what messages call the text
 * @throws WorkloadError at the first line that is wrong
 */
export function parseWorkload(text: string, file = 'workload'): Workload<Operation[]> {
  const reader = new LineReader(file)
  const operations: Operation[] = []
  for (const line of text.split('\n')) {
    const operation = reader.next(line)
    if (operation !== undefined) operations.push(operation)
  }
  return { header: reader.end(), operations }
}

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

const linesIn = (text: string): number => text.split('\n').length - 1

/** What can be unpacked of gzip data that is cut off; nothing if it is damaged. For the line number. */
function gunzipPrefix(bytes: Uint8Array): string {
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString('utf8')
  } catch {
    return ''
  }
}

const gzipProblem = (cause: unknown): string =>
  `the gzip data is cut off or damaged (${cause instanceof Error ? cause.message : String(cause)}); get the file again`

/** A workload from a file, whole. @throws WorkloadError if it is not one; the error of node:fs if it cannot be read */
export function loadWorkload(file: string): Workload<Operation[]> {
  const bytes = readFileSync(file)
  if (!isGzip(bytes)) return parseWorkload(bytes.toString('utf8'), file)
  let text: string
  try {
    text = gunzipSync(bytes).toString('utf8')
  } catch (cause) {
    throw new WorkloadError(file, linesIn(gunzipPrefix(bytes)) + 1, gzipProblem(cause))
  }
  return parseWorkload(text, file)
}

/** The chunks of a file, unpacked if they are gzip. */
async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(2), 0, 2, 0)
    const source = handle.createReadStream({ start: 0, autoClose: false })
    if (bytesRead < 2 || !isGzip(buffer)) return yield* source
    const gunzip = createGunzip()
    source.on('error', cause => gunzip.destroy(cause)).pipe(gunzip)
    yield* gunzip
  } finally {
    await handle.close()
  }
}

/** The lines of a stream. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() as string
    yield* lines
  }
  yield rest + decoder.decode()
}

const isGzipFailure = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' && cause.code.startsWith('Z_')

/**
 * The lines of a file, packed or not, without line ends, in constant memory.
 * @throws WorkloadError (as a rejection) if gzip data is cut off or damaged
 */
export async function* readLines(file: string): AsyncGenerator<string> {
  let line = 0
  try {
    for await (const text of linesOf(chunksOf(file))) {
      line++
      yield text
    }
  } catch (cause) {
    throw isGzipFailure(cause) ? new WorkloadError(file, line + 1, gzipProblem(cause)) : cause
  }
}

async function* operationsOf(file: string, reader: LineReader): AsyncGenerator<Operation> {
  for await (const line of readLines(file)) {
    const operation = reader.next(line)
    if (operation !== undefined) yield operation
  }
  reader.end()
}

/**
 * A workload from a file, as a stream: the header at once, the operations as they are read, in constant memory.
 * @throws WorkloadError (as a rejection) at the first line that is wrong, here or while the operations are read
 */
export async function readWorkload(file: string): Promise<Workload<AsyncIterable<Operation>>> {
  const reader = new LineReader(file)
  const rest = operationsOf(file, reader)
  const first = await rest.next()
  async function* operations(): AsyncGenerator<Operation> {
    if (first.done !== true) yield first.value
    yield* rest
  }
  return { header: reader.end(), operations: operations() }
}
