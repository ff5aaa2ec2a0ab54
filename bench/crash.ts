/**
 * Crash states a second, for `npm run bench:check`: recorded workloads, recovery and check of every state in process, all promises
 * and claims looked at in each. Processor time of one thread; the recording is not counted. Rounds take turns, the median counts.
 */
import Table from 'cli-table3'
import { crash } from '../src/lab/crash/crash.ts'
import type { CrashMode } from '../src/lab/crash/declared.ts'
import { recordWorkload } from '../src/lab/crash/record.ts'
import { openWorkload } from '../src/lab/workload/registry.ts'
import { reserveAllocate } from '../src/strategies/reserve-allocate.ts'
import { type Estimate, estimate, show } from '../src/lab/statistics.ts'

/** States a second that are aimed at. */
const TARGET = 20_000
/** States that each round asks for. */
const STATES = 12_000
const MODES: readonly CrashMode[] = ['ext2', 'ext4,data=ordered', 'ext4,data=journal']

/** Measure and print. @returns thousands of states a second by mode */
export const benchCrash = (rounds: number): Readonly<Record<string, Estimate>> => {
  const operations = [...openWorkload('append').operations]
  const recordings = MODES.map((mode) =>
    ({ mode, recording: recordWorkload({ strategy: reserveAllocate, mode, operations, size: 16 << 20 }) }))
  const rates = new Map<CrashMode, number[]>(MODES.map((m) => [m, []]))
  const said = new Map<CrashMode, string>()
  for (let r = 0; r < rounds; r++) {
    for (const { mode, recording } of recordings) {
      const before = process.cpuUsage()
      const report = crash(recording, { states: STATES, seed: r + 1, sampleOnly: true })
      const { user, system } = process.cpuUsage(before)
      rates.get(mode)!.push((report.judged * 1e6) / (user + system))
      const { states, evaluations, promises, recovered } = report
      said.set(mode, `${states} distinct, ${evaluations} evaluations, ${promises} promises, ${recovered} recovered`)
    }
  }
  const table = new Table({ head: ['crash states of append', 'states/s of one core', 'in one round'], style: { head: [], border: [] } })
  const estimates: Record<string, Estimate> = {}
  for (const [mode, all] of rates) {
    estimates[mode] = estimate(all.map((x) => x / 1000))
    table.push([mode, `${show(estimates[mode])} thousand`, said.get(mode)!])
  }
  console.log(table.toString())
  const slowest = Math.min(...Object.values(estimates).map((e) => e.median * 1000))
  console.log(`target ${TARGET.toLocaleString('en')} crash states/s: ${slowest >= TARGET ? 'reached' : 'BELOW'} by the slowest mode`)
  return estimates
}
