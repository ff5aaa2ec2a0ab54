/**
 * Court: shows images to the judges that this machine has, and counts.
 *
 * The judges are called from a small process of their own: starting e2fsck from a process that holds gigabytes of images
 * costs a third of a second, from this one a few milliseconds. It ends with the court, or with its parent.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Scratch } from '../host/scratch.ts'
import type { FormatName } from '../lab/session.ts'
import { debugfs } from '../oracle/debugfs.ts'
import { e2fsck } from '../oracle/e2fsck.ts'
import type { ExpectedEntry, Judge } from '../oracle/judge.ts'
import { kernelJudge } from '../oracle/kernel-judge.ts'
import { InfrastructureError } from './errors.ts'

/** An expected entry without functions, as it goes to the other process. */
export interface PlainEntry extends Omit<ExpectedEntry, 'contents'> {
  readonly bytes?: Buffer
}

/** What the judges said of the images of one design. */
export interface Judged {
  readonly judge: string
  readonly images: number
  /** `grow@3: Inode 12 ...` */
  readonly refused: readonly string[]
}

/** One image for the other process. `expected` null: the structures only. */
export interface Shown {
  readonly path: string
  readonly format: FormatName
  readonly expected: readonly PlainEntry[] | null
}

/** What the other process answers: for each judge that looked, what was wrong. */
export type Said = { readonly judge: string; readonly lines: readonly string[] }[] | { readonly error: string }

/** The judges of `compare`; the kernel needs root and loop devices. */
export const JUDGES: readonly Judge[] = [e2fsck, debugfs, kernelJudge]

/** Which judges can work here, and of the others, why not. */
export const availableJudges = async (): Promise<{ readonly judges: Judge[]; readonly missing: string[] }> => {
  const judges: Judge[] = []
  const missing: string[] = []
  for (const judge of JUDGES) {
    const can = await judge.available()
    if (can.ok) judges.push(judge)
    else missing.push(`${judge.name}: ${can.why}`)
  }
  return { judges, missing }
}

/** An entry that can be sent. */
export const plainEntry = ({ contents, ...entry }: ExpectedEntry): PlainEntry => {
  const bytes = contents?.()
  return Buffer.isBuffer(bytes) ? { ...entry, bytes } : entry
}

/** Judges, their process and their count. */
export class Court {
  readonly #format: FormatName
  readonly #child: ChildProcess
  readonly #scratch = new Scratch('perform-write-compare')
  readonly #seen = new Map<string, { images: number; refused: string[] }>()

  constructor(format: FormatName) {
    this.#format = format
    const main = fileURLToPath(import.meta.url).replace(/court\.(ts|js)$/, 'court-main.$1')
    this.#child = fork(main, { serialization: 'advanced', execArgv: [] })
  }

  /** Show one image. @throws InfrastructureError if a judge cannot work */
  async show(what: string, image: Buffer, expected: readonly PlainEntry[] | null): Promise<void> {
    const path = this.#scratch.path('image')
    writeFileSync(path, image)
    const said = await this.#ask({ path, format: this.#format, expected })
    rmSync(path)
    if (!Array.isArray(said)) throw new InfrastructureError((said as { error: string }).error)
    for (const { judge, lines } of said) {
      const seen = this.#seen.get(judge) ?? { images: 0, refused: [] }
      this.#seen.set(judge, seen)
      seen.images++
      if (lines.length > 0) seen.refused.push(`${what}: ${lines[0]}`)
    }
  }

  #ask(shown: Shown): Promise<Said> {
    return new Promise((resolve, reject) => {
      const ended = (): void =>
        reject(new InfrastructureError('the process of the judges ended; run again, or with --no-judges'))
      this.#child.once('exit', ended)
      this.#child.once('message', (said) => {
        this.#child.off('exit', ended)
        resolve(said as Said)
      })
      this.#child.send(shown)
    })
  }

  tally(): Judged[] {
    return [...this.#seen].map(([judge, { images, refused }]) => ({ judge, images, refused }))
  }

  close(): void {
    this.#child.kill()
    this.#scratch.close()
  }
}
