/**
 * The page: a comparison as one HTML file that opens by a double click, without a network and without a script.
 *
 * Everything is in it: style, tables, charts as SVG. Its policy (Content-Security-Policy) forbids to load anything, so that a
 * mistake here shows as an error of the browser's console, which page.test.ts looks at. Text from designs and workloads is
 * escaped by the template (html.ts). Each table and each set of charts carries the manifest.
 */
import { barChart, intervalChart } from './charts.ts'
import {
  type Column, type Comparison, type Ground, isMarked, type Race, sameGround, sayGround, sayManifest, sayRun,
} from './document.ts'
import { perUnit } from './format.ts'
import type { GrowthDocument } from './growth.ts'
import { growthSection } from './growth-section.ts'
import { Html, html } from './html.ts'
import { COST, type CostLine, UNDO } from './ledger.ts'
import { STYLE } from './page-style.ts'
import { type Sheet, sheetsOf } from './sheets.ts'

/** Counts that are drawn, by their label in a cost table. */
const DRAWN: readonly string[] = [
  'copies from the user', 'copied inside, KiB', 'pages taken from the source',
  'page-cache look-ups', 'extent-map look-ups', 'locks taken', 'reservations',
  'allocations', 'pages allocated', 'bios, data', 'bios, metadata',
]

const CLASS: Readonly<Record<string, string>> = { '✓': 'pass', '✗': 'fail', '✗ d': 'declared', '·': 'untested', 'n.a.': 'na' }

const tableOf = (s: Sheet): Html => html`
<figure id="${anchor(s.title)}"><figcaption>${s.note}.</figcaption>
<div class="wide" tabindex="0" role="region" aria-label="${s.title}"><table class="${s.kind}">
<thead><tr>${s.head.map((h) => html`<th scope="col">${h}</th>`)}</tr></thead>
<tbody>${s.rows.map((row) => rowOf(s, row))}</tbody></table></div>
<p class="manifest">${s.manifest}</p></figure>`

const rowOf = (s: Sheet, [first = '', ...cells]: readonly string[]): Html => {
  if (cells.length === 0) return html`<tr class="family"><th colspan="${s.head.length}" scope="rowgroup">${first}</th></tr>`
  const cell = (c: string): Html => (s.kind === 'claims' ? html`<td class="${CLASS[c] ?? ''}">${c}</td>` : html`<td>${c}</td>`)
  return html`<tr><th scope="row">${first}</th>${cells.map(cell)}</tr>`
}

const anchor = (title: string): string => title.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')

const sheetSection = (s: Sheet, charts: Html | null): Html => html`<h3>${s.title}</h3>${tableOf(s)}${charts}`

// --- charts --------------------------------------------------------------------------------------------------------------

const grid = (svgs: readonly string[], manifest: string): Html | null => {
  if (svgs.length === 0) return null
  const drawings = svgs.map((svg) => html`<div>${new Html(svg)}</div>`)
  return html`<figure><div class="charts">${drawings}</div><p class="manifest">${manifest}</p></figure>`
}

/** Bars, one chart a line of the table that is not 0 everywhere; values per `unit` of each design. */
const bars = async (
  lines: readonly CostLine[], columns: readonly Column[], of: (c: Column, line: CostLine) => number | null,
): Promise<string[]> => {
  const charts: string[] = []
  for (const line of lines) {
    const values = columns.flatMap((c) => {
      const value = of(c, line)
      return value === null ? [] : [{ name: c.name, value, marked: isMarked(c) }]
    })
    if (values.some((b) => b.value > 0)) charts.push(await barChart(line.label, values))
  }
  return charts
}

const costCharts = async (c: Comparison, ground: Ground, workload: string, source: string): Promise<Html | null> => {
  const columns = c.designs.filter((d) => sameGround(d, ground))
  const value = (d: Column, line: CostLine): number | null => {
    const run = d.runs.find((r) => r.workload === workload && r.source === source)
    return run === undefined || run.bytesWritten === 0 ? null : line.of(run.ledger) / (run.bytesWritten / 2 ** 20)
  }
  const drawn = COST.filter((line) => DRAWN.includes(line.label))
  return grid(await bars(drawn, columns, value), `counts per MiB written; pale: broke a claim. ${sayManifest(c, workload)}`)
}

const undoCharts = async (c: Comparison, ground: Ground): Promise<Html | null> => {
  const columns = c.designs.filter((d) => sameGround(d, ground))
  const value = (d: Column, line: CostLine): number | null => (d.failedWrites === 0 ? null : line.of(d.undo) / d.failedWrites)
  return grid(await bars(UNDO, columns, value), `counts per failed write; pale: broke a claim. ${sayManifest(c)}`)
}

