/** Progress on stderr: one line that is rewritten on a terminal, elsewhere a rare plain one. Nothing below two seconds. */

/** Milliseconds before anything is said, and between plain lines. */
const QUIET = 2000
const RARE = 10_000

/** The progress of one command. */
export class Progress {
  readonly #name: string
  readonly #start = performance.now()
  #last = 0
  #shown = false

  /** @param name of the command, which begins each line */
  constructor(name: string) {
    this.#name = name
  }

  /** `doing` goes on: `38 of 93 scenes`. */
  say(doing: string): void {
    const now = performance.now() - this.#start
    const tty = process.stderr.isTTY === true
    if (now < QUIET || now - this.#last < (tty ? 100 : RARE)) return
    this.#last = now
    const line = `${this.#name}: ${doing}, ${Math.round(now / 1000)} s`
    process.stderr.write(tty ? `\r\x1b[K${line}` : `${line}\n`)
    this.#shown = tty
  }

  /** Take the line away. */
  done(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K')
    this.#shown = false
  }
}
