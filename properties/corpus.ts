/**
 * Corpus: counterexamples of bugs that are fixed, as files of properties/corpus, and whether they hold today.
 *
 * The folder has two kinds of entries: steps of a property run (corpus.test.ts plays them), and counterexamples of a check
 * (src/lab/check/counterexample.ts), which are these. Both stay forever.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isLeft } from 'fp-ts/lib/Either.js'
import { runOnce } from '../src/lab/check/check.ts'
import { parseCounterexample } from '../src/lab/check/counterexample.ts'
import { rerun } from '../src/lab/check/rerun.ts'
import { World } from '../src/lab/check/world.ts'
import { ReplayTape } from '../src/sim/tape.ts'
import { strategies } from '../src/strategies/index.ts'
import { CLAIMS, JUDGES } from './claims/index.ts'

/** Where the entries are. */
export const CORPUS = join(import.meta.dirname, 'corpus')

/** An entry of either kind: its name, and its text. */
export interface Entry {
  readonly name: string
  readonly text: string
}

const all = (): readonly Entry[] =>
  readdirSync(CORPUS).filter((name) => name.endsWith('.json')).sort()
    .map((name) => ({ name, text: readFileSync(join(CORPUS, name), 'utf8') }))

const isCounterexample = ({ text }: Entry): boolean => (JSON.parse(text) as { kind?: string }).kind === 'counterexample'

/** Entries that are steps of a property run. */
export const stepEntries = (): readonly Entry[] => all().filter((e) => !isCounterexample(e))

/** Entries that are counterexamples of a check. */
export const counterexampleEntries = (): readonly Entry[] => all().filter(isCounterexample)

/** What is wrong with an entry today: its form, its design, its claim, or another that the design claims; empty: nothing. */
export const brokenToday = ({ text }: Entry): readonly string[] => {
  const parsed = parseCounterexample(text)
  if (isLeft(parsed)) return [parsed.left]
  const c = parsed.right
  const strategy = strategies.find((s) => s.name === c.strategy.name)
  if (strategy === undefined) return [`no design is named ${c.strategy.name} any more: give the entry another`]
  const { shown } = rerun(c, { strategy, judges: JUDGES })
  const { violations } = runOnce(new World(c.program, { strategy, judges: JUDGES }), new ReplayTape(c.tape))
  const declared = (claim: string): boolean => CLAIMS.find((x) => x.id === claim)?.declared?.(strategy) ?? false
  const others = violations.filter((v) => v.claim !== c.claim && !declared(v.claim))
  return [...(shown === null ? [] : [`${c.claim}: ${shown}`]), ...others.map((v) => `${v.claim}: ${v.what}`)]
}
