/**
 * OurJudge: recovery and check of a crash state, in process, over a table of blocks. No image is made for a state.
 *
 * Life: `begin` with the durable state, the uncertain blocks and what is expected at a point -> `set` blocks, `settle`, again and
 * again. Questions are units (engine.ts), so that a state costs what changed in it: one for each file (is it there, its size, its
 * map, those of its blocks that are certain), one for each uncertain block that a map leads to, one for each directory with
 * promised names, and one for the structure where the mode promises it.
 *
 * Recovery is a unit, too: from the blocks of the log to the blocks that a replay writes. What it writes lies over the state.
 */
import { hashBytes } from '../check/hash.ts'
import { type Epoch, type Medium, versionsAt } from './epochs.ts'
import { Engine, type Reader, Unit } from './engine.ts'
import type { Declared } from './declared.ts'
import type { ExpectedAt, FileAt, Finding, NamesAt } from './expect.ts'
import { type FoundMap, inodeOf, type Layout, mapOf, namesOf, type ReadBlock } from './ext.ts'
import { Structure } from './structure.ts'

/** What a replay of the journal would write: block number to bytes that are never changed again; a text: why it cannot. */
export type Recover = (read: ReadBlock) => ReadonlyMap<number, Buffer> | string

/** The word on one state. */
export interface Judged {
  /** Promises that were looked at. */
  readonly promises: number
  readonly findings: readonly Finding[]
  /** Did recovery change anything? */
  readonly recovered: boolean
}

interface Answer {
  readonly promises: number
  readonly findings: readonly Finding[]
}

/** A file as found: what its unit hands to those of its blocks. */
interface FoundFile {
  readonly size: number
  readonly map: FoundMap
}

const NOTHING: Answer = { promises: 0, findings: [] }
const NO_PLAN: ReadonlyMap<number, Buffer> = new Map()
const planOf = (p: ReadonlyMap<number, Buffer> | string): ReadonlyMap<number, Buffer> => (typeof p === 'string' ? NO_PLAN : p)

const digests = new WeakMap<Buffer, number>()

/** Digest of a block, worked out once for each version. */
export const digestOf = (bytes: Buffer): number => {
  let d = digests.get(bytes)
  if (d === undefined) digests.set(bytes, (d = hashBytes(bytes, 0, bytes.length)))
  return d
}

/** Judges states. */
export class OurJudge {
  readonly #layout: Layout
  readonly #mode: Declared
  readonly #recover: Recover | null
  readonly #zero: Buffer
  #raw: Engine | null = null
  #engine: Engine | null = null
  #plan: Unit<ReadonlyMap<number, Buffer> | string> | null = null
  #planned: ReadonlyMap<number, Buffer> | string = NO_PLAN
  #varying = new Set<number>()
  #expected: ExpectedAt | null = null
  #uncertain: readonly number[] = []
  readonly #answers = new Map<Unit<unknown>, Answer>()
  readonly #bad = new Set<Unit<unknown>>()
  #tops: Unit<Answer>[] = []
  readonly #files = new Map<FileAt, Unit<FoundFile | null>>()
  readonly #leaves = new Set<string>()
  #promises = 0
  #first = true
  /** Evaluations of units, memoised ones included. */
  evaluations = 0

  /** @param recover what a mount would replay; null: there is no journal */
  constructor(layout: Layout, mode: Declared, recover: Recover | null = null) {
    this.#layout = layout
    this.#mode = mode
    this.#recover = recover
    this.#zero = Buffer.alloc(layout.geo.blockSize)
  }

  /** The states of this epoch, judged by what is expected at one point. All uncertain blocks are at version 0. */
  begin(medium: Medium, epoch: Epoch, expected: ExpectedAt): void {
    const under = (nr: number): Buffer => medium.read(nr)
    this.#raw = new Engine(under)
    this.#engine = new Engine(under)
    this.#expected = expected
    this.#uncertain = epoch.uncertain.map((u) => u.nr)
    this.#varying = new Set(this.#uncertain)
    const first = new Map(epoch.uncertain.map((u) => [u.nr, u.versions[0]!]))
    this.#plan = this.#recover === null ? null : new Unit('recovery', (read) => this.#recover!((nr) => read.block(nr)))
    this.#raw.begin(first, [])
    this.#planned = this.#plan === null ? NO_PLAN : this.#raw.value(this.#plan)
    this.#restart()
  }

