/**
 * Toy: small programs over variables and locks, as a System. Tests of the explorers run thousands of them.
 *
 * Each instruction is one yield and one action. A fiber has one register; at its end it leaves it in an object of its
 * own.
 */
import type { Choices } from '../kernel/choices.ts'
import type { Kernel, Op } from '../kernel/kernel.ts'
import { raise } from '../kernel/kernel.ts'
import type { Errno } from '../kernel/errno.ts'
import { Lock, RwLock } from '../kernel/lock.ts'
import { type Fiber, Footprint, type System, type Violation } from './system.ts'

/** One instruction. `o` is the number of a variable or a lock. */
export type Instruction =
  | { readonly op: 'point' }
  | { readonly op: 'read', readonly o: number }
  /** The register and then some into a variable. */
  | { readonly op: 'write', readonly o: number, readonly add: number }
  | { readonly op: 'increment', readonly o: number }
  | { readonly op: 'lock' | 'unlock' | 'share' | 'unshare' | 'own' | 'disown', readonly o: number }
  /** Wait until a variable is not 0. */
  | { readonly op: 'await', readonly o: number }
  /** The same, and add one to another variable in the same step. */
  | { readonly op: 'await-then', readonly o: number, readonly to: number }
  /** One variable into another, in one step. */
  | { readonly op: 'move', readonly o: number, readonly to: number }
  /** If the register is odd, leave out the next `count` instructions. */
  | { readonly op: 'skip', readonly count: number }
  /** Claim `C<claim>`: the register is not `value`. */
  | { readonly op: 'deny', readonly claim: number, readonly value: number }
  | { readonly op: 'choose', readonly n: number }
  | { readonly op: 'fail' }
  | { readonly op: 'throw' }

/** The fibers of a program. */
export interface Program {
  readonly fibers: readonly (readonly Instruction[])[]
  /** How many fibers, counted from the last, are daemons. */
  readonly daemons?: number
}

/** How many variables, locks and rwlocks there are. */
export const OBJECTS = 3

/** A toy world. Objects: variables, then locks, then rwlocks, then the register of each fiber at its end. */
export class Toy implements System {
  readonly footprint = new Footprint()
  readonly program: Program
  variables: number[] = []
  locks: Lock[] = []
  rwlocks: RwLock[] = []
  results: number[] = []
  #choices!: Choices
  #violation: Violation | null = null

  constructor(program: Program) {
    this.program = program
  }

