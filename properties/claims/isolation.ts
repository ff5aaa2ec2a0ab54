/** Isolation and stability: I20 to I22. (I23 and I24 are judged with the contents.) */
import { PAGE } from '../../src/kernel/units.ts'
import { CHANGED } from '../../src/lab/check/digests.ts'
import type { Record } from '../../src/lab/check/history.ts'
import type { Look } from '../../src/lab/check/judge.ts'
import { tagOf } from '../../src/lab/check/program.ts'
import type { Claim } from './claim.ts'
import { lost } from './contents.ts'

/** Units of isolation, the strongest first. */
export const LEVELS = ['write', 'folio', 'page', 'none'] as const
/** A level of isolation. */
export type Level = (typeof LEVELS)[number]

const isWrite = (r: Record): boolean => r.action.op === 'write' && r.action.self === undefined

/** Bytes of `write` and older ones of `others` side by side, in [from, to) of what stands at `at`. */
const isTorn = (bytes: Buffer, at: number, from: number, to: number, write: Record, isOlder: (tag: number) => boolean): boolean => {
  let [own, older] = [false, false]
  for (let p = from; p < to; p += 16) {
    const tag = tagOf(bytes[p - at]!)
    if (tag === write.tag) own = true
    else if (isOlder(tag)) older = true
  }
  return own && older
}

/** The strongest level at which this read saw every write whole. */
export const levelOf = (look: Look, r: Record): Level => {
  const unitOf = { write: Infinity, folio: PAGE, page: PAGE, none: 0 } as const
  for (const level of LEVELS) {
    if (level === 'none') return level
    const isTorn = look.history.records.some((w) =>
      isWrite(w) && w.began && !((r.before & (1 << w.id)) !== 0) && tornAt(look, r, w, unitOf[level]))
    if (!isTorn) return level
  }
  return 'none'
}

const tornAt = (look: Look, r: Record, w: Record, unit: number): boolean => {
  const n = w.ended ? w.n : (w.action as { len: number }).len
  const [from, to] = [Math.max(r.from, w.from), Math.min(r.from + r.n, w.from + n)]
  const older = (tag: number): boolean => tag === -1 || look.history.records.every((u) => u.tag !== tag) ||
    look.history.records.some((u) => u.tag === tag && u.ended && (w.before & (1 << u.id)) !== 0)
  for (let p = from; p < to;) {
    const end = unit === Infinity ? to : Math.min(to, Math.floor(p / unit) * unit + unit)
    if (isTorn(r.bytes!, r.from, p, end, w, older)) return true
    p = end
  }
  return false
}

/** Reads that saw less than the design promises. Looked at when all have returned: only then is known how much of a write stands. */
const torn = (look: Look): readonly string[] => {
  const { isolation } = look.fs.strategy.claims
  if (isolation === 'none') return []
  const promised = LEVELS.indexOf(isolation === 'folio' ? 'page' : isolation)
  return look.history.records.flatMap((r) => {
    if (r.action.op !== 'read' || r.errno !== null) return []
    const seen = levelOf(look, r)
    if (LEVELS.indexOf(seen) <= promised) return []
    return [`${look.say(r)} saw a write in part within one ${isolation}; the strongest level that held is ${seen}`]
  })
}

/** Of two writes at once, one is over the other as a whole. */
const mixed = (look: Look): readonly string[] => {
  const { contents, history } = look
  if (contents === null) return []
  const writes = history.records.filter((r) => isWrite(r) && r.ended && r.errno === null)
  for (const a of writes) {
    for (const b of writes) {
      if (a.id >= b.id || (a.before & (1 << b.id)) !== 0 || (b.before & (1 << a.id)) !== 0) continue
      const [from, to] = [Math.max(a.from, b.from), Math.min(a.from + a.n, b.from + b.n, contents.length)]
      if (from < to && isTorn(contents, 0, from, to, a, (tag) => tag === b.tag)) return [`${look.say(a)} and ${look.say(b)} are mixed`]
    }
  }
  return []
}

const unstable = ({ world, fs }: Look): string | null =>
  !fs.strategy.claims.stablePages || world.program.fibers.some((f) => f.some((a) => a.op === 'dma')) ? null : world.device.unstable

/** The claims about isolation. */
export const ISOLATION: readonly Claim[] = [
  {
    id: 'I20', family: 'isolation', short: 'the declared isolation holds', forced: true,
    sentence: 'Writes are whole against each other; a concurrent read sees the unit that the design declares whole: page, folio or write.',
    source: 'Chinner, seed 002: "prevents torn writes"; Torvalds, 13 Jun 2019',
    judges: [{ on: 0, when: ['rest'], rest: (look) => (lost(look) ? [] : [...torn(look), ...mixed(look)]) }],
  },
  {
    id: 'I21', family: 'isolation', short: 'bytes under I/O are stable', forced: true,
    sentence: 'The bytes that were checksummed are the bytes that are transferred; a device that writes through a pin is excepted, ' +
      'nothing in a write path can hold it back.',
    source: 'Chinner, seed 002: "DIF"; Documentation/block/data-integrity.rst',
    judges: [{ on: CHANGED.disk, step: unstable }],
    declared: (s) => !s.claims.stablePages,
  },
  {
    id: 'I22', family: 'isolation', short: 'writeback goes where the map says', forced: true,
    sentence: 'When data reaches the device, the map still says that the block is the file\'s, at that place.',
    source: 'd9252d526ba6; 304a68b9c63b',
    judges: [{ on: CHANGED.disk, step: ({ world }) => world.device.strayed }],
  },
]