  /** Uncertain block `slot` has these bytes now. */
  set(slot: number, bytes: Buffer): void {
    const nr = this.#uncertain[slot]!
    this.#raw!.set(nr, bytes)
    if (typeof this.#planned === 'string' || !this.#planned.has(nr)) this.#engine!.set(nr, bytes)
  }

  /** Questions from the beginning: the blocks that may vary have become more. */
  #restart(): void {
    const plan = typeof this.#planned === 'string' ? NO_PLAN : this.#planned
    for (const nr of plan.keys()) this.#varying.add(nr)
    this.#tops = []
    this.#files.clear()
    this.#leaves.clear()
    this.#answers.clear()
    this.#bad.clear()
    this.#promises = 0
    this.#first = true
    const { files, directories } = this.#expected!
    for (const f of files) this.#tops.push(this.#file(f))
    for (const d of directories) this.#tops.push(this.#names(d))
    if (!this.#mode.structure) {
      const structure = new Structure(this.#layout)
      this.#tops.push(new Unit('structure', (read) => answer(0, read.unit(structure.top))))
    }
    const now = new Map([...this.#varying].map((nr) => [nr, plan.get(nr) ?? this.#raw!.block(nr)]))
    this.#engine!.begin(now, this.#tops)
  }

  /** What recovery of this state writes lies over it. */
  #replay(): void {
    if (this.#plan === null) return
    const before = this.#planned
    const now = this.#raw!.value(this.#plan)
    if (before === now) return
    this.#planned = now
    const [old, plan] = [planOf(before), planOf(now)]
    for (const nr of plan.keys()) if (!this.#varying.has(nr)) return this.#restart()
    for (const nr of old.keys()) if (!plan.has(nr)) this.#engine!.set(nr, this.#raw!.block(nr))
    for (const [nr, bytes] of plan) this.#engine!.set(nr, bytes)
  }

  /** Judge the state as it is now. */
  settle(): Judged {
    this.#replay()
    if (typeof this.#planned === 'string') {
      return { promises: 1, findings: [{ claim: 'I28', what: `recovery fails: ${this.#planned}`, declared: false }], recovered: false }
    }
    const again = this.#engine!.settle(this.#first)
    this.#first = false
    // Units that a file finds on the way are asked after it: the list grows.
    for (const u of again) this.#ask(u as Unit<Answer>)
    const recovered = this.#planned.size > 0 && [...this.#planned].some(([nr, bytes]) => !this.#raw!.block(nr).equals(bytes))
    return { promises: this.#promises, findings: this.#bad.size === 0 ? NOTHING.findings : this.#found(), recovered }
  }

  #found(): readonly Finding[] {
    return [...this.#bad].flatMap((u) => this.#answers.get(u)!.findings)
  }

  #ask(u: Unit<Answer>): void {
    this.evaluations++
    const before = this.#answers.get(u)
    const now = this.#engine!.value(u)
    if (before === now) return
    this.#answers.set(u, now)
    this.#promises += now.promises - (before?.promises ?? 0)
    if (now.findings.length > 0) this.#bad.add(u)
    else this.#bad.delete(u)
  }

  /**
   * Ask each question about all combinations of the blocks that it reads: `block` is a choice where the block is uncertain
   * (depth first). Nothing is kept; the epoch must be the one begun last. At most `most` runs of each question.
   * @returns findings of the first state that has any, with its picks; `complete`: no question needed more runs
   */
  lazily(epoch: Epoch, point: number, most: number): Lazily {
    const slots = new Map(epoch.uncertain.map((u, i) => [u.nr, i]))
    let runs = 0
    let complete = true
    for (const top of this.#tops) {
      const search = new Lazy(epoch, point, slots, (nr) => this.#raw!.block(nr), this.#recover)
      let left = most
      do {
        const found = search.run(top)
        runs++
        if (found.findings.some((f) => !f.declared)) return { runs, complete: false, findings: found.findings, picks: search.picks }
      } while (search.next() && --left > 0)
      if (left <= 0) complete = false
    }
    return { runs, complete, findings: [], picks: null }
  }

  /** What recovery leaves in the blocks of this state: for a description. */
  read(nr: number): Buffer {
    return this.#engine!.block(nr)
  }

  // --- files -----------------------------------------------------------------------------------------------------------------

  #onDisk(f: FileAt): Unit<FoundFile | null> {
    let unit = this.#files.get(f)
    if (unit === undefined) {
      unit = new Unit(`inode ${f.ino}`, (read) => this.#look(f, read))
      this.#files.set(f, unit)
    }
    return unit
  }

  #look(f: FileAt, read: Reader): FoundFile | null {
    const block: ReadBlock = (nr) => read.block(nr)
    const inode = inodeOf(this.#layout, block, f.ino)
    const isThere = inode.isFile && inode.links > 0 && (f.generation === null || inode.generation === f.generation)
    return isThere ? { size: inode.size, map: mapOf(this.#layout, block, inode) } : null
  }

  #file(f: FileAt): Unit<Answer> {
    const good = f.promises === 0 ? NOTHING : answer(f.promises, [])
    return new Unit(f.name, (read) => {
      const file = read.unit(this.#onDisk(f))
      if (file === null) return f.missing === null ? NOTHING : answer(f.promises, [f.missing])
      const wrong: Finding[] = []
      const { size, map } = file
      const tooLarge = f.size(size)
      if (tooLarge !== null) wrong.push(tooLarge)
      if (map.problem !== null) wrong.push(f.broken(map.problem))
      this.#blocks(f, file, wrong)
      return wrong.length === 0 ? good : answer(f.promises, this.#weighed(f, file, wrong))
    })
  }

  /** Where a map that has changed may be lost as a whole, what follows from that is declared. */
  #weighed(f: FileAt, { map }: FoundFile, wrong: readonly Finding[]): readonly Finding[] {
    if (!this.#mode.rewritten || f.isSettled || map.own.length === 0) return wrong
    return wrong.map((w) => ({ ...w, declared: true }))
  }

  /** Blocks of the file that are certain; units for the others. */
  #blocks(f: FileAt, { size, map }: FoundFile, wrong: Finding[]): void {
    const bs = this.#layout.geo.blockSize
    const end = Math.min(Math.ceil(size / bs), MOST_BLOCKS)
    let next = 0
    const hole = (to: number): void => {
      for (; next < to && wrong.length < MOST_WRONG; next++) {
        const what = f.block(next, digestOf(this.#zero), null, size)
        if (what !== null) wrong.push(what)
      }
      next = to
    }
    for (const { lblk, n, pblk, unwritten } of map.runs) {
      hole(Math.min(lblk, end))
      if (unwritten) {
        hole(Math.min(lblk + n, end))
        continue
      }
      for (let i = 0; i < n && lblk + i < end && wrong.length < MOST_WRONG; i++) {
        const nr = pblk + i
        next = lblk + i + 1
        if (this.#varying.has(nr)) {
          this.#leaf(f, lblk + i, nr)
          continue
        }
        const bytes = this.#engine!.block(nr)
        const what = f.block(lblk + i, digestOf(bytes), bytes, size)
        if (what !== null) wrong.push(what)
      }
    }
    hole(end)
  }

  /** The unit of one uncertain block under one place of a file. */
  #leaf(f: FileAt, lblk: number, nr: number): void {
    const name = `${f.name} ${lblk} ${nr}`
    if (this.#leaves.has(name)) return
    this.#leaves.add(name)
    const unit = new Unit<Answer>(name, (read) => {
      const file = read.unit(this.#onDisk(f))
      if (file === null || pblkOf(file.map, lblk) !== nr) return NOTHING
      if (lblk * this.#layout.geo.blockSize >= file.size) return NOTHING
      const bytes = read.block(nr)
      const what = f.block(lblk, digestOf(bytes), bytes, file.size)
      return what === null ? NOTHING : answer(0, this.#weighed(f, file, [what]))
    })
    this.#engine!.add(unit)
    this.#tops.push(unit)
    this.#ask(unit)
  }

  #names(d: NamesAt): Unit<Answer> {
    return new Unit(`names of ${d.name}`, (read) => {
      const block: ReadBlock = (nr) => read.block(nr)
      const inode = inodeOf(this.#layout, block, d.ino)
      const names = inode.isDirectory ? namesOf(this.#layout, block, inode) : 'no directory'
      return answer(d.promises, d.check(typeof names === 'string' ? null : new Map(names.map((n) => [n.name, n.ino]))))
    })
  }
}

/** What a lazy search found. */
export interface Lazily {
  readonly runs: number
  readonly complete: boolean
  readonly findings: readonly Finding[]
  readonly picks: readonly number[] | null
}

/** One question, depth first over the versions of the blocks that it reads. */
class Lazy {
  /** By uncertain block: 0, or the version chosen. */
  readonly picks: number[]
  readonly #path: { readonly slot: number; readonly n: number; pick: number }[] = []
  #at = 0
  readonly #epoch: Epoch
  readonly #point: number
  readonly #slots: ReadonlyMap<number, number>
  readonly #under: ReadBlock
  readonly #recover: Recover | null
  #chosen = new Set<number>()

  constructor(epoch: Epoch, point: number, slots: ReadonlyMap<number, number>, under: ReadBlock, recover: Recover | null) {
    this.#epoch = epoch
    this.#point = point
    this.#slots = slots
    this.#under = under
    this.#recover = recover
    this.picks = epoch.uncertain.map(() => 0)
  }

  run(top: Unit<Answer>): Answer {
    this.#at = 0
    this.#chosen = new Set()
    this.picks.fill(0)
    const raw = (nr: number): Buffer => this.#block(nr)
    const plan = this.#recover === null ? NO_PLAN : this.#recover(raw)
    if (typeof plan === 'string') return answer(1, [{ claim: 'I28', what: `recovery fails: ${plan}`, declared: false }])
    const reader: Reader = { block: (nr) => plan.get(nr) ?? raw(nr), unit: (u) => u.ask(reader) }
    return top.ask(reader)
  }

  #block(nr: number): Buffer {
    const slot = this.#slots.get(nr)
    if (slot === undefined) return this.#under(nr)
    const { versions } = this.#epoch.uncertain[slot]!
    if (!this.#chosen.has(slot)) {
      this.#chosen.add(slot)
      const step = this.#path[this.#at] ?? { slot, n: versionsAt(this.#epoch, this.#epoch.uncertain[slot]!, this.#point), pick: 0 }
      this.#path[this.#at++] = step
      this.picks[slot] = step.pick
    }
    return versions[this.picks[slot]!]!
  }

  /** The next path. @returns false if there is none */
  next(): boolean {
    this.#path.length = this.#at
    while (this.#path.length > 0) {
      const last = this.#path.at(-1)!
      if (++last.pick < last.n) return true
      this.#path.pop()
    }
    return false
  }
}

/** Blocks of one file that are looked at; a size on disk may be any number. */
const MOST_BLOCKS = 1 << 16
/** Sentences about one file. */
const MOST_WRONG = 3

const answer = (promises: number, findings: readonly Finding[]): Answer => ({ promises, findings })

const pblkOf = ({ runs }: FoundMap, lblk: number): number => {
  const run = runs.find((r) => lblk >= r.lblk && lblk < r.lblk + r.n)
  return run === undefined || run.unwritten ? 0 : run.pblk + lblk - run.lblk
}
