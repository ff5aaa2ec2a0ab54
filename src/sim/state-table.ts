/**
 * StateTable: the states that a search has come to, by key.
 *
 * An open-addressing set of keys (integers from 0 to 2^53 - 1) in one Float64Array, at most two thirds full. The n-th
 * state that is added has the id n, from 0. For each id two numbers are kept: how many paths lead from this state to an
 * end (exact up to 2^53), and the most preemptions that were left when it was come to.
 */

/** An empty place: no key. */
const EMPTY = -1

/** A set of states with two numbers each. */
export class StateTable {
  /** How many states. */
  size = 0
  #keys: Float64Array
  #ids: Int32Array
  #mask: number
  #paths: Float64Array
  #left: Float64Array

  /** @param capacity places to begin with: a power of two */
  constructor(capacity = 1024) {
    this.#keys = new Float64Array(capacity).fill(EMPTY)
    this.#ids = new Int32Array(capacity)
    this.#mask = capacity - 1
    this.#paths = new Float64Array(capacity)
    this.#left = new Float64Array(capacity)
  }

  /** Id of a state, or -1. */
  find(key: number): number {
    const at = this.#place(key)
    return this.#keys[at] === EMPTY ? -1 : this.#ids[at]!
  }

  /** Add a state that is not there yet. @returns its id */
  add(key: number): number {
    if (3 * (this.size + 1) > 2 * this.#keys.length) this.#grow()
    const at = this.#place(key)
    this.#keys[at] = key
    return (this.#ids[at] = this.size++)
  }

  /** Paths from this state to an end. */
  paths(id: number): number {
    return this.#paths[id]!
  }

  setPaths(id: number, paths: number): void {
    this.#paths[id] = paths
  }

  /** Most preemptions that were left when this state was come to. */
  left(id: number): number {
    return this.#left[id]!
  }

  setLeft(id: number, left: number): void {
    this.#left[id] = left
  }

  /** Where a key is or belongs. The lower bits of a key are well mixed. */
  #place(key: number): number {
    let at = (key | 0) & this.#mask
    for (;;) {
      const there = this.#keys[at]!
      if (there === key || there === EMPTY) return at
      at = (at + 1) & this.#mask
    }
  }

  #grow(): void {
    const [keys, ids] = [this.#keys, this.#ids]
    const capacity = 2 * keys.length
    this.#keys = new Float64Array(capacity).fill(EMPTY)
    this.#ids = new Int32Array(capacity)
    this.#mask = capacity - 1
    keys.forEach((key, from) => {
      if (key === EMPTY) return
      const at = this.#place(key)
      this.#keys[at] = key
      this.#ids[at] = ids[from]!
    })
    this.#paths = longer(this.#paths, capacity)
    this.#left = longer(this.#left, capacity)
  }
}

const longer = (a: Float64Array, length: number): Float64Array => {
  const b = new Float64Array(length)
  b.set(a)
  return b
}
