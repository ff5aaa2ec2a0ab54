/**
 * Scheduler: runs the fibers of a System one step at a time, in the order that a source of choices decides.
 *
 * A *step* is what a fiber does between two yields. A fiber is *enabled* when the op that it waits for is ready, and
 * when it has not begun yet. At a scheduling point with more than one enabled fiber the source is asked `choose(n,
 * 'schedule', label)`: 0 stays on the current fiber if that is enabled, else takes the first one; the other numbers are
 * the other enabled fibers in their order. To leave a fiber that is enabled is a *preemption*. Once their bound is used
 * up the question is `choose(1, ...)`: so a tape keeps its place whatever the bound.
 *
 * A run ends when all fibers but the daemons have ended (*finished*, or *violation* if something is wrong at rest), at
 * a violation, when no fiber is enabled (*deadlock*), when the steps are used up (*loop*), or when a caller says so. A
 * Failure ends its fiber in the usual way; anything else thrown, by a fiber or by the system, is the outcome *threw*.
 *
 * Rule: before a step the footprint is cleared, after it the system is asked what is wrong. Nothing is allocated for a
 * step. What no scheduler can end: a step that never yields.
 */
import type { Choices } from '../kernel/choices.ts'
import type { Errno } from '../kernel/errno.ts'
import type { Kernel, Op } from '../kernel/kernel.ts'
import { Failure } from '../kernel/kernel.ts'
import type { Fiber, System, Violation } from './system.ts'

/** What a fiber waits for before its first step, and after its last. */
const BEGIN: Op = { label: 'begin', ready: () => true }
const END: Op = { label: 'end', ready: () => false }

/** What threw: a fiber, or the judgement after its step; -1 is the judgement at rest. */
export interface Thrown {
  readonly fiber: number
  readonly error: unknown
}

/** The steps of a run: who, and the label of the op that was ready. */
export class Trace {
  length = 0
  readonly fibers: number[] = []
  readonly labels: string[] = []

  push(fiber: number, label: string): void {
    this.fibers[this.length] = fiber
    this.labels[this.length++] = label
  }
}

/** The fibers of one run, stepped by whoever owns the loop: `execute` below, or an explorer. */
export class Machine {
  readonly system: System
  readonly trace = new Trace()
  fibers: readonly Fiber[] = []
  /** Enabled fibers, filled by `enabled()`: the current one first, then by number. */
  candidates = new Int32Array(0)
  /** The fiber that made the last step, or -1. */
  current = -1
  /** Fibers that have not ended, daemons left out. */
  living = 0
  /** Preemptions until now. */
  preemptions = 0
  /** What is wrong since the last step, or null. */
  violation: Violation | null = null
  /** The first thing that was thrown in this run, or null. */
  thrown: Thrown | null = null
  readonly #kernels: Kernel<unknown, Errno>[] = []
  readonly #waits: Op[] = []

  constructor(system: System) {
    this.system = system
  }

  /** Steps until now. */
  get steps(): number {
    return this.trace.length
  }

  /** Back to the first state. */
  begin(choices: Choices): void {
    const fibers = this.system.begin(choices)
    this.fibers = fibers
    if (this.candidates.length < fibers.length) this.candidates = new Int32Array(fibers.length)
    this.trace.length = 0
    this.current = -1
    this.living = 0
    this.preemptions = 0
    this.violation = null
    this.thrown = null
    for (let i = 0; i < fibers.length; i++) {
      this.#kernels[i] = fibers[i]!.kernel
      this.#waits[i] = BEGIN
      if (fibers[i]!.daemon !== true) this.living++
    }
  }

  /** May fiber `i` go on now? */
  isEnabled(i: number): boolean {
    try {
      return this.#waits[i]!.ready()
    } catch (error) {
      this.#end(i, error)
      return false
    }
  }

  /** Has fiber `i` ended? */
  isEnded(i: number): boolean {
    return this.#waits[i] === END
  }

  /** Label of the op that fiber `i` waits for. */
  label(i: number): string {
    return this.#waits[i]!.label
  }

  /** Fill `candidates`. @returns how many fibers are enabled */
  enabled(): number {
    const { candidates, current } = this
    let n = 0
    if (current >= 0 && this.isEnabled(current)) candidates[n++] = current
    for (let i = 0; i < this.fibers.length; i++) {
      if (i !== current && this.isEnabled(i)) candidates[n++] = i
    }
    return n
  }

  /** Does it take a preemption to run another candidate than the first? */
  get preempts(): boolean {
    return this.candidates[0] === this.current
  }

  /**
   * Candidate number `pick` makes a step; afterwards `violation` and `thrown` say how that went.
   * @param judged asked behind the step: was it judged before (System.stepped)?
   */
  step(pick: number, judged: (() => boolean) | null = null): void {
    const i = this.candidates[pick]!
    if (pick !== 0 && this.preempts) this.preemptions++
    this.current = i
    this.trace.push(i, this.#waits[i]!.label)
    this.system.footprint.clear()
    try {
      const next = this.#kernels[i]!.next()
      if (next.done === true) this.#end(i)
      else this.#wait(i, next.value as Op)
    } catch (error) {
      if (error instanceof Failure) this.#end(i)
      else this.#end(i, error)
    }
    try {
      this.violation = this.system.stepped(i, judged !== null && judged())
    } catch (error) {
      this.violation = null
      this.thrown ??= { fiber: i, error }
    }
  }

  /** All have ended. @returns what is wrong at rest */
  ended(): readonly Violation[] {
    try {
      return this.system.ended()
    } catch (error) {
      this.thrown ??= { fiber: -1, error }
      return []
    }
  }

  #wait(i: number, op: Op): void {
    if (typeof op?.ready === 'function') this.#waits[i] = op
    else {
      const { name } = this.fibers[i]!
      this.#end(i, new TypeError(`${name} yielded something that is no op: yield an Op to wait for it`))
    }
  }

