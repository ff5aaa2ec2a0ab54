/**
 * Explore: every run of a System, depth first, each state once.
 *
 * Runs are made again from the beginning: the decisions until now are a stack, its top one is advanced, and the system
 * runs again. After each step the state is looked up by its key (digest.ts); where another run has been before, the
 * rest is known already. The number of steps that each fiber has made is part of its state, so no run comes back to a
 * state of its own: the states form a graph without cycles, and the interleavings are the paths through it, counted on
 * the way back.
 *
 * Bounds. With a bound on preemptions the current fiber, if it is enabled, belongs to the state, and a state counts as
 * seen only if it was come to with at least as many preemptions left. Choices of other kinds are enumerated by the same
 * stack, each kind with a bound on how many differ from 0 in one run (default 0: none); what is used of a bound belongs
 * to the state.
 *
 * Obligations of the system: those of system.ts; it makes no choices in `begin`; and its digests may be asked for right
 * after `begin` for every object that was ever noted. A run that goes another way when it is repeated is a finding,
 * `indeterminate`, and ends the search. Soundness: up to collisions of keys (`riskOf`).
 */
import type { ChoiceKind, Choices } from '../kernel/choices.ts'
import { WorldDigest } from './digest.ts'
import { Machine, STEPS } from './scheduler.ts'
import {
  deadlockOf, type Ending, type Interruption, Judged, loopOf, type Search, type Symptom, symptomsOf, Tally, thrownOf,
} from './search.ts'
import type { Bounds } from './sources.ts'
import { StateTable } from './state-table.ts'
import type { System } from './system.ts'
import { KINDS, RecordingTape } from './tape.ts'

/** Where a search begins: its first decisions, of all kinds, in the order in which they are asked. */
export type Prefix = readonly number[]

/** When to stop. */
export interface Budget {
  readonly executions?: number
  readonly states?: number
  /** Most preemptions of one run. */
  readonly preemptions?: number
}

/** How far a search is. */
export interface Progress {
  readonly executions: number
  readonly states: number
  readonly steps: number
  readonly findings: number
}

/** Options of a search. */
export interface ExploreOptions {
  readonly budget?: Budget
  /** By kind, `schedule` left out: how many choices of one run may differ from 0. Infinity: all. */
  readonly bounds?: Bounds
  /** Most steps of one run; default 100,000. */
  readonly steps?: number
  /** One finding for each claim, runs going on after a violation; default: stop at the first finding. */
  readonly collect?: boolean
  /** Only runs that begin like one of these; default: all. */
  readonly prefixes?: readonly Prefix[]
  /** False: visit every run, for comparison; default true. */
  readonly prune?: boolean
  /** Called every 1024 runs. True stops the search. */
  readonly progress?: (p: Progress) => boolean | void
}

const PROGRESS = 1024
const STATE = -1
const SCHEDULE = KINDS.indexOf('schedule')

/** One search. Use `explore`. */
export class Explorer implements Choices {
  readonly #machine: Machine
  readonly #digests: WorldDigest
  readonly #options: ExploreOptions
  readonly #preemptions: number
  readonly #maxSteps: number
  readonly #prune: boolean
  readonly #bounds: readonly number[]
  readonly #bounded: boolean
  readonly #table = new StateTable()
  readonly #tally = new Tally()

  /** The stack: decisions of all kinds, and the states between them. */
  readonly #what: number[] = []
  readonly #limit: number[] = []
  readonly #pick: number[] = []
  /** Of a decision: paths behind the courses that are done. Of a state: its key. */
  readonly #value: number[] = []
  readonly #id: number[] = []
  #top = 0

  /** Of the run under way. */
  #at = 0
  #decisions = 0
  readonly #used: number[] = KINDS.map(() => 0)
  #choices: Choices = this
  #ending: Ending = 'complete'
  #blind = false
  #threw = false
  #indeterminate = false
  readonly #symptoms: Symptom[] = []
  #prefix: Prefix = []
  /** No decisions behind this many. */
  #depth = Infinity
  /** The run ends after this many steps and is not judged: it is made again for its tape. */
  #until = Infinity
  #mute = false
  readonly #clean = new Judged()
  /** Is the step just made one of the last run, which was judged then? Up to the decision that is made otherwise this time. */
  readonly #judged = (): boolean => this.#at < this.#top && this.#clean.isClean(this.#machine.steps)
  /** Paths behind the end of the last run, and behind all prefixes that are done. */
  #paths = 0
  #total = 0
  #over = false

  constructor(system: System, options: ExploreOptions = {}, digests: WorldDigest = new WorldDigest(system)) {
    this.#machine = new Machine(system)
    this.#digests = digests
    this.#options = options
    this.#preemptions = options.budget?.preemptions ?? Infinity
    this.#maxSteps = options.steps ?? STEPS
    this.#prune = options.prune ?? true
    this.#bounds = KINDS.map((k) => options.bounds?.[k] ?? 0)
    this.#bounded = this.#bounds.some((b) => b > 0 && b < Infinity)
  }

