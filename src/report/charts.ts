/**
 * Charts as static SVG: bars of counts, intervals of wall time, lines of growth. Drawn by Vega-Lite without a browser.
 *
 * Colours are custom properties of the page (`--ink`, `--line`, `--c0`...), so that one drawing serves light and dark. All are
 * 330 pixels wide at most: they fit a phone unscaled. Text reaches the SVG as data only; Vega escapes it. The library is loaded
 * when the first chart is drawn: nobody else waits for it.
 */
import type { TopLevelSpec } from 'vega-lite'
import type { Estimate } from '../lab/statistics.ts'

/** How many colours a page has. */
export const COLOURS = 10
/** Pixels of the part with the marks. */
const WIDTH = 150
const LINE_WIDTH = 250

const colour = (i: number): string => `var(--c${i % COLOURS})`

const CONFIG: NonNullable<TopLevelSpec['config']> = {
  background: 'transparent', font: 'system-ui, sans-serif',
  view: { stroke: null },
  axis: {
    labelColor: 'var(--ink)', titleColor: 'var(--ink)', tickColor: 'var(--line)', domainColor: 'var(--line)', gridColor: 'var(--line)',
    labelFontSize: 11, titleFontSize: 11, titleFontWeight: 'normal', labelLimit: 160, titleLimit: 240,
  },
  title: { color: 'var(--ink)', subtitleColor: 'var(--ink)', fontSize: 12, anchor: 'start', frame: 'group', fontWeight: 'bold' },
}

/** Without a canvas Vega takes a letter for 0.8 of the font size; those of design names are near 0.55, which leaves room for bars. */
const LETTER = 0.55

interface Measured {
  readonly fontSize?: number
  readonly text?: unknown
}

const draw = async (spec: TopLevelSpec): Promise<string> => {
  const [{ compile }, vega] = await Promise.all([import('vega-lite'), import('vega')])
  // Exported, and meant to be set, but not in the types.
  const { textMetrics } = vega as unknown as { textMetrics: { width: (item: Measured, text?: unknown) => number } }
  textMetrics.width = (item, text) => String(text ?? item.text ?? '').length * (item.fontSize ?? 11) * LETTER
  const view = new vega.View(vega.parse(compile({ ...spec, config: CONFIG }).spec), { renderer: 'none' })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

/** One bar. `marked`: the design broke a claim; its bar is hatched by being pale. */
export interface Bar {
  readonly name: string
  readonly value: number
  readonly marked: boolean
}

/** A bar a design. */
export const barChart = (title: string, bars: readonly Bar[]): Promise<string> =>
  draw({
    title, width: WIDTH, height: { step: 18 }, data: { values: bars.map((b) => ({ ...b })) },
    encoding: { y: { field: 'name', type: 'nominal', sort: null, title: null, axis: { ticks: false, domain: false } } },
    layer: [
      {
        mark: { type: 'bar', height: 11, fill: colour(0) },
        encoding: {
          x: { field: 'value', type: 'quantitative', title: null, axis: { tickCount: 3, format: '~s' } },
          fillOpacity: { condition: { test: 'datum.marked', value: 0.35 }, value: 1 },
        },
      },
    ],
  })

/** One interval. */
export interface Interval extends Estimate {
  readonly name: string
}

/** An interval a design, about 1 where the baseline is. */
export const intervalChart = (title: string, axis: string, intervals: readonly Interval[]): Promise<string> => {
  const y = { field: 'name', type: 'nominal', sort: null, title: null, axis: { ticks: false, domain: false } } as const
  return draw({
    title, width: WIDTH, height: { step: 20 }, data: { values: intervals.map((e) => ({ ...e })) },
    layer: [
      // Without a y of its own it stands from top to bottom: where the baseline is.
      { data: { values: [{}] }, mark: { type: 'rule', color: 'var(--ink)', strokeDash: [3, 3] }, encoding: { x: { datum: 1 } } },
      {
        mark: { type: 'rule', color: colour(1), strokeWidth: 2 },
        encoding: {
          x: { field: 'low', type: 'quantitative', title: axis, scale: { zero: false }, axis: { tickCount: 4 } }, x2: { field: 'high' }, y,
        },
      },
      {
        mark: { type: 'point', filled: true, size: 50, color: colour(1), opacity: 1 },
        encoding: { x: { field: 'median', type: 'quantitative' }, y },
      },
    ],
  })
}

/** A point of a line: x and y above 0. */
export interface Point {
  readonly line: string
  readonly x: number
  readonly y: number
}

/** Lines over logarithmic axes. `lines` gives their order and so their colours; the first ten are solid, the next dashed. */
export const lineChart = (title: string, axis: string, lines: readonly string[], points: readonly Point[]): Promise<string> => {
  // A logarithm has no place for 0; what is close to it is drawn linearly then.
  const type = points.some((p) => p.y <= 0) ? 'symlog' : 'log'
  const style = lines.map((_, i) => (i < COLOURS ? [1, 0] : [4, 2]))
  return draw({
    title, width: LINE_WIDTH, height: 150, data: { values: points.map((p) => ({ ...p })) },
    mark: { type: 'line', point: { size: 14 }, strokeWidth: 1.5 },
    encoding: {
      x: { field: 'x', type: 'quantitative', scale: { type: 'log' }, title: axis, axis: { format: '~s', tickCount: 4, grid: false } },
      y: { field: 'y', type: 'quantitative', scale: { type }, title: null, axis: { format: '~s', tickCount: 4 } },
      color: { field: 'line', type: 'nominal', legend: null, scale: { domain: [...lines], range: lines.map((_, i) => colour(i)) } },
      strokeDash: { field: 'line', type: 'nominal', legend: null, scale: { domain: [...lines], range: style } },
    },
  })
}
