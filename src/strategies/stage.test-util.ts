/**
 * Stage: a small mounted file system with one open file, for tests of designs.
 *
 * - `stage` makes it; `take` unwraps what must not fail; `cost` says what something counted, as one line.
 * - `sourceOf` is user memory of which the first bytes can be read.
 * - `interleave` runs a kernel as under a scheduler, and does something else once, where it waits for a given thing.
 * A design that never ends throws here: look-ups and looks at folios are bounded.
 */
import type { Either } from 'fp-ts/lib/Either.js'
import type { Inode } from '../fs/inode.ts'
import type { AnyStrategy } from '../fs/strategy.ts'
import { Verbs } from '../fs/verbs.ts'
import type { Write } from '../fs/write.ts'
import { IovIter } from '../iov/iov-iter.ts'
import { UserMemory } from '../iov/user-memory.ts'
import type { Choices } from '../kernel/choices.ts'
import type { Errno } from '../kernel/errno.ts'
import { type Kernel, type Op, run } from '../kernel/kernel.ts'
import { COUNTERS, type Ledger, since, snapshot } from '../kernel/ledger.ts'
import { PAGE } from '../kernel/units.ts'
import { freshSession, type MountOptions, type Session } from '../lab/session.ts'
import type { AddressSpace } from '../pagecache/address-space.ts'
import type { Folio } from '../pagecache/folio.ts'
import type { PageCache } from '../pagecache/page-cache.ts'

/** Verbs that throw where a design looks, copies or turns for ever; much earlier than the verbs themselves. */
export class BoundedVerbs extends Verbs {
  /** More than the writes of these tests need: looks between two copies, turns without progress, copies in all. */
  protected readonly most: { readonly looks: number; readonly turns: number; readonly copies: number } =
    { looks: 600, turns: 20, copies: 3_000 }
  #looks = 0
  #copies = 0

  constructor(cache: PageCache, ledger: Ledger, choices: Choices, now: () => number) {
    super(cache, ledger, choices, now)
    const count = (): void => this.#count()
    let lookups = 0
    Object.defineProperty(ledger, 'mapLookups', {
      enumerable: true, get: () => lookups, set: (n: number) => void (count(), (lookups = n)),
    })
  }

  #count(): void {
    if (++this.#looks > this.most.looks) throw new Error(`endless: ${this.#looks} looks, and nothing copied`)
  }

