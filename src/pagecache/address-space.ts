/**
 * AddressSpace: the folios of one inode by page index (struct address_space).
 *
 * A radix tree of 512-way nodes that grows in height with the largest index, as the XArray; a folio of 2^k pages stands
 * in 2^k slots. A file of one page has no tree at all: its folio stands in the address space. Look-ups are plain and
 * allocate nothing; the last leaf is remembered. Dirty folios are also kept in an unordered list; whoever walks it sorts
 * it first, so that no result depends on the order of insertion.
 *
 * Writeback errors are kept as lib/errseq.c does: every open file that existed at the error, or was opened before
 * anybody saw it, gets it once (claim I25).
 */
import type { Restore } from '../kernel/checkpoint.ts'
import type { Errno } from '../kernel/errno.ts'
import type { Folio } from './folio.ts'

const FAN = 512

interface Node {
  readonly slots: (Node | Folio | null)[]
  /** Slots in use. */
  count: number
}

const node = (): Node => ({ slots: new Array<Node | Folio | null>(FAN).fill(null), count: 0 })

/** Sums over all address spaces of a cache. */
export interface CacheTotals {
  /** Pages of dirty folios. */
  dirtyPages: number
}

/** The page cache of one inode. */
export class AddressSpace {
  readonly ino: number
  /** Folios, however large. */
  folios = 0
  /** Pages. */
  pages = 0
  /** Dirty folios, unordered. */
  readonly dirty: Folio[] = []
  /** Pages with a writable PTE: only then must writeback look for them. */
  writablePtes = 0
  readonly errors = new ErrorSequence()
  readonly #totals: CacheTotals
  /** The folio of page 0 while the height is 0. */
  #only: Folio | null = null
  #root: Node | null = null
  #height = 0
  #leaf: Node | null = null
  #leafNumber = -1
  /** Counts insertions, removals and replacements. */
  #changes = 0

  constructor(ino: number, totals: CacheTotals) {
    this.ino = ino
    this.#totals = totals
  }

