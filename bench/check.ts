/**
 * npm run bench:check: how fast a check runs, in its own scenario: a mounted ext2 image, the real pipeline, all claims looking
 * after every step, and the state brought back for each execution.
 *
 * Three writers of one page each. Executions by chance, to exhaustion (each state once), every run, and reduced by source-DPOR;
 * beside `fc.scheduler` of fast-check on the very same fibers, in the same run. Then a bug is planted in the same world (a folio
 * is uptodate before anything is in it, Z08) and must be found. Rates are per second of processor time of one thread; rounds
 * take turns and the median counts, with its 95 % interval. Options: --rounds N, --json FILE.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import * as fc from 'fast-check'
import { Verbs } from '../src/fs/verbs.ts'
import { straight } from '../src/kernel/choices.ts'
import type { Kernel } from '../src/kernel/kernel.ts'
import type { Program } from '../src/lab/check/program.ts'
import { World } from '../src/lab/check/world.ts'
import { type Folio, UPTODATE } from '../src/pagecache/folio.ts'
import type { AddressSpace } from '../src/pagecache/address-space.ts'
import { dpor } from '../src/sim/dpor.ts'
import { explore } from '../src/sim/explore.ts'
import { execute, Machine } from '../src/sim/scheduler.ts'
import { randomChoices } from '../src/sim/sources.ts'
import { reserveAllocate } from '../src/strategies/reserve-allocate.ts'
import { CLAIMS, JUDGES } from '../properties/claims/index.ts'
import { benchCrash } from './crash.ts'
import { type Estimate, estimate, show } from '../src/lab/statistics.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '11' }, json: { type: 'string' } } })
const rounds = Number(options.rounds)
const TARGET = 50_000
const FLOOR = 20_000

const config = { format: 'ext2', blockSize: 1024, folioOrder: 0 } as const
const writers: Program = {
  config, before: [{ op: 'write', pos: 0, len: 12288 }],
  fibers: [0, 1, 2].map((page) => [{ op: 'write', pos: page * 4096, len: 4096 }]),
}
const world = new World(writers, { strategy: reserveAllocate, judges: JUDGES, slowDevice: false })
const machine = new Machine(world)

/** Seconds of processor time that `work` took. */
const spent = async (work: () => unknown): Promise<number> => {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** One execution under a scheduler of fast-check: the same fibers, steps and judges. */
const underFastCheck = async (scheduler: fc.Scheduler): Promise<void> => {
  const fibers = world.begin(straight)
  const over = fibers.map(async ({ kernel }, i) => {
    for (;;) {
      world.footprint.clear()
      const step = kernel.next()
      world.stepped(i)
      if (step.done === true) return
      const op = step.value as { label: string; ready(): boolean }
      do await scheduler.schedule(Promise.resolve(), op.label)
      while (!op.ready())
    }
  })
  await scheduler.waitFor(Promise.all(over))
  world.ended()
}

const RUNS = 4000
const rates: Record<string, number[]> = { chance: [], 'each state once': [], 'fc.scheduler': [] }
let search = explore(world)
for (let r = 0; r < rounds; r++) {
  const draw = randomChoices(r, { fault: 0 })
  rates['chance']!.push(RUNS / await spent(() => { for (let i = 0; i < RUNS; i++) execute(world, draw, { machine }) }))
  let n = 0
  const seconds = await spent(() => { for (let i = 0; i < 20; i++) n += (search = explore(world)).executions })
  rates['each state once']!.push(n / seconds)
  const few = 300
  const property = fc.asyncProperty(fc.scheduler(), underFastCheck)
  rates['fc.scheduler']!.push(few / await spent(() => fc.assert(property, { numRuns: few, seed: r })))
}

const brute = explore(world, { prune: false })
const reduced = dpor(world)
const exhaust = await spent(() => explore(world))
const evaluations = [...world.evaluations.values()].reduce((a, b) => a + b, 0)

/** A folio is uptodate before anything is in it (libfs, patch 1/9 of the 2007-02 series). */
class EarlyUptodate extends Verbs {
  override *grabFolio(space: AddressSpace, index: number, bytes: number, stable: boolean): Kernel<Folio, 'ENOMEM'> {
    const f = yield* super.grabFolio(space, index, bytes, stable)
    f.change(0, f.size, UPTODATE, 0)
    return f
  }
}
const planted = new World(
  { config, before: [], fibers: [...writers.fibers.slice(0, 2), [{ op: 'read', pos: 0, len: 4096 }]] },
  { strategy: reserveAllocate, judges: JUDGES, verbs: EarlyUptodate, slowDevice: false },
)
let hunt = search
const huntSeconds = await spent(() => { hunt = explore(planted) })

const table = new Table({ head: ['3 writers x 1 page', 'executions/s of one core'], style: { head: [], border: [] } })
const estimates: Record<string, Estimate> = {}
for (const [name, all] of Object.entries(rates)) {
  estimates[name] = estimate(all.map((x) => x / 1000))
  table.push([name, `${show(estimates[name])} thousand`])
}
const rate = estimates['each state once']!.median * 1000
const found = hunt.findings[0]
console.log(table.toString())
console.log(`exhausted in ${(exhaust * 1000).toFixed(1)} ms: ${search.states} states, ${search.executions} executions; ` +
  `every run: ${brute.executions}; by source-DPOR: ${reduced.executions}; ` +
  `ends reached: ${search.endStates.length}, ${brute.endStates.length}, ${reduced.endStates.length}`)
console.log(`${CLAIMS.length} claims, ${evaluations.toLocaleString('en')} evaluations in this run`)
const verdict = rate >= TARGET ? 'target reached' : rate >= FLOOR ? 'above the floor' : 'BELOW THE FLOOR'
console.log(`target ${TARGET.toLocaleString('en')}/s, floor ${FLOOR.toLocaleString('en')}/s: ${verdict}`)
console.log(found === undefined
  ? 'Z08 planted: NOT FOUND'
  : `Z08 planted: ${found.claim} broken after ${hunt.executions} executions, ${(huntSeconds * 1000).toFixed(1)} ms: ${found.what}`)
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, ${rounds} rounds`)
const crashed = benchCrash(rounds)
if (options.json !== undefined) {
  const result = {
    schema: 1, tool: 'perform-write', rates: estimates, exhaustSeconds: exhaust, evaluations, z08: found ?? null, crash: crashed,
  }
  writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
}
if (found === undefined || brute.endStates.join() !== search.endStates.join()) process.exitCode = 1
