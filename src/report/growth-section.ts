/** The growth part of the page: for each axis a chart a cost, one line a design. */
import { COLOURS, lineChart } from './charts.ts'
import type { Series } from '../lab/growth/measure.ts'
import type { GrowthAxis, GrowthDocument } from './growth.ts'
import { Html, html } from './html.ts'

const chartsOf = async (axis: GrowthAxis, series: readonly Series[], designs: readonly string[]): Promise<Html[]> => {
  const costs = [...new Set(series.filter(moves).map((s) => s.cost))]
  const charts: Html[] = []
  for (const cost of costs) {
    const own = series.filter((s) => s.cost === cost)
    const points = own.flatMap((s) => s.points.map(([x, y]) => ({ line: s.design, x, y })))
    charts.push(html`<div>${new Html(await lineChart(cost, axis.x, designs, points))}</div>`)
  }
  return charts
}

/** Is it not the same number everywhere? */
const moves = ({ points }: Series): boolean => points.some(([, y]) => y !== points[0]![1])

/** What no chart is drawn of. */
const still = (series: readonly Series[]): string => {
  const drawn = new Set(series.filter(moves).map((s) => s.cost))
  const costs = [...new Set(series.map((s) => s.cost))].filter((c) => !drawn.has(c))
  return costs.length === 0 ? '' : ` The same at every x, in every design: ${costs.join(', ')}.`
}

/** The section; only designs in `names`, all if it is empty. */
export const growthSection = async (g: GrowthDocument, names: ReadonlySet<string>): Promise<Html | null> => {
  const series = g.series.filter((s) => names.size === 0 || names.has(s.design))
  if (series.length === 0) return null
  const designs = [...new Set(series.map((s) => s.design))]
  const key = designs.map((d, i) =>
    html`<li><i class="${i < COLOURS ? '' : 'dashed'}" style="color: var(--c${i % COLOURS})"></i>${d}</li>`)
  const { version, code, node, ground } = g.manifest
  const manifest = `perform-write ${version} (code ${code.slice(0, 12)}); ${ground}; node ${node}`
  const axes: Html[] = []
  for (const axis of g.axes) {
    const own = series.filter((s) => s.axis === axis.id)
    if (own.length === 0) continue
    axes.push(html`<h3>by ${axis.x}</h3><figure><figcaption>${axis.what}${still(own)}</figcaption>
<div class="charts">${await chartsOf(axis, own, designs)}</div><p class="manifest">${manifest}</p></figure>`)
  }
  return html`<h2 id="growth">Growth of counted cost</h2><ul class="key">${key}</ul>
<p class="quiet">Both axes are logarithmic. Where designs count the same, one line lies over the others.</p>${axes}`
}
