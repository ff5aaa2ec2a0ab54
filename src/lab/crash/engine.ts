/**
 * Engine: questions about the blocks of a device, asked again and again while a few blocks change.
 *
 * A *unit* is a question: a pure function of the blocks and of other units that it reads. Its answers are kept in a tree that
 * branches on what it read, in the order in which it read it: an answer is worked out once for each combination of versions that
 * it has seen, however many states there are. Only blocks that vary are branched on. After a change, `settle` asks those top
 * units again that ever read a block that changed.
 *
 * Obligations: a unit reads nothing but through its reader; buffers and answers are compared by identity, so a block's bytes never
 * change, and answers that are equal should be the same object where another unit reads them (`intern`).
 */

/** What a unit may read. */
export interface Reader {
  /** Block `nr` as the state has it. */
  block(nr: number): Buffer
  unit<A>(u: Unit<A>): A
}

/** A place in the tree of answers: what is read next, or the answer. */
class Place {
  from: number | Unit<unknown> | null = null
  readonly next = new Map<unknown, Place>()
  answer: unknown = undefined
  isAnswer = false
}

/** A question. `name` is for people. */
export class Unit<A> {
  readonly name: string
  readonly ask: (read: Reader) => A
  root = new Place()
  /** Blocks that vary and were ever read, by this unit or below it. */
  readonly blocks = new Set<number>()
  /** Units that read this one. */
  readonly above = new Set<Unit<unknown>>()

  constructor(name: string, ask: (read: Reader) => A) {
    this.name = name
    this.ask = ask
  }
}

/** Holds a state and the answers about it. */
export class Engine {
  /** What lies under the blocks that vary. */
  readonly #under: (nr: number) => Buffer
  readonly #varying = new Map<number, Buffer>()
  readonly #changed = new Set<number>()
  #tops: readonly Unit<unknown>[] = []
  readonly #byBlock = new Map<number, Unit<unknown>[]>()
  readonly #isTop = new Set<Unit<unknown>>()
  /** Answers that were worked out, and that were found. */
  worked = 0
  found = 0

  constructor(under: (nr: number) => Buffer) {
    this.#under = under
  }

  /** Blocks of `varying` may change from now on; all answers that were kept are about other states. */
  begin(varying: ReadonlyMap<number, Buffer>, tops: readonly Unit<unknown>[]): void {
    this.#varying.clear()
    for (const [nr, bytes] of varying) this.#varying.set(nr, bytes)
    this.#changed.clear()
    this.#byBlock.clear()
    this.#isTop.clear()
    this.#tops = tops
    for (const t of tops) this.#isTop.add(t)
  }

  /** One more top unit. */
  add(top: Unit<unknown>): void {
    this.#isTop.add(top)
    for (const nr of top.blocks) this.#list(nr, top)
  }

  /** Block `nr`, one of those that vary, has `bytes` now. */
  set(nr: number, bytes: Buffer): void {
    if (this.#varying.get(nr) === bytes) return
    this.#varying.set(nr, bytes)
    this.#changed.add(nr)
  }

  /** Top units that may answer otherwise since the last call; the first time all. */
  settle(first: boolean): Iterable<Unit<unknown>> {
    if (first) {
      this.#changed.clear()
      return this.#tops
    }
    if (this.#changed.size === 1) {
      const [nr] = this.#changed as unknown as [number]
      this.#changed.clear()
      return this.#byBlock.get(nr) ?? NONE
    }
    const again = new Set<Unit<unknown>>()
    for (const nr of this.#changed) for (const u of this.#byBlock.get(nr) ?? NONE) again.add(u)
    this.#changed.clear()
    return again
  }

  /** The block as the state has it. */
  block(nr: number): Buffer {
    return this.#varying.get(nr) ?? this.#under(nr)
  }

  /** The answer of a unit in this state. */
  value<A>(u: Unit<A>): A {
    let at = u.root
    while (at.from !== null) {
      const seen = typeof at.from === 'number' ? this.#varying.get(at.from) : this.value(at.from)
      const next = at.next.get(seen)
      if (next === undefined) return this.#work(u)
      at = next
    }
    if (!at.isAnswer) return this.#work(u)
    this.found++
    return at.answer as A
  }

  #work<A>(u: Unit<A>): A {
    this.worked++
    let at = u.root
    const seenHere = new Set<number | Unit<unknown>>()
    const step = (from: number | Unit<unknown>, seen: unknown): void => {
      if (seenHere.has(from)) return
      seenHere.add(from)
      at.from = from
      let next = at.next.get(seen)
      if (next === undefined) at.next.set(seen, (next = new Place()))
      at = next
    }
    const answer = u.ask({
      block: (nr) => {
        const bytes = this.#varying.get(nr)
        if (bytes === undefined) return this.#under(nr)
        this.#depends(u as Unit<unknown>, nr)
        step(nr, bytes)
        return bytes
      },
      unit: (below) => {
        const value = this.value(below)
        const b = below as Unit<unknown>
        if (!b.above.has(u as Unit<unknown>)) {
          b.above.add(u as Unit<unknown>)
          for (const nr of b.blocks) this.#depends(u as Unit<unknown>, nr)
        }
        step(b, value)
        return value
      },
    })
    at.answer = answer
    at.isAnswer = true
    return answer
  }

  #depends(u: Unit<unknown>, nr: number): void {
    if (u.blocks.has(nr)) return
    u.blocks.add(nr)
    if (this.#isTop.has(u)) this.#list(nr, u)
    for (const a of u.above) this.#depends(a, nr)
  }

  #list(nr: number, top: Unit<unknown>): void {
    const list = this.#byBlock.get(nr)
    if (list === undefined) this.#byBlock.set(nr, [top])
    else list.push(top)
  }
}

const NONE: readonly Unit<unknown>[] = []