  /** The folio that holds page `index`, or null. */
  find(index: number): Folio | null {
    if (this.#height === 0) return index === 0 ? this.#only : null
    const leaf = this.#leafOf(index)
    return leaf === null ? null : (leaf.slots[index & (FAN - 1)] as Folio | null)
  }

  #leafOf(index: number): Node | null {
    const number = Math.floor(index / FAN)
    if (number === this.#leafNumber) return this.#leaf
    if (index >= FAN ** this.#height) return null
    let n: Node = this.#root!
    for (let level = this.#height - 1; level > 0; level--) {
      const next = n.slots[Math.floor(index / FAN ** level) & (FAN - 1)]
      if (next === null) return null
      n = next as Node
    }
    this.#leaf = n
    this.#leafNumber = number
    return n
  }

  /** Is no page of [index, index + n) cached? */
  isFree(index: number, n: number): boolean {
    for (let i = index; i < index + n; i++) if (this.find(i) !== null) return false
    return true
  }

  /** Add a folio; its slots must be free (a bug otherwise). */
  insert(f: Folio): void {
    this.#changes++
    if (this.#height === 0 && (f.index > 0 || f.order > 0 || this.#only !== null)) this.#plant()
    if (this.#height === 0) this.#only = f
    else for (let i = f.index; i < f.index + f.pages; i++) {
      const leaf = this.#makeLeaf(i)
      const at = i & (FAN - 1)
      if (leaf.slots[at] !== null) throw new Error(`inode ${this.ino}: page ${i} is cached already`)
      leaf.slots[at] = f
      leaf.count++
    }
    f.home = this
    this.folios++
    this.pages += f.pages
  }

  /** Begin the tree with what stands in the address space. */
  #plant(): void {
    this.#root = node()
    this.#root.slots[0] = this.#only
    this.#root.count = this.#only === null ? 0 : 1
    this.#only = null
    this.#height = 1
  }

  #makeLeaf(index: number): Node {
    const known = this.#leafOf(index)
    if (known !== null) return known
    while (index >= FAN ** this.#height) {
      const root = node()
      root.slots[0] = this.#root!
      root.count = 1
      this.#root = root
      this.#height++
    }
    let n = this.#root!
    for (let level = this.#height - 1; level > 0; level--) {
      const at = Math.floor(index / FAN ** level) & (FAN - 1)
      let next = n.slots[at] as Node | null
      if (next === null) {
        next = node()
        n.slots[at] = next
        n.count++
      }
      n = next
    }
    this.#leaf = n
    this.#leafNumber = Math.floor(index / FAN)
    return n
  }

  /** Take a folio out. It keeps its bytes and bits; `home` becomes null. */
  remove(f: Folio): void {
    this.#changes++
    this.markClean(f)
    if (this.#height === 0) this.#only = null
    else for (let i = f.index; i < f.index + f.pages; i++) this.#clear(i)
    f.home = null
    this.folios--
    this.pages -= f.pages
  }

  #clear(index: number): void {
    const path: Node[] = []
    let n = this.#root!
    for (let level = this.#height - 1; level > 0; level--) {
      path.push(n)
      n = n.slots[Math.floor(index / FAN ** level) & (FAN - 1)] as Node
    }
    n.slots[index & (FAN - 1)] = null
    n.count--
    for (let level = 1; n.count === 0 && path.length > 0; level++) {
      n = path.pop()!
      n.slots[Math.floor(index / FAN ** level) & (FAN - 1)] = null
      n.count--
      this.#leaf = null
      this.#leafNumber = -1
    }
  }

  /** Put `fresh` in the very slots of `old` at once: no reader finds a gap. Both have the same index and order. */
  replace(old: Folio, fresh: Folio): void {
    if (old.order !== fresh.order || old.index !== fresh.index) throw new Error(`replace of unequal folios at page ${old.index}`)
    this.#changes++
    this.markClean(old)
    if (this.#height === 0) this.#only = fresh
    else for (let i = old.index; i < old.index + old.pages; i++) this.#leafOf(i)!.slots[i & (FAN - 1)] = fresh
    old.home = null
    fresh.home = this
  }

  /** Put on the list of dirty folios; the caller set DIRTY on some block. */
  markDirty(f: Folio): void {
    if (f.dirtySlot >= 0) return
    f.dirtySlot = this.dirty.length
    this.dirty.push(f)
    this.#totals.dirtyPages += f.pages
  }

  /** Take off the list of dirty folios; clears nothing on its blocks. */
  markClean(f: Folio): void {
    if (f.dirtySlot < 0) return
    this.#totals.dirtyPages -= f.pages
    const last = this.dirty.pop()!
    if (last !== f) {
      this.dirty[f.dirtySlot] = last
      last.dirtySlot = f.dirtySlot
    }
    f.dirtySlot = -1
  }

  checkpoint(): Restore {
    const { folios, pages, writablePtes } = this
    const dirty = this.dirty.slice()
    const errors = this.errors.checkpoint()
    const [only, root, height, changes] = [this.#only, this.#root, this.#height, this.#changes]
    const nodes: { n: Node; slots: Node['slots']; count: number }[] = []
    const save = (n: Node, level: number): void => {
      nodes.push({ n, slots: n.slots.slice(), count: n.count })
      if (level > 0) for (const s of n.slots) if (s !== null) save(s as Node, level - 1)
    }
    if (root !== null) save(root, height - 1)
    return () => {
      this.folios = folios
      this.pages = pages
      this.writablePtes = writablePtes
      this.dirty.length = 0
      for (const f of dirty) this.dirty.push(f)
      errors()
      if (this.#changes === changes) return
      this.#changes = changes
      this.#only = only
      this.#root = root
      this.#height = height
      this.#leaf = null
      this.#leafNumber = -1
      for (const { n, slots, count } of nodes) {
        for (let i = 0; i < FAN; i++) n.slots[i] = slots[i]!
        n.count = count
      }
    }
  }

  /** The folios that hold pages of [first, last], in order. */
  inRange(first: number, last: number): Folio[] {
    const out: Folio[] = []
    if (this.#height === 0) return first <= 0 && this.#only !== null ? [this.#only] : []
    this.#walk(this.#root!, this.#height - 1, 0, first, last, out)
    return out
  }

  #walk(n: Node, level: number, base: number, first: number, last: number, out: Folio[]): void {
    const span = FAN ** level
    const from = Math.max(0, Math.floor((first - base) / span))
    const to = Math.min(FAN - 1, Math.floor((last - base) / span))
    for (let i = from; i <= to; i++) {
      const s = n.slots[i]
      if (s === null || s === undefined) continue
      if (level > 0) this.#walk(s as Node, level - 1, base + i * span, first, last, out)
      else if (out.at(-1) !== s) out.push(s as Folio)
    }
  }

  /** Dirty folios that touch [first, last], by index; costs the smaller of the range and the number of dirty folios. */
  dirtyInRange(first: number, last: number): Folio[] {
    if (last - first < this.dirty.length) return this.inRange(first, last).filter((f) => f.dirtySlot >= 0)
    const touching = this.dirty.filter((f) => f.index <= last && f.index + f.pages > first)
    return touching.sort((a, b) => a.index - b.index)
  }
}

/** Writeback errors of one address space, to be reported once to every open file (lib/errseq.c). */
export class ErrorSequence {
  #counter = 0
  #errno: Errno | null = null
  #seen = true

  /** Record an error. */
  set(errno: Errno): void {
    if (this.#seen) this.#counter++
    this.#seen = false
    this.#errno = errno
  }

  checkpoint(): Restore {
    const [counter, errno, seen] = [this.#counter, this.#errno, this.#seen]
    return () => {
      this.#counter = counter
      this.#errno = errno
      this.#seen = seen
    }
  }

  /** What a newly opened file starts from: an error that nobody has seen is still to be reported to it. */
  sample(): number {
    return this.#seen ? this.#counter : this.#counter - 1
  }

  /** The error since `sample`, or null; the caller keeps the returned position. */
  check(sample: number): { readonly errno: Errno | null; readonly sample: number } {
    if (sample === this.#counter) return { errno: null, sample }
    this.#seen = true
    return { errno: this.#errno, sample: this.#counter }
  }
}
