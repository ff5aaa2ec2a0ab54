/**
 * ModelOracle: what the model of a workload expects of a crash at one point of the log.
 *
 * Time is counted in operations. At a point, T is the last operation that had begun, P the last that promised the thing in
 * question and had returned. A block may then be as it was after any operation from P to T, a size likewise; so an fsync that
 * returned pins its file until the next operation on it begins.
 */
import type { Declared } from './declared.ts'
import type { Epoch } from './epochs.ts'
import type { ExpectedAt, FileAt, Finding, NamesAt, Oracle } from './expect.ts'
import type { Model, Promised, Thing, Version } from './model.ts'

/** The oracle of a workload. */
export class ModelOracle implements Oracle {
  readonly #model: Model
  readonly #mode: Declared
  readonly #torn: boolean

  /** @param torn blocks may be torn: a block that was not promised may be a mix of two versions */
  constructor(model: Model, mode: Declared, torn = false) {
    this.#model = model
    this.#mode = mode
    this.#torn = torn
  }

  points({ from, last }: Epoch): readonly number[] {
    const { promising, ends } = this.#model
    const points = promising.map((op) => ends[op]!).filter((at) => at >= from && at < last)
    return [...new Set([...points, last])].sort((a, b) => a - b)
  }

  /** The last operation of which a crash at `point` may show something: what had begun, what is on its way included. */
  #begun({ last, to }: Epoch, point: number): number {
    const { begins, ends, promising } = this.#model
    const until = point === last ? to : point
    let t = begins.length - 1
    while (t > 0 && begins[t]! >= until) t--
    for (const op of promising) if (ends[op]! <= point) t = Math.max(t, op)
    return t
  }

  at(epoch: Epoch, point: number): ExpectedAt {
    const t = this.#begun(epoch, point)
    const files: FileAt[] = []
    const directories: NamesAt[] = []
    for (const thing of this.#model.things) {
      if (thing.born > t || thing.dead <= t) continue
      if (thing.kind === 'file') files.push(new FileExpected(this.#model, this.#mode, thing, t, point, this.#torn))
      else if (thing.kind === 'directory') {
        const names = new NamesExpected(thing, t, point)
        if (names.promises > 0) directories.push(names)
      }
    }
    return { key: [...files, ...directories].map((f) => f.key).join(), files, directories }
  }
}

const made = (claim: string, what: string, isDeclared = false): Finding => ({ claim, what, declared: isDeclared })

class FileExpected implements FileAt {
  readonly key: string
  readonly name: string
  readonly ino: number
  readonly generation: number
  readonly promises: number
  readonly missing: Finding | null
  readonly #model: Model
  readonly #mode: Declared
  readonly #thing: Thing
  readonly #t: number
  readonly #promised: readonly Promised[]
  /** The operation whose size was promised, and the last that promised the whole file; 0 none. */
  readonly #sizeOp: number
  readonly #wholeOp: number
  readonly #torn: boolean
  readonly #good = new Set<string>()

  constructor(model: Model, mode: Declared, thing: Thing, t: number, point: number, torn: boolean) {
    this.#model = model
    this.#mode = mode
    this.#thing = thing
    this.#t = t
    this.#torn = torn
    this.#promised = thing.promises.filter((p) => p.done <= point)
    this.#sizeOp = this.#promised.reduce((op, p) => Math.max(op, p.op), 0)
    this.#wholeOp = this.#promised.reduce((op, p) => (p.to === Infinity ? Math.max(op, p.op) : op), 0)
    const last = thing.sizes.findLast((s) => s.op <= t)!.op
    const changed = [...thing.blocks.values()].reduce((op, v) => Math.max(op, v.findLast((x) => x.op <= t)?.op ?? 0), last)
    this.key = `${thing.ino}.${thing.generation}:${this.#promised.length}-${changed}`
    this.name = thing.label
    this.ino = thing.ino
    this.generation = thing.generation
    this.promises = this.#promised.length === 0 ? 0 : 2
    this.missing = this.#promised.length === 0 ? null : made('I28', `${this.name} is gone, which ${this.#by()} had promised`)
  }

  /** Is the map as it was when the file was promised? */
  get isSettled(): boolean {
    return this.promises > 0 && !this.#thing.remaps.some((op) => op > this.#wholeOp && op <= this.#t)
  }

  #by(): string {
    return `operation ${this.#sizeOp - 1}`
  }

  broken(what: string): Finding {
    return made('I28', `${this.name}: ${what}`, this.#mode.structure && !this.isSettled)
  }

  size(size: number): Finding | null {
    const sizes = this.#thing.sizes
    const from = sizes.findLastIndex((s) => s.op <= this.#sizeOp)
    const allowed = sizes.filter((s, i) => i >= Math.max(0, from) && s.op <= this.#t).map((s) => s.size)
    if (allowed.includes(size)) return null
    const [least, most] = [Math.min(...allowed), Math.max(...allowed)]
    // The size on disk follows each I/O that completes: ends of blocks on the way to the new size.
    if (size > least && size < most && size % this.#model.blockSize === 0) return null
    const what = `${this.name} has ${size} bytes; it had ${[...new Set(allowed)].join(', then ')}`
    if (size > most) return made('I18', what, this.#mode.unordered && this.promises === 0)
    return made('I28', `${what}; ${this.#by()} promised it`)
  }

  /** Versions that a block may have. */
  #allowed(lblk: number): readonly Version[] {
    const all = this.#thing.blocks.get(lblk)
    if (all === undefined) return [{ op: 0, digest: this.#model.zero, bytes: null, valid: Infinity }]
    const promised = this.#promised.reduce((op, p) => (p.from <= lblk && lblk < p.to ? Math.max(op, p.op) : op), 0)
    const first = Math.max(0, all.findLastIndex((v) => v.op <= promised))
    return all.filter((v, i) => i >= first && v.op <= this.#t)
  }

  block(lblk: number, digest: number, bytes: Buffer | null, size: number): Finding | null {
    const { blockSize } = this.#model
    const left = size - lblk * blockSize
    const isLast = left <= blockSize
    const key = isLast ? `${lblk} ${digest} ${left}` : `${lblk} ${digest}`
    if (this.#good.has(key)) return null
    const found = this.#block(lblk, digest, bytes, isLast ? left : blockSize, isLast)
    if (found === null) this.#good.add(key)
    return found
  }

  #block(lblk: number, digest: number, bytes: Buffer | null, need: number, isLast: boolean): Finding | null {
    const allowed = this.#allowed(lblk)
    // Below the size on disk there may be zeros where an I/O was under way, but not at its very end.
    const long = (v: Version): boolean => !isLast || v.valid >= need || this.#grownByZeros(lblk, v, need)
    const same = allowed.filter((v) => v.digest === digest || (bytes !== null && v.bytes !== null && need < bytes.length &&
      bytes.compare(v.bytes, 0, need, 0, need) === 0))
    if (same.some(long)) return null
    const at = `${this.name}, block ${lblk}`
    if (same.length > 0) {
      const what = `${at}: the size covers ${need} bytes of it, and only ${Math.max(...same.map((v) => v.valid))} were ever written`
      return made('I18', what, this.#mode.unordered)
    }
    if (this.#torn && bytes !== null && isMix(bytes, allowed, need)) return null
    return this.#wrong(lblk, at, digest, bytes, need, allowed)
  }

  /** The size went past this version by a truncate or a hole: zeros are true. */
  #grownByZeros(lblk: number, v: Version, need: number): boolean {
    const end = lblk * this.#model.blockSize + need
    const next = this.#thing.blocks.get(lblk)?.find((w) => w.op > v.op)?.op ?? Infinity
    return this.#thing.sizes.some((s) => s.op >= v.op && s.op < next && s.op <= this.#t && s.size >= end)
  }

  #wrong(lblk: number, at: string, digest: number, bytes: Buffer | null, need: number, allowed: readonly Version[]): Finding {
    const isPromised = allowed.length === 1 && this.#promised.some((p) => p.from <= lblk && lblk < p.to) && this.#alwaysBelow(lblk)
    const who = isPromised ? `; ${this.#by()} had promised other bytes` : ''
    if (digest === this.#model.zero || bytes === null) {
      return made('I28', `${at} reads as zeros, and no operation left zeros there${who}`, !isPromised && this.#mode.unordered)
    }
    const older = this.#thing.blocks.get(lblk)?.find((v) => v.digest === digest)
    // A block that was freed and placed again holds what the file had there before: stale bytes of its own.
    if (older !== undefined) {
      return made(isPromised ? 'I28' : 'I10', `${at} is as operation ${older.op - 1} left it${who}`, !isPromised && this.#mode.stale)
    }
    const other = this.#ownerOf(digest)
    const mayBeStale = !isPromised && this.#mode.stale
    if (other !== null) return made('I10', `${at} shows ${other}${who}`, mayBeStale)
    const first = bytes.subarray(0, Math.max(4, Math.min(need, bytes.length)))
    if (first.every((b) => b === 0xaa)) {
      return made('I10', `${at} shows what the disk held before the file system was made${who}`, mayBeStale)
    }
    return made('I10', `${at} shows bytes that no operation wrote there${who}`, mayBeStale)
  }

  /** Was the block below the size when it was promised, and ever since? */
  #alwaysBelow(lblk: number): boolean {
    const { sizes } = this.#thing
    const first = sizes.findLastIndex((s) => s.op <= this.#sizeOp)
    return sizes.every((s, i) => i < first || s.op > this.#t || s.size > lblk * this.#model.blockSize)
  }

  #ownerOf(digest: number): string | null {
    for (const thing of this.#model.things) {
      for (const [lblk, versions] of thing.blocks) {
        if (versions.some((v) => v.digest === digest && v.bytes !== null)) return `block ${lblk} of ${thing.label}`
      }
    }
    return null
  }
}

/** Sectors [0, cut) of one version and the rest of another. */
const isMix = (bytes: Buffer, allowed: readonly Version[], need: number): boolean => {
  const zeros = Buffer.alloc(bytes.length)
  const n = Math.min(need, bytes.length)
  return allowed.some((a) => allowed.some((b) => {
    const [x, y] = [a.bytes ?? zeros, b.bytes ?? zeros]
    for (let cut = 512; cut < bytes.length; cut += 512) {
      const c = Math.min(cut, n)
      if (bytes.compare(x, 0, c, 0, c) === 0 && bytes.compare(y, c, n, c, n) === 0) return true
    }
    return false
  }))
}

class NamesExpected implements NamesAt {
  readonly key: string
  readonly name: string
  readonly ino: number
  readonly promises: number
  /** By name, the inode numbers that may stand there; 0: it may be absent. */
  readonly #allowed = new Map<string, readonly number[]>()

  constructor(dir: Thing, t: number, point: number) {
    const promises = dir.namePromises.filter((p) => p.done <= point)
    for (const [name, list] of dir.entries) {
      const op = promises.reduce((last, p) => (p.only === null || p.only === name ? Math.max(last, p.op) : last), 0)
      if (op === 0) continue
      const first = list.findLastIndex((e) => e.op <= op)
      this.#allowed.set(name, list.filter((e, i) => i >= first && e.op <= t).map((e) => e.thing?.ino ?? 0))
    }
    this.promises = [...this.#allowed.values()].filter((inos) => inos.length === 1 && inos[0] !== 0).length
    this.key = `${dir.ino}/${promises.length}-${[...this.#allowed.values()].reduce((n, a) => n + a.length, 0)}`
    this.name = dir.label
    this.ino = dir.ino
  }

  check(found: ReadonlyMap<string, number> | null): readonly Finding[] {
    if (found === null) return [made('I28', `the directory ${this.name} cannot be read`)]
    const wrong: Finding[] = []
    for (const [name, inos] of this.#allowed) {
      const ino = found.get(name) ?? 0
      if (inos.includes(ino)) continue
      const what = ino === 0 ? 'is gone' : `names inode ${ino}`
      const promised = inos.map((i) => (i === 0 ? 'nothing' : `inode ${i}`)).join(' or ')
      wrong.push(made('I28', `${this.name}/${name} ${what}; it was promised to name ${promised}`))
    }
    return wrong
  }
}
