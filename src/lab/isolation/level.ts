/**
 * Level: the strongest unit in which observers saw writes whole.
 *
 * An observation is a row of bytes, each of which is the write's or older. It is *torn* in a unit (the whole write, a folio, a
 * page) if it holds both within one. A read(2) is one observation and may be torn either way round. Loads through a mapping are
 * many, one after the other: there a unit is torn only if a later load saw something older than an earlier one did; the write may
 * have happened between the two, else.
 *
 * Source: claim I20 (properties/claims/isolation.ts), which asks the same of the histories of `check`.
 */
import { PAGE, roundDown } from '../../kernel/units.ts'

/** Units of isolation, the strongest first; `none`: torn inside a page. */
export const LEVELS = ['write', 'folio', 'page', 'none'] as const
/** One of them. */
export type Level = (typeof LEVELS)[number]

/** The weaker of two levels. */
export const weaker = (a: Level, b: Level): Level => (LEVELS.indexOf(a) > LEVELS.indexOf(b) ? a : b)

/** Where folios begin: a function from a byte of the file to the first byte behind its folio. */
export type FolioEnd = (pos: number) => number

/** What somebody saw of one write: from byte `pos` of the file on, which bytes are the write's. */
export interface Seen {
  readonly pos: number
  /** By byte: 1 of the write, 0 older. */
  readonly own: Uint8Array
  /** Loads, in the order of their bytes. */
  readonly ordered: boolean
}

const nextPage: FolioEnd = (pos) => roundDown(pos, PAGE) + PAGE

const isTorn = ({ own, ordered }: Seen, from: number, to: number): boolean => {
  for (let i = from + 1; i < to; i++) {
    if (own[i] === own[i - 1]) continue
    if (!ordered || own[i] === 0) return true
  }
  return false
}

/** Is some unit torn that ends where `end` says? */
const isTornIn = (seen: Seen, end: FolioEnd): boolean => {
  for (let from = 0; from < seen.own.length;) {
    const to = Math.min(seen.own.length, end(seen.pos + from) - seen.pos)
    if (isTorn(seen, from, to)) return true
    from = to
  }
  return false
}

/** The strongest level that holds for one observation. */
export const levelOfBytes = (seen: Seen, folioEnd: FolioEnd): Level => {
  if (!isTornIn(seen, () => Infinity)) return 'write'
  if (!isTornIn(seen, folioEnd)) return 'folio'
  return isTornIn(seen, nextPage) ? 'none' : 'page'
}

/** The level of a size that fstat saw while an append moved it from `before` to `after`. */
export const levelOfSize = (size: number, before: number, after: number, folioEnd: FolioEnd): Level => {
  if (size === before || size === after) return 'write'
  if (size > before && folioEnd(size - 1) === size) return 'folio'
  return size % PAGE === 0 ? 'page' : 'none'
}

/** `bytes 2048-4095 of the write, 4096-6143 older`: the runs of an observation. */
export const sayRuns = ({ pos, own }: Seen): string => {
  const runs: string[] = []
  for (let from = 0; from < own.length;) {
    let to = from + 1
    while (to < own.length && own[to] === own[from]) to++
    runs.push(`${pos + from}-${pos + to - 1} ${own[from] === 1 ? 'of the write' : 'older'}`)
    from = to
  }
  return `bytes ${runs.length > 4 ? [...runs.slice(0, 3), `${runs.length - 3} runs more`].join(', ') : runs.join(', ')}`
}
