/**
 * DPOR: one run for each way in which dependent steps can be ordered, instead of one for each interleaving.
 *
 * Source-DPOR with sleep sets. Runs are made depth first. When a step turns out to race with an earlier one, the search
 * must also go another way before that earlier one: by one of the *initials* of what would come first in the reversed
 * order. A fiber whose step has been tried *sleeps* until a step runs that depends on it; a run in which all enabled
 * fibers sleep is given up, since it is covered elsewhere. Adding a racing fiber itself where it is no initial, as the
 * first DPOR did, goes wrong with sleep sets: ends are missed.
 *
 * Waiting. A step that waited for another cannot go before it. So if the fiber was not enabled before the step that it
 * races with (an unlock), the race is with the latest dependent step before which it was (the lock). For a fiber that
 * waits when the run ends, or is given up, it is the step that took its chance away: nobody knows what its next step
 * would be, so it is taken to depend on all. The end of a run is an event too: it takes its chance from every daemon.
 *
 * Obligations, besides those of system.ts:
 * - the step after a wait notes what `ready()` of the op reads, which is one object (a finding `footprint` says where
 *   that is broken);
 * - what `stepped` judges depends on nothing but objects noted in that step: states between independent steps that no
 *   run shows are not looked at;
 * - at most 31 fibers. Choices other than schedules take the simplest course. No bound on preemptions, no visited set:
 *   neither goes together with sleep sets.
 *
 * Source: Abdulla, Aronis, Jonsson, Sagonas: Optimal Dynamic Partial Order Reduction, POPL 2014, algorithm 1.
 */
import type { ChoiceKind, Choices } from '../kernel/choices.ts'
import { WorldDigest } from './digest.ts'
import { copyKept, ENDS, Events, OF_DAEMON } from './events.ts'
import type { Budget, ExploreOptions } from './explore.ts'
import { execute, Machine, STEPS } from './scheduler.ts'
import {
  deadlockOf, type Ending, type Interruption, Judged, loopOf, type Search, type Symptom, symptomsOf, Tally, thrownOf,
} from './search.ts'
import type { System } from './system.ts'
import { RecordingTape } from './tape.ts'

/** Options of a search: `budget.executions` is the only bound. */
export type DporOptions = Pick<ExploreOptions, 'steps' | 'collect' | 'progress'> & {
  readonly budget?: Pick<Budget, 'executions'>
}

const MOST_FIBERS = 31
const PROGRESS = 1024
/** Sets of steps that are looked at to count the interleavings of one run. */
const CELLS = 2 ** 16

/** One search. Use `dpor`. */
export class Dpor implements Choices {
  readonly #system: System
  readonly #machine: Machine
  readonly #digests: WorldDigest
  readonly #options: DporOptions
  readonly #tally = new Tally()
  readonly #events = new Events()

  /** The stack, by number of step: who goes, who else must, who sleeps, and the footprints of the sleepers. */
  readonly #chosen: number[] = []
  readonly #backtrack: number[] = []
  readonly #sleeping: number[] = []
  readonly #sleepers: number[] = []
  #top = 0

  #fibers = 0
  #ending: Ending = 'complete'
  #blind = false
  #threw = false
  #over = false
  readonly #clean = new Judged()
  /** Is the step just made one of the last run, which was judged then? */
  readonly #judged = (): boolean => this.#machine.steps <= this.#events.length && this.#clean.isClean(this.#machine.steps)
  readonly #symptoms: Symptom[] = []
  #interleavings: number | null = 0

  constructor(system: System, options: DporOptions = {}) {
    this.#system = system
    this.#machine = new Machine(system)
    this.#digests = new WorldDigest(system)
    this.#options = options
  }