  override copyNow(w: Write, f: Folio, off: number, at: number, n: number): number {
    if (++this.#copies > this.most.copies) throw new Error(`endless: ${this.#copies} copies`)
    const c = super.copyNow(w, f, off, at, n)
    if (c > 0) this.#looks = 0
    else this.#count()
    return c
  }
  override turn(w: Write): void {
    super.turn(w)
    if (w.turns > this.most.turns) throw new Error(`endless: ${w.turns} turns without progress`)
  }
  override *lockFolio(f: Folio): Kernel<void> {
    this.#count()
    yield* super.lockFolio(f)
  }
  override cookie(inode: Inode): number {
    this.#count()
    return super.cookie(inode)
  }
  override peekFolio(space: AddressSpace, index: number): Folio | null {
    this.#count()
    return super.peekFolio(space, index)
  }
  override tryFolio(space: AddressSpace, index: number, stable: boolean): Folio | null {
    this.#count()
    return super.tryFolio(space, index, stable)
  }
  override setPlace(f: Folio, off: number, n: number, place: number): void {
    this.#count()
    super.setPlace(f, off, n, place)
  }
}

/** What a stage is made of; the defaults are ext4, blocks of 4096 bytes, folios of one page. */
export interface Props extends Partial<Omit<MountOptions, 'strategy'>> {
  readonly format?: 'ext2' | 'ext4'
  readonly blockSize?: number
}

/** A mounted file system with the empty file `f` open as `fd`. */
export interface Stage extends Session {
  readonly fd: number
  readonly inode: Inode
}

/** What must not fail. @throws Error with the errno */
export const take = <A>(result: Either<Errno, A>): A => {
  if (result._tag === 'Left') throw new Error(`failed with ${result.left}`)
  return result.right
}

/** Make a stage. */
export const stage = (strategy: AnyStrategy, props: Props = {}): Stage => {
  const session = freshSession({
    format: 'ext4', blockSize: 4096, size: 8 << 20, maxFolioOrder: 0, limitPages: 2048, poison: true, strategy,
    verbs: BoundedVerbs, ...props,
  })
  const fd = take(session.posix.open('f', ['O_RDWR', 'O_CREAT']))
  return { ...session, fd, inode: take(run(session.posix.sys.file(fd))).inode }
}

/** Forget what is cached of `f`; it is opened again. */
export const cold = (s: Stage): Stage => {
  take(s.posix.close(s.fd))
  take(s.posix.dropCaches())
  const fd = take(s.posix.open('f', ['O_RDWR']))
  return { ...s, fd, inode: take(run(s.posix.sys.file(fd))).inode }
}

/** What `act` counted: every counter that moved, as `begins 1 iterations 5`. */
export const cost = ({ ledger }: Session, act: () => unknown): string => {
  const before = snapshot(ledger)
  act()
  const moved = since(before, ledger)
  return COUNTERS.filter((c) => c !== 'peakHeldPages' && moved[c] !== 0).map((c) => `${c} ${moved[c]}`).join(' ')
}

/** `length` bytes of `fill` in user memory, of which the first `readable` can be read; it takes faults if `absent`. */
export const sourceOf = (length: number, fill: string, readable = length, absent = false): IovIter => {
  const start = (PAGE - (readable % PAGE)) % PAGE
  const memory = new UserMemory(Math.ceil((start + length) / PAGE) * PAGE + PAGE)
  memory.bytes.fill(fill)
  if (absent) memory.mark(0, memory.size, 'absent')
  if (readable < length) memory.mark(start + readable, length - readable, 'unreadable')
  return new IovIter(memory, [{ addr: start, len: length }])
}

/** The bytes of `f` from `pos` on, as runs: `aaab` is `3a1b`; a zero byte is `.`. */
export const runs = ({ posix, fd }: Stage, pos = 0, n = 1 << 20): string => {
  const into = Buffer.alloc(n)
  const bytes = into.subarray(0, take(posix.pread(fd, into, pos)))
  let said = ''
  for (let i = 0, j = 0; i < bytes.length; i = j) {
    while (j < bytes.length && bytes[j] === bytes[i]) j++
    said += `${j - i}${bytes[i] === 0 ? '.' : String.fromCharCode(bytes[i]!)}`
  }
  return said
}

/** Blocks that `f` has, that are promised to it, and that are reserved beyond that and its map: 0 between two calls. */
export const space = (
  { fs, inode }: Stage,
): { readonly real: number; readonly delayed: number; readonly reserved: number } => {
  const { realBlocks: real, delayedBlocks: delayed } = inode.map
  return { real, delayed, reserved: fs.space.reserved - delayed - inode.owed }
}

/** `site` fails where `when` says so of its n-th visit, counted from 1; nothing else does. */
export const failing = (site: string, when: (n: number) => boolean = () => true): Choices => {
  let n = 0
  return { choose: (_n, _kind, label) => (label === site && when(++n) ? 1 : 0) }
}

/** Others run in between: every lock is a point. */
export const scheduled: Choices = { scheduled: true, choose: () => 0 }

/**
 * Run `kernel`; the n-th time that it waits for something whose label matches, do `act` once, and go on.
 * @param seen what was waited for, in order
 * @throws Error if it never waits for that, or waits for what nobody provides
 */
export const interleave = <A>(
  kernel: Kernel<A, Errno>, label: RegExp, act: () => void, nth = 1, seen: string[] = [],
): Either<Errno, A> => {
  let left = nth
  const watched = function* (): Kernel<A, Errno> {
    for (;;) {
      const step = kernel.next()
      if (step.done === true) return step.value
      const said = (step.value as Op).label
      seen.push(said)
      if (label.test(said) && --left === 0) act()
      yield step.value
    }
  }
  const outcome = run(watched())
  if (left > 0) throw new Error(`waited for ${label} ${nth - left} times only`)
  return outcome
}

/** Run something of `fs` at once. */
export const now = <A>(kernel: Kernel<A, Errno>): A => take(run(kernel))

