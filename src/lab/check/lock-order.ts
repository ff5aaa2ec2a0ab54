/**
 * LockOrder: which locks each fiber holds, in which order they were taken, and what was done under them.
 *
 * The graph of "taken while holding" is collected over all runs; a cycle in it is a deadlock that some schedule may reach
 * (as lockdep sees it), even if no run deadlocked. Folio locks are one node a direction: taking a higher index while a lower
 * one is held is the rule, the other way round is a finding.
 */
import type { Inode } from '../../fs/inode.ts'
import type { Lock, RwLock } from '../../kernel/lock.ts'
import type { Violation } from '../../sim/system.ts'
import type { Raw } from './objects.ts'

/** Names of locks in the graph. */
export type LockName = 'inode lock' | 'inode lock (shared)' | 'invalidate lock' | 'invalidate lock (shared)' | 'map lock' | 'folio lock' |
  `pipe ${number} lock`

interface Held {
  readonly name: LockName
  /** The folio, null for others. A private one is nobody else's: it has no order. */
  readonly folio: Raw | null
}

/** Locks under which a fault of user memory may wait for itself (claim I16). */
const NO_FAULT: readonly LockName[] = ['folio lock', 'invalidate lock', 'invalidate lock (shared)', 'map lock']

/** The locks of one world's file. */
export class LockOrder {
  /** `a -> b`: b was taken while a was held; how often. */
  edges = new Map<string, number>()
  /** What went wrong in this run. */
  found: Violation | null = null
  /** By fiber. */
  readonly #held: Held[][] = []

  rewind(): void {
    this.found = null
    for (const held of this.#held) held.length = 0
  }

  /** Locks that `fiber` holds. */
  heldBy(fiber: number): readonly Held[] {
    return this.#held[fiber] ?? []
  }

  /** The lock of a folio changed. */
  folio(fiber: number, folio: Raw, locked: boolean): void {
    if (locked) this.#took(fiber, 'folio lock', folio)
    else this.#let(fiber, 'folio lock', folio)
  }

  /** A page fault of user memory begins. */
  fault(fiber: number): void {
    const held = this.heldBy(fiber).find((h) => NO_FAULT.includes(h.name) && (h.folio === null || h.folio.home !== null))
    if (held !== undefined) this.found ??= { claim: 'I16', what: `a page fault of user memory is taken while the ${held.name} is held` }
  }

  /** Follow the locks of an inode. */
  watch(inode: Inode, fiber: () => number): void {
    const rw = (lock: RwLock, name: 'inode lock' | 'invalidate lock'): void => {
      const { tryLock, unlock, tryLockShared, unlockShared } = lock
      const shared = `${name} (shared)` as LockName
      lock.tryLock = () => tryLock() && this.#took(fiber(), name, null)
      lock.tryLockShared = () => tryLockShared() && this.#took(fiber(), shared, null)
      lock.unlock = () => (unlock(), this.#let(fiber(), name, null))
      lock.unlockShared = () => (unlockShared(), this.#let(fiber(), shared, null))
    }
    rw(inode.rwsem, 'inode lock')
    rw(inode.invalidateLock, 'invalidate lock')
    const map: Lock = inode.mapLock
    const { tryLock, unlock } = map
    map.tryLock = () => tryLock() && this.#took(fiber(), 'map lock', null)
    map.unlock = () => (unlock(), this.#let(fiber(), 'map lock', null))
  }

  /** Follow the lock of pipe `number`. */
  watchPipe(lock: Lock, number: number, fiber: () => number): void {
    const { tryLock, unlock } = lock
    lock.tryLock = () => tryLock.call(lock) && this.#took(fiber(), `pipe ${number} lock`, null)
    lock.unlock = () => (unlock.call(lock), this.#let(fiber(), `pipe ${number} lock`, null))
  }

  #took(fiber: number, name: LockName, folio: Raw | null): true {
    if (fiber < 0) return true
    while (this.#held.length <= fiber) this.#held.push([])
    const held = this.#held[fiber]!
    const shared = folio === null || folio.home !== null
    for (const h of held) {
      if (!shared || (h.folio !== null && h.folio.home === null)) continue
      const order = h.folio === null || folio === null ? 0 : h.folio.index < folio.index ? 1 : 2
      const edge = edgesOf(h.name, name)[order]
      this.edges.set(edge, (this.edges.get(edge) ?? 0) + 1)
      if (order === 2) {
        const what = `the folio lock of page ${folio!.index} is taken while that of page ${h.folio!.index} is held`
        this.found ??= { claim: 'I16', what }
      }
    }
    held.push({ name, folio })
    return true
  }

  #let(fiber: number, name: LockName, folio: Raw | null): void {
    if (fiber < 0) return
    const held = this.#held[fiber] ?? []
    for (let at = held.length - 1; at >= 0; at--) {
      if (held[at]!.name === name && held[at]!.folio === folio) return void held.splice(at, 1)
    }
  }
}

type Edges = readonly [string, string, string]
const edges = new Map<LockName, Map<LockName, Edges>>()

/** Lock `to` taken under `from`: as it is; both of folios, ascending; descending. Made once, for they are asked for at every lock. */
const edgesOf = (from: LockName, to: LockName): Edges => {
  let known = edges.get(from)
  if (known === undefined) edges.set(from, (known = new Map()))
  let all = known.get(to)
  if (all === undefined) {
    const edge = `${from} -> ${to}`
    known.set(to, (all = [edge, `${edge} (ascending)`, `${edge} (descending)`]))
  }
  return all
}

/** A cycle in the graph of edges, as `a -> b -> a`, or null. Edges among folio locks that ascend are no cycle. */
export const lockCycle = (edges: ReadonlyMap<string, number>): string | null => {
  const next = new Map<string, Set<string>>()
  for (const edge of edges.keys()) {
    const [a, b] = edge.replace(/ \((ascending|descending)\)$/, '').replaceAll(' (shared)', '').split(' -> ') as [string, string]
    if (a === b && edge.endsWith('(ascending)')) continue
    next.set(a, (next.get(a) ?? new Set()).add(b))
  }
  const walk = (at: string, path: readonly string[]): string | null => {
    if (path.includes(at)) return [...path.slice(path.indexOf(at)), at].join(' -> ')
    for (const to of next.get(at) ?? []) {
      const found = walk(to, [...path, at])
      if (found !== null) return found
    }
    return null
  }
  for (const at of next.keys()) {
    const found = walk(at, [])
    if (found !== null) return found
  }
  return null
}