  /** All runs within the bounds. */
  search(): Search {
    for (const prefix of this.#options.prefixes ?? [[]]) {
      this.#prefix = prefix
      this.#top = 0
      do this.#execute()
      while (!this.#over && this.#backtrack())
      if (this.#over) break
    }
    const { interrupted, cut } = this.#tally
    // With a bound on preemptions a state stands for runs of which not all are within the bound.
    const all = interrupted.size === 0 && !cut.has('schedule')
    return this.#tally.search(this.#table.size, all ? this.#total : null)
  }

  /** All ways through the first `depth` decisions. Every run begins like exactly one of them. */
  prefixes(depth: number): readonly Prefix[] {
    const found: Prefix[] = []
    this.#depth = depth
    this.#mute = true
    do {
      do this.#run()
      while (this.#ending === 'learn')
      found.push(this.#pick.slice(0, this.#top))
      this.#paths = 0
    } while (this.#backtrack())
    return found
  }

  /** Called by the fibers, and by the search itself for schedules. */
  choose(n: number, kind: ChoiceKind, _label: string): number {
    if (n <= 1 || this.#blind || this.#decisions >= this.#depth) return 0
    const k = KINDS.indexOf(kind)
    if (k === SCHEDULE) return this.#decide(k, n)
    if (this.#used[k]! >= this.#bounds[k]!) {
      this.#tally.cut.add(kind)
      return 0
    }
    const pick = this.#decide(k, n)
    if (pick !== 0) this.#used[k]!++
    this.#digests.answered(pick)
    return pick
  }

  /** The decision at the top of the stack if the run has come that far, else the one that was made before. */
  #decide(kind: number, n: number): number {
    const at = this.#at++
    const index = this.#decisions++
    if (at < this.#top) {
      if (this.#what[at] !== kind) this.#indeterminate = true
      return this.#pick[at]! < n ? this.#pick[at]! : 0
    }
    const fixed = this.#prefix[index]
    this.#what[at] = kind
    this.#pick[at] = fixed ?? 0
    this.#limit[at] = fixed === undefined ? n : fixed + 1
    this.#value[at] = 0
    this.#id[at] = 0
    this.#top++
    return this.#pick[at]!
  }

  /** One run, counted and judged. */
  #execute(): void {
    const { budget, progress } = this.#options
    const tally = this.#tally
    if (tally.executions >= (budget?.executions ?? Infinity)) return this.#stop('executions')
    if (this.#table.size >= (budget?.states ?? Infinity)) return this.#stop('states')
    do this.#run()
    while (this.#ending === 'learn')
    tally.ran(this.#machine.steps, this.#ending as Exclude<Ending, 'learn'>)
    if (this.#symptoms.length > 0) this.#report()
    if (progress === undefined || tally.executions % PROGRESS !== 0) return
    const { executions, steps, findings } = tally
    const states = this.#table.size
    if (progress({ executions, steps, states, findings: findings.size }) === true) this.#stop('caller')
  }

  #stop(why: Interruption): void {
    this.#tally.interrupted.add(why)
    this.#over = true
  }

  #begin(): void {
    this.#at = 0
    this.#decisions = 0
    this.#used.fill(0)
    this.#blind = this.#threw = this.#indeterminate = false
    this.#symptoms.length = 0
    this.#paths = 0
    this.#ending = 'stopped'
    this.#clean.begin()
    this.#machine.begin(this.#choices)
    this.#digests.begin(this.#machine.fibers.length)
  }

  /** Run once. Sets `#ending`, and `#paths` to the number of runs that this one stands for. */
  #run(): void {
    const m = this.#machine
    this.#begin()
    while (m.steps < this.#until && this.#decisions < this.#depth) {
      if (m.living === 0) return this.#atRest()
      const n = m.enabled()
      if (m.thrown !== null && !this.#threw && this.#judge()) return
      if (n === 0) return this.#stuck()
      if (m.steps >= this.#maxSteps) return this.#endless()
      m.step(n === 1 ? 0 : this.#schedule(n), this.#judged)
      if (this.#blind) continue
      if (!this.#digests.step(m.current)) {
        this.#blind = true
        continue
      }
      if ((m.violation !== null || m.thrown !== null) && this.#judge()) return
      if (this.#prune && this.#decisions >= this.#prefix.length && this.#seen()) {
        this.#ending = 'pruned'
        return
      }
      if (this.#indeterminate) return this.#strayed()
    }
    if (this.#blind) this.#ending = 'learn'
  }

  #schedule(n: number): number {
    const m = this.#machine
    const last = m.preempts && m.preemptions >= this.#preemptions
    if (last) this.#tally.cut.add('schedule')
    return this.#choices.choose(last ? 1 : n, 'schedule', m.label(m.candidates[0]!))
  }

  /** Has another run been in this state, with no fewer preemptions left? If not, it is on the stack now. */
  #seen(): boolean {
    const m = this.#machine
    const key = this.#digests.key(this.#extra())
    const at = this.#at
    if (at < this.#top) {
      this.#at++
      if (this.#what[at] !== STATE || this.#value[at] !== key) this.#indeterminate = true
      return false
    }
    const left = this.#preemptions - m.preemptions
    let id = this.#table.find(key)
    if (id >= 0 && this.#table.left(id) >= left) {
      this.#paths = this.#table.paths(id)
      return true
    }
    if (id < 0) id = this.#table.add(key)
    this.#table.setLeft(id, left)
    this.#what[at] = STATE
    this.#value[at] = key
    this.#id[at] = id
    this.#limit[at] = this.#pick[at] = 0
    this.#at = ++this.#top
    return false
  }

  /** What else decides the runs from here on: the current fiber, and what is used up of the bounds. */
  #extra(): number {
    const m = this.#machine
    let extra = this.#preemptions < Infinity && m.isEnabled(m.current) ? m.current + 1 : 0
    if (this.#bounded) for (let k = 0; k < this.#used.length; k++) extra = Math.imul(extra, 1009) + this.#used[k]!
    return extra
  }

  /** Something is wrong after a step. @returns true if the search is over */
  #judge(): boolean {
    const m = this.#machine
    this.#clean.wrongAt(m.steps)
    if (this.#blind || this.#mute) return false
    if (m.violation !== null) this.#symptoms.push(...symptomsOf(m, [m.violation]))
    if (m.thrown !== null && !this.#threw) {
      this.#threw = true
      this.#symptoms.push(thrownOf(m))
    }
    return this.#symptoms.length > 0 && this.#options.collect !== true
  }

  #atRest(): void {
    const m = this.#machine
    if (this.#blind) return void (this.#ending = 'learn')
    this.#complete()
    if (this.#mute) return
    // After a throw the world may be in pieces: what shows at rest is only a consequence.
    const violations = m.ended()
    if (!this.#threw) this.#symptoms.push(...symptomsOf(m, violations))
    if (m.thrown !== null && !this.#threw) this.#symptoms.push(thrownOf(m))
  }

  #stuck(): void {
    if (this.#blind) return void (this.#ending = 'learn')
    this.#complete()
    if (!this.#mute && !this.#threw) this.#symptoms.push(deadlockOf(this.#machine))
  }

  #endless(): void {
    if (this.#blind) return void (this.#ending = 'learn')
    this.#paths = 1
    this.#ending = 'stopped'
    if (this.#mute) return
    this.#tally.interrupted.add('steps')
    this.#symptoms.push(loopOf(this.#machine))
  }

  #complete(): void {
    this.#ending = 'complete'
    this.#paths = 1
    if (!this.#mute) this.#tally.endStates.add(this.#digests.world)
  }

  #strayed(): void {
    const m = this.#machine
    const what = `step ${m.steps}, ${m.fibers[m.current]!.name}: the same choices led to another state than before`
    this.#stop('indeterminate')
    this.#tally.findings.set('indeterminate', {
      claim: 'indeterminate', what, tape: {}, preemptions: m.preemptions, steps: m.steps,
    })
    this.#symptoms.length = 0
  }

  /** Make the run again for its tape, and keep what was found. */
  #report(): void {
    const { findings } = this.#tally
    const fresh = this.#symptoms.filter((s, i, all) => all.findIndex((t) => t.claim === s.claim) === i)
      .filter((s) => !findings.has(s.claim))
    if (this.#options.collect !== true) this.#stop('finding')
    if (fresh.length === 0) return
    const [paths, ending] = [this.#paths, this.#ending]
    const tape = new RecordingTape(this)
    this.#until = this.#machine.steps
    this.#mute = true
    this.#choices = tape
    this.#run()
    this.#choices = this
    this.#mute = false
    this.#until = Infinity
    this.#paths = paths
    this.#ending = ending
    for (const s of fresh) findings.set(s.claim, { ...s, tape: tape.data })
  }

  /** The next run: advance the last decision that has a course left. False: there is none. */
  #backtrack(): boolean {
    let paths = this.#paths
    while (this.#top > 0) {
      const at = this.#top - 1
      if (this.#what[at] === STATE) this.#table.setPaths(this.#id[at]!, paths)
      else {
        this.#value[at]! += paths
        if (++this.#pick[at]! < this.#limit[at]!) return true
        paths = this.#value[at]!
      }
      this.#top--
    }
    this.#total += paths
    return false
  }
}

/** All runs of a system, within bounds. */
export const explore = (system: System, options: ExploreOptions = {}): Search => new Explorer(system, options).search()

/**
 * All ways through the first `depth` decisions, for sharing a search out: give each thread some of them as `prefixes`,
 * and add the results up with `mergeSearch`. Same bounds, same prefixes.
 */
export const prefixes = (system: System, depth: number, options: ExploreOptions = {}): readonly Prefix[] =>
  new Explorer(system, { ...options, prune: false }).prefixes(depth)
