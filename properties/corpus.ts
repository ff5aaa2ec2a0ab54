/**
 * Corpus: counterexamples of bugs that are fixed, as files of properties/corpus, and whether they hold today.
 *
 * The folder has three kinds of entries: steps of a property run (corpus.test.ts plays them), and counterexamples of a check
 * (src/lab/check/counterexample.ts) and of a crash (src/lab/crash/counterexample.ts), which are these. They stay forever.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isLeft } from 'fp-ts/lib/Either.js'
import type { AnyStrategy } from '../src/fs/strategy.ts'
import { runOnce } from '../src/lab/check/check.ts'
import { parseCounterexample } from '../src/lab/check/counterexample.ts'
import { rerun } from '../src/lab/check/rerun.ts'
import { World } from '../src/lab/check/world.ts'
import { CRASH_KIND, isCrashFile, parseCrash } from '../src/lab/crash/counterexample.ts'
import { decodeState, judgeState, recordScenario } from '../src/lab/crash/scenario.ts'
import { ReplayTape } from '../src/sim/tape.ts'
import { strategies } from '../src/strategies/index.ts'
import { CLAIMS, JUDGES } from './claims/index.ts'

/** Where the entries are. */
export const CORPUS = join(import.meta.dirname, 'corpus')

/** An entry of any kind: its name, and its text. */
export interface Entry {
  readonly name: string
  readonly text: string
}

const all = (): readonly Entry[] =>
  readdirSync(CORPUS).filter((name) => name.endsWith('.json')).sort()
    .map((name) => ({ name, text: readFileSync(join(CORPUS, name), 'utf8') }))

const ofKind = (kind: string | undefined): readonly Entry[] =>
  all().filter(({ text }) => (JSON.parse(text) as { kind?: string }).kind === kind)

/** Entries that are steps of a property run. */
export const stepEntries = (): readonly Entry[] => ofKind(undefined)

/** Entries that are counterexamples of a check, or of a crash. */
export const counterexampleEntries = (): readonly Entry[] => [...ofKind('counterexample'), ...ofKind(CRASH_KIND)]

/** What is wrong with an entry today: its form, its design, its claim, or another that the design claims; empty: nothing. */
export const brokenToday = (entry: Entry): readonly string[] => (isCrashFile(entry.text) ? brokenCrash(entry) : brokenCheck(entry))

const designOf = (name: string): AnyStrategy | string =>
  strategies.find((s) => s.name === name) ?? `no design is named ${name} any more: give the entry another`

const brokenCrash = ({ text }: Entry): readonly string[] => {
  const parsed = parseCrash(text)
  if (isLeft(parsed)) return [parsed.left]
  const { scenario, tape, strategy: { name } } = parsed.right
  const strategy = designOf(name)
  if (typeof strategy === 'string') return [strategy]
  const recording = recordScenario(strategy, scenario, tape)
  const { findings } = judgeState(recording, scenario, decodeState(recording, scenario, tape)).judged
  return findings.filter((f) => !f.declared).map((f) => `${f.claim}: ${f.what}`)
}

const brokenCheck = ({ text }: Entry): readonly string[] => {
  const parsed = parseCounterexample(text)
  if (isLeft(parsed)) return [parsed.left]
  const c = parsed.right
  const strategy = designOf(c.strategy.name)
  if (typeof strategy === 'string') return [strategy]
  const { shown } = rerun(c, { strategy, judges: JUDGES })
  const { violations } = runOnce(new World(c.program, { strategy, judges: JUDGES }), new ReplayTape(c.tape))
  const declared = (claim: string): boolean => CLAIMS.find((x) => x.id === claim)?.declared?.(strategy) ?? false
  const others = violations.filter((v) => v.claim !== c.claim && !declared(v.claim))
  return [...(shown === null ? [] : [`${c.claim}: ${shown}`]), ...others.map((v) => `${v.claim}: ${v.what}`)]
}
