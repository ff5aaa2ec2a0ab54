/**
 * Locks: state plus an op to wait for. No queue: who goes on is the scheduler's choice.
 *
 * Rules: a lock is taken through `acquire` of the verbs, which count it; a plain `tryLock` never waits. Release by who
 * holds it; releasing a free lock is a bug and throws.
 */
import type { Restore } from './checkpoint.ts'
import type { Op } from './kernel.ts'

/** An exclusive lock. */
export class Lock {
  held = false
  /** Ready when the lock is free. */
  readonly free: Op

  constructor(label: string) {
    this.free = { label, ready: () => !this.held }
  }

  /** Take it if it is free. */
  tryLock(): boolean {
    if (this.held) return false
    this.held = true
    return true
  }

  unlock(): void {
    if (!this.held) throw new Error(`${this.free.label}: unlock of a free lock`)
    this.held = false
  }

  checkpoint(): Restore {
    const { held } = this
    return () => {
      this.held = held
    }
  }
}

/** A lock that many may share or one may own. */
export class RwLock {
  exclusive = false
  shared = 0
  /** Ready when nobody holds it. */
  readonly free: Op
  /** Ready when no exclusive holder is left. */
  readonly shareable: Op

  constructor(label: string) {
    this.free = { label: `${label} (exclusive)`, ready: () => !this.exclusive && this.shared === 0 }
    this.shareable = { label: `${label} (shared)`, ready: () => !this.exclusive }
  }

  tryLock(): boolean {
    if (this.exclusive || this.shared > 0) return false
    this.exclusive = true
    return true
  }

  unlock(): void {
    if (!this.exclusive) throw new Error(`${this.free.label}: unlock of a lock that nobody owns`)
    this.exclusive = false
  }

  tryLockShared(): boolean {
    if (this.exclusive) return false
    this.shared++
    return true
  }

  unlockShared(): void {
    if (this.shared === 0) throw new Error(`${this.shareable.label}: unlock of a lock that nobody shares`)
    this.shared--
  }

  checkpoint(): Restore {
    const { exclusive, shared } = this
    return () => {
      this.exclusive = exclusive
      this.shared = shared
    }
  }
}
