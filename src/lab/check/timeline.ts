/**
 * Timeline: what happened in the run of a counterexample, as plain data: who did what when, and what the wrong page holds.
 *
 * A *row* is an unbroken run of steps of one fiber within one call. Steps are numbered from 1. The page is the one that the
 * broken claim speaks of, as it was when the claim was found broken; its bytes say themselves who wrote them (program.ts).
 */
import { DELALLOC, HOLE, MAPPED, UNWRITTEN } from '../../fs/extent-map.ts'
import { PAGE } from '../../kernel/units.ts'
import { DIRTY, UPTODATE } from '../../pagecache/folio.ts'
import type { Machine } from '../../sim/scheduler.ts'
import type { Record } from './history.ts'
import type { Judge, Look } from './judge.ts'
import { numbered, type Program, sayAction, tagOf } from './program.ts'
import { type Bench, type Fired, judgesOf, type Recorded, type Rerun, rerunIn } from './rerun.ts'
import { World } from './world.ts'

/** Steps of one fiber, one after the other. */
export interface TimelineRow {
  /** The first and the last step, from 1. */
  readonly from: number
  readonly to: number
  /** Column: the fiber, from 0; the device comes last. */
  readonly fiber: number
  /** The call that begins here or goes on, what failed in it, and what it returned or waits for. */
  readonly text: string
  /** Labels of the steps, those that repeat with their number. */
  readonly steps: readonly string[]
}

/** Bytes of one owner; blocks in one state. `to` is past the last. */
export interface Run {
  readonly from: number
  readonly to: number
  readonly what: string
}

/** The page that the claim speaks of. */
export interface PagePicture {
  /** Number of the page in the file. */
  readonly page: number
  /** `in the cache`, `on the disk`, `as read by fiber 2`. */
  readonly where: string
  /** Its bytes by owner; positions in the file. */
  readonly bytes: readonly Run[]
  /** Its blocks: what the map and the cache say of them; numbers in the file. */
  readonly blocks: readonly Run[]
  /** Bytes of the file. */
  readonly size: number
}

/** What happened. */
export interface Timeline {
  /** One a fiber. */
  readonly columns: readonly string[]
  readonly rows: readonly TimelineRow[]
  readonly page: PagePicture | null
  readonly run: Rerun
}

/** Run it once more and look on. @throws BadProgram */
export const timelineOf = (c: Recorded, bench: Bench): Timeline => {
  let page: PagePicture | null = null
  const judges = judgesOf(c.claim, bench.judges).map((j) => photographed(j, (p) => { page ??= p }))
  const world = new World(c.program, { ...bench, judges })
  const writer = new RowWriter(world)
  const run = rerunIn(world, c, (m, fired) => writer.stepped(m, fired))
  writer.end(run.machine)
  const columns = run.machine.fibers.map((f) => f.name)
  const used = columns.map((_, i) => c.program.fibers[i] !== undefined || writer.rows.some((r) => r.fiber === i))
  return { columns: columns.filter((_, i) => used[i]), rows: writer.rows, page, run }
}

// --- rows --------------------------------------------------------------------------------------------------------------

/** The errno, or what the call counts; `ok` if it counts nothing. */
const resultOf = (r: Record): string =>
  r.errno ?? (['write', 'read', 'load', 'store', 'stat', 'dma'].includes(r.action.op) ? String(r.n) : 'ok')

const sayFired = ({ kind, label }: Fired): string => (kind === 'fault' ? `${label} fails` : `the copy is cut short: ${label}`)

/** What a row begins with that goes on with a call. */
const GOES_ON = '... '

/** Collects rows while the machine runs. */
class RowWriter {
  readonly rows: TimelineRow[] = []
  readonly #world: World
  #fiber = -1
  #from = 0
  #labels: string[] = []
  #text = ''
  #fired = 0
  #preemptions = 0
  /** What each fiber has been seen to do: calls begun, and calls ended. */
  readonly #begun: number[] = []
  readonly #ended: number[] = []

  constructor(world: World) {
    this.#world = world
  }