const wallChart = (race: Race): Promise<string> =>
  intervalChart(sayRun(race.workload, race.source), `time over that of ${race.baseline}`,
    race.racers.map((r) => ({ name: r.name, ...r.ratio })))

// --- parts ---------------------------------------------------------------------------------------------------------------

const failuresSection = (c: Comparison): Html | null => {
  const found = c.designs.flatMap((d) => [
    ...(d.broken === null ? [] : [html`<p>${d.name} on ${sayGround(d)}: ${d.broken}</p>`]),
    ...d.verdicts.filter((v) => v.status === 'fail' || v.status === 'declared').map((v) => {
      const b = d.counterexamples[v.claim]!
      return html`<details><summary>${v.status === 'fail' ? '✗' : '✗ d'} ${d.name} ${v.claim} in ${b.scene}${
        b.site === null ? '' : `, ${b.site} failing`}: ${b.what}</summary>
<pre>${b.timeline.map((line, i) => `${i + 1}  ${line}\n`)}\nreplay: perform-write compare ${d.replay} --scene ${b.replay}</pre></details>`
    }),
    ...d.runs.filter((r) => r.problem !== null).map((r) =>
      html`<p>✗ ${d.name}, ${sayRun(r.workload, r.source)}: ${r.problem!.what}</p>`),
  ])
  return found.length === 0 ? null : html`<h2 id="broken">What broke, and how to see it</h2>${found}`
}

const judgesLine = (c: Comparison): Html => {
  const names = [...new Set(c.designs.flatMap((d) => d.judges.map((j) => j.judge)))].sort()
  const all = (name: string) => c.designs.flatMap((d) => d.judges.filter((j) => j.judge === name))
  const sum = (name: string): string => {
    const images = all(name).reduce((n, j) => n + j.images, 0)
    return `${name}: ${perUnit(images)} images, ${all(name).reduce((n, j) => n + j.refused.length, 0)} refused`
  }
  return html`<p class="quiet">${names.length === 0 ? 'No image was shown to a judge.' : `Judges: ${names.map(sum).join('; ')}.`}</p>`
}

const manifestSection = ({ manifest: m, seed }: Comparison): Html => html`<h2 id="manifest">Manifest</h2>
<pre>${m.command}

perform-write ${m.version}, code sha256 ${m.code}
seed ${seed}
${Object.entries(m.workloads).map(([name, w]) => `${name}: ${w.operations} operations, sha256 ${w.sha256} (${w.source})\n`)}${
  Object.entries(m.plugins).map(([name, sha]) => `${name}: sha256 ${sha}\n`)}node ${m.machine.node}; ${m.machine.system}; ${
  m.machine.cpus} x ${m.machine.cpu}; ${Math.round(m.machine.memory / 2 ** 20)} MiB
${m.date}</pre>`

/** The page as text. `growth`: curves to go with it, or null. */
export const pageOf = async (c: Comparison, growth: GrowthDocument | null): Promise<string> => {
  const sheets = sheetsOf(c)
  const of = (kind: Sheet['kind']): readonly Sheet[] => sheets.filter((s) => s.kind === kind)
  const costs: Html[] = []
  const undos: Html[] = []
  let next = 0
  for (const [g, ground] of c.grounds.entries()) {
    for (const w of c.workloads) {
      for (const s of c.sources) costs.push(sheetSection(of('cost')[next++]!, await costCharts(c, ground, w, s)))
    }
    undos.push(sheetSection(of('undo')[g]!, await undoCharts(c, ground)))
  }
  const races = await Promise.all(c.wall.filter((r) => r.racers.length > 1).map(wallChart))
  const title = `${new Set(c.designs.map((d) => d.name)).size} write paths compared`
  const names = new Set(c.designs.map((d) => d.name))
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="perform-write ${c.manifest.version}"><title>${title}</title><style>${new Html(STYLE)}</style></head><body>
<h1>${title}</h1><p class="quiet">${sayManifest(c)}</p>${judgesLine(c)}
<nav><a href="#claims">claims</a><a href="#cost">cost</a><a href="#undo">undo</a>${
  c.wall.length === 0 ? null : html`<a href="#wall">wall time</a>`}${growth === null ? null : html`<a href="#growth">growth</a>`}<a
 href="#manifest">manifest</a></nav>
<h2 id="claims">Claims by design</h2>${of('claims').map((s) => sheetSection(s, null))}
${failuresSection(c)}
<h2 id="cost">Counted cost</h2>${costs}
<h2 id="undo">The cost of undo</h2>${undos}
${c.wall.length === 0 ? null : html`<h2 id="wall">Wall time</h2>
<p class="quiet">In JavaScript: hygiene, no result about a kernel.</p>${of('wall').map((s) => sheetSection(s, null))}${
  grid(races, sayManifest(c))}`}
${growth === null ? null : await growthSection(growth, names)}
${manifestSection(c)}
</body></html>
`.text
}
