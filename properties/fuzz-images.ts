/**
 * fuzz-images: damaged images by the thousand. Mounting one may be refused and every call may fail; nothing may throw, hang,
 * or reach outside the device.
 *
 *   node properties/fuzz-images.ts [--inputs 100000] [--seed 1] [--input N]
 *
 * `--input N` plays that one of the run again. A finding is cut down to the least damage that shows it, printed, and saved as
 * a file ready for properties/corpus/images. Exit code: 0 nothing found, 1 something was, 2 usage.
 *
 * The inputs are played in a worker; one that has not come back after TOO_LONG is a finding too.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Damage, drawInput, type Input } from './fuzz/input.ts'
import { play } from './fuzz/play.ts'

/** Milliseconds that one input may take; an ordinary one takes about one. */
const TOO_LONG = 10_000
/** Inputs between two reports of a worker. */
const BATCH = 500

interface Job {
  readonly run: number
  readonly from: number
  readonly to: number
  /** The number of the input that is being played. */
  readonly at: Int32Array
}

type Report = { readonly played: number, readonly mounted: number } | { readonly found: number, readonly finding: string }

/** Leave out what is not needed to fail: whole pieces of damage, then bytes of each. */
export const shrink = (input: Input, fails: (input: Input) => boolean): Input => {
  let best = input
  const better = (damage: readonly Damage[]): boolean => {
    const fewer = { ...best, damage }
    if (!fails(fewer)) return false
    best = fewer
    return true
  }
  for (let i = best.damage.length - 1; i >= 0; i--) better(best.damage.filter((_, j) => j !== i))
  for (let i = 0; i < best.damage.length; i++) {
    for (let half = best.damage[i]!.bytes.length >> 2 << 1; half >= 2; half = half >> 2 << 1) {
      const { at, bytes } = best.damage[i]!
      const pieces: Damage[] = [{ at, bytes: bytes.slice(0, -half) }, { at: at + half / 2, bytes: bytes.slice(half) }]
      while (pieces.some((piece) => piece.bytes !== '' && better(best.damage.map((d, j) => (j === i ? piece : d))))) break
    }
  }
  return best
}

const work = ({ run, from, to, at }: Job): void => {
  const tell = (report: Report): void => parentPort!.postMessage(report)
  let mounted = 0
  for (let n = from; n < to; n++) {
    Atomics.store(at, 0, n)
    const played = play(drawInput(run, n))
    if (played.mounted) mounted++
    if (played.finding !== null) return tell({ found: n, finding: played.finding })
    if ((n + 1 - from) % BATCH === 0 || n + 1 === to) tell({ played: n + 1, mounted })
  }
}

const save = (run: number, n: number, input: Input, finding: string): void => {
  const path = `fuzz-${run}-${n}.json`
  writeFileSync(path, `${JSON.stringify({ wrong: finding, ...input }, null, 2)}\n`)
  console.error(`FOUND in input ${n} of run ${run}: ${finding}\nsaved as ${path}; play it again with --seed ${run} --input ${n}`)
}

const one = (run: number, n: number): number => {
  const input = drawInput(run, n)
  const { finding, mounted } = play(input)
  console.error(`input ${n} of run ${run}: ${JSON.stringify(input)}\n${finding ?? `nothing found; ${mounted ? 'mounted' : 'refused'}`}`)
  return finding === null ? 0 : 1
}

/** Play all inputs. @returns the exit code */
const fuzz = (run: number, inputs: number): Promise<number> => new Promise((done) => {
  const at = new Int32Array(new SharedArrayBuffer(4))
  const begun = Date.now()
  const worker = new Worker(new URL(import.meta.url), { workerData: { run, from: 0, to: inputs, at } satisfies Job })
  let [last, since] = [-1, Date.now()]
  const end = (code: number): void => {
    clearInterval(watch)
    void worker.terminate().then(() => done(code))
  }
  const watch = setInterval(() => {
    const now = Atomics.load(at, 0)
    if (now !== last) [last, since] = [now, Date.now()]
    else if (Date.now() - since > TOO_LONG) {
      save(run, now, drawInput(run, now), `no answer after ${TOO_LONG / 1000} seconds`)
      end(1)
    }
  }, 500)
  worker.on('error', (error) => {
    console.error('fuzz:', error)
    end(1)
  })
  worker.on('message', (report: Report) => {
    if ('found' in report) {
      const input = drawInput(run, report.found)
      const kind = (finding: string | null): string => finding?.split(' | ')[1] ?? finding ?? ''
      const least = shrink(input, (fewer) => kind(play(fewer).finding) === kind(report.finding))
      save(run, report.found, least, play(least).finding ?? report.finding)
      return end(1)
    }
    const seconds = (Date.now() - begun) / 1000
    const rate = Math.round(report.played / seconds)
    if (report.played % 5000 === 0) console.error(`${report.played} inputs, ${report.mounted} mounted, ${rate} a second`)
    if (report.played === inputs) {
      console.error(`${inputs} inputs, ${report.mounted} mounted, 0 findings, ${Math.round(seconds)} s`)
      end(0)
    }
  })
})

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' }, input: { type: 'string' },
    },
  })
  const [inputs, run, input] = [Number(values.inputs), Number(values.seed), Number(values.input ?? 0)]
  if (!Number.isInteger(inputs) || inputs < 1 || !Number.isInteger(run) || !Number.isInteger(input) || input < 0) {
    console.error('fuzz: --inputs, --seed and --input must be whole numbers, as in --inputs 100000 --seed 1')
    return 2
  }
  return values.input === undefined ? fuzz(run, inputs) : one(run, input)
}

if (!isMainThread) work(workerData as Job)
else if (import.meta.main) process.exitCode = await main()