  begin(choices: Choices): readonly Fiber[] {
    this.#choices = choices
    this.variables = Array.from({ length: OBJECTS }, () => 0)
    this.locks = Array.from({ length: OBJECTS }, (_, o) => new Lock(`lock ${o}`))
    this.rwlocks = Array.from({ length: OBJECTS }, (_, o) => new RwLock(`rwlock ${o}`))
    this.results = this.program.fibers.map(() => 0)
    const daemonsFrom = this.program.fibers.length - (this.program.daemons ?? 0)
    return this.program.fibers.map((list, i) =>
      ({ name: `fiber ${i}`, kernel: this.#run(i, list), daemon: i >= daemonsFrom }))
  }

  digest(object: number): number {
    const [kind, o] = [Math.floor(object / OBJECTS), object % OBJECTS]
    if (kind === 0) return this.variables[o]!
    if (kind === 1) return Number(this.locks[o]!.held)
    if (kind === 2) return this.rwlocks[o]!.exclusive ? 1000 : this.rwlocks[o]!.shared
    return this.results[object - 3 * OBJECTS]!
  }

  stepped(_fiber: number): Violation | null {
    const violation = this.#violation
    this.#violation = null
    return violation
  }

  ended(): readonly Violation[] {
    return this.variables[0] === 3 ? [{ claim: 'REST', what: 'variable 0 is 3 at rest' }] : []
  }

  *#run(i: number, list: readonly Instruction[]): Kernel<void, Errno> {
    let register = 0
    for (let pc = 0; pc < list.length; pc++) {
      const code = list[pc]!
      yield this.#waitsFor(code)
      if (code.op === 'fail') yield* raise('EIO')
      if (code.op === 'skip') pc += register % 2 === 1 ? code.count : 0
      else register = this.#act(code, register)
    }
    this.results[i] = register + 1
    this.footprint.touch(3 * OBJECTS + i)
  }

  #waitsFor(code: Instruction): Op {
    switch (code.op) {
      case 'lock': return this.locks[code.o]!.free
      case 'own': return this.rwlocks[code.o]!.free
      case 'share': return this.rwlocks[code.o]!.shareable
      case 'await':
      case 'await-then': return { label: `await ${code.o}`, ready: () => this.variables[code.o] !== 0 }
      default: return { label: code.op, ready: () => true }
    }
  }

  /** @returns the register afterwards */
  #act(code: Instruction, register: number): number {
    const f = this.footprint
    switch (code.op) {
      case 'read':
      case 'await': f.see(code.o); return this.variables[code.o]!
      case 'write': f.touch(code.o); this.variables[code.o] = register + code.add; break
      case 'increment': f.touch(code.o); this.variables[code.o]!++; break
      case 'await-then': f.see(code.o); f.touch(code.to); this.variables[code.to]!++; break
      case 'move': f.see(code.o); f.touch(code.to); this.variables[code.to] = this.variables[code.o]!; break
      case 'lock': f.touch(OBJECTS + code.o); this.locks[code.o]!.tryLock(); break
      case 'unlock': f.touch(OBJECTS + code.o); if (this.locks[code.o]!.held) this.locks[code.o]!.unlock(); break
      case 'own': f.touch(2 * OBJECTS + code.o); this.rwlocks[code.o]!.tryLock(); break
      case 'share': f.touch(2 * OBJECTS + code.o); this.rwlocks[code.o]!.tryLockShared(); break
      case 'disown':
        f.touch(2 * OBJECTS + code.o)
        if (this.rwlocks[code.o]!.exclusive) this.rwlocks[code.o]!.unlock()
        break
      case 'unshare':
        f.touch(2 * OBJECTS + code.o)
        if (this.rwlocks[code.o]!.shared > 0) this.rwlocks[code.o]!.unlockShared()
        break
      case 'deny':
        if (register === code.value) this.#violation = { claim: `C${code.claim}`, what: `the register is ${register}` }
        break
      case 'choose': return this.#choices.choose(code.n, 'fault', 'toy')
      case 'throw': throw new Error('a plugin that throws')
    }
    return register
  }
}

/** What random programs are made of; `section`, `shared` and `owned` stand for a lock, an action and an unlock. */
const KINDS = [
  'read', 'read', 'write', 'write', 'increment', 'point', 'skip', 'deny', 'await', 'await-then', 'move',
  'section', 'shared', 'owned',
] as const

/** A random program with a fiber for each of `lengths`, which are in instructions. `draw(n)` gives 0 to n - 1. */
export const randomProgram = (draw: (n: number) => number, lengths: readonly number[], daemons = 0): Program => {
  const list = (length: number): Instruction[] => {
    const out: Instruction[] = []
    while (out.length < length) {
      const op = KINDS[draw(KINDS.length)]!
      const o = draw(2)
      const inner = (): Instruction =>
        draw(2) === 0 ? { op: 'read', o: draw(2) } : { op: 'write', o: draw(2), add: draw(3) }
      // A lock that is sometimes never released.
      const around = (a: Instruction, b: Instruction): void => {
        out.push(a, inner(), ...(draw(8) === 0 ? [] : [b]))
      }
      if (op === 'section') around({ op: 'lock', o }, { op: 'unlock', o })
      else if (op === 'shared') around({ op: 'share', o }, { op: 'unshare', o })
      else if (op === 'owned') around({ op: 'own', o }, { op: 'disown', o })
      else if (op === 'write') out.push({ op, o, add: draw(3) })
      else if (op === 'skip') out.push({ op, count: 1 + draw(2) })
      else if (op === 'deny') out.push({ op, claim: draw(3), value: 1 + draw(3) })
      else if (op === 'move' || op === 'await-then') out.push({ op, o, to: draw(2) })
      else if (op === 'point') out.push({ op })
      else out.push({ op, o })
    }
    return out.slice(0, length)
  }
  return { fibers: lengths.map(list), daemons }
}
