/**
 * Random numbers of the workload generators, seeded.
 *
 * The same seed gives the same workload on every machine and in every later version; a change here changes every
 * generated workload, and the test that pins the first numbers says so.
 *
 * Source: xoshiro128** 1.1 (Blackman and Vigna), seeded by splitmix32, both in the public domain.
 */

/** A seeded source of random numbers. */
export class Random {
  private a: number
  private b: number
  private c: number
  private d: number

  /** @param seed any integer; its low 32 bits count */
  constructor(seed: number) {
    let state = seed | 0
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0
      let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
      x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
      return x ^ (x >>> 15)
    }
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next() | 1
  }

  /** The next 32 random bits as an unsigned number. */
  bits(): number {
    const x = Math.imul(this.b, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9)
    const t = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= t
    this.d = (this.d << 11) | (this.d >>> 21)
    return result >>> 0
  }

  /** A number of 0 .. n-1, for n up to 2^32. */
  below(n: number): number {
    return Math.floor(this.bits() / 0x100000000 * n)
  }

  /** A number of `low` .. `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** One element of an array that is not empty. */
  pick<A>(from: readonly A[]): A {
    return from[this.below(from.length)] as A
  }

  /** An index of `weights`, each as likely as its weight. */
  weighted(weights: readonly number[]): number {
    let left = this.below(weights.reduce((sum, weight) => sum + weight, 0))
    for (let i = 0; i < weights.length; i++) {
      left -= weights[i] as number
      if (left < 0) return i
    }
    return weights.length - 1
  }
}