  /** All orders of dependent steps. */
  search(): Search {
    do this.#execute()
    while (!this.#over && this.#next())
    const { interrupted } = this.#tally
    return this.#tally.search(0, interrupted.size === 0 ? this.#interleavings : null)
  }

  choose(n: number, kind: ChoiceKind, _label: string): number {
    if (n > 1) this.#tally.cut.add(kind)
    return 0
  }

  /**
   * Of which fibers one must be tried before step `e`, so that fiber `p` can come before it.
   * @param initials bit set of those that can come first when what does not depend on `e` goes before it, and then `p`
   */
  protected sources(initials: number, _p: number, _enabled: number): number {
    return initials
  }

  #execute(): void {
    const { budget, progress } = this.#options
    const tally = this.#tally
    if (tally.executions >= (budget?.executions ?? Infinity)) return this.#stop('executions')
    do this.#run()
    while (this.#ending === 'learn')
    tally.ran(this.#machine.steps, this.#ending as Exclude<Ending, 'learn'>)
    if (this.#symptoms.length > 0) this.#report()
    if (progress === undefined || tally.executions % PROGRESS !== 0) return
    const { executions, steps, findings } = tally
    if (progress({ executions, steps, states: 0, findings: findings.size }) === true) this.#stop('caller')
  }

  #stop(why: Interruption): void {
    this.#tally.interrupted.add(why)
    this.#over = true
  }

  #begin(): void {
    const m = this.#machine
    this.#clean.begin()
    m.begin(this)
    this.#digests.begin(m.fibers.length)
    this.#blind = this.#threw = false
    this.#symptoms.length = 0
    this.#ending = 'stopped'
    if (this.#tally.executions > 0 || this.#fibers > 0) return
    this.#fibers = m.fibers.length
    if (this.#fibers > MOST_FIBERS) throw new RangeError(`${this.#fibers} fibers: DPOR takes ${MOST_FIBERS} at most`)
    this.#events.clear(this.#fibers)
    this.#sleeping[0] = 0
  }

  #run(): void {
    const m = this.#machine
    const maxSteps = this.#options.steps ?? STEPS
    this.#begin()
    while (m.living > 0) {
      const n = m.enabled()
      if (m.thrown !== null && !this.#threw && this.#judge()) return
      if (n === 0) break
      if (m.steps >= maxSteps) return this.#endless()
      const step = m.steps
      const enabled = this.#enabled(n)
      if (step === this.#top && !this.#blind && !this.#choose(n)) {
        this.#waiters()
        this.#ending = 'pruned'
        return
      }
      const pick = this.#blind ? 0 : m.candidates.indexOf(this.#chosen[step]!)
      if (pick < 0 || pick >= n) return this.#strayed(step)
      m.step(pick, this.#judged)
      if (this.#blind) continue
      if (!this.#digests.step(m.current)) this.#blind = true
      else if (step === this.#events.length) this.#record(enabled)
      if ((m.violation !== null || m.thrown !== null) && this.#judge()) return
    }
    if (this.#blind) this.#ending = 'learn'
    else this.#atEnd()
  }

  /** The candidates as a bit set. */
  #enabled(n: number): number {
    let bits = 0
    for (let k = 0; k < n; k++) bits |= 1 << this.#machine.candidates[k]!
    return bits
  }

  /** A new step on the stack: the first candidate that does not sleep. False: all sleep. */
  #choose(n: number): boolean {
    const { candidates } = this.#machine
    const at = this.#top
    for (let k = 0; k < n; k++) {
      const fiber = candidates[k]!
      if ((this.#sleeping[at]! & (1 << fiber)) !== 0) continue
      this.#chosen[at] = fiber
      this.#backtrack[at] = 1 << fiber
      this.#top++
      return true
    }
    return false
  }

  /** The step just made, for the first time: its races, and who sleeps after it. */
  #record(enabled: number): void {
    const m = this.#machine
    const fiber = m.current
    const mark = m.fibers[fiber]!.daemon === true ? OF_DAEMON : m.isEnded(fiber) ? ENDS : 0
    const e = this.#events.add(fiber, enabled, this.#system.footprint, mark)
    this.#races(e)
    let sleeping = 0
    for (let f = 0; f < this.#fibers; f++) {
      if ((this.#sleeping[e]! & (1 << f)) === 0 || f === fiber) continue
      if (this.#events.conflictsWith(e, this.#sleepers, e * this.#fibers + f)) continue
      sleeping |= 1 << f
      copyKept(this.#sleepers, e * this.#fibers + f, (e + 1) * this.#fibers + f)
    }
    this.#sleeping[e + 1] = sleeping
  }

  /** Order step `e` behind those that it depends on, and make sure that its races are run the other way round too. */
  #races(e: number): void {
    const events = this.#events
    const p = events.fiber[e]!
    const before = events.before[e]!
    const races: number[] = []
    for (let k = e - 1; k >= 0; k--) {
      if (events.fiber[k] === p || events.clock(e, events.fiber[k]!) > k || !events.conflict(k, e)) continue
      races.push(k)
      events.joinClock(e, k)
    }
    for (const k of races) this.#reverse(k, e, before)
    this.#checkWait(e, before)
  }

  /**
   * Step `race` is the last one before `e` on what they share. Go back from there to a step that `e` could have come
   * before. Whether its fiber could have gone on before step k is known if it waited for the same op then, and nothing
   * that would still come before `e` shares anything with it. Where that is not known, try, and go back further all the
   * same.
   */
  #reverse(race: number, e: number, before: number): void {
    const events = this.#events
    const p = events.fiber[e]!
    for (let k = race; k >= 0; k--) {
      if (k === before || events.fiber[k] === p || !events.conflict(k, e)) continue
      if (before >= 0 && events.isBefore(k, before)) continue
      const known = k > before && !this.#others(k, e)
      if (known && (events.enabled[k]! & (1 << p)) === 0) continue
      this.#goBefore(k, p, e, e)
      if (known) return
    }
  }

  /** Is there a step between `k` and `e` that `k` does not happen before, and that `e` depends on? */
  #others(k: number, e: number): boolean {
    const events = this.#events
    for (let g = k + 1; g < e; g++) if (!events.isBefore(k, g) && events.conflict(g, e)) return true
    return false
  }

  /** Fiber `p` must have a run in which its step `next` comes before step `e`; steps from `end` on do not count. */
  #goBefore(e: number, p: number, next: number | null, end: number): void {
    const events = this.#events
    const first: number[] = []
    let initials = 0
    let seen = 0
    const add = (k: number): void => {
      const q = events.fiber[k]!
      if ((seen & (1 << q)) !== 0) return
      seen |= 1 << q
      first[q] = k
      for (let f = 0; f < this.#fibers; f++) {
        if (f !== q && (seen & (1 << f)) !== 0 && events.isBefore(first[f]!, k)) return
      }
      initials |= 1 << q
    }
    for (let k = e + 1; k < end; k++) if (!events.isBefore(e, k)) add(k)
    if (next !== null) add(next)
    else if ((seen & (1 << p)) === 0 && (events.enabled[e]! & (1 << p)) !== 0) {
      // Nobody knows on which of those steps the fiber's next one depends, unless it has been tried already.
      if ((this.#sleeping[e]! & (1 << p)) === 0) initials = 1 << p
      else if (!this.#wakes(e, p, end)) return
    }
    if (initials === 0) return
    const sources = this.sources(initials, p, events.enabled[e]!)
    if ((sources & this.#backtrack[e]!) !== 0) return
    const one = (sources & (1 << p)) !== 0 ? 1 << p : sources & -sources
    this.#backtrack[e] = this.#backtrack[e]! | one
  }

  /** Fiber `p` sleeps before step `e`. Would it wake on the way, if `e` and what depends on it did not happen? */
  #wakes(e: number, p: number, end: number): boolean {
    const events = this.#events
    for (let k = e + 1; k < end; k++) {
      if (!events.isBefore(e, k) && events.conflictsWith(k, this.#sleepers, e * this.#fibers + p)) return true
    }
    return false
  }

  /** Whoever made the fiber of step `e` ready, or not ready, since its step `before`, must depend on `e`. */
  #checkWait(e: number, before: number): void {
    const events = this.#events
    const p = events.fiber[e]!
    for (let k = before + 1; k < e; k++) {
      if (((events.enabled[k]! ^ events.enabled[k + 1]!) & (1 << p)) === 0 || events.conflict(k, e)) continue
      const m = this.#machine
      const [who, by] = [m.fibers[p]!.name, m.fibers[events.fiber[k]!]!.name]
      return this.#noteWait(`a step of ${by} decided whether ${who} may go on behind '${m.trace.labels[e]}', and shares no ` +
        'object with what it does then: note what ready() reads')
    }
  }

  #noteWait(what: string): void {
    this.#symptoms.push({ claim: 'footprint', what, preemptions: this.#machine.preemptions, steps: this.#machine.steps })
  }

  #atEnd(): void {
    const m = this.#machine
    const events = this.#events
    this.#waiters()
    this.#ending = 'complete'
    this.#tally.endStates.add(this.#digests.world)
    const runs = events.linearExtensions(CELLS)
    this.#interleavings = runs === null || this.#interleavings === null ? null : this.#interleavings + runs
    if (this.#threw) return
    if (m.living > 0) this.#symptoms.push(deadlockOf(m))
    else this.#symptoms.push(...symptomsOf(m, m.ended()))
    if (m.thrown !== null) this.#symptoms.push(thrownOf(m))
  }

  /** The run is over: whoever waits, or was cut off, could have gone on earlier, but for some step. */
  #waiters(): void {
    const m = this.#machine
    for (let p = 0; p < this.#fibers; p++) {
      if (!m.isEnded(p) && (m.living === 0 || !m.isEnabled(p))) this.#waits(p)
    }
  }

  /** Nobody knows what fiber `p` would do next; so it depends on whatever took its chance away. */
  #waits(p: number): void {
    const events = this.#events
    const end = events.length
    const last = events.lastOf(p)
    if (this.#machine.isEnabled(p)) {
      // A daemon that was cut off: each of the steps that ended the others could have come after its next one.
      for (let k = end - 1; k > last; k--) if (events.endsFiber(k)) this.#goBefore(k, p, null, end)
    }
    for (let k = end - 1; k > last; k--) {
      if ((events.enabled[k]! & (1 << p)) !== 0) return this.#goBefore(k, p, null, end)
    }
    for (let k = last - 1; k >= 0; k--) {
      if (events.fiber[k] !== p && !events.isBefore(k, last)) this.#goBefore(k, p, null, end)
    }
  }

  /** The fiber that ought to go cannot: a footprint did not say what its wait depends on, or the system does not repeat itself. */
  #strayed(step: number): void {
    const m = this.#machine
    this.#stop('indeterminate')
    const who = m.fibers[this.#chosen[step]!]!.name
    this.#noteWait(`step ${step}: ${who} cannot go on where it ought to: note what ready() reads`)
  }

  #endless(): void {
    if (this.#blind) return void (this.#ending = 'learn')
    this.#tally.interrupted.add('steps')
    this.#symptoms.push(loopOf(this.#machine))
  }

  /** Something is wrong after a step. @returns true if the search is over */
  #judge(): boolean {
    const m = this.#machine
    this.#clean.wrongAt(m.steps)
    if (this.#blind) return false
    if (m.violation !== null) this.#symptoms.push(...symptomsOf(m, [m.violation]))
    if (m.thrown !== null && !this.#threw) {
      this.#threw = true
      this.#symptoms.push(thrownOf(m))
    }
    return this.#symptoms.length > 0 && this.#options.collect !== true
  }

  /** Make the run again for its tape, and keep what was found. */
  #report(): void {
    const { findings } = this.#tally
    const fresh = this.#symptoms.filter((s) => !findings.has(s.claim))
    if (this.#options.collect !== true) this.#stop('finding')
    if (fresh.length === 0) return
    const m = this.#machine
    const chosen = [...this.#chosen]
    const tape = new RecordingTape({
      schedule: { choose: (_n, _kind, _label) => m.candidates.indexOf(chosen[m.steps]!) },
    })
    const until = m.steps
    execute(this.#system, tape, { machine: m, onward: true, after: () => m.steps === until })
    for (const s of fresh) if (!findings.has(s.claim)) findings.set(s.claim, { ...s, tape: tape.data })
  }

  /** The next run: the last step before which somebody else must be tried. False: there is none. */
  #next(): boolean {
    while (this.#top > 0) {
      const at = this.#top - 1
      const fiber = this.#chosen[at]!
      this.#sleeping[at] = this.#sleeping[at]! | (1 << fiber)
      this.#events.keep(at, this.#sleepers, at * this.#fibers + fiber)
      const left = this.#backtrack[at]! & ~this.#sleeping[at]!
      if (left !== 0) {
        this.#chosen[at] = 31 - Math.clz32(left & -left)
        this.#events.truncate(at)
        return true
      }
      this.#top--
    }
    return false
  }
}

/** One run for each order of dependent steps. */
export const dpor = (system: System, options: DporOptions = {}): Search => new Dpor(system, options).search()