  /** A step was made. */
  stepped(m: Machine, fired: readonly Fired[]): void {
    const fiber = m.current
    if (fiber !== this.#fiber) this.#switch(m, m.preemptions > this.#preemptions)
    this.#preemptions = m.preemptions
    this.#labels.push(m.trace.labels[m.steps - 1]!)
    const records = fiber < this.#world.program.fibers.length ? this.#world.history.ofFiber(fiber) : []
    const [begun, ended] = [records.filter((r) => r.began).length, records.filter((r) => r.ended).length]
    if (begun > (this.#begun[fiber] ?? 0)) this.#text += sayAction(records[begun - 1]!.action)
    this.#begun[fiber] = begun
    for (; this.#fired < fired.length; this.#fired++) this.#text += `, ${sayFired(fired[this.#fired]!)}`
    if (ended > (this.#ended[fiber] ?? 0)) {
      this.#text = `${this.#text.trimEnd()} => ${resultOf(records[ended - 1]!)}`
      this.#ended[fiber] = ended
      this.#flush(m.steps)
    }
  }

  /** The machine has stopped. */
  end(m: Machine): void {
    if (this.#fiber >= 0 && !this.#isDevice && this.#isUnderWay && !m.isEnded(this.#fiber)) this.#stop(`then "${m.label(this.#fiber)}"`)
    this.#flush(m.steps)
  }

  /** The call is not over: what comes next in it. */
  #stop(next: string): void {
    this.#text = `${this.#text === GOES_ON ? '' : this.#text.trimEnd()} ... ${next}`
  }

  get #isDevice(): boolean {
    return this.#fiber >= this.#world.program.fibers.length
  }

  get #isUnderWay(): boolean {
    return (this.#begun[this.#fiber] ?? 0) > (this.#ended[this.#fiber] ?? 0)
  }

  #switch(m: Machine, preempted: boolean): void {
    if (this.#fiber >= 0 && !this.#isDevice && this.#isUnderWay) {
      const label = m.label(this.#fiber)
      this.#stop(preempted ? `switch before "${label}"` : `waits for "${label}"`)
    }
    this.#flush(m.steps - 1)
    this.#fiber = m.current
    this.#text = this.#isUnderWay ? GOES_ON : ''
  }

  #flush(to: number): void {
    if (this.#labels.length === 0) return
    const n = this.#labels.length
    const text = this.#isDevice ? (n === 1 ? 'a bio is done' : `${n} bios are done`) : this.#text.trim()
    const steps = runLengths(this.#labels)
    // A step between two calls says nothing of its own.
    if (text !== '' && text !== GOES_ON.trim()) this.rows.push({ from: this.#from + 1, to, fiber: this.#fiber, text, steps })
    this.#from = to
    this.#labels = []
    this.#text = this.#isUnderWay ? GOES_ON : ''
  }
}

/** `copy, copy, end` to `copy (2), end`. */
const runLengths = (labels: readonly string[]): readonly string[] => {
  const out: { label: string; n: number }[] = []
  for (const label of labels) {
    const last = out.at(-1)
    if (last?.label === label) last.n++
    else out.push({ label, n: 1 })
  }
  return out.map(({ label, n }) => (n === 1 ? label : `${label} (${n})`))
}

// --- the page ----------------------------------------------------------------------------------------------------------

/** A judge that takes a picture when it finds something. */
const photographed = (j: Omit<Judge, 'claim'> & { readonly claim: string }, keep: (p: PagePicture | null) => void): Judge => ({
  ...j,
  ...(j.step !== undefined && {
    step: (look: Look, fiber: number): string | null => {
      const what = j.step!(look, fiber)
      if (what !== null) keep(picture(look, what))
      return what
    },
  }),
  ...(j.rest !== undefined && {
    rest: (look: Look): readonly string[] => {
      const what = j.rest!(look)
      if (what.length > 0) keep(picture(look, what[0]!))
      return what
    },
  }),
})

/** The byte of the file that a sentence speaks of, or null. */
const placeOf = (what: string, blockSize: number): number | null => {
  const [, unit, text] = /\b(byte|block|page) (\d+)(?! of the disk)/.exec(what) ?? []
  return unit === undefined ? null : Number(text) * { byte: 1, block: blockSize, page: PAGE }[unit as 'byte']
}

const picture = (look: Look, what: string): PagePicture | null => {
  const { fs, inode, history } = look
  const at = placeOf(what, fs.blockSize)
  if (at === null) return null
  const page = Math.floor(at / PAGE)
  const reader = history.records.find((r) => r.bytes !== null && r.ended && what.startsWith(`${look.say(r)}:`))
  const { where, bytes } = reader !== undefined ? asRead(reader, page) : look.contents !== null ? asRest(look, page) : asCached(look, page)
  const own = owners(look.world.program)
  return {
    page, where, bytes: runs(bytes.length, page * PAGE, (i) => own(bytes[i]!)).filter((r) => r.what !== ''),
    blocks: blocksOf(look, page), size: inode.size,
  }
}

const asRead = (r: Record, page: number): { where: string; bytes: Buffer } => {
  const from = Math.max(0, page * PAGE - r.from)
  const before = Math.max(0, r.from - page * PAGE)
  const bytes = Buffer.alloc(PAGE, UNSEEN)
  r.bytes!.copy(bytes, before, from, Math.min(r.n, from + PAGE - before))
  return { where: `as fiber ${r.fiber + 1} read it`, bytes }
}

/** No byte of a file has this value: it is the tag of nobody. */
const UNSEEN = 0xdd

const asRest = ({ when, contents }: Look, page: number): { where: string; bytes: Buffer } => {
  const stage = {
    rest: 'at rest', synced: 'after sync', cold: 'read from the disk', again: 'after the writes were done again', gone: 'at the end',
  }[when!]
  return { where: stage, bytes: contents!.subarray(page * PAGE, (page + 1) * PAGE) }
}

const asCached = ({ fs, inode, world }: Look, page: number): { where: string; bytes: Buffer } => {
  const f = world.place.folios.raw.find((x) => x !== null && x.home === inode.pages && x.index <= page && page < x.index + x.pages)
  if (f) {
    const start = f.base + (page - f.index) * PAGE
    return { where: 'in the cache', bytes: f.slab.bytes.subarray(start, start + PAGE) }
  }
  const bytes = Buffer.alloc(PAGE)
  const e = { lblk: 0, n: 0, state: 0 as 0 | 1 | 2 | 3, pblk: 0 }
  const into = Buffer.alloc(fs.blockSize)
  for (let off = 0; off < PAGE; off += fs.blockSize) {
    inode.map.lookup((page * PAGE + off) / fs.blockSize, 1, e)
    if (e.state !== MAPPED) continue
    world.device.peek(into, e.pblk * fs.blockSize, fs.blockSize)
    into.copy(bytes, off)
  }
  return { where: 'on the disk', bytes }
}

/** Whose a byte is. */
const owners = (program: Program): ((b: number) => string) => {
  const all = numbered(program).filter((x) => x.tag >= 0)
  return (b) => {
    if (b === UNSEEN) return ''
    if (b === 0) return 'zero'
    if (b === 0xaa) return 'what the disk held before'
    if (b === 0xdb) return 'fresh memory'
    const of = all[tagOf(b)]
    if (of === undefined) return `0x${b.toString(16)}, nobody's`
    const same = all.filter((x) => x.fiber === of.fiber && x.action.op === of.action.op)
    const which = same.length > 1 ? ` ${same.indexOf(of) + 1}` : ''
    return `${of.action.op}${which} ${of.fiber < 0 ? 'before' : `of fiber ${of.fiber + 1}`}`
  }
}

const runs = (n: number, from: number, what: (i: number) => string): Run[] => {
  const out: { from: number; to: number; what: string }[] = []
  for (let i = 0; i < n; i++) {
    const w = what(i)
    const last = out.at(-1)
    if (last?.what === w) last.to = from + i + 1
    else out.push({ from: from + i, to: from + i + 1, what: w })
  }
  return out
}

const STATE: { readonly [state: number]: string } = { [HOLE]: 'hole', [DELALLOC]: 'delayed', [UNWRITTEN]: 'unwritten', [MAPPED]: 'mapped' }

const blocksOf = ({ fs, inode, world }: Look, page: number): readonly Run[] => {
  const e = { lblk: 0, n: 0, state: 0 as 0 | 1 | 2 | 3, pblk: 0 }
  const per = PAGE / fs.blockSize
  const f = world.place.folios.raw.find((x) => x !== null && x.home === inode.pages && x.index <= page && page < x.index + x.pages)
  return runs(per, page * per, (i) => {
    inode.map.lookup(page * per + i, 1, e)
    const bits = f ? f.bits(page * PAGE + i * fs.blockSize - f.pos) : null
    const cached = bits === null ? '' : (bits & DIRTY) !== 0 ? ', dirty' : (bits & UPTODATE) !== 0 ? ', clean' : ', not uptodate'
    return STATE[e.state]! + cached
  })
}
