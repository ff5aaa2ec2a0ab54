/**
 * LockVerbs: every way in which code above the page cache may decide, wait, take a lock, or keep a folio from going.
 *
 * A pin keeps a folio in its place in the cache, a reference only its memory. Who waits for the lock of a folio refers to it: it may
 * leave the cache meanwhile, and its memory may not be somebody's private folio by the time that the wait is over, for that somebody
 * may wait for the waiter. The last to let go of a folio that is in no file frees it.
 * Source: folio_lock, folio_get and folio_batch_release (mm/filemap.c, mm/swap.c).
 */
import type { ChoiceKind, Choices } from '../kernel/choices.ts'
import { straight } from '../kernel/choices.ts'
import type { Errno } from '../kernel/errno.ts'
import type { Kernel, Op } from '../kernel/kernel.ts'
import type { Ledger } from '../kernel/ledger.ts'
import type { Lock, RwLock } from '../kernel/lock.ts'
import type { AddressSpace } from './address-space.ts'
import type { Folio } from './folio.ts'
import type { PageCache } from './page-cache.ts'

/** Decisions, locks and references. */
export class LockVerbs {
  readonly cache: PageCache
  readonly ledger: Ledger
  readonly choices: Choices
  /** Microseconds since the epoch, by the virtual clock. */
  readonly now: () => number
  /** Nothing fails and nobody else runs: plain halves may be used. */
  readonly plain: boolean
  /** Others run in between: every lock is a point where they may, and plain halves that take one say "not now". */
  readonly scheduled: boolean
  readonly #steps = new Map<string, Op>()

  constructor(cache: PageCache, ledger: Ledger, choices: Choices, now: () => number) {
    this.cache = cache
    this.ledger = ledger
    this.choices = choices
    this.now = now
    this.plain = choices === straight
    this.scheduled = choices.scheduled === true
  }

  // --- decisions -----------------------------------------------------------------------------------------------

  /** Ask the outside world; 0 is the simplest course. */
  choose(n: number, kind: ChoiceKind, label: string): number {
    return this.choices.choose(n, kind, label)
  }

  /** Does this site fail now? `code` names the site, such as `ENOMEM.folio`. */
  fault(code: `${Errno}.${string}`): boolean {
    return !this.plain && this.choices.choose(2, 'fault', code) === 1
  }

  /** A point where a scheduler may let somebody else run; nothing on the straight run. */
  *step(label: string): Kernel<void> {
    if (this.scheduled) yield this.stepOp(label)
  }

  /** The op of a step with this label; one a label. */
  protected stepOp(label: string): Op {
    let op = this.#steps.get(label)
    if (op === undefined) this.#steps.set(label, (op = { label, ready: () => true }))
    return op
  }

  // --- locks ---------------------------------------------------------------------------------------------------

  /** Take an exclusive lock, waiting for it if need be. */
  *acquire(lock: Lock | RwLock): Kernel<void> {
    if (this.scheduled) yield lock.free
    while (!lock.tryLock()) yield lock.free
    this.ledger.locks++
  }

  /** Take a lock if it is free now. */
  tryAcquire(lock: Lock | RwLock): boolean {
    if (this.scheduled || !lock.tryLock()) return false
    this.ledger.locks++
    return true
  }

  release(lock: Lock | RwLock): void {
    lock.unlock()
  }

  *acquireShared(lock: RwLock): Kernel<void> {
    if (this.scheduled) yield lock.shareable
    while (!lock.tryLockShared()) yield lock.shareable
    this.ledger.locks++
  }

  releaseShared(lock: RwLock): void {
    lock.unlockShared()
  }

  // --- the lock of a folio -----------------------------------------------------------------------------------------

  /** Lock a folio if it is free and still cached there. */
  tryLock(f: Folio, space: AddressSpace): boolean {
    if (this.scheduled || f.locked || f.home !== space) return false
    f.locked = true
    this.ledger.locks++
    return true
  }

  /**
   * Lock a folio that is cached, or that the caller refers to. It may have left the cache by then: look again. Who waits refers to
   * it, so that its memory is not given out: it would be the private folio of somebody who may be waiting for him.
   */
  *lockFolio(f: Folio): Kernel<void> {
    if (this.scheduled || f.locked) yield* this.#waitForLock(f)
    f.locked = true
    this.ledger.locks++
  }

  *#waitForLock(f: Folio): Kernel<void> {
    f.refs++
    try {
      if (this.scheduled) yield f.lockOp
      while (f.locked) yield f.lockOp
    } catch (e) {
      this.unrefer(f)
      throw e
    }
    f.refs--
  }

  /** Let go of the lock. A folio that left the cache while its lock was waited for is freed by the last who waited. */
  unlockFolio(f: Folio): void {
    if (!f.locked) throw new Error(`unlock of an unlocked folio at page ${f.index}`)
    f.locked = false
    if (f.home === null && f.refs === 0 && f.pins === 0) this.cache.release(f)
  }

  // --- pins and references -----------------------------------------------------------------------------------------

  /** Keep a folio from being freed or evicted. */
  pin(f: Folio): void {
    f.pins++
  }

  /** The last unpin of a folio that left the cache frees it. */
  unpin(f: Folio): void {
    f.pins--
    if (f.pins === 0 && f.refs === 0 && f.home === null) this.cache.release(f)
  }

  /** Keep the memory of a folio while its bytes are read without its lock (folio_try_get). It may leave the cache. */
  refer(f: Folio): void {
    f.refs++
  }

  /** Refer to each of a list of folios that is worked off one by one, with waits between them (a folio batch). */
  referAll(folios: readonly Folio[]): void {
    for (const f of folios) f.refs++
  }

  /** The last reference to a folio that left the cache frees it (folio_put). */
  unrefer(f: Folio): void {
    f.refs--
    if (f.pins === 0 && f.refs === 0 && f.home === null) this.cache.release(f)
  }

  /** Let go of a reference to a folio whose lock the caller has: if it was the last one, the unlock frees the memory. */
  unreferLocked(f: Folio): void {
    f.refs--
  }
}
