/**
 * Programs: one write, one observer, and the ground under them. They name no design.
 *
 * What is varied: the write (one page, one page at 2048, two pages, 32 KiB), the largest folio (4 KiB or 16 KiB), and what the file
 * was before (dirty, clean, cold, mapped and stored to). Blocks are 4 KiB, so that a folio of order 0 is one block.
 */
import { PAGE } from '../../kernel/units.ts'
import type { Actions, Config } from '../check/program.ts'

/** Who looks: read(2), read(2) with O_DIRECT, loads through a mapping, fstat, a second writer, the disk after a writeback pass. */
export const OBSERVERS = ['read', 'direct', 'load', 'size', 'writer', 'disk'] as const
/** One of them. */
export type Observer = (typeof OBSERVERS)[number]

/** What a program does: `len` bytes are written at `pos` while somebody looks. */
export interface Scene {
  readonly observer: Observer
  readonly config: Config
  readonly before: Actions
  /** `cold`: how the file was. */
  readonly state: string
  /** `8 KiB`. */
  readonly shape: string
  readonly pos: number
  readonly len: number
  /** Departures from the straight schedule that are enumerated: two in the smallest scenes of two folios, else one. */
  readonly departures: 1 | 2
  /** The observer looks at [from, to). */
  readonly from: number
  readonly to: number
}

/** The largest folios, as orders: 4 KiB, and 16 KiB. */
export const ORDERS = [0, 2] as const

/** Bytes of the file before an overwrite, and before an append. */
const OLD = 10 * PAGE
const OLD_SHORT = 4 * PAGE

/** Writes, from the byte where they begin. */
export const SHAPES = [
  { shape: '4 KiB', pos: 0, len: PAGE },
  { shape: '4 KiB at 2048', pos: 2048, len: PAGE },
  { shape: '8 KiB', pos: 0, len: 2 * PAGE },
  { shape: '32 KiB', pos: 0, len: 8 * PAGE },
] as const

const old = (len: number): Actions => [{ op: 'write', pos: 0, len }]

/** What the file was before. */
const STATES: Readonly<Record<string, (len: number) => Actions>> = {
  dirty: (len) => old(len),
  clean: (len) => [...old(len), { op: 'sync' }],
  cold: (len) => [...old(len), { op: 'sync' }, { op: 'drop' }],
  mapped: (len) => [...old(len), { op: 'store', pos: 0, len }],
}

const statesFor = (observer: Observer): readonly string[] =>
  (observer === 'size' ? ['dirty', 'clean'] : ['dirty', 'clean', 'cold', 'mapped'])

const sceneOf = (observer: Observer, folioOrder: number, state: string, { shape, pos, len }: (typeof SHAPES)[number]): Scene => {
  const config: Config = { format: 'ext4', blockSize: 4096, folioOrder }
  // An append begins where the file ends, or 2 KiB before; an overwrite in the first folio.
  const at = observer === 'size' ? OLD_SHORT - pos : pos
  const size = observer === 'size' ? OLD_SHORT : OLD
  // Past the cache only whole blocks can be read.
  const whole = observer === 'direct'
  return {
    observer, config, before: STATES[state]!(size), state, shape, pos: at, len,
    departures: folioOrder === 0 && len === 2 * PAGE ? 2 : 1,
    from: whole ? at - (at % PAGE) : at, to: whole ? Math.ceil((at + len) / PAGE) * PAGE : at + len,
  }
}

/** All scenes of an observer. */
export const scenesOf = (observer: Observer): readonly Scene[] =>
  ORDERS.flatMap((order) => SHAPES.flatMap((shape) => statesFor(observer).map((state) => sceneOf(observer, order, state, shape))))

/** `8 KiB over clean data, folios up to 16 KiB`. */
export const sayScene = ({ shape, state, observer, config }: Scene): string =>
  `${shape} ${observer === 'size' ? 'behind' : 'over'} ${state} data, folios up to ${4 << config.folioOrder} KiB`
