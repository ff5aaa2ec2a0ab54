/**
 * Picture: a crash for people: what ran, epoch by epoch; which writes survived and which did not; the line between durable and
 * volatile; and the bytes of each file after recovery, by owner.
 */
import { type Action, sayAction, tagOf } from '../check/program.ts'
import type { Operation } from '../workload/operation.ts'
import type { StateAt } from './crash.ts'
import { type DriveOptions, versionsAt } from './epochs.ts'
import { inodeOf, mapOf, metadataRuns } from './ext.ts'
import { digestOf } from './judge.ts'
import type { Thing } from './model.ts'
import type { ProgramRecording } from './program.ts'
import type { Recording } from './record.ts'
import { judgeState, type Scenario } from './scenario.ts'

/** Most lines of what ran, and of blocks. */
const MOST = 14

/** One operation: `write fd 0: 4096 bytes at 0`. */
export const sayOperation = (op: Operation): string => {
  const { op: name, t: _, ...rest } = op
  const fields = Object.entries(rest).filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${k} ${Array.isArray(v) ? v.join('|') : String(v)}`)
  return fields.length === 0 ? name : `${name} ${fields.join(', ')}`
}

const shortened = (lines: readonly string[]): readonly string[] => {
  if (lines.length <= MOST) return lines
  const half = MOST >> 1
  return [...lines.slice(0, half), `  ... ${lines.length - 2 * half} more`, ...lines.slice(-half)]
}

/** What a block is for, by the layout and by whose bytes its newest version holds. */
const roleOf = (r: Recording, nr: number, newest: Buffer): string => {
  const { geo, groups } = r.layout
  for (const [g, { blockBitmap, inodeBitmap, table }] of groups.entries()) {
    if (nr === blockBitmap) return `block bitmap of group ${g}`
    if (nr === inodeBitmap) return `inode bitmap of group ${g}`
    if (nr >= table && nr < table + geo.tableBlocks) return `inode table of group ${g}`
  }
  if (nr === Math.floor(1024 / geo.blockSize)) return 'superblock'
  if (metadataRuns(r.layout).some(({ start, n }) => nr >= start && nr < start + n)) return 'group descriptors'
  for (const thing of r.model?.things ?? []) {
    for (const [lblk, versions] of thing.blocks) {
      if (versions.some((v) => v.bytes !== null && v.digest === digestOf(newest))) return `block ${lblk} of ${thing.label}`
    }
  }
  return 'data, map or directory'
}

/** The picture of a state, one line after the other. */
export const pictureOf = (
  r: Recording, scenario: Scenario, drive: DriveOptions, at: StateAt,
): readonly string[] => {
  const { judged, judge, state: { epoch } } = judgeState(r, drive, at)
  const blocks = epoch.uncertain.flatMap((u, slot) => {
    const n = versionsAt(epoch, u, at.point)
    if (n === 1) return []
    const pick = at.tear?.slot === slot ? at.tear.pick : (at.picks[slot] ?? 0)
    const torn = at.tear?.slot === slot ? `torn: ${at.tear.cut} sectors of write ${at.tear.pick} over what was there` : null
    const fate = torn ?? (pick === 0 ? 'lost' : pick === n - 1 ? 'survived' : `as after write ${pick} of ${n - 1}; later ones are lost`)
    return [`  block ${u.nr} (${roleOf(r, u.nr, u.versions[n - 1]!)}): ${fate}`]
  })
  const flushed = r.log.entries.slice(0, epoch.from).filter((e) => e.kind === 'flush').length
  return [
    ...ranLines(r, scenario, epoch.from, at.point),
    drive.flushes === false
      ? 'the drive has said that it flushed, and has not: all of this is volatile'
      : `---- durable up to here: entry ${epoch.from} of the log, ${flushed} flushes; volatile from here on ----`,
    ...(blocks.length === 0 ? ['  nothing was volatile'] : shortened(blocks)),
    `==== the power goes at entry ${at.point} of ${r.log.length} ====`,
    ...(judged.recovered ? ['recovery replays the journal'] : []),
    ...filesAfter(r, (nr) => judge.read(nr)),
  ]
}

const ranLines = (r: Recording, { operations, program }: Scenario, durable: number, point: number): readonly string[] => {
  if (program !== undefined) {
    const { history } = (r as ProgramRecording).system
    const say = (a: Action): string => sayAction(a)
    return [
      ...(program.before.length === 0 ? [] : [`before: ${program.before.map(say).join('; ')}`]),
      ...program.fibers.map((f, i) => `fiber ${i + 1}: ${f.map((a, k) => {
        const did = history.ofFiber(i)[k]!
        return `${say(a)}${did.ended ? '' : did.began ? ' (under way)' : ' (not begun)'}`
      }).join('; ')}`),
    ]
  }
  const model = r.model!
  const lines: string[] = []
  for (const [i, op] of [...(operations ?? []), { op: 'sync' } as const].entries()) {
    const [begins, ends] = [model.begins[i + 1]!, model.ends[i + 1]!]
    if (begins > point) break
    const state = ends <= point && !(begins === point && ends > point) ? (ends <= durable ? 'durable' : 'returned') : 'under way'
    const promises = model.promising.includes(i + 1) && ends <= point ? '; it promised' : ''
    lines.push(`  ${String(i).padStart(4)} ${sayOperation(op)}  [${state}${promises}]`)
  }
  return shortened(lines)
}

interface Run {
  readonly from: number
  to: number
  readonly what: string
}

const sayRuns = (runs: readonly Run[]): string => {
  const said = runs.slice(0, 8).map((x) => `${x.from}-${x.to - 1} ${x.what}`)
  return [...said, ...(runs.length > 8 ? [`and ${runs.length - 8} more runs`] : [])].join('; ')
}

/** Each file as recovery leaves it, by whose bytes it holds. */
const filesAfter = (r: Recording, read: (nr: number) => Buffer): readonly string[] => {
  const files = r.model === null
    ? [{ label: 'f', ino: (r as ProgramRecording).system.ino, thing: null }]
    : r.model.things.filter((t) => t.kind === 'file').map((thing) => ({ label: thing.label, ino: thing.ino, thing }))
  return shortened(files.map(({ label, ino, thing }) => {
    const inode = inodeOf(r.layout, read, ino)
    const isThere = inode.isFile && inode.links > 0 && (thing === null || inode.generation === thing.generation)
    if (!isThere) return `after: ${label} is not there`
    const bs = r.layout.geo.blockSize
    const { runs: map } = mapOf(r.layout, read, inode)
    const runs: Run[] = []
    const add = (from: number, to: number, what: string): void => {
      const last = runs.at(-1)
      if (last !== undefined && last.what === what && last.to === from) last.to = to
      else if (to > from) runs.push({ from, to, what })
    }
    for (let lblk = 0; lblk * bs < Math.min(inode.size, 4096 * bs); lblk++) {
      const run = map.find((m) => lblk >= m.lblk && lblk < m.lblk + m.n)
      const end = Math.min(inode.size, (lblk + 1) * bs)
      if (run === undefined || run.unwritten) add(lblk * bs, end, run === undefined ? 'hole' : 'zeros (unwritten)')
      else blockRuns(read(run.pblk + lblk - run.lblk), lblk, end, thing, r, add)
    }
    return `after: ${label}, ${inode.size} bytes${runs.length === 0 ? '' : `: ${sayRuns(runs)}`}`
  }))
}

const blockRuns = (
  bytes: Buffer, lblk: number, end: number, thing: Thing | null, r: Recording, add: (from: number, to: number, what: string) => void,
): void => {
  const from = lblk * bytes.length
  if (thing === null) {
    const { history } = (r as ProgramRecording).system
    for (let p = from; p < end; p++) add(p, p + 1, ownerOfTag(bytes[p - from]!, history))
    return
  }
  if (bytes.every((b) => b === 0xaa)) return add(from, end, 'what the disk held before')
  if (bytes.every((b) => b === 0)) return add(from, end, 'zeros')
  const own = thing.blocks.get(lblk)?.findLast((v) => v.bytes !== null && v.digest === digestOf(bytes))
  if (own !== undefined) return add(from, end, `as operation ${own.op - 1} left it`)
  const other = r.model!.things.find((t) =>
    [...t.blocks.values()].some((l) => l.some((v) => v.bytes !== null && v.digest === digestOf(bytes))))
  add(from, end, other === undefined ? 'bytes that nobody wrote there' : `of ${other.label}`)
}

const ownerOfTag = (b: number, history: ProgramRecording['system']['history']): string => {
  if (b === 0) return 'zeros'
  if (b === 0xaa) return 'what the disk held before'
  if (b === 0xdb) return 'fresh memory'
  const did = history.records.find((d) => d.tag >= 0 && d.tag === tagOf(b))
  return did === undefined ? 'of the file before' : `of fiber ${did.fiber + 1}: ${sayAction(did.action)}`
}