  #end(i: number, ...threw: readonly unknown[]): void {
    this.#waits[i] = END
    if (this.fibers[i]!.daemon !== true) this.living--
    if (threw.length > 0) this.thrown ??= { fiber: i, error: threw[0] }
  }
}

/** A fiber that waits for ever, and for what. */
export interface Waiter {
  readonly fiber: number
  readonly name: string
  readonly label: string
}

/** How a run ended. */
export type Outcome =
  | { readonly kind: 'finished' }
  | { readonly kind: 'violation', readonly violations: readonly Violation[] }
  | { readonly kind: 'deadlock', readonly waiting: readonly Waiter[] }
  /** `tail`: the steps that repeat, or the last ones if none do. */
  | { readonly kind: 'loop', readonly tail: readonly string[] }
  | ({ readonly kind: 'threw' } & Thrown)
  | { readonly kind: 'stopped' }

/** A run that has ended. `machine` holds its trace until the machine runs again. */
export interface Run {
  readonly outcome: Outcome
  /** What was found wrong on the way and at rest, however the run ended. */
  readonly violations: readonly Violation[]
  readonly steps: number
  readonly preemptions: number
  readonly machine: Machine
}

/** Steps of a run unless told otherwise. */
export const STEPS = 100_000

/** Options of `execute`. */
export interface ExecuteOptions {
  /** Most preemptions; default: no bound. */
  readonly preemptions?: number
  /** Most steps; default 100,000. */
  readonly steps?: number
  /** Go on after a violation and collect; default: stop at the first. */
  readonly onward?: boolean
  /** Called after every step. True ends the run as *stopped*. */
  readonly after?: (fiber: number, machine: Machine) => boolean
  /** A machine of this system, to be used again. */
  readonly machine?: Machine
}

/** Run a system once. */
export const execute = (system: System, choices: Choices, options: ExecuteOptions = {}): Run => {
  const machine = options.machine ?? new Machine(system)
  const violations: Violation[] = []
  const outcome = outcomeOf(machine, choices, options, violations)
  return { outcome, violations, steps: machine.steps, preemptions: machine.preemptions, machine }
}

const outcomeOf = (m: Machine, choices: Choices, options: ExecuteOptions, violations: Violation[]): Outcome => {
  const { preemptions = Infinity, steps = STEPS, onward = false, after } = options
  m.begin(choices)
  while (m.living > 0) {
    const n = m.enabled()
    if (m.thrown !== null) return threw(m.thrown)
    if (n === 0) return deadlock(m)
    if (m.steps === steps) return { kind: 'loop', tail: repeating(m) }
    const allowed = m.preempts && m.preemptions >= preemptions ? 1 : n
    m.step(n === 1 ? 0 : choices.choose(allowed, 'schedule', m.label(m.candidates[0]!)))
    if (m.thrown !== null) return threw(m.thrown)
    if (m.violation !== null) {
      violations.push(m.violation)
      if (!onward) return { kind: 'violation', violations }
    }
    if (after !== undefined && after(m.current, m)) return { kind: 'stopped' }
  }
  violations.push(...m.ended())
  if (m.thrown !== null) return threw(m.thrown)
  return violations.length > 0 ? { kind: 'violation', violations } : { kind: 'finished' }
}

const threw = (thrown: Thrown): Outcome => ({ kind: 'threw', ...thrown })

/** Who waits for what, when nobody can go on. */
export const waiting = (m: Machine): readonly Waiter[] =>
  m.fibers
    .map((f, fiber) => ({ fiber, name: f.name, label: m.label(fiber) }))
    .filter(({ fiber }) => !m.isEnded(fiber))

const deadlock = (m: Machine): Outcome => ({ kind: 'deadlock', waiting: waiting(m) })

/** The steps of the run that the machine holds, one line each: `writer 1: folio 3 lock`. */
export const timeline = (m: Machine, from = 0): readonly string[] => {
  const { fibers, labels, length } = m.trace
  return Array.from({ length: length - from }, (_, k) => `${m.fibers[fibers[from + k]!]!.name}: ${labels[from + k]}`)
}

/** Longest period that is looked for at the end of a run that never ends. */
const PERIOD = 64

/** The shortest list of steps that the end of the run repeats at least three times, or its last steps. */
export const repeating = (m: Machine): readonly string[] => {
  const tail = timeline(m, Math.max(0, m.steps - 3 * PERIOD))
  const n = tail.length
  for (let p = 1; p <= PERIOD && 3 * p <= n; p++) {
    let same = true
    for (let i = n - 2 * p; same && i < n; i++) same = tail[i] === tail[i - p]
    if (same) return tail.slice(n - p)
  }
  return tail.slice(-PERIOD)
}
