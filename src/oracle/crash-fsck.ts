/**
 * e2fsck as a judge of crash states: a replay of the journal and nothing else (`-E journal_only`), then `-fn`, which must find
 * nothing. `-fy` and `-p` take no part: what they repair was broken.
 *
 * Of what `-fn` says only the sums in the superblock are left out: they are behind after any crash, and a mount puts them right.
 * The image is one file; from state to state only the blocks that differ are written.
 */
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import type { Availability } from '../host/availability.ts'
import { availability } from '../host/availability.ts'
import { run } from '../host/process.ts'
import { Scratch } from '../host/scratch.ts'
import type { ImageJudge, WholeState } from '../lab/crash/crash.ts'
import { declared } from '../lab/crash/declared.ts'
import type { Judged } from '../lab/crash/judge.ts'
import type { Recording } from '../lab/crash/record.ts'

/** Lines that say nothing about what is wrong. */
const NOISE = /^(e2fsck \d|Pass \d|$|.*: [\d/]+ files \(|.*\*{5,}|Fix\? no|.*: recovering journal|Setting free)/
/** The sums in the superblock. */
const SUMS = /^Free (blocks|inodes) count wrong \(\d+, counted=\d+\)\./

/** Bytes compared at a time when the image is brought back. */
const CHUNK = 1 << 16

/** What e2fsck objects to in its own words, without the sums of the superblock. */
export const objections = (output: string): readonly string[] =>
  output.split('\n').map((line) => line.trim().replace(/ ?(Fix|Clear|Salvage|Connect to \/lost\+found)\? no$/, ''))
    .filter((line) => line !== '' && !NOISE.test(line) && !SUMS.test(line))

/** An image file that holds one state after the other. */
export class StateFile {
  readonly path: string
  readonly #fd: number
  readonly #blockSize: number
  readonly #held: Buffer

  constructor(path: string, { first, log }: Recording) {
    this.path = path
    this.#blockSize = log.blockSize
    this.#held = first.image()
    this.#fd = openSync(path, 'w+')
    ftruncateSync(this.#fd, this.#held.length)
    writeSync(this.#fd, this.#held)
  }

  /** Make the file hold this state. */
  hold(blocks: ReadonlyMap<number, Buffer>): void {
    for (const [nr, bytes] of blocks) {
      const pos = nr * this.#blockSize
      if (this.#held.compare(bytes, 0, bytes.length, pos, pos + bytes.length) === 0) continue
      bytes.copy(this.#held, pos)
      writeSync(this.#fd, bytes, 0, bytes.length, pos)
    }
  }

  /** Undo what somebody else wrote to the file. @returns true if there was something */
  bringBack(): boolean {
    const now = Buffer.allocUnsafe(this.#held.length)
    readSync(this.#fd, now, 0, now.length, 0)
    let changed = false
    for (let pos = 0; pos < now.length; pos += CHUNK) {
      const n = Math.min(CHUNK, now.length - pos)
      if (now.compare(this.#held, pos, pos + n, pos, pos + n) === 0) continue
      changed = true
      writeSync(this.#fd, this.#held, pos, n, pos)
    }
    return changed
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** e2fsck on crash states. */
export class FsckJudge implements ImageJudge {
  readonly #recording: Recording
  readonly #scratch = new Scratch('perform-write-crash')
  readonly #file: StateFile

  constructor(recording: Recording) {
    this.#recording = recording
    this.#file = new StateFile(this.#scratch.path('image'), recording)
  }

  static available(): Availability {
    return availability({ programs: { e2fsck: 'e2fsprogs' } })
  }

  async judge({ blocks }: WholeState): Promise<Judged> {
    this.#file.hold(blocks)
    const { structure } = declared[this.#recording.mode]
    const lines: string[] = []
    const hasJournal = this.#recording.layout.journalIno !== 0
    if (hasJournal) {
      const replayed = await run('e2fsck', ['-E', 'journal_only', '-y', this.#file.path])
      const [first = ''] = objections(`${replayed.stdout}\n${replayed.stderr}`)
      if (replayed.code > 1) lines.push(`the replay ends with ${replayed.code}: ${first}`)
    }
    const { code, stdout, stderr } = await run('e2fsck', ['-f', '-n', this.#file.path])
    if (code !== 0) lines.push(...objections(`${stdout}\n${stderr}`))
    const recovered = hasJournal && this.#file.bringBack()
    return {
      promises: 1, recovered,
      findings: lines.slice(0, 3).map((what) => ({ claim: 'I5', what: `e2fsck: ${what}`, declared: structure })),
    }
  }

  close(): void {
    this.#file.close()
    this.#scratch.close()
  }
}
