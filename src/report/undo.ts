/**
 * The report of `undo`: what it takes to take a write back, one row a design, and one row a fault site.
 *
 * Counts are per failed write, exact sums over the programs that were run; a claim stands in the last column only if it
 * breaks in a run with that fault and in none without it.
 */
import { type SiteUndo, SHORT_COPY, UNDO_VERBS, type UndoReport, type UndoVerb } from '../lab/check/undo.ts'
import { count, perUnit, plural } from './format.ts'
import { paint, type Row, table, wrap } from './table.ts'

const WORDS: Readonly<Record<UndoVerb, string>> = {
  unreservesUndone: 'unreserve\ncalls', blocksUnreserved: 'blocks\nunreserved', blocksPunched: 'blocks\npunched',
  blocksZeroedUndone: 'blocks\nzeroed', foliosDropped: 'folios\ndropped', locksUndone: 'locks\ntaken',
}

const sum = (sites: readonly SiteUndo[], of: (s: SiteUndo) => number): number => sites.reduce((n, s) => n + of(s), 0)

/** Names of what a site's records hold, over sites, each once, in order. */
const names = (sites: readonly SiteUndo[], of: (s: SiteUndo) => object): readonly string[] =>
  [...new Set(sites.flatMap((s) => Object.keys(of(s))))].sort()

const list = (all: readonly string[], none: string): string => (all.length === 0 ? none : all.join('\n'))

const verbs = (sites: readonly SiteUndo[]): readonly string[] => {
  const failed = sum(sites, (s) => s.failed)
  return UNDO_VERBS.map((v) => perUnit(failed === 0 ? 0 : sum(sites, (s) => s.verbs[v]) / failed))
}

/** One row a design. */
export const undoSummary = (reports: readonly UndoReport[]): string => {
  const rows: Row[] = reports.map(({ strategy, sites }) => [
    strategy, count(sum(sites, (s) => s.failed)), count(sum(sites, (s) => s.undone)), ...verbs(sites),
    list(names(sites, (s) => s.inUndo), 'none'), count(sum(sites, (s) => s.pairs)), count(sum(sites, (s) => s.lost)),
    list(names(sites, (s) => s.brokenByPairs), '-'),
  ])
  const head = [
    '', 'writes\nfailed', 'with\nundo', ...UNDO_VERBS.map((v) => WORDS[v]), 'may fail\nin the undo', 'pairs', 'blocks\nlost',
    'claims\nbroken',
  ]
  return rows.length === 0 ? '' : `${title('the cost of undo, per failed write')}${table(head, rows)}`
}

const title = (text: string): string => `${paint('bold', text)}\n`

/** One row a site, for one design. */
export const undoSites = ({ strategy, sites }: UndoReport): string => {
  const shown = sites.filter((s) => s.failed > 0 || s.pairs > 0 || Object.keys(s.broken).length > 0)
  const rows: Row[] = shown.map((s) => [
    s.site, s.site === SHORT_COPY ? '-' : count(s.reached), count(s.failed), count(s.undone), ...verbs([s]),
    list(Object.keys(s.inUndo).sort(), '-'), count(s.lost),
    list([...Object.keys(s.broken), ...Object.keys(s.brokenByPairs).map((c) => `${c} (pair)`)], '-'),
  ])
  const head = [
    'fault site', 'reached', 'failed', 'with\nundo', ...UNDO_VERBS.map((v) => WORDS[v]), 'may fail\nin the undo', 'blocks\nlost',
    'breaks',
  ]
  return `${title(`${strategy}: undo by fault site, per failed write`)}${table(head, rows)}`
}

const siteSays = (site: string): string => (site.startsWith('(') ? site.slice(1, -1) : `${site} failing`)

/** What each design loses, with the run that shows it: one line a claim. */
export const undoLosses = (reports: readonly UndoReport[]): string => reports.flatMap(({ strategy, sites }) => [
  ...sites.flatMap((s) => Object.values(s.broken).map((c) => wrap(`${strategy} ${c.claim}, ${siteSays(s.site)}: ${c.what}`, 4))),
  ...sites.flatMap((s) => Object.values(s.brokenByPairs).map((c) =>
    wrap(`${strategy} ${c.claim}, ${s.site} failing and then ${c.second} in its undo: ${c.what}`, 4))),
]).map((line) => `${line}\n`).join('')

/** What the table covers, in one sentence. */
export const undoScope = (reports: readonly UndoReport[]): string => {
  const [first] = reports
  if (first === undefined) return ''
  const runs = reports.reduce((n, r) => n + r.runs, 0)
  return `${wrap(
    `${plural(first.programs, 'program')} of one write, ${plural(runs, 'run')}: each fault site that a write ` +
    'reaches fails once, and then each site that is reached while putFolio or end is undoing that. Verbs are counted where ' +
    `nothing else had to be undone; ${SHORT_COPY} is the write that its source cuts short, with no fault. "Blocks lost" ` +
    'belong to nobody after a pair, until e2fsck finds them. No interleavings, no crashes.',
  )}\n`
}
