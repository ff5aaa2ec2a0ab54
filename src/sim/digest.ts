/**
 * Digests: what an explorer knows of a state, as two 32-bit lanes of which 53 bits are used.
 *
 * The digest of a world is the exclusive or, over all objects whose value is not their first one, of a hash of the
 * object's number and its digest: so a step costs as much as it wrote. The digest of a fiber sums up all that it can
 * know: after each step, the old digest, the number of steps, the choices given to it, and for every object noted, in
 * order, its number and its digest *before* the step. The local variables of a generator are a function of that; so two
 * states with equal digests are equal, but for the collisions of a 53-bit hash: about n^2 / 2^54 for n states.
 *
 * The first digest of an object is asked right after `begin`. An object that is first noted by a write comes too late
 * for that; then `step` says false, and the run has to be begun again.
 *
 * Hash: the finalizer of MurmurHash3 (Austin Appleby, public domain).
 */
import type { System } from './system.ts'

/** Multipliers of the two lanes. */
const A = 0x9e3779b1
const B = 0x7feb352d

/** One lane: the hash `h` of what came before, with `v`. */
const mix = (h: number, v: number, multiplier: number): number => {
  h = Math.imul(h ^ v, multiplier)
  h ^= h >>> 15
  h = Math.imul(h + 0x6ed9eba1, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Upper bits of an integer, whose lower 32 ones are `d | 0`. */
const high = (d: number): number => Math.floor(d / 4294967296)

/** An integer from 0 to 2^53 - 1. */
const join = (a: number, b: number): number => (b & 0x1fffff) * 4294967296 + (a >>> 0)

/** Digest of a sequence of numbers, for worlds to make the digests of their objects with. */
export class Digest {
  #a = 0
  #b = 0

  /** Start over. */
  clear(): this {
    this.#a = this.#b = 0
    return this
  }

  /** Add an integer, of at most 53 bits and a sign. */
  add(n: number): this {
    const up = high(n)
    this.#a = mix(mix(this.#a, n | 0, A), up, A)
    this.#b = mix(mix(this.#b, n | 0, B), up, B)
    return this
  }

  /** The digest: an integer from 0 to 2^53 - 1. */
  get value(): number {
    return join(this.#a, this.#b)
  }
}

/** Chance that among `states` states two had the same key. */
export const collisionRisk = (states: number): number => Math.min(1, states ** 2 / 2 ** 54)

/** The digests of a running System, kept up to date step by step. */
export class WorldDigest {
  readonly #system: System
  /** By object: its digest at the beginning; NaN until that is known. */
  readonly #first: number[] = []
  /** By object: its digest now, the lanes of a hash of both, and what they add to the world: nothing while it is the first one. */
  readonly #now: number[] = []
  readonly #hashA: number[] = []
  readonly #hashB: number[] = []
  readonly #addsA: number[] = []
  readonly #addsB: number[] = []
  /** Objects written in this run, and objects whose first digest is wanted. */
  readonly #written: number[] = []
  readonly #wanted: number[] = []
  #worldA = 0
  #worldB = 0
  /** Lanes of all fibers together, and of each. */
  #fibersA = 0
  #fibersB = 0
  #fiberA = new Int32Array(0)
  #fiberB = new Int32Array(0)
  #steps = new Int32Array(0)
  /** Choices given in the running step. */
  readonly #answers: number[] = []

  constructor(system: System) {
    this.#system = system
  }

  /** The system has just begun, with so many fibers. */
  begin(fibers: number): void {
    for (const o of this.#wanted) this.#set(o, (this.#first[o] = this.#system.digest(o)))
    for (const o of this.#written) {
      this.#set(o, this.#first[o]!)
      this.#addsA[o] = this.#addsB[o] = 0
    }
    this.#wanted.length = this.#written.length = this.#answers.length = 0
    this.#worldA = this.#worldB = this.#fibersA = this.#fibersB = 0
    if (this.#steps.length < fibers) {
      this.#fiberA = new Int32Array(fibers)
      this.#fiberB = new Int32Array(fibers)
      this.#steps = new Int32Array(fibers)
    }
    this.#fiberA.fill(0)
    this.#fiberB.fill(0)
    this.#steps.fill(0)
  }

  /** The running step was given this choice. */
  answered(pick: number): void {
    this.#answers.push(pick)
  }

  /**
   * Fiber `fiber` has made a step.
   * @returns false if it wrote an object whose first digest is not known: begin again, and go the same way
   */
  step(fiber: number): boolean {
    const { objects } = this.#system.footprint
    const known = this.#learn(objects)
    if (known) {
      this.noteFiber(fiber, objects)
      for (let k = 0; k < objects.length; k++) this.#noteObject(objects[k]!)
    }
    this.#answers.length = 0
    return known
  }

  /** Digest of the objects. */
  get world(): number {
    return join(this.#worldA, this.#worldB)
  }

  /** Digest of objects and fibers, and of whatever else decides what comes next. */
  key(extra: number): number {
    const a = this.#worldA ^ this.#fibersA
    const b = this.#worldB ^ this.#fibersB
    return extra === 0 ? join(a, b) : join(mix(a, extra, A), mix(b, extra, B))
  }

  /** What the fiber learnt in its step. */
  protected noteFiber(fiber: number, objects: readonly number[]): void {
    let a = this.#fiberA[fiber]!
    let b = this.#fiberB[fiber]!
    this.#drop(fiber, a, b)
    const n = ++this.#steps[fiber]!
    a = mix(a, n, A)
    b = mix(b, n, B)
    for (let k = 0; k < this.#answers.length; k++) {
      a = mix(a, ~this.#answers[k]!, A)
      b = mix(b, ~this.#answers[k]!, B)
    }
    for (let k = 0; k < objects.length; k++) {
      a = mix(a, this.#hashA[objects[k]!]!, A)
      b = mix(b, this.#hashB[objects[k]!]!, B)
    }
    this.#fiberA[fiber] = a
    this.#fiberB[fiber] = b
    this.#drop(fiber, a, b)
  }

  /** Take a fiber's share out of the lanes of all fibers, or put it in: the same thing. */
  #drop(fiber: number, a: number, b: number): void {
    this.#fibersA ^= mix(a, ~fiber, A)
    this.#fibersB ^= mix(b, ~fiber, B)
  }

  /** @returns false if the first digest of one of these is not known, and cannot be known now */
  #learn(objects: readonly number[]): boolean {
    let known = this.#wanted.length === 0
    for (let k = 0; k < objects.length; k++) {
      const o = objects[k]!
      if (this.#first[o] === undefined) {
        this.#first[o] = NaN
        this.#addsA[o] = this.#addsB[o] = 0
        if (this.#system.footprint.isWritten(o)) {
          this.#wanted.push(o)
          known = false
        } else this.#set(o, (this.#first[o] = this.#system.digest(o)))
      }
    }
    return known
  }

  #set(o: number, d: number): void {
    this.#now[o] = d
    this.#hashA[o] = mix(mix(mix(o, 1, A), d | 0, A), high(d), A)
    this.#hashB[o] = mix(mix(mix(o, 2, B), d | 0, B), high(d), B)
  }

  #noteObject(o: number): void {
    if (!this.#system.footprint.isWritten(o)) return
    const d = this.#system.digest(o)
    if (d === this.#now[o]) return
    if (this.#now[o] === this.#first[o]) this.#written.push(o)
    this.#set(o, d)
    this.#worldA ^= this.#addsA[o]!
    this.#worldB ^= this.#addsB[o]!
    const first = d === this.#first[o]
    this.#addsA[o] = first ? 0 : this.#hashA[o]!
    this.#addsB[o] = first ? 0 : this.#hashB[o]!
    this.#worldA ^= this.#addsA[o]!
    this.#worldB ^= this.#addsB[o]!
  }
}
