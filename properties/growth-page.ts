/**
 * docs/growth.md, from a growth run: per axis the fitted exponents, those that share one together; then the formulas. A design whose
 * count is 0 throughout is not named.
 */
import type { Formula, KNOWN } from '../src/lab/growth/formulas.ts'
import type { Series } from '../src/lab/growth/measure.ts'
import { count } from '../src/report/format.ts'
import type { GrowthDocument } from '../src/report/growth.ts'

const exponent = (s: Series): string => {
  const [first, last] = [s.points[0]!, s.points.at(-1)!]
  const shown = first[1] === last[1] ? count(last[1]) : `${count(first[1])} to ${count(last[1])}`
  return `${s.exponent === 0 ? 'x^0' : `x^${s.exponent.toFixed(2)}`}${s.worse ? ' ✗' : ''} (${shown})`
}

/** Designs by what they share. */
const groups = (series: readonly Series[], all: number): readonly string[] => {
  const by = new Map<string, string[]>()
  for (const s of series) by.set(exponent(s), [...(by.get(exponent(s)) ?? []), s.design])
  return [...by].map(([what, designs]) =>
    `${what} ${designs.length === all ? 'every design' : designs.length > 6 ? `${designs.length} designs` : designs.join(', ')}`)
}

/** Rows of one axis: count, formula, then the exponents, each with the counts at both ends and the designs. Flat counts left out. */
export const growthRows = (g: GrowthDocument, axis: string): readonly (readonly string[])[] => {
  const series = g.series.filter((s) => s.axis === axis)
  const designs = new Set(series.map((s) => s.design)).size
  return [...new Set(series.map((s) => s.cost))].flatMap((cost) => {
    const own = series.filter((s) => s.cost === cost)
    if (own.every((s) => s.points.every(([, y]) => y === s.points[0]![1]))) return []
    return [[cost, [...new Set(own.map((s) => s.formula))].join(', '), ...groups(own, designs)]]
  })
}

const flat = (g: GrowthDocument, axis: string): string => {
  const all = [...new Set(g.series.filter((s) => s.axis === axis).map((s) => s.cost))]
  const moving = growthRows(g, axis).map(([cost]) => cost)
  const still = all.filter((c) => !moving.includes(c))
  return still.length === 0 ? '' : `\nThe same at every x, in every design: ${still.join(', ')}.\n`
}

/** The page. */
export const growthPage = (g: GrowthDocument, formulas: readonly Formula[], known: typeof KNOWN): string => `# Growth

How each count grows when one thing is made larger. Written by \`npm run growth -- --write\`; the points are in
[growth.json](growth.json), the curves in the page of \`compare --html\`. Counts are those of one write and the fsync behind it.
The exponent is fitted on logarithmic axes to the larger half of the points; in brackets the counts at the smallest and the
largest x. ✗: faster than the formula. A design that is not named in a row counts 0 there.

perform-write ${g.manifest.version}, code ${g.manifest.code.slice(0, 12)}, ${g.manifest.ground}, node ${g.manifest.node}
${g.axes.map((a) => {
  const xs = g.series.find((s) => s.axis === a.id)?.points.map(([x]) => count(x)).join(', ') ?? ''
  const rows = growthRows(g, a.id).map(([cost, formula, ...rest]) => `| ${cost} | ${formula} | ${rest.join('<br>')} |`)
  const worse = known.filter((k) => k.axis === a.id).map((k) => `\n**Known to be worse** (${k.costs.join(', ')}): ${k.why}\n`)
  return `
## By ${a.x}

${a.what} x: ${xs}.

${rows.length === 0 ? '' : `| count | formula | found |
|---|---|---|
${rows.join('\n')}
`}${flat(g, a.id)}${worse.join('')}`
}).join('')}
## The formulas

Upper bounds, from each design's own idea; the first row that fits holds.

| axis | designs | counts | formula | reason |
|---|---|---|---|---|
${formulas.map((f) =>
  `| ${f.axis} | ${f.designs?.join(', ') ?? 'all'} | ${f.costs?.join(', ') ?? 'all'} | O(${f.bound}) | ${f.reason} |`).join('\n')}

Not counted, and so not seen here: work inside a look-up. The map of an inode is in core whole; an extent more in its middle moves
the references behind it, and writing the inode walks all of them. That is time in JavaScript, not a cost of a design.
`
