/**
 * Cost: a workload through one design, with what it cost and whether the answers were right.
 *
 * A replay is checked by whoever is given as the checker: it is told each operation and its outcome, and says in one line
 * what is wrong. Without one nothing is checked and the time is that of the write path alone.
 */
import { isLeft } from 'fp-ts/lib/Either.js'
import { type Ledger, since, snapshot } from '../kernel/ledger.ts'
import { Replayer } from './replay.ts'
import type { Session } from './session.ts'
import type { Operation, Workload } from './workload/operation.ts'
import { type SourceName, sourceWriter } from './write-source.ts'

/** Judges a replay from outside; shares no code with the write path. */
export interface Checker {
  /** @returns one line that says what is wrong, or null */
  apply(op: Operation, index: number, actual: { n: number; errno: string | null; bytes: Buffer }): string | null
  /** All files against what the session holds now. @returns one line for each that differs */
  compare(session: Session): string[]
}

/** The first thing that was wrong. */
export interface Problem {
  /** Operation, counted from 0 after the header; -1 for the state at the end. */
  readonly index: number
  readonly what: string
}

/** How a replay went. Plain data. */
export interface Replayed {
  readonly operations: number
  /** Bytes that write and writev accepted. */
  readonly bytesWritten: number
  readonly bytesRead: number
  /** Operations by name. */
  readonly counts: Readonly<Record<string, number>>
  /** Operations that failed: `write ENOSPC` to how often. */
  readonly failures: Readonly<Record<string, number>>
  readonly ledger: Ledger
  readonly problem: Problem | null
  /** Milliseconds of wall time, sync included. */
  readonly ms: number
}

/** What a replay may be told. */
export interface ReplayOptions {
  readonly salt?: number
  /** Where the bytes of writes come from; default plain memory. What making the source costs is not counted. */
  readonly source?: SourceName
  readonly checker?: Checker
  /** Called before each operation: for progress. */
  readonly beat?: (index: number) => void
}

/** Replay `workload` on a session, close what it left open, sync; then compare all files. The session stays mounted. */
export const replay = (session: Session, workload: Workload, options: ReplayOptions = {}): Replayed => {
  const { checker, beat } = options
  const writer = sourceWriter(options.source ?? 'user', session)
  const replayer = new Replayer(session.posix, options.salt ?? 0, writer)
  const counts: Record<string, number> = {}
  const failures: Record<string, number> = {}
  let [index, bytesWritten, bytesRead] = [0, 0, 0]
  let problem: Problem | null = null
  const start = performance.now()
  for (const op of workload.operations) {
    beat?.(index)
    const outcome = replayer.step(op, index)
    counts[op.op] = (counts[op.op] ?? 0) + 1
    if (isLeft(outcome)) failures[`${op.op} ${outcome.left}`] = (failures[`${op.op} ${outcome.left}`] ?? 0) + 1
    else if (op.op === 'write' || op.op === 'writev') bytesWritten += outcome.right
    else if (op.op === 'read') bytesRead += outcome.right
    if (checker !== undefined && problem === null) {
      const answer = isLeft(outcome) ? { n: -1, errno: outcome.left } : { n: outcome.right, errno: null }
      const what = checker.apply(op, index, { ...answer, bytes: replayer.lastRead })
      if (what !== null) problem = { index, what }
    }
    index++
  }
  replayer.closeAll()
  const synced = session.posix.sync()
  const ms = performance.now() - start
  const ledger = since(writer.aside, snapshot(session.ledger))
  if (isLeft(synced)) problem ??= { index: -1, what: `sync failed with ${synced.left}` }
  const differs = problem === null ? checker?.compare(session)[0] : undefined
  if (differs !== undefined) problem = { index: -1, what: differs }
  return { operations: index, bytesWritten, bytesRead, counts, failures, ledger, problem, ms }
}
