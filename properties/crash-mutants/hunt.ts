/** Hunt: the crash states of the workload of a mutant, until one breaks the claim that it names. */
import { CRASH_CLAIMS, crashPrograms, crashWorkload, type RunOptions } from '../../src/lab/crash/run.ts'
import { openWorkload } from '../../src/lab/workload/registry.ts'
import { strategies } from '../../src/strategies/index.ts'
import type { CrashMutant } from './index.ts'
import type { CrashOrder, Hunted } from './load.ts'

/** Runs of concurrent programs, at most. */
const RUNS = 600

/** Look for a mutant, or for what it breaks in the good sources. */
export const hunt = (m: CrashMutant, order: CrashOrder): Hunted => {
  const o: RunOptions = {
    strategy: strategies.find((s) => s.name === m.strategy)!, mode: m.mode, states: order.states,
    seed: 1, torn: false, flushes: true, tries: 60,
  }
  const start = performance.now()
  const { shrunk, states } = m.workload === 'concurrent'
    ? crashPrograms({ ...o, states: Math.min(300, order.states) }, RUNS)
    : inWorkload(o, m.workload)
  const broken = shrunk.map((c) => ({
    claim: c.claim, what: c.what, actions: (c.scenario.operations?.length ?? 0) + (c.scenario.program?.fibers.flat().length ?? 0),
    lost: (c.tape.crash ?? []).slice(1).filter((d) => d.pick !== 0).length,
  }))
  return { states, seconds: (performance.now() - start) / 1000, broken: broken.filter((b) => b.claim in CRASH_CLAIMS) }
}

const inWorkload = (o: RunOptions, workload: string): { shrunk: ReturnType<typeof crashWorkload>['shrunk']; states: number } => {
  const { shrunk, report } = crashWorkload(o, [...openWorkload(workload).operations])
  return { shrunk, states: report.states }
}
