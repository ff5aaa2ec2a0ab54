/**
 * What changed between two comparisons: counts exactly, verdicts by name, wall time by its intervals.
 *
 * Only what both have is compared, and only where it is the same experiment: the same ground, workload (by its sha256) and
 * source. What cannot be compared is said in a line, never passed over. Wall times in ms are compared on the same machine and
 * Node only; elsewhere the ratios to the same baseline are.
 */
import { type Counter, COUNTERS } from '../kernel/ledger.ts'
import { type Estimate, overlap, show } from '../lab/statistics.ts'
import { type Column, type Comparison, type Race, type ReportedRun, sameGround, sayGround, sayRun } from './document.ts'
import { count } from './format.ts'
import { paint, wrap } from './table.ts'

/** A count that is not what it was. */
export interface CountChange {
  /** `get-block, append`: where. */
  readonly where: string
  readonly what: string
  readonly before: number
  readonly now: number
}

/** Everything that changed. */
export interface Changes {
  /** How many counts were compared. */
  readonly compared: number
  readonly counts: readonly CountChange[]
  /** `get-block I12: pass, was fail` */
  readonly verdicts: readonly string[]
  /** Wall time whose intervals share no value. */
  readonly wall: readonly string[]
  /** How many intervals were compared. */
  readonly intervals: number
  /** What could not be compared, and why. */
  readonly apart: readonly string[]
}

const RUN = ['operations', 'bytesWritten', 'bytesRead'] as const
const PASS = ['plays', 'faulted', 'failedWrites'] as const

/** Numbers of `now` that are not those of `before`, each named by `keys`. */
const differences = <K extends string>(
  where: string, keys: readonly K[], before: Readonly<Record<K, number>>, now: Readonly<Record<K, number>>, said = (k: K): string => k,
): CountChange[] =>
  // A counter that the older version did not have is 0 there.
  keys.filter((k) => (before[k] ?? 0) !== now[k]).map((k) => ({ where, what: said(k), before: before[k] ?? 0, now: now[k] }))

/** What changed from `before` to `now`. */
export const changes = (before: Comparison, now: Comparison): Changes => {
  const counts: CountChange[] = []
  const verdicts: string[] = []
  const apart: string[] = []
  let compared = 0
  const other = (w: string): boolean => before.manifest.workloads[w]?.sha256 !== now.manifest.workloads[w]?.sha256
  for (const c of now.designs) {
    const was = before.designs.find((d) => d.name === c.name && sameGround(d, c))
    const where = now.grounds.length > 1 ? `${c.name} on ${sayGround(c)}` : c.name
    if (was === undefined) {
      apart.push(`${where}: not in the baseline`)
      continue
    }
    const pairs: [string, ReportedRun, ReportedRun][] = c.runs.flatMap((run): [string, ReportedRun, ReportedRun][] => {
      const old = was.runs.find((r) => r.workload === run.workload && r.source === run.source)
      const place = `${where}, ${sayRun(run.workload, run.source)}`
      if (old !== undefined && !other(run.workload)) return [[place, old, run]]
      apart.push(`${place}: ${old === undefined ? 'not in the baseline' : 'the workload itself is another'}`)
      return []
    })
    for (const [place, old, run] of pairs) {
      counts.push(...differences(place, RUN, old, run), ...differences(place, COUNTERS, old.ledger, run.ledger))
      compared += RUN.length + COUNTERS.length
    }
    counts.push(...differences(`${where}, fault pass`, PASS, was, c))
    counts.push(...differences<Counter>(`${where}, fault pass`, COUNTERS, was.undo, c.undo, (k) => `${k} of failed writes`))
    compared += PASS.length + COUNTERS.length
    verdicts.push(...verdictChanges(where, was, c))
  }
  for (const d of before.designs) {
    if (!now.designs.some((c) => c.name === d.name && sameGround(c, d))) apart.push(`${d.name} on ${sayGround(d)}: not in this run`)
  }
  return { compared, counts, verdicts, ...wallChanges(before, now), apart }
}

const verdictChanges = (where: string, was: Column, now: Column): string[] =>
  now.verdicts.flatMap((v) => {
    const old = was.verdicts.find((w) => w.claim === v.claim)
    if (old?.status === v.status) return []
    return [`${where} ${v.claim}: ${v.status}, ${old === undefined ? 'not in the baseline' : `was ${old.status}`}`]
  })

const wallChanges = (before: Comparison, now: Comparison): Pick<Changes, 'wall' | 'intervals'> => {
  const [a, b] = [before.manifest.machine, now.manifest.machine]
  const sameMachine = a.cpu === b.cpu && a.cpus === b.cpus && a.node === b.node
  const wall: string[] = []
  let intervals = 0
  for (const race of now.wall) {
    const was = before.wall.find((r) => sameGround(r, race) && r.workload === race.workload && r.source === race.source)
    if (was === undefined) continue
    for (const racer of race.racers) {
      const old = was.racers.find((r) => r.name === racer.name)
      const ratios = !sameMachine && was.baseline === race.baseline && racer.name !== race.baseline
      if (old === undefined || (!sameMachine && !ratios)) continue
      const [then, today]: [Estimate, Estimate] = ratios ? [old.ratio, racer.ratio] : [old.time, racer.time]
      intervals++
      if (overlap(then, today)) continue
      wall.push(sayWall(race, racer.name, then, today, ratios))
    }
  }
  return { wall, intervals }
}

const sayWall = (race: Race, name: string, then: Estimate, today: Estimate, ratios: boolean): string => {
  const unit = ratios ? ` times ${race.baseline}` : ' ms'
  const way = today.median < then.median ? 'faster' : 'slower'
  return `${name}, ${sayRun(race.workload, race.source)}: ${way}, ${show(today)}${unit}, was ${show(then)}`
}

const MOST = 40

const list = (title: string, lines: readonly string[]): string => {
  if (lines.length === 0) return ''
  const more = lines.length > MOST ? [`... and ${count(lines.length - MOST)} more; --json has all numbers`] : []
  return `${paint('bold', title)}\n${[...lines.slice(0, MOST), ...more].map((l) => `${wrap(`  ${l}`, 4)}\n`).join('')}`
}

/** As text: what changed since the baseline. */
export const changeLines = (c: Changes): string => {
  const same = c.compared - c.counts.length
  const counted = `${count(same)} of ${count(c.compared)} counts are as they were`
  const timed = c.intervals === 0 ? 'no wall time could be compared'
    : `${c.intervals - c.wall.length} of ${c.intervals} wall times have overlapping intervals`
  return [
    list('counts that changed', c.counts.map((d) => `${d.where}: ${d.what} ${count(d.now)}, was ${count(d.before)}`)),
    list('verdicts that changed', c.verdicts),
    list('wall time whose intervals do not overlap (decides nothing)', c.wall),
    list('not compared', c.apart),
    `${wrap(`against the baseline: ${counted}; ${timed}`, 2)}\n`,
  ].join('')
}
