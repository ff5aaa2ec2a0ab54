/** Calls: I13, I32. (I29 is judged with the contents.) */
import type { AnyStrategy } from '../../src/fs/strategy.ts'
import { straight } from '../../src/kernel/choices.ts'
import { CHANGED } from '../../src/lab/check/digests.ts'
import type { Look } from '../../src/lab/check/judge.ts'
import type { Program } from '../../src/lab/check/program.ts'
import { World } from '../../src/lab/check/world.ts'
import { execute } from '../../src/sim/scheduler.ts'
import { getBlock } from '../../src/strategies/get-block.ts'
import { reserveAllocate } from '../../src/strategies/reserve-allocate.ts'
import type { Claim } from './claim.ts'

/** What a write may return. */
const shortIsPrefix = (look: Look): string | null => {
  const r = look.history.newest
  if (r === null || !r.ended || r.action.op !== 'write' || r.errno !== null) return null
  const { len } = r.action
  const readable = r.action.readable ?? len
  if (r.position !== null && r.position !== r.from + r.n) {
    return `${look.say(r)}: it began at ${r.from}, and the file position is ${r.position}`
  }
  if (len > 0 && r.n <= 0) return `${look.say(r)}: neither bytes nor an errno`
  return r.n > readable ? `${look.say(r)}: only ${readable} bytes could be read` : null
}

// --- I32 -----------------------------------------------------------------------------------------------------------------

/** What a program leaves behind, and what its calls returned. */
interface Outcome {
  readonly contents: Buffer
  readonly results: string
}

const outcomeOf = (look: Look): Outcome =>
  ({ contents: Buffer.from(look.contents!), results: look.history.records.map((r) => r.errno ?? String(r.n)).join(' ') })

const references = new WeakMap<Program, Map<AnyStrategy, Outcome | null>>()

/** The same program under the reference design, once. */
const reference = (program: Program, strategy: AnyStrategy): Outcome | null => {
  let known = references.get(program)
  if (known === undefined) references.set(program, (known = new Map()))
  let outcome = known.get(strategy)
  if (outcome === undefined) {
    let seen: Outcome | null = null
    const world = new World(program, { strategy, judges: [{ claim: 'I32', on: 0, rest: (look) => {
      seen = outcomeOf(look)
      return []
    } }] })
    execute(world, straight, { steps: 4000 })
    known.set(strategy, (outcome = seen))
  }
  return outcome
}

/** Same format, no fault, no pressure, one fiber: the same bytes, sizes and results as under another design. */
const sameAsOthers = (look: Look): readonly string[] => {
  const { program } = look.world
  const { config, fibers } = program
  const pressed = look.failed.length > 0 || fibers.length > 1 || config.leave !== undefined || config.quota !== undefined
  const hindered = fibers.some((f) => f.some((a) =>
    a.op === 'write' && (a.nowait === true || a.absent === true || a.self !== undefined ||
      (look.fs.strategy.claims.faultIn === 'all' && (a.readable ?? a.len) < a.len))))
  if (pressed || hindered) return []
  if (look.fs.strategy.claims.mayRefuse === true) return []
  const other = look.fs.strategy.name === reserveAllocate.name ? getBlock : reserveAllocate
  const expected = reference(program, other)
  if (expected === null) return []
  const ours = outcomeOf(look)
  if (ours.results !== expected.results) return [`the calls return ${ours.results}; under ${other.name}: ${expected.results}`]
  if (ours.contents.equals(expected.contents)) return []
  const at = ours.contents.findIndex((b, i) => b !== expected.contents[i])
  return [`byte ${at < 0 ? ours.contents.length : at} of the file differs from what ${other.name} leaves`]
}

/** The claims about calls. */
export const CALLS: readonly Claim[] = [
  {
    id: 'I13', family: 'calls', short: 'a short write is a prefix', forced: true,
    sentence: 'A short write is a prefix of at most the readable bytes and at least one, or an errno; a retry continues and never repeats.',
    source: 'write(2); 936e114a245b',
    judges: [{ on: CHANGED.history, step: shortIsPrefix }],
  },
  {
    id: 'I32', family: 'calls', short: 'all designs leave the same bytes', forced: false,
    sentence: 'Same format, no fault, no space pressure, no signal: the same operations under any two strategies give the same results, ' +
      'bytes and sizes.',
    source: 'the port: strategies are interchangeable',
    judges: [{ on: 0, when: ['rest'], rest: sameAsOthers }],
  },
]
